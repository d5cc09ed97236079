// What a chart says at the cursor: a card beside the pointer, or a parked one that stands still below the charts.
import type { Cursor, Reading } from "../../lib/curve";
import { h, put } from "../../lib/dom";
import { count, duration, exact, number, plural } from "../../lib/format";
import { swatch } from "../../lib/swatch";
import { Tooltip } from "../../lib/tooltip";
import type { Prepared, Trace } from "../../lib/traces";

export const ORDERS = ["run", "high", "low", "near"] as const;
/** Order of the lines in the tooltip: as the runs are, by value, or by how near they are to the pointer. */
export type TipOrder = (typeof ORDERS)[number];

const MOST_FLOATING = 14;
const MOST_PARKED = 100;

export interface TipOptions {
  readonly order: TipOrder;
  readonly smoothing: number;
}

export class ScalarTip {
  /** The parked one. */
  readonly el = h("aside", { class: "parked-tip", "aria-label": "Values at the cursor", hidden: true });
  readonly #floating = new Tooltip();
  #parked = false;

  park(yes: boolean): void {
    if (yes === this.#parked) return;
    this.#parked = yes;
    this.el.hidden = !yes;
    if (yes) put(this.el, h("p", { class: "muted" }, "Point at a chart: its values stay here."));
    this.#floating.hide();
  }

  /** Tell what is at the cursor of the chart `title`; null hides the floating card, the parked one keeps what it says. */
  show(title: string, cursor: Cursor | null, options: TipOptions): void {
    if (!cursor?.own) return cursor ? undefined : this.#floating.hide();
    const readings = orderedReadings(cursor.readings, options.order);
    const most = this.#parked ? MOST_PARKED : MOST_FLOATING;
    const nearest = readings.length > 1 && !cursor.keyboard ? nearestOf(readings) : undefined;
    const rows = readings
      .slice(0, most)
      .map((reading) => rowOf(reading, reading === nearest, options.smoothing > 0));
    const rest = readings.length - rows.length;
    const content = [
      h("h4", {}, title),
      h("table", { class: "num" }, h("tbody", {}, ...rows)),
      rest > 0 ? h("p", { class: "muted" }, `and ${plural(rest, "more line")}`) : null,
    ];
    if (this.#parked) put(this.el, ...content);
    else this.#floating.show(cursor.x, cursor.y, ...content);
  }

  hide(): void {
    this.#floating.hide();
  }

  destroy(): void {
    this.#floating.destroy();
  }
}

/** Readings of lines that have a point, in the order of the tooltip. */
export function orderedReadings(readings: readonly Reading[], order: TipOrder): Reading[] {
  const there = readings.filter(({ index }) => index >= 0);
  const value = ({ line, index }: Reading): number => line.shown[index];
  if (order === "near") return there.sort((a, b) => rank(a.away, b.away));
  if (order === "high") return there.sort((a, b) => rank(-value(a), -value(b)));
  return order === "low" ? there.sort((a, b) => rank(value(a), value(b))) : there;
}

/** Smallest first; what is no number comes last. */
function rank(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a < b ? -1 : 1;
}

const nearestOf = (readings: readonly Reading[]): Reading | undefined =>
  [...readings].sort((a, b) => rank(a.away, b.away))[0];

function rowOf({ line, index }: Reading, nearest: boolean, smoothing: boolean): HTMLElement {
  const { trace } = line;
  const smoothed = smoothing && trace.kind !== "mean";
  return h(
    "tr",
    { class: nearest ? "nearest" : null },
    h("td", {}, swatch(trace), trace.name),
    h("td", { class: "strong" }, exact(line.y[index])),
    h("td", { class: "muted" }, smoothed ? `≈ ${number(line.shown[index])}` : between(line, index)),
    ...placeOf(line, index).map((text) => h("td", { class: "muted" }, text)),
  );
}

/** What stands beside a value: the deviation of a mean, the margins of a curve. */
function between({ trace, band, behind }: Prepared, index: number): string {
  if (!band || !behind || trace.kind !== "mean") return "";
  const deviation = (band.high.y[index] - band.low.y[index]) / 2;
  return `± ${number(deviation)}, ${behind[index]} of ${plural(trace.sources.length, "run")}`;
}

/** The step and the time of a point; sorted points, and those of a mean, have only their place on the axis. */
function placeOf(line: Prepared, index: number): string[] {
  const { trace } = line;
  if (trace.kind === "mean" || line.sorted) return [`at ${number(line.x[index], 6)}`];
  const { step, wallTime } = trace.sources[0].series;
  return [`step ${count(step[index])}`, duration(wallTime[index] - wallTime[0])];
}

/** The same in one sentence, for those who hear it. */
export function spoken(title: string, readings: readonly Reading[], most = 6): string {
  const there = readings.filter(({ index }) => index >= 0);
  const words = there.slice(0, most).map((reading) => {
    const { line, index } = reading;
    return `${line.trace.name} ${exact(line.y[index])} ${placeOf(line, index)[0]}`;
  });
  const rest = there.length - words.length;
  return `${title}: ${words.join("; ")}${rest > 0 ? `; and ${plural(rest, "more line")}` : ""}`;
}

export const meanSize = (trace: Trace): string => `mean of ${plural(trace.sources.length, "run")}`;
