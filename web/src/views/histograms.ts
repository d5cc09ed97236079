// Distributions over time: one ridge a step, older ones behind and fainter.

import { type LazyCard, LazyCards } from "../lib/cards";
import { fromSeriesKey, seriesOf, shownSeries } from "../lib/catalog";
import { h, put, sizeCanvas } from "../lib/dom";
import { count, number, plural, tick } from "../lib/format";
import { dot, empty, Frame, hiddenTable, messageOf } from "../lib/frame";
import { bucketsOf, resample } from "../lib/histogram";
import { withAlpha } from "../lib/palette";
import { Follower, GrowingHistograms } from "../lib/series";
import { Tooltip } from "../lib/tooltip";
import type { Histograms, Source } from "../source/source";
import type { Mount, View, ViewState } from "./view";

const BINS = 96;
const HEIGHT = 250;
const AXIS = 24;
const RIGHT = 44;
/** Ridges drawn at most; of more steps, evenly spread ones are drawn and the page says so. */
const RIDGES = 60;
const EXPLAIN =
  "How the values of a tensor are distributed, one ridge a logged step: the newest in front. Heights are comparable within a figure.";

interface Ridges {
  readonly low: number;
  readonly high: number;
  readonly top: number;
  /** Index of each drawn histogram, oldest first. */
  readonly index: readonly number[];
  readonly density: readonly Float64Array[];
}

function ridgesOf(data: Histograms): Ridges {
  const n = data.step.length;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < n; i++) {
    low = Math.min(low, data.stats[5 * i]);
    high = Math.max(high, data.stats[5 * i + 1]);
  }
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
  const drawn = Math.min(n, RIDGES);
  const index = Array.from({ length: drawn }, (_, i) =>
    drawn === 1 ? n - 1 : Math.round((i * (n - 1)) / (drawn - 1)),
  );
  const density = index.map((i) => resample(bucketsOf(data, i), low, high, BINS));
  const top = Math.max(...density.map((ridge) => Math.max(...ridge)), 1e-12);
  return { low, high, top, index, density };
}

class Card implements LazyCard {
  readonly el: HTMLElement;
  private readonly tooltip: Tooltip;
  readonly #canvas = h("canvas", { role: "img", tabindex: 0 });
  readonly #note = h("p", { class: "curve-note" });
  readonly #table = h("div");
  readonly #observer: ResizeObserver;
  readonly #series = new GrowingHistograms();
  readonly #follower: Follower<Histograms>;
  #data: Histograms | undefined;
  #ridges: Ridges | undefined;
  #colour = "#888888";
  #hover = -1;

