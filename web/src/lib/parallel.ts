// The geometry of parallel coordinates: axes side by side, each run a line through its places.
import { type AxisScale, axisScale, SLOTS, type Slot } from "./axisscale";
import type { Column } from "./hparams";
import type { HState } from "./hparamstate";

export const TOP = 14;
export const SLOT_HEIGHT = 20;
const GUTTER = { left: 58, right: 64 } as const;
const BETWEEN = 92;

export interface Axis {
  readonly column: Column;
  readonly scale: AxisScale;
  readonly x: number;
}

export interface Layout {
  readonly axes: readonly Axis[];
  readonly width: number;
  readonly height: number;
  /** Where the scales end; below are the slots. */
  readonly bottom: number;
  readonly slots: readonly Slot[];
  /** By row and axis: y in pixels. */
  readonly y: Float32Array;
}

/** The layout of the axes in a box; wider than the box where there are too many for it. */
export function layoutOf({ axes, table, scale }: HState, width: number, height: number): Layout {
  const between = Math.max(BETWEEN, (width - GUTTER.left - GUTTER.right) / Math.max(1, axes.length - 1));
  const placed = axes.map((column, i) => ({
    column,
    scale: axisScale(column, scale(column)),
    x: GUTTER.left + i * between,
  }));
  const places = placed.map((axis) => axis.column.cells.map((cell) => axis.scale.place(cell)));
  const used = new Set(places.flat().filter((place) => typeof place === "string"));
  const slots = SLOTS.filter((slot) => used.has(slot));
  const bottom = height - 12 - SLOT_HEIGHT * slots.length;
  const y = new Float32Array(table.runs.length * axes.length);
  places.forEach((column, a) => {
    column.forEach((place, row) => {
      y[row * axes.length + a] =
        typeof place === "number" ? yOf(place, bottom) : slotY(slots.indexOf(place), bottom);
    });
  });
  const full = GUTTER.left + GUTTER.right + between * Math.max(0, axes.length - 1);
  return { axes: placed, width: Math.max(width, full), height, bottom, slots, y };
}

export const yOf = (place: number, bottom: number): number => bottom - place * (bottom - TOP);
export const slotY = (slot: number, bottom: number): number => bottom + SLOT_HEIGHT * (slot + 0.8);
/** The place from 0 to 1 of a height. */
export const placeOf = (y: number, bottom: number): number =>
  Math.max(0, Math.min(1, (bottom - y) / (bottom - TOP)));

/** The points of a row's line: x and y in turn. */
export function lineOf(layout: Layout, row: number): Float32Array {
  const many = layout.axes.length;
  const points = new Float32Array(2 * many);
  for (let a = 0; a < many; a++) {
    points[2 * a] = layout.axes[a].x;
    points[2 * a + 1] = layout.y[row * many + a];
  }
  return points;
}

/** The row of `rows` whose line runs nearest to a point, -1 if none is within `reach` pixels. */
export function nearestLine(
  layout: Layout,
  rows: readonly number[],
  x: number,
  y: number,
  reach = 9,
): number {
  const { axes } = layout;
  const right = Math.max(
    1,
    axes.findIndex((axis) => axis.x >= x),
  );
  if (axes.length < 2 || x < axes[0].x - reach || x > axes[axes.length - 1].x + reach) return -1;
  const [a, b] = [axes[right - 1], axes[right]];
  const share = Math.max(0, Math.min(1, (x - a.x) / (b.x - a.x)));
  let [best, least] = [-1, reach];
  for (const row of rows) {
    const at = row * axes.length + right;
    const from = layout.y[at - 1];
    const to = layout.y[at];
    const slope = (to - from) / (b.x - a.x);
    const away = Math.abs(from + share * (to - from) - y) / Math.hypot(1, slope);
    if (away < least) [best, least] = [row, away];
  }
  return best;
}

/** The axis within `reach` pixels of x, -1 if there is none. */
export const axisNear = (layout: Layout, x: number, reach = 12): number =>
  layout.axes.findIndex((axis) => Math.abs(axis.x - x) <= reach);

/** Where the axis that is dragged to x stands among the others. */
export function placeAmong(layout: Layout, from: number, x: number): number {
  return layout.axes.filter((axis, i) => i !== from && axis.x < x).length;
}
