// One card of the histograms: a figure of a tag, read by pointer and keyboard, with the numbers of the chosen step below.
import type { LazyCard } from "../../lib/cards";
import { gradient } from "../../lib/colour";
import { nearestEntry, neighbour, type Scale, scaleOf, timesOf } from "../../lib/distribution";
import { h, put, sizeCanvas } from "../../lib/dom";
import { download, pngOf, saveMenu } from "../../lib/download";
import { count, number, plural } from "../../lib/format";
import { dot, messageOf } from "../../lib/frame";
import type { Mark } from "../../lib/gradients";
import type { XAxis } from "../../lib/series";
import { entryAt, offStep } from "../../lib/stepbar";
import type { Tooltip } from "../../lib/tooltip";
import type { Histograms } from "../../source/source";
import { type Figure, HEIGHT, type Line, type Look, type Place, styleOf } from "./histogramfigure";
import {
  bucketCsv,
  flagsOf,
  numbersOf,
  quantileCsv,
  quantileTable,
  reading,
  stepTable,
} from "./histogramread";
import { RidgeFigure } from "./histogramridges";
import { BandFigure, HeatFigure } from "./histogramtime";

export type Mode = "ridges" | "heat" | "bands" | "compare";

export interface CardOptions {
  readonly mode: Mode;
  readonly axis: XAxis;
  readonly shares: readonly number[];
  readonly logCounts: boolean;
  readonly logValues: boolean;
  readonly step: number | null;
  readonly dark: boolean;
}

/** What a card asks the page it is on. */
export interface CardHost {
  readonly tooltip: Tooltip;
  options(): CardOptions;
  colourOf(run: string): string;
  dashOf(run: string): readonly number[];
  /** The histograms of a run, all that are known of. */
  load(run: string, tag: string): Promise<Histograms>;
  marks(run: string, tag: string): readonly Mark[];
  chooseStep(step: number): void;
  loaded(): void;
  /** A card has come into view, or (-1) left it. */
  use(runs: readonly string[], tag: string, by: 1 | -1): void;
}

export class HistogramCard implements LazyCard {
  readonly el: HTMLElement;
  readonly #canvas = h("canvas", { role: "img", tabindex: 0, "aria-label": "Not drawn yet" });
  readonly #note = h("p", { class: "curve-note" });
  readonly #flags = h("p", { class: "histogram-flags" });
  readonly #binned = h("p", { class: "histogram-binned" });
  readonly #numbers = h("div", { class: "histogram-numbers" });
  readonly #said = h("p", { class: "visually-hidden", role: "status" });
  readonly #table = h("div");
  readonly #observer = new ResizeObserver(() => this.draw());
  #data: { run: string; data: Histograms }[] = [];
  #lines: Line[] = [];
  readonly #known = new Map<string, { key: string; line: Line }>();
  #figure: Figure | undefined;
  #look: Look | undefined;
  #drawn = "";
  #described = "";
  /** Why some of the runs are not drawn. */
  #refused = "";
  #read: Place | null = null;
  #frame = 0;
  #used = false;

