// What the address says about the page of hyper-parameters: columns, axes, filters, order, colours, chosen runs.
import { joinList, splitList } from "./catalog";
import { byColumn, byRun, type Colouring } from "./hparamcolour";
import { type Filters, filtersOf, passingRows } from "./hparamfilter";
import {
  type Column,
  defaultColumns,
  type HTable,
  RUN,
  SCALES,
  type ScaleName,
  shownColumns,
  sortRows,
  usualScale,
} from "./hparams";
import type { Theme } from "./palette";
import type { Change } from "./route";

const AXES_AT_FIRST = 10;
const METRIC_AXES = 3;

export interface HState {
  readonly table: HTable;
  /** Columns of the table, in order. */
  readonly columns: readonly Column[];
  /** Axes of the parallel coordinates, from left to right. */
  readonly axes: readonly Column[];
  readonly filters: Filters;
  /** Rows that pass the filters, in the order of the table. */
  readonly rows: readonly number[];
  /** By row: whether it passes. */
  readonly passes: Uint8Array;
  readonly sort: { readonly key: string; readonly descending: boolean } | null;
  /** The column of the colours; undefined: each run has its own. */
  readonly by: Column | undefined;
  readonly colouring: Colouring;
  readonly x: Column | undefined;
  readonly y: Column | undefined;
  readonly picked: ReadonlySet<number>;
  readonly theme: Theme;
  scale(column: Column): ScaleName;
}

export type Params = Readonly<Record<string, string>>;

/** What a view does with a column or a run; everything goes through the address, except what the pointer is over. */
export interface HActions {
  navigate(change: Change, replace?: boolean): void;
  pick(row: number, add: boolean): void;
  /** The pointer (at `event`) or the focus is on a run, -1: on none. */
  hover(row: number, event?: MouseEvent): void;
  menu(column: Column, anchor: HTMLElement): void;
}

export function stateOf(
  table: HTable,
  params: Params,
  colours: ReadonlyMap<string, string>,
  theme: Theme,
): HState {
  const all = [table.name, ...table.columns];
  const named = new Map(all.map((column) => [column.key, column]));
  const filters = filtersOf(params, all);
  const passing = passingRows(table.runs.length, all, filters);
  const passes = new Uint8Array(table.runs.length);
  for (const row of passing) passes[row] = 1;
  const sort = sortOf(params.sort, named);
  const cells = sort && named.get(sort.key)?.cells;
  const scale = (column: Column): ScaleName =>
    SCALES.find((name) => name === params[scaleKey(column.key)]) ?? usualScale(column);
  const by = colourColumn(table, named, params.by);
  return {
    table,
    columns: searched(
      shownColumns(table.columns, splitList(params.cols), splitList(params.nocols)),
      table.columns,
      params.q,
    ),
    axes: axesOf(table, named, params.axes),
    filters,
    rows: sort && cells ? sortRows(passing, cells, sort.descending) : passing,
    passes,
    sort,
    by,
    colouring: by ? byColumn(by, scale(by), theme) : byRun(table.runs, colours, theme),
    ...scatterAxes(table, named, params, by),
    picked: rowsOf(table, splitList(params.sel)),
    theme,
    scale,
  };
}

export const scaleKey = (column: string): string => `s.${column}`;

/** With a search: all columns whose name contains it, shown otherwise or not. */
function searched(shown: Column[], all: readonly Column[], query: string | undefined): Column[] {
  const part = query?.trim().toLocaleLowerCase();
  return part ? all.filter(({ name }) => name.toLocaleLowerCase().includes(part)) : shown;
}

/** "-accuracy": descending; a column whose name begins with a dash is found as well. */
function sortOf(text: string | undefined, named: ReadonlyMap<string, Column>): HState["sort"] {
  if (!text) return null;
  if (named.has(text)) return { key: text, descending: false };
  return text.startsWith("-") && named.has(text.slice(1)) ? { key: text.slice(1), descending: true } : null;
}

/** The change of the address that sorts by a column; sorted already, the other way round, and then not at all. */
export function sortChange(sort: HState["sort"], key: string): Change {
  if (sort?.key !== key) return { sort: key };
  return { sort: sort.descending ? null : `-${key}` };
}

function colourColumn(
  table: HTable,
  named: ReadonlyMap<string, Column>,
  wanted: string | undefined,
): Column | undefined {
  if (wanted === RUN) return undefined;
  return (
    (wanted === undefined ? undefined : named.get(wanted)) ??
    table.columns.find(({ role, numeric, distinct }) => role === "metric" && numeric && distinct > 1)
  );
}

const differing = (column: Column): boolean => column.distinct > 1;

function axesOf(table: HTable, named: ReadonlyMap<string, Column>, wanted: string | undefined): Column[] {
  const chosen = splitList(wanted).flatMap((key) => named.get(key) ?? []);
  if (chosen.length) return [...new Set(chosen)];
  const first = new Set(defaultColumns(table.columns));
  const columns = table.columns.filter((column) => first.has(column.key) && differing(column));
  const metrics = columns.filter(({ role }) => role === "metric").slice(0, METRIC_AXES);
  const hparams = columns.filter(({ role }) => role === "hparam").slice(0, AXES_AT_FIRST - metrics.length);
  return [...hparams, ...metrics];
}

/** The change of the address that puts the axes in this order. */
export const axesChange = (axes: readonly Column[]): Change => ({
  axes: joinList(axes.map(({ key }) => key)),
});

/** The axes with one of them moved to another place. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const rest = items.filter((_, i) => i !== from);
  rest.splice(Math.max(0, Math.min(rest.length, to)), 0, items[from]);
  return rest;
}

/** The change of the address that shows or hides a column of the table. */
export function columnChange(table: HTable, params: Params, key: string, show: boolean): Change {
  const usual = defaultColumns(table.columns).includes(key);
  const without = (list: string | undefined): string[] => splitList(list).filter((one) => one !== key);
  const more = [...without(params.cols), ...(show && !usual ? [key] : [])];
  const less = [...without(params.nocols), ...(!show && usual ? [key] : [])];
  return { cols: joinList(more), nocols: joinList(less) };
}

function scatterAxes(
  table: HTable,
  named: ReadonlyMap<string, Column>,
  params: Params,
  by: Column | undefined,
): { x: Column | undefined; y: Column | undefined } {
  const hparams = table.columns.filter((column) => column.role === "hparam" && differing(column));
  const metrics = table.columns.filter((column) => column.role === "metric" && differing(column));
  const y =
    named.get(params.y ?? "") ?? (by?.role === "metric" ? by : metrics[0]) ?? hparams[1] ?? hparams[0];
  const x = named.get(params.x ?? "") ?? hparams.find(({ numeric }) => numeric) ?? hparams[0] ?? metrics[0];
  return { x, y };
}

function rowsOf(table: HTable, names: readonly string[]): Set<number> {
  if (!names.length) return new Set();
  const wanted = new Set(names);
  return new Set(table.runs.flatMap((name, row) => (wanted.has(name) ? [row] : [])));
}

/** The change of the address that chooses a run, alone or with those that are chosen; chosen already: not any more. */
export function pickChange(state: HState, row: number, add: boolean): Change {
  const { picked, table } = state;
  const next = new Set(add ? picked : []);
  if (picked.has(row) && (add || picked.size === 1)) next.delete(row);
  else next.add(row);
  return { sel: joinList([...next].sort((a, b) => a - b).map((one) => table.runs[one])) };
}
