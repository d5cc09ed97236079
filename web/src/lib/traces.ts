// What a chart of curves draws: runs, means over runs, curves between margins; prepared once for as long as nothing changes.
import type { NumberArray } from "../source/source";
import { nearest, type Ordered, ordered, type Pass, smooth } from "./binning";
import type { GrowingSeries, XAxis } from "./series";

/** A logged series that stands behind a line. */
export interface TraceSource {
  readonly run: string;
  readonly tag: string;
  readonly series: GrowingSeries;
}

/** A line: of one run, the mean of several with their deviation, or a curve between two others. */
export interface Trace {
  readonly kind: "run" | "mean" | "margin";
  readonly name: string;
  readonly colour: string;
  /** Lengths of strokes and gaps in pixels; none: a solid line. Lines of one colour differ by it. */
  readonly dash: readonly number[];
  /** One, all that are averaged, or the curve, its lower and its upper margin. */
  readonly sources: readonly TraceSource[];
}

/** An area between two lines. */
export interface Band {
  readonly low: Ordered;
  readonly high: Ordered;
}

/** A point that has no place on the y axis. */
export interface OddPoint {
  readonly x: number;
  readonly value: number;
}

export interface Prepared extends Ordered {
  readonly trace: Trace;
  /** What the strong line follows: the smoothed values. */
  readonly shown: NumberArray;
  readonly band: Band | null;
  /** Of a mean: how many runs stand behind each of its points. */
  readonly behind: NumberArray | null;
  /** The points that are NaN or infinite; of a mean those of its runs. */
  readonly notFinite: readonly OddPoint[];
}

/** Places of a mean at most: where its runs were logged at more steps, it is taken at every so manieth of them. */
export const MEAN_POINTS = 5000;

interface Kept {
  readonly made: Prepared;
  readonly series: readonly GrowingSeries[];
}

/** Prepares traces and keeps what it made for as long as the series did not grow. */
export class Preparer {
  #kept = new Map<string, Kept>();

  prepare(traces: readonly Trace[], axis: XAxis, smoothing: number): Prepared[] {
    const next = new Map<string, Kept>();
    const made = traces.map((trace, i) => {
      const series = trace.sources.map((source) => source.series);
      const key = [i, trace.kind, axis, smoothing, ...series.map(edition)].join(" ");
      const known = this.#kept.get(key);
      const same =
        known?.series.length === series.length && known.series.every((one, j) => one === series[j]);
      const one = same && known ? { ...known.made, trace } : prepareOne(trace, axis, smoothing);
      next.set(key, { made: one, series });
      return one;
    });
    this.#kept = next;
    return made;
  }

  clear(): void {
    this.#kept.clear();
  }
}

/** What tells a series from what it was before it grew or began anew. */
const edition = ({ length, wallTime }: GrowingSeries): string => `${length}:${wallTime[length - 1]}`;

function prepareOne(trace: Trace, axis: XAxis, smoothing: number): Prepared {
  if (trace.kind === "mean") return prepareMean(trace, axis, smoothing);
  const [value, lower, upper] = trace.sources;
  const own = smoothed(value.series, axis, smoothing);
  const band =
    trace.kind === "margin"
      ? { low: shownOnly(lower.series, axis, smoothing), high: shownOnly(upper.series, axis, smoothing) }
      : null;
  return { ...own, trace, band, behind: null, notFinite: notFiniteIn(own) };
}

function smoothed(
  series: GrowingSeries,
  axis: XAxis,
  smoothing: number,
): Ordered & { readonly shown: NumberArray } {
  const points = ordered(series.x(axis), series.value);
  return { ...points, shown: smoothing > 0 ? smooth(points.y, smoothing, points.passes) : points.y };
}

function shownOnly(series: GrowingSeries, axis: XAxis, smoothing: number): Ordered {
  const points = smoothed(series, axis, smoothing);
  return { ...points, y: points.shown };
}

function notFiniteIn({ x, y }: Pick<Ordered, "x" | "y">): OddPoint[] {
  const points: OddPoint[] = [];
  for (let i = 0; i < y.length; i++) if (!Number.isFinite(y[i])) points.push({ x: x[i], value: y[i] });
  return points;
}

