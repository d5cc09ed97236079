// Histograms on uneven buckets: redrawn on other bins, their quantiles and moments. Within a bucket values are spread evenly.
import type { Histograms } from "../source/source";

export interface Buckets {
  readonly left: number[];
  readonly right: number[];
  readonly count: number[];
}

/** The buckets of histogram `i`; the first starts at the smallest value, infinite limits end at the largest. */
export function bucketsOf(data: Histograms, i: number): Buckets {
  const buckets: Buckets = { left: [], right: [], count: [] };
  const [low, high] = endsOf(data, i);
  let left = low;
  for (let j = data.offset[i]; j < data.offset[i + 1]; j++) {
    const limit = Number.isNaN(data.limit[j]) ? left : data.limit[j];
    const right = Math.min(limit, Math.max(high, left));
    if (data.count[j] > 0 && Number.isFinite(data.count[j])) {
      buckets.left.push(Math.min(left, right));
      buckets.right.push(right);
      buckets.count.push(data.count[j]);
    }
    left = Math.max(left, right);
  }
  return buckets;
}

/** The smallest and the largest value; of one whose ends are not told the outermost finite limits. */
function endsOf(data: Histograms, i: number): [number, number] {
  const [low, high] = [data.stats[5 * i], data.stats[5 * i + 1]];
  if (Number.isFinite(low) && Number.isFinite(high) && low <= high) return [low, high];
  const limits = Array.from(data.limit.subarray(data.offset[i], data.offset[i + 1])).filter(Number.isFinite);
  return limits.length ? [limits[0], limits[limits.length - 1]] : [0, 0];
}

/** Counts spread over `bins` even bins of [low, high]: each bucket gives in proportion to the overlap. */
export function resample(buckets: Buckets, low: number, high: number, bins: number): Float64Array {
  const edges = Float64Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins);
  return rebin(buckets, edges);
}

/** Counts between ascending edges; what lies outside of them is in the first bin and the last. */
export function rebin(buckets: Buckets, edges: ArrayLike<number>): Float64Array {
  const bins = edges.length - 1;
  const out = new Float64Array(bins);
  let bin = 0;
  for (let j = 0; j < buckets.count.length; j++) {
    const { left, right, count } = {
      left: buckets.left[j],
      right: buckets.right[j],
      count: buckets.count[j],
    };
    while (bin < bins - 1 && edges[bin + 1] <= left) bin++;
    const span = right - left;
    if (!(span > 0)) {
      out[bin] += count;
      continue;
    }
    let from = left;
    for (; bin < bins - 1 && edges[bin + 1] < right; bin++) {
      out[bin] += (count * (edges[bin + 1] - from)) / span;
      from = edges[bin + 1];
    }
    out[bin] += (count * (right - from)) / span;
  }
  return out;
}

/**
 * The values below which shares of the histogram lie, for ascending shares from 0 to 1: exact to the bucket, and within it
 * on the straight line between its edges. NaN of an empty histogram.
 */
export function quantiles(buckets: Buckets, shares: readonly number[]): number[] {
  const total = buckets.count.reduce((sum, n) => sum + n, 0);
  let [j, before] = [0, 0];
  return shares.map((share) => {
    if (!total) return Number.NaN;
    const wanted = share * total;
    while (j < buckets.count.length - 1 && before + buckets.count[j] < wanted) before += buckets.count[j++];
    const part = Math.max(0, Math.min(1, (wanted - before) / buckets.count[j]));
    return buckets.left[j] + part * (buckets.right[j] - buckets.left[j]);
  });
}

export interface Moments {
  /** How many finite values there are. */
  readonly number: number;
  readonly mean: number;
  /** The root of the mean square. */
  readonly rms: number;
  /** Whether they are those of the buckets, because the sums are not stored. */
  readonly estimated: boolean;
}

/** Mean and root mean square of histogram `i`, from the stored sums, else from the buckets. */
export function momentsOf(data: Histograms, i: number): Moments {
  const [number, sum, squares] = [2, 3, 4].map((k) => data.stats[5 * i + k]);
  if (number > 0 && Number.isFinite(sum) && squares >= 0 && Number.isFinite(squares))
    return { number, mean: sum / number, rms: Math.sqrt(squares / number), estimated: false };
  return estimate(bucketsOf(data, i));
}

/** The same of values that are spread evenly within their buckets. */
export function estimate({ left, right, count }: Buckets): Moments {
  const number = count.reduce((sum, n) => sum + n, 0);
  let [mean, square] = [0, 0];
  for (let j = 0; j < count.length; j++) {
    const share = count[j] / number;
    mean += (share * (left[j] + right[j])) / 2;
    square += (share * (left[j] ** 2 + left[j] * right[j] + right[j] ** 2)) / 3;
  }
  if (!number) [mean, square] = [Number.NaN, Number.NaN];
  return { number, mean, rms: Math.sqrt(square), estimated: true };
}

export interface Special {
  readonly nan: number;
  readonly infinite: number;
  readonly zero: number;
}

/** How many values of histogram `i` were NaN, infinite or zero, where the writer has told. */
export const specialOf = (data: Histograms, i: number): Special => ({
  nan: data.special[3 * i],
  infinite: data.special[3 * i + 1],
  zero: data.special[3 * i + 2],
});
