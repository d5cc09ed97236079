import { describe, expect, it } from "vitest";
import {
  BASIS,
  densityOf,
  edgesOf,
  groupsOf,
  nearestEntry,
  neighbour,
  placeOn,
  quantilesOf,
  scaleOf,
  spanOf,
  timesOf,
  valueOn,
} from "../src/lib/distribution";
import { isGradient, kindOf, type Layer, marksOf, THRESHOLDS } from "../src/lib/gradients";
import { bucketsOf, estimate, momentsOf, quantiles, rebin, specialOf } from "../src/lib/histogram";
import type { Histograms } from "../src/source/source";
import { roundTicks, valueTicks } from "../src/views/panels/histogramfigure";

interface One {
  readonly limit: readonly number[];
  readonly count: readonly number[];
  readonly stats: readonly [number, number, number, number, number];
  readonly special?: readonly [number, number, number];
}

function series(ones: readonly One[], step = ones.map((_, i) => i)): Histograms {
  const offset = [0];
  for (const { limit } of ones) offset.push(offset[offset.length - 1] + limit.length);
  return {
    step: Float64Array.from(step),
    wallTime: Float64Array.from(step, (at) => 1000 + 10 * at),
    stats: Float64Array.from(ones.flatMap(({ stats }) => stats)),
    offset: Int32Array.from(offset),
    limit: Float64Array.from(ones.flatMap(({ limit }) => limit)),
    count: Float64Array.from(ones.flatMap(({ count }) => count)),
    special: Float64Array.from(ones.flatMap(({ special }) => special ?? [0, 0, 0])),
  };
}

/** Values that are spread evenly within their buckets, one by one: what quantiles are of by definition. */
function spread(left: readonly number[], right: readonly number[], count: readonly number[]): number[] {
  const values = count.flatMap((n, j) =>
    Array.from({ length: n * 1000 }, (_, k) => left[j] + ((right[j] - left[j]) * (k + 0.5)) / (n * 1000)),
  );
  return values.sort((a, b) => a - b);
}

const shifted = (by: number): One => ({
  limit: [by - 1, by, by + 1],
  count: [0, 2, 2],
  stats: [by - 1, by + 1, 4, 4 * by, 4 * by * by + 2],
});

describe("quantiles from buckets", () => {
  it("are those of values that are spread evenly within each bucket", () => {
    let seed = 7;
    const random = (): number => {
      seed = (seed * 16807) % 2147483647;
      return seed / 2147483647;
    };
    for (let trial = 0; trial < 20; trial++) {
      const n = 1 + Math.floor(6 * random());
      const edges = Array.from({ length: n + 1 }, () => 20 * random() - 10).sort((a, b) => a - b);
      const count = Array.from({ length: n }, () => 1 + Math.floor(5 * random()));
      const [left, right] = [edges.slice(0, -1), edges.slice(1)];
      const all = spread(left, right, count);
      const shares = [0.05, 0.16, 0.3085, 0.5, 0.84, 0.95];
      quantiles({ left, right, count }, shares).forEach((value, k) => {
        const near = Math.max(...right.map((end, j) => (end - left[j]) / (1000 * count[j])));
        const plain = all[Math.min(all.length - 1, Math.floor(shares[k] * all.length))];
        expect(Math.abs(value - plain)).toBeLessThanOrEqual(2 * near + 1e-12);
      });
    }
  });

  it("end at the smallest and the largest value, and need no width", () => {
    const buckets = { left: [-2, 5], right: [-1, 5], count: [3, 1] };
    expect(quantiles(buckets, [0, 0.75, 0.8, 1])).toEqual([-2, -1, 5, 5]);
    expect(quantiles({ left: [3], right: [3], count: [1] }, BASIS)).toEqual(BASIS.map(() => 3));
    expect(quantiles({ left: [], right: [], count: [] }, [0, 0.5])).toEqual([Number.NaN, Number.NaN]);
  });

  it("of several steps keep the lowest and the highest, and the middle median", () => {
    const data = series([shifted(0), shifted(10), shifted(3)]);
    expect(quantilesOf(data, { entries: [0, 1, 2], at: 1 }, [0, 0.5, 1])).toEqual([-1, 3, 11]);
    const hollow = series([shifted(0), { limit: [0], count: [0], stats: [0, 0, 0, 0, 0] }]);
    expect(quantilesOf(hollow, { entries: [0, 1], at: 0 }, [0, 1])).toEqual([-1, 1]);
    expect(quantilesOf(hollow, { entries: [1], at: 1 }, [0.5])).toEqual([Number.NaN]);
  });
});

