// Ranks of numbers, what differs most between two rankings, and areas under curves.

/** Places of the numbers, the largest first; equal ones keep their order, what is no number comes last. */
export function largestFirst(values: ArrayLike<number>): number[] {
  const key = (i: number): number => (Number.isNaN(values[i]) ? Number.NEGATIVE_INFINITY : values[i]);
  return Array.from({ length: values.length }, (_, i) => i).sort((a, b) => {
    const [one, other] = [key(a), key(b)];
    return one === other ? a - b : other - one;
  });
}

/** The rank of every number, 1 for the largest; equal numbers share the best of their ranks. */
export function ranks(values: ArrayLike<number>): Int32Array {
  const order = largestFirst(values);
  const out = new Int32Array(values.length);
  order.forEach((at, place) => {
    const before = order[place - 1];
    out[at] = place > 0 && values[before] === values[at] ? out[before] : place + 1;
  });
  return out;
}

/** Places in ascending order of a key, or descending; ties keep the order of `items`, what is no number comes last. */
export function sortedBy(
  items: readonly number[],
  key: (item: number) => number | string,
  descending: boolean,
): number[] {
  const keyed = items.map((item, at) => ({ item, at, key: key(item) }));
  const none = (value: number | string): boolean => typeof value === "number" && Number.isNaN(value);
  keyed.sort((a, b) => {
    if (none(a.key) || none(b.key)) return Number(none(a.key)) - Number(none(b.key)) || a.at - b.at;
    if (a.key === b.key) return a.at - b.at;
    return (a.key < b.key ? -1 : 1) * (descending ? -1 : 1);
  });
  return keyed.map(({ item }) => item);
}

/** The `most` items that rank high in one and low in the other: the largest fall of rank first. */
export function fallsMost(one: Int32Array, other: Int32Array, most: number): number[] {
  const items = Array.from(one.keys()).filter((i) => one[i] < other[i]);
  items.sort((a, b) => other[b] - one[b] - (other[a] - one[a]) || one[a] - one[b] || a - b);
  return items.slice(0, most);
}

/** The finite range of numbers; 0 to 0 where there is none. */
export function rangeOf(values: ArrayLike<number>): { readonly low: number; readonly high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) continue;
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  return low <= high ? { low, high } : { low: 0, high: 0 };
}

/** The area under a line through the points that are numbers (trapezoids), and how far it reaches. */
export function areaUnder(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
): { readonly area: number; readonly from: number; readonly to: number } {
  const known = Array.from({ length: x.length }, (_, i) => i).filter((i) => Number.isFinite(x[i] + y[i]));
  known.sort((a, b) => x[a] - x[b]);
  if (!known.length) return { area: Number.NaN, from: Number.NaN, to: Number.NaN };
  let area = 0;
  for (let k = 1; k < known.length; k++) {
    const [a, b] = [known[k - 1], known[k]];
    area += ((y[a] + y[b]) / 2) * (x[b] - x[a]);
  }
  return { area, from: x[known[0]], to: x[known[known.length - 1]] };
}

/** The mean height of that line: its area over its length; of a single point its height. */
export function meanHeight(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const { area, from, to } = areaUnder(x, y);
  if (to > from) return area / (to - from);
  for (let i = 0; i < y.length; i++) if (Number.isFinite(y[i])) return y[i];
  return Number.NaN;
}
