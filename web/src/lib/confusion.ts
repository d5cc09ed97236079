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

/** What a cell is a share of: of nothing (counts), of its true class, of what was taken for its predicted class. */
export const SHARES = ["none", "row", "column"] as const;
export type Share = (typeof SHARES)[number];

/** The number of each cell: its count, or its share; NaN where there is nothing to have a share of. */
export function cellValues(matrix: Confusion, share: Share): Float64Array {
  const classes = matrix.names.length;
  const sums = share === "row" ? rowSums(matrix) : share === "column" ? columnSums(matrix) : undefined;
  return Float64Array.from(matrix.counts, (count, at) =>
    sums ? count / sums[share === "row" ? Math.floor(at / classes) : at % classes] : count,
  );
}

/** How strong each cell is drawn, 0 to 1: against the largest right answer, or the largest mistake. */
export function strengths(matrix: Confusion, share: Share): Float64Array {
  const classes = matrix.names.length;
  const sizes = cellValues(matrix, share).map((size) => size || 0);
  const isRight = (at: number): boolean => at % (classes + 1) === 0;
  const top = (right: boolean): number =>
    sizes.reduce((most, size, at) => (isRight(at) === right ? Math.max(most, size) : most), 0) || 1;
  const [right, wrong] = [share === "none" ? top(true) : 1, top(false)];
  return sizes.map((size, at) => size / (isRight(at) ? right : wrong));
}

/** The harmonic mean of precision and recall of each class: 2 · right / (true + predicted); NaN for one that is neither. */
export function f1Scores(matrix: Confusion): number[] {
  const [rows, columns] = [rowSums(matrix), columnSums(matrix)];
  const classes = matrix.names.length;
  return matrix.names.map((_, c) => (2 * matrix.counts[c * (classes + 1)]) / (rows[c] + columns[c]));
}

/** In which order classes stand: as they were logged, by name, or the largest or the worst first. */
export const ORDERS = ["logged", "name", "examples", "recall", "precision", "mistakes"] as const;
export type Order = (typeof ORDERS)[number];

/** The classes in an order; those whose figure is not defined come last. */
export function classOrder(matrix: Confusion, order: Order): number[] {
  const all = [...matrix.names.keys()];
  if (order === "logged") return all;
  if (order === "name") {
    const collator = new Intl.Collator("en", { numeric: true });
    return all.sort((a, b) => collator.compare(matrix.names[a], matrix.names[b]));
  }
  const keys = sortKeys(matrix, order).map((key) => (Number.isNaN(key) ? Number.POSITIVE_INFINITY : key));
  return all.sort((a, b) => (keys[a] === keys[b] ? a - b : keys[a] - keys[b]));
}

function sortKeys(matrix: Confusion, order: Exclude<Order, "logged" | "name">): number[] {
  if (order === "recall") return recalls(matrix);
  if (order === "precision") return precisions(matrix);
  const sums = rowSums(matrix);
  if (order === "examples") return sums.map((sum) => -sum);
  return sums.map((sum, c) => matrix.counts[c * (sums.length + 1)] - sum);
}

/** The same counts with the classes in another order. */
export function reordered<M extends Confusion>(matrix: M, order: readonly number[]): M {
  const classes = matrix.names.length;
  const counts = new Float64Array(classes * classes);
  order.forEach((from, row) => {
    order.forEach((across, column) => {
      counts[row * classes + column] = matrix.counts[from * classes + across];
    });
  });
  return { ...matrix, names: order.map((c) => matrix.names[c]), counts };
}

const add = (sum: number, count: number): number => sum + count;