describe("odd histograms", () => {
  const data = series([
    { limit: [0], count: [0], stats: [0, 0, 0, 0, 0], special: [50, 0, 0] },
    { limit: [3, 3.25], count: [0, 1], stats: [3, 3, 1, 3, 9] },
    { limit: [1, 2, 4], count: [0, 1, 1], stats: [1, 4, 2, Number.NaN, Number.NaN] },
    {
      limit: [-1, 1, 1.7e308],
      count: [0, 1, 1],
      stats: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2, 0, 1],
    },
    { limit: [0, 1, 2], count: [0, Number.NaN, 4], stats: [0, 2, 4, 6, 9.5] },
  ]);

  it("of nothing finite, of a single value, of unknown ends and broken counts make sense", () => {
    expect(bucketsOf(data, 0)).toEqual({ left: [], right: [], count: [] });
    expect(bucketsOf(data, 1)).toEqual({ left: [3], right: [3], count: [1] });
    expect(bucketsOf(data, 3)).toEqual({ left: [-1, 1], right: [1, 1.7e308], count: [1, 1] });
    expect(bucketsOf(data, 4)).toEqual({ left: [1], right: [2], count: [4] });
    expect(specialOf(data, 0)).toEqual({ nan: 50, infinite: 0, zero: 0 });
  });

  it("take moments from the sums, or from the buckets where there are none", () => {
    expect(momentsOf(data, 1)).toEqual({ number: 1, mean: 3, rms: 3, estimated: false });
    const estimated = momentsOf(data, 2);
    expect(estimated.estimated).toBe(true);
    const all = spread([1, 2], [2, 4], [1, 1]);
    expect(estimated.mean).toBeCloseTo(all.reduce((sum, x) => sum + x, 0) / all.length, 6);
    expect(estimated.rms ** 2).toBeCloseTo(all.reduce((sum, x) => sum + x * x, 0) / all.length, 5);
    expect(estimate({ left: [], right: [], count: [] }).rms).toBeNaN();
  });

  it("have a scale whatever they hold", () => {
    const [nothing, single] = [
      series([{ limit: [], count: [], stats: [0, 0, 0, 0, 0] }]),
      series([shifted(0)]),
    ];
    expect(scaleOf([nothing], false)).toEqual({ low: -1, high: 1, linear: 0 });
    expect(scaleOf([single], false)).toEqual({ low: -1, high: 1, linear: 0 });
    const { low, high } = scaleOf(
      [series([{ limit: [3, 3.25], count: [0, 1], stats: [3, 3, 1, 3, 9] }])],
      true,
    );
    expect(low).toBeLessThan(3);
    expect(high).toBeGreaterThan(3);
  });
});

describe("rebinning", () => {
  const buckets = { left: [-1, 0, 1, 2], right: [0, 1, 1, 5], count: [4, 2, 7, 6] };

  it("loses nothing, on even edges and on logarithmic ones", () => {
    for (const edges of [
      [-1, 5],
      [-1, 0.5, 5],
      [...edgesOf({ low: -1, high: 5, linear: 0.1 }, 33)],
      [1, 2, 3],
    ]) {
      expect(rebin(buckets, edges).reduce((sum, n) => sum + n, 0)).toBeCloseTo(19, 9);
    }
  });

  it("is the plain overlap of each bucket with each bin", () => {
    expect([...rebin(buckets, [-1, -0.5, 0.5, 1, 3, 5])]).toEqual([2, 3, 1, 9, 4]);
  });

  it("puts steps that share a pixel together, and leaves others alone", () => {
    const times = Float64Array.from({ length: 1000 }, (_, i) => i);
    const groups = groupsOf(times, spanOf([times]), 48);
    expect(groups.length).toBe(48);
    expect(groups.flatMap(({ entries }) => entries)).toEqual([...times]);
    expect(groupsOf(Float64Array.of(5, 0, 5), [0, 5], 8).map(({ entries }) => entries)).toEqual([
      [1],
      [0],
      [2],
    ]);
    const data = series([shifted(0), shifted(0.5)]);
    expect([...densityOf(data, { entries: [0, 1], at: 0 }, [-1, 0, 2])]).toEqual([1.5, 2.5]);
  });
});

