// The geometry of a scatter plot of two columns: where each run's dot is, and which is nearest to the pointer.
import { type AxisScale, axisScale, SLOTS, type Slot } from "./axisscale";
import type { Cell, Column } from "./hparams";
import type { HState } from "./hparamstate";

const PAD = { left: 62, right: 18, top: 14, bottom: 44 } as const;
const SLOT = 22;
/** Dots of one category lie side by side in this part of the room between two. */
const SPREAD = 0.5;

export interface ScatterLayout {
  readonly x: Column;
  readonly y: Column;
  readonly xScale: AxisScale;
  readonly yScale: AxisScale;
  readonly xSlots: readonly Slot[];
  readonly ySlots: readonly Slot[];
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** By row: x and y in turn. */
  readonly points: Float32Array;
}

export function scatterLayout(
  state: HState,
  x: Column,
  y: Column,
  width: number,
  height: number,
): ScatterLayout {
  const [xScale, yScale] = [axisScale(x, state.scale(x)), axisScale(y, state.scale(y))];
  const [xSlots, ySlots] = [slotsOf(x, xScale), slotsOf(y, yScale)];
  const left = PAD.left + SLOT * xSlots.length;
  const bottom = height - PAD.bottom - SLOT * ySlots.length;
  const [right, top] = [width - PAD.right, PAD.top];
  const [xRoom, yRoom] = [roomOf(xScale, right - left), roomOf(yScale, bottom - top)];
  const points = new Float32Array(2 * state.table.runs.length);
  state.table.runs.forEach((_, row) => {
    const [px, py] = [xScale.place(x.cells[row] as Cell), yScale.place(y.cells[row] as Cell)];
    points[2 * row] =
      typeof px === "number"
        ? left + px * (right - left) + xRoom * spread(row)
        : slotX(xSlots.indexOf(px), left);
    points[2 * row + 1] =
      typeof py === "number"
        ? bottom - py * (bottom - top) + yRoom * spread(row + 7)
        : slotBelow(ySlots.indexOf(py), bottom);
  });
  return { x, y, xScale, yScale, xSlots, ySlots, width, height, left, right, top, bottom, points };
}

export const slotX = (slot: number, left: number): number => left - SLOT * (slot + 0.75);
export const slotBelow = (slot: number, bottom: number): number => bottom + SLOT * (slot + 0.75);

function slotsOf(column: Column, scale: AxisScale): Slot[] {
  const used = new Set(column.cells.map((cell) => scale.place(cell)));
  return SLOTS.filter((slot) => used.has(slot));
}

/** Room for the dots of one category. */
const roomOf = (scale: AxisScale, length: number): number =>
  scale.name === "category" ? Math.min(40, (SPREAD * length) / Math.max(2, scale.ticks.length)) : 0;

/** A number from −0.5 to 0.5 that is always the same for a row. */
const spread = (row: number): number => ((row * 0.618034) % 1) - 0.5;

/** The row of `rows` whose dot is nearest, -1 if none is within `reach` pixels. */
export function nearestDot(
  layout: ScatterLayout,
  rows: readonly number[],
  x: number,
  y: number,
  reach = 12,
): number {
  let [best, least] = [-1, reach];
  for (const row of rows) {
    const away = Math.hypot(layout.points[2 * row] - x, layout.points[2 * row + 1] - y);
    if (away < least) [best, least] = [row, away];
  }
  return best;
}

const clamp = (at: number): number => Math.max(0, Math.min(1, at));
export const xPlace = ({ left, right }: ScatterLayout, x: number): number =>
  clamp((x - left) / (right - left));
export const yPlace = ({ top, bottom }: ScatterLayout, y: number): number =>
  clamp((bottom - y) / (bottom - top));
