import { describe, expect, it } from "vitest";
import {
  accuracy,
  columnSums,
  mistakes,
  precisions,
  recalls,
  rowSums,
  strengths,
} from "../src/lib/confusion";
import { classNames, meanOf, nearestPoint } from "../src/lib/curvesdata";

const matrix = { names: ["cat", "dog", "owl"], counts: Float64Array.of(8, 2, 0, 1, 9, 0, 0, 0, 0) };

describe("a confusion matrix", () => {
  it("has the sums of its rows and columns", () => {
    expect(rowSums(matrix)).toEqual([10, 10, 0]);
    expect(columnSums(matrix)).toEqual([9, 11, 0]);
  });

  it("gives accuracy, recall and precision, undefined where nothing is", () => {
    expect(accuracy(matrix)).toBeCloseTo(17 / 20, 12);
    expect(recalls(matrix)).toEqual([0.8, 0.9, Number.NaN]);
    expect(precisions(matrix)[1]).toBeCloseTo(9 / 11, 12);
    expect(precisions(matrix)[2]).toBeNaN();
  });

  it("lists mistakes, most frequent first", () => {
    expect(mistakes(matrix, 5)).toEqual([
      { truth: 0, predicted: 1, count: 2 },
      { truth: 1, predicted: 0, count: 1 },
    ]);
    expect(mistakes(matrix, 1)).toHaveLength(1);
  });

  it("draws mistakes on a scale of their own", () => {
    const counts = strengths(matrix, false);
    expect([counts[4], counts[0], counts[1], counts[3]]).toEqual([1, 8 / 9, 1, 0.5]);
    const shares = strengths(matrix, true);
    expect([shares[0], shares[1], shares[3], shares[8]]).toEqual([0.8, 1, 0.5, 0]);
  });
});

describe("class curves", () => {
  it("name classes by number where no name is known", () => {
    expect(classNames(["a"], 3)).toEqual(["a", "1", "2"]);
    expect(classNames(undefined, 2)).toEqual(["0", "1"]);
  });

  it("leave undefined areas out of the mean", () => {
    expect(meanOf([0.5, Number.NaN, 1])).toBe(0.75);
    expect(meanOf([Number.NaN])).toBeNaN();
  });

  it("find the nearest point and pass over those that are not defined", () => {
    expect(nearestPoint(Float64Array.of(0, 1, Number.NaN), Float64Array.of(0, 1, 1), 0.9, 0.8)).toBe(1);
    expect(nearestPoint(Float64Array.of(Number.NaN), Float64Array.of(1), 0, 0)).toBe(-1);
  });
});
