// Pruning curves: accuracy or loss over zeroed filters, a line for each order, and the classes that are chosen.
import {
  type AblationCurve,
  type AblationData,
  baselineOf,
  classCurve,
  zeroedAt,
} from "../../lib/ablationdata";
import { chartSvg, svgToPng } from "../../lib/chartsvg";
import { type Cursor, Curve } from "../../lib/curve";
import { h, put } from "../../lib/dom";
import { type CsvCell, csv, download, saveMenu } from "../../lib/download";
import { count, number, percent } from "../../lib/format";
import { categorical, type Theme } from "../../lib/palette";
import type { Range } from "../../lib/scene";
import { GrowingSeries } from "../../lib/series";
import { swatch } from "../../lib/swatch";
import type { Tooltip } from "../../lib/tooltip";
import type { Trace } from "../../lib/traces";

/** Solid, dashed, dotted …: the order in which filters go is told by the stroke, the class by the colour. */
const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const BASELINE = "baseline";
const MOST_NAMED = 12;

export interface CurvesContent {
  readonly data: AblationData;
  /** What is drawn up. */
  readonly what: "accuracy" | "loss";
  /** Whether zeroed filters are told as a share. */
  readonly share: boolean;
  /** The classes with curves of their own. */
  readonly classes: readonly number[];
  /** The order whose classes are drawn. */
  readonly curve: number;
  readonly theme: Theme;
  readonly title: string;
}

interface Line {
  readonly trace: Trace;
  readonly name: string;
  readonly curve: number;
  /** -1: overall. */
  readonly label: number;
  readonly y: ArrayLike<number>;
}

export class AblationCurves {
  readonly #host = h("div", { class: "curve-host ablation-host", role: "group" });
  readonly #legend = h("div", { class: "curve-readings" });
  readonly #title = h("h3");
  readonly #across = h("p", { class: "ablation-axis muted" });
  readonly #said = h("p", { class: "visually-hidden", "aria-live": "polite" });
  readonly #curve: Curve;
  readonly el: HTMLElement;
  #content: CurvesContent | undefined;
  #lines: readonly Line[] = [];
  #zoom: Range | null = null;

