// All channels of one layer: what the nine pictures that excite each of them most look like, and what of them reached it.
import { type Control, type Option, segmented } from "../lib/controls";
import { focusIsIn, h, isTyping, put } from "../lib/dom";
import { count, number, percent } from "../lib/format";
import { empty, hiddenTable } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import type { Loaded } from "../lib/loader";
import { type About, mounting, RecordView } from "../lib/recordview";
import { changed, choiceOf, formatRoute, type Place, placeOf } from "../lib/route";
import { PictureCache } from "../lib/sheet";
import { type ChannelSort, filterChannels, sortChannels } from "../lib/topk";
import { explainTopK, fetchTopK, type TopKData, topkFacts } from "../lib/topkdata";
import type { Source } from "../source/source";
import { ChannelPanel } from "./panels/channel";
import { ChannelCards, cardHeight, type Shown } from "./panels/channelcard";
import type { Mount, ViewState } from "./view";

const SHOWN: readonly Option<Shown>[] = [
  { value: "both", text: "Both" },
  { value: "patches", text: "Patches", title: "The receptive field in the picture" },
  { value: "projections", text: "Projections", title: "What in this image reached the channel" },
];
const SORTS: readonly Option<ChannelSort>[] = [
  { value: "index", text: "Index" },
  { value: "max", text: "Max", title: "Largest activation first" },
  { value: "sparsity", text: "Sparsity", title: "Rarely active channels first" },
  { value: "purity", text: "Purity", title: "Channels whose nine pictures share a class first" },
];
const GAP = 12;
const NARROWEST: Readonly<Record<Shown, number>> = { both: 296, patches: 164, projections: 164 };
const TABLE_ROWS = 400;

const ABOUT: About<TopKData> = {
  kind: "topk",
  view: "Layers",
  explain: "For every channel of a layer, the nine pictures that excite it most.",
  nothing: [
    "No layer inspected yet",
    "Search a folder of pictures for what excites every channel of a network:",
    "convscope inspect MODEL IMAGES -o RUN",
    "convscope demo",
  ],
  fetch: fetchTopK,
  pace: 700,
};

