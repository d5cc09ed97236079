import { describe, expect, it } from "vitest";
import { binEdges, binPass, lowerBound, nearest, type Points, smooth } from "../src/lib/binning";

const range = (n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => i);

const minMaxBin = (
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  from: number,
  to: number,
  bins: number,
): Points => binPass(x, y, [0, x.length], binEdges(from, to, bins));

describe("binPass", () => {
  it("keeps a spike of one point in a million", () => {
    const y = new Float64Array(1_000_000);
    y[654_321] = 7;
    const points = minMaxBin(range(y.length), y, 0, y.length, 500);
    expect(points.binned).toBe(true);
    expect(Math.max(...points.y.map((v) => v ?? 0))).toBe(7);
    expect(points.x.length).toBeLessThanOrEqual(1000);
  });

  it("keeps x in ascending order", () => {
    const y = Float64Array.from({ length: 10_000 }, (_, i) => Math.sin(i));
    const { x } = minMaxBin(range(y.length), y, 100, 9_000, 50);
    expect([...x].sort((a, b) => a - b)).toEqual(x);
  });

  it("leaves short curves alone and turns NaN into a gap", () => {
    const points = minMaxBin([0, 1, 2], [1, Number.NaN, 3], 0, 2, 10);
    expect(points).toEqual({ x: [0, 1, 2], y: [1, null, 3], binned: false });
  });
});

describe("smooth", () => {
  it("does not bend a constant curve", () => {
    for (const value of smooth([5, 5, 5, 5], 0.9)) expect(value).toBeCloseTo(5, 12);
  });

  it("equals the definition written plainly", () => {
    const y = [3, -1, 4, 1, -5, 9];
    const weight = 0.7;
    const expected = y.map((_, n) => {
      let [sum, mass] = [0, 0];
      for (let i = 0; i <= n; i++) {
        sum += weight ** (n - i) * y[i];
        mass += weight ** (n - i);
      }
      return sum / mass;
    });
    [...smooth(y, weight)].forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 12);
    });
  });

  it("is not poisoned by one NaN", () => {
    const out = smooth([1, Number.NaN, 1], 0.5);
    expect(out[1]).toBeNaN();
    expect(out[2]).toBeCloseTo(1, 12);
  });
});

describe("searching in x", () => {
  it("finds the nearest point", () => {
    expect(nearest([0, 10, 20], 14)).toBe(1);
    expect(nearest([0, 10, 20], 16)).toBe(2);
    expect(nearest([], 1)).toBe(-1);
    expect(lowerBound([1, 3, 3, 5], 3)).toBe(1);
  });
});
