import { describe, expect, it } from "vitest";
import { boxText, placeSmallMap } from "../src/lib/hitplace";
import { proofOf, proofReadings, recomputedReading } from "../src/lib/proof";
import { binWith, scoreBins } from "../src/lib/scorebins";
import { auditOf, fetchImages } from "../src/lib/searchimages";
import {
  findChannels,
  inOrder,
  isAsked,
  keepChannels,
  labelCounts,
  purity,
  sortChannels,
  whereOf,
} from "../src/lib/topk";
import { fetchTopK, measuresOf, ranksOf, specificityOf, type TopKData } from "../src/lib/topkdata";
import { fetchDetail, likest } from "../src/lib/topkdetail";
import { foundSentence, nothingText, selectivityText, topkFacts, wayFacts } from "../src/lib/topkpage";
import type { Index, NumberArray, RecordMeta, Sheet, Source, Tensors } from "../src/source/source";

const labels = Int32Array.of(3, 1, 1, 2, 2, 2, -1, -1, -1);
const facts = {
  max: Float64Array.of(1, 9, 9, 0),
  positive: Float64Array.of(0.5, 0.1, 0.9, 0),
  purity: [
    { label: 1, count: 2, of: 3 },
    { label: 2, count: 3, of: 3 },
    { label: -1, count: 0, of: 0 },
    { label: 1, count: 1, of: 3 },
  ],
  selectivity: Float32Array.of(0.2, Number.NaN, 0.8, 0.1),
  specificity: undefined,
};
const ALL = [0, 1, 2, 3];

describe("the classes of a channel's pictures", () => {
  it("finds the class most of them share; unknown labels do not count", () => {
    expect(purity(labels, 0, 3)).toEqual({ label: 1, count: 2, of: 3 });
    expect(purity(labels, 1, 3)).toEqual({ label: 2, count: 3, of: 3 });
    expect(purity(labels, 2, 3)).toEqual({ label: -1, count: 0, of: 0 });
    expect([...labelCounts(labels, 0, 3)]).toEqual([
      [3, 1],
      [1, 2],
    ]);
  });
});

describe("the order of channels", () => {
  it("puts the largest first and what is not known last; ties stay in the layer's order", () => {
    expect(sortChannels([2, 1, 0], "index", facts)).toEqual([0, 1, 2]);
    expect(sortChannels(ALL, "strength", facts)).toEqual([1, 2, 0, 3]);
    expect(sortChannels(ALL, "sparsity", facts)).toEqual([3, 1, 0, 2]);
    expect(sortChannels(ALL, "purity", facts)).toEqual([1, 0, 3, 2]);
    expect(sortChannels(ALL, "selectivity", facts)).toEqual([2, 0, 3, 1]);
    expect(sortChannels(ALL, "specificity", facts)).toEqual(ALL);
  });
});

describe("the conditions in an address", () => {
  it("reads numbers and states, and asks for nothing where there are none", () => {
    expect(whereOf({})).toEqual({ state: "", least: {} });
    expect(isAsked(whereOf({ where: "elsewhere", minpurity: "x" }))).toBe(false);
    expect(whereOf({ where: "dead", minpurity: "0.5" })).toEqual({ state: "dead", least: { purity: 0.5 } });
  });

  it("keeps the channels that meet all of them; what is not known meets none", () => {
    const kept = (params: Record<string, string>): number[] => keepChannels(ALL, whereOf(params), facts);
    expect(kept({})).toEqual(ALL);
    expect(kept({ where: "dead" })).toEqual([3]);
    expect(kept({ where: "live" })).toEqual([0, 1, 2]);
    expect(kept({ minselectivity: "0.2" })).toEqual([0, 2].filter((c) => facts.selectivity[c] >= 0.2));
    expect(kept({ minstrength: "9", minsparsity: "0.5" })).toEqual([1]);
    expect(kept({ minspecificity: "0" })).toEqual([]);
  });
});

