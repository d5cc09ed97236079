import { describe, expect, it } from "vitest";
import {
  accuracy,
  cellValues,
  classOrder,
  columnSums,
  f1Scores,
  mistakes,
  precisions,
  recalls,
  reordered,
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
    const counts = strengths(matrix, "none");
    expect([counts[4], counts[0], counts[1], counts[3]]).toEqual([1, 8 / 9, 1, 0.5]);
    const shares = strengths(matrix, "row");
    expect([shares[0], shares[1], shares[3], shares[8]]).toEqual([0.8, 1, 0.5, 0]);
  });
});

describe("shares and orders of a confusion matrix", () => {
  it("are of the row, of the column, or counts", () => {
    expect([...cellValues(matrix, "none")]).toEqual([...matrix.counts]);
    expect([...cellValues(matrix, "row")].slice(0, 4)).toEqual([0.8, 0.2, 0, 0.1]);
    expect(cellValues(matrix, "column")[1]).toBeCloseTo(2 / 11, 12);
    expect(cellValues(matrix, "row")[8]).toBeNaN();
    expect(strengths(matrix, "column")[8]).toBe(0);
  });

  it("give F1, which is the harmonic mean of precision and recall", () => {
    const [recall, precision] = [recalls(matrix)[0], precisions(matrix)[0]];
    expect(f1Scores(matrix)[0]).toBeCloseTo((2 * recall * precision) / (recall + precision), 12);
    expect(f1Scores(matrix)[2]).toBeNaN();
  });

  it("sort classes, those without a figure last, and move counts along", () => {
    expect(classOrder(matrix, "logged")).toEqual([0, 1, 2]);
    expect(classOrder({ ...matrix, names: ["b10", "b9", "a"] }, "name")).toEqual([2, 1, 0]);
    expect(classOrder(matrix, "recall")).toEqual([0, 1, 2]);
    expect(classOrder(matrix, "precision")).toEqual([1, 0, 2]);
    expect(classOrder(matrix, "mistakes")).toEqual([0, 1, 2]);
    const moved = reordered(matrix, [1, 2, 0]);
    expect(moved.names).toEqual(["dog", "owl", "cat"]);
    expect([...moved.counts]).toEqual([9, 0, 1, 0, 0, 0, 2, 0, 8]);
    expect(accuracy(moved)).toBe(accuracy(matrix));
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
