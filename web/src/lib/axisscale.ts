// Where a value lies on an axis: linear, logarithmic, by quantile or by category; and the places of what has no value.
import { tick } from "./format";
import {
  type Cell,
  type Column,
  cellText,
  choicesOf,
  compareCells,
  extentOf,
  type ScaleName,
} from "./hparams";

/** What has no place on the scale itself; each has its own line beside the axis. */
export const SLOTS = ["below", "NaN", "missing"] as const;
export type Slot = (typeof SLOTS)[number];

export interface Tick {
  /** From 0 to 1. */
  readonly at: number;
  readonly text: string;
}

export interface AxisScale {
  readonly name: ScaleName | "category";
  readonly ticks: readonly Tick[];
  /** From 0 to 1, or the slot of what has no place. Infinities lie at the ends. */
  place(cell: Cell): number | Slot;
  /** The value at a place; of a category its number (a fraction between two). */
  invert(at: number): number;
}

const TICKS = 5;

/** The scale of a column; a column with texts is categorical whatever is asked. */
export function axisScale(column: Column, name: ScaleName): AxisScale {
  if (!column.numeric) return categoryScale(column);
  if (name === "log") return logScale(column);
  return name === "quantile" ? quantileScale(column) : linearScale(column);
}

function linearScale({ cells }: Column): AxisScale {
  const { low, high } = bounds(cells, () => true);
  const of = (value: number): number => (high > low ? clamp((value - low) / (high - low)) : 0.5);
  const values = high > low ? niceTicks(low, high) : [low];
  return {
    name: "linear",
    ticks: values.map((value) => ({ at: of(value), text: tick(value) })),
    place: (cell) => numberPlace(cell, of),
    invert: (at) => low + at * (high - low),
  };
}

function logScale({ cells }: Column): AxisScale {
  const { low, high } = bounds(cells, (value) => value > 0);
  const [from, to] = [Math.log10(low), Math.log10(high)];
  const of = (value: number): number | Slot => {
    if (value <= 0) return "below";
    return to > from ? clamp((Math.log10(value) - from) / (to - from)) : 0.5;
  };
  return {
    name: "log",
    ticks: logTicks(low, high).map((value) => ({ at: of(value) as number, text: tick(value) })),
    place: (cell) => numberPlace(cell, of),
    invert: (at) => 10 ** (from + at * (to - from)),
  };
}

/** Places by rank: equal numbers of runs take equal parts of the axis, ties lie at their middle. */
function quantileScale({ cells }: Column): AxisScale {
  const sorted = Float64Array.from(cells.filter(isNumber)).sort();
  const last = Math.max(1, sorted.length - 1);
  const of = (value: number): number => {
    const [first, end] = [countBelow(sorted, value, false), countBelow(sorted, value, true)];
    return clamp((first + Math.max(first, end - 1)) / 2 / last);
  };
  const invert = (at: number): number => {
    const place = clamp(at) * last;
    const [low, high] = [sorted[Math.floor(place)], sorted[Math.min(sorted.length - 1, Math.ceil(place))]];
    return low === high ? low : low + (place - Math.floor(place)) * (high - low);
  };
  const at = sorted.length ? [0, 0.25, 0.5, 0.75, 1] : [];
  return {
    name: "quantile",
    ticks: at.map((share) => ({ at: share, text: tick(invert(share)) })),
    place: (cell) => numberPlace(cell, of),
    invert,
  };
}

function categoryScale(column: Column): AxisScale {
  const choices = choicesOf(column);
  const places = new Map(choices.map(({ value }, i) => [value, i]));
  const last = Math.max(1, choices.length - 1);
  const of = (i: number): number => (choices.length > 1 ? i / last : 0.5);
  return {
    name: "category",
    ticks: choices.map(({ value }, i) => ({ at: of(i), text: cellText(value) })),
    place: (cell) => {
      if (cell === undefined) return "missing";
      const place = places.get(cell);
      return place === undefined ? "NaN" : of(place);
    },
    invert: (at) => (choices.length > 1 ? at * last : 0),
  };
}

const isNumber = (cell: Cell): cell is number => typeof cell === "number" && !Number.isNaN(cell);
const clamp = (at: number): number => Math.max(0, Math.min(1, at));

function numberPlace(cell: Cell, of: (value: number) => number | Slot): number | Slot {
  if (cell === undefined) return "missing";
  if (typeof cell !== "number" || Number.isNaN(cell)) return "NaN";
  if (!Number.isFinite(cell)) return cell > 0 ? 1 : typeof of(-1) === "string" ? "below" : 0;
  return of(cell);
}

/** The finite range of the numbers that `counts`; from 1 to 1 if there are none. */
function bounds(cells: readonly Cell[], counts: (value: number) => boolean): { low: number; high: number } {
  const { low, high } = extentOf(cells.filter((cell) => isNumber(cell) && counts(cell)));
  return low <= high ? { low, high } : { low: 1, high: 1 };
}

/** How many of ascending numbers are less than `value` (or no greater). */
function countBelow(sorted: Float64Array, value: number, orEqual: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const compared = compareCells(sorted[middle], value);
    if (compared < 0 || (orEqual && compared === 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Round numbers inside a range, about five; multiples of 1, 2 or 5 times a power of ten. */
export function niceTicks(low: number, high: number): number[] {
  const raw = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((times) => times * power >= raw) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const many = Math.floor(high / step + 1e-9) - first;
  if (!Number.isFinite(step) || !(step > 0) || !Number.isFinite(many)) return [low, high];
  return Array.from({ length: many + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Powers of ten inside a range, not more than about six; where there are fewer than two the ends as well. */
export function logTicks(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  if (last - first < 1) return [...new Set([low, high])];
  const every = Math.ceil((last - first + 1) / 6);
  const powers: number[] = [];
  for (let power = first; power <= last; power += every) powers.push(Number(`1e${power}`));
  return powers;
}
