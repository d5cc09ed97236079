// What the pages of pictures and sounds share: cards a tag and run, or a row a tag; one slider over all their steps.
import { fromSeriesKey, seriesKey } from "../../lib/catalog";
import { h, isTyping, put } from "../../lib/dom";
import { count } from "../../lib/format";
import { empty, Frame, type Heading } from "../../lib/frame";
import { scrollerOf, VirtualGrid } from "../../lib/grid";
import { choiceOf, type Route } from "../../lib/route";
import { shownRuns } from "../../lib/runs";
import type { Growable } from "../../lib/series";
import { StepBar, stepOf } from "../../lib/stepbar";
import type { Index, SeriesInfo } from "../../source/source";
import type { ViewState } from "../view";
import { type TagRow, tagRows } from "./picturemath";
import { SeriesStore } from "./pictureseries";

export const LAYOUTS = ["cards", "runs"] as const;
export type CardLayout = (typeof LAYOUTS)[number];
export const layoutOf = (route: Route): CardLayout => choiceOf(route, "by", LAYOUTS);

const GAP = 16;
const ROW_HEAD = 34;
const MOST_RUNS = 60;
/** Height that a card does not need in a row, whose head names the tag. */
const TAG_LINE = 22;

export interface StepCard {
  readonly el: HTMLElement;
  /** Fetch what is new, and show what is asked for. */
  refresh(): void;
  destroy(): void;
}

export interface StepPageOptions<P, G> {
  readonly kind: SeriesInfo["kind"];
  readonly heading: Pick<Heading, "view" | "explain">;
  readonly make: () => G;
  readonly fetch: (run: string, tag: string, start: number, signal: AbortSignal) => Promise<P>;
  readonly stepsOf: (series: G) => ArrayLike<number>;
  readonly card: (key: string) => StepCard;
  /** Size of a card, in CSS pixels. */
  readonly width: () => number;
  readonly height: () => number;
  /** Title and text of the empty page, and the command that fills it. */
  readonly empty: readonly [string, string, string];
}

export class StepPage<P, G extends Growable<P>> {
  readonly frame: Frame;
  /** Entries that cards show although all others follow the slider of the page. */
  readonly own = new Map<string, number>();
  readonly #bar: StepBar;
  readonly #grid: VirtualGrid;
  readonly #cards = new Set<StepCard>();
  readonly #controller = new AbortController();
  readonly #store: SeriesStore<P, G>;
  #keys: readonly string[] = [];
  #rows: readonly TagRow[] = [];
  #layout = "";
  #known: Index | undefined;
  #working = 0;

  constructor(
    el: HTMLElement,
    public state: ViewState,
    private readonly options: StepPageOptions<P, G>,
  ) {
    this.frame = new Frame(el);
    this.#bar = new StepBar((step) => this.state.navigate({ step }, true));
    this.#bar.el.classList.add("pinned");
    this.frame.tools.after(this.#bar.el);
    this.#store = new SeriesStore(options.make, (key, start) => this.#fetch(key, start), options.stepsOf);
    this.#grid = new VirtualGrid(scrollerOf(el), {
      role: "group",
      label: options.heading.view,
      minimum: 1,
      rowHeight: () => 1,
      gap: GAP,
      cell: (item, signal) => this.#cell(item, signal),
      unseen: () => this.#rest(),
    });
    el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The step of all cards; null: the latest of each. */
  get step(): number | null {
    return stepOf(this.state.route);
  }

  /** The entries of a series, as far as the index knows of them. */
  async series(key: string): Promise<G> {
    const series = await this.#store.reach(key);
    this.#mark();
    return series;
  }

  /** The shown runs that have a tag, whatever the filter of tags is. */
  runsOf(tag: string | undefined): string[] {
    const has = (series: SeriesInfo): boolean => series.kind === this.options.kind && series.tag === tag;
    const { index, route } = this.state;
    return shownRuns(index, route.params)
      .filter((run) => run.series.some(has))
      .map(({ name }) => name);
  }

  /** Work that has to end before the page rests. */
  busy(work: Promise<void>): void {
    this.#working++;
    void work.finally(() => {
      this.#working--;
      this.#rest();
    });
  }

