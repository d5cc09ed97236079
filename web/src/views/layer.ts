// All channels of one layer: what the pictures that excite each of them most look like, and what of them reached it.
import { choose, recordsOf, tagsOf } from "../lib/catalog";
import { focusIsIn, h, isTyping, put } from "../lib/dom";
import { exportedPlace, isExported } from "../lib/exported";
import { count, number, percent } from "../lib/format";
import { empty, hiddenTable, isAbort, messageOf } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import type { Loaded } from "../lib/loader";
import { type About, mounting, RecordView } from "../lib/recordview";
import { type Change, changed, choiceOf, formatRoute, type Place, placeOf, toView } from "../lib/route";
import { oneTabStop } from "../lib/roving";
import { tierOf } from "../lib/search";
import { auditOf } from "../lib/searchimages";
import { PictureCache } from "../lib/sheet";
import {
  type ChannelFacts,
  type ChannelSort,
  type Found,
  findChannels,
  inOrder,
  keepChannels,
  type Measure,
  measured,
  sortChannels,
  whereOf,
} from "../lib/topk";
import { fetchTopK, measuresOf, type Rule, ranksOf, specificityOf, type TopKData } from "../lib/topkdata";
import { explainTopK, foundSentence, nothingText, topkFacts } from "../lib/topkpage";
import type { RecordInfo, Source } from "../source/source";
import { ChannelPanel } from "./panels/channel";
import { type CardStyle, ChannelCards, cardHeight, gapOf, NARROWEST, type Shown } from "./panels/channelcard";
import { Tiles } from "./panels/channeltile";
import { ChannelTools, SORTS } from "./panels/channeltools";
import type { Mount, ViewState } from "./view";

