// What a stretch of an axis means as a filter, and the other way round.
import type { AxisScale } from "./axisscale";
import { choicesBetween, type Filter, roundedBound } from "./hparamfilter";
import { type Cell, type Column, cellText, choicesOf } from "./hparams";

const END = 0.004;

/** The filter of all that lies between two places; open at the ends of the axis. */
export function brushed(column: Column, scale: AxisScale, a: number, b: number): Filter {
  const [from, to] = [Math.min(a, b), Math.max(a, b)];
  if (scale.name === "category")
    return choicesBetween(column, Math.ceil(scale.invert(from) - 0.25), Math.floor(scale.invert(to) + 0.25));
  const below = column.cells.some((cell) => scale.place(cell) === "below");
  const low = from <= END && !below ? Number.NEGATIVE_INFINITY : roundedBound(scale.invert(from), "low");
  const high = to >= 1 - END ? Number.POSITIVE_INFINITY : roundedBound(scale.invert(to), "high");
  return { kind: "range", low, high, missing: false, nan: false };
}

/** The stretches of an axis that a filter lets through, as places from 0 to 1. */
export function stretches(column: Column, scale: AxisScale, filter: Filter): [number, number][] {
  if (filter.kind === "range") {
    const [low, high] = [endPlace(scale, filter.low, 0), endPlace(scale, filter.high, 1)];
    return low <= high ? [[low, high]] : [];
  }
  const passing = choicesOf(column).filter(({ value }) =>
    filter.kind === "choice"
      ? filter.texts.has(cellText(value))
      : cellText(value).toLocaleLowerCase().includes(filter.part.toLocaleLowerCase()),
  );
  return passing.flatMap(({ value }) => around(scale.place(value)));
}

function endPlace(scale: AxisScale, value: Cell, open: number): number {
  if (typeof value === "number" && !Number.isFinite(value)) return open;
  const place = scale.place(value);
  return typeof place === "number" ? place : 0;
}

const around = (place: ReturnType<AxisScale["place"]>): [number, number][] =>
  typeof place === "number" ? [[Math.max(0, place - 0.015), Math.min(1, place + 0.015)]] : [];
