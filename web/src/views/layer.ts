// All channels of one layer: what the nine pictures that excite each of them most look like, and what of them reached it.
import { chooseRun, chooseTag, recordsOf } from "../lib/catalog";
import { type Control, segmented } from "../lib/controls";
import { h, isTyping, put, sizeCanvas } from "../lib/dom";
import { count, number, percent, times } from "../lib/format";
import { dot, empty, type Fact, Frame, failed, hiddenTable, isAbort, loading } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import { Loader } from "../lib/loader";
import { changed, choiceOf, formatRoute, numberOf } from "../lib/route";
import { drawTile, PictureCache, tileOf } from "../lib/sheet";
import { type ChannelSort, filterChannels, sortChannels } from "../lib/topk";
import { fetchTopK, type TopKData } from "../lib/topkdata";
import type { RunInfo, Sheet, Source } from "../source/source";
import { ChannelPanel } from "./panels/channel";
import type { Mount, View, ViewState } from "./view";

const SHOWS = ["both", "patches", "projections"] as const;
const SORTS: readonly ChannelSort[] = ["index", "max", "sparsity", "purity"];
const GAP = 12;
const PADDING = 10;
const CAPTION = 44;
const TILE_GAP = 2;

class LayerView implements View {
  readonly #frame: Frame;
  readonly #grid: VirtualGrid;
  readonly #loader = new Loader();
  readonly #pictures = new PictureCache();
  readonly #panel: ChannelPanel;
  readonly #table = h("div");
  readonly #show: Control<(typeof SHOWS)[number]>;
  readonly #sort: Control<ChannelSort>;
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  readonly #scroller: HTMLElement;
  #run: RunInfo | undefined;
  #data: TopKData | undefined;
  #drawn = "";
  #scroll = 0;

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#frame = new Frame(el);
    this.#show = segmented(
      "Show",
      [
        { value: "both", text: "Both" },
        { value: "patches", text: "Patches", title: "The receptive field in the picture" },
        { value: "projections", text: "Projections", title: "What in this image reached the channel" },
      ],
      "both",
      (v) => state.navigate({ show: v === "both" ? null : v }, true),
    );
    this.#sort = segmented<ChannelSort>(
      "Sort",
      [
        { value: "index", text: "Index" },
        { value: "max", text: "Max" },
        { value: "sparsity", text: "Sparsity", title: "Rarely active channels first" },
        { value: "purity", text: "Purity", title: "Channels whose nine pictures share a class first" },
      ],
      "index",
      (v) => state.navigate({ sort: v === "index" ? null : v }, true),
    );
    this.#scroller = scrollerOf(el);
    this.#grid = new VirtualGrid(this.#scroller, {
      label: "Channels",
      minimum: 200,
      rowHeight: (width) => this.#rowHeight(width),
      gap: GAP,
      cell: (channel, signal, width) => this.#cell(channel, signal, width),
    });
    this.#panel = new ChannelPanel(source, this.#pictures);
    window.addEventListener("keydown", this.#keys);
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const { route, index } = state;
    this.#run = chooseRun(index, "topk", route.params.run);
    const tag = this.#run && chooseTag(this.#run, "topk", route.params.tag);
    if (!this.#run || !tag) return this.#showEmpty();
    const records = recordsOf(this.#run, "topk", tag);
    const wanted = numberOf(route, "step", Number.POSITIVE_INFINITY);
    const record = records.find(({ step }) => step === wanted) ?? records[records.length - 1];
    const run = this.#run.name;
    if (!this.#loader.isNew(`${run}/${record.id}`)) return this.#paint();
    if (this.#data?.record.tag !== tag) put(this.#frame.body, loading(tag));
    this.#loader.run(
      (signal) => fetchTopK(this.source, run, record.id, signal),
      (data) => {
        if (this.#data?.record.tag !== data.record.tag) this.#scroller.scrollTo(0, 0);
        this.#data = data;
        this.#paint();
      },
      (error) => put(this.#frame.body, failed(error)),
    );
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#keys);
    this.#loader.stop();
    this.#grid.destroy();
    this.#pictures.clear();
  }

  #showEmpty(): void {
    this.#frame.head({
      view: "Layers",
      explain: "For every channel of a layer, the nine pictures that excite it most.",
    });
    put(this.#frame.tools);
    put(
      this.#frame.body,
      empty(
        "No layer inspected yet",
        "Search a folder of pictures for what excites every channel of a network:",
        "convscope inspect MODEL IMAGES -o RUN",
        "convscope demo",
      ),
    );
    this.state.ready();
  }

  #paint(): void {
    const data = this.#data;
    if (!data || !this.#run) return;
    const channel = this.#channel(data);
    this.#show.set(this.#shows(data));
    this.#sort.set(choiceOf(this.state.route, "sort", SORTS));
    this.#head(data, channel);
    if (channel >= 0) this.#paintChannel(data, this.#run, channel);
    else this.#paintGrid(data);
  }

  #paintChannel(data: TopKData, run: RunInfo, channel: number): void {
    if (this.#grid.el.isConnected) this.#scroll = this.#scroller.scrollTop;
    put(this.#frame.tools);
    const order = this.#order(data);
    const place = order.indexOf(channel);
    const link = (to: number | undefined): string | null =>
      to === undefined ? null : formatRoute(changed(this.state.route, { ch: to }));
    this.#panel.show(
      data,
      run.name,
      channel,
      {
        previous: link(order[place - 1]),
        next: link(order[place + 1]),
        back: formatRoute(changed(this.state.route, { ch: null })),
      },
      this.state.theme,
      () => this.state.ready(),
    );
    if (!this.#panel.el.isConnected) {
      put(this.#frame.body, this.#panel.el);
      this.#scroller.scrollTo(0, 0);
    }
  }

  #paintGrid(data: TopKData): void {
    const show = this.#shows(data);
    put(this.#frame.tools, data.projections ? this.#show.el : null, this.#sort.el);
    const returning = this.#panel.el.isConnected;
    const order = this.#order(data);
    const key = JSON.stringify([
      data.record.id,
      show,
      order.length,
      this.state.route.params.sort,
      this.state.route.params.q,
    ]);
    if (!this.#grid.el.isConnected) put(this.#frame.body, this.#grid.el, this.#table);
    if (key !== this.#drawn || returning) {
      this.#drawn = key;
      this.#grid.show(order, { minimum: show === "both" ? 296 : 164 });
      this.#describe(data, order);
    }
    if (!order.length)
      put(
        this.#frame.body,
        empty(
          "No such channel",
          `No channel of ${data.record.tag} has a picture of “${this.state.route.params.q ?? ""}” among its nine.`,
        ),
      );
    if (returning) this.#scroller.scrollTo(0, this.#scroll);
  }

  #describe(data: TopKData, order: readonly number[]): void {
    const rows = order
      .slice(0, 400)
      .map((c) => [c, number(data.max[c]), percent(data.positive[c]), data.classText(c)]);
    put(
      this.#table,
      hiddenTable(
        `Channels of ${data.record.tag}`,
        ["channel", "largest activation", "positions above 0", "class"],
        rows,
      ),
    );
  }

  #tile = (width: number, pairs: number): number =>
    Math.floor((width - 2 * PADDING - 2 - (pairs - 1) * 8 - pairs * 2 * TILE_GAP) / (3 * pairs));

  #rowHeight(width: number): number {
    const pairs = this.#data && this.#shows(this.#data) === "both" ? 2 : 1;
    return 3 * this.#tile(width, pairs) + 2 * TILE_GAP + 2 * PADDING + CAPTION;
  }

  #shows = (data: TopKData): (typeof SHOWS)[number] =>
    data.projections ? choiceOf(this.state.route, "show", SHOWS) : "patches";

  #order(data: TopKData): number[] {
    const found = filterChannels(data.channels, this.state.route.params.q ?? "", (channel) =>
      data.classNames(channel),
    );
    return sortChannels(found, choiceOf(this.state.route, "sort", SORTS), data);
  }

  #channel(data: TopKData): number {
    const wanted = numberOf(this.state.route, "ch", -1);
    return Number.isInteger(wanted) && wanted >= 0 && wanted < data.channels ? wanted : -1;
  }

  #head(data: TopKData, channel: number): void {
    const { record, field, seen, total, complete, dataset, network, report } = data;
    const rf = field.reason ? "whole image" : `${times(...field.size)} px`;
    const facts: Fact[] = [
      { name: "channels", value: count(data.channels) },
      { name: "receptive field", value: rf, title: field.reason || `stride ${field.stride.join(" × ")} px` },
      {
        name: "images seen",
        value: complete ? count(seen) : `${count(seen)} of ${count(total)}`,
        title: dataset,
      },
      { name: "network", value: network },
      ...(report
        ? [
            {
              name: data.rule || "rule",
              value: report,
              title: "How the projection treated every non-linearity",
            },
          ]
        : []),
    ];
    this.#frame.head({
      view: "Layers",
      tag: channel < 0 ? record.tag : `${record.tag} · channel ${channel}`,
      ...(this.#run ? { run: this.#run.name, colour: this.state.colours.get(this.#run.name) ?? "" } : {}),
      step: record.step ? `step ${count(record.step)}` : dataset,
      explain: this.#explain(data, channel >= 0),
      facts,
    });
    if (!complete)
      this.#frame.body.parentElement?.querySelector(".view-header")?.append(progress(seen, total));
  }

  #explain(data: TopKData, one: boolean): string {
    if (one) {
      const pictures = `The ${data.k} pictures that excite this channel most, cut to its receptive field.`;
      return data.projections
        ? `${pictures} The projection beside each shows what in this image reached the channel.`
        : pictures;
    }
    const patches = `Each card is one channel: the ${data.k} pictures that excite it most, cut to the part it sees.`;
    return data.projections
      ? `${patches} Beside them the projection: what in this image reached the channel.`
      : patches;
  }

  #cell(channel: number, signal: AbortSignal, width: number): HTMLElement {
    const data = this.#data;
    if (!data || !this.#run) return h("div");
    const show = this.#shows(data);
    const names = show === "both" ? ["patch", "projection"] : show === "patches" ? ["patch"] : ["projection"];
    const tile = this.#tile(width, names.length);
    const canvases = names.map((name) => {
      const canvas = h("canvas", {
        role: "img",
        "aria-label": `${name === "patch" ? "patches" : "projections"} of channel ${channel}`,
      });
      const sheet = data.record.pictures[name];
      if (sheet) this.#draw(canvas, data.record.id, sheet, channel, tile, data.k, signal);
      return canvas;
    });
    const best = data.purity[channel];
    const card = h(
      "a",
      {
        class: "channel-card",
        href: formatRoute(changed(this.state.route, { ch: channel })),
        "data-testid": "channel",
        "aria-label": `channel ${channel}`,
      },
      h("div", { class: "channel-tiles" }, ...canvases),
      h(
        "div",
        {},
        h(
          "div",
          { class: "channel-caption" },
          h("b", { class: "num" }, channel),
          best.label >= 0 && best.count > 1
            ? h(
                "span",
                { class: "purity", title: `${best.count} of ${best.of} pictures` },
                dot(data.classColour(best.label, this.state.theme)),
                ` ${data.className(best.label)} · ${best.count}/${best.of}`,
              )
            : null,
        ),
        h(
          "div",
          { class: "channel-caption num" },
          h("span", { class: "muted", title: "Largest activation" }, `max ${number(data.max[channel], 3)}`),
          h(
            "span",
            { class: "positive", title: "Share of positions above zero" },
            h("i", { style: { "--share": `${100 * data.positive[channel]}%` } }),
            percent(data.positive[channel]),
          ),
        ),
      ),
    );
    return h("div", { role: "listitem" }, card);
  }

  #draw(
    canvas: HTMLCanvasElement,
    id: string,
    sheet: Sheet,
    channel: number,
    size: number,
    k: number,
    signal: AbortSignal,
  ): void {
    const run = this.#run?.name ?? "";
    const side = 3 * size + 2 * TILE_GAP;
    const context = sizeCanvas(canvas, side, side);
    this.#pictures.get(this.source.pictureUrl(run, id, tileOf(sheet, channel, 0).file)).then(
      (picture) => {
        if (signal.aborted) return;
        for (let rank = 0; rank < Math.min(k, 9); rank++) {
          const [x, y] = [(rank % 3) * (size + TILE_GAP), Math.floor(rank / 3) * (size + TILE_GAP)];
          drawTile(
            context,
            picture,
            tileOf(sheet, channel, rank),
            x,
            y,
            size,
            size,
            this.#data?.part(channel, rank, sheet),
          );
        }
        this.state.ready();
      },
      (error: unknown) => {
        if (!isAbort(error)) canvas.title = "This sheet could not be loaded";
      },
    );
  }

  #key(event: KeyboardEvent): void {
    const data = this.#data;
    if (isTyping(event) || !data) return;
    const channel = this.#channel(data);
    if (channel < 0) return;
    if (event.key === "Escape") this.state.navigate({ ch: null });
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const order = this.#order(data);
    const next = by ? order[order.indexOf(channel) + by] : undefined;
    if (next !== undefined) this.state.navigate({ ch: next }, true);
  }
}

function progress(seen: number, total: number): HTMLElement {
  const share = total > 0 ? (100 * seen) / total : 0;
  return h(
    "div",
    {
      class: "progress",
      role: "progressbar",
      "aria-label": "Images searched",
      "aria-valuenow": Math.round(share),
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    h("span", { style: { width: `${share}%` } }),
  );
}

export const mount: Mount = (el, source, state) => new LayerView(el, source, state);
