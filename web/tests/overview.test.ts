import { describe, expect, it } from "vitest";
import { NETWORK, recordsOf, runsWith, SEARCHED, tagsOf } from "../src/lib/catalog";
import { channelsOf, classNames, completions, matchClasses } from "../src/lib/classsearch";
import { depthPoints, everyOf, fallsBelow, spanOf, stretches } from "../src/lib/depth";
import {
  deadChannels,
  layerRecords,
  rulesOf,
  SearchedLayers,
  sampleChannels,
  searchedLayer,
} from "../src/lib/overview";
import type { Index, Json, RecordInfo, RecordMeta, RunInfo, Source } from "../src/source/source";

const info = (id: string, kind: string, tag: string, step = 0): RecordInfo => ({
  id,
  kind,
  tag,
  step,
  wall_time: 0,
  bytes: 1,
});
const runOf = (...records: RecordInfo[]): RunInfo => ({
  name: "a",
  last_wall_time: null,
  series: [],
  records,
  problems: [],
});
const SHEET = {
  tile: [3, 3],
  gutter: 1,
  columns: 9,
  rows: 4,
  total_rows: 8,
  channels: 3,
  codec: "png",
  files: ["0"],
} as const;
const metaOf = (tag: string, meta: Record<string, Json>, id = tag): RecordMeta => ({
  id,
  kind: "topk",
  tag,
  step: 0,
  wall_time: 0,
  meta,
  arrays: { value: { dtype: "F32", shape: [8, 9] } },
  pictures: { patch: SHEET, deconvnet: SHEET },
});
const summary = (middle: number): Json => ({ specificity: [middle - 0.1, middle, middle + 0.1] });
const layer = (tag: string, proof: Record<string, Json>) =>
  searchedLayer(metaOf(tag, { rules: ["deconvnet"], proof_summary: proof }));

describe("the network of a run", () => {
  const searched = runOf(info("1", "topk", "conv2"), info("2", "topk", "conv1"), info("3", "topk", "conv1"));
  const known = runOf(info("0", "architecture", "net"), ...searched.records);

  it("is its architecture, or the layers that were searched where it has none", () => {
    expect(tagsOf(known, NETWORK)).toEqual(["net"]);
    expect(tagsOf(searched, NETWORK)).toEqual([SEARCHED]);
    expect(tagsOf(runOf(info("1", "maps", "conv1")), NETWORK)).toEqual([]);
    expect(runsWith({ logdir: "", version: 0, runs: [searched, runOf()] }, NETWORK)).toEqual([searched]);
  });

  it("is described by its architecture, or by the last record of its first layer", () => {
    expect(recordsOf(known, NETWORK, "net").map(({ id }) => id)).toEqual(["0"]);
    expect(recordsOf(searched, NETWORK, SEARCHED).map(({ id }) => id)).toEqual(["1"]);
    const again = runOf(...searched.records, info("4", "topk", "conv2"), info("5", "topk", "conv1"));
    expect(recordsOf(again, NETWORK, SEARCHED).map(({ id }) => id)).toEqual(["4"]);
  });

  it("has its layers in the order of execution, unknown ones last, each with its last record or that of a step", () => {
    const run = runOf(...searched.records, info("4", "topk", "conv2", 7), info("5", "topk", "odd"));
    const of = (order: string[], step: number) =>
      layerRecords(run, order, step).map(({ layer: name, record }) => [name, record.id]);
    expect(of(["conv1", "conv2"], 7)).toEqual([
      ["conv1", "3"],
      ["conv2", "4"],
      ["odd", "5"],
    ]);
    expect(of([], 0).map(([name]) => name)).toEqual(["conv2", "conv1", "odd"]);
    expect(of([], 0)[0][1]).toBe("1");
  });
});

describe("a searched layer", () => {
  it("knows the rules of which there are pictures, and only whole quartiles", () => {
    const one = layer("conv1", {
      deconvnet: { specificity: [0.1, 0.2, 0.3], deletion: [null, 0.5, 0.6], odd: 4 },
      gradient: {},
    });
    expect(one.rules).toEqual(["deconvnet"]);
    expect(one.proof.deconvnet).toEqual({ specificity: [0.1, 0.2, 0.3] });
    expect([one.channels, one.k]).toEqual([8, 9]);
    expect(rulesOf([one])).toEqual(["deconvnet", "gradient"]);
  });

  it("is shown by strong channels spread over it, each with another picture where there is one", () => {
    const max = [5, 1, 2, 9, 3, 3, 7, 8];
    expect(sampleChannels(max, [0, 1, 2, 3, 4, 5, 6, 7], 8, 4)).toEqual([0, 3, 4, 7]);
    expect(sampleChannels(max, [0, 1, 2, 0, 4, 5, 4, 4], 8, 4)).toEqual([0, 2, 4, 7]);
    expect(sampleChannels(max, [0, 1, 2, 3, 4, 5, 6, 7], 3, 9)).toEqual([0, 1, 2]);
    expect(sampleChannels(max, [-1, -1, 2, 3, 4, 5, 6, 7], 4, 2)).toEqual([3]);
    expect(sampleChannels([], [], 8, 4)).toEqual([]);
  });

  it("counts channels that were never above 0 as dead", () => {
    expect(deadChannels([0, 0.5, Number.NaN, 1e-9])).toBe(2);
  });
});

