import { expect, test } from "vitest";
import { brushed, stretches } from "../src/lib/axisbrush";
import { axisScale, logTicks, niceTicks } from "../src/lib/axisscale";
import { byColumn } from "../src/lib/hparamcolour";
import { curvesLink, runsWithout } from "../src/lib/hparamcurves";
import {
  filterText,
  formatFilter,
  parseFilter,
  passes,
  passingRows,
  roundedBound,
} from "../src/lib/hparamfilter";
import {
  type Cell,
  type Column,
  cellText,
  defaultColumns,
  sortRows,
  tableOf,
  usualScale,
} from "../src/lib/hparams";
import { columnChange, moved, pickChange, sortChange, stateOf } from "../src/lib/hparamstate";
import { layoutOf, nearestLine } from "../src/lib/parallel";
import { scatterLayout } from "../src/lib/scatterplot";
import { Ranked, spearman } from "../src/lib/spearman";
import type { HParamsRun, RunInfo } from "../src/source/source";

type Values = HParamsRun["values"];

const run = (name: string, values: Values, metrics: HParamsRun["metrics"] = {}): HParamsRun => ({
  run: name,
  values,
  metrics,
  status: "success",
  started: 100,
  ended: null,
});

const columnOf = (cells: readonly Cell[]): Column =>
  tableOf(cells.map((cell, i) => run(`r${i}`, (cell === undefined ? {} : { a: cell }) as Values))).columns[0];

const named = (answer: readonly HParamsRun[], key: string): Column | undefined =>
  tableOf(answer).columns.find((column) => column.key === key);

test("columns are numbers only where all values are", () => {
  expect(columnOf([1, undefined, 2]).numeric).toBe(true);
  expect(columnOf([1, "2"]).numeric).toBe(false);
  expect(columnOf([true, false]).numeric).toBe(false);
  expect(columnOf(["1", "2"]).numeric).toBe(false);
});

test("what JSON has no number for is a number among numbers and a text among texts", () => {
  expect(columnOf([0.5, "NaN", "-Infinity"]).cells).toEqual([0.5, Number.NaN, Number.NEGATIVE_INFINITY]);
  expect(columnOf(["adam", "NaN"]).cells).toEqual(["adam", "NaN"]);
  const metric = named([run("a", {}, { loss: "Infinity" }), run("b", {}, { loss: null })], "loss");
  expect(metric?.cells).toEqual([Number.POSITIVE_INFINITY, undefined]);
});

test("the least and the greatest of a curve take the place of the last where they are told", () => {
  const told = { ...run("a", {}, { loss: 2, once: 5 }), least: { loss: 1 }, greatest: { loss: "Infinity" } };
  const of = (which: "last" | "min" | "max"): Cell[] =>
    tableOf([told], which)
      .columns.slice(0, 2)
      .map(({ cells }) => cells[0]);
  expect(of("last")).toEqual([2, 5]);
  expect(of("min")).toEqual([1, 5]);
  expect(of("max")).toEqual([Number.POSITIVE_INFINITY, 5]);
});

test("a name that is a hyper-parameter, a metric and of the run has a key for each", () => {
  const { columns } = tableOf([
    run("a", { run: 1, loss: 2, status: "x", __proto__x: 1 }, { loss: 3, toString: 1 }),
  ]);
  expect(columns.map(({ key }) => key)).toEqual([
    "hparam:run",
    "loss",
    "hparam:status",
    "__proto__x",
    "metric:loss",
    "toString",
    "status",
    "started",
    "duration",
  ]);
  expect(named([run("a", { x: 1 }), run("b", { toString: 2 })], "toString")?.cells).toEqual([undefined, 2]);
});

test("texts that read as other values are quoted", () => {
  expect(["0.1", "true", "", "nan", "adam"].map(cellText)).toEqual([
    "“0.1”",
    "“true”",
    "“”",
    "“nan”",
    "adam",
  ]);
  expect([0.1, true, Number.NaN, undefined].map(cellText)).toEqual(["0.1", "true", "NaN", ""]);
});

test("of very many columns those that differ are shown first", () => {
  const values = (i: number): Values =>
    Object.fromEntries(Array.from({ length: 200 }, (_, k) => [`p${k}`, k % 4 ? 7 : i]));
  const { columns } = tableOf([run("a", values(0), { m: 1 }), run("b", values(1), { m: 2 })]);
  const keys = defaultColumns(columns);
  expect(keys).toHaveLength(30);
  expect(keys.slice(0, 2)).toEqual(["p0", "p4"]);
  expect(keys.at(-1)).toBe("m");
});

