import { describe, expect, it } from "vitest";
import { binEdges, binPass, ordered, quantiles, smooth } from "../src/lib/binning";
import { chartSvg, xml } from "../src/lib/chartsvg";
import { csv, safeName } from "../src/lib/download";
import { type CurveOptions, makeScene, place, polylines, valueAt } from "../src/lib/scene";
import { GrowingSeries } from "../src/lib/series";
import { meanOf, nearestPoint, Preparer, type Trace } from "../src/lib/traces";
import type { Source } from "../src/source/source";
import { groupsOf, matchingTags, toggled, toggledGroup } from "../src/views/panels/scalargroups";
import { notesOf } from "../src/views/panels/scalarnotes";
import { pointRows } from "../src/views/panels/scalarsave";
import { customSpec, type Material, tagsOfChart } from "../src/views/panels/scalarspec";
import { SeriesStore } from "../src/views/panels/scalarstore";
import { extremesOf, type Row, sortedRows } from "../src/views/panels/scalartable";
import { orderedReadings } from "../src/views/panels/scalartip";
import { zoomOf, zoomText } from "../src/views/panels/scalartools";

const OPTIONS: CurveOptions = {
  smoothing: 0,
  axis: "step",
  logX: false,
  logY: false,
  clip: false,
  zoom: null,
};

function series(value: readonly number[], step = value.map((_, i) => i)): GrowingSeries {
  const grown = new GrowingSeries();
  const wallTime = Float64Array.from(step, (s) => 100 + s);
  grown.append({ step: Float64Array.from(step), wallTime, value: Float64Array.from(value) });
  return grown;
}

function trace(value: readonly number[], step?: number[], name = "run"): Trace {
  return {
    kind: "run",
    name,
    colour: "#123456",
    dash: [],
    sources: [{ run: name, tag: "t", series: series(value, step) }],
  };
}

const prepare = (traces: readonly Trace[], smoothing = 0) =>
  new Preparer().prepare(traces, "step", smoothing);

const scene = (traces: readonly Trace[], options: Partial<CurveOptions> = {}, columns = 400) =>
  makeScene(prepare(traces, options.smoothing), { ...OPTIONS, ...options }, columns);

describe("binning to columns", () => {
  it("keeps in every column of pixels its smallest and its largest value, wherever the points lie", () => {
    // Dense on the left, sparse on the right: equally many points a bin would blur the right half.
    const x = Float64Array.from({ length: 5000 }, (_, i) => (i < 4800 ? i / 4800 : 1 + (i - 4800) / 2));
    const y = Float64Array.from(x, (_, i) => (Math.sin(i * 12.9898) * 43758.5453) % 1);
    const edges = binEdges(0, x[4999], 100);
    const points = binPass(x, y, [0, x.length], edges);
    expect(points.binned).toBe(true);
    for (let bin = 0; bin < 100; bin++) {
      const last = bin === 99;
      const inside = (at: number): boolean =>
        at >= edges[bin] && (at < edges[bin + 1] || (last && at <= edges[100]));
      const all = [...y].filter((_, i) => inside(x[i]));
      const kept = points.y.filter((_, i) => inside(points.x[i])) as number[];
      if (!all.length) continue;
      expect(Math.min(...kept)).toBe(Math.min(...all));
      expect(Math.max(...kept)).toBe(Math.max(...all));
    }
  });

  it("keeps the neighbours beside the window, so that lines reach its border", () => {
    const x = Float64Array.from({ length: 1000 }, (_, i) => i);
    const points = binPass(x, x, [0, 1000], binEdges(300, 600, 50));
    expect(points.x[0]).toBe(299);
    expect(points.x.at(-1)).toBe(601);
  });

  it("has columns of equal width on a logarithmic axis", () => {
    const edges = binEdges(1, 1000, 3, true);
    expect([...edges].map((edge) => Math.round(edge * 1e6) / 1e6)).toEqual([1, 10, 100, 1000]);
  });
});

