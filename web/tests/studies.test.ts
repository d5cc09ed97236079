import { describe, expect, it } from "vitest";
import {
  type AblationData,
  areaOf,
  baselineOf,
  classCurve,
  fetchAblation,
  ordinal,
  placeOfCount,
  progressOf,
  zeroedAt,
} from "../src/lib/ablationdata";
import { channelPages } from "../src/lib/channelpages";
import {
  fetchGradients,
  largestShown,
  partOf,
  shownNorms,
  shownValues,
  volumeTag,
} from "../src/lib/gradientdata";
import { groupSize, groupsNamed, groupsOf, groupText, predictionText } from "../src/lib/groups";
import { fetchImportance, filtersFound, usualColumns, valuesOf } from "../src/lib/importancedata";
import { areaUnder, fallsMost, largestFirst, meanHeight, ranks, sortedBy } from "../src/lib/ranks";
import { spearman } from "../src/lib/spearman";
import type { Index, Json, Source, Tensor, Tensors } from "../src/source/source";
import { pointsCsv, shareText } from "../src/views/panels/ablationcurves";
import { importanceCsv } from "../src/views/panels/importancetable";

const tensor = (shape: number[], data: number[]): Tensor => ({ shape, data: Float64Array.from(data) });

/** A host with one record, which counts what it is asked for. */
function host(arrays: Tensors, meta: Record<string, Json>) {
  const asked: string[] = [];
  const info = Object.fromEntries(
    Object.entries(arrays).map(([name, { shape }]) => [name, { dtype: "F64", shape }]),
  );
  const source = {
    record: () =>
      Promise.resolve({
        id: "r",
        kind: "k",
        tag: "conv1",
        step: 0,
        wall_time: 0,
        meta,
        arrays: info,
        pictures: {},
      }),
    arrays: (_run: string, _id: string, names: string[], _signal?: AbortSignal, rows?: [number, number]) => {
      asked.push(`${names.join()}${rows ? `[${rows}]` : ""}`);
      const found = names.map((name): [string, Tensor] => {
        const { shape, data } = arrays[name];
        const size = data.length / shape[0];
        const [from, to] = rows ?? [0, shape[0]];
        return [name, { shape: [to - from, ...shape.slice(1)], data: data.subarray(from * size, to * size) }];
      });
      return Promise.resolve(Object.fromEntries(found));
    },
  } as unknown as Source;
  return { source, asked, signal: new AbortController().signal };
}

describe("ranks", () => {
  it("give the best rank to equals and the last to what is no number", () => {
    expect(largestFirst([1, Number.NaN, 3, 1])).toEqual([2, 0, 3, 1]);
    expect([...ranks([1, Number.NaN, 3, 1])]).toEqual([2, 4, 1, 2]);
    expect([...ranks([])]).toEqual([]);
  });

  it("name what is high in one and low in the other", () => {
    const [one, other] = [ranks([9, 8, 7, 1]), ranks([0, 5, 9, 8])];
    expect(fallsMost(one, other, 5)).toEqual([0, 1]);
    expect(fallsMost(other, one, 1)).toEqual([2]);
    expect(fallsMost(one, one, 5)).toEqual([]);
  });

  it("sort by numbers and words, ties in their order, what is missing at the end both ways", () => {
    const values = [2, Number.NaN, 1, 2];
    expect(sortedBy([0, 1, 2, 3], (i) => values[i], false)).toEqual([2, 0, 3, 1]);
    expect(sortedBy([0, 1, 2, 3], (i) => values[i], true)).toEqual([0, 3, 2, 1]);
    expect(sortedBy([0, 1, 2], (i) => ["b", "a", "c"][i], false)).toEqual([1, 0, 2]);
  });

  it("agree with Spearman's formula where nothing is tied, and with the worked value where something is", () => {
    const rows = [0, 1, 2, 3, 4];
    const [a, b] = [
      [10, 20, 30, 40, 50],
      [1, 3, 2, 5, 4],
    ];
    const squares = 0 + 1 + 1 + 1 + 1;
    expect(spearman(a, b, rows).rho).toBeCloseTo(1 - (6 * squares) / (5 * 24), 12);
    expect(
      spearman(
        a,
        [...b].reverse().map((v) => -v),
        rows,
      ).rho,
    ).toBeCloseTo(0.8, 12);
    expect(spearman([1, 1, 2, 3], [1, 2, 3, 3], [0, 1, 2, 3]).rho).toBeCloseTo(8 / 9, 12);
  });
});