describe("the search for channels", () => {
  const names = (channel: number): string[] =>
    [["dog"], ["hot dog", "cat"], ["dogfish"], ["1"], ["1 more"]][channel];

  it("finds whole names before words and words before parts", () => {
    const found = findChannels(5, " Dog ", names);
    expect(found.matches).toEqual({ exact: [0], word: [1], part: [2] });
    const reversed = inOrder(found, (tier) => [...tier].reverse());
    expect(reversed).toEqual([0, 1, 2]);
    expect(foundSentence(found, ["dog", "hot dog", "dogfish", "cat"])).toBe(
      "“Dog” is among the pictures of 3 channels: 1 of that class, 1 where it is a word of the name (hot dog), 1 where it is part of a word (dogfish).",
    );
  });

  it("takes a number for a channel or the whole name of a class, and #1 for the channel alone", () => {
    expect(inOrder(findChannels(5, "1", names), (tier) => [...tier])).toEqual([1, 3]);
    expect(inOrder(findChannels(5, "#1", names), (tier) => [...tier])).toEqual([1]);
    expect(inOrder(findChannels(5, "", names), (tier) => [...tier])).toEqual([0, 1, 2, 3, 4]);
    expect(foundSentence(findChannels(5, "no such", names), [])).toBe("");
  });
});

describe("proof figures in words", () => {
  const names = ["specificity", "randomised_layer", "randomised_all", "deletion", "deletion_random"];

  it("says what a picture does not tell", () => {
    const readings = proofReadings(proofOf(names, [0.05, 0.98, 0.1, 0.94, 0.52]));
    expect(readings.map(({ value }) => value)).toEqual(["0.05", "0.98", "0.1", "94 % / 52 %"]);
    expect(readings[0].says).toBe("nearly the same picture for any other channel here");
    expect(readings[1].says).toContain("does not depend on them");
    expect(readings[2].says).toContain("the picture depends on them");
    expect(readings[3].says).toContain("the place is right");
  });

  it("judges a cosine by its size, whichever its sign", () => {
    expect(proofReadings(proofOf(names, [1, -0.98, 0, 0.5, 0.5]))[1].says).toContain("does not depend");
  });

  it("leaves out what was not computed", () => {
    expect(proofReadings(proofOf(names, undefined))).toEqual([]);
    const one = proofReadings(proofOf(names, [0.5, Number.NaN, Number.NaN, 0.2, Number.NaN]));
    expect(one.map(({ name }) => name)).toEqual(["specificity"]);
  });

  it("compares the recomputed activation with the recorded one", () => {
    expect(recomputedReading(10, 10.00001)?.says).toBe("as the search recorded");
    expect(recomputedReading(10, 9)?.says).toBe("10 % off the recorded 10");
    expect(recomputedReading(0, 0)?.says).toBe("as the search recorded");
    expect(recomputedReading(10, undefined)).toBeNull();
    expect(recomputedReading(10, Number.NaN)).toBeNull();
  });
});

describe("the most similar channels", () => {
  const found = { similar: Int32Array.of(4, 9, 1, -1), similarity: Float32Array.of(0.75, 0.5, 0.25, 0) };
  const of = (meta: RecordMeta["meta"], channels = 10) =>
    likest({ record: { meta } as RecordMeta, channels }, found).map(({ channel }) => channel);

  it("are those that are there and, in a file, those that were exported", () => {
    expect(of({})).toEqual([4, 9, 1]);
    expect(of({}, 9)).toEqual([4, 1]);
    expect(of({ exported_channels: [1, 2] })).toEqual([1]);
  });
});

describe("what was set for the projections", () => {
  it("stands among the facts with what it means, also if a later version sets something else", () => {
    const said = wayFacts({ mode: "map", lrn: "new" });
    expect(said.map(({ name, value }) => `${name} ${value}`)).toEqual(["mode map", "LRN new"]);
    expect(said.map(({ title }) => title)).toEqual([
      "The projections start from the channel's whole map",
      "",
    ]);
    expect(wayFacts({ mode: "", lrn: "" })).toEqual([]);
  });
});