  constructor(
    private readonly tooltip: Tooltip,
    private readonly open: (filter: number) => void,
  ) {
    const name = (): string => this.#content?.title ?? "ablation";
    const save = saveMenu(
      [
        { label: "PNG", save: async () => download(`${name()}.png`, await svgToPng(this.#svg())) },
        { label: "SVG", save: () => download(`${name()}.svg`, this.#svg(), "image/svg+xml") },
        { label: "CSV of all points", save: () => this.#saveCsv(name()) },
      ],
      "Save the pruning curves",
    );
    this.el = h(
      "article",
      { class: "card curve-card", "aria-label": "Pruning curves" },
      h("header", { class: "card-head" }, this.#title, h("div", { class: "card-buttons" }, save)),
      this.#host,
      this.#across,
      this.#legend,
      this.#said,
    );
    this.#curve = new Curve(this.#host, {
      zoomed: (range) => {
        this.#zoom = range;
        this.#draw();
      },
      cursor: (cursor) => this.#read(cursor),
    });
    this.#host.addEventListener("click", () => this.#openLast());
  }

  show(content: CurvesContent): void {
    const before = this.#content;
    if (before?.share !== content.share || before.data.record.tag !== content.data.record.tag)
      this.#zoom = null;
    this.#content = content;
    this.#lines = linesOf(content);
    put(this.#title, content.title);
    put(
      this.#across,
      `${content.what} over ${content.share ? "the share" : "the number"} of zeroed filters of ${count(content.data.filters)}`,
    );
    put(
      this.#legend,
      ...this.#lines.map(({ trace }) =>
        h(
          "span",
          { class: "reading" },
          swatch(trace),
          h("span", { class: "reading-name", title: trace.name }, trace.name),
        ),
      ),
    );
    this.#draw();
  }

  destroy(): void {
    this.#curve.destroy();
  }

  #options() {
    return { smoothing: 0, axis: "step", logX: false, logY: false, clip: false, zoom: this.#zoom } as const;
  }

  #draw(): void {
    this.#curve.draw(
      this.#lines.map(({ trace }) => trace),
      this.#options(),
    );
    this.#host.setAttribute(
      "aria-label",
      `${this.#content?.title}: arrow keys read its points, + and − zoom`,
    );
    this.#curve.canvas?.setAttribute("role", "img");
    this.#curve.canvas?.setAttribute("aria-label", this.#summary());
  }

  #summary(): string {
    const ends = this.#lines.slice(0, MOST_NAMED).map(({ name, y }) => {
      const known = Array.from(y).filter((value) => !Number.isNaN(value));
      return known.length
        ? `${name} from ${number(known[0])} to ${number(known[known.length - 1])}`
        : `${name} not measured yet`;
    });
    return `${this.#content?.title}: ${ends.join(", ")}`;
  }

  /** The place that the cursor is at, in the curve that is read. */
  #pointed: { readonly curve: AblationCurve; readonly place: number } | undefined;

  #read(cursor: Cursor | null): void {
    const content = this.#content;
    this.#pointed = undefined;
    if (!cursor?.own || !content) return this.tooltip.hide();
    const at = cursor.readings.find(({ index, line }) => index >= 0 && line.trace.name !== BASELINE);
    if (!at) return this.tooltip.hide();
    const { data, share } = content;
    const x = at.line.x[at.index];
    const place = data.removed.findIndex((n: number) => Math.abs((share ? n / data.filters : n) - x) < 1e-9);
    if (place < 0) return this.tooltip.hide();
    const rows = this.#lines
      .filter(({ curve }) => curve >= 0)
      .map(({ name, y }) => ({ name, value: y[place] }));
    const heading = `${count(data.removed[place])} of ${count(data.filters)} zeroed (${percent(data.removed[place] / data.filters)})`;
    const gone = data.curves.map((curve) => `${curve.name}: ${goneText(zeroedAt(data, curve, place))}`);
    const nearest = [...cursor.readings].sort((a, b) => a.away - b.away)[0];
    const line = this.#lines.find(({ trace }) => trace === nearest?.line.trace);
    if (line && line.curve >= 0) this.#pointed = { curve: data.curves[line.curve], place };
    this.tooltip.show(
      cursor.x,
      cursor.y,
      h("h4", {}, heading),
      h(
        "table",
        { class: "num" },
        h(
          "tbody",
          {},
          ...rows
            .slice(0, MOST_NAMED)
            .map(({ name, value }) =>
              h("tr", {}, h("td", {}, name), h("td", {}, shareText(value, content.what))),
            ),
        ),
      ),
      ...gone.map((text) => h("p", { class: "num muted" }, text)),
    );
    if (cursor.keyboard)
      put(
        this.#said,
        [
          heading,
          ...rows.map(({ name, value }) => `${name} ${shareText(value, content.what)}`),
          ...gone,
        ].join(", "),
      );
  }

  /** A click on a point chooses the filter that went last there. */
  #openLast(): void {
    const { data } = this.#content ?? {};
    if (!data || !this.#pointed) return;
    const last = zeroedAt(data, this.#pointed.curve, this.#pointed.place).at(-1);
    if (last !== undefined) this.open(last);
  }

  #svg(): string {
    const { scene } = this.#curve;
    if (!scene || !this.#content) throw new Error("The chart is not drawn yet; scroll to it first.");
    const style = getComputedStyle(document.documentElement);
    const token = (name: string): string => style.getPropertyValue(name).trim();
    return chartSvg({
      title: this.#content.title,
      note: this.#across.textContent ?? "",
      scene,
      ticks: this.#curve.ticks(),
      legend: this.#lines.map(({ trace }) => trace),
      colours: { page: token("--card"), text: token("--text"), muted: token("--muted") },
    });
  }

  #saveCsv(name: string): void {
    if (this.#content) download(`${name}.csv`, pointsCsv(this.#content.data), "text/csv;charset=utf-8");
  }
}