  update(state: ViewState): void {
    this.state = state;
    const { index, route } = state;
    if (index !== this.#known) this.#store.learn(index, this.options.kind);
    this.#known = index;
    const wanted = route.params.q ?? "";
    this.#rows = tagRows(shownRuns(index, route.params), this.options.kind, wanted);
    this.#keys = this.#rows.flatMap(({ tag, runs }) => runs.map((run) => seriesKey(run, tag)));
    this.#head();
    this.#build(wanted);
    for (const card of this.#cards) card.refresh();
    this.#mark();
  }

  destroy(): void {
    this.#controller.abort();
    this.#bar.destroy();
    this.#grid.destroy();
  }

  #fetch(key: string, start: number): Promise<P> {
    const { run, tag } = fromSeriesKey(key);
    return this.options.fetch(run, tag, start, this.#controller.signal);
  }

  #head(): void {
    const cut =
      layoutOf(this.state.route) === "runs" && this.#rows.some(({ runs }) => runs.length > MOST_RUNS);
    this.frame.note(
      cut ? `The first ${MOST_RUNS} runs of a tag are shown; choose runs in the list beside.` : "",
    );
    this.frame.head({
      ...this.options.heading,
      facts: [
        { name: "tags", value: count(this.#rows.length) },
        { name: "series", value: count(this.#keys.length) },
      ],
    });
  }

  #rest(): void {
    if (this.#working === 0) this.state.ready();
  }

  #mark(): void {
    this.#bar.update(this.#store.steps(this.#keys), this.step);
  }

  #build(wanted: string): void {
    const by = layoutOf(this.state.route);
    const [width, height] = [this.options.width(), this.options.height()];
    const layout = [by, width, height, ...this.#keys].join("\t");
    if (layout === this.#layout) return;
    this.#layout = layout;
    if (!this.#keys.length) return this.#showEmpty(wanted);
    if (this.frame.body.firstChild !== this.#grid.el) put(this.frame.body, this.#grid.el);
    const rows = by === "runs";
    this.#grid.show([...(rows ? this.#rows : this.#keys).keys()], {
      minimum: rows ? Number.MAX_SAFE_INTEGER : width,
      rowHeight: () => (rows ? height + ROW_HEAD - TAG_LINE : height),
    });
  }

  #showEmpty(wanted: string): void {
    this.#grid.show([]);
    const [title, text, command] = this.options.empty;
    const there = this.state.index.runs.some((run) =>
      run.series.some(({ kind }) => kind === this.options.kind),
    );
    const why = wanted ? `No tag of a shown run contains “${wanted}”.` : "No run that is shown has any.";
    put(this.frame.body, there ? empty(title, why) : empty(title, text, command));
    this.state.ready();
  }

  #cell(item: number, signal: AbortSignal): HTMLElement {
    if (layoutOf(this.state.route) === "runs") return this.#row(this.#rows[item], signal);
    return this.#card(this.#keys[item], signal).el;
  }

  #card(key: string, signal: AbortSignal): StepCard {
    const card = this.options.card(key);
    this.#cards.add(card);
    signal.addEventListener("abort", () => {
      this.#cards.delete(card);
      card.destroy();
    });
    queueMicrotask(() => card.refresh()); // once it stands on the page and has its width
    return card;
  }

  /** One tag with its runs beside each other; those that are scrolled out of sight wait. */
  #row({ tag, runs }: TagRow, signal: AbortSignal): HTMLElement {
    const places = runs.slice(0, MOST_RUNS).map((run) => {
      const place = h("div", { class: "card-place", "data-key": seriesKey(run, tag) });
      place.style.width = `${this.options.width()}px`;
      return place;
    });
    const label = `Runs of ${tag}`;
    const strip = h(
      "div",
      { class: "card-strip", tabindex: 0, role: "group", "aria-label": label },
      ...places,
    );
    const observer = new IntersectionObserver((seen) => {
      for (const { isIntersecting, target } of seen) {
        const key = (target as HTMLElement).dataset.key;
        if (isIntersecting && key && !target.firstChild) target.append(this.#card(key, signal).el);
      }
    });
    for (const place of places) observer.observe(place);
    signal.addEventListener("abort", () => observer.disconnect());
    const title = h("h2", { class: "card-row-tag", title: tag }, tag);
    return h("section", { class: "card-row", "aria-label": tag }, title, strip);
  }

  #key(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const { target } = event;
    if (!by || event.altKey || event.ctrlKey || event.metaKey || isTyping(event)) return;
    if (target instanceof HTMLInputElement || target instanceof HTMLMediaElement) return;
    if (target instanceof Element && target.closest("dialog, [role=menu], .card-strip:focus")) return;
    event.preventDefault();
    this.#bar.move(by);
  }
}