  constructor(
    readonly run: string,
    readonly tag: string,
    private readonly view: HistogramsView,
  ) {
    this.tooltip = view.tooltip;
    this.#follower = new Follower(this.#series, (start) =>
      view.source.histograms(run, tag, start, view.signal),
    );
    this.el = h(
      "article",
      { class: "card ridge-card", "aria-label": `Histograms of ${tag}, ${run}` },
      h("header", { class: "card-head" }, h("h3", { title: tag }, tag), this.#note),
      h("div", { class: "ridge-host" }, this.#canvas),
      this.#table,
    );
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.#canvas.addEventListener("pointerleave", () => this.#leave());
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#observer = new ResizeObserver(() => this.draw());
    this.#observer.observe(this.el);
  }

  async refresh(): Promise<void> {
    const { state } = this.view;
    const run = state.index.runs.find(({ name }) => name === this.run);
    const available = run ? (seriesOf(run, "histogram", this.tag)?.count ?? 0) : 0;
    this.#colour = state.colours.get(this.run) ?? "#888888";
    await this.#follower.reach(available);
    if (this.#series.length !== (this.#data?.step.length ?? 0)) {
      this.#data = this.#series.all;
      this.#ridges = ridgesOf(this.#data);
      this.#describe(this.#data, this.#ridges);
    }
    this.draw();
  }

  fail(error: unknown): void {
    put(this.#note, messageOf(error));
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  draw(): void {
    const width = this.#canvas.parentElement?.clientWidth ?? 0;
    if (!this.#ridges || !this.#data || width < 60) return;
    const context = sizeCanvas(this.#canvas, width, HEIGHT);
    this.#axis(context, width, this.#ridges);
    this.#ridges.density.forEach((_, place) => {
      this.#ridge(context, width, place);
    });
    if (this.#hover >= 0) this.#ridge(context, width, this.#hover, true);
  }

  #describe(data: Histograms, ridges: Ridges): void {
    const n = data.step.length;
    const note =
      n > ridges.index.length ? `${ridges.index.length} of ${count(n)} steps drawn` : plural(n, "step");
    put(this.#note, dot(this.#colour), `${this.run} · ${note}`);
    const end = 5 * (n - 1);
    this.#canvas.setAttribute(
      "aria-label",
      `${this.tag}, ${plural(n, "histogram")}; at the last step values from ${number(data.stats[end])} to ${number(data.stats[end + 1])}. Arrow keys move between steps.`,
    );
    const rows = ridges.index.map((i) => [
      count(data.step[i]),
      number(data.stats[5 * i]),
      number(data.stats[5 * i + 1]),
      number(data.stats[5 * i + 3] / data.stats[5 * i + 2]),
      count(data.stats[5 * i + 2]),
    ]);
    put(this.#table, hiddenTable(`${this.tag} by step`, ["step", "min", "max", "mean", "values"], rows));
  }

  #baseline(place: number): number {
    const n = this.#ridges?.density.length ?? 1;
    const first = HEIGHT * 0.36;
    const last = HEIGHT - AXIS;
    return n === 1 ? last : first + ((last - first) * place) / (n - 1);
  }

  #axis(context: CanvasRenderingContext2D, width: number, { low, high }: Ridges): void {
    const style = getComputedStyle(this.el);
    context.font = `11px ${style.getPropertyValue("--font-sans")}`;
    context.fillStyle = style.getPropertyValue("--muted");
    context.strokeStyle = style.getPropertyValue("--grid");
    const span = width - RIGHT;
    for (let i = 0; i <= 4; i++) {
      const x = (span * i) / 4;
      context.textAlign = i === 0 ? "left" : i === 4 ? "right" : "center";
      context.fillText(tick(low + ((high - low) * i) / 4), x, HEIGHT - 6);
      context.beginPath();
      context.moveTo(Math.round(x) + 0.5, HEIGHT * 0.2);
      context.lineTo(Math.round(x) + 0.5, HEIGHT - AXIS);
      context.stroke();
    }
    context.textAlign = "left";
    const places = [
      ...new Set([
        0,
        Math.floor((this.#ridges?.density.length ?? 1) / 2),
        (this.#ridges?.density.length ?? 1) - 1,
      ]),
    ];
    for (const place of places) {
      const step = this.#data?.step[this.#ridges?.index[place] ?? 0] ?? 0;
      context.fillText(tick(step), span + 8, this.#baseline(place) + 3);
    }
  }

  #ridge(context: CanvasRenderingContext2D, width: number, place: number, strong = false): void {
    if (!this.#ridges) return;
    const { density, top } = this.#ridges;
    const base = this.#baseline(place);
    const scale = (HEIGHT * 0.34) / top;
    const step = (width - RIGHT) / BINS;
    const age = density.length > 1 ? place / (density.length - 1) : 1;
    const surface = getComputedStyle(this.el).getPropertyValue("--card");
    const path = new Path2D();
    path.moveTo(0, base);
    density[place].forEach((value, bin) => {
      path.lineTo((bin + 0.5) * step, base - value * scale);
    });
    path.lineTo(width - RIGHT, base);
    context.fillStyle = surface;
    context.fill(path);
    context.fillStyle = withAlpha(this.#colour, strong ? 0.55 : 0.06 + 0.22 * age);
    context.fill(path);
    context.strokeStyle = withAlpha(this.#colour, strong ? 1 : 0.25 + 0.75 * age);
    context.lineWidth = strong ? 2 : 1;
    context.stroke(path);
  }

  #move(event: PointerEvent): void {
    if (!this.#ridges) return;
    const box = this.#canvas.getBoundingClientRect();
    const y = event.clientY - box.top;
    let nearest = 0;
    for (let place = 1; place < this.#ridges.density.length; place++) {
      if (Math.abs(this.#baseline(place) - 6 - y) < Math.abs(this.#baseline(nearest) - 6 - y))
        nearest = place;
    }
    const bin = Math.floor((BINS * (event.clientX - box.left)) / (box.width - RIGHT));
    this.#point(nearest, Math.max(0, Math.min(BINS - 1, bin)), event.clientX, event.clientY);
  }

  #point(place: number, bin: number, x: number, y: number): void {
    if (!this.#ridges || !this.#data) return;
    if (this.#hover !== place) {
      this.#hover = place;
      this.draw();
    }
    const { low, high, index, density } = this.#ridges;
    const width = (high - low) / BINS;
    const i = index[place];
    const [min, max, n, sum] = [0, 1, 2, 3].map((k) => this.#data?.stats[5 * i + k] ?? 0);
    this.tooltip.show(
      x,
      y,
      h("h4", {}, `step ${count(this.#data.step[i])}`),
      h(
        "p",
        { class: "num" },
        `about ${count(Math.round(density[place][bin]))} of ${count(n)} values in ${number(low + bin * width)} … ${number(low + (bin + 1) * width)}`,
      ),
      h("p", { class: "num muted" }, `min ${number(min)} · mean ${number(sum / n)} · max ${number(max)}`),
    );
  }

  #leave(): void {
    this.#hover = -1;
    this.tooltip.hide();
    this.draw();
  }

  #key(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !this.#ridges) return;
    event.preventDefault();
    const n = this.#ridges.density.length;
    const place = this.#hover < 0 ? n - 1 : Math.max(0, Math.min(n - 1, this.#hover + by));
    const box = this.#canvas.getBoundingClientRect();
    this.#point(place, BINS >> 1, box.left + box.width / 2, box.top + this.#baseline(place));
  }
}

class HistogramsView implements View {
  readonly tooltip = new Tooltip();
  readonly #frame: Frame;
  readonly #cards = new LazyCards<Card>(() => this.state.ready());
  readonly #controller = new AbortController();
  /** Aborted when the view is left. */
  readonly signal = this.#controller.signal;
  #layout = "";

  constructor(
    el: HTMLElement,
    readonly source: Source,
    public state: ViewState,
  ) {
    this.#frame = new Frame(el);
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const { index, route } = state;
    const wanted = route.params.q ?? "";
    const keys = shownSeries(index, "histogram", route.params.hide, wanted);
    this.#frame.head({
      view: "Histograms",
      explain: EXPLAIN,
      facts: [{ name: "figures", value: count(keys.length) }],
    });
    this.#build(keys);
    if (!keys.length) this.#showEmpty(wanted);
    this.#cards.refresh();
  }

  destroy(): void {
    this.#controller.abort();
    this.#cards.destroy();
    this.tooltip.destroy();
  }

  #showEmpty(wanted: string): void {
    const text = wanted
      ? `No tag of a shown run contains “${wanted}”.`
      : "Log tensors with SummaryWriter.add_histogram, or run the demonstration:";
    put(this.#frame.body, empty("No histograms", text, ...(wanted ? [] : ["convscope demo"])));
    this.state.ready();
  }

  #build(keys: readonly string[]): void {
    const layout = keys.join("\t");
    if (layout === this.#layout) return;
    this.#layout = layout;
    const cards = this.#cards.keep(keys, (key) => {
      const { run, tag } = fromSeriesKey(key);
      return new Card(run, tag, this);
    });
    put(this.#frame.body, h("div", { class: "card-grid" }, ...cards.map((card) => card.el)));
  }
}

export const mount: Mount = (el, source, state) => new HistogramsView(el, source, state);
