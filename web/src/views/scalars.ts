// Curves: one card a tag, one line a run, in groups by what stands before the slash.

import { type LazyCard, LazyCards } from "../lib/cards";
import { allTags, groupTags, runsWith, seriesKey, seriesOf, shownRuns } from "../lib/catalog";
import { type Option, segmented, slider, toggle } from "../lib/controls";
import { Curve, type CurveOptions, type Line, type Reading } from "../lib/curve";
import { h, put } from "../lib/dom";
import { count, duration, exact, number, plural } from "../lib/format";
import { dot, empty, Frame, hiddenTable, messageOf } from "../lib/frame";
import { boundedOf, choiceOf } from "../lib/route";
import { Follower, GrowingSeries, type XAxis } from "../lib/series";
import { Tooltip } from "../lib/tooltip";
import type { Scalars, Source } from "../source/source";
import type { Mount, View, ViewState } from "./view";

const AXES: readonly XAxis[] = ["step", "relative", "wall"];
const AXIS_OPTIONS: readonly Option<XAxis>[] = [
  { value: "step", text: "Step" },
  { value: "relative", text: "Relative", title: "Time since the first point" },
  { value: "wall", text: "Wall", title: "Time of day" },
];
const SMOOTHING = 0.6;
const STRONGEST = 0.999;
const EXPLAIN =
  "Numbers logged during training, one colour a run. Every logged point is here; the faint line is the raw curve, the strong one its smoothed course.";

/** All series that were ever asked for, shared by the cards. */
class SeriesStore {
  readonly #series = new Map<string, GrowingSeries>();
  readonly #followers = new Map<string, Follower<Scalars>>();
  readonly #controller = new AbortController();

  constructor(private readonly source: Source) {}

  get(run: string, tag: string): GrowingSeries {
    const key = seriesKey(run, tag);
    let series = this.#series.get(key);
    if (!series) {
      series = new GrowingSeries();
      this.#series.set(key, series);
    }
    return series;
  }

  /** Fetch what was added since the last time; `count` points are known to be there. */
  reach(run: string, tag: string, count: number): Promise<void> {
    const key = seriesKey(run, tag);
    let follower = this.#followers.get(key);
    if (!follower) {
      const { signal } = this.#controller;
      follower = new Follower(this.get(run, tag), (start) => this.source.scalars(run, tag, start, signal));
      this.#followers.set(key, follower);
    }
    return follower.reach(count);
  }

  destroy(): void {
    this.#controller.abort();
  }
}

class Card implements LazyCard {
  readonly el: HTMLElement;
  readonly #host = h("div", { class: "curve-host" });
  readonly #foot = h("div", { class: "curve-readings" });
  readonly #note = h("p", { class: "curve-note" });
  readonly #table = h("div");
  readonly #curve: Curve;
  #lines: Line[] = [];

  constructor(
    readonly tag: string,
    private readonly view: ScalarsView,
  ) {
    const name = tag.slice(tag.lastIndexOf("/") + 1);
    this.el = h(
      "article",
      { class: "card curve-card", "aria-label": `Curve ${tag}` },
      h("header", { class: "card-head" }, h("h3", { title: tag }, name), this.#note),
      this.#host,
      this.#foot,
      this.#table,
    );
    this.#curve = new Curve(this.#host, {
      zoomed: (range) => view.zoom(range),
      cursor: (readings, hovered, at) => this.#read(readings, hovered, at),
    });
  }

  async refresh(): Promise<void> {
    const { state, store } = this.view;
    const runs = shownRuns(state.index, state.route.params.hide).filter((run) =>
      seriesOf(run, "scalar", this.tag),
    );
    const fetched = runs.map((run) =>
      store.reach(run.name, this.tag, seriesOf(run, "scalar", this.tag)?.count ?? 0),
    );
    await Promise.all(fetched);
    this.#lines = runs.map((run) => ({
      name: run.name,
      colour: state.colours.get(run.name) ?? "#888888",
      series: store.get(run.name, this.tag),
    }));
    this.draw();
  }

  draw(): void {
    this.#curve.draw(this.#lines, this.view.options());
    this.#host.querySelector("canvas")?.setAttribute("aria-label", this.#summary());
    this.#host.querySelector("canvas")?.setAttribute("role", "img");
    const total = this.#lines.reduce((sum, line) => sum + line.series.length, 0);
    const notes = [
      this.#curve.binned && `${count(total)} points, min–max binned`,
      this.#curve.notFinite > 0 && `${count(this.#curve.notFinite)} not finite ×`,
    ];
    put(this.#note, notes.filter(Boolean).join(" · "));
    this.#showReadings(null);
    put(this.#table, this.#hidden());
  }

  fail(error: unknown): void {
    put(this.#note, messageOf(error));
    this.#note.classList.add("failed");
  }

  destroy(): void {
    this.#curve.destroy();
  }

  #summary(): string {
    const ends = this.#lines.map((line) => `${line.name} ends at ${number(last(line))}`);
    return `${this.tag}: ${ends.join(", ") || "no run shown"}`;
  }

  #hidden(): HTMLElement {
    const rows = this.#lines.map((line) => [line.name, count(line.series.length), exact(last(line))]);
    return hiddenTable(`Last values of ${this.tag}`, ["run", "points", "last value"], rows);
  }

  #read(readings: Reading[] | null, hovered: boolean, at: { x: number; y: number }): void {
    this.#showReadings(readings);
    const { tooltip } = this.view;
    if (!readings || !hovered) {
      if (hovered || !readings) tooltip.hide();
      return;
    }
    const rows = readings.filter(({ index }) => index >= 0).map((reading) => this.#tooltipRow(reading));
    tooltip.show(at.x, at.y, h("h4", {}, this.tag), h("table", { class: "num" }, h("tbody", {}, ...rows)));
  }

  #tooltipRow({ line, index, smoothed }: Reading): HTMLElement {
    const { series } = line;
    const elapsed = duration(series.wallTime[index] - series.wallTime[0]);
    return h(
      "tr",
      {},
      h("td", {}, dot(line.colour), line.name),
      h("td", { class: "strong" }, exact(series.value[index])),
      this.view.options().smoothing > 0 ? h("td", { class: "muted" }, `≈ ${number(smoothed)}`) : null,
      h("td", { class: "muted" }, `step ${count(series.step[index])}`),
      h("td", { class: "muted" }, elapsed),
    );
  }

  #showReadings(readings: Reading[] | null): void {
    const items = this.#lines.map((line, i) => {
      const index = readings ? readings[i]?.index : line.series.length - 1;
      const value = index === undefined || index < 0 ? "–" : number(line.series.value[index]);
      return h(
        "span",
        { class: "reading", title: line.name },
        dot(line.colour),
        h("span", { class: "reading-name" }, line.name),
        h("b", { class: "num" }, value),
      );
    });
    put(this.#foot, ...items);
  }
}

