// All channels of one layer: what the nine pictures that excite each of them most look like, and what of them reached it.
import { choose, recordsOf } from "../lib/catalog";
import { type Control, type Option, Player, segmented } from "../lib/controls";
import { focusIsIn, h, isTyping, put } from "../lib/dom";
import { count, number, percent } from "../lib/format";
import { empty, Frame, failed, hiddenTable, loading } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import { RecordLoader } from "../lib/loader";
import { changed, choiceOf, formatRoute, numberOf, type Place, placeOf } from "../lib/route";
import { PictureCache } from "../lib/sheet";
import { type ChannelSort, filterChannels, sortChannels } from "../lib/topk";
import { explainTopK, fetchTopK, type TopKData, topkFacts } from "../lib/topkdata";
import type { RecordInfo, Source } from "../source/source";
import { ChannelPanel } from "./panels/channel";
import { ChannelCards, cardHeight, type Shown } from "./panels/channelcard";
import type { Mount, View, ViewState } from "./view";

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
const EXPLAIN = "For every channel of a layer, the nine pictures that excite it most.";

class LayerView implements View {
  readonly #frame: Frame;
  readonly #grid: VirtualGrid;
  readonly #loader = new RecordLoader<TopKData>();
  readonly #pictures = new PictureCache();
  readonly #panel: ChannelPanel;
  readonly #cards: ChannelCards;
  readonly #player: Player;
  readonly #table = h("div");
  readonly #show: Control<Shown>;
  readonly #sort: Control<ChannelSort>;
  readonly #scroller: HTMLElement;
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  #records: readonly RecordInfo[] = [];
  #note = "";
  #drawn = "";
  #scroll = 0;
  #opened = -1;

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#frame = new Frame(el);
    this.#show = segmented("Show", SHOWN, "both", (value) => this.#set("show", value, "both"));
    this.#sort = segmented("Sort", SORTS, "index", (value) => this.#set("sort", value, "index"));
    this.#player = new Player(
      "Step",
      (at) => this.state.navigate({ step: this.#records[at]?.step }, true),
      700,
    );
    this.#scroller = scrollerOf(el);
    this.#grid = new VirtualGrid(this.#scroller, {
      label: "Channels",
      minimum: NARROWEST.both,
      rowHeight: (width) => cardHeight(width, this.#shown(), this.#loader.loaded?.data),
      gap: GAP,
      cell: (channel, signal, width) => this.#cell(channel, signal, width),
    });
    this.#cards = new ChannelCards(source, this.#pictures, () => this.state.ready());
    this.#panel = new ChannelPanel(source, this.#pictures);
    window.addEventListener("keydown", this.#keys);
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const { route, index } = state;
    const { run, tag, note } = choose(index, "topk", route.params);
    if (!run || !tag) return this.#showEmpty();
    this.#note = note;
    this.#records = recordsOf(run, "topk", tag);
    const wanted = numberOf(route, "step", Number.POSITIVE_INFINITY);
    const found = this.#records.findIndex(({ step }) => step === wanted);
    const at = found >= 0 ? found : this.#records.length - 1;
    const steps = this.#records.map(({ step }) => step);
    this.#player.update(steps, at);
    this.#load(run.name, this.#records[at]);
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#keys);
    this.#loader.stop();
    this.#player.stop();
    this.#grid.destroy();
    this.#pictures.clear();
  }

  #load(run: string, record: RecordInfo): void {
    this.#loader.ask(run, record, {
      fetch: async (signal, before) => {
        const data = await fetchTopK(this.source, run, record.id, signal);
        // While the search fills a layer, what is on screen stays until its successor can be drawn.
        if (before) await this.#cards.preload(data, run, this.#grid.visible, this.#shown(data));
        return data;
      },
      waiting: () => {
        this.#frame.note(this.#note);
        this.#frame.head({ view: "Layers", tag: record.tag, ...this.#origin(run), explain: EXPLAIN });
        put(this.#frame.tools);
        put(this.#frame.body, loading(record.tag));
        this.state.crumb("");
      },
      paint: ({ data }, fresh, replaced) => {
        if (fresh && !replaced) this.#scroller.scrollTo(0, 0);
        this.#paint(data, run);
      },
      failed: (error) => put(this.#frame.body, failed(error)),
    });
  }