describe("a page without channels", () => {
  const layer = { record: { tag: "conv1" }, k: 9 } as Parameters<typeof nothingText>[0];

  it("tells a number from a class", () => {
    expect(nothingText(layer, "")).toBe("No channel of conv1 meets the conditions.");
    expect(nothingText(layer, " #17 ")).toBe("No channel #17 of conv1 meets the conditions.");
    expect(nothingText(layer, "cat")).toContain("a picture of “cat” among its 9");
  });
});

describe("class selectivity", () => {
  it("is said as how many times as much the best class excites a channel", () => {
    expect(selectivityText(0.5)).toContain("3 times as much");
    expect(selectivityText(0)).toContain("1 times as much");
    expect(selectivityText(0.0072)).toContain(" 1.01 times as much");
    expect(selectivityText(1)).toBe("only one class excites it");
  });
});

describe("the histogram of scores", () => {
  it("is cut to where images are, with one empty bin around them", () => {
    const bins = scoreBins([0, 0, 5, 0, 1, 0, 0], [-3, -2, -1, 0, 1, 2, 3, 4]);
    expect(bins.map(({ low, count }) => [low, count])).toEqual([
      [-2, 0],
      [-1, 5],
      [0, 0],
      [1, 1],
      [2, 0],
    ]);
    expect([binWith(bins, -9), binWith(bins, 1.5), binWith(bins, 99)]).toEqual([0, 3, 4]);
    expect(scoreBins([0, 0], [0, 1, 2])).toEqual([]);
  });
});

const sheet = (name: string, tile: readonly [number, number], columns = 2): Sheet => ({
  tile,
  gutter: 2,
  columns,
  rows: 16,
  total_rows: 3,
  channels: 3,
  codec: "webp",
  files: [`${name}/000.webp`],
});

const ARRAYS: Record<string, { shape: number[]; data: NumberArray }> = {
  value: { shape: [3, 2], data: Float32Array.of(4, 3, 2, 1, 0, 0) },
  image: { shape: [3, 2], data: Float64Array.of(7, 5, 5, -1, -1, -1) },
  position: { shape: [3, 2, 2], data: new Int32Array(12) },
  box: { shape: [3, 2, 4], data: Int32Array.from({ length: 24 }, (_, i) => (i < 12 && i % 4 > 1 ? 11 : 0)) },
  mean: { shape: [3], data: new Float64Array(3) },
  max: { shape: [3], data: Float64Array.of(4, 2, 0) },
  variance: { shape: [3], data: new Float64Array(3) },
  positive: { shape: [3], data: Float64Array.of(0.5, 0.1, 0) },
  recomputed: { shape: [3, 2], data: Float32Array.of(4, 3, 2, 1, 0, 0) },
  projection_scale: { shape: [2, 3, 2], data: Float32Array.from({ length: 12 }, (_, i) => i) },
  proof: { shape: [2, 3, 2, 2], data: Float32Array.from({ length: 24 }, (_, i) => i / 100) },
};

const META: RecordMeta["meta"] = {
  rules: ["deconvnet", "absent", "gradient"],
  rule_reports: { gradient: "5 of 5 ReLUs ruled" },
  proof: ["specificity", "deletion"],
  proof_summary: { gradient: { specificity: [0.1, 0.2, 0.3], deletion: [0.1, null, 0.3] } },
  receptive_field: { size: [11, 11], stride: [4, 4], start: [-2, -2] },
  input_size: [224, 224],
  network: "net",
};