const last = (line: Line): number =>
  line.series.length ? line.series.value[line.series.length - 1] : Number.NaN;

class ScalarsView implements View {
  readonly store: SeriesStore;
  readonly tooltip = new Tooltip();
  readonly #frame: Frame;
  readonly #cards = new LazyCards<Card>(() => this.state.ready());
  readonly #smoothing;
  readonly #axis;
  readonly #log;
  #zoom: [number, number] | null = null;
  #layout = "";

  constructor(
    el: HTMLElement,
    source: Source,
    public state: ViewState,
  ) {
    this.store = new SeriesStore(source);
    this.#frame = new Frame(el);
    this.#smoothing = slider(
      "Smoothing",
      { min: 0, max: 0.99, step: 0.01 },
      SMOOTHING,
      (value) => this.state.navigate({ smooth: value }, true),
      (value) => value.toFixed(2),
    );
    this.#axis = segmented<XAxis>("Axis", AXIS_OPTIONS, "step", (value) => {
      this.#zoom = null;
      this.state.navigate({ x: value === "step" ? null : value }, true);
    });
    this.#log = toggle("Log y", false, (on) => this.state.navigate({ log: on ? 1 : null }, true));
    put(this.#frame.tools, this.#smoothing.el, this.#axis.el, this.#log.el);
    this.update(state);
  }

  options(): CurveOptions {
    const { route } = this.state;
    return {
      smoothing: boundedOf(route, "smooth", SMOOTHING, 0, STRONGEST),
      axis: choiceOf(route, "x", AXES),
      log: route.params.log === "1",
      zoom: this.#zoom,
    };
  }

  zoom(range: [number, number] | null): void {
    this.#zoom = range;
    for (const card of this.#cards.visible) card.draw();
  }

  update(state: ViewState): void {
    this.state = state;
    const wanted = (state.route.params.q ?? "").toLocaleLowerCase();
    const all = allTags(state.index, "scalar");
    const tags = all.filter((tag) => tag.toLocaleLowerCase().includes(wanted));
    const { smoothing, axis, log } = this.options();
    this.#smoothing.set(smoothing);
    this.#axis.set(axis);
    this.#log.set(log);
    this.#head(all.length, tags.length);
    this.#build(tags);
    if (!tags.length) this.#showEmpty(all.length, wanted);
    this.#cards.refresh();
  }

  destroy(): void {
    this.#cards.destroy();
    this.store.destroy();
    this.tooltip.destroy();
  }

  #head(all: number, shown: number): void {
    const { index, route } = this.state;
    const capable = runsWith(index, "scalar");
    const visible = shownRuns(index, route.params.hide).filter((run) => capable.includes(run));
    const facts = [
      { name: "curves", value: shown < all ? `${shown} of ${all}` : count(all) },
      { name: "runs shown", value: `${visible.length} of ${capable.length}` },
    ];
    this.#frame.head({ view: "Scalars", explain: EXPLAIN, facts });
  }

  #showEmpty(all: number, wanted: string): void {
    const content = all
      ? empty("No such tag", `No tag contains “${wanted}”; ${plural(all, "tag")} in all.`)
      : empty(
          "No curves yet",
          "Log numbers with SummaryWriter.add_scalar, or run the demonstration:",
          "convscope demo",
        );
    put(this.#frame.body, content);
    this.state.ready();
  }

  #build(tags: readonly string[]): void {
    const layout = tags.join("\n");
    if (layout === this.#layout) return;
    this.#layout = layout;
    const cards = this.#cards.keep(tags, (tag) => new Card(tag, this));
    const sections = [...groupTags(tags)].map(([group, members]) => {
      const elements = cards.filter((card) => members.includes(card.tag)).map((card) => card.el);
      const name = group || "General";
      const title = h(
        "h2",
        { class: "group-title" },
        name,
        h("span", { class: "count num" }, elements.length),
      );
      return h(
        "section",
        { class: "group", "aria-label": name },
        title,
        h("div", { class: "card-grid" }, ...elements),
      );
    });
    put(this.#frame.body, ...sections);
  }
}

export const mount: Mount = (el, source, state) => new ScalarsView(el, source, state);
