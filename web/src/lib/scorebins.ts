// The histogram of a channel's scores: which of its bins are worth drawing.

export interface Bin {
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** The bins from the first to the last that holds an image, with an empty one on either side where there is one. */
export function scoreBins(counts: ArrayLike<number>, edges: ArrayLike<number>): Bin[] {
  const bins = Array.from({ length: Math.min(counts.length, edges.length - 1) }, (_, i) => ({
    low: edges[i],
    high: edges[i + 1],
    count: counts[i],
  }));
  const first = bins.findIndex(({ count }) => count > 0);
  const last = bins.findLastIndex(({ count }) => count > 0);
  return first < 0 ? [] : bins.slice(Math.max(0, first - 1), last + 2);
}

/** The place of the bin that holds a value; the outermost ones take the rest. */
export function binWith(bins: readonly Bin[], value: number): number {
  const found = bins.findIndex(({ high }) => value < high);
  return found < 0 ? bins.length - 1 : found;
}
