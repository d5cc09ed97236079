import { describe, expect, it } from "vitest";
import {
  type AuditData,
  dominance,
  dominatedBy,
  fetchAudit,
  groupsOf,
  layerShares,
  orderImages,
} from "../src/lib/auditdata";
import { auditFacts, dominanceText, explainPairs } from "../src/lib/auditpage";
import type { RecordMeta, Source, Tensors } from "../src/source/source";

const ARRAYS: Tensors = {
  index: { shape: [3], data: Float64Array.from([7, 2, 11]) },
  label: { shape: [3], data: Int32Array.from([1, -1, 5]) },
  channels: { shape: [3], data: Int32Array.from([12, 4, 2]) },
  first: { shape: [3], data: Int32Array.from([1, 3, 0]) },
  layer_channels: { shape: [3, 2], data: Int32Array.from([4, 8, 2, 2, 0, 2]) },
  duplicate: { shape: [1, 2], data: Int32Array.from([0, 2]) },
  likeness: { shape: [1], data: Float32Array.from([0.97]) },
};
const META = {
  network: "net",
  dataset: "pets",
  names: ["img10.jpg", "img9.jpg"],
  label_names: ["cat", "Dog"],
  layers: ["conv1", "conv2"],
  images_total: 30,
  images_among: 3,
  k: 3,
  threshold: 0.95,
  duplicates_total: 4,
};
const record: RecordMeta = {
  id: "1",
  kind: "audit",
  tag: "net",
  step: 0,
  wall_time: 0,
  meta: META,
  arrays: Object.fromEntries(
    Object.entries(ARRAYS).map(([name, { shape }]) => [name, { dtype: "F32", shape }]),
  ),
  pictures: {},
};
const fetched = (meta: Partial<typeof META> = {}, arrays = ARRAYS): Promise<AuditData> => {
  const source = {
    record: () => Promise.resolve({ ...record, meta: { ...META, ...meta } }),
    arrays: () => Promise.resolve(arrays),
  } as unknown as Source;
  return fetchAudit(source, "a", "1", new AbortController().signal);
};

describe("the audit of a data set", () => {
  it("names images and classes, also those it knows no name of", async () => {
    const data = await fetched();
    expect([0, 1, 2].map((row) => data.nameOf(row))).toEqual(["img10.jpg", "img9.jpg", "image 11"]);
    expect([0, 1, 2].map((row) => data.classOf(row))).toEqual(["Dog", "", "class 5"]);
  });

  it("orders by channels, first places, name and class, and finds names and classes", async () => {
    const data = await fetched();
    expect(orderImages(data, "channels", "")).toEqual([0, 1, 2]);
    expect(orderImages(data, "first", "")).toEqual([1, 0, 2]);
    expect(orderImages(data, "name", "")).toEqual([2, 1, 0]);
    expect(orderImages(data, "class", "")).toEqual([1, 2, 0]);
    expect(orderImages(data, "channels", " IMG")).toEqual([0, 1]);
    expect(orderImages(data, "channels", "dog")).toEqual([0]);
    expect(orderImages(data, "channels", "ship")).toEqual([]);
  });

  it("knows the share of a layer's channels that an image is among the best of", async () => {
    const data = await fetched();
    expect(data.layerPlaces).toEqual([6, 12]);
    expect(layerShares(data, 0)).toEqual([2, 2]);
    expect(layerShares({ layerChannels: new Int32Array(2), layerPlaces: [0, 12], k: 3 }, 0)).toEqual([0, 0]);
  });

  it("says how much of all places a few images fill", async () => {
    const data = await fetched();
    expect(dominance(data, 1)).toEqual({ images: 1, share: 12 / 18, even: 1 / 30, without: 27 });
    expect(dominance({ ...data, places: 0 }, 1)).toBeNull();
    expect(dominanceText(data)).toBe(
      "The 3 images that dominate most fill 100 % of all 18 top-3 places, 10 times their share of the data set. 27 images of 30 are among the best of no channel.",
    );
    expect(dominanceText(await fetched({ images_total: 3 }))).toBe(
      "The 3 images that dominate most fill 100 % of all 18 top-3 places.",
    );
    expect(dominanceText(await fetched({ images_among: 30 }))).toContain(
      "of the 18 top-3 places of 3 images",
    );
    const none = { shape: [0], data: new Int32Array() };
    const empty = Object.fromEntries(Object.keys(ARRAYS).map((name) => [name, none]));
    expect(dominanceText(await fetched({ images_among: 0 }, empty))).toBe("");
  });

  it("counts all pairs, also those that are not kept", async () => {
    const data = await fetched();
    expect(auditFacts(data).map(({ value }) => value)).toEqual(["30", "3", "2", "4 pairs"]);
    expect(explainPairs(data)).toContain("a likeness of 0.95 or more");
    expect(explainPairs({ threshold: 0 })).not.toContain("likeness");
  });
});

describe("near-duplicates", () => {
  it("are groups of what pairs connect, the most alike first", () => {
    const groups = groupsOf([1, 2, 5, 6, 3, 4, 2, 3], [0.96, 0.99, 0.95, 0.98]);
    expect(groups).toEqual([
      { rows: [5, 6], likeness: [0.99, 0.99] },
      { rows: [1, 2, 3, 4], likeness: [0.95, 0.98] },
    ]);
    expect(groupsOf([], [])).toEqual([]);
  });
});

describe("the channels an image dominates", () => {
  it("are those that have it among their best, the highest places first, each once", () => {
    const image = [4, 7, 7, 7, 1, 2, 0, 3, 7, 5, 6, 8];
    expect(dominatedBy(image, 3, 7)).toEqual([
      { channel: 1, rank: 0 },
      { channel: 0, rank: 1 },
      { channel: 2, rank: 2 },
    ]);
    expect(dominatedBy(image, 3, 9)).toEqual([]);
  });
});