/** Every place of every order: how many filters are zeroed, which went last, and what that does to all classes. */
export function pointsCsv(data: AblationData): string {
  const rows: CsvCell[][] = data.curves.flatMap((curve, q) =>
    Array.from(data.removed, (n, p) => [
      curve.name,
      n,
      n / data.filters,
      zeroedAt(data, curve, p).join(" "),
      blank(curve.accuracy[p]),
      blank(curve.loss[p]),
      ...data.classes.map((_, k) =>
        blank(data.ofClasses.have(q)?.[p * data.classes.length + k] ?? Number.NaN),
      ),
    ]),
  );
  const head = [
    "order",
    "zeroed",
    "share",
    "filters",
    "accuracy",
    "loss",
    ...data.classes.map(({ name }) => name),
  ];
  return csv(head, rows);
}

const blank = (value: number): number | null => (Number.isNaN(value) ? null : value);

export const shareText = (value: number, what: "accuracy" | "loss"): string =>
  Number.isNaN(value)
    ? "not measured"
    : what === "loss"
      ? number(value)
      : `${(100 * value).toFixed(1)} %`.replace("-", "−");

function goneText(filters: readonly number[]): string {
  if (!filters.length) return "nothing zeroed";
  const named = filters.slice(-MOST_NAMED).join(", ");
  const more = filters.length > MOST_NAMED ? `… ${named}` : named;
  return `${filters.length === 1 ? "filter" : "filters"} ${more}`;
}

function linesOf({ data, what, share, classes, curve, theme }: CurvesContent): Line[] {
  const x = Float64Array.from(data.removed, (n) => (share ? n / Math.max(1, data.filters) : n));
  const own = data.curves.map((one, q): Line => {
    const y = what === "loss" ? one.loss : one.accuracy;
    const label = `${one.name}, overall`;
    return line(
      classes.length && what === "accuracy" ? label : one.name,
      categorical(q, theme),
      DASHES[q % DASHES.length],
      x,
      y,
      q,
      -1,
    );
  });
  const chosen = what === "loss" ? [] : classes;
  const theirs = chosen.flatMap((k, i) => {
    const y = classCurve(data, curve, k);
    const colour = categorical(data.curves.length + i, theme);
    const name = `${data.classes[k].name}, ${data.curves[curve].name}`;
    return y ? [line(name, colour, DASHES[curve % DASHES.length], x, y, curve, k)] : [];
  });
  const base = what === "loss" ? Number.NaN : baselineOf(data);
  const flat = Number.isNaN(base) || x.length < 2 ? [] : [baseline(x, base)];
  return [...own, ...theirs, ...flat];
}

function line(
  name: string,
  colour: string,
  dash: readonly number[],
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  curve: number,
  label: number,
): Line {
  const series = new GrowingSeries();
  // What is not measured yet is no broken value: it has no point.
  const known = Array.from({ length: x.length }, (_, i) => i).filter((i) => !Number.isNaN(y[i]));
  series.append({
    step: Float64Array.from(known, (i) => x[i]),
    wallTime: new Float64Array(known.length),
    value: Float64Array.from(known, (i) => y[i]),
  });
  return {
    trace: { kind: "run", name, colour, dash, sources: [{ run: name, tag: name, series }] },
    name,
    curve,
    label,
    y,
  };
}

/** The accuracy with nothing zeroed, all along. */
function baseline(x: Float64Array, value: number): Line {
  const ends = Float64Array.of(x[0], x[x.length - 1]);
  return line(BASELINE, "#8b867e", [2, 5], ends, Float64Array.of(value, value), -1, -1);
}
