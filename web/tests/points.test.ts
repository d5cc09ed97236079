import { describe, expect, it } from "vitest";
import { FrameStore, PackedFrames } from "../src/lib/frames";
import { channelEffects, distancesTo, smallest } from "../src/lib/nearest";
import { addressOf, filterChange } from "../src/lib/pointaddress";
import { coloursOf, hiddenBy, MISSING, NO_FILTER, type NumberLegend, valueAt } from "../src/lib/pointcolours";
import { categories, columnsOf, earlyArrays, numbers } from "../src/lib/pointcolumns";
import { pointsJson, pointsTable } from "../src/lib/pointfiles";
import type { EmbeddingData } from "../src/lib/points";
import { sortPoints } from "../src/lib/pointsort";
import { pointsSvg } from "../src/lib/pointsvg";
import { mapped, modeOf, Selection, selectionOf, selectionText } from "../src/lib/selection";
import type { RecordInfo, Source } from "../src/source/source";

const never = new AbortController().signal;

function made(label: number[], classes: string[], columns: EmbeddingData["columns"] = []): EmbeddingData {
  const className = (one: number): string => classes[one] ?? "no label";
  return {
    record: { tag: "fc", step: 0, meta: {}, arrays: {}, pictures: {} } as never,
    run: "r",
    count: label.length,
    dim: 2,
    label: Int32Array.from(label),
    index: Float64Array.from(label, (_, i) => 100 + i),
    classes,
    columns,
    layer: "fc",
    network: "",
    dataset: "",
    sizes: undefined,
    className,
    nameOf: (i) => className(label[i]),
    column: (name) => columns.find((one) => one.name === name),
  };
}

