// Precision, recall and the areas below their curves, against plain definitions; the SVG of a plot; lines of equal F1.
import { describe, expect, it } from "vitest";
import { averagePrecision, bestF1, f1Of, isoF1, prCurveOf, rocArea } from "../src/lib/prcurve";
import { unitSvg } from "../src/lib/unitsvg";
import type { Tensors } from "../src/source/source";

const LABELS = [1, 0, 1, 1, 0, 0, 1, 0, 0, 1];
const SCORES = [0.9, 0.85, 0.7, 0.65, 0.5, 0.45, 0.4, 0.2, 0.1, 0.05];
const THRESHOLDS = Array.from({ length: 21 }, (_, i) => i / 20);

/** What TensorBoard stores, counted one example at a time; rising thresholds. */
function table(thresholds: readonly number[]): Tensors {
  const counted = (label: number, above: boolean): number[] =>
    thresholds.map((t) => SCORES.filter((score, i) => LABELS[i] === label && score >= t === above).length);
  const row = (values: readonly number[]) => ({ shape: [1, values.length], data: Float64Array.from(values) });
  const one = (value: number) => ({ shape: [1], data: Float64Array.of(value) });
  return {
    step: one(3),
    wall_time: one(100),
    threshold: row(thresholds),
    true_positives: row(counted(1, true)),
    false_positives: row(counted(0, true)),
    true_negatives: row(counted(0, false)),
    false_negatives: row(counted(1, false)),
    // Writers store 0 where nothing is predicted.
    precision: row(thresholds.map(() => 0)),
    recall: row(thresholds.map(() => 0)),
  };
}

describe("a precision-recall curve", () => {
  it("has falling thresholds, and shares from its counts", () => {
    const curve = prCurveOf(table(THRESHOLDS), 0);
    expect([curve.threshold[0], curve.threshold[20]]).toEqual([1, 0]);
    expect(curve.recall[20]).toBe(1);
    expect(curve.precision[20]).toBe(0.5);
    const at = [...curve.threshold].indexOf(0.65);
    expect([curve.recall[at], curve.precision[at], curve.falsePositiveRate[at]]).toEqual([0.6, 0.75, 0.2]);
  });

  it("has no precision where nothing is predicted, whatever was stored", () => {
    const curve = prCurveOf(table(THRESHOLDS), 0);
    expect(curve.recall[0]).toBe(0);
    expect(curve.precision[0]).toBeNaN();
  });

  it("has the average precision of its definition and of all pairs the AUC", () => {
    const curve = prCurveOf(table([0, ...[...SCORES].reverse()]), 0);
    let expected = 0;
    SCORES.forEach((_, i) => {
      if (LABELS[i]) expected += LABELS.slice(0, i + 1).filter(Boolean).length / (i + 1) / 5;
    });
    expect(averagePrecision(curve.recall, curve.precision)).toBeCloseTo(expected, 12);
    const pairs = SCORES.flatMap((a, i) =>
      SCORES.filter((_, j) => LABELS[i] && !LABELS[j]).map((b) => (a > b ? 1 : 0)),
    );
    const wins = pairs.reduce<number>((sum, win) => sum + win, 0);
    expect(rocArea(curve.falsePositiveRate, curve.recall)).toBeCloseTo(wins / pairs.length, 12);
  });

  it("has no areas without positives or negatives", () => {
    const none = Float64Array.of(Number.NaN, Number.NaN);
    expect(averagePrecision(none, Float64Array.of(0.5, 0.5))).toBeNaN();
    expect(rocArea(none, Float64Array.of(0, 1))).toBeNaN();
    expect(averagePrecision([], [])).toBeNaN();
    expect(rocArea([], [])).toBeNaN();
  });

  it("leaves out the padding of shorter curves, and takes stored shares where nothing was counted", () => {
    const padded = table([0, 0.5, 1]);
    const longer = Object.fromEntries(
      Object.entries(padded).map(([name, { shape, data }]) =>
        shape.length === 2
          ? [name, { shape: [1, 4], data: Float64Array.of(...data, Number.NaN) }]
          : [name, { shape, data }],
      ),
    );
    expect(prCurveOf(longer, 0).threshold).toEqual(Float64Array.of(1, 0.5, 0));
    const zero = { shape: [1, 2], data: Float64Array.of(0, 0) };
    const raw = prCurveOf(
      {
        ...padded,
        threshold: { shape: [1, 2], data: Float64Array.of(0, 1) },
        true_positives: zero,
        false_positives: zero,
        true_negatives: zero,
        false_negatives: zero,
        precision: { shape: [1, 2], data: Float64Array.of(0.25, 0.75) },
        recall: { shape: [1, 2], data: Float64Array.of(1, 0.5) },
      },
      0,
    );
    expect([...raw.precision]).toEqual([0.75, 0.25]);
    expect([...raw.recall]).toEqual([0.5, 1]);
  });

  it("has its best F1 where precision and recall together are best", () => {
    const curve = prCurveOf(table(THRESHOLDS), 0);
    const all = [...curve.recall].map((recall, i) => f1Of(curve.precision[i], recall));
    expect(all[bestF1(curve)]).toBe(Math.max(...all.filter((f1) => !Number.isNaN(f1))));
    expect(f1Of(0, 0)).toBe(0);
    expect(bestF1({ precision: Float64Array.of(Number.NaN), recall: Float64Array.of(0) })).toBe(-1);
  });
});

describe("lines of equal F1", () => {
  it.each([
    [
      [0, 1],
      [0, 1],
    ],
    [
      [0.9, 1],
      [0.9, 1],
    ],
  ] as const)("have it everywhere, within %j", (x, y) => {
    const lines = isoF1(x, y);
    expect(lines.length).toBeGreaterThan(1);
    for (const { f1, points } of lines)
      for (const [recall, precision] of points) {
        expect(f1Of(precision, recall)).toBeCloseTo(f1, 9);
        expect(recall).toBeGreaterThanOrEqual(x[0]);
        expect(precision).toBeLessThanOrEqual(y[1] + 1e-9);
      }
  });
});

describe("the file of a plot", () => {
  it("breaks lines where nothing is defined, and escapes what users logged", () => {
    const curve = {
      name: "<script>alert(1)</script>",
      colour: '"/><script>',
      x: Float64Array.of(Number.NaN, 0, 1),
      y: Float64Array.of(Number.NaN, 1, 0.5),
      steps: false,
      strong: false,
      faint: false,
    };
    const svg = unitSvg({
      title: "a & b",
      x: "recall",
      y: "precision",
      curves: [curve],
      box: { x: [0, 1], y: [0, 1] },
      extras: { f1: true, diagonal: true },
    });
    expect(svg).not.toContain("<script");
    expect(svg).not.toContain("NaN");
    expect(svg).toContain("a &#38; b");
    expect(svg.match(/stroke-width="1.6"/g)).toHaveLength(1);
  });
});
