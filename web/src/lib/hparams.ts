// Hyper-parameters and metrics of many runs as one table: its columns, what a cell holds, in which order the rows come.
import type { HParamsRun } from "../source/source";
import { count, duration, exact, number } from "./format";

/** What stands in a cell; undefined: the run has no such value. */
export type Cell = string | number | boolean | undefined;

export type Role = "hparam" | "metric" | "about";

export interface Column {
  /** Its name in the address: the plain name where that is unambiguous. */
  readonly key: string;
  readonly name: string;
  readonly role: Role;
  /** Whether all values are numbers (then it has a range), or it has a list of choices. */
  readonly numeric: boolean;
  /** By row. */
  readonly cells: readonly Cell[];
  /** How many different values the runs have, a missing one among them. */
  readonly distinct: number;
}

export interface HTable {
  readonly runs: readonly string[];
  /** The names of the runs as a column, which is not among the others. */
  readonly name: Column;
  readonly columns: readonly Column[];
}

/** So many columns are shown before one chooses others; those that differ between runs come first. */
const SHOWN_AT_FIRST = 30;
const LOG_FROM = 100;

/** The column of the runs' names in addresses and files. */
export const RUN = "run";
const RESERVED = new Set([RUN, "status", "started", "duration"]);

/** Which value of a metric's curve counts; NaN is left out of the least and the greatest. */
export const OF = ["last", "min", "max"] as const;
export type Of = (typeof OF)[number];

/** One table of all runs: hyper-parameters in the order of their first appearance, then metrics, then the rest. */
export function tableOf(answer: readonly HParamsRun[], of: Of = "last"): HTable {
  const hparams = namesOf(answer.map(({ values }) => values));
  const metrics = namesOf(answer.map((one) => one.metrics));
  const taken = new Set([...RESERVED, ...hparams]);
  const columns = [
    ...hparams.map((name) =>
      column(RESERVED.has(name) ? `hparam:${name}` : name, name, "hparam", hparamCells(answer, name)),
    ),
    ...metrics.map((name) =>
      column(
        taken.has(name) ? `metric:${name}` : name,
        name,
        "metric",
        answer.map((one) => metricCell(one, name, of)),
      ),
    ),
    column(
      "status",
      "status",
      "about",
      answer.map(({ status }) => status || undefined),
    ),
    column(
      "started",
      "started",
      "about",
      answer.map(({ started }) => started ?? undefined),
    ),
    column(
      "duration",
      "duration",
      "about",
      answer.map(({ started, ended }) =>
        started && ended && ended >= started ? ended - started : undefined,
      ),
    ),
  ];
  const runs = answer.map(({ run }) => run);
  return { runs, name: column(RUN, RUN, "about", runs), columns };
}

const namesOf = (objects: readonly object[]): string[] => [
  ...new Set(objects.flatMap((one) => Object.keys(one))),
];