test("rows are sorted both ways, what is missing or NaN comes last, ties stay", () => {
  const cells = [3, undefined, 1, Number.NaN, 2, 1, Number.POSITIVE_INFINITY];
  const rows = cells.map((_, i) => i);
  expect(sortRows(rows, cells, false)).toEqual([2, 5, 4, 0, 6, 3, 1]);
  expect(sortRows(rows, cells, true)).toEqual([6, 0, 4, 2, 5, 3, 1]);
  expect(sortRows([0, 1, 2], ["x10", "x9", "x1"], false)).toEqual([2, 1, 0]);
});

test.each([
  ["0.001..0.1"],
  ["..5,-"],
  ["1e-05..,NaN"],
  ["..,-,NaN"],
  ["adam,sgd,-"],
  ["~net 5"],
  ["-"],
  ["!"],
  ["%"],
  ["a%2Cb,100%25,%2D,%7Ehome"],
])("the filter %s stands in the address as it was", (text) => {
  const filter = parseFilter(text);
  expect(filter && parseFilter(formatFilter(filter))).toEqual(filter);
});

test("choices keep commas, marks and dots of their texts", () => {
  const texts = new Set(["a,b", "-", "!", "~x", "", "1..2", "%2C"]);
  const filter = { kind: "choice", texts, missing: true } as const;
  expect(parseFilter(formatFilter(filter))).toEqual(filter);
});

test("a filter passes what it says and nothing else", () => {
  const range = parseFilter("1..2");
  const open = parseFilter("1..,-");
  const which = (filter: ReturnType<typeof parseFilter>): Cell[] =>
    [0.5, 1, 2, Number.POSITIVE_INFINITY, Number.NaN, undefined, "1"].filter(
      (cell) => filter && passes(filter, cell),
    );
  expect(which(range)).toEqual([1, 2]);
  expect(which(open)).toEqual([1, 2, Number.POSITIVE_INFINITY, undefined]);
  expect(which(parseFilter("..,NaN"))).toEqual([0.5, 1, 2, Number.POSITIVE_INFINITY, Number.NaN]);
  expect(parseFilter("")).toBeNull();
  expect(
    filterText({ kind: "range", low: 1, high: Number.POSITIVE_INFINITY, missing: true, nan: false }),
  ).toBe("at least 1, or missing");
});

test("rows pass all filters together", () => {
  const { columns } = tableOf([
    run("a", { lr: 1, o: "x" }),
    run("b", { lr: 2, o: "x" }),
    run("c", { lr: 2, o: "y" }),
  ]);
  const filters = new Map([
    ["lr", { kind: "range", low: 2, high: 9, missing: false, nan: false } as const],
    ["o", { kind: "text", part: "X" } as const],
  ]);
  expect(passingRows(3, columns, filters)).toEqual([1]);
});

test("a brush's bounds are short and never leave out what is inside", () => {
  expect(roundedBound(0.0012345678, "low")).toBe(0.0012345);
  expect(roundedBound(0.0012345678, "high")).toBe(0.0012346);
  expect(roundedBound(-2.34567891, "low")).toBe(-2.3457);
  expect(roundedBound(0, "high")).toBe(0);
});

test("axes place values, and what has none in slots", () => {
  const linear = axisScale(columnOf([0, 10, "Infinity", "NaN", undefined]), "linear");
  expect(
    [5, 10, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, undefined].map(linear.place),
  ).toEqual([0.5, 1, 1, 0, "NaN", "missing"]);
  const log = axisScale(columnOf([0, 0.01, 1]), "log");
  expect(log.place(0)).toBe("below");
  expect(log.place(0.1)).toBeCloseTo(0.5);
  expect(log.invert(0.5)).toBeCloseTo(0.1);
  const quantile = axisScale(columnOf([1, 2, 2, 1000, 5]), "quantile");
  expect([1, 2, 5, 1000].map(quantile.place)).toEqual([0, 0.375, 0.75, 1]);
  const category = axisScale(columnOf(["b10", "b9", true]), "linear");
  expect(category.ticks.map(({ text }) => text)).toEqual(["true", "b9", "b10"]);
  expect(axisScale(columnOf([3, 3]), "log").place(3)).toBe(0.5);
});

