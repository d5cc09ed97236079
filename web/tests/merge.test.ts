import { afterEach, describe, expect, it, vi } from "vitest";
import { allTags, EVALUATION, groupTags, seriesOf, tagsOf } from "../src/lib/catalog";
import { GrowingTensors } from "../src/lib/series";
import { HttpSource } from "../src/source/http";
import { type Changes, MergedIndex, type PackedRun } from "../src/source/merge";
import type { RunInfo, Tensors } from "../src/source/source";

const run = (name: string, count: number | number[] = 3): PackedRun => ({
  name,
  last_wall_time: 5,
  series: {
    scalar: { tag: ["a/loss", "b"], count, first_step: 0, last_step: [2, 4], last_wall_time: 5.5 },
  },
  records: [],
  problems: [],
});

const changes = (version: number, more: Partial<Changes>): Changes => ({
  logdir: "runs",
  version,
  whole: false,
  runs: [],
  ...more,
});

describe("the merged index", () => {
  const started = (): MergedIndex => {
    const merged = new MergedIndex();
    merged.take(changes(10, { whole: true, names: ["a", "b"], runs: [run("a"), run("b")] }), 0);
    return merged;
  };

  it("spreads columns over the series, one number over all", () => {
    const merged = new MergedIndex();
    const index = merged.take(changes(10, { whole: true, names: ["a"], runs: [run("a", [7, 8])] }), 0);
    expect(index.runs[0].series).toEqual([
      { kind: "scalar", tag: "a/loss", count: 7, first_step: 0, last_step: 2, last_wall_time: 5.5 },
      { kind: "scalar", tag: "b", count: 8, first_step: 0, last_step: 4, last_wall_time: 5.5 },
    ]);
    expect(merged.since).toBe(10);
    expect(Object.keys(index).sort()).toEqual(["logdir", "runs", "version"]);
  });

  it("keeps runs that have not changed as the same objects", () => {
    const merged = started();
    const before = merged.take(changes(10, {}), 10);
    const after = merged.take(changes(11, { runs: [run("b", 4)] }), 10);
    expect(after.runs.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(after.runs[0]).toBe(before.runs[0]);
    expect(after.runs[1].series[0].count).toBe(4);
    expect(after.version).toBe(11);
  });

  it("takes names in their order, and forgets the runs that are gone", () => {
    const merged = started();
    const index = merged.take(changes(12, { names: ["0", "b"], runs: [run("0")] }), 10);
    expect(index.runs.map(({ name }) => name)).toEqual(["0", "b"]);
  });

  it("starts over where the server has", () => {
    const merged = started();
    const index = merged.take(changes(3, { whole: true, names: ["z"], runs: [run("z")] }), 10);
    expect(index.runs.map(({ name }) => name)).toEqual(["z"]);
    expect(merged.since).toBe(3);
  });

  it("lets an answer that comes late change nothing", () => {
    const merged = started();
    const newer = merged.take(changes(12, { runs: [run("b", 6)] }), 10);
    expect(merged.take(changes(11, { runs: [run("b", 4)] }), 10)).toBe(newer);
  });

  it("says what is waited for only while it is", () => {
    const merged = new MergedIndex();
    expect(merged.take(changes(1, { whole: true, names: [], waiting: "no directory yet" }), 0).waiting).toBe(
      "no directory yet",
    );
    expect(merged.take(changes(2, { names: ["a"], runs: [run("a")] }), 1)).not.toHaveProperty("waiting");
  });
});

describe("the source behind the server", () => {
  afterEach(() => vi.unstubAllGlobals());

  const answering = (...bodies: (Changes | Response)[]): { asked: string[]; source: HttpSource } => {
    const asked: string[] = [];
    vi.stubGlobal("fetch", (url: string) => {
      asked.push(url);
      const body = bodies.shift();
      return Promise.resolve(body instanceof Response ? body : Response.json(body));
    });
    return { asked, source: new HttpSource() };
  };

  it("asks for what is new since it last asked", async () => {
    const { asked, source } = answering(
      changes(10, { whole: true, names: ["a", "b"], runs: [run("a"), run("b")] }),
      changes(11, { runs: [run("a", 9)] }),
    );
    await source.index();
    const index = await source.index();
    expect(asked).toEqual(["api/index?since=0", "api/index?since=10"]);
    expect(index.runs.map(({ series }) => series[0].count)).toEqual([9, 3]);
  });

  it("asks again for the same after a refusal", async () => {
    const refusal = Response.json({ error: "no" }, { status: 422 });
    const { asked, source } = answering(refusal, changes(10, { whole: true, names: [], runs: [] }));
    await expect(source.index()).rejects.toThrow("no");
    await source.index();
    expect(asked).toEqual(["api/index?since=0", "api/index?since=0"]);
  });

  it("says how long a text is of which it has the beginning", async () => {
    const { asked, source } = answering(new Response("abc", { headers: { "x-bytes": "3000000" } }));
    expect(await source.text("r", "a b", 2)).toEqual({ text: "abc", bytes: 3_000_000 });
    expect(asked).toEqual(["api/text?run=r&tag=a+b&index=2"]);
    expect(source.audioUrl("r&", "t", 1)).toBe("api/audio?run=r%26&tag=t&index=1");
  });
});

describe("growing tensors", () => {
  const part = (rows: number[][]): Tensors => ({
    step: { shape: [rows.length], data: Float64Array.from(rows, (_, i) => i) },
    recall: {
      shape: [rows.length, rows[0]?.length ?? 0],
      data: Float64Array.from(rows.flat()),
    },
  });

  it("appends rows, and pads the shorter ones", () => {
    const series = new GrowingTensors();
    series.append(part([[1, 2]]));
    series.append(part([]));
    series.append(part([[3, 4, 5]]));
    series.append(part([[6]]));
    expect(series.length).toBe(3);
    const { shape, data } = series.all.recall;
    expect(shape).toEqual([3, 3]);
    expect([...data]).toEqual([1, 2, Number.NaN, 3, 4, 5, 6, Number.NaN, Number.NaN]);
    series.clear();
    expect([series.length, series.all]).toEqual([0, {}]);
  });
});

describe("the catalog of a large run", () => {
  const info = (name: string, tags: readonly string[], kind: "scalar" | "pr_curve" = "scalar"): RunInfo => ({
    name,
    last_wall_time: null,
    series: tags.map((tag, i) => ({
      kind,
      tag,
      count: i,
      first_step: 0,
      last_step: 0,
      last_wall_time: 0,
    })),
    records: [],
    problems: [],
  });

  it("finds each of 100,000 tags without looking through all", () => {
    const tags = Array.from({ length: 100_000 }, (_, i) => `layer/${i}`);
    const large = info("large", tags);
    let sum = 0;
    for (const tag of tags) sum += seriesOf(large, "scalar", tag)?.count ?? 0;
    expect(groupTags(tags).get("layer")).toHaveLength(100_000);
    expect(sum).toBe(4_999_950_000);
  }, 8000);

  it("has both kinds of curves of a classifier on one page", () => {
    const both = { ...info("a", ["pr"], "pr_curve") };
    expect(tagsOf(both, EVALUATION)).toEqual(["pr"]);
    const index = { logdir: "", version: 1, runs: [both, info("b", ["x"])] };
    expect(allTags(index, EVALUATION)).toEqual(["pr"]);
    expect(allTags(index, "scalar")).toEqual(["x"]);
  });
});
