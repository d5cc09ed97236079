// Curves longer than the screen is wide, and their smoothing.
import type { NumberArray } from "../source/source";

export interface Points {
  readonly x: number[];
  readonly y: (number | null)[];
  /** True if points were left out: each bin then kept its smallest and its largest value. */
  readonly binned: boolean;
}

/** First index whose x is not below `value`, in ascending x. */
export function lowerBound(x: ArrayLike<number>, value: number, end = x.length): number {
  let low = 0;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the x nearest to `value`, or -1 if there is none. */
export function nearest(x: ArrayLike<number>, value: number, end = x.length): number {
  if (end === 0) return -1;
  const right = Math.min(lowerBound(x, value, end), end - 1);
  return right > 0 && value - x[right - 1] <= x[right] - value ? right - 1 : right;
}

/** The points between `from` and `to` (and one neighbour each side); spikes survive because each bin keeps both extremes. */
export function minMaxBin(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  from: number,
  to: number,
  bins: number,
): Points {
  const start = Math.max(0, lowerBound(x, from) - 1);
  const stop = Math.min(x.length, lowerBound(x, to) + 1);
  if (stop - start <= 2 * bins) return every(x, y, start, stop);
  const points = { x: [] as number[], y: [] as (number | null)[], binned: true };
  for (let bin = 0; bin < bins; bin++) {
    const a = start + Math.floor(((stop - start) * bin) / bins);
    const b = start + Math.floor(((stop - start) * (bin + 1)) / bins);
    for (const i of extremes(y, a, b)) push(points, x[i], y[i]);
  }
  return points;
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
  for (let i = a; i < b; i++) {
    if (!Number.isFinite(y[i])) continue;
    if (low < 0 || y[i] < y[low]) low = i;
    if (high < 0 || y[i] > y[high]) high = i;
  }
  if (low < 0) return a < b ? [a] : [];
  if (low === high) return [low];
  return low < high ? [low, high] : [high, low];
}

/**
 * Exponential moving average, debiased as Adam's moments are: the first values are not pulled towards zero.
 * Values that are not finite pass through and do not enter the average.
 */
export function smooth(y: ArrayLike<number>, weight: number): NumberArray {
  const out = new Float64Array(y.length);
  let average = 0;
  let mass = 0;
  for (let i = 0; i < y.length; i++) {
    if (!Number.isFinite(y[i])) {
      out[i] = y[i];
      continue;
    }
    average = weight * average + (1 - weight) * y[i];
    mass = weight * mass + (1 - weight);
    out[i] = average / mass;
  }
  return out;
}

/** The points in ascending x: as they are if they already ascend (a run that started over has steps that go back). */
export function ordered(x: NumberArray, y: NumberArray): { x: NumberArray; y: NumberArray } {
  let ascending = true;
  for (let i = 1; i < x.length && ascending; i++) ascending = x[i] >= x[i - 1];
  if (ascending) return { x, y };
  const order = Array.from(x.keys()).sort((a, b) => x[a] - x[b] || a - b);
  return { x: Float64Array.from(order, (i) => x[i]), y: Float64Array.from(order, (i) => y[i]) };
}
