import { describe, expect, it } from "vitest";
import { letterOf, pageGroups, viewOfLetter } from "../src/lib/pages";
import { problemsOf, toastsOf } from "../src/lib/problems";
import { formatRoute } from "../src/lib/route";
import { colourOf } from "../src/lib/runcolours";
import { encodeNames } from "../src/lib/runnames";
import {
  choosing,
  chosenRuns,
  groupNames,
  patternOf,
  roundOf,
  runGroups,
  runSlots,
  shownRuns,
} from "../src/lib/runs";
import { moved, type Row, rowsOf, rowWindow, runsBetween } from "../src/lib/runtree";
import type { Index, RunInfo } from "../src/source/source";
import { VIEWS } from "../src/views/registry";

const run = (name: string, problems: string[] = []): RunInfo => ({
  name,
  last_wall_time: null,
  series: [],
  records: [],
  problems,
});
const indexOf = (...names: string[]): Index => ({
  logdir: "logs",
  version: 1,
  runs: names.map((name) => run(name)),
});
const names = (runs: readonly RunInfo[]): string[] => runs.map(({ name }) => name);
const text = (rows: readonly Row[]): string[] =>
  rows.map(
    (row) => `${"  ".repeat(row.depth)}${row.label}${row.kind === "folder" ? ` (${row.runs.length})` : ""}`,
  );
const NONE = new Set<string>();
const MANY = Array.from({ length: 500 }, (_, i) => `sweep${i % 5}/seed${String(i).padStart(3, "0")}`).sort();