class LayerView extends RecordView<TopKData> {
  readonly #grid: VirtualGrid;
  readonly #pictures = new PictureCache();
  readonly #panel: ChannelPanel;
  readonly #cards: ChannelCards;
  readonly #table = h("div");
  readonly #show: Control<Shown>;
  readonly #sort: Control<ChannelSort>;
  readonly #scroller: HTMLElement;
  #drawn = "";
  #scroll = 0;
  #opened = -1;

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#show = segmented("Show", SHOWN, "both", (value) =>
      this.set({ show: value === "both" ? null : value }),
    );
    this.#sort = segmented("Sort", SORTS, "index", (value) =>
      this.set({ sort: value === "index" ? null : value }),
    );
    this.#scroller = scrollerOf(el);
    this.#grid = new VirtualGrid(this.#scroller, {
      label: "Channels",
      minimum: NARROWEST.both,
      rowHeight: (width) => cardHeight(width, this.#shown(), this.loaded?.data),
      gap: GAP,
      cell: (channel, signal, width) => this.#cell(channel, signal, width),
    });
    this.#cards = new ChannelCards(source, this.#pictures, () => this.state.ready());
    this.#panel = new ChannelPanel(source, this.#pictures);
  }

  override destroy(): void {
    super.destroy();
    this.#grid.destroy();
    this.#pictures.clear();
  }

  protected override async fetch(
    run: string,
    id: string,
    signal: AbortSignal,
    replaces: boolean,
  ): Promise<TopKData> {
    const data = await super.fetch(run, id, signal, replaces);
    // While the search fills a layer, what is on screen stays until its successor can be drawn.
    if (replaces) await this.#cards.preload(data, run, this.#grid.visible, this.#shown(data));
    return data;
  }

  protected override present({ data, run }: Loaded<TopKData>, fresh: boolean, replaced: boolean): void {
    if (fresh && !replaced) this.#scroller.scrollTo(0, 0);
    this.paint(data, run);
  }

  protected paint(data: TopKData, run: string): void {
    const { at: channel, note } = this.#channel(data);
    this.#show.set(this.#shown(data));
    this.#sort.set(this.#sorted());
    this.note(note);
    this.#head(data, run, channel);
    this.state.crumb(channel < 0 ? "" : String(channel));
    if (channel >= 0) this.#paintChannel(data, run, channel);
    else this.#paintGrid(data, run);
  }

  #paintChannel(data: TopKData, run: string, channel: number): void {
    const follow = focusIsIn(this.#grid.el);
    this.#opened = channel;
    if (this.#grid.el.isConnected) this.#scroll = this.#scroller.scrollTop;
    put(this.frame.tools);
    const order = this.#order(data);
    const place = order.indexOf(channel);
    const to = (ch: number | undefined): string | null => (ch === undefined ? null : this.#href(ch));
    const links = { previous: to(order[place - 1]), next: to(order[place + 1]), back: this.#href(null) };
    this.#panel.show(data, run, channel, links, this.state.theme, () => this.state.ready());
    if (!this.#panel.el.isConnected) {
      put(this.frame.body, this.#panel.el);
      this.#scroller.scrollTo(0, 0);
      if (follow) this.#panel.focus();
    }
  }

  #paintGrid(data: TopKData, run: string): void {
    const shown = this.#shown(data);
    put(this.frame.tools, data.projections ? this.#show.el : null, this.#sort.el, this.player.el);
    const returning = this.#panel.el.isConnected;
    const follow = returning && focusIsIn(this.#panel.el);
    const order = this.#order(data);
    if (!order.length) return this.#nothing(data);
    const { route, theme } = this.state;
    const key = JSON.stringify([run, data.record.id, shown, route.params.sort, route.params.q, theme]);
    if (!this.#grid.el.isConnected) {
      put(this.frame.body, this.#grid.el, this.#table);
      this.#drawn = "";
    }
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#grid.show(order, { minimum: NARROWEST[shown] });
      this.#describe(data, order);
    }
    if (returning) this.#scroller.scrollTo(0, this.#scroll);
    if (follow) this.#grid.focus(this.#opened);
  }

  #nothing(data: TopKData): void {
    const query = this.state.route.params.q ?? "";
    const text = `No channel of ${data.record.tag} has a picture of “${query}” among its ${data.k}.`;
    put(this.frame.body, empty("No such channel", text));
    this.state.ready();
  }

  #describe(data: TopKData, order: readonly number[]): void {
    const rows = order
      .slice(0, TABLE_ROWS)
      .map((c) => [c, number(data.max[c]), percent(data.positive[c]), data.classText(c)]);
    const head = ["channel", "largest activation", "positions above 0", "class"];
    put(this.#table, hiddenTable(`Channels of ${data.record.tag}`, head, rows));
  }

  #shown(data = this.loaded?.data): Shown {
    const values = SHOWN.map(({ value }) => value);
    return data?.projections ? choiceOf(this.state.route, "show", values) : "patches";
  }

  #sorted(): ChannelSort {
    const values = SORTS.map(({ value }) => value);
    return choiceOf(this.state.route, "sort", values);
  }

  #order(data: TopKData): number[] {
    const query = this.state.route.params.q ?? "";
    const found = filterChannels(data.channels, query, (channel) => data.classNames(channel));
    return sortChannels(found, this.#sorted(), data);
  }

  #channel = (data: TopKData): Place => placeOf(this.state.route, "ch", data.channels, "channel");

  #href = (channel: number | null): string => formatRoute(changed(this.state.route, { ch: channel }));

  #head(data: TopKData, run: string, channel: number): void {
    const { record, dataset, complete, seen, total } = data;
    this.head(run, {
      tag: channel < 0 ? record.tag : `${record.tag} · channel ${channel}`,
      step: record.step ? `step ${count(record.step)}` : dataset,
      explain: explainTopK(data, channel >= 0),
      facts: topkFacts(data),
      ...(complete ? {} : { progress: { label: "Images searched", done: seen, total } }),
    });
  }

  #cell(channel: number, signal: AbortSignal, width: number): HTMLElement {
    const loaded = this.loaded;
    if (!loaded) return h("div");
    const { data, run } = loaded;
    const look = { width, signal, theme: this.state.theme, href: this.#href(channel) };
    return this.#cards.card(data, run, channel, this.#shown(data), look);
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (isTyping(event) || !data) return;
    const { at: channel } = this.#channel(data);
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (channel < 0) {
      if (by && event.target === document.body) this.player.move(by);
      return;
    }
    if (event.key === "Escape") this.state.navigate({ ch: null });
    const order = this.#order(data);
    const next = by ? order[order.indexOf(channel) + by] : undefined;
    if (next !== undefined) this.set({ ch: next });
  }
}

export const mount: Mount = mounting(LayerView);
