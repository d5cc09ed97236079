// A series of histograms laid out for a figure: places in time, values on a scale, steps that share a pixel put together.
import type { Histograms, NumberArray } from "../source/source";
import { type Buckets, bucketsOf, momentsOf, quantiles, rebin } from "./histogram";
import type { XAxis } from "./series";

/** The shares of TensorBoard's page of distributions: the normal distribution at half standard deviations. */
export const BASIS = [0, 0.0668, 0.1587, 0.3085, 0.5, 0.6915, 0.8413, 0.9332, 1] as const;
/** The median, the central 68 % and 90 %. */
export const PLAIN = [0.05, 0.16, 0.5, 0.84, 0.95] as const;

/** A scale of values: even, or even around zero and logarithmic beyond `linear`. */
export interface Scale {
  readonly low: number;
  readonly high: number;
  /** Up to here the scale is about even; 0: everywhere. */
  readonly linear: number;
}

/** Where a value stands on a scale, from 0 to 1. */
export function placeOn(scale: Scale, value: number): number {
  const [low, high, at] = [scale.low, scale.high, value].map((one) => bent(scale, one));
  return high > low ? (at - low) / (high - low) : 0.5;
}

/** The value that stands at a place from 0 to 1. */
export function valueOn(scale: Scale, place: number): number {
  const [low, high] = [bent(scale, scale.low), bent(scale, scale.high)];
  const at = low + place * (high - low);
  return scale.linear ? scale.linear * Math.sinh(at) : at;
}

const bent = ({ linear }: Scale, value: number): number => (linear ? Math.asinh(value / linear) : value);

/** `bins + 1` edges of bins that are equally wide on the scale. */
export const edgesOf = (scale: Scale, bins: number): Float64Array =>
  Float64Array.from({ length: bins + 1 }, (_, i) => valueOn(scale, i / bins));

/** A scale that holds all finite values; `bend`: logarithmic beyond a tenth of the smallest usual root mean square. */
export function scaleOf(series: readonly Histograms[], bend: boolean): Scale {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const usual: number[] = [];
  for (const data of series) {
    const sizes: number[] = [];
    for (let i = 0; i < data.step.length; i++) {
      const { left, right, count } = bucketsOf(data, i);
      if (!count.length) continue;
      low = Math.min(low, left[0]);
      high = Math.max(high, right[right.length - 1]);
      const { rms } = momentsOf(data, i);
      if (bend && rms > 0) sizes.push(rms);
    }
    if (sizes.length) usual.push(medianOf(sizes));
  }
  if (low > high) [low, high] = [-1, 1];
  if (low === high) [low, high] = [low - (Math.abs(low) / 2 || 1), high + (Math.abs(high) / 2 || 1)];
  return { low, high, linear: usual.length ? Math.min(...usual) / 10 : 0 };
}

/** The middle one of some numbers, of two middle ones the upper; NaN of none. */
export function medianOf(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
}

/** The places in time of a series: its steps, or seconds since the first, or of the clock. */
export function timesOf(data: Histograms, axis: XAxis): NumberArray {
  if (axis === "step") return data.step;
  if (axis === "wall") return data.wallTime;
  const [first] = data.wallTime;
  return data.wallTime.map((time) => time - first);
}

/** Histograms that are drawn as one. */
export interface Group {
  /** Their places in the series. */
  readonly entries: readonly number[];
  /** Mean of their places in time. */
  readonly at: number;
}

/** The smallest and largest place in time of several series; a single one has room around it. */
export function spanOf(series: readonly NumberArray[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const times of series)
    for (const time of times) {
      low = Math.min(low, time);
      high = Math.max(high, time);
    }
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, low + 0.5] : [low, high];
}

/** Entries in order of time, each alone if there are at most `places`, else all of an equal part of the span together. */
export function groupsOf(times: ArrayLike<number>, [low, high]: [number, number], places: number): Group[] {
  const order = Array.from(times, (_, i) => i).sort((a, b) => times[a] - times[b] || a - b);
  const groups: { entries: number[]; at: number }[] = [];
  let last = -1;
  for (const i of order) {
    const place = Math.min(places - 1, Math.floor((places * (times[i] - low)) / (high - low)));
    if (order.length <= places || place !== last) groups.push({ entries: [i], at: times[i] });
    else groups[groups.length - 1].entries.push(i);
    last = place;
  }
  for (const group of groups)
    group.at = group.entries.reduce((sum, i) => sum + times[i], 0) / group.entries.length;
  return groups;
}

/** The mean counts of a group's histograms between some edges. */
export function densityOf(data: Histograms, group: Group, edges: ArrayLike<number>): Float64Array {
  const out = new Float64Array(edges.length - 1);
  for (const i of group.entries) {
    const counts = rebin(bucketsOf(data, i), edges);
    for (let bin = 0; bin < out.length; bin++) out[bin] += counts[bin] / group.entries.length;
  }
  return out;
}

/**
 * The quantiles of a group: of several histograms the lowest of a share below the median, the highest of one above, and
 * the middle one of the medians, so that no spike is lost. Empty histograms count for nothing.
 */
export function quantilesOf(data: Histograms, group: Group, shares: readonly number[]): number[] {
  const each = group.entries
    .map((i): Buckets => bucketsOf(data, i))
    .filter(({ count }) => count.length)
    .map((buckets) => quantiles(buckets, shares));
  return shares.map((share, k) => {
    const values = each.map((row) => row[k]);
    if (!values.length) return Number.NaN;
    if (share === 0.5) return medianOf(values);
    return values.reduce((a, b) => (share < 0.5 ? Math.min(a, b) : Math.max(a, b)));
  });
}

/** The number of the entry whose place in time is nearest, -1 if there is none. */
export function nearestEntry(times: ArrayLike<number>, at: number): number {
  let best = -1;
  for (let i = 0; i < times.length; i++)
    if (best < 0 || Math.abs(times[i] - at) <= Math.abs(times[best] - at)) best = i;
  return best;
}

/** The entry that follows another in time, `by` places on; stays within the series. */
export function neighbour(times: ArrayLike<number>, entry: number, by: number): number {
  const order = Array.from(times, (_, i) => i).sort((a, b) => times[a] - times[b] || a - b);
  const at = order.indexOf(entry) + by;
  return order[Math.max(0, Math.min(order.length - 1, at))] ?? -1;
}
