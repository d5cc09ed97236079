// Distributions over time: ridges, heat maps, quantile bands, runs beside each other, and gradients over depth.

import { LazyCards } from "../lib/cards";
import { allTags, groupTags, seriesKey, seriesOf } from "../lib/catalog";
import { h, put } from "../lib/dom";
import { count, plural } from "../lib/format";
import { empty, Frame } from "../lib/frame";
import { isGradient, type Mark } from "../lib/gradients";
import { GradientStore, gradientsOf, MOST_LAYERS } from "../lib/gradientstore";
import { shownRuns } from "../lib/runs";
import { StepBar, unionOfSteps } from "../lib/stepbar";
import { Tooltip } from "../lib/tooltip";
import type { Histograms, RunInfo, Source } from "../source/source";
import { type CardHost, type CardOptions, HistogramCard } from "./panels/histogramcard";
import { DepthStrip } from "./panels/histogramdepth";
import { HistogramStore } from "./panels/histogramstore";
import { HistogramTools, optionsOf, thresholdsOf } from "./panels/histogramtools";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "How the values of a tensor are distributed. Every logged step is here; quantiles are exact to the bucket, and within it values count as spread evenly. Click a figure, or press Enter, to choose its step on all cards.";
/** Cards made at once; a button makes more. */
const CARDS = 120;
/** Runs drawn into one figure, and runs whose gradients are compared over depth. */
const OVERLAID = 24;
const DEPTH_RUNS = 8;
/** Between two drawings of the gradients over depth while they come in. */
const DEPTH_MS = 400;