test("ticks are round and inside the range", () => {
  expect(niceTicks(0, 1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(niceTicks(0.13, 0.31)).toEqual([0.15, 0.2, 0.25, 0.3]);
  expect(logTicks(0.0005, 20)).toEqual([0.001, 0.01, 0.1, 1, 10]);
  expect(logTicks(2, 5)).toEqual([2, 5]);
  expect(logTicks(1e-30, 1e30).length).toBeLessThan(8);
});

test("the usual scale is logarithmic over two powers of ten of positive numbers", () => {
  expect(usualScale(columnOf([1e-5, 0.1]))).toBe("log");
  expect(usualScale(columnOf([0, 1000]))).toBe("linear");
  expect(usualScale(columnOf([16, 256]))).toBe("linear");
});

test("a brush is a filter and shows where it is", () => {
  const column = columnOf([0, 10, 4]);
  const scale = axisScale(column, "linear");
  const filter = brushed(column, scale, 0.62, 0.2);
  expect(filter).toEqual({ kind: "range", low: 2, high: 6.2, missing: false, nan: false });
  expect(stretches(column, scale, filter)[0].map((end) => Number(end.toFixed(3)))).toEqual([0.2, 0.62]);
  expect(brushed(column, scale, 0, 1)).toMatchObject({
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  });
  const words = columnOf(["a", "b", "c"]);
  const chosen = brushed(words, axisScale(words, "linear"), 0.4, 1);
  expect(chosen.kind === "choice" && [...chosen.texts]).toEqual(["b", "c"]);
});

/** Spearman's ρ straight from its definition: Pearson's correlation of mean ranks. */
function slowSpearman(a: readonly number[], b: readonly number[]): number {
  const rank = (all: readonly number[], v: number): number =>
    all.filter((x) => x < v).length + (all.filter((x) => x === v).length + 1) / 2;
  const [ra, rb] = [a.map((v) => rank(a, v)), b.map((v) => rank(b, v))];
  const mean = (x: readonly number[]): number => x.reduce((s, v) => s + v, 0) / x.length;
  const cov = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((s, v, i) => s + (v - mean(x)) * (y[i] - mean(y)), 0);
  return cov(ra, rb) / Math.sqrt(cov(ra, ra) * cov(rb, rb));
}

test("rank correlation is that of its definition, with ties and with values that are missing", () => {
  const a: Cell[] = [];
  const b: Cell[] = [];
  for (let i = 0; i < 60; i++) {
    a.push(i % 9 === 4 ? undefined : (i * 37) % 11);
    b.push(i % 13 === 5 ? Number.NaN : ((i * 17) % 23) + ((i * 37) % 11));
  }
  const rows = a.map((_, i) => i).filter((i) => i % 2 === 0);
  const both = rows.filter((i) => a[i] !== undefined && !Number.isNaN(b[i]));
  const { rho, n } = spearman(a, b, rows);
  expect(n).toBe(both.length);
  expect(rho).toBeCloseTo(
    slowSpearman(
      both.map((i) => Number(a[i])),
      both.map((i) => Number(b[i])),
    ),
    12,
  );
});

test("rank correlation of monotone, constant and few values", () => {
  const rows = [0, 1, 2, 3];
  expect(spearman([1, 10, 100, Number.POSITIVE_INFINITY], [4, 3, 2, 1], rows)).toEqual({ rho: -1, n: 4 });
  expect(spearman([false, true, true, false], [1, 2, 2, 1], rows).rho).toBeCloseTo(1);
  expect(spearman([1, 1, 1, 1], [1, 2, 3, 4], rows).rho).toBeNaN();
  expect(spearman([1, 2], [1, 2], [0, 1])).toEqual({ rho: Number.NaN, n: 2 });
  expect(new Ranked(["a", "b", "c"], [0, 1, 2]).with(new Ranked([1, 2, 3], [0, 1, 2])).n).toBe(0);
});

const SWEEP = [
  run("a", { lr: 0.001, net: "x" }, { acc: 0.5 }),
  run("b", { lr: 0.1, net: "y" }, { acc: 0.9 }),
  run("c", { lr: 1 }, { acc: 0.7 }),
];
const at = (params: Record<string, string>) =>
  stateOf(tableOf(SWEEP), params, new Map([["a", "#123456"]]), "light");

test("the address says what is shown", () => {
  const state = at({
    sort: "-acc",
    "f.lr": "0.01..",
    by: "run",
    sel: "b,nobody",
    axes: "acc,lr,nothing",
    x: "net",
  });
  expect(state.rows).toEqual([1, 2]);
  expect([...state.passes]).toEqual([0, 1, 1]);
  expect([...state.picked]).toEqual([1]);
  expect(state.axes.map(({ key }) => key)).toEqual(["acc", "lr"]);
  expect([state.by, state.x?.key, state.y?.key]).toEqual([undefined, "net", "acc"]);
  expect(state.colouring.of(0)).toBe("#123456");
  expect(at({}).by?.key).toBe("acc");
  expect(at({ q: "A" }).columns.map(({ key }) => key)).toEqual(["acc", "status", "started", "duration"]);
});

test("sorting goes up, down and off; columns come and go; axes move; runs are chosen", () => {
  expect(sortChange(null, "lr")).toEqual({ sort: "lr" });
  expect(sortChange({ key: "lr", descending: false }, "lr")).toEqual({ sort: "-lr" });
  expect(sortChange({ key: "lr", descending: true }, "lr")).toEqual({ sort: null });
  const table = tableOf(SWEEP);
  expect(columnChange(table, {}, "lr", false)).toEqual({ cols: "", nocols: "lr" });
  expect(columnChange(table, { nocols: "lr,net" }, "lr", true)).toEqual({ cols: "", nocols: "net" });
  expect(columnChange(table, {}, "status", true)).toEqual({ cols: "status", nocols: "" });
  expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  expect(pickChange(at({ sel: "b" }), 0, true)).toEqual({ sel: "a,b" });
  expect(pickChange(at({ sel: "b" }), 0, false)).toEqual({ sel: "a" });
  expect(pickChange(at({ sel: "b" }), 1, false)).toEqual({ sel: "" });
});

test("the nearest line is found between two axes, missing values have their own place", () => {
  const state = at({ axes: "lr,net" });
  const layout = layoutOf(state, 400, 300);
  const [left, right] = layout.axes.map(({ x }) => x);
  expect(layout.slots).toEqual(["missing"]);
  expect(layout.y[2 * 2 + 1]).toBeGreaterThan(layout.bottom);
  const middle = (layout.y[2] + layout.y[3]) / 2;
  expect(nearestLine(layout, [0, 1, 2], (left + right) / 2, middle + 1)).toBe(1);
  expect(nearestLine(layout, [0, 1, 2], left - 40, middle)).toBe(-1);
});

test("runs without a value stand beside the scatter plot", () => {
  const state = at({});
  const [lr, net, acc] = state.table.columns;
  const layout = scatterLayout(state, net, acc, 500, 300);
  expect(layout.points[4]).toBeLessThan(layout.left);
  expect(scatterLayout(state, lr, acc, 500, 300).points[4]).toBeGreaterThan(layout.left);
});

test("colours are a ramp for numbers and one each for a few texts", () => {
  const [lr, net] = tableOf(SWEEP).columns;
  expect(byColumn(lr, "log", "dark").ramp?.colours).toHaveLength(9);
  const { entries, of } = byColumn(net, "linear", "light");
  expect(entries.map(({ text }) => text)).toEqual(["x", "y"]);
  expect(new Set([of(0), of(1), of(2)]).size).toBe(3);
});

test("runs lead to their curves, a run below another with those of it; runs without are listed", () => {
  const info = (name: string, ...kinds: ("scalar" | "hparams")[]): RunInfo =>
    ({
      name,
      last_wall_time: 1,
      records: [],
      problems: [],
      series: kinds.map((kind) => ({ kind, tag: "t" })),
    }) as never;
  const route = { view: "hparams", params: { sort: "lr", pin: "a" } };
  expect(curvesLink(route, ["torch/1,5*"], new Set(["torch"]))).toContain("only=torch,torch/1%252C5%252A");
  const runs = [
    info("torch", "scalar"),
    info("torch/1", "scalar", "hparams"),
    info("plain", "scalar"),
    info("net"),
  ];
  expect(runsWithout(runs, new Set(["torch/1"]))).toEqual([
    { name: "torch", below: 1 },
    { name: "plain", below: 0 },
  ]);
});
