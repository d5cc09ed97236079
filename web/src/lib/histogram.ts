// Histograms on uneven buckets, redrawn on one even axis.
import type { Histograms } from "../source/source";

export interface Buckets {
  readonly left: number[];
  readonly right: number[];
  readonly count: number[];
}

/** The buckets of histogram `i`; the first starts at the smallest value, infinite limits end at the largest. */
export function bucketsOf(data: Histograms, i: number): Buckets {
  const buckets: Buckets = { left: [], right: [], count: [] };
  const [low, high] = [data.stats[5 * i], data.stats[5 * i + 1]];
  let left = low;
  for (let j = data.offset[i]; j < data.offset[i + 1]; j++) {
    const right = Math.min(data.limit[j], Math.max(high, left));
    if (data.count[j] > 0) {
      buckets.left.push(Math.min(left, right));
      buckets.right.push(right);
      buckets.count.push(data.count[j]);
    }
    left = Math.max(left, right);
  }
  return buckets;
}

/** Counts spread over `bins` even bins of [low, high]: each bucket gives in proportion to the overlap. */
export function resample(buckets: Buckets, low: number, high: number, bins: number): Float64Array {
  const out = new Float64Array(bins);
  const width = (high - low) / bins || 1;
  for (let j = 0; j < buckets.count.length; j++) {
    const span = buckets.right[j] - buckets.left[j];
    const first = binOf(buckets.left[j], low, width, bins);
    const last = span > 0 ? binOf(buckets.right[j], low, width, bins) : first;
    for (let bin = first; bin <= last; bin++) {
      const share =
        span > 0 ? overlap(buckets.left[j], buckets.right[j], low + bin * width, width) / span : 1;
      out[bin] += buckets.count[j] * share;
    }
  }
  return out;
}

const binOf = (x: number, low: number, width: number, bins: number): number =>
  Math.max(0, Math.min(bins - 1, Math.floor((x - low) / width)));

const overlap = (left: number, right: number, start: number, width: number): number =>
  Math.max(0, Math.min(right, start + width) - Math.max(left, start));