describe("the descriptions of layers", () => {
  const until = async (condition: () => boolean): Promise<void> => {
    for (let i = 0; i < 200 && !condition(); i++) await Promise.resolve();
    expect(condition()).toBe(true);
  };
  const index: Index = { logdir: "", version: 0, runs: [] };
  const records = (...ids: string[]) => ids.map((id) => ({ layer: id[0], record: info(id, "topk", id[0]) }));

  it("are asked for a few at a time, once, and stay until their successors are here", async () => {
    const asked: string[] = [];
    const gates = new Map<string, (record: RecordMeta) => void>();
    const source = {
      record: (_: string, id: string) => {
        asked.push(id);
        return new Promise<RecordMeta>((give) => gates.set(id, give));
      },
    } as unknown as Source;
    const layers = new SearchedLayers(source, () => undefined);
    const six = records("a", "b", "c", "d", "e", "f");
    layers.want("run", six, index);
    layers.want("run", six, index);
    expect(asked).toEqual(["a", "b", "c", "d"]);
    for (const id of "abcdef") {
      await until(() => gates.has(id));
      gates.get(id)?.(metaOf(id, {}));
    }
    await until(() => layers.rests);
    expect(asked).toEqual([..."abcdef"]);
    layers.want("run", records("a2"), index);
    expect(layers.get("run", "a")?.record.id).toBe("a");
    gates.get("a2")?.(metaOf("a", {}, "a2"));
    await until(() => layers.rests);
    expect(layers.get("run", "a")?.record.id).toBe("a2");
  });

  it("that cannot be read are asked for again only when there is another index", async () => {
    let asked = 0;
    const source = {
      record: () => {
        asked++;
        return Promise.reject(new Error("gone"));
      },
    } as unknown as Source;
    let current = index;
    const layers = new SearchedLayers(source, () => layers.want("run", records("a"), current));
    layers.want("run", records("a"), index);
    await until(() => layers.rests && layers.problem !== "");
    expect([asked, layers.problem]).toEqual([1, "gone"]);
    current = { ...index };
    layers.want("run", records("a"), current);
    await until(() => layers.rests);
    expect(asked).toBe(2);
  });
});

describe("a figure over the depth", () => {
  const layers = [
    layer("a", { deconvnet: summary(0.8) }),
    layer("b", {}),
    layer("c", { deconvnet: summary(0.05) }),
    layer("d", { deconvnet: summary(-0.2) }),
  ];
  const points = depthPoints(layers, "deconvnet", "specificity");

  it("has a point for each layer that knows it, and breaks where one does not", () => {
    expect(points.map(({ at }) => at)).toEqual([0, 2, 3]);
    expect(stretches(points).map((part) => part.map(({ at }) => at))).toEqual([[0], [2, 3]]);
    expect(depthPoints(layers, "deconvnet", undefined)).toEqual([]);
    expect(depthPoints(layers, "odd", "specificity")).toEqual([]);
  });

  it("spans 0 to 1 and what lies beyond", () => {
    expect(spanOf([])).toEqual([0, 1]);
    expect(spanOf(points)).toEqual([-0.5, 1]);
  });

  it("names the layer from which on it stays low", () => {
    expect(fallsBelow(points, 0.1)).toBe(2);
    expect(fallsBelow(points, 0.9)).toBe(0);
    expect(fallsBelow(points, -1)).toBeUndefined();
    expect(fallsBelow([points[2], { ...points[0], at: 4 }], 0.1)).toBeUndefined();
  });

  it("names as many layers as fit", () => {
    expect(everyOf(5, 500, 80)).toBe(1);
    expect(everyOf(5, 300, 80)).toBe(2);
    expect(everyOf(5, 0, 80)).toBe(400);
  });
});

describe("the search for a class", () => {
  const NAMES = ["tabby, tabby cat", "hot dog", "dogfish", "dog", "bulldog", "crane", "crane"];

  it("means the whole name before a word of it, and a word before a part", () => {
    expect(matchClasses(NAMES, "dog").labels).toEqual([3]);
    expect(matchClasses(NAMES, "dog", "word").labels).toEqual([1]);
    expect(matchClasses(NAMES, "dog", "part").labels).toEqual([2, 4]);
    expect(matchClasses(NAMES, "hot").labels).toEqual([1]);
    expect(matchClasses(NAMES, "tabby, tabby cat")).toMatchObject({ labels: [0], tier: "exact" });
    expect(matchClasses(NAMES, "crane").labels).toEqual([5, 6]);
    expect(matchClasses(NAMES, "ship")).toMatchObject({ labels: [], tier: null });
    expect(matchClasses(NAMES, " ").labels).toEqual([]);
    expect(matchClasses(NAMES, "hot", "exact").tier).toBe("word");
  });

  it("offers whole words first, then beginnings, each name once", () => {
    expect(completions(NAMES, "dog", 9)).toEqual(["dog", "hot dog", "dogfish", "bulldog"]);
    expect(completions(NAMES, "dog", 2)).toEqual(["dog", "hot dog"]);
    expect(completions(NAMES, "cran", 9)).toEqual(["crane"]);
    expect(completions(NAMES, "", 9)).toEqual([]);
  });

  it("ranks channels by how many of their pictures are of it, then by the place of the best", () => {
    const label = [3, 1, -1, 1, 3, 3, 2, 3, 3, 0, 0, 0];
    expect(channelsOf(label, 3, new Set([3]))).toEqual([
      { channel: 1, count: 2, first: 1 },
      { channel: 2, count: 2, first: 1 },
      { channel: 0, count: 1, first: 0 },
    ]);
    expect(channelsOf(label, 3, new Set([0, 2]))[0]).toEqual({ channel: 3, count: 3, first: 0 });
    expect(channelsOf(label, 3, new Set())).toEqual([]);
  });

  it("takes its names from the layer that knows most", () => {
    expect(classNames([{ classes: [] }, { classes: ["a", "b"] }, { classes: ["a"] }])).toEqual(["a", "b"]);
    expect(classNames([])).toEqual([]);
  });
});