function recorded(arrays: typeof ARRAYS, meta: RecordMeta["meta"], pictures: RecordMeta["pictures"]): Source {
  const record: RecordMeta = {
    id: "id",
    kind: "topk",
    tag: "conv1",
    step: 0,
    wall_time: 0,
    meta,
    arrays: Object.fromEntries(
      Object.entries(arrays).map(([name, { shape }]) => [name, { dtype: "float32", shape }]),
    ),
    pictures,
  };
  const answer = async (
    _run: string,
    _id: string,
    names: readonly string[],
    _signal?: AbortSignal,
    rows?: readonly [number, number],
  ): Promise<Tensors> =>
    Object.fromEntries(
      names.map((name) => {
        const { shape, data } = arrays[name];
        if (!rows) return [name, { shape, data }];
        const size = data.length / shape[0];
        return [name, { shape: [rows[1] - rows[0]], data: data.slice(rows[0] * size, rows[1] * size) }];
      }),
    );
  return { record: async () => record, arrays: answer } as unknown as Source;
}

const SHEETS = {
  patch: sheet("patch", [11, 11]),
  deconvnet: sheet("deconvnet", [11, 11]),
  gradient: sheet("gradient", [11, 11]),
};
const gone = new AbortController().signal;

describe("a top-k record", () => {
  // The rule without pictures has its row in the arrays all the same.
  const arrays: typeof ARRAYS = {
    ...ARRAYS,
    projection_scale: { shape: [3, 3, 2], data: Float32Array.from({ length: 18 }, (_, i) => i) },
    proof: { shape: [3, 3, 2, 2], data: Float32Array.from({ length: 36 }, (_, i) => i / 100) },
  };
  const read = (): Promise<TopKData> => fetchTopK(recorded(arrays, META, SHEETS), "run", "id", gone);

  it("has the rules there are pictures of, each at its place in the arrays", async () => {
    const data = await read();
    expect(data.rules.map(({ name, at }) => [name, at])).toEqual([
      ["deconvnet", 0],
      ["gradient", 2],
    ]);
    expect([...data.rules[1].summary.keys()]).toEqual(["specificity"]);
    expect(topkFacts(data, data.rules[1]).at(-1)?.value).toBe("5 of 5 ReLUs ruled");
    expect(topkFacts(data, data.rules[1]).map(({ name }) => name)).not.toContain("mode");
    expect(ranksOf(data, 0)).toEqual([0, 1]);
    expect([ranksOf(data, 1), ranksOf(data, 2)]).toEqual([[0], []]);
    expect(measuresOf(data)).toEqual(["strength", "sparsity", "specificity"]);
  });

  it("has a rule's specificity once its row is here", async () => {
    const data = await read();
    expect(specificityOf(data, data.rules[1])).toBeUndefined();
    await data.proof?.want(2);
    expect(Array.from(specificityOf(data, data.rules[1]) ?? []).map((s) => s.toFixed(2))).toEqual([
      "0.24",
      "0.28",
      "0.32",
    ]);
  });

  it("gives what belongs to a channel", async () => {
    const source = recorded(arrays, META, SHEETS);
    const data = await fetchTopK(source, "run", "id", gone);
    const detail = await fetchDetail(source, data, 1, gone);
    expect([...(detail.recomputed ?? []), ...detail.image, ...detail.value]).toEqual([2, 1, 5, -1, 2, 1]);
    expect([...(detail.scale.get("gradient") ?? [])]).toEqual([14, 15]);
    expect(Array.from(detail.proof.get("gradient") ?? []).map((p) => Math.round(100 * p))).toEqual([
      28, 29, 30, 31,
    ]);
    expect(detail.histogram).toBeUndefined();
  });

  it("has the activations beside scores that are means: they are what is recomputed", async () => {
    const detail = async (more: typeof ARRAYS) => {
      const source = recorded({ ...arrays, ...more }, META, SHEETS);
      return fetchDetail(source, await fetchTopK(source, "run", "id", gone), 0, gone);
    };
    expect([...(await detail({})).activation]).toEqual([4, 3]);
    const mean = await detail({ activation: { shape: [3, 2], data: Float32Array.of(40, 30, 2, 1, 0, 0) } });
    expect([[...mean.value], [...mean.activation]]).toEqual([
      [4, 3],
      [40, 30],
    ]);
  });

  it("is of use without rules, labels and audit", async () => {
    const { recomputed, projection_scale, proof, ...bare } = arrays;
    const source = recorded(bare, { input_size: [224, 224] }, { patch: SHEETS.patch });
    const data = await fetchTopK(source, "run", "id", gone);
    const detail = await fetchDetail(source, data, 0, gone);
    expect([data.rules, data.classNames(0), data.classText(0)]).toEqual([[], [], ""]);
    expect(measuresOf(data)).toEqual(["strength", "sparsity"]);
    expect([detail.scale.size, detail.proof.size]).toEqual([0, 0]);
    expect(specificityOf(data, undefined)).toBeUndefined();
  });
});