/** A value of an object by a name that a user chose, which may be that of a method. */
const own = <T>(object: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

/** What JSON has no number for comes as text; it is a number where all the other runs have numbers. */
const UNTOLD: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

function hparamCells(answer: readonly HParamsRun[], name: string): Cell[] {
  const cells = answer.map(({ values }) => own(values, name) ?? undefined);
  const untold = (cell: Cell): number | undefined =>
    typeof cell === "string" ? own(UNTOLD, cell) : undefined;
  const numbers = cells.some((cell) => typeof cell === "number");
  const none = cells.some(
    (cell) => typeof cell === "boolean" || (typeof cell === "string" && untold(cell) === undefined),
  );
  return numbers && !none ? cells.map((cell) => untold(cell) ?? cell) : cells;
}

function metricCell(one: HParamsRun, name: string, of: Of): Cell {
  const extreme = of === "min" ? one.least : of === "max" ? one.greatest : undefined;
  const value = own(extreme ?? {}, name) ?? own(one.metrics, name);
  return typeof value === "string" ? Number(value) : (value ?? undefined);
}

function column(key: string, name: string, role: Role, cells: readonly Cell[]): Column {
  const values = new Set(cells);
  const present = cells.some((cell) => cell !== undefined);
  const numeric = present && cells.every((cell) => cell === undefined || typeof cell === "number");
  return { key, name, role, numeric, cells, distinct: values.size };
}

/** The columns that are shown: by default those that differ between runs, at most thirty; `more` and `less` change that. */
export function shownColumns(
  columns: readonly Column[],
  more: Iterable<string>,
  less: Iterable<string>,
): Column[] {
  const first = new Set(defaultColumns(columns));
  const [shown, hidden] = [new Set(more), new Set(less)];
  return columns.filter(({ key }) => shown.has(key) || (first.has(key) && !hidden.has(key)));
}

export function defaultColumns(columns: readonly Column[]): string[] {
  const data = columns.filter(
    ({ role, cells }) => role !== "about" && cells.some((cell) => cell !== undefined),
  );
  const metrics = data.filter(({ role }) => role === "metric").slice(0, SHOWN_AT_FIRST / 2);
  const room = SHOWN_AT_FIRST - metrics.length;
  const hparams = data.filter(({ role }) => role === "hparam");
  const chosen =
    hparams.length <= room ? hparams : hparams.filter(({ distinct }) => distinct > 1).slice(0, room);
  return [...chosen, ...metrics].map(({ key }) => key);
}

/** A number that looks like one, and no text of a hyper-parameter: texts that read as numbers are shown in quotes. */
const readsAsValue = (text: string): boolean =>
  text.trim() === "" || !Number.isNaN(Number(text)) || /^(true|false|nan|missing|["“].*)$/i.test(text);

/** The text of a cell that says what it is: the text "0.1" differs from the number. Empty: missing. */
export function cellText(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell === "number") return number(cell);
  if (typeof cell === "boolean") return String(cell);
  return readsAsValue(cell) ? `“${cell}”` : cell;
}

/** The text of a cell of a column: times as times. */
export function textOf(column: Column, cell: Cell): string {
  if (column.role === "about" && typeof cell === "number")
    return column.key === "started" ? timeText(cell) : duration(cell);
  return cellText(cell);
}

/** All digits, for the title of a cell. */
export const exactText = (column: Column, cell: Cell): string =>
  typeof cell === "number" && column.role !== "about" ? exact(cell) : textOf(column, cell);

function timeText(seconds: number): string {
  const date = new Date(1000 * seconds);
  if (Number.isNaN(date.getTime())) return number(seconds);
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

const collator = new Intl.Collator("en", { numeric: true });

/** Numbers before truth values before texts; texts as people order them ("2" before "10"); NaN and missing not here. */
export function compareCells(a: Exclude<Cell, undefined>, b: Exclude<Cell, undefined>): number {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "string" && typeof b === "string")
    return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
  return rankOf(a) - rankOf(b) || Number(a) - Number(b);
}

const rankOf = (cell: Cell): number => (typeof cell === "number" ? 0 : typeof cell === "boolean" ? 1 : 2);

/** The rows in the order of a column; what is missing or not a number comes last in both directions, ties stay. */
export function sortRows(rows: readonly number[], cells: readonly Cell[], descending: boolean): number[] {
  const sign = descending ? -1 : 1;
  const places = (row: number): number => {
    const cell = cells[row];
    return cell === undefined ? 2 : Number.isNaN(cell) ? 1 : 0;
  };
  return [...rows].sort((a, b) => {
    const apart = places(a) - places(b);
    if (apart || places(a)) return apart || a - b;
    return sign * compareCells(cells[a] as number, cells[b] as number) || a - b;
  });
}

/** The different values of a column in order, each with how often it is there; missing and NaN not among them. */
export function choicesOf(column: Column): { value: Exclude<Cell, undefined>; count: number }[] {
  const counts = new Map<Exclude<Cell, undefined>, number>();
  for (const cell of column.cells)
    if (cell !== undefined && !Number.isNaN(cell)) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => compareCells(a.value, b.value));
}

export interface Extent {
  readonly low: number;
  readonly high: number;
  readonly missing: number;
  readonly nan: number;
  readonly infinite: number;
}

/** The finite range of a column's numbers, and how many are none. */
export function extentOf(cells: readonly Cell[]): Extent {
  let [low, high, missing, nan, infinite] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (const cell of cells) {
    if (cell === undefined) missing++;
    else if (typeof cell !== "number") continue;
    else if (Number.isNaN(cell)) nan++;
    else if (!Number.isFinite(cell)) infinite++;
    else {
      low = Math.min(low, cell);
      high = Math.max(high, cell);
    }
  }
  return { low, high, missing, nan, infinite };
}

export const SCALES = ["linear", "log", "quantile"] as const;
export type ScaleName = (typeof SCALES)[number];

/** The scale that suits a column: logarithmic where all are positive and the largest is a hundred times the smallest. */
export function usualScale(column: Column): ScaleName {
  const { low, high } = extentOf(column.cells);
  return low > 0 && high / low >= LOG_FROM && column.role !== "about" ? "log" : "linear";
}

/** A sentence about the numbers of a column that are none. */
export function lackText({ missing, nan, infinite }: Extent): string {
  const parts = [
    missing && `${count(missing)} missing`,
    nan && `${count(nan)} NaN`,
    infinite && `${count(infinite)} infinite`,
  ];
  return parts.filter(Boolean).join(", ");
}
