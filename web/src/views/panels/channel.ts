// One channel on a page of its own: its nine pictures large, their projections, and its statistics.
import { h, put, s, sizeCanvas } from "../../lib/dom";
import { count, number, percent, tick, times } from "../../lib/format";
import { dot, facts, hiddenTable, isAbort } from "../../lib/frame";
import type { Theme } from "../../lib/palette";
import { drawTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { TopKData } from "../../lib/topkdata";
import type { Source } from "../../source/source";

const TILE = 190;

export interface ChannelLinks {
  readonly previous: string | null;
  readonly next: string | null;
  readonly back: string;
}

export class ChannelPanel {
  readonly el = h("article", { class: "channel", "data-testid": "channel-panel" });
  #key = "";
  #controller = new AbortController();

  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
  ) {}

  show(
    data: TopKData,
    run: string,
    channel: number,
    links: ChannelLinks,
    theme: Theme,
    ready: () => void,
  ): void {
    const key = JSON.stringify([data.record.id, channel, links, theme]);
    if (key === this.#key) return ready();
    this.#key = key;
    this.#controller.abort();
    this.#controller = new AbortController();
    const ranks = Array.from({ length: data.k }, (_, rank) => rank).filter(
      (rank) => data.image[channel * data.k + rank] >= 0,
    );
    const focused = this.el.contains(document.activeElement) ? document.activeElement : null;
    put(
      this.el,
      navigation(channel, links),
      h(
        "div",
        { class: "channel-columns" },
        h(
          "div",
          { class: "hits" },
          ...ranks.map((rank) => this.#hit(data, run, channel, rank, theme, ready)),
        ),
        h(
          "div",
          { class: "channel-side" },
          histogram(data, channel),
          statistics(data, channel),
          classes(data, channel, theme),
          field(data, channel),
          note(data),
        ),
      ),
      table(data, channel, ranks),
    );
    if (focused) this.focus(focused.getAttribute("aria-label"));
    if (!ranks.length) ready();
  }

  /** Give the focus to the link with this label, else to the heading. */
  focus(label: string | null = null): void {
    const link = [...this.el.querySelectorAll<HTMLElement>("a[aria-label]")].find(
      (one) => label !== null && one.getAttribute("aria-label") === label,
    );
    (link ?? this.el.querySelector<HTMLElement>("h2"))?.focus({ preventScroll: true });
  }

  #hit(
    data: TopKData,
    run: string,
    channel: number,
    rank: number,
    theme: Theme,
    ready: () => void,
  ): HTMLElement {
    const i = channel * data.k + rank;
    const label = data.label?.[i] ?? -1;
    const names = ["patch", ...(data.projections ? ["projection"] : [])];
    const canvases = names.map((name) => this.#canvas(data, run, name, channel, rank, ready));
    const scale = data.projectionScale?.[i];
    return h(
      "figure",
      { class: "hit" },
      h("div", { class: "hit-pictures" }, ...canvases),
      h(
        "figcaption",
        {},
        h(
          "div",
          { class: "hit-title" },
          h("span", { class: "rank num" }, rank + 1),
          label >= 0 ? h("b", {}, dot(data.classColour(label, theme)), data.className(label)) : null,
          h("span", { class: "num strong" }, number(data.value[i])),
        ),
        h(
          "div",
          { class: "hit-facts num" },
          `image ${count(data.image[i])} · row ${data.position[2 * i]}, column ${data.position[2 * i + 1]}`,
          scale !== undefined
            ? h("span", { title: "The |value| drawn as full contrast" }, ` · ±${number(scale, 2)}`)
            : null,
        ),
      ),
    );
  }

  #canvas(
    data: TopKData,
    run: string,
    name: string,
    channel: number,
    rank: number,
    ready: () => void,
  ): HTMLElement {
    const sheet = data.record.pictures[name];
    const canvas = h("canvas", { role: "img", "aria-label": `${name} of picture ${rank + 1}` });
    if (!sheet) return canvas;
    const [height, width] = sheet.tile;
    const scale = TILE / Math.max(height, width);
    const context = sizeCanvas(canvas, width * scale, height * scale);
    const { signal } = this.#controller;
    this.pictures.get(this.source.pictureUrl(run, data.record.id, tileOf(sheet, channel, rank).file)).then(
      (picture) => {
        if (signal.aborted) return;
        drawTile(
          context,
          picture,
          tileOf(sheet, channel, rank),
          0,
          0,
          width * scale,
          height * scale,
          data.part(channel, rank, sheet),
        );
        ready();
      },
      (error: unknown) => {
        if (!isAbort(error)) canvas.title = "This sheet could not be loaded";
      },
    );
    return canvas;
  }
}

function navigation(channel: number, links: ChannelLinks): HTMLElement {
  const step = (href: string | null, label: string, arrow: string): HTMLElement =>
    href
      ? h("a", { class: "button", href, "aria-label": label }, arrow)
      : h("span", { class: "button off", "aria-hidden": "true" }, arrow);
  return h(
    "div",
    { class: "channel-nav" },
    h("a", { class: "button", href: links.back }, "← All channels"),
    h("h2", { class: "num", tabindex: -1 }, `Channel ${channel}`),
    h(
      "div",
      { class: "pair" },
      step(links.previous, "Previous channel", "←"),
      step(links.next, "Next channel", "→"),
    ),
  );
}

function statistics(data: TopKData, channel: number): HTMLElement {
  return block(
    "Over the data set",
    facts([
      { name: "max", value: number(data.max[channel]) },
      { name: "mean", value: number(data.mean[channel]) },
      { name: "standard deviation", value: number(Math.sqrt(Math.max(0, data.variance[channel]))) },
      { name: "positions above 0", value: percent(data.positive[channel]) },
      { name: "images", value: count(data.seen) },
    ]),
  );
}

function histogram(data: TopKData, channel: number): HTMLElement | null {
  const { histogram: counts, edges } = data;
  if (!counts || !edges || edges.length < 2) return null;
  const bins = edges.length - 1;
  const own = counts.subarray(channel * bins, (channel + 1) * bins);
  const top = Math.log1p(Math.max(...own));
  const bars = Array.from(own, (n, bin) =>
    s(
      "rect",
      {
        x: bin * (248 / bins) + 0.5,
        width: Math.max(1, 248 / bins - 1),
        y: 72 - (top ? (72 * Math.log1p(n)) / top : 0),
        height: top ? (72 * Math.log1p(n)) / top : 0,
        rx: 0.8,
      },
      s("title", {}, `${number(edges[bin], 3)} … ${number(edges[bin + 1], 3)}: ${count(n)}`),
    ),
  );
  return block(
    "Activations, logarithmic counts",
    h(
      "div",
      { class: "bars" },
      s(
        "svg",
        {
          viewBox: "0 0 248 72",
          role: "img",
          "aria-label": `Histogram of the activations of channel ${channel} from ${number(edges[0])} to ${number(edges[bins])}`,
        },
        ...bars,
      ),
      h("div", { class: "bar-ends num" }, h("span", {}, tick(edges[0])), h("span", {}, tick(edges[bins]))),
    ),
  );
}

function classes(data: TopKData, channel: number, theme: Theme): HTMLElement | null {
  if (!data.label) return null;
  const counts = new Map<number, number>();
  for (let rank = 0; rank < data.k; rank++) {
    const label = data.label[channel * data.k + rank];
    if (label >= 0) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  const rows = [...counts].sort((a, b) => b[1] - a[1]);
  if (!rows.length) return null;
  return block(
    `Classes of the ${data.k}`,
    h(
      "ul",
      { class: "class-list" },
      ...rows.map(([label, n]) =>
        h(
          "li",
          {},
          dot(data.classColour(label, theme)),
          h("span", {}, data.className(label)),
          h("i", { style: { width: `${(60 * n) / data.k}px`, background: data.classColour(label, theme) } }),
          h("b", { class: "num" }, n),
        ),
      ),
    ),
  );
}

/** The input with the receptive field of the strongest position, to scale. */
function field(data: TopKData, channel: number): HTMLElement | null {
  const [height, width] = data.inputSize;
  if (!height || !width) return null;
  const boxes = Array.from({ length: data.k }, (_, rank) => {
    const at = 4 * (channel * data.k + rank);
    const [y0, x0, y1, x1] = [0, 1, 2, 3].map((part) => data.box[at + part]);
    return s("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: rank === 0 ? "first" : "" });
  });
  const pad = Math.max(height, width) * 0.02;
  const size = data.field.reason
    ? data.field.reason
    : `${times(...data.field.size)} of ${times(height, width)} px`;
  return block(
    "Where in the picture",
    h(
      "div",
      { class: "field" },
      s(
        "svg",
        {
          viewBox: `${-pad} ${-pad} ${width + 2 * pad} ${height + 2 * pad}`,
          role: "img",
          "aria-label": `Receptive fields of the nine positions in the input, ${size}`,
        },
        s("rect", { width, height, class: "frame" }),
        ...boxes.reverse(),
      ),
      h("p", { class: "muted" }, `Receptive field ${size}; the strongest is drawn full.`),
    ),
  );
}

function note(data: TopKData): HTMLElement | null {
  if (!data.projections) return null;
  return block(
    "How to read a projection",
    h(
      "p",
      { class: "muted" },
      `It shows what in this image reached the channel: mid-grey is zero. Where it is, is reliable; that it is special to this channel, less so the deeper the layer. ${data.report}`,
    ),
  );
}

const block = (title: string, content: HTMLElement): HTMLElement =>
  h("section", { class: "block" }, h("h3", {}, title), content);

function table(data: TopKData, channel: number, ranks: readonly number[]): HTMLElement {
  const rows = ranks.map((rank) => {
    const i = channel * data.k + rank;
    return [
      rank + 1,
      data.className(data.label?.[i] ?? -1),
      count(data.image[i]),
      number(data.value[i]),
      data.position[2 * i],
      data.position[2 * i + 1],
    ];
  });
  return hiddenTable(
    `The pictures of channel ${channel}`,
    ["rank", "class", "image", "activation", "row", "column"],
    rows,
  );
}
