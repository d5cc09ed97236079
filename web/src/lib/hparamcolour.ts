// The colours of runs: each its own, or by the value of a column, on a scale or by category.
import { axisScale } from "./axisscale";
import { table } from "./colour";
import { type Cell, type Column, cellText, choicesOf, type ScaleName } from "./hparams";
import { categorical, type Theme } from "./palette";

const CATEGORIES = 12;
/** The part of the colour map that stands out from the page. */
const PART = { light: [0, 220], dark: [56, 255] } as const;

export interface LegendEntry {
  readonly colour: string;
  readonly text: string;
}

export interface Colouring {
  /** The colour of a row. */
  of(row: number): string;
  /** Categories; empty if it is a scale or each run has its own. */
  readonly entries: readonly LegendEntry[];
  /** The scale from its low end: colours at even distances, and what stands at places from 0 to 1. */
  readonly ramp: {
    readonly colours: readonly string[];
    readonly ticks: readonly { at: number; text: string }[];
  } | null;
}

export const noValue = (theme: Theme): string => categorical(-1, theme);

/** A place from 0 to 1 as a colour. */
export function rampColour(at: number, theme: Theme): string {
  const [low, high] = PART[theme];
  const i = 3 * Math.round(low + at * (high - low));
  const colours = table("viridis");
  return `#${[0, 1, 2].map((c) => colours[i + c].toString(16).padStart(2, "0")).join("")}`;
}

/** Each run in its own colour. */
export const byRun = (
  runs: readonly string[],
  colours: ReadonlyMap<string, string>,
  theme: Theme,
): Colouring => ({
  of: (row) => colours.get(runs[row]) ?? noValue(theme),
  entries: [],
  ramp: null,
});

/** By the values of a column: a scale for numbers, a colour a category up to twelve, the rest by place. */
export function byColumn(column: Column, scale: ScaleName, theme: Theme): Colouring {
  const choices = choicesOf(column);
  if (!column.numeric && choices.length <= CATEGORIES) return byCategory(column.cells, choices, theme);
  const axis = axisScale(column, scale);
  const made = column.cells.map((cell) => {
    const at = axis.place(cell);
    return typeof at === "number" ? rampColour(at, theme) : noValue(theme);
  });
  const colours = Array.from({ length: 9 }, (_, i) => rampColour(i / 8, theme));
  return { of: (row) => made[row], entries: [], ramp: { colours, ticks: axis.ticks } };
}

function byCategory(
  cells: readonly Cell[],
  choices: readonly { readonly value: Exclude<Cell, undefined> }[],
  theme: Theme,
): Colouring {
  const colours = new Map<Cell, string>(choices.map(({ value }, i) => [value, categorical(i, theme)]));
  return {
    of: (row) => colours.get(cells[row]) ?? noValue(theme),
    entries: choices.map(({ value }) => ({ colour: colours.get(value) ?? "", text: cellText(value) })),
    ramp: null,
  };
}