describe("areas under curves", () => {
  it("are trapezoids over what is measured", () => {
    expect(areaUnder([0, 1, 3], [1, 0, 1])).toEqual({ area: 1.5, from: 0, to: 3 });
    expect(areaUnder([0, 0.5, 1], [1, 0.5, Number.NaN])).toEqual({ area: 0.375, from: 0, to: 0.5 });
    expect(areaUnder([1, 0, 0.5], [3, 1, 2])).toEqual({ area: 2, from: 0, to: 1 });
    expect(meanHeight([0, 0.5, 1], [1, 0.5, Number.NaN])).toBe(0.75);
    expect(meanHeight([0, 1], [Number.NaN, 4])).toBe(4);
    expect(meanHeight([0, 1], [Number.NaN, Number.NaN])).toBeNaN();
  });
});

describe("groups", () => {
  const told = [
    {
      name: "a.jpg",
      class: 3,
      class_name: "cat",
      images: 1,
      image: "a.jpg",
      predicted: 4,
      predicted_name: "dog",
      correct: false,
    },
    {
      name: "mean for cat",
      class: 3,
      class_name: "cat",
      images: 12,
      image: null,
      predicted: null,
      correct: null,
    },
    "nonsense",
  ];
  const groups = groupsOf(told, 4);

  it("tell right and wrong in words", () => {
    expect(groups.map(groupText)).toEqual([
      "a.jpg · cat · predicted wrong",
      "mean for cat · cat",
      "group 2",
      "group 3",
    ]);
    expect(predictionText(groups[0])).toBe("Predicted wrong: dog.");
    expect(predictionText({ ...groups[0], verdict: "right", predicted: "cat" })).toBe(
      "Predicted right: cat.",
    );
    expect(predictionText(groups[1])).toBe("");
    expect(groups.map(groupSize)).toEqual(["one image, a.jpg", "mean over 12 images", "", ""]);
  });

  it("are found by name, class and prediction", () => {
    expect(groupsNamed(groups, "CAT")).toEqual([0, 1]);
    expect(groupsNamed(groups, "dog")).toEqual([0]);
    expect(groupsNamed(groups, "")).toEqual([0, 1, 2, 3]);
  });
});

describe("weight gradients", () => {
  const numbers = Array.from({ length: 2 * 2 * 3 * 1 * 2 }, (_, i) => (i % 2 ? -i : i));
  const gradient = tensor([2, 2, 3, 1, 2], numbers);
  const sums = tensor([2, 2, 1, 2], [6, -9, 24, -27, 42, -45, 60, -63]);
  const arrays = { gradient, sum: sums, norm: tensor([2, 2], [1, 2, 3, 4]) };

  it("are drawn as their sum, their colours or one input", async () => {
    const { source, signal } = host(arrays, {
      order: "BGR",
      layer: "conv1",
      preprocessing: { size: [8, 8], crop: null },
    });
    const data = await fetchGradients(source, "run", "r", signal);
    expect([data.colours, data.preprocessing]).toEqual([[2, 1, 0], "size [8,8]"]);
    expect([undefined, "rgb", "1", "9", "x"].map((value) => partOf(data, value))).toEqual([
      "sum",
      "rgb",
      1,
      2,
      "sum",
    ]);
    const whole = data.store.have("rgb", 1) ?? [];
    expect(shownValues(data, 1, Float64Array.from(whole).subarray(0, 6)).map((plane) => [...plane])).toEqual([
      [14, -15],
    ]);
    expect([largestShown(data, "sum", sums.data), largestShown(data, 0, gradient.data)]).toEqual([63, 19]);
    const [one, other] = [data.store.have("sum", 0), data.store.have("sum", 1)];
    const apart = shownNorms(data, "sum", one as Float64Array, other as Float64Array);
    for (const norm of apart) expect(norm).toBeCloseTo(36 * Math.SQRT2, 12);
  });

  it("of large layers are fetched group by group, once", async () => {
    const { source, asked, signal } = host(arrays, {});
    const record = await source.record("run", "r");
    const large = {
      ...record,
      arrays: { ...record.arrays, gradient: { dtype: "F64", shape: [2, 512, 512, 3, 3] } },
    };
    const data = await fetchGradients(
      { ...source, record: () => Promise.resolve(large) },
      "run",
      "r",
      signal,
    );
    expect(data.store.all("rgb")).toBeUndefined();
    await Promise.all([data.store.want(0, 1), data.store.want(1, 1)]);
    await data.store.want(2, 1);
    expect(asked).toEqual(["sum,norm", "gradient[1,2]"]);
  });

  it("lead to the volume of the same group only", () => {
    const [group] = groupsOf([{ name: "a.jpg", class_name: "cat" }], 1);
    const tags = ["conv1/a.jpg", "conv10/a.jpg, gradient of cat", "conv1/a.jpg, gradient of cat"];
    expect(volumeTag(tags, "conv1", group)).toBe("conv1/a.jpg, gradient of cat");
    expect(volumeTag(tags.slice(0, 2), "conv1", group)).toBeUndefined();
  });
});

