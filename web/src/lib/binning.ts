// Curves longer than the screen is wide, their smoothing, and what of them is outlying.
import type { NumberArray } from "../source/source";

export interface Points {
  readonly x: number[];
  readonly y: (number | null)[];
  /** True if points were left out: each bin then kept its smallest and its largest value. */
  readonly binned: boolean;
}

/** Half-open range of points whose x do not go back. */
export type Pass = readonly [start: number, stop: number];

/** First index whose x is not below `value`, in ascending x. */
export function lowerBound(x: ArrayLike<number>, value: number, end = x.length, start = 0): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the x nearest to `value` in a pass, or -1 if it is empty. */
export function nearest(x: ArrayLike<number>, value: number, end = x.length, start = 0): number {
  if (end <= start) return -1;
  const right = Math.min(lowerBound(x, value, end, start), end - 1);
  return right > start && value - x[right - 1] <= x[right] - value ? right - 1 : right;
}

/** Places in x where one bin ends and the next begins, from left to right: those of the columns of a screen. */
export type Edges = readonly number[] | Float64Array;

/** `bins` equally wide bins between `from` and `to`, on a linear or a logarithmic axis. */
export function binEdges(from: number, to: number, bins: number, log = false): Float64Array {
  const [a, b] = log ? [Math.log(from), Math.log(to)] : [from, to];
  return Float64Array.from({ length: bins + 1 }, (_, i) => {
    const place = a + ((b - a) * i) / bins;
    return log ? Math.exp(place) : place;
  });
}

/**
 * The points of a pass between the outer `edges` (and one neighbour each side), binned to the columns between them.
 * A column keeps its smallest and its largest value, so that spikes survive; one of one or two points keeps them all.
 */
export function binPass(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  [begin, end]: Pass,
  edges: Edges,
): Points {
  const bins = edges.length - 1;
  const start = Math.max(begin, lowerBound(x, edges[0], end, begin) - 1);
  const stop = Math.min(end, upperBound(x, edges[bins], start, end) + 1);
  if (stop - start <= 2 * bins) return every(x, y, start, stop);
  const points = { x: [] as number[], y: [] as (number | null)[], binned: false };
  const add = (a: number, b: number): void => {
    if (b - a > 2) points.binned = true;
    if (b - a > 2) for (const i of extremes(y, a, b)) push(points, x[i], y[i]);
    else for (let i = a; i < b; i++) push(points, x[i], y[i]);
  };
  // The neighbours beside the window, which lines are drawn to, are in no bin.
  const first = x[start] < edges[0] ? start + 1 : start;
  const last = x[stop - 1] > edges[bins] ? stop - 1 : stop;
  add(start, first);
  for (let bin = 1, a = first; bin <= bins && a < last; bin++) {
    const b = bin < bins ? lowerBound(x, edges[bin], last, a) : last;
    add(a, b);
    a = b;
  }
  add(last, stop);
  return points;
}

function upperBound(x: ArrayLike<number>, value: number, start: number, end: number): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function every(x: ArrayLike<number>, y: ArrayLike<number>, start: number, stop: number): Points {
  const points = { x: [] as number[], y: [] as (number | null)[], binned: false };
  for (let i = start; i < stop; i++) push(points, x[i], y[i]);
  return points;
}

function push(points: { x: number[]; y: (number | null)[] }, x: number, y: number): void {
  points.x.push(x);
  points.y.push(Number.isFinite(y) ? y : null);
}

/** Indices of the smallest and the largest finite value in [a, b), in order; of one non-finite value if there is no other. */
function extremes(y: ArrayLike<number>, a: number, b: number): number[] {
  let low = -1;
  let high = -1;
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (let i = a; i < b; i++) {
    const value = y[i];
    if (value < least && value !== Number.NEGATIVE_INFINITY) {
      least = value;
      low = i;
    }
    if (value > greatest && value !== Number.POSITIVE_INFINITY) {
      greatest = value;
      high = i;
    }
  }
  if (low < 0) return a < b ? [a] : [];
  if (low === high) return [low];
  return low < high ? [low, high] : [high, low];
}

/**
 * Exponential moving average, debiased as Adam's moments are: the first values are not pulled towards zero.
 * Values that are not finite pass through and do not enter the average; each pass begins anew.
 */
export function smooth(
  y: ArrayLike<number>,
  weight: number,
  passes: readonly Pass[] = [[0, y.length]],
): NumberArray {
  const out = new Float64Array(y.length);
  for (const [start, stop] of passes) {
    let average = 0;
    let mass = 0;
    for (let i = start; i < stop; i++) {
      const value = y[i];
      out[i] = value;
      if (!Number.isFinite(value)) continue;
      average = weight * average + (1 - weight) * value;
      mass = weight * mass + (1 - weight);
      out[i] = average / mass;
    }
  }
  return out;
}

const MOST_PASSES = 50;

export interface Ordered {
  readonly x: NumberArray;
  readonly y: NumberArray;
  /** In each the x ascend; the first covers all where x never goes back. */
  readonly passes: readonly Pass[];
  /** Whether x goes back so often that the points were sorted instead. */
  readonly sorted: boolean;
}

/**
 * Points as they can be drawn: where x goes back (a run that started over, a clock put back) another pass begins.
 * Points in no order at all (x goes back more than fifty times) are sorted by x.
 */
export function ordered(x: NumberArray, y: NumberArray): Ordered {
  const starts = [0];
  for (let i = 1; i < x.length && starts.length <= MOST_PASSES; i++) if (x[i] < x[i - 1]) starts.push(i);
  if (starts.length <= MOST_PASSES) {
    const passes = starts.map((start, i): Pass => [start, starts[i + 1] ?? x.length]);
    return { x, y, passes, sorted: false };
  }
  const order = Array.from(x.keys()).sort((a, b) => x[a] - x[b] || a - b);
  return {
    x: Float64Array.from(order, (i) => x[i]),
    y: Float64Array.from(order, (i) => y[i]),
    passes: [[0, x.length]],
    sorted: true,
  };
}

/** The values of a share `low` and a share `high` of the finite numbers, interpolated between neighbours; null if there are none. */
export function quantiles(
  parts: readonly ArrayLike<number>[],
  low: number,
  high: number,
): readonly [number, number] | null {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let n = 0;
  for (const part of parts)
    for (let i = 0; i < part.length; i++) if (Number.isFinite(part[i])) all[n++] = part[i];
  if (n === 0) return null;
  const values = all.subarray(0, n).sort();
  return [quantile(values, low), quantile(values, high)];
}

function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
