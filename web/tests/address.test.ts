import { describe, expect, it } from "vitest";
import { choose, projectionsOf, splitList } from "../src/lib/catalog";
import { coloursOf } from "../src/lib/filters";
import { misfit } from "../src/lib/frames";
import { insidePart, WHOLE } from "../src/lib/patch";
import { classOf } from "../src/lib/points";
import { boundedOf, placeOf } from "../src/lib/route";
import { fitTile } from "../src/lib/sheet";
import type { Index, RunInfo } from "../src/source/source";

const record = (id: string, kind: string, tag: string, step = 0) => ({
  id,
  kind,
  tag,
  step,
  wall_time: 0,
  bytes: 1,
});
const run = (name: string, ...records: RunInfo["records"]): RunInfo => ({
  name,
  last_wall_time: null,
  series: [],
  records,
  problems: [],
});
const route = (params: Record<string, string>) => ({ view: "layer", params });

describe("an address that names what is not here", () => {
  const index: Index = {
    logdir: "",
    version: 1,
    runs: [run("alexnet", record("a", "topk", "conv1"), record("b", "topk", "conv2")), run("curves")],
  };
  const chosen = (params: Record<string, string>) => {
    const { run: one, tag, note } = choose(index, "topk", params);
    return [one?.name, tag, note];
  };

  it("is silent where all is as asked", () => {
    expect(chosen({})).toEqual(["alexnet", "conv1", ""]);
    expect(chosen({ run: "alexnet", tag: "conv2" })).toEqual(["alexnet", "conv2", ""]);
  });

  it("says what is shown in place of an unknown run, one without such results, an unknown tag", () => {
    expect(chosen({ run: "gone" })).toEqual(["alexnet", "conv1", "No run “gone” here; showing alexnet."]);
    expect(chosen({ run: "curves" })[2]).toContain("Nothing of run “curves” here");
    expect(chosen({ tag: "conv9" })).toEqual(["alexnet", "conv1", "No “conv9” in alexnet; showing conv1."]);
  });

  it("takes only whole numbers in range as places", () => {
    expect(placeOf(route({ ch: "12" }), "ch", 64, "channel")).toEqual({ at: 12, note: "" });
    expect(placeOf(route({}), "ch", 64, "channel")).toEqual({ at: -1, note: "" });
    for (const ch of ["1.5", "-1", "99999", "NaN", "3x", "64", "1e1"]) {
      const { at, note } = placeOf(route({ ch }), "ch", 64, "channel");
      expect([at, note]).toEqual([-1, `No channel “${ch}” here; there are 64, numbered from 0.`]);
    }
  });

  it("isolates only classes that points have", () => {
    const data = { label: Int32Array.of(0, 2, -1), classes: ["dog", "cat", "hot dog"] };
    expect(classOf(data, undefined)).toEqual({ label: null, note: "" });
    expect([classOf(data, "2").label, classOf(data, "-1").label]).toEqual([2, -1]);
    expect([classOf(data, "hot dog").label, classOf(data, "cat").label]).toEqual([2, null]);
    for (const wrong of ["1", "x", "0.5"])
      expect(classOf(data, wrong)).toEqual({ label: null, note: `No class “${wrong}” here.` });
  });

  it("moves numbers into their bounds", () => {
    const smooth = (text: string): number => boundedOf(route({ smooth: text }), "smooth", 0.6, 0, 0.999);
    expect(["-5", "7", "0.3", "x"].map(smooth)).toEqual([0, 0.999, 0.3, 0.6]);
  });

  it("reads a stray percent sign as text", () => {
    expect(splitList("%,a%2Cb,%zz")).toEqual(["%", "a,b", "%zz"]);
  });
});

describe("projections", () => {
  const early = record("e1", "embedding", "fc");
  const late = record("e2", "embedding", "fc");
  const one = run(
    "r",
    early,
    record("p1", "projection", "fc/pca"),
    record("p2", "projection", "fc/tsne"),
    record("x", "embedding", "fc/deep"),
    record("y", "projection", "fc/deep/pca"),
    record("next", "embedding", "fc", 10),
    record("other", "projection", "fc/tsne", 10),
    record("p3", "projection", "fc/tsne"),
    late,
    record("p4", "projection", "fc/tsne"),
  );
  const ids = (embedding: typeof early) =>
    [...projectionsOf(one, embedding)].map(([tag, records]) => [tag, records.map(({ id }) => id)]);

  it("belong to the embedding of their step that was written before them", () => {
    expect(ids(early)).toEqual([
      ["fc/pca", ["p1"]],
      ["fc/tsne", ["p2", "p3"]],
    ]);
    expect(ids(late)).toEqual([["fc/tsne", ["p4"]]]);
    expect(ids(record("next", "embedding", "fc", 10))).toEqual([["fc/tsne", ["other"]]]);
  });

  it("are refused where they do not place every point", () => {
    expect(misfit([120, 2], 240, 120)).toBe("");
    expect(misfit([90, 2], 180, 120)).toContain("90 positions do not fit the 120 points");
    expect(misfit([120, 2], 200, 120)).toContain("place no points");
    expect(misfit([240], 240, 120)).toContain("place no points");
  });
});

describe("tiles", () => {
  it("that hold the whole picture are not cut, though the field is as large as the picture", () => {
    expect(insidePart([-14, 0, 14, 28], 0, [28, 28], [28, 28], true)).toEqual(WHOLE);
    expect(insidePart([-14, 0, 14, 28], 0, [28, 28], [28, 28])).not.toEqual(WHOLE);
  });

  it("keep their shape", () => {
    expect(fitTile([7, 7], 40)).toEqual({ width: 40, height: 40 });
    expect(fitTile([9, 3], 90)).toEqual({ width: 30, height: 90 });
    expect(fitTile([1, 500], 40)).toEqual({ width: 40, height: 1 });
  });

  it("take the colours of a BGR network in its order", () => {
    expect([coloursOf(3, "BGR"), coloursOf(3, undefined), coloursOf(64, "BGR")]).toEqual([
      [2, 1, 0],
      [0, 1, 2],
      null,
    ]);
  });
});
