import { describe, expect, it } from "vitest";
import { groupTags, joinList, recordsOf, splitList, tagsOf } from "../src/lib/catalog";
import { largest, norms, strongestInput } from "../src/lib/filters";
import { ago, agoStays, count, duration, exact, number, percent, tick } from "../src/lib/format";
import { scaleToFit } from "../src/lib/frames";
import { bucketsOf, resample } from "../src/lib/histogram";
import { GrowingSeries } from "../src/lib/series";
import { gridShape, visibleCells } from "../src/lib/virtual";
import { arrange, countBytes, quantiles, shrink, valueAt } from "../src/lib/voxels";
import type { RunInfo } from "../src/source/source";

const record = (id: string, step: number, tag = "conv1", kind = "topk") => ({
  id,
  kind,
  tag,
  step,
  wall_time: 0,
  bytes: 1,
});
const run: RunInfo = {
  name: "r",
  last_wall_time: null,
  problems: [],
  series: [{ kind: "scalar", tag: "loss", count: 1, first_step: 0, last_step: 0, last_wall_time: 0 }],
  records: [record("a", 5), record("b", 0), record("c", 5), record("d", 0, "conv2")],
};

describe("catalog", () => {
  it("lets a later record of the same step supersede the earlier one", () => {
    expect(recordsOf(run, "topk", "conv1").map(({ id }) => id)).toEqual(["b", "c"]);
  });

  it("lists tags in order of appearance and groups them by prefix", () => {
    expect(tagsOf(run, "topk")).toEqual(["conv1", "conv2"]);
    expect([...groupTags(["loss/a", "lr", "loss/b", "x/y/z"])]).toEqual([
      ["", ["lr"]],
      ["loss", ["loss/a", "loss/b"]],
      ["x/y", ["x/y/z"]],
    ]);
  });

  it("keeps run names with commas apart", () => {
    expect(splitList(joinList(["a,b", "50%", "c"]))).toEqual(["a,b", "50%", "c"]);
  });
});

describe("numbers as people read them", () => {
  it("shows four digits and names what is not finite", () => {
    expect(
      [0, 1, -0.5, 0.012345, 123.456, 12345, 1e-7, Number.NaN, Number.NEGATIVE_INFINITY].map((v) =>
        number(v),
      ),
    ).toEqual(["0", "1", "−0.5", "0.01235", "123.5", "12,345", "1e-7".replace("-", "−"), "NaN", "−∞"]);
  });

  it("writes counts, shares, times and ticks", () => {
    expect([
      count(2304),
      percent(0.123),
      percent(0.0123),
      percent(0),
      tick(12_000),
      exact(0.1 + 0.2),
    ]).toEqual(["2,304", "12 %", "1.2 %", "0 %", "12k", "0.3"]);
    expect([duration(5), duration(65), duration(7200), ago(0.4), ago(2), ago(300)]).toEqual([
      "5 s",
      "1 min 5 s",
      "2 h 0 min",
      "just now",
      "just now",
      "5 min ago",
    ]);
    expect([20, 61, 119, 7200].map(ago)).toEqual([
      "less than a minute ago",
      "1 min ago",
      "1 min ago",
      "2 h ago",
    ]);
    for (const seconds of [-3, 0, 9.5, 12, 59, 60, 100, 3599]) {
      const after = agoStays(seconds);
      expect([ago(seconds + after - 0.01), ago(seconds + after) === ago(seconds)]).toEqual([
        ago(seconds),
        false,
      ]);
    }
  });
});

describe("histograms", () => {
  const data = {
    step: Float64Array.of(0),
    wallTime: Float64Array.of(0),
    stats: Float64Array.of(-1, 3, 10, 0, 0),
    offset: Int32Array.of(0, 3),
    limit: Float64Array.of(0, 1, Number.POSITIVE_INFINITY),
    count: Float64Array.of(2, 4, 4),
    special: Float64Array.of(0, 0, 0),
  };

  it("starts at the minimum and ends at the maximum, whatever the limits", () => {
    expect(bucketsOf(data, 0)).toEqual({ left: [-1, 0, 1], right: [0, 1, 3], count: [2, 4, 4] });
  });

  it("loses nothing when it is redrawn on even bins", () => {
    for (const bins of [1, 3, 4, 97]) {
      const total = resample(bucketsOf(data, 0), -1, 3, bins).reduce((a, b) => a + b, 0);
      expect(total).toBeCloseTo(10, 9);
    }
    expect([...resample(bucketsOf(data, 0), -1, 3, 4)]).toEqual([2, 4, 2, 2]);
  });
});

