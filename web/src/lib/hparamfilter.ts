// Filters of hyper-parameters and metrics, one a column, as they stand in the address.
import { type Cell, type Column, cellText, choicesOf } from "./hparams";

/** Numbers from `low` to `high`, both included; and whether what is missing or NaN passes as well. */
export interface RangeFilter {
  readonly kind: "range";
  readonly low: number;
  readonly high: number;
  readonly missing: boolean;
  readonly nan: boolean;
}

/** One of these values, by their texts. */
export interface ChoiceFilter {
  readonly kind: "choice";
  readonly texts: ReadonlySet<string>;
  readonly missing: boolean;
}

/** Texts that contain this, in either case. */
export interface TextFilter {
  readonly kind: "text";
  readonly part: string;
}

export type Filter = RangeFilter | ChoiceFilter | TextFilter;
export type Filters = ReadonlyMap<string, Filter>;

const PREFIX = "f.";
const MISSING = "-";
/** A choice of no value at all. */
const NOTHING = "!";
const NAN = "NaN";
/** What a division may be off by. */
const TINY = 1e-9;

export const filterKey = (column: string): string => PREFIX + column;

/** "0.001..0.1", "..5,-", "adam,sgd", "~net": null if it is no filter. */
export function parseFilter(text: string): Filter | null {
  if (text === "") return null;
  if (text.startsWith("~")) return text.length > 1 ? { kind: "text", part: text.slice(1) } : null;
  if (text === NOTHING) return { kind: "choice", texts: new Set(), missing: false };
  const tokens = text.split(",");
  const range = /^([^,]*?)\.\.([^,]*)$/.exec(tokens[0]);
  const rest = new Set(tokens.slice(1));
  if (range && [...rest].every((token) => token === MISSING || token === NAN)) {
    const [low, high] = [
      bound(range[1], Number.NEGATIVE_INFINITY),
      bound(range[2], Number.POSITIVE_INFINITY),
    ];
    if (!Number.isNaN(low) && !Number.isNaN(high))
      return { kind: "range", low, high, missing: rest.has(MISSING), nan: rest.has(NAN) };
  }
  const texts = tokens.filter((token) => token !== MISSING).map(decoded);
  return { kind: "choice", texts: new Set(texts), missing: tokens.includes(MISSING) };
}

const bound = (text: string, open: number): number => (text === "" ? open : Number(text));

export function formatFilter(filter: Filter): string {
  if (filter.kind === "text") return `~${filter.part}`;
  if (filter.kind === "choice")
    return [...[...filter.texts].map(encoded), ...(filter.missing ? [MISSING] : [])].join(",") || NOTHING;
  const ends = [filter.low, filter.high].map((end) => (Number.isFinite(end) ? String(end) : ""));
  return [ends.join(".."), filter.missing && MISSING, filter.nan && NAN].filter(Boolean).join(",");
}

/** A bound that a brush has set, without the digits that a pixel cannot tell; rounded away from what is inside. */
export function roundedBound(value: number, side: "low" | "high"): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) - 4);
  const rounded = side === "low" ? Math.floor(value / unit + TINY) : Math.ceil(value / unit - TINY);
  return Number((rounded * unit).toPrecision(6));
}

/** A choice as a token: no comma, and neither the sign of missing values nor that of a search or range. */
function encoded(text: string): string {
  const plain = text.replaceAll("%", "%25").replaceAll(",", "%2C").replaceAll("..", "%2E.");
  if (plain === MISSING) return "%2D";
  if (plain === NOTHING) return "%21";
  if (plain === "") return "%";
  return plain.replace(/^~/, "%7E");
}

function decoded(token: string): string {
  if (token === "%") return "";
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

/** The filters of an address for the columns that there are. */
export function filtersOf(
  params: Readonly<Record<string, string>>,
  columns: readonly Column[],
): Map<string, Filter> {
  const found = new Map<string, Filter>();
  for (const { key } of columns) {
    const filter = parseFilter(params[filterKey(key)] ?? "");
    if (filter) found.set(key, filter);
  }
  return found;
}

/** Whether a cell passes. Infinities are numbers: they pass where the range is open. */
export function passes(filter: Filter, cell: Cell): boolean {
  if (filter.kind === "text")
    return cell !== undefined && cellText(cell).toLocaleLowerCase().includes(filter.part.toLocaleLowerCase());
  if (cell === undefined) return filter.missing;
  if (filter.kind === "choice") return filter.texts.has(cellText(cell));
  if (typeof cell !== "number") return false;
  return Number.isNaN(cell) ? filter.nan : cell >= filter.low && cell <= filter.high;
}

/** The rows that pass all filters, in the order of the runs. */
export function passingRows(many: number, columns: readonly Column[], filters: Filters): number[] {
  const tests = columns.flatMap(({ key, cells }) => {
    const filter = filters.get(key);
    return filter ? [{ filter, cells }] : [];
  });
  const rows: number[] = [];
  for (let row = 0; row < many; row++)
    if (tests.every(({ filter, cells }) => passes(filter, cells[row]))) rows.push(row);
  return rows;
}

/** A filter in words: "0.001 to 0.1", "adam or sgd, or missing", "contains net". */
export function filterText(filter: Filter): string {
  if (filter.kind === "text") return `contains ${filter.part}`;
  const also = [filter.missing && "missing", filter.kind === "range" && filter.nan && "NaN"].filter(Boolean);
  const main = filter.kind === "choice" ? [...filter.texts].join(" or ") : rangeText(filter);
  return [main, ...also].filter(Boolean).join(", or ") || "nothing";
}

function rangeText({ low, high }: RangeFilter): string {
  const [from, to] = [low, high].map((end) => (Number.isFinite(end) ? cellText(end) : ""));
  if (from && to) return `${from} to ${to}`;
  return from ? `at least ${from}` : to ? `at most ${to}` : "any number";
}

/** The filter for a stretch of a categorical axis: the choices from one place to another. */
export function choicesBetween(column: Column, first: number, last: number): ChoiceFilter {
  const texts = choicesOf(column)
    .slice(first, last + 1)
    .map(({ value }) => cellText(value));
  return { kind: "choice", texts: new Set(texts), missing: false };
}
