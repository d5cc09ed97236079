// One image of a data set: large, with every channel that it is among the best of, layer by layer.
import { type AuditData, type Dominated, dominatedBy, layerShares } from "../../lib/auditdata";
import { recordsOf } from "../../lib/catalog";
import { h, put } from "../../lib/dom";
import { count, number, percent, plural } from "../../lib/format";
import { facts, messageOf } from "../../lib/frame";
import { Loader } from "../../lib/loader";
import type { RunInfo, Source } from "../../source/source";
import type { Thumbnails } from "./auditcell";

const SIDE = 278;
const TWIN_SIDE = 84;
const MOST = 60;

export interface ImageEvents {
  readonly close: () => void;
  /** The address of a channel's page. */
  readonly channel: (layer: string, channel: number) => string;
  /** The address of another image of this page. */
  readonly image: (row: number) => string;
}

export class AuditImage {
  readonly el = h("aside", { class: "panel audit-panel", "aria-label": "Chosen image", hidden: true });
  readonly #channels = h("div", { class: "audit-channels" });
  readonly #loader = new Loader();
  /** Images of the channels of each layer, by its record; the last few are kept. */
  readonly #images = new Map<string, Promise<{ readonly image: ArrayLike<number>; readonly k: number }>>();
  #made = "";
  #gone = new AbortController();

  constructor(
    private readonly source: Source,
    private readonly thumbnails: Thumbnails,
    private readonly on: ImageEvents,
  ) {}

  /** Show the image of a row, -1 to hide; made anew only if something of it has changed, so that the focus stays. */
  show(data: AuditData, run: RunInfo, row: number): void {
    const made = row < 0 ? "" : JSON.stringify([run.name, data.record.id, row, this.on.image(row)]);
    this.el.hidden = row < 0;
    if (made === this.#made) return;
    this.#made = made;
    this.#gone.abort();
    this.#gone = new AbortController();
    this.#loader.stop();
    if (row < 0) return put(this.el);
    this.#make(data, run.name, row);
    this.#list(data, run, row);
  }

  destroy(): void {
    this.#gone.abort();
    this.#loader.stop();
  }

  #make(data: AuditData, run: string, row: number): void {
    put(
      this.el,
      h(
        "header",
        { class: "panel-head" },
        h("h2", {}, data.nameOf(row)),
        h(
          "button",
          { type: "button", class: "icon-button", "aria-label": "Close", onclick: this.on.close },
          "×",
        ),
      ),
      this.thumbnails.canvas(data, run, row, SIDE, this.#gone.signal),
      facts([
        ...(data.classOf(row) ? [{ name: "class", value: data.classOf(row) }] : []),
        { name: "image", value: count(data.index[row]), title: "Its number in the data set, from 0" },
        {
          name: "channels",
          value: count(data.channels[row]),
          title: `Channels that have it among their best ${data.k}`,
        },
        { name: "as the strongest", value: count(data.first[row]) },
      ]),
      this.#twins(data, run, row),
      h("h3", {}, "Channels it dominates"),
      this.#channels,
    );
  }

  #twins(data: AuditData, run: string, row: number): HTMLElement | null {
    const twins: { readonly row: number; readonly likeness: number }[] = [];
    for (let pair = 0; 2 * pair + 1 < data.duplicate.length; pair++) {
      const [a, b] = [data.duplicate[2 * pair], data.duplicate[2 * pair + 1]];
      if (a === row || b === row) twins.push({ row: a === row ? b : a, likeness: data.likeness[pair] });
    }
    if (!twins.length) return null;
    const links = twins.map((twin) =>
      h(
        "a",
        { href: this.on.image(twin.row), title: data.nameOf(twin.row) },
        this.thumbnails.canvas(data, run, twin.row, TWIN_SIDE, this.#gone.signal),
        h("span", { class: "num muted" }, number(twin.likeness, 3)),
      ),
    );
    return h("section", {}, h("h3", {}, "Nearly the same as"), h("div", { class: "twins" }, ...links));
  }

  #list(data: AuditData, run: RunInfo, row: number): void {
    const shares = layerShares(data, row);
    const layers = data.layers
      .map((layer, at) => ({
        layer,
        many: data.layerChannels[row * data.layers.length + at],
        share: shares[at],
      }))
      .filter(({ many }) => many > 0);
    const blocks = layers.map(({ layer, many, share }) => ({
      layer,
      links: h("p", { class: "muted" }, "…"),
      many,
      share,
    }));
    put(
      this.#channels,
      ...blocks.map(({ layer, links, many, share }) =>
        h(
          "section",
          { "aria-label": layer },
          h(
            "h4",
            {},
            h("span", { class: "mono" }, layer),
            h("span", { class: "num muted" }, `${count(many)} · ${percent(share)}`),
          ),
          h("i", { class: "strip", "aria-hidden": "true" }, h("i", { style: { width: `${100 * share}%` } })),
          links,
        ),
      ),
    );
    this.#loader.run(
      async (signal) => {
        for (const { layer, links } of blocks) {
          const found = await this.#dominated(run, layer, data.index[row]).catch((error: unknown) =>
            messageOf(error),
          );
          if (signal.aborted) return;
          put(links, ...(typeof found === "string" ? [found] : this.#links(layer, found)));
        }
      },
      () => undefined,
      () => undefined,
    );
  }

  #links(layer: string, found: readonly Dominated[]): (HTMLElement | string)[] {
    const links = found.slice(0, MOST).map(({ channel, rank }) =>
      h(
        "a",
        {
          href: this.on.channel(layer, channel),
          class: rank ? "channel-link num" : "channel-link num first",
          "aria-label": `channel ${channel} of ${layer}, place ${rank + 1}`,
        },
        h("b", {}, channel),
        h("span", { class: "muted" }, ordinal(rank + 1)),
      ),
    );
    const rest = found.length - links.length;
    if (!found.length) return ["This layer has been searched anew since."];
    return rest > 0 ? [...links, ` and ${plural(rest, "more channel")}`] : links;
  }

  async #dominated(run: RunInfo, layer: string, wanted: number): Promise<Dominated[]> {
    const record = recordsOf(run, "topk", layer).at(-1);
    if (!record) throw new Error("This run has no top images of the layer.");
    const key = `${run.name}\n${record.id}`;
    const asked = this.#images.get(key) ?? this.#fetch(run.name, record.id);
    this.#images.set(key, asked);
    asked.catch(() => this.#images.delete(key));
    const { image, k } = await asked;
    return dominatedBy(image, k, wanted);
  }

  async #fetch(run: string, id: string): Promise<{ readonly image: ArrayLike<number>; readonly k: number }> {
    const { image } = await this.source.arrays(run, id, ["image"]);
    return { image: image.data, k: image.shape[1] };
  }
}

/** 1 → "1st". */
function ordinal(place: number): string {
  const tens = place % 100;
  const end = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][place % 10] ?? "th");
  return `${place}${end}`;
}