describe("steps that go back", () => {
  it("begin another pass, and its smoothing begins anew", () => {
    const { passes, sorted, y } = ordered(Float64Array.of(0, 1, 2, 1, 2), Float64Array.of(8, 8, 8, 2, 2));
    expect(passes).toEqual([
      [0, 3],
      [3, 5],
    ]);
    expect(sorted).toBe(false);
    expect([...smooth(y, 0.9, passes)].map((v) => Math.round(v * 1e9) / 1e9)).toEqual([8, 8, 8, 2, 2]);
  });

  it("are drawn as lines of their own, and the last pass answers the cursor", () => {
    const one = trace([10, 11, 12, 20, 21], [0, 1, 2, 1, 2]);
    const [line] = prepare([one]);
    expect(scene([one]).strokes[0].pieces.map(({ x }) => x)).toEqual([
      [0, 1, 2],
      [1, 2],
    ]);
    expect(line.y[nearestPoint(line, 2)]).toBe(21);
    expect(line.y[nearestPoint(line, 0)]).toBe(10);
    expect(notesOf([line], scene([one]), OPTIONS)).toEqual(["steps go back once: drawn apart"]);
  });

  it("are sorted where there is no order at all", () => {
    const step = Array.from({ length: 200 }, (_, i) => (i * 73) % 200);
    const { x, passes, sorted } = ordered(Float64Array.from(step), Float64Array.from(step));
    expect(sorted).toBe(true);
    expect(passes).toEqual([[0, 200]]);
    expect([...x]).toEqual([...step].sort((a, b) => a - b));
  });

  it("stay one line where a step is told twice", () => {
    expect(ordered(Float64Array.of(0, 1, 1, 2), new Float64Array(4)).passes).toEqual([[0, 4]]);
  });
});

describe("clipping", () => {
  it("ends the axis at the 5th and the 95th percentile, as numpy has them, and counts what is outside", () => {
    // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], [0.05, 0.95]) == [1.0, 7.65]
    const values = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3];
    const odd = [...values, Number.POSITIVE_INFINITY];
    const [low, high] = quantiles([values, [Number.NaN]], 0.05, 0.95) ?? [];
    expect(low).toBeCloseTo(1, 12);
    expect(high).toBeCloseTo(7.65, 12);
    const clipped = scene([trace(odd)], { clip: true });
    expect(clipped.y[1]).toBeCloseTo(7.65 + 0.06 * 6.65, 12);
    expect(clipped.outside).toBe(1);
    expect(notesOf(prepare([trace(values)]), clipped, { ...OPTIONS, clip: true })).toContain(
      "axis: 5–95 % of the points, 1 outside",
    );
    expect(scene([trace(values)]).y[1]).toBeGreaterThan(9);
  });

  it("has no percentiles of nothing", () => {
    expect(quantiles([[Number.NaN, Number.POSITIVE_INFINITY]], 0, 1)).toBeNull();
  });
});