class HistogramsView implements View, CardHost {
  readonly tooltip = new Tooltip();
  readonly #frame: Frame;
  readonly #cards = new LazyCards<HistogramCard>(() => this.state.ready());
  readonly #controller = new AbortController();
  readonly #store: HistogramStore;
  readonly #gradients: GradientStore;
  readonly #tools = new HistogramTools((change) => this.state.navigate(change, true));
  readonly #bar = new StepBar((step) => this.chooseStep(step));
  readonly #depth = new DepthStrip(this.tooltip, {
    thresholds: (change) => this.state.navigate(change, true),
    chosen: (tag) => this.state.navigate({ q: tag }),
  });
  readonly #groups = h("div", { class: "histogram-groups" });
  #layout = "";
  #most = CARDS;
  #later = 0;

  constructor(
    el: HTMLElement,
    readonly source: Source,
    public state: ViewState,
  ) {
    const { signal } = this.#controller;
    this.#store = new HistogramStore(source, signal);
    this.#gradients = new GradientStore(source, signal, (run, tag) => this.load(run, tag));
    this.#frame = new Frame(el);
    put(this.#frame.tools, this.#tools.el, this.#bar.el);
    put(this.#frame.body, this.#depth.el, this.#groups);
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const wanted = (state.route.params.q ?? "").toLocaleLowerCase();
    const tags = allTags(state.index, "histogram").filter((tag) => tag.toLocaleLowerCase().includes(wanted));
    const runs = shownRuns(state.index, state.route.params);
    const keys = this.#keysOf(tags, runs);
    this.#tools.set(this.options());
    this.#head(tags, runs, keys);
    this.#build(keys);
    if (!keys.length) this.#showEmpty(wanted);
    this.#followGradients(tags, runs);
    this.#cards.refresh();
  }

  destroy(): void {
    this.#controller.abort();
    clearTimeout(this.#later);
    this.#cards.destroy();
    this.#bar.destroy();
    this.#depth.destroy();
    this.tooltip.destroy();
  }

  options(): CardOptions {
    return optionsOf(this.state.route, this.state.theme === "dark");
  }

  colourOf(run: string): string {
    return this.state.colours.get(run) ?? "#888888";
  }

  dashOf(run: string): readonly number[] {
    return this.state.dashes.get(run) ?? [];
  }

  load(run: string, tag: string): Promise<Histograms> {
    return this.#store.load(this.state.index, run, tag);
  }

  use(runs: readonly string[], tag: string, by: 1 | -1): void {
    this.#store.use(runs, tag, by);
  }

  marks(run: string, tag: string): readonly Mark[] {
    if (!isGradient(tag)) return [];
    const info = this.state.index.runs.find(({ name }) => name === run);
    return (info && this.#gradients.marks(info, thresholdsOf(this.state.route)).get(tag)) ?? [];
  }

  chooseStep(step: number | null): void {
    this.state.navigate({ step }, true);
  }

  loaded(): void {
    const steps = unionOfSteps(this.#cards.visible.flatMap((card) => card.steps));
    this.#bar.update(steps, this.options().step);
  }

  /** A card a tag and run, or a card a tag for several runs; as lines of the runs' names and the tag. */
  #keysOf(tags: readonly string[], runs: readonly RunInfo[]): string[] {
    const compare = this.options().mode === "compare";
    return tags.flatMap((tag) => {
      const having = runs.filter((run) => seriesOf(run, "histogram", tag)).map(({ name }) => name);
      if (!compare) return having.map((run) => seriesKey(run, tag));
      return having.length ? [[...having.slice(0, OVERLAID), tag].join("\n")] : [];
    });
  }

  #head(tags: readonly string[], runs: readonly RunInfo[], keys: readonly string[]): void {
    const having = runs.filter((run) => tags.some((tag) => seriesOf(run, "histogram", tag)));
    this.#frame.head({
      view: "Histograms",
      explain: EXPLAIN,
      facts: [
        { name: "figures", value: count(keys.length) },
        { name: "tags", value: count(tags.length) },
        { name: "runs shown", value: count(having.length) },
      ],
    });
    const many = this.options().mode === "compare" && having.length > OVERLAID;
    const deep = runs.some((run) => gradientsOf(run).length === MOST_LAYERS);
    this.#frame.note(
      many
        ? `The first ${OVERLAID} of ${plural(having.length, "run")} are drawn; hide or pin runs to choose others.`
        : "",
      deep ? `Of each run the first ${count(MOST_LAYERS)} gradients are compared.` : "",
    );
  }

  #showEmpty(wanted: string): void {
    const text = wanted
      ? `No tag of a shown run contains “${wanted}”.`
      : "Log tensors with SummaryWriter.add_histogram, or run the demonstration:";
    put(this.#groups, empty("No histograms", text, ...(wanted ? [] : ["convscope demo"])));
    this.#bar.update([], this.options().step);
    this.state.ready();
  }

  #build(keys: readonly string[]): void {
    const shown = keys.slice(0, this.#most);
    const layout = `${shown.join("\t")}\t${keys.length}`;
    if (layout === this.#layout) return;
    this.#layout = layout;
    const cards = this.#cards.keep(shown, (key) => {
      const names = key.split("\n");
      return new HistogramCard(names.slice(0, -1), names[names.length - 1], this);
    });
    const byTag = new Map<string, HistogramCard[]>();
    for (const card of cards) byTag.set(card.tag, [...(byTag.get(card.tag) ?? []), card]);
    const sections = [...groupTags([...byTag.keys()])].map(([group, tags]) =>
      section(
        group || "General",
        tags.flatMap((tag) => byTag.get(tag) ?? []),
      ),
    );
    put(this.#groups, ...sections, this.#moreButton(keys.length));
  }

  #moreButton(all: number): HTMLElement | null {
    if (all <= this.#most) return null;
    const next = Math.min(CARDS, all - this.#most);
    const more = (): void => {
      this.#most += CARDS;
      this.update(this.state);
    };
    const text = `Show ${count(next)} more of ${plural(all, "figure")}`;
    return h("button", { type: "button", class: "button more-figures", onclick: more }, text);
  }

  #followGradients(tags: readonly string[], runs: readonly RunInfo[]): void {
    const with_ = tags.some(isGradient)
      ? runs.filter((run) => gradientsOf(run).length).slice(0, DEPTH_RUNS)
      : [];
    this.#depth.el.hidden = !with_.length;
    if (!with_.length) return;
    this.#showDepth(with_);
    this.#gradients.follow(
      with_,
      () => {
        this.#later ||= window.setTimeout(() => this.#showDepth(with_), DEPTH_MS);
      },
      () => {
        this.#showDepth(with_);
        for (const card of this.#cards.visible) card.draw();
        // On a small screen the gradients may be all there is to see.
        if (!this.#cards.visible.length) this.state.ready();
      },
    );
  }

  #showDepth(runs: readonly RunInfo[]): void {
    clearTimeout(this.#later);
    this.#later = 0;
    const thresholds = thresholdsOf(this.state.route);
    const known = runs.map((run) => ({
      run: run.name,
      colour: this.colourOf(run.name),
      layers: this.#gradients.layers(run),
      marks: this.#gradients.marks(run, thresholds),
    }));
    const pending = runs.reduce((sum, run, k) => sum + gradientsOf(run).length - known[k].layers.length, 0);
    this.#depth.show(known, this.options().step, thresholds, pending);
  }
}

function section(name: string, cards: readonly HistogramCard[]): HTMLElement {
  const title = h("h2", { class: "group-title" }, name, h("span", { class: "count num" }, cards.length));
  const grid = h("div", { class: "card-grid" }, ...cards.map((card) => card.el));
  return h("section", { class: "group", "aria-label": name }, title, grid);
}

export const mount: Mount = (el, source, state) => new HistogramsView(el, source, state);