  #origin = (run: string): { run: string; colour: string } => ({
    run,
    colour: this.state.colours.get(run) ?? "",
  });

  #set(key: string, value: string, usual: string): void {
    this.state.navigate({ [key]: value === usual ? null : value }, true);
  }

  #showEmpty(): void {
    this.#loader.stop();
    this.state.crumb("");
    this.#frame.note();
    this.#frame.head({ view: "Layers", explain: EXPLAIN });
    put(this.#frame.tools);
    const text = "Search a folder of pictures for what excites every channel of a network:";
    const commands = ["convscope inspect MODEL IMAGES -o RUN", "convscope demo"];
    put(this.#frame.body, empty("No layer inspected yet", text, ...commands));
    this.state.ready();
  }

  #paint(data: TopKData, run: string): void {
    const { at: channel, note } = this.#channel(data);
    this.#show.set(this.#shown(data));
    this.#sort.set(this.#sorted());
    this.#frame.note(this.#note, note);
    this.#head(data, run, channel);
    this.state.crumb(channel < 0 ? "" : String(channel));
    if (channel >= 0) this.#paintChannel(data, run, channel);
    else this.#paintGrid(data, run);
  }

  #paintChannel(data: TopKData, run: string, channel: number): void {
    const follow = focusIsIn(this.#grid.el);
    this.#opened = channel;
    if (this.#grid.el.isConnected) this.#scroll = this.#scroller.scrollTop;
    put(this.#frame.tools);
    const order = this.#order(data);
    const place = order.indexOf(channel);
    const to = (ch: number | undefined): string | null => (ch === undefined ? null : this.#href(ch));
    const links = { previous: to(order[place - 1]), next: to(order[place + 1]), back: this.#href(null) };
    this.#panel.show(data, run, channel, links, this.state.theme, () => this.state.ready());
    if (!this.#panel.el.isConnected) {
      put(this.#frame.body, this.#panel.el);
      this.#scroller.scrollTo(0, 0);
      if (follow) this.#panel.focus();
    }
  }

  #paintGrid(data: TopKData, run: string): void {
    const shown = this.#shown(data);
    put(this.#frame.tools, data.projections ? this.#show.el : null, this.#sort.el, this.#player.el);
    const returning = this.#panel.el.isConnected;
    const follow = returning && focusIsIn(this.#panel.el);
    const order = this.#order(data);
    if (!order.length) return this.#nothing(data);
    const { route, theme } = this.state;
    const key = JSON.stringify([run, data.record.id, shown, route.params.sort, route.params.q, theme]);
    if (!this.#grid.el.isConnected) {
      put(this.#frame.body, this.#grid.el, this.#table);
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
    put(this.#frame.body, empty("No such channel", text));
    this.state.ready();
  }

  #describe(data: TopKData, order: readonly number[]): void {
    const rows = order
      .slice(0, TABLE_ROWS)
      .map((c) => [c, number(data.max[c]), percent(data.positive[c]), data.classText(c)]);
    const head = ["channel", "largest activation", "positions above 0", "class"];
    put(this.#table, hiddenTable(`Channels of ${data.record.tag}`, head, rows));
  }

  #shown(data = this.#loader.loaded?.data): Shown {
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
    this.#frame.head({
      view: "Layers",
      tag: channel < 0 ? record.tag : `${record.tag} · channel ${channel}`,
      ...this.#origin(run),
      step: record.step ? `step ${count(record.step)}` : dataset,
      explain: explainTopK(data, channel >= 0),
      facts: topkFacts(data),
      ...(complete ? {} : { progress: { label: "Images searched", done: seen, total } }),
    });
  }

  #cell(channel: number, signal: AbortSignal, width: number): HTMLElement {
    const loaded = this.#loader.loaded;
    if (!loaded) return h("div");
    const { data, run } = loaded;
    const look = { width, signal, theme: this.state.theme, href: this.#href(channel) };
    return this.#cards.card(data, run, channel, this.#shown(data), look);
  }

  #key(event: KeyboardEvent): void {
    const data = this.#loader.loaded?.data;
    if (isTyping(event) || !data) return;
    const { at: channel } = this.#channel(data);
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (channel < 0) {
      if (by && event.target === document.body) this.#player.move(by);
      return;
    }
    if (event.key === "Escape") this.state.navigate({ ch: null });
    const order = this.#order(data);
    const next = by ? order[order.indexOf(channel) + by] : undefined;
    if (next !== undefined) this.state.navigate({ ch: next }, true);
  }
}

export const mount: Mount = (el, source, state) => new LayerView(el, source, state);
