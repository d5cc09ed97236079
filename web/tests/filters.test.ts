import { describe, expect, it } from "vitest";
import { table } from "../src/lib/colour";
import { otherChange, otherKey, otherOf, otherOptions } from "../src/lib/filtercompare";
import { drawingOf, type FilterData, fetchFilters, flagsOf } from "../src/lib/filterdata";
import { mapPictures, mapPixels } from "../src/lib/filtermaps";
import { chosenFilters, sortFilters } from "../src/lib/filterorder";
import { drawnSize, filterPixels, relativeChange, sliceEnergies } from "../src/lib/filters";
import { Rows, rangesOf } from "../src/lib/rows";
import type { Index, RecordMeta, Source, Tensor, Tensors } from "../src/source/source";

const shape = { out: 2, input: 4, height: 3, width: 3 };
const zero = [...table("diverging").subarray(3 * 128, 3 * 128 + 3)];
const tensor = (...sizes: number[]): Tensor => {
  const size = sizes.reduce((a, b) => a * b, 1);
  return { shape: sizes, data: Float32Array.from({ length: size }, (_, i) => i) };
};

describe("pictures of filters", () => {
  it("put zero into the middle of the scale and the ends at its ends", () => {
    const row = Float32Array.of(0, 2, -2, Number.NaN);
    const pixels = filterPixels(
      row,
      { out: 1, input: 1, height: 2, width: 2 },
      { kind: "slice", input: 0 },
      2,
    );
    const colours = table("diverging");
    expect([...pixels.subarray(0, 3)]).toEqual(zero);
    expect([...pixels.subarray(4, 7)]).toEqual([...colours.subarray(3 * 255)]);
    expect([...pixels.subarray(8, 11)]).toEqual([...colours.subarray(3, 6)]);
    expect([...pixels.subarray(12, 16)]).toEqual([...zero, 255]);
  });

  it("draw the colours of a network that reads blue first in their places", () => {
    const row = Float32Array.of(1, 0, -1);
    const one = { out: 1, input: 3, height: 1, width: 1 };
    const draw = (inputs: [number, number, number]): number[] => [
      ...filterPixels(row, one, { kind: "colour", inputs }, 1),
    ];
    expect(draw([0, 1, 2])).toEqual([255, 128, 1, 255]);
    expect(draw([2, 1, 0])).toEqual([1, 128, 255, 255]);
  });

  it("put all slices side by side, with nothing between them", () => {
    const row = new Float32Array(36);
    row[2 * 9] = 1;
    const { width, height } = drawnSize(shape, { kind: "all" });
    const pixels = filterPixels(row, shape, { kind: "all" }, 1);
    expect([width, height, pixels.length]).toEqual([26, 26, 4 * 26 * 26]);
    const at = (x: number, y: number): number[] => [
      ...pixels.subarray(4 * (y * width + x), 4 * (y * width + x) + 4),
    ];
    expect(at(0, 0)).toEqual([...zero, 255]);
    expect(at(0, 14)).toEqual([...table("diverging").subarray(3 * 255), 255]);
    expect(at(3, 17)).toEqual(at(0, 14));
    expect(at(4, 17)).toEqual([...zero, 255]);
    expect(at(12, 0)).toEqual([0, 0, 0, 0]);
  });

  it("measure slices and differences", () => {
    expect([
      ...sliceEnergies(Float32Array.of(1, 2, Number.NaN, 3), { out: 1, input: 2, height: 1, width: 2 }),
    ]).toEqual([5, 9]);
    const a = Float32Array.of(3, 4);
    expect([relativeChange(a, a), relativeChange(a, Float32Array.of(-3, -4))]).toEqual([0, 2]);
    expect(relativeChange(a, Float32Array.of(0, 0))).toBe(1);
    expect(relativeChange(Float32Array.of(0), Float32Array.of(0))).toBe(0);
  });
});