/** zlib bytes of numbers, as the writer packs them. */
async function packed(frames: number[][]): Promise<Uint8Array> {
  const changes = frames.flatMap((frame, f) =>
    frame.map((v, i) => (v - (f ? frames[f - 1][i] : 0)) & 0xffff),
  );
  const planes = Uint8Array.from([...changes.map((c) => c & 255), ...changes.map((c) => c >> 8)]);
  const stream = new Blob([planes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

describe("frames", () => {
  const ranges = Float32Array.of(0, 1, -1, 1, 0, 4095, 0, 4095);
  const values = [
    [0, 0, 4095, 4095],
    [7, 4095, 5, 0],
  ];

  it("are read from differences modulo 2^16 and each frame's range", async () => {
    const frames = await PackedFrames.of(await packed(values), ranges, [2, 2, 2]);
    expect([...frames.at(0)]).toEqual([0, -1, 1, 1]);
    expect([...frames.at(1)].map(Math.round)).toEqual([7, 4095, 5, 0]);
    await expect(PackedFrames.of(await packed(values), ranges, [3, 2, 2])).rejects.toThrow(/do not fit/);
  });

  it("of all parts of one projection follow each other and end with the exact positions", async () => {
    const data = await packed(values);
    const iterations: Record<string, number[]> = { old: [0, 9], a: [0, 5], b: [10, 20] };
    const source = {
      record: async (_run: string, id: string) => ({
        id,
        tag: "fc/tsne",
        step: 0,
        meta: { projection: id === "old" ? "x" : "y", iteration: iterations[id][1], kl: 0.5, iterations: 20 },
        arrays: { frames: {}, frame_iteration: {} },
      }),
      arrays: async (_run: string, id: string, names: string[]) => {
        const all: Record<string, unknown> = {
          frames: { shape: [data.length], data },
          frame_range: { shape: [2, 2, 2], data: ranges },
          frame_iteration: { shape: [2], data: Int32Array.from(iterations[id]) },
          frame_kl: { shape: [2], data: Float64Array.of(Number.NaN, 1) },
          points: { shape: [2, 2], data: Float32Array.of(0, 0, 3, 4) },
        };
        return Object.fromEntries(names.map((name) => [name, all[name]]));
      },
    } as unknown as Source;
    const store = new FrameStore(source, "r", 2, never);
    const records = ["old", "a", "b"].map((id) => ({ id }) as RecordInfo);
    await store.read(records);
    expect(store.iterations).toEqual([0, 5, 10, 20]);
    expect(store.kl).toEqual([Number.NaN, 1, Number.NaN, 0.5]);
    const last = await store.frame(3);
    expect([last.iteration, last.flat]).toEqual([20, true]);
    expect(Math.hypot(last.points[3] - last.points[0], last.points[4] - last.points[1])).toBeCloseTo(2);
    expect((await store.frame(1)).iteration).toBe(5);
    await expect(store.frame(4)).rejects.toThrow(/no frame 4/);
    await expect(new FrameStore(source, "r", 3, never).exact(records[1])).rejects.toThrow(/do not fit the 3/);
  });
});

describe("columns", () => {
  it("are numbers, categories and texts that are fetched when they are wanted", async () => {
    const bytes = new TextEncoder().encode("añb");
    const asked: string[] = [];
    const meta = [
      { name: "loss", type: "number" },
      { name: "split", type: "category", values: ["train", "val"] },
      { name: "file", type: "text" },
    ];
    const arrays = {
      column_0: { shape: [3], data: Float64Array.of(0.5, Number.NaN, 2) },
      column_1: { shape: [3], data: Int32Array.of(1, -1, 0) },
    };
    const columns = columnsOf(meta, arrays, async (names) => {
      asked.push(...names);
      return {
        column_2: { shape: [4], data: bytes },
        column_2_offset: { shape: [4], data: Float64Array.of(0, 1, 3, 4) },
      };
    });
    expect(columns.map((column) => [0, 1, 2].map((i) => column.text(i)))).toEqual([
      ["0.5", "", "2"],
      ["val", "", "train"],
      ["", "", ""],
    ]);
    const [, , file] = columns;
    if (file.type === "text") await file.load();
    expect([0, 1, 2].map((i) => file.text(i))).toEqual(["a", "ñ", "b"]);
    expect(asked).toEqual(["column_2", "column_2_offset"]);
    expect(earlyArrays(["label", "column_0", "column_1", "column_2", "column_2_offset"])).toEqual([
      "column_0",
      "column_1",
    ]);
  });
});

describe("colours", () => {
  it("give few classes the colours of their numbers, and name how many points have each", () => {
    const { rgb, legend } = coloursOf(made([1, 0, 1, -1], ["dog", "cat"]), { by: "class", theme: "light" });
    if (legend.kind !== "categories") throw new Error(legend.kind);
    expect(legend.groups.map(({ key, count }) => [key, count])).toEqual([
      ["cat", 2],
      ["dog", 1],
      [MISSING, 1],
    ]);
    expect([...rgb.slice(0, 3)]).toEqual([...rgb.slice(6, 9)]);
    expect([...rgb.slice(0, 3)]).not.toEqual([...rgb.slice(3, 6)]);
    const hidden = hiddenBy(legend, { ...NO_FILTER, off: new Set(["cat"]) });
    expect([...(hidden ?? [])]).toEqual([1, 0, 1, 0]);
    expect([...(hiddenBy(legend, { ...NO_FILTER, on: new Set([MISSING]) }) ?? [])]).toEqual([1, 1, 1, 0]);
    expect(hiddenBy(legend, { ...NO_FILTER, on: new Set(["gone"]) })).toBeNull();
  });

  it("of many values only the largest have one, and none where all are alike", () => {
    const many = Array.from({ length: 30 }, (_, i) => `class ${i}`);
    const codes = [...many.keys(), 5, 5];
    const { legend } = coloursOf(made(codes, many), { by: "class", theme: "dark" });
    if (legend.kind !== "categories") throw new Error(legend.kind);
    expect([legend.groups[0].key, legend.others]).toEqual(["class 5", 19]);
    expect(new Set(legend.groups.map(({ colour }) => colour)).size).toBe(12);
    const alike = coloursOf(made([...many.keys()], many), { by: "class", theme: "dark" }).legend;
    if (alike.kind !== "categories") throw new Error(alike.kind);
    expect(new Set(alike.groups.map(({ colour }) => colour)).size).toBe(1);
  });

  it("of numbers span their range, on a logarithmic scale where that is of use", () => {
    const data = made([0, 0, 0, 0], ["a"], [numbers("n", Float64Array.of(1, 10, 100, Number.NaN))]);
    const linear = coloursOf(data, { by: "column:n", theme: "light" }).legend as NumberLegend;
    expect([linear.low, linear.high, linear.missing, linear.spansDecades, linear.log]).toEqual([
      1,
      100,
      1,
      true,
      false,
    ]);
    const log = coloursOf(data, { by: "column:n", theme: "light", log: true }).legend as NumberLegend;
    expect(log.bins[Math.floor(log.bins.length / 2)]).toBe(1);
    expect(valueAt(log, 0.5)).toBeCloseTo(10);
    expect([...(hiddenBy(log, { ...NO_FILTER, range: [5, 50] }) ?? [])]).toEqual([1, 0, 1, 1]);
  });

  it("stay quick with 50,000 classes and a million points", () => {
    const names = Array.from({ length: 50_000 }, (_, i) => `c${i}`);
    const label = Int32Array.from({ length: 1_000_000 }, (_, i) => i % 50_000);
    const data = { ...made([], names), count: label.length, label };
    const start = performance.now();
    const { rgb } = coloursOf(data, { by: "class", theme: "light" });
    expect(rgb.length).toBe(3_000_000);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe("a selection", () => {
  it("is replaced, added to and taken from, and tells of it", () => {
    const selection = new Selection(10);
    const sizes: number[] = [];
    const stop = selection.subscribe(({ size }) => sizes.push(size));
    selection.change([1, 2, 3, 99, -1]);
    selection.change([3, 4], "add");
    selection.change([1, 7], "subtract");
    stop();
    selection.clear();
    expect(sizes).toEqual([3, 4, 3]);
    expect(selection.size).toBe(0);
    expect(modeOf({ ctrlKey: false, metaKey: true, altKey: false })).toBe("add");
  });

  it("is written into the address and read from it", () => {
    expect(selectionText([3, 17, 18, 19, 20, 22])).toBe("3,17-20,22");
    expect(selectionOf("3,17-20,22,x,9-7,400-900", 30)).toEqual([3, 17, 18, 19, 20, 22]);
    expect(selectionText(Int32Array.from({ length: 51 }, (_, i) => i))).toBe("");
  });

  it("is found in another embedding of the same pictures", () => {
    expect([...mapped([0, 2], [10, 11, 12], [12, 10, 10, 99])]).toEqual([0, 1, 2]);
  });
});

describe("neighbours computed in the page", () => {
  const vectors = { data: Float32Array.of(1, 0, 2, 0, 0, 1, 0, 0), dim: 2 };

  it("are by angle or by length", () => {
    expect([...distancesTo(vectors, 0, "cosine")]).toEqual([0, 0, 1, 1]);
    expect([...distancesTo(vectors, 0, "euclidean")].map((d) => d ** 2)).toEqual([
      0,
      1,
      expect.closeTo(2),
      1,
    ]);
    expect(smallest([0, 3, 1, 1, 9], 3, 0)).toEqual({ index: [2, 3, 1], distance: [1, 1, 3], exact: true });
  });

  it("channels that differ most come first, in standard deviations", () => {
    const data = Float32Array.of(0, 1, 5, 0, 1, 5, 2, 1, 6, 2, 1, 6);
    const found = channelEffects({ data, dim: 3 }, [2, 3], [3]);
    expect(found.map(({ channel, mean, rest, effect }) => [channel, mean, rest, effect])).toEqual([
      [0, 2, 0, 2],
      [2, 6, 5, 2],
    ]);
  });
});

describe("the address", () => {
  it("keeps what the legend filters", () => {
    const change = filterChange({ off: new Set(["a,b", "c"]), on: new Set(), range: [0.5, 20] });
    const params = Object.fromEntries(Object.entries(change).map(([key, value]) => [key, String(value)]));
    const { filter } = addressOf({ view: "embedding", params });
    expect([[...filter.off], [...filter.on], filter.range]).toEqual([["a,b", "c"], [], [0.5, 20]]);
  });

  it("takes odd values for none", () => {
    const odd = addressOf({
      view: "embedding",
      params: { range: "x..3", it: "", k: "7", draw: "?", page: "-3" },
    });
    expect([odd.filter.range, odd.iteration, odd.k, odd.detail, odd.page]).toEqual([
      null,
      null,
      10,
      "auto",
      0,
    ]);
  });
});

describe("files of points", () => {
  const data = made([1, -1], ["dog", '<b>,"x"'], [categories("split", Int32Array.of(0, -1), ["=1+1"])]);

  it("hold positions, classes and every column, and no formula", () => {
    const table = pointsTable(data, [0], Float32Array.of(1, 2, 0, 3, 4, 0), true);
    expect(table).toBe('point,image,label,class,x,y,split\r\n0,100,1,"<b>,""x""",1,2,\'=1+1\r\n');
    expect(pointsTable(data, null, new Float32Array(6), false).split("\r\n")).toHaveLength(4);
    expect(JSON.parse(pointsJson(data, [1]))).toMatchObject({ points: [1], index: [101], tag: "fc" });
  });

  it("are drawn as SVG with every text as text", () => {
    const { legend } = coloursOf(data, { by: "class", theme: "light" });
    const svg = pointsSvg({
      width: 100,
      height: 80,
      title: "<b>fc</b> & more",
      subtitle: "",
      background: "#fff",
      text: "#000",
      points: [
        { x: 1, y: 2, colour: "#ff0000", state: 0, title: "a\u0000<" },
        { x: 1, y: 2, colour: "#ff0000", state: 4, title: "hidden" },
      ],
      legend,
    });
    expect(svg.match(/<g transform[\s\S]*?<\/g>/)?.[0].match(/<circle/g)).toHaveLength(1);
    expect(svg).toContain("&lt;b&gt;fc&lt;/b&gt; &amp; more");
    expect(svg).toContain("<title>a&lt;</title>");
    expect(svg).not.toContain("hidden");
    expect(svg).toContain("&lt;b&gt;,&quot;x&quot;");
  });
});

it("points are sorted by any column, missing values last", () => {
  const n = numbers("n", Float64Array.of(2, Number.NaN, 1));
  const c = categories("c", Int32Array.of(-1, 0, 1), ["file 10", "file 9"]);
  const data = made([1, 0, -1], ["cat", "dog"], [n, c]);
  const order = (by: string): number[] => [...sortPoints(data, null, by)];
  expect([order("column:n"), order("-column:n"), order("class"), order("column:c"), order("")]).toEqual([
    [2, 0, 1],
    [0, 2, 1],
    [1, 0, 2],
    [2, 1, 0],
    [0, 1, 2],
  ]);
});