const TABLE_ROWS = 400;
const CARD = "a.channel-card";

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
  readonly #tools: ChannelTools;
  readonly #table = h("div");
  readonly #scroller: HTMLElement;
  readonly #gone = new AbortController();
  /** How the cards are drawn now. */
  #style: CardStyle | undefined;
  #drawn = "";
  #scroll = 0;
  #opened = -1;
  /** The layer whose page gets the focus, which was on the page of another one. */
  #moved = "";

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#tools = new ChannelTools((change) => this.set(change));
    this.#scroller = scrollerOf(el);
    this.#grid = new VirtualGrid(this.#scroller, {
      label: "Channels",
      minimum: NARROWEST.both,
      rowHeight: (width) =>
        this.loaded && this.#style ? cardHeight(width, this.#style, this.loaded.data) : 1,
      gap: gapOf("both"),
      cell: (channel, signal, width) => this.#cell(channel, signal, width),
      unseen: () => this.loaded && this.state.ready(), // on a small screen they are all further down
    });
    oneTabStop(this.#grid.el, CARD, this.#gone.signal);
    const tiles = new Tiles(source, this.#pictures);
    this.#cards = new ChannelCards(tiles, () => this.state.ready());
    this.#panel = new ChannelPanel(source, tiles, () => this.state.ready());
  }

  override destroy(): void {
    super.destroy();
    this.#gone.abort();
    this.#grid.destroy();
    this.#panel.hide();
    this.#pictures.clear();
  }

  protected override async fetch(
    run: string,
    id: string,
    signal: AbortSignal,
    replaces: boolean,
  ): Promise<TopKData> {
    const data = await super.fetch(run, id, signal, replaces);
    const rule = this.#proofRule(data);
    if (rule) await data.proof?.want(rule.at).catch(() => undefined); // a page without its figures is of use too
    // While the search fills a layer, what is on screen stays until its successor can be drawn.
    if (replaces) await this.#cards.preload(data, this.#grid.visible, this.#styleOf(data));
    return data;
  }

  protected override present({ data, run }: Loaded<TopKData>, fresh: boolean, replaced: boolean): void {
    if (fresh && !replaced) this.#scroller.scrollTo(0, 0);
    this.paint(data, run);
  }

  protected paint(data: TopKData, run: string): void {
    const { at: channel, note } = this.#channel(data);
    this.#style = this.#styleOf(data);
    this.#wantProof(data);
    this.note(note, channel < 0 ? "" : this.#hit(data).note);
    this.#head(data, run, channel);
    this.state.crumb(channel < 0 ? "" : String(channel));
    const moved = this.#moved === data.record.tag;
    if (moved) this.#moved = "";
    if (channel >= 0) this.#paintChannel(data, run, channel, moved);
    else this.#paintGrid(data, run, moved);
  }

  /** The proof figures of a rule that was just chosen; the page is painted again when they are here. */
  #wantProof(data: TopKData): void {
    const rule = this.#proofRule(data);
    if (!rule || !data.proof || data.proof.have(rule.at)) return;
    data.proof.want(rule.at, this.#gone.signal).then(
      () => {
        if (this.loaded?.data === data) this.paint(data, this.loaded.run);
      },
      (error: unknown) => {
        if (!isAbort(error)) this.note(messageOf(error));
      },
    );
  }

  #paintChannel(data: TopKData, run: string, channel: number, moved: boolean): void {
    const follow = moved || focusIsIn(this.#grid.el);
    this.#opened = channel;
    if (this.#grid.el.isConnected) this.#scroll = this.#scroller.scrollTop;
    put(this.frame.tools);
    const order = this.#order(data);
    const place = order.indexOf(channel);
    const to = (ch: number | undefined): string | null => (ch === undefined ? null : this.#href(ch));
    const about = { run, tag: data.record.tag, ch: channel };
    const opens = !this.#panel.el.isConnected;
    if (opens) {
      put(this.frame.body, this.#panel.el);
      this.#scroller.scrollTo(0, 0);
    }
    this.#panel.show({
      data,
      channel,
      open: this.#hit(data).at,
      theme: this.state.theme,
      audit: auditOf(this.state.index, run, data.network, data.record.step),
      filters: this.#recordOf(run, "filters", data.record.tag),
      links: {
        previous: place < 0 ? null : to(order[place - 1]),
        next: to(order[place + 1]),
        back: this.#link({ ch: null, hit: null }),
        filter: formatRoute(toView(this.state.route, "filters", about)),
        channel: (ch) => this.#link({ ch, hit: null }),
        open: (rank) => this.#link({ hit: rank < 0 ? null : rank + 1 }),
        audit: (image) => formatRoute(toView(this.state.route, "audit", { run, image })),
      },
    });
    if (opens && follow) this.#panel.focus();
  }

  #paintGrid(data: TopKData, run: string, moved: boolean): void {
    const style = this.#styleOf(data);
    const order = this.#order(data, style.facts);
    this.#paintTools(data, style, order.length);
    const returning = this.#panel.el.isConnected;
    const follow = returning && focusIsIn(this.#panel.el);
    if (returning) this.#panel.hide();
    if (!order.length) return this.#nothing(data);
    const key = JSON.stringify([run, data.record.id, style.shown, style.rule?.name, style.measure, order]);
    if (!this.#grid.el.isConnected) {
      put(this.frame.body, this.#grid.el, this.#table);
      this.#drawn = "";
    }
    const drawn = `${key} ${this.state.theme} ${this.state.route.params.q ?? ""} ${style.facts.specificity !== undefined}`;
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#grid.show(order, { minimum: NARROWEST[style.shown], gap: gapOf(style.shown) });
      this.#describe(data, order, style.facts);
    }
    if (returning) this.#scroller.scrollTo(0, this.#scroll);
    if (follow || moved) this.#grid.focus(follow ? this.#opened : order[0]);
  }

  #paintTools(data: TopKData, style: CardStyle, left: number): void {
    const { route } = this.state;
    this.#tools.update({
      shown: style.shown,
      rules: data.rules,
      rule: style.rule,
      sort: this.#sorted(),
      where: whereOf(route.params),
      unfolded: route.params.filter === "1",
      measures: measuresOf(data),
      most: Array.from(data.max).reduce((most, one) => Math.max(most, one || 0), 0),
      channels: data.channels,
      left,
      found: foundSentence(this.#found(data), this.#classes(data)),
    });
    // Replacing a control while it is dragged would end the drag.
    const elements = this.#tools.elements(this.player.el);
    if (!elements[0].isConnected) put(this.frame.tools, ...elements);
  }

  #nothing(data: TopKData): void {
    put(this.frame.body, empty("No such channel", nothingText(data, this.state.route.params.q ?? "")));
    this.state.ready();
  }

  #describe(data: TopKData, order: readonly number[], facts: ChannelFacts): void {
    const share = (value: number): string => (Number.isNaN(value) ? "" : number(value, 3));
    const rows = order
      .slice(0, TABLE_ROWS)
      .map((c) => [
        c,
        number(data.max[c]),
        percent(data.positive[c]),
        data.classText(c),
        share(measured(facts, "selectivity", c)),
        share(measured(facts, "specificity", c)),
      ]);
    const head = [
      "channel",
      "largest activation",
      "positions above 0",
      "class",
      "selectivity",
      "specificity",
    ];
    put(this.#table, hiddenTable(`Channels of ${data.record.tag}`, head, rows));
  }

  #styleOf(data: TopKData): CardStyle {
    const sort = this.#sorted();
    const measure: Measure = sort === "index" ? "strength" : sort;
    const facts = this.#facts(data);
    const query = (this.state.route.params.q ?? "").trim();
    const labels = data.label && query ? [...new Set(data.label)].filter((label) => label >= 0) : [];
    const wanted = new Set(labels.filter((label) => tierOf(data.className(label), query)));
    return { shown: this.#shown(data), rule: this.#rule(data), measure, facts, wanted };
  }

  #facts = (data: TopKData): ChannelFacts => ({
    ...data,
    specificity: specificityOf(data, this.#rule(data)),
  });

  #shown(data: TopKData): Shown {
    const allowed: Shown[] = data.rules.length
      ? ["both", "best", "patches", "projections"]
      : ["patches", "best"];
    return choiceOf(this.state.route, "show", allowed);
  }

  #rule = (data: TopKData): Rule | undefined =>
    data.rules.find(({ name }) => name === this.state.route.params.rule) ?? data.rules[0];

  /** The rule whose proof figures the page needs for its order or its conditions. */
  #proofRule(data: TopKData): Rule | undefined {
    const asked = this.#sorted() === "specificity" || "specificity" in whereOf(this.state.route.params).least;
    return asked ? this.#rule(data) : undefined;
  }

  #sorted = (): ChannelSort => choiceOf(this.state.route, "sort", SORTS);

  #classes = (data: TopKData): string[] =>
    data.label
      ? [...new Set(data.label)].filter((label) => label >= 0).map((label) => data.className(label))
      : [];

  #found = (data: TopKData): Found =>
    findChannels(data.channels, this.state.route.params.q ?? "", (channel) => data.classNames(channel));

  #order(data: TopKData, facts = this.#facts(data)): number[] {
    const where = whereOf(this.state.route.params);
    const here = isExported(data.record);
    return inOrder(this.#found(data), (tier) =>
      sortChannels(keepChannels(tier.filter(here), where, facts), this.#sorted(), facts),
    );
  }

  #channel = (data: TopKData): Place =>
    exportedPlace(data.record, placeOf(this.state.route, "ch", data.channels, "channel"));

  /** The picture that is open: they are numbered from 1, as they are ranked. */
  #hit(data: TopKData): Place {
    const text = this.state.route.params.hit;
    const at = text !== undefined && /^\d+$/.test(text) ? Number(text) - 1 : -1;
    if (text === undefined || (at >= 0 && at < data.k)) return { at, note: "" };
    return { at: -1, note: `No picture “${text}” here; there are ${data.k}, numbered from 1.` };
  }

  #link = (change: Change): string => formatRoute(changed(this.state.route, change));
  #href = (channel: number): string => this.#link({ ch: channel });

  #recordOf(run: string, kind: string, tag: string): RecordInfo | undefined {
    const found = this.state.index.runs.find(({ name }) => name === run);
    return found && recordsOf(found, kind, tag).at(-1);
  }

  #head(data: TopKData, run: string, channel: number): void {
    const { record, dataset, complete, seen, total } = data;
    this.head(run, {
      tag: channel < 0 ? record.tag : `${record.tag} · channel ${channel}`,
      step: record.step ? `step ${count(record.step)}` : dataset,
      explain: explainTopK(data, channel >= 0),
      facts: topkFacts(data, this.#rule(data)),
      ...(complete ? {} : { progress: { label: "Images searched", done: seen, total } }),
    });
  }

  #cell(channel: number, signal: AbortSignal, width: number): HTMLElement {
    const data = this.loaded?.data;
    if (!data || !this.#style) return h("div");
    const look = { width, signal, theme: this.state.theme, href: this.#link({ ch: channel, hit: null }) };
    return this.#cards.card(data, channel, this.#style, look);
  }

  /** Go to another layer; of a channel's page to the channel of the same number, or the last one there. */
  async #toLayer(by: number): Promise<void> {
    const { run, tag } = choose(this.state.index, "topk", this.state.route.params);
    if (!run || !tag) return;
    const tags = tagsOf(run, "topk");
    const next = tags[tags.indexOf(tag) + by];
    if (next === undefined) return;
    if (focusIsIn(this.frame.body)) this.#moved = next;
    const change = { run: run.name, tag: next, step: null, minstrength: null };
    const channel = this.state.route.params.ch;
    if (channel === undefined) return this.state.navigate(change);
    const before = this.state.route;
    const { arrays } = await this.source.record(run.name, recordsOf(run, "topk", next).at(-1)?.id ?? "");
    const last = (arrays.value?.shape[0] ?? 1) - 1;
    if (this.state.route === before) this.state.navigate({ ...change, ch: Math.min(Number(channel), last) });
  }

  protected key(event: KeyboardEvent): void {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const layer = { "[": -1, "]": 1 }[event.key];
    if (layer) {
      this.#toLayer(layer).catch((error: unknown) => this.note(messageOf(error)));
      return;
    }
    const data = this.loaded?.data;
    if (!data) return;
    const { at: channel } = this.#channel(data);
    if (channel < 0) this.#gridKey(event, data);
    else this.#channelKey(event, data, channel);
  }

  #gridKey(event: KeyboardEvent, data: TopKData): void {
    const card = (event.target as HTMLElement).closest<HTMLElement>(CARD);
    if (!card) return event.target === document.body ? this.stepKey(event) : undefined;
    const { columns } = this.#grid;
    const order = this.#order(data);
    const at = order.indexOf(Number(card.dataset.channel));
    const to: Readonly<Record<string, number>> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at - columns,
      ArrowDown: at + columns,
      Home: 0,
      End: order.length - 1,
    };
    const next = order[to[event.key] ?? -1];
    if (next === undefined) return;
    event.preventDefault();
    this.#grid.focus(next);
  }

  #channelKey(event: KeyboardEvent, data: TopKData, channel: number): void {
    if (event.target instanceof HTMLInputElement) return;
    const { at: open } = this.#hit(data);
    if (event.key === "Escape")
      return this.state.navigate(open >= 0 ? { hit: null } : { ch: null, hit: null });
    if (ranksOf(data, channel).includes(Number.parseInt(event.key, 10) - 1))
      return this.state.navigate({ hit: Number(event.key) }, open >= 0);
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const order = this.#order(data);
    const place = order.indexOf(channel);
    const next = by && place >= 0 ? order[place + by] : undefined;
    if (next !== undefined) this.set({ ch: next });
  }
}

export const mount: Mount = mounting(LayerView);