describe("rows", () => {
  it("are asked for in as few answers as is worth it", () => {
    expect(rangesOf([5, 3, 4, 9], 0, 100)).toEqual([
      [3, 6],
      [9, 10],
    ]);
    expect(rangesOf([3, 6], 2, 100)).toEqual([[3, 7]]);
    expect(rangesOf([0, 1, 2, 3], 0, 2)).toEqual([
      [0, 2],
      [2, 4],
    ]);
    expect(rangesOf([], 0, 2)).toEqual([]);
  });

  it("are fetched once, together, and only while somebody wants them", async () => {
    const whole = tensor(1000, 600);
    const asked: string[] = [];
    const rows = new Rows(600, (start, stop) => {
      asked.push(`${start}:${stop}`);
      return Promise.resolve({ shape: [stop - start, 600], data: whole.data.slice(600 * start, 600 * stop) });
    });
    const gone = new AbortController();
    gone.abort();
    void rows.want(500, gone.signal);
    const [a, b] = await Promise.all([rows.want(7), rows.want(8)]);
    expect([a[0], b[599], asked]).toEqual([4200, 5399, ["7:9"]]);
    expect(rows.have(7)?.[1]).toBe(4201);
    await rows.want(8);
    expect([asked.length, rows.have(9)]).toEqual([1, undefined]);
  });

  it("say when they cannot be had", async () => {
    const rows = new Rows(4, () => Promise.reject(new Error("gone")));
    await expect(rows.want(1)).rejects.toThrow("gone");
  });
});

const meta = (arrays: Tensors, about: RecordMeta["meta"]): RecordMeta => ({
  id: "1",
  kind: "filters",
  tag: "conv1",
  step: 0,
  wall_time: 0,
  meta: about,
  arrays: Object.fromEntries(
    Object.entries(arrays).map(([name, { shape: of }]) => [name, { dtype: "F32", shape: of }]),
  ),
  pictures: {},
});

function sourceOf(arrays: Tensors, about: RecordMeta["meta"]): { source: Source; asked: string[] } {
  const asked: string[] = [];
  const source = {
    record: () => Promise.resolve(meta(arrays, about)),
    arrays: (_: string, __: string, names: string[]) => {
      asked.push(...names);
      return Promise.resolve(Object.fromEntries(names.map((name) => [name, arrays[name]])));
    },
  } as unknown as Source;
  return { source, asked };
}

const column = (...values: number[]): Tensor => ({ shape: [values.length], data: Float32Array.from(values) });
const SMALL: Tensors = {
  norm: column(1, 3, 2, 0),
  l1: column(1, 1, 1, 0),
  largest: column(1, 1, 1, 0),
  smoothness: column(5, 1, 9, Number.NaN),
  nearest: column(1, 0, 0, -1),
  cosine: column(-0.99, -0.99, 0.1, 0),
  order_similarity: column(1, 0, 2, 3),
  flags: { shape: [4], data: Uint8Array.of(8, 8 | 16, 0, 2) },
  strongest: column(0, 0, 0, 0),
};
const HEALTH = {
  sentence: "1 of 4 filters dead, 2 duplicate, 1 noisy.",
  flags: [
    { name: "dead", bit: 2, formula: "L2 norm < {threshold}", threshold: 1e-6, count: 1 },
    { name: "duplicate", bit: 8, formula: "|cosine| > {threshold}", threshold: 0.98, count: 2 },
    { name: "noisy", bit: 16, formula: "smoothness < {threshold}", threshold: 2, count: 1 },
  ],
};
const signal = new AbortController().signal;