describe("where a hit lies", () => {
  const at = (size: number, stride: number, start: number, side: number): TopKData =>
    ({
      field: { size: [size, size], stride: [stride, stride], start: [start, start], reason: "" },
      inputSize: [side, side],
    }) as unknown as TopKData;

  it("lays a map over the image so that each position is a square one stride wide", () => {
    // AlexNet's conv5: 13 × 13 positions, 16 px apart, the first one centred at -65 + 163 / 2.
    const box = placeSmallMap(at(163, 16, -65, 224), [13, 13]);
    expect([box.y0, box.y1]).toEqual([-65 + (163 - 16) / 2, -65 + (163 - 16) / 2 + 13 * 16]);
  });

  it("knows how far a large map was shrunk: its last square may reach over the border", () => {
    // AlexNet's conv1: 55 × 55 positions, recorded as 28 × 28 squares of 2 × 2.
    const box = placeSmallMap(at(11, 4, -2, 224), [28, 28]);
    expect([box.y0, box.y1]).toEqual([1.5, 1.5 + 56 * 4]);
  });

  it("covers the whole image where every position sees it", () => {
    const data = { ...at(1, 1, 0, 224), field: { size: [], stride: [], start: [], reason: "pooled" } };
    expect(placeSmallMap(data as unknown as TopKData, [1, 1])).toEqual({ y0: 0, x0: 0, y1: 224, x1: 224 });
  });

  it("is put into words", () => {
    expect(boxText({ y0: -5, x0: 3, y1: 6, x1: 14 }, [224, 224])).toBe("rows 0–5, columns 3–13");
    expect(boxText({ y0: -5, x0: -5, y1: 300, x1: 300 }, [224, 224])).toBe("the whole image");
    expect(boxText({ y0: -9, x0: 0, y1: -2, x1: 7 }, [224, 224])).toContain("nothing of the image");
  });
});

describe("the images of a search", () => {
  const record = (id: string, tag: string, step: number) => ({
    id,
    kind: "audit",
    tag,
    step,
    wall_time: 0,
    bytes: 1,
  });
  const records = [
    record("a", "net", 0),
    record("b", "other", 5),
    record("c", "net", 5),
    record("d", "net", 9),
  ];
  const index: Index = {
    logdir: "",
    version: 1,
    runs: [{ name: "r", last_wall_time: null, series: [], problems: [], records }],
  };

  it("are those of the same network, of the same step if there is one", () => {
    expect(auditOf(index, "r", "net", 5)?.id).toBe("c");
    expect(auditOf(index, "r", "net", 7)?.id).toBe("d");
    expect(auditOf(index, "r", "none", 5)).toBeUndefined();
    expect(auditOf(index, "gone", "net", 5)).toBeUndefined();
  });

  it("have names and places on the sheet by their number in the data set", async () => {
    const thumbnail = sheet("thumbnail", [96, 128], 8);
    const arrays = { index: { shape: [10], data: Float64Array.from({ length: 10 }, (_, i) => 100 - i) } };
    const names = Array.from({ length: 10 }, (_, i) => `${i}.png`);
    const images = await fetchImages(recorded(arrays, { names }, { thumbnail }), "r", "a", gone);
    expect([images.name(91), images.name(3)]).toEqual(["9.png", ""]);
    expect(images.thumbnail(91)).toMatchObject({ id: "a", row: 1, column: 1 });
    expect(images.thumbnail(3)).toBeUndefined();
  });
});
