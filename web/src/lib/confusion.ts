// A record of a confusion matrix as its view needs it.
import type { RecordMeta, Source } from "../source/source";
import { classNames } from "./curvesdata";

export interface Confusion {
  readonly names: readonly string[];
  /** Row-major: one row a true class, one column a predicted one. */
  readonly counts: Float64Array;
}

export interface ConfusionData extends Confusion {
  readonly record: RecordMeta;
}

export async function fetchConfusion(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<ConfusionData> {
  const record = await source.record(run, id, signal);
  const { counts } = await source.arrays(run, id, ["counts"], signal);
  const names = classNames(record.meta.class_names, counts.shape[0] ?? 0);
  return { record, names, counts: Float64Array.from(counts.data) };
}

/** How many there are of each true class. */
export const rowSums = ({ names, counts }: Confusion): number[] =>
  names.map((_, row) => counts.subarray(row * names.length, (row + 1) * names.length).reduce(add, 0));

/** How often each class was predicted. */
export const columnSums = ({ names, counts }: Confusion): number[] =>
  names.map((_, column) => names.reduce((sum, _name, row) => sum + counts[row * names.length + column], 0));

/** The share of each true class that was named rightly; NaN for one that does not occur. */
export function recalls(matrix: Confusion): number[] {
  const sums = rowSums(matrix);
  return matrix.names.map((_, c) => matrix.counts[c * (matrix.names.length + 1)] / sums[c]);
}

/** The share of each predicted class that is right; NaN for one that was never predicted. */
export function precisions(matrix: Confusion): number[] {
  const sums = columnSums(matrix);
  return matrix.names.map((_, c) => matrix.counts[c * (matrix.names.length + 1)] / sums[c]);
}

/** The share that was named rightly; NaN if there is nothing. */
export function accuracy({ names, counts }: Confusion): number {
  const right = names.reduce((sum, _, c) => sum + counts[c * (names.length + 1)], 0);
  return right / counts.reduce(add, 0);
}

export interface Mistake {
  readonly truth: number;
  readonly predicted: number;
  readonly count: number;
}

/** The most frequent confusions, most frequent first. */
export function mistakes({ names, counts }: Confusion, most: number): Mistake[] {
  const found: Mistake[] = [];
  counts.forEach((count, at) => {
    const [truth, predicted] = [Math.floor(at / names.length), at % names.length];
    if (count > 0 && truth !== predicted) found.push({ truth, predicted, count });
  });
  return found.sort((a, b) => b.count - a.count).slice(0, most);
}

/** How strong each cell is drawn, 0 to 1: against the largest right answer, or the largest mistake. */
export function strengths(matrix: Confusion, byRow: boolean): Float64Array {
  const classes = matrix.names.length;
  const sums = rowSums(matrix);
  const sizes = Float64Array.from(matrix.counts, (count, at) =>
    byRow ? count / (sums[Math.floor(at / classes)] || 1) : count,
  );
  const isRight = (at: number): boolean => at % (classes + 1) === 0;
  const top = (right: boolean): number =>
    sizes.reduce((most, size, at) => (isRight(at) === right ? Math.max(most, size) : most), 0) || 1;
  const [right, wrong] = [byRow ? 1 : top(true), top(false)];
  return sizes.map((size, at) => size / (isRight(at) ? right : wrong));
}

const add = (sum: number, count: number): number => sum + count;