describe("the data of filters", () => {
  it("leave large weights behind", async () => {
    const { source, asked } = sourceOf(
      { ...SMALL, weight: { shape: [4, 512, 64, 3], data: new Float32Array(0) }, slice: tensor(4, 64, 3) },
      { scale: 0.5, health: HEALTH, groups: 2, layer: "conv1" },
    );
    const data = await fetchFilters(source, "run", "1", signal);
    expect(asked).toContain("slice");
    expect(asked).not.toContain("weight");
    expect([data.weight.have(0), data.slice?.have(1)?.[0], data.scale, data.groups]).toEqual([
      undefined,
      192,
      0.5,
      2,
    ]);
    expect(data.health[0].formula).toBe("L2 norm < 1e−6");
    expect([0, 1, 2, 3].map((o) => flagsOf(data, o))).toEqual([
      ["duplicate"],
      ["duplicate", "noisy"],
      [],
      ["dead"],
    ]);
    expect(drawingOf(data, undefined)).toEqual({ kind: "strongest" });
    expect(drawingOf(data, "all")).toEqual({ kind: "all" });
    expect(drawingOf(data, "900")).toEqual({ kind: "slice", input: 511 });
  });

  it("of a record of an older version are measured here", async () => {
    const weight = { shape: [2, 4, 1, 1], data: Float32Array.of(0, -3, 4, 0, 0, 0, 0, Number.NaN) };
    const { source } = sourceOf({ weight }, { dead: [1, 7], weak: [] });
    const data = await fetchFilters(source, "run", "1", signal);
    expect([[...data.norm], [...data.strongest], data.slice?.have(0)?.[0]]).toEqual([[5, 0], [2, 0], 4]);
    expect([flagsOf(data, 1), data.health.map(({ count }) => count)]).toEqual([["dead"], [1, 0]]);
    expect(drawingOf(data, undefined)).toEqual({ kind: "all" });
  });

  it("are sorted and chosen", async () => {
    const { source } = sourceOf({ ...SMALL, weight: tensor(4, 1, 3, 3) }, { scale: 1, health: HEALTH });
    const data: FilterData = await fetchFilters(source, "run", "1", signal);
    const all = [0, 1, 2, 3];
    expect(sortFilters(all, "norm", data)).toEqual([1, 2, 0, 3]);
    expect(sortFilters(all, "similarity", data)).toEqual([1, 0, 2, 3]);
    expect(sortFilters(all, "smoothness", data)).toEqual([2, 0, 1, 3]);
    expect(sortFilters(all, "similarity", { ...data, similar: undefined })).toEqual(all);
    expect(chosenFilters(data, "", "duplicate")).toEqual([0, 1]);
    expect(chosenFilters(data, "#1", "duplicate")).toEqual([1]);
    expect(chosenFilters(data, "", "noisy")).toEqual([1]);
    expect(drawingOf(data, "3")).toEqual({ kind: "slice", input: 0 });
  });
});

const record = (id: string, kind: string, tag: string, step = 0) => ({
  id,
  kind,
  tag,
  step,
  wall_time: 0,
  bytes: 1,
});
const INDEX: Index = {
  logdir: "",
  version: 0,
  runs: [
    {
      name: "a/b",
      last_wall_time: null,
      series: [],
      problems: [],
      records: [
        record("1", "filters", "conv1", 0),
        record("2", "filters", "conv1", 5),
        record("3", "maps", "conv1 @ dog.png"),
        record("4", "maps", "conv1/cats/cat.png"),
        record("5", "maps", "conv10 @ dog.png"),
      ],
    },
    { name: "empty", last_wall_time: null, series: [], problems: [], records: [] },
  ],
};

describe("what filters are shown beside", () => {
  it("is any run, layer and step that has filters", () => {
    expect(otherOptions(INDEX).map(({ text }) => text)).toEqual(["nothing", "a/b · conv1"]);
    const change = otherChange(otherKey("a/b", "conv1"));
    expect(change).toEqual({ with: "a/b", layer: "conv1", at: null });
    expect(otherChange("")).toEqual({ with: null, layer: null, at: null });
    const at = (params: Record<string, string>): unknown => {
      const { other, note } = otherOf(INDEX, { view: "filters", params });
      return [other?.records[other.at].id, note];
    };
    expect(at({ with: "a/b", layer: "conv1" })).toEqual(["2", ""]);
    expect(at({ with: "a/b", layer: "conv1", at: "0" })).toEqual(["1", ""]);
    expect(at({})).toEqual([undefined, ""]);
    expect(at({ with: "empty" })).toEqual([undefined, "No filters of a run “empty” to compare with."]);
    expect(at({ with: "a/b", layer: "x" })).toEqual([undefined, "No “x” in a/b to compare with."]);
  });

  it("are the maps of its own layer", () => {
    expect(mapPictures(INDEX, "a/b", "conv1").map(({ id, name }) => [id, name])).toEqual([
      ["3", "dog.png"],
      ["4", "cats/cat.png"],
    ]);
    expect(mapPictures(INDEX, "gone", "conv1")).toEqual([]);
  });

  it("draws maps with negative values around zero", () => {
    const values = Uint8Array.of(0, 255);
    const signed = mapPixels({ values, width: 2, height: 1, low: -1, high: 1 });
    expect([...signed.subarray(4, 7)]).toEqual([...table("diverging").subarray(3 * 255)]);
    const positive = mapPixels({ values, width: 2, height: 1, low: 0, high: 4 });
    expect([...positive.subarray(0, 3)]).toEqual([...table("viridis").subarray(0, 3)]);
  });
});