describe("a scene", () => {
  it("marks values that are not finite and says how many", () => {
    const odd = trace([1, Number.NaN, 2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    const { marks, strokes } = scene([odd]);
    expect(marks.map(({ kind, x }) => [kind, x])).toEqual([
      ["nan", 1],
      ["up", 3],
      ["down", 4],
    ]);
    expect(strokes[0].pieces[0].y).toEqual([1, null, 2, null, null]);
    expect(notesOf(prepare([odd]), scene([odd]), OPTIONS)).toEqual(["1 NaN ×", "1 +∞ ▲", "1 −∞ ▼"]);
  });

  it("draws the raw curve faint under the smoothed one", () => {
    const { strokes } = scene([trace([0, 1, 0, 1])], { smoothing: 0.5 });
    expect(strokes.map(({ alpha }) => alpha < 1)).toEqual([true, false]);
    expect(strokes[0].pieces[0].y).toEqual([0, 1, 0, 1]);
    expect(strokes[1].pieces[0].y[1]).toBeCloseTo(1 / 1.5, 12);
  });

  it("leaves out what a logarithmic axis has no place for, and says so", () => {
    const one = trace([1, 10, -1, 100], [0, 1, 2, 3]);
    const both = scene([one], { logX: true, logY: true });
    expect(both.x[0]).toBe(1);
    expect(both.notPositive).toBe(2);
    const box = { left: 0, top: 0, width: 100, height: 100 };
    expect(polylines(both.strokes[0].pieces[0], both, box).map((line) => line.length)).toEqual([1, 1]);
  });

  it("has axes that invert", () => {
    expect(valueAt(place(7, [2, 50], true), [2, 50], true)).toBeCloseTo(7, 12);
    expect(place(5, [0, 10], false)).toBe(0.5);
  });

  it("goes no closer than an axis can have marks", () => {
    const close = [1000, 1000 + 2e-13] as const;
    const { x } = scene([trace([1, 2, 3], [0, 1000, 2000])], { zoom: close });
    expect(x[1] - x[0]).toBeGreaterThan(5e-8);
    expect((x[0] + x[1]) / 2).toBeCloseTo(1000, 9);
    expect(scene([trace([1, 2])], { zoom: [0, 5e-324] }).x[1]).toBeGreaterThan(0);
    expect(scene([trace([1, 2])], { zoom: [0.25, 0.75] }).x).toEqual([0.25, 0.75]);
  });

  it("says when nothing is in the zoomed part", () => {
    const one = trace([1, 2]);
    const options = { ...OPTIONS, zoom: [10, 20] as const };
    // The neighbour beside the window is no point in it.
    expect(scene([one], options).y).toEqual([0, 1]);
    expect(notesOf(prepare([one]), scene([one], options), options)).toEqual(["no point between 10 and 20"]);
  });
});

describe("mean over runs", () => {
  it("is the mean and the sample deviation, and says how many stand behind each point", () => {
    const runs = [trace([1, 2, 3]), trace([3, 6], [0, 1]), trace([5, 7, 9])];
    const { x, mean, deviation, behind } = meanOf(prepare(runs));
    expect([...x]).toEqual([0, 1, 2]);
    expect([...behind]).toEqual([3, 3, 2]);
    expect([...mean]).toEqual([3, 5, 6]);
    expect(deviation[0]).toBeCloseTo(2, 12);
    expect(deviation[2]).toBeCloseTo(Math.sqrt(18), 12);
  });

  it("takes a run between its points from the line between them, never beyond its ends", () => {
    const { x, mean, behind } = meanOf(prepare([trace([0, 10], [0, 10]), trace([1], [5])]));
    expect([...x]).toEqual([0, 5, 10]);
    expect([...mean]).toEqual([0, 3, 10]);
    expect([...behind]).toEqual([1, 2, 1]);
  });

  it("is not poisoned by a NaN", () => {
    const { mean, behind } = meanOf(prepare([trace([1, Number.NaN, 3]), trace([1, 4, 3])]));
    expect([...mean]).toEqual([1, 3, 3]);
    const group: Trace = {
      ...trace([], []),
      kind: "mean",
      sources: [trace([1, Number.NaN, 3]), trace([1, 4, 3])].flatMap(({ sources }) => sources),
    };
    expect(prepare([group])[0].notFinite).toEqual([{ x: 1, value: Number.NaN }]);
    expect([...behind]).toEqual([2, 2, 2]);
  });

  it("is taken at no more places than it may be", () => {
    const { x } = meanOf(prepare([trace(Array.from({ length: 100 }, () => 1))]), 10);
    expect(x.length).toBe(10);
    expect([x[0], x[9]]).toEqual([0, 99]);
  });
});

describe("the table", () => {
  it("has the extremes of the finite values and their steps", () => {
    const found = extremesOf([5, 6, 7, 8], [2, Number.NaN, -1, Number.POSITIVE_INFINITY]);
    expect(found).toMatchObject({ min: -1, minStep: 7, max: 2, maxStep: 5, lastStep: 8, points: 4 });
    expect(found.last).toBe(Number.POSITIVE_INFINITY);
  });

  it("is sorted by any column, what is no number last", () => {
    const lines = prepare([
      trace([3], undefined, "b"),
      trace([Number.NaN], undefined, "a10"),
      trace([1], undefined, "a9"),
    ]);
    const rows = lines.map((line): Row => ({ line, ...extremesOf([0], line.y) }));
    const names = (by: string): string[] => sortedRows(rows, by).map(({ line }) => line.trace.name);
    expect(names("")).toEqual(["b", "a10", "a9"]);
    expect(names("run")).toEqual(["a9", "a10", "b"]);
    expect(names("last")).toEqual(["a9", "b", "a10"]);
    expect(names("-last")).toEqual(["b", "a9", "a10"]);
  });
});

describe("the tooltip", () => {
  it("is in the order of the runs, of the values or of the nearness", () => {
    const lines = prepare([
      trace([2], undefined, "a"),
      trace([3], undefined, "b"),
      trace([1], undefined, "c"),
    ]);
    const readings = lines.map((line, i) => ({ line, index: 0, away: [5, 9, 1][i] }));
    const names = (order: "run" | "high" | "low" | "near"): string =>
      orderedReadings(readings, order)
        .map(({ line }) => line.trace.name)
        .join("");
    expect([names("run"), names("high"), names("low"), names("near")]).toEqual(["abc", "bac", "cab", "cab"]);
  });
});

describe("files", () => {
  it("CSV has every raw point, text quoted, nothing that a spreadsheet would run", () => {
    const lines = prepare([trace([1.5, Number.NaN], undefined, '=a,"b"')]);
    expect(csv(["run", "tag", "step", "wall_time", "value"], pointRows(lines))).toBe(
      'run,tag,step,wall_time,value\r\n"\'=a,""b""",t,0,100,1.5\r\n"\'=a,""b""",t,1,101,NaN\r\n',
    );
  });

  it("names are safe whatever a tag says", () => {
    expect(safeName("../../etc/passwd<x>.csv")).toBe("etc-passwd-x-.csv");
    expect(safeName("verlust/größe.svg")).toBe("verlust-größe.svg");
    expect(safeName("///")).toBe("file");
    expect(safeName(`${"x".repeat(300)}.png`)).toMatch(/^x{96}\.png$/);
  });

  it("SVG holds what is drawn, and text as text", () => {
    const one = scene([trace([0, 1, 0.5], undefined, "<b>&\u0001")]);
    const svg = chartSvg({
      title: "<script>",
      note: "",
      scene: one,
      ticks: { x: [{ at: 0.5, text: "1" }], y: [] },
      legend: [{ name: "<b>&\u0001", colour: "#123456", dash: [4, 2] }],
      colours: { page: "#fff", text: "#000", muted: "#666" },
    });
    expect(svg).toContain("&lt;script&gt;");
    expect(svg).not.toContain("<script>");
    expect(svg).not.toContain("\u0001");
    const path = /<path d="(M[^"]*)" fill="none" stroke-linejoin/.exec(svg)?.[1] ?? "";
    const points = path
      .split(/[ML]/)
      .filter(Boolean)
      .map((pair) => pair.split(" ").map(Number));
    expect(points.map(([x]) => x)).toEqual([60, 402, 744]);
    expect(points[1][1]).toBeLessThan(points[2][1]); // the largest value is the highest on the page
    expect(svg).toContain('stroke-dasharray="4 2"');
    expect(xml("a\u{1F600}")).toBe("a\u{1F600}");
  });
});