  constructor(
    readonly runs: readonly string[],
    readonly tag: string,
    private readonly host: CardHost,
  ) {
    const name = tag.slice(tag.lastIndexOf("/") + 1);
    const save = saveMenu(
      [
        {
          label: "PNG of the figure",
          save: async () => download(`${this.#file}.png`, await pngOf(this.#canvas)),
        },
        { label: "CSV of quantiles, every step", save: () => this.#saveCsv("quantiles") },
        { label: "CSV of buckets, every step", save: () => this.#saveCsv("buckets") },
      ],
      `Save ${tag}`,
    );
    this.el = h(
      "article",
      { class: "card ridge-card", "aria-label": `Histograms of ${tag}, ${this.#who}` },
      h("header", { class: "card-head" }, h("h3", { title: tag }, name), this.#flags, this.#note, save),
      h("div", { class: "ridge-host" }, this.#canvas),
      this.#binned,
      this.#numbers,
      this.#said,
      this.#table,
    );
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.#canvas.addEventListener("pointerleave", () => this.#leave());
    this.#canvas.addEventListener("blur", () => this.#leave());
    this.#canvas.addEventListener("click", (event) => this.#click(event));
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#observer.observe(this.el);
  }

  /** The steps that are known of. */
  get steps(): readonly ArrayLike<number>[] {
    return this.#data.map(({ data }) => data.step);
  }

  async refresh(): Promise<void> {
    this.#use(true);
    const loaded = await Promise.allSettled(this.runs.map((run) => this.host.load(run, this.tag)));
    const refused = loaded.find((one) => one.status === "rejected");
    this.#data = loaded.flatMap((one, k) =>
      one.status === "fulfilled" ? [{ run: this.runs[k], data: one.value }] : [],
    );
    if (refused && !this.#data.length) throw refused.reason;
    this.#refused = refused
      ? ` · ${loaded.length - this.#data.length} of ${loaded.length} could not be had: ${messageOf(refused.reason)}`
      : "";
    this.draw();
    this.host.loaded();
  }

  /** Let go of the numbers: the picture stays. */
  rest(): void {
    this.#use(false);
    this.#data = [];
    this.#lines = [];
    this.#known.clear();
    this.#figure = undefined;
    this.#drawn = "";
  }

  fail(error: unknown): void {
    put(this.#note, messageOf(error));
    this.#note.classList.add("failed");
  }

  destroy(): void {
    this.#use(false);
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
  }

  #use(yes: boolean): void {
    if (yes !== this.#used) this.host.use(this.runs, this.tag, yes ? 1 : -1);
    this.#used = yes;
  }

  /** Draw what is known, with the options of the page. */
  draw(): void {
    const width = this.#canvas.parentElement?.clientWidth ?? 0;
    if (!this.#data.length || width < 60) return;
    const options = this.host.options();
    this.#lines = this.#data
      .filter(({ data }) => data.step.length)
      .map(({ run, data }) => this.#line(run, data, options));
    this.#build(options, width);
    this.#describe(options);
    this.#paint();
  }

  /** A run's histograms; while they are the same, so is the line, and with it the figure. */
  #line(run: string, data: Histograms, { axis, step }: CardOptions): Line {
    const [colour, n] = [this.host.colourOf(run), data.step.length];
    const key = `${axis} ${colour} ${n} ${data.step[n - 1]} ${data.wallTime[n - 1]}`;
    const marks = this.host.marks(run, this.tag);
    const known = this.#known.get(run);
    if (known?.key === key) {
      known.line.marks = marks;
      known.line.chosen = entryAt(data.step, step);
      return known.line;
    }
    const [dash, times, broken] = [this.host.dashOf(run), timesOf(data, axis), brokenOf(data)];
    const line: Line = { run, colour, dash, data, times, marks, broken, chosen: entryAt(data.step, step) };
    this.#known.set(run, { key, line });
    return line;
  }

  /** Lay the figure out anew if anything it is made of has changed. */
  #build(options: CardOptions, width: number): void {
    const { step: _, ...rest } = options;
    const key = JSON.stringify([rest, width, this.#lines.map(({ run }) => this.#known.get(run)?.key)]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    const scale: Scale = scaleOf(
      this.#lines.map(({ data }) => data),
      options.logValues,
    );
    this.#look = { ...options, width, scale };
    this.#figure = this.#lines.length ? figureOf(options.mode, this.#lines, this.#look) : undefined;
    if (this.#read && this.#read.entry >= (this.#lines[0]?.data.step.length ?? 0)) this.#read = null;
  }

  #describe(options: CardOptions): void {
    const [line] = this.#lines;
    if (!line) return put(this.#note, "nothing logged");
    const one = this.#lines.length === 1;
    put(this.#numbers, ...(one ? this.#chosenNumbers(line, options.step) : [this.#comparison()]));
    const key = `${this.#drawn} ${this.#lines.map(({ marks }) => marks.join("")).join()}${this.#refused}`;
    if (key === this.#described) return;
    this.#described = key;
    put(
      this.#note,
      ...(one
        ? [dot(line.colour), h("span", { title: line.run }, line.run)]
        : [plural(this.#lines.length, "run")]),
      this.#refused,
    );
    put(
      this.#flags,
      ...(one ? flagsOf(line) : []).map(({ text, title, kind }) =>
        h(
          "span",
          { class: `flag ${kind}`, title },
          text,
          h("span", { class: "visually-hidden" }, `: ${title}`),
        ),
      ),
    );
    put(this.#binned, ...this.#legend(options), this.#figure?.note ?? "");
    this.#canvas.setAttribute("aria-label", this.#summary(line));
    put(this.#table, stepTable(this.tag, this.#lines));
  }

  /** What the colours of a heat map mean. */
  #legend({ dark, logCounts }: CardOptions): HTMLElement[] {
    const most = this.#figure?.most;
    if (most === undefined) return [];
    const bar = h("i", {
      class: dark ? "heat-bar" : "heat-bar reversed",
      style: { background: gradient("viridis") },
    });
    const end = `${number(most, 3)} values in a bin${logCounts ? ", logarithmic" : ""}`;
    return [h("span", { class: "heat-legend num" }, "0", bar, end)];
  }

  #summary(line: Line): string {
    const end = line.data.step.length - 1;
    const what = this.#lines.length > 1 ? plural(this.#lines.length, "run") : plural(end + 1, "histogram");
    const said = numbersOf(line, end).map(([name, value]) => `${name} ${value}`);
    return `${this.tag}, ${what}; ${line.run} at step ${line.data.step[end]}: ${said.join(", ")}. Left and right go from step to step, up and down through the values, Enter chooses a step.`;
  }

  #chosenNumbers(line: Line, step: number | null): HTMLElement[] {
    const { chosen: entry, data } = line;
    const off = offStep(data.step[entry], step);
    const head = h(
      "p",
      { class: "num" },
      h("b", {}, `step ${count(data.step[entry])}`),
      h("span", { class: "muted" }, ` · ${plural(data.step.length, "step")} logged`),
      off && h("span", { class: "muted" }, ` · ${off}`),
      line.marks[entry] && h("span", { class: "strong" }, ` · ${line.marks[entry]}`),
    );
    const pairs = numbersOf(line, entry).map(([name, value]) => {
      const bad = (name === "NaN" || name === "infinite") && value !== "0";
      return h(
        "div",
        { class: bad ? "broken" : undefined },
        h("dt", {}, name),
        h("dd", { class: "num" }, value),
      );
    });
    return [head, h("dl", { class: "histogram-figures" }, ...pairs)];
  }

  #comparison(): HTMLElement {
    const entries = this.#lines.map(({ chosen }) => chosen);
    return quantileTable(this.#lines, entries, [0.05, 0.5, 0.95]);
  }

  #paint(): void {
    if (!this.#look) return;
    const context = sizeCanvas(this.#canvas, this.#look.width, HEIGHT);
    const style = styleOf(this.el);
    if (!this.#lines.some((line) => Array.from(line.data.count).some((n) => n > 0))) {
      context.font = style.font;
      context.fillStyle = style.colour("muted");
      context.textAlign = "center";
      context.fillText("no finite values", this.#look.width / 2, HEIGHT / 2);
    } else this.#figure?.paint(context, style, this.#read);
  }

  #move(event: PointerEvent): void {
    const box = this.#canvas.getBoundingClientRect();
    const place = this.#figure?.hit(event.clientX - box.left, event.clientY - box.top);
    if (place && place.entry >= 0) this.#show(place, event.clientX, event.clientY);
  }

  #show(place: Place, x: number, y: number): void {
    const { tooltip } = this.host;
    const [line] = this.#lines;
    if (!this.#figure || !this.#look || !line) return;
    this.#read = place;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#paint());
    if (this.#lines.length === 1)
      return tooltip.show(x, y, ...reading(line, this.#look, place, this.#figure.bins));
    const at = line.times[place.entry];
    const entries = this.#lines.map(({ times }) => nearestEntry(times, at));
    tooltip.show(
      x,
      y,
      h("h4", {}, this.tag),
      quantileTable(this.#lines, entries, [0.05, 0.16, 0.5, 0.84, 0.95]),
    );
  }

  #leave(): void {
    this.host.tooltip.hide();
    if (!this.#read) return;
    this.#read = null;
    this.#paint();
  }

  #click(event: MouseEvent): void {
    const box = this.#canvas.getBoundingClientRect();
    const place = this.#figure?.hit(event.clientX - box.left, event.clientY - box.top);
    if (place && place.entry >= 0) this.host.chooseStep(this.#lines[0].data.step[place.entry]);
  }

  #key(event: KeyboardEvent): void {
    const [line] = this.#lines;
    if (!this.#figure || !line) return;
    const { bins } = this.#figure;
    const last = line.data.step.length;
    const now = this.#read ?? { entry: line.chosen, bin: bins >> 1 };
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -last, End: last }[event.key];
    const up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (event.key === "Escape" && this.#read) this.#leave();
    else if (event.key === "Enter") this.host.chooseStep(line.data.step[now.entry]);
    else if (by !== undefined) {
      const entry = this.#read ? neighbour(line.times, now.entry, by) : now.entry;
      this.#point({ entry, bin: now.bin });
    } else if (up && bins)
      this.#point({ entry: now.entry, bin: Math.max(0, Math.min(bins - 1, now.bin + up)) });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Read a place by keyboard: what the pointer would show is also said. */
  #point(place: Place): void {
    if (!this.#figure) return;
    const box = this.#canvas.getBoundingClientRect();
    const { x, y } = this.#figure.where(place);
    this.#show(place, box.left + x, box.top + y);
    const [line] = this.#lines;
    const said = numbersOf(line, place.entry).map(([name, value]) => `${name} ${value}`);
    put(this.#said, `step ${number(line.data.step[place.entry])}: ${said.join(", ")}`);
  }

  get #who(): string {
    return this.runs.length === 1 ? this.runs[0] : plural(this.runs.length, "run");
  }

  get #file(): string {
    return `${this.tag}-${this.#who}`;
  }

  #saveCsv(what: "quantiles" | "buckets"): void {
    const { shares } = this.host.options();
    const text = what === "buckets" ? bucketCsv(this.#lines) : quantileCsv(this.#lines, shares);
    download(`${this.#file}-${what}.csv`, text, "text/csv;charset=utf-8");
  }
}

function figureOf(mode: Mode, lines: readonly Line[], look: Look): Figure {
  if (mode === "ridges") return new RidgeFigure(lines[0], look);
  return mode === "heat" ? new HeatFigure(lines[0], look) : new BandFigure(lines, look);
}

/** How many values of each histogram are NaN or infinite. */
const brokenOf = ({ special, step }: Histograms): number[] =>
  Array.from(step, (_, i) => special[3 * i] + special[3 * i + 1]);