describe("importance", () => {
  it("gives a measure of a group, and all of them as a file", async () => {
    const meta = { measures: ["taylor"], groups: [{ name: "all" }, { name: "c", class_name: "=cat" }] };
    const { source, signal } = host(
      { importance: tensor([2, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) },
      meta,
    );
    const data = await fetchImportance(source, "run", "r", signal);
    expect(data.measures).toEqual(["taylor", "measure 1"]);
    expect([...(valuesOf(data, 1, 1) ?? [])]).toEqual([9, 10, 11]);
    expect(importanceCsv(data).split("\r\n").slice(0, 5)).toEqual([
      "class,filter,taylor,measure 1",
      "all,0,0,6",
      "all,1,1,7",
      "all,2,2,8",
      "'=cat,0,3,9",
    ]);
  });

  it("finds filters by the beginning of their number", () => {
    expect([...filtersFound("#1", 12)]).toEqual([1, 10, 11]);
    expect(filtersFound("cat", 12).size).toBe(0);
    expect([96, 512, 2048].map(usualColumns)).toEqual([16, 32, 64]);
  });
});

describe("ablation", () => {
  const nan = Number.NaN;
  const meta = {
    curves: [{ name: "least first", measure: "taylor", seed: null }],
    classes: [{ class: 7, name: "cat" }],
  };
  const arrays = {
    order: tensor([2, 4], [3, 1, 0, 2, 2, 0, 1, 3]),
    removed: tensor([3], [0, 2, 4]),
    accuracy: tensor([2, 3], [0.9, 0.8, 0.1, nan, 0.5, nan]),
    loss: tensor([2, 3], [0, 1, 2, nan, 1, nan]),
    class_accuracy: tensor([2, 3, 2], [1, 0.8, 0.9, 0.7, 0.2, 0, nan, nan, 0.5, 0.5, nan, nan]),
    support: tensor([2], [10, 10]),
  };
  const open = (): Promise<AblationData> => {
    const { source, signal } = host(arrays, meta);
    return fetchAblation(source, "run", "r", signal);
  };

  it("tells how far it is, where it began, and what went at each place", async () => {
    const data = await open();
    expect(progressOf(data)).toEqual({ done: 4, total: 6 });
    expect(baselineOf(data)).toBe(0.9);
    expect(zeroedAt(data, data.curves[0], 0)).toEqual([]);
    expect(zeroedAt(data, data.curves[0], 1)).toEqual([3, 1]);
    expect(zeroedAt(data, data.curves[1], 2)).toEqual([1, 3]);
    expect([...(classCurve(data, 0, 1) ?? [])]).toEqual([0.8, 0.7, 0]);
    expect(data.classes).toEqual([
      { label: 7, name: "cat" },
      { label: 1, name: "class 1" },
    ]);
  });

  it("reads curves at a number of zeroed filters, and their area as far as it is known", async () => {
    const data = await open();
    const [least, other] = data.curves;
    expect([0, 1, 3, 4].map((n) => placeOfCount(data, least.accuracy, n))).toEqual([0, 0, 1, 2]);
    expect([1, 4].map((n) => placeOfCount(data, other.accuracy, n))).toEqual([-1, 1]);
    expect(areaOf(data, least.accuracy).mean).toBeCloseTo((0.85 + 0.45) / 2, 12);
    expect(areaOf(data, other.accuracy)).toEqual({ mean: 0.5, to: 0.5 });
  });

  it("is saved with empty cells where nothing is measured", async () => {
    const lines = pointsCsv(await open()).split("\r\n");
    expect(lines[0]).toBe("order,zeroed,share,filters,accuracy,loss,cat,class 1");
    expect(lines[2]).toBe("least first,2,0.5,3 1,0.8,1,0.9,0.7");
    expect(lines[4]).toBe("order 1,0,0,,,,,");
    expect([shareText(nan, "accuracy"), shareText(-0.018, "accuracy")]).toEqual(["not measured", "−1.8 %"]);
    expect([1, 2, 3, 11, 22, 113].map(ordinal)).toEqual(["1st", "2nd", "3rd", "11th", "22nd", "113th"]);
  });
});

it("a channel leads to the pages that know its layer, but for the one it is on", () => {
  const record = (kind: string, tag: string) => ({ id: kind, kind, tag, step: 0, wall_time: 0, bytes: 0 });
  const records = [record("filters", "conv1"), record("importance", "conv1"), record("topk", "conv2")];
  const run = { name: "a", last_wall_time: 0, series: [], records, problems: [] };
  const index = { logdir: "", version: 1, runs: [run] } as unknown as Index;
  const links = channelPages(index, { view: "importance", params: { of: "3" } }, "a", "conv1", 5);
  expect(links).toEqual([{ text: "Its filter", href: "#/filters?run=a&tag=conv1&ch=5" }]);
});
