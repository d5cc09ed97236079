// A record of precision-recall and ROC curves as its view needs it.
import type { Json, NumberArray, RecordMeta, Source } from "../source/source";

export interface ClassCurve {
  readonly name: string;
  /** Members of the class, or what they weigh. */
  readonly support: number;
  readonly auc: number;
  readonly averagePrecision: number;
  /** Falling scores; the first is infinite. */
  readonly threshold: NumberArray;
  readonly truePositiveRate: NumberArray;
  readonly falsePositiveRate: NumberArray;
  readonly precision: NumberArray;
}

export interface CurvesData {
  readonly record: RecordMeta;
  readonly classes: readonly ClassCurve[];
}

const ARRAYS = [
  "support",
  "auc",
  "average_precision",
  "threshold",
  "true_positive_rate",
  "false_positive_rate",
  "precision",
];

export async function fetchCurves(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<CurvesData> {
  const record = await source.record(run, id, signal);
  const arrays = await source.arrays(run, id, ARRAYS, signal);
  const [count = 0, points = 0] = arrays.threshold.shape;
  const names = classNames(record.meta.class_names, count);
  const row = (name: string, c: number): NumberArray =>
    arrays[name].data.subarray(c * points, (c + 1) * points);
  const classes = names.map((name, c) => ({
    name,
    support: arrays.support.data[c],
    auc: arrays.auc.data[c],
    averagePrecision: arrays.average_precision.data[c],
    threshold: row("threshold", c),
    truePositiveRate: row("true_positive_rate", c),
    falsePositiveRate: row("false_positive_rate", c),
    precision: row("precision", c),
  }));
  return { record, classes };
}

/** The names of `count` classes; their numbers where none were recorded. */
export function classNames(names: Json | undefined, count: number): string[] {
  const known = Array.isArray(names) ? names : [];
  return Array.from({ length: count }, (_, c) => String(known[c] ?? c));
}

/** The mean of the numbers that are defined; NaN if none is. */
export function meanOf(values: readonly number[]): number {
  const known = values.filter(Number.isFinite);
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}

/** The point of a curve nearest to (x, y), by its place; -1 if it has none. Points share one plot of 1 × 1. */
export function nearestPoint(xs: NumberArray, ys: NumberArray, x: number, y: number): number {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < xs.length; i++) {
    const distance = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return best;
}