describe("places", () => {
  it("in time are steps, seconds since the first, or of the clock", () => {
    const data = series([shifted(0), shifted(1)], [4, 6]);
    expect([...timesOf(data, "step")]).toEqual([4, 6]);
    expect([...timesOf(data, "relative")]).toEqual([0, 20]);
    expect([...timesOf(data, "wall")]).toEqual([1040, 1060]);
    expect(spanOf([Float64Array.of(3)])).toEqual([2.5, 3.5]);
  });

  it("of entries are found by time, also where steps went back", () => {
    const times = [0, 10, 20, 5];
    expect([nearestEntry(times, 6), nearestEntry(times, 99), nearestEntry([], 0)]).toEqual([3, 2, -1]);
    expect([neighbour(times, 0, 1), neighbour(times, 3, 1), neighbour(times, 2, 5)]).toEqual([3, 1, 2]);
  });

  it("on a scale and values there are each other's inverse", () => {
    for (const linear of [0, 0.01])
      for (const value of [-3, -0.02, 0, 1e-3, 40]) {
        const scale = { low: -3, high: 40, linear };
        expect(valueOn(scale, placeOn(scale, value))).toBeCloseTo(value, 9);
      }
  });

  it("at an axis are round", () => {
    expect(roundTicks(0, 9, 4)).toEqual([0, 5]);
    expect(roundTicks(-0.3, 0.31, 4)).toEqual([-0.2, 0, 0.2]);
    expect(valueTicks({ low: -2, high: 200, linear: 0.1 }, 4)).toContain(100);
  });
});

describe("gradients", () => {
  const layer = (
    tag: string,
    rms: readonly number[],
    broken: readonly number[] = rms.map(() => 0),
  ): Layer => ({
    tag,
    step: rms.map((_, i) => 10 * i),
    rms,
    broken,
  });

  it("are known by their tags, and compared with their kind", () => {
    expect(["grad/conv1", "Gradients/x", "conv1.weight.grad", "weights/conv1"].map(isGradient)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(["grad/a.weight", "a.bias.grad", "grads/dense/kernel:0", "grad/a"].map(kindOf)).toEqual([
      "weights",
      "biases",
      "weights",
      "others",
    ]);
  });

  it("vanish beside the largest of their kind at the same step, and below the floor", () => {
    const layers = [
      layer("grad/0.weight", [1e-6, 1e-3]),
      layer("grad/1.weight", [1e-2, 1e-2]),
      layer("grad/1.bias", [1e-7, 5e-8]),
    ];
    const marks = marksOf(layers, THRESHOLDS);
    expect(marks.get("grad/0.weight")).toEqual(["vanishing", ""]);
    expect(marks.get("grad/1.weight")).toEqual(["", ""]);
    expect(marks.get("grad/1.bias")).toEqual(["", "vanishing"]);
    const zeros = [layer("grad/0.weight", [0, 0])];
    expect(marksOf(zeros, { vanish: 0, floor: 0, explode: 0 }).get("grad/0.weight")).toEqual(["", ""]);
    const strict = marksOf(layers, { vanish: 0.5, floor: 0, explode: 100 });
    expect(strict.get("grad/0.weight")).toEqual(["vanishing", "vanishing"]);
    expect(strict.get("grad/1.bias")).toEqual(["", ""]);
  });

  it("are compared with the last of other layers that are logged less often", () => {
    const often = { tag: "grad/a", step: [0, 10, 20], rms: [1, 1e-5, 1e-5], broken: [0, 0, 0] };
    const seldom = { tag: "grad/b", step: [0], rms: [1], broken: [0] };
    expect(marksOf([often, seldom], THRESHOLDS).get("grad/a")).toEqual(["", "vanishing", "vanishing"]);
  });

  it("explode against the median of their own earlier steps, and with values that are not finite", () => {
    const calm = Array.from({ length: 6 }, () => 1e-3);
    const marks = marksOf(
      [layer("grad/a", [...calm, 0.11, 0.09]), layer("grad/b", [1, 2], [0, 3])],
      THRESHOLDS,
    );
    expect(marks.get("grad/a")).toEqual([...calm.map(() => ""), "exploding", ""]);
    expect(marks.get("grad/b")).toEqual(["", "exploding"]);
    expect(marksOf([layer("grad/a", [1e-3, 10])], THRESHOLDS).get("grad/a")).toEqual(["", ""]);
  });

  it("that explode make no others vanish", () => {
    const calm = Array.from({ length: 6 }, () => 1e-3);
    const marks = marksOf([layer("grad/a", [...calm, 1e5]), layer("grad/b", [...calm, 1e-3])], THRESHOLDS);
    expect(marks.get("grad/b")?.[6]).toBe("");
  });

  it("take the median of at most a hundred earlier steps, as if it were counted anew each time", () => {
    let seed = 3;
    const rms = Array.from({ length: 400 }, () => {
      seed = (seed * 16807) % 2147483647;
      return 10 ** ((4 * seed) / 2147483647);
    });
    const plain = rms.map((value, i) => {
      const earlier = rms.slice(Math.max(0, i - 100), i).sort((a, b) => a - b);
      return earlier.length >= 5 && value > 20 * earlier[earlier.length >> 1] ? "exploding" : "";
    });
    const found = marksOf([layer("grad/a", rms)], { vanish: 0, floor: 0, explode: 20 }).get("grad/a");
    expect(found).toEqual(plain);
    expect(plain).toContain("exploding");
  });
});