describe("filters", () => {
  const weight = { shape: [2, 2, 1, 2], data: Float32Array.of(3, 4, 0, -1, 0, 0, 0, 2) };

  it("measures every filter", () => {
    expect([...norms(weight)].map((n) => n.toFixed(4))).toEqual([Math.sqrt(26).toFixed(4), "2.0000"]);
    expect([largest(weight, 0), largest(weight, 1)]).toEqual([4, 2]);
    expect([strongestInput(weight, 0), strongestInput(weight, 1)]).toEqual([0, 1]);
  });
});

describe("volumes", () => {
  const volume = {
    data: Uint8Array.of(0, 255, 0, 255),
    channels: 2,
    height: 1,
    width: 2,
    scale: Float32Array.of(0, 1, 0, 4),
  };

  it("gives values back from bytes", () => {
    expect(valueAt(volume, 1, 0, 1)).toBe(4);
    expect(valueAt(volume, 0, 0, 1)).toBe(1);
  });

  it("reorders, on the layer's scale or on each channel's own", () => {
    const upTo = (high: number, own = false) => ({ own, scale: { low: 0, high, signed: false } });
    expect([...arrange(volume, [1, 0], upTo(4)).data]).toEqual([0, 255, 0, 64]);
    expect([...arrange(volume, [1, 0], upTo(2)).data]).toEqual([0, 255, 0, 128]);
    expect([...arrange(volume, [1, 0], upTo(4, true)).data]).toEqual([0, 255, 0, 255]);
  });

  it("finds the value below which a share of the voxels lies", () => {
    const [all, most] = quantiles(volume, countBytes(volume), [1, 0.75]);
    expect(all).toBeCloseTo(4, 2);
    expect(most).toBeCloseTo(1, 2);
  });

  it("shrinks to a limit and keeps the strongest voxels", () => {
    const data = new Uint8Array(5 * 3 * 3);
    data[44] = 200;
    const small = shrink({ data, channels: 5, height: 3, width: 3 }, 2);
    expect([small.channels, small.height, small.width]).toEqual([2, 2, 2]);
    expect(Math.max(...small.data)).toBe(200);
    expect(shrink(small, 4)).toBe(small);
  });
});

describe("growing and laying out", () => {
  it("appends to a series past its capacity", () => {
    const series = new GrowingSeries();
    const part = {
      step: Float64Array.from({ length: 300 }, (_, i) => i),
      wallTime: new Float64Array(300).fill(10),
      value: new Float64Array(300).fill(1),
    };
    series.append(part);
    series.append(part);
    expect(series.length).toBe(600);
    expect([series.step[299], series.step[300], series.value[599], series.x("relative")[5]]).toEqual([
      299, 0, 1, 0,
    ]);
  });

  it("shows just the rows on screen", () => {
    const shape = gridShape(1000, 430, 100, (width) => width, 10);
    expect([shape.columns, shape.cellWidth, shape.rows]).toEqual([4, 100, 250]);
    expect(visibleCells(1000, shape, 110, 0, 220, 0)).toEqual([0, 8]);
    expect(visibleCells(1000, shape, 110, 27_280, 30_000, 1)).toEqual([988, 1000]);
    expect(
      visibleCells(
        0,
        gridShape(0, 430, 100, () => 1, 10),
        11,
        0,
        100,
      ),
    ).toEqual([0, 0]);
  });

  it("centres a projection and fits it into the view", () => {
    const points = scaleToFit([10, 0, 12, 0, 14, 0], 2);
    expect([...points]).toEqual([-1, 0, 0, 0, 0, 0, 1, 0, 0]);
  });
});