function prepareMean(trace: Trace, axis: XAxis, smoothing: number): Prepared {
  const runs = trace.sources.map(({ series }) => {
    const points = smoothed(series, axis, smoothing);
    return { x: points.x, y: points.shown, passes: points.passes };
  });
  const { x, mean, deviation, behind } = meanOf(runs);
  const notFinite = runs.flatMap(notFiniteIn).sort((a, b) => a.x - b.x);
  const passes: readonly Pass[] = [[0, x.length]];
  const side = (sign: number): Ordered => ({
    x,
    y: mean.map((value, i) => value + sign * deviation[i]),
    passes,
    sorted: false,
  });
  const own = { x, y: mean, shown: mean, passes, sorted: false };
  return { ...own, trace, band: { low: side(-1), high: side(1) }, behind, notFinite };
}

export interface Mean {
  readonly x: Float64Array;
  readonly mean: Float64Array;
  /** Sample standard deviation (n − 1); 0 where a single run stands behind a point. */
  readonly deviation: Float64Array;
  readonly behind: Int32Array;
}

/**
 * Mean and standard deviation over runs at every x where one of them has a point. A run that has none there counts
 * with the straight line between its neighbours; before its first and after its last point it does not count.
 */
export function meanOf(runs: readonly Omit<Ordered, "sorted">[], most = MEAN_POINTS): Mean {
  const x = placesOf(runs, most);
  const n = x.length;
  const [mean, squares, behind] = [new Float64Array(n), new Float64Array(n), new Int32Array(n)];
  for (const run of runs) {
    for (const { value, at } of valuesAt(run, x)) {
      behind[at]++;
      const before = mean[at];
      mean[at] += (value - before) / behind[at]; // Welford's: exact where the values are large and close together
      squares[at] += (value - before) * (value - mean[at]);
    }
  }
  const deviation = squares.map((sum, i) => (behind[i] > 1 ? Math.sqrt(sum / (behind[i] - 1)) : 0));
  return { x, mean: mean.map((value, i) => (behind[i] ? value : Number.NaN)), deviation, behind };
}

function placesOf(runs: readonly Omit<Ordered, "sorted">[], most: number): Float64Array {
  const all = new Float64Array(runs.reduce((sum, { x }) => sum + x.length, 0));
  let n = 0;
  for (const { x } of runs) {
    all.set(x, n);
    n += x.length;
  }
  all.sort();
  const distinct = all.filter((value, i) => i === 0 || value !== all[i - 1]);
  if (distinct.length <= most) return distinct;
  return Float64Array.from(
    { length: most },
    (_, i) => distinct[Math.round((i * (distinct.length - 1)) / (most - 1))],
  );
}

/** The values of a run at the places `x`, by its last pass there; points that are not finite do not count. */
function valuesAt(run: Omit<Ordered, "sorted">, x: Float64Array): { value: number; at: number }[] {
  const values = new Map<number, number>();
  for (const [start, stop] of run.passes) {
    const finite: number[] = [];
    for (let i = start; i < stop; i++) if (Number.isFinite(run.y[i])) finite.push(i);
    let next = 0;
    for (let at = 0; at < x.length && finite.length; at++) {
      // Of several points at one place the last counts.
      while (next < finite.length && run.x[finite[next]] <= x[at]) next++;
      const left = finite[next - 1];
      if (left === undefined) continue;
      const right = finite[next];
      if (run.x[left] === x[at]) values.set(at, run.y[left]);
      else if (right !== undefined) values.set(at, between(run, left, right, x[at]));
    }
  }
  return [...values].map(([at, value]) => ({ at, value }));
}

function between({ x, y }: Omit<Ordered, "sorted">, left: number, right: number, at: number): number {
  return y[left] + ((y[right] - y[left]) * (at - x[left])) / (x[right] - x[left]);
}

/** The point of a prepared trace nearest to `at`, in the last pass that has one so near; -1 if there is none. */
export function nearestPoint({ x, passes }: Ordered, at: number): number {
  let best = -1;
  for (const [start, stop] of passes) {
    const index = nearest(x, at, stop, start);
    if (index >= 0 && (best < 0 || Math.abs(x[index] - at) <= Math.abs(x[best] - at))) best = index;
  }
  return best;
}