describe("the address", () => {
  it("has a range that can be read back", () => {
    expect(zoomOf("2:10.5")).toEqual([2, 10.5]);
    for (const wrong of [undefined, "", "3", "5:1", "a:b", "1:2:3"]) expect(zoomOf(wrong)).toBeNull();
    const wall = [1763700000.25, 1763700001.5] as const;
    const [a, b] = zoomOf(zoomText(wall) ?? undefined) ?? [0, 0];
    expect(Math.abs(a - wall[0])).toBeLessThan(1e-3);
    expect(Math.abs(b - wall[1])).toBeLessThan(1e-3);
    expect(zoomText([1 / 3, 2])).toBe("0.333333:2");
  });

  it("opens and closes groups, all or one", () => {
    expect(toggledGroup({}, "/a,b")).toEqual({ closed: "/a%2Cb", open: null });
    expect(toggledGroup({ closed: "/a" }, "/a")).toEqual({ closed: null, open: null });
    expect(toggledGroup({ closed: "*" }, "/a")).toEqual({ closed: "*", open: "/a" });
    expect(toggled("x,y", "x")).toBe("y");
  });

  it("puts pins first, each under its whole name, and closes what it says", () => {
    const tags = ["a/x", "a/y", "z"];
    const params = { pins: "a/y,gone", closed: "/a" };
    const groups = groupsOf({ tags, known: new Set(tags), layouts: [], params });
    expect(groups.map(({ name, open, specs }) => [name, open, specs.map(({ title }) => title)])).toEqual([
      ["Pinned", true, ["a/y"]],
      ["General", true, ["z"]],
      ["a", false, ["x", "y"]],
    ]);
  });

  it("filters tags by a part or by a regular expression", () => {
    const tags = ["train/loss", "test/loss", "c++"];
    expect(matchingTags(tags, "LOSS")).toEqual(["train/loss", "test/loss"]);
    expect(matchingTags(tags, "^te.*s$")).toEqual(["test/loss"]);
    expect(matchingTags(tags, "++")).toEqual(["c++"]);
  });
});

describe("custom charts", () => {
  const chart = { title: "T", kind: "lines", tags: ["train/(loss|acc)", "("] } as const;

  it("show the tags that begin as their expressions say", () => {
    expect(tagsOfChart(chart, ["x/train/loss", "train/acc", "train/loss", "(a"])).toEqual([
      "train/acc",
      "train/loss",
      "(a",
    ]);
  });

  it("draw a curve between its margins", () => {
    const margin = {
      title: "M",
      kind: "margin",
      tags: [],
      margins: [{ value: "v", lower: "l", upper: "u" }],
    } as const;
    const material: Material = {
      store: new SeriesStore({} as Source),
      tags: new Map(["v", "l", "u"].map((tag) => [tag, new Map([["r", 1]])])),
      groups: [
        { name: "r", runs: [{ name: "r", last_wall_time: 0, series: [], records: [], problems: [] }] },
      ],
      colours: new Map(),
      dashes: new Map(),
      colourOf: () => "#111111",
    };
    const [one] = customSpec("C", margin).traces(material);
    expect(one.sources.map(({ tag }) => tag)).toEqual(["v", "l", "u"]);
    const fill = (tag: string, value: number): void =>
      material.store.get("r", tag).append({
        step: Float64Array.of(0, 1),
        wallTime: Float64Array.of(0, 1),
        value: Float64Array.of(value, value),
      });
    for (const [tag, value] of Object.entries({ v: 5, l: 2, u: 9 })) fill(tag, value);
    const drawn = scene([one]);
    expect(drawn.areas[0].low[0].y).toEqual([2, 2]);
    expect(drawn.areas[0].high[0].y).toEqual([9, 9]);
    expect(drawn.y[0]).toBeLessThan(2);
  });
});
