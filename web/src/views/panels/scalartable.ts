// The table of a card: smallest, largest and last value of each run with their steps, sorted by any column.
import { h, put } from "../../lib/dom";
import { count, exact } from "../../lib/format";
import { swatch } from "../../lib/swatch";
import type { Prepared } from "../../lib/traces";

export interface Extremes {
  readonly points: number;
  readonly min: number;
  readonly minStep: number;
  readonly max: number;
  readonly maxStep: number;
  readonly last: number;
  readonly lastStep: number;
}

type Column = "run" | "points" | "min" | "max" | "last";

export const COLUMNS: readonly Column[] = ["run", "points", "min", "max", "last"];
const HEADS: Readonly<Record<Column, string>> = {
  run: "Run",
  points: "Points",
  min: "Min",
  max: "Max",
  last: "Last",
};

/** The smallest and the largest finite value, the last value, and the steps of them; NaN where there is none. */
export function extremesOf(step: ArrayLike<number>, value: ArrayLike<number>): Extremes {
  let [low, high] = [-1, -1];
  for (let i = 0; i < value.length; i++) {
    if (!Number.isFinite(value[i])) continue;
    if (low < 0 || value[i] < value[low]) low = i;
    if (high < 0 || value[i] > value[high]) high = i;
  }
  const at = (values: ArrayLike<number>, i: number): number => (i in values ? values[i] : Number.NaN);
  const end = value.length - 1;
  return {
    points: value.length,
    min: at(value, low),
    minStep: at(step, low),
    max: at(value, high),
    maxStep: at(step, high),
    last: at(value, end),
    lastStep: at(step, end),
  };
}

export interface Row extends Extremes {
  readonly line: Prepared;
}

/** Rows sorted as `by` says: the name of a column, with a minus before it for the largest first. Values that are none come last. */
export function sortedRows(rows: readonly Row[], by: string): Row[] {
  const down = by.startsWith("-");
  const column = COLUMNS.find((name) => name === by.replace("-", ""));
  if (!column) return [...rows];
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (column === "run")
      return sign * a.line.trace.name.localeCompare(b.line.trace.name, "en", { numeric: true });
    const [x, y] = [a[column], b[column]];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  });
}

export class ScalarTable {
  readonly el = h("div", { class: "scalar-table", hidden: true, tabindex: 0, role: "region" });

  constructor(private readonly sort: (by: string) => void) {}

  show(name: string, lines: readonly Prepared[], by: string): void {
    const rows = lines.map((line): Row => ({ line, ...extremesOf(...pointsOf(line)) }));
    this.el.setAttribute("aria-label", `Smallest, largest and last values of ${name}`);
    const focused = this.el.contains(document.activeElement)
      ? document.activeElement?.getAttribute("data-column")
      : null;
    put(
      this.el,
      h(
        "table",
        { class: "num" },
        h("thead", {}, h("tr", {}, ...COLUMNS.map((column) => this.#head(column, by)))),
        h("tbody", {}, ...sortedRows(rows, by).map((row) => rowOf(row))),
      ),
    );
    if (focused) this.el.querySelector<HTMLElement>(`[data-column="${focused}"]`)?.focus();
  }

  #head(column: Column, by: string): HTMLElement {
    const down = by === `-${column}`;
    const sorted = down ? "descending" : by === column ? "ascending" : "none";
    const next = by === column ? `-${column}` : down ? "" : column;
    const arrow = sorted === "none" ? "" : down ? " ↓" : " ↑";
    const button = h(
      "button",
      { type: "button", "data-column": column, onclick: () => this.sort(next) },
      `${HEADS[column]}${arrow}`,
    );
    return h("th", { scope: "col", "aria-sort": sorted }, button);
  }
}

/** Steps and raw values in the order in which they were logged; of a mean its places and values. */
export function pointsOf({ trace, x, y }: Prepared): [step: ArrayLike<number>, value: ArrayLike<number>] {
  if (trace.kind === "mean") return [x, y];
  const { step, value } = trace.sources[0].series;
  return [step, value];
}

function rowOf({ line, points, min, minStep, max, maxStep, last, lastStep }: Row): HTMLElement {
  const at = (value: number, step: number): HTMLElement =>
    h(
      "td",
      {},
      exact(value),
      Number.isNaN(step)
        ? null
        : h("span", { class: "muted" }, ` @ ${Number.isInteger(step) ? count(step) : exact(step)}`),
    );
  return h(
    "tr",
    {},
    h("th", { scope: "row", title: line.trace.name }, swatch(line.trace), h("span", {}, line.trace.name)),
    h("td", {}, count(points)),
    at(min, minStep),
    at(max, maxStep),
    at(last, lastStep),
  );
}