describe("shown runs", () => {
  const index = indexOf("a/1", "a/2", "b,c", "b*");

  it("are all but the hidden ones, or only the named ones", () => {
    expect(names(shownRuns(index, {}))).toEqual(["a/1", "a/2", "b,c", "b*"]);
    expect(names(shownRuns(index, { hide: "a/1,gone" }))).toEqual(["a/2", "b,c", "b*"]);
    expect(names(shownRuns(index, { only: "b%2Cc", hide: "b*" }))).toEqual(["b,c"]);
    expect(names(shownRuns(index, { hide: "a/*" }))).toEqual(["b,c", "b*"]);
    expect(names(shownRuns(index, { hide: "b%2A" }))).toEqual(["a/1", "a/2", "b,c"]);
    expect(shownRuns(index, { hide: "*" })).toEqual([]);
  });

  it("pass the filter, pins first", () => {
    expect(names(shownRuns(index, { runs: "^A/", pin: "a/2" }))).toEqual(["a/2", "a/1"]);
    expect(names(shownRuns(index, { pin: "b*" }))[0]).toBe("b*");
  });

  it("are looked for as plain text where the regex is wrong, and it is said why", () => {
    expect(names(shownRuns(indexOf("lr[1]", "lr2"), { runs: "lr[" }))).toEqual(["lr[1]"]);
    expect(patternOf("lr[").problem).toMatch(/^“lr\[” is no regular expression: .*class.*\.$/i);
    expect(patternOf("a\\-b").problem).toBe("");
  });

  it("are answered anew for a new index", () => {
    expect(names(shownRuns(indexOf("x"), {}))).toEqual(["x"]);
    expect(names(shownRuns(indexOf("x", "y"), {}))).toEqual(["x", "y"]);
  });
});

describe("the choice of runs in the address", () => {
  const back = (all: string[], chosen: ReadonlySet<string>): ReadonlySet<string> =>
    chosenRuns(indexOf(...all), encodeNames(all, chosen));

  it("survives a round trip for any choice", () => {
    let seed = 7;
    const random = (): number => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    const odd = ["*", "a*", "a", "a,b", "a%", "a%2A", "a/b", "a/b/c", "é ü", ".", ...MANY.slice(0, 30)];
    for (const share of [0, 0.02, 0.3, 0.5, 0.9, 0.99, 1]) {
      const chosen = new Set(odd.filter(() => random() < share));
      expect(back(odd, chosen)).toEqual(chosen);
    }
  });

  it("is short however many are hidden", () => {
    const all = new Set(MANY);
    expect(encodeNames(MANY, all)).toEqual({ only: "", hide: "" });
    expect(encodeNames(MANY, NONE)).toEqual({ only: "", hide: "*" });
    expect(encodeNames(MANY, new Set(MANY.slice(0, 1)))).toEqual({ only: MANY[0], hide: "" });
    expect(encodeNames(MANY, new Set(MANY.slice(1)))).toEqual({ only: "", hide: MANY[0] });
    expect(encodeNames(MANY, new Set(MANY.slice(200)))).toEqual({
      only: "",
      hide: "sweep0/seed*,sweep1/seed*",
    });
    const some = new Set(MANY.filter((_, i) => i < 130 || i > 410));
    expect(back(MANY, some)).toEqual(some);
    const { only, hide } = encodeNames(MANY, some);
    expect(formatRoute({ view: "scalars", params: { only, hide } }).length).toBeLessThan(300);
  });

  it("says in one change what to set and what to drop", () => {
    expect(choosing(indexOf("a", "b", "c"), new Set(["a", "b"]))).toEqual({ only: "", hide: "c" });
  });
});

describe("groups of runs", () => {
  it("are folders, or what a regex captures or matches", () => {
    expect(["x/y/1", "z"].map(groupNames("/"))).toEqual(["x/y", "z"]);
    expect(["lr0.1_seed1", "other"].map(groupNames("lr[\\d.]+"))).toEqual(["lr0.1", "other"]);
    expect(["lr0.1_seed1"].map(groupNames("lr([\\d.]+)_(seed)?"))).toEqual(["0.1 seed"]);
    expect(["a"].map(groupNames("["))).toEqual(["a"]);
  });

  it("hold the shown runs, in the order of the first of each", () => {
    const index = indexOf("b/1", "a/1", "b/2", "a/2");
    const groups = runGroups(index, { group: "/", hide: "a/2" });
    expect(groups.map(({ name, runs }) => [name, ...names(runs)])).toEqual([
      ["b", "b/1", "b/2"],
      ["a", "a/1"],
    ]);
    expect(runGroups(index, {})).toHaveLength(4);
  });
});

describe("the tree of runs", () => {
  const all = ["base", "net/lr1/s1", "net/lr1/s2", "net/lr2/s1", "old/deep/er/one", "net"];

  it("has folders for names with slashes, chains in one line, pins on top", () => {
    expect(text(rowsOf(all, new Set(["base"]), NONE))).toEqual([
      "base",
      "net",
      "net (3)",
      "  lr1 (2)",
      "    s1",
      "    s2",
      "  lr2/s1",
      "old/deep/er/one",
    ]);
  });

  it("leaves out what is in a closed folder, and counts places for screen readers", () => {
    const rows = rowsOf(all, NONE, new Set(["net"]));
    expect(text(rows)).toEqual(["base", "net", "net (3)", "old/deep/er/one"]);
    expect(rows.map(({ position, siblings }) => `${position}/${siblings}`)).toEqual([
      "1/4",
      "2/4",
      "3/4",
      "4/4",
    ]);
    expect(runsBetween(rows, 2, 1)).toEqual(["net", "net/lr1/s1", "net/lr1/s2", "net/lr2/s1"]);
  });

  it("is walked with the keys, from ten thousand runs too", () => {
    const rows = rowsOf(all, NONE, NONE);
    expect(moved(rows, 4, "ArrowLeft", 5)).toBe(3);
    expect(moved(rows, 3, "ArrowLeft", 5)).toBe(2);
    expect(moved(rows, 0, "ArrowUp", 5)).toBe(0);
    expect(moved(rows, 0, "End", 5)).toBe(rows.length - 1);
    expect(moved(rows, 0, "PageDown", 3)).toBe(3);
    expect(moved(rows, 0, "x", 3)).toBe(-1);
    const large = Array.from({ length: 10_000 }, (_, i) => `a/b${i % 100}/${i}`);
    expect(rowsOf(large, NONE, NONE)).toHaveLength(10_101);
  });

  it("draws only the rows of the window", () => {
    expect(rowWindow(5000, 28, 0, 280, 6)).toEqual([0, 16]);
    expect(rowWindow(5000, 28, 28 * 1000, 280, 6)).toEqual([994, 1016]);
    expect(rowWindow(3, 28, 9999, 280)).toEqual([3, 3]);
  });
});

describe("the colours of runs", () => {
  it("stay when runs come and go", () => {
    const first = runSlots(new Map(), [run("b"), run("d")]);
    const next = runSlots(first, [run("a"), run("b"), run("c"), run("d")]);
    expect([...next].sort()).toEqual([
      ["a", 2],
      ["b", 0],
      ["c", 3],
      ["d", 1],
    ]);
    expect(runSlots(next, [run("d"), run("e")]).get("e")).toBe(0);
  });

  it("are told apart by a mark where they start again, and can be chosen", () => {
    expect([0, 11, 12, 24].map(roundOf)).toEqual([0, 0, 1, 2]);
    expect(colourOf(undefined, 1, "light")).toBe("#d55e00");
    expect(colourOf("2", 1, "dark")).toBe("#2cc79c");
    expect(colourOf("#123456", 1, "dark")).toBe("#123456");
  });
});

describe("problems", () => {
  it("are told one by one while they are few, together when they are many", () => {
    const few = problemsOf([run("a", ["x"]), run("b", ["y"])]);
    expect(toastsOf(few, 4)).toEqual([
      { id: 4, title: "a", text: "x" },
      { id: 5, title: "b", text: "y" },
    ]);
    const many = problemsOf([run("a", ["x", "z"]), run("b", ["y"])]);
    expect(toastsOf(many, 0)).toEqual([{ id: 0, title: "3 problems in 2 runs", text: "The first, in a: x" }]);
  });
});

describe("the pages", () => {
  it("are all in a group, each with a letter of its own", () => {
    const groups = pageGroups(VIEWS);
    expect(groups.map(({ title }) => title)).toEqual(["Training", "Results", "Network"]);
    expect(groups.flatMap(({ views }) => views)).toHaveLength(VIEWS.length);
    const letters = VIEWS.map(({ name }) => letterOf(name));
    expect(new Set(letters.filter(Boolean)).size).toBe(VIEWS.length);
    expect(viewOfLetter("S", VIEWS)?.name).toBe("scalars");
    expect(viewOfLetter("z", VIEWS)).toBeUndefined();
  });
});
