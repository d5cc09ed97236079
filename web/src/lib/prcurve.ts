// Precision and recall at thresholds, as TensorBoard's curves store them; the areas below them, exactly as they are defined.
import type { Tensors } from "../source/source";

export interface PrCurve {
  readonly step: number;
  readonly wallTime: number;
  /** Falling; all that follows is at these. */
  readonly threshold: Float64Array;
  readonly recall: Float64Array;
  /** NaN where nothing is predicted to be positive: there it is not defined. */
  readonly precision: Float64Array;
  readonly falsePositiveRate: Float64Array;
  readonly counts: Readonly<Record<CountName, Float64Array>>;
}

const COUNTS = ["true_positives", "false_positives", "true_negatives", "false_negatives"] as const;
export type CountName = (typeof COUNTS)[number];

/** Entry `index` of a series of curves. */
export function prCurveOf(all: Tensors, index: number): PrCurve {
  const width = all.threshold.shape[1] ?? 0;
  const row = (name: string): Float64Array =>
    Float64Array.from(all[name].data.subarray(index * width, (index + 1) * width));
  const threshold = row("threshold");
  // Shorter curves of a series are padded.
  const known = [...threshold.keys()].filter((i) => !Number.isNaN(threshold[i]));
  const order = known.sort((a, b) => threshold[b] - threshold[a]);
  const sorted = (values: Float64Array): Float64Array => Float64Array.from(order, (i) => values[i]);
  const counts = Object.fromEntries(COUNTS.map((name) => [name, sorted(row(name))])) as PrCurve["counts"];
  const { true_positives: tp, false_positives: fp, true_negatives: tn, false_negatives: fn } = counts;
  // Curves logged without their counts have only the shares that were logged.
  const counted = tp.some((value, i) => value + fn[i] > 0);
  return {
    step: all.step.data[index],
    wallTime: all.wall_time.data[index],
    threshold: sorted(threshold),
    recall: counted ? share(tp, fn) : sorted(row("recall")),
    precision: counted ? share(tp, fp) : sorted(row("precision")),
    falsePositiveRate: share(fp, tn),
    counts,
  };
}

const share = (of: Float64Array, rest: Float64Array): Float64Array =>
  of.map((value, i) => (value + rest[i] > 0 ? value / (value + rest[i]) : Number.NaN));

/**
 * Average precision: the sum over falling thresholds of (recall − recall before) · precision, without interpolation.
 * NaN where recall is not defined, as no example is positive.
 */
export function averagePrecision(recall: ArrayLike<number>, precision: ArrayLike<number>): number {
  let [sum, before] = [0, 0];
  for (let i = 0; i < recall.length; i++) {
    if (Number.isNaN(recall[i])) return Number.NaN;
    // Where nothing is predicted recall has not grown.
    if (recall[i] > before) sum += (recall[i] - before) * precision[i];
    before = recall[i];
  }
  return recall.length ? sum : Number.NaN;
}

/** Area below the ROC: trapezoids between the thresholds, from (0, 0) to (1, 1); NaN without positives or negatives. */
export function rocArea(falsePositiveRate: ArrayLike<number>, recall: ArrayLike<number>): number {
  if (!recall.length) return Number.NaN;
  let [sum, x, y] = [0, 0, 0];
  for (let i = 0; i <= recall.length; i++) {
    const [right, up] = i < recall.length ? [falsePositiveRate[i], recall[i]] : [1, 1];
    sum += ((right - x) * (up + y)) / 2;
    [x, y] = [right, up];
  }
  return sum;
}

/** The harmonic mean of precision and recall; NaN where one is not defined, 0 where both are 0. */
export function f1Of(precision: number, recall: number): number {
  const sum = precision + recall;
  return sum === 0 ? 0 : (2 * precision * recall) / sum;
}

/** The place of the largest F1; -1 if it is defined nowhere. */
export function bestF1({ precision, recall }: Pick<PrCurve, "precision" | "recall">): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  recall.forEach((share, i) => {
    const f1 = f1Of(precision[i], share);
    if (f1 > most) [best, most] = [i, f1];
  });
  return best;
}

type Bounds = readonly [number, number];
const LEVELS = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
const SAMPLES = 64;
const MOST_LINES = 4;

/** Lines of equal F1 within a box of recall × precision: p = f r / (2 r − f). */
export function isoF1(x: Bounds, y: Bounds): { f1: number; points: (readonly [number, number])[] }[] {
  const lowest = f1Of(x[0], y[0]);
  const crossing = LEVELS.filter((f1) => f1 > lowest + 1e-9);
  return crossing.slice(0, MOST_LINES).map((f1) => {
    // Where the line comes in from above, or from the left.
    const start = Math.max(x[0], (f1 * y[1]) / (2 * y[1] - f1));
    const points = Array.from({ length: SAMPLES + 1 }, (_, i): readonly [number, number] => {
      const recall = start + ((x[1] - start) * i) / SAMPLES;
      return [recall, (f1 * recall) / (2 * recall - f1)];
    });
    return { f1, points };
  });
}
