// A scatter plot of any two columns; a dragged box filters both.
import { brushed } from "../../lib/axisbrush";
import { type Option, select } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { count, plural } from "../../lib/format";
import { filterKey, formatFilter } from "../../lib/hparamfilter";
import type { Column } from "../../lib/hparams";
import type { HActions, HState } from "../../lib/hparamstate";
import { CanvasPen, clipped, type Pen, SvgPen, wiped } from "../../lib/pen";
import {
  nearestDot,
  type ScatterLayout,
  scatterLayout,
  slotBelow,
  slotX,
  xPlace,
  yPlace,
} from "../../lib/scatterplot";
import { type Ink, inkOf } from "./hparamparallel";

const HEIGHT = 340;
const SLOT_NAMES = { below: "≤ 0", NaN: "NaN", missing: "missing" } as const;
const LONGEST = 16;

export class HparamScatter {
  readonly #canvas = h("canvas", { "aria-hidden": "true" });
  readonly #over = h("canvas", { class: "over", "aria-hidden": "true" });
  readonly #stage = h("div", { class: "scatter-stage" }, this.#canvas, this.#over);
  readonly #choices = h("div", { class: "scatter-choices" });
  readonly #summary = h("p", { class: "visually-hidden", "data-testid": "scatter-summary" });
  readonly el = h("div", { class: "hparam-scatter" }, this.#choices, this.#summary, this.#stage);
  readonly #resized = new ResizeObserver(() => this.#later());
  #state: HState | undefined;
  #layout: ScatterLayout | undefined;
  #hovered = -1;
  #frame = 0;
  #box: { from: [number, number]; to: [number, number] } | undefined;
  #offered = "";

  constructor(private readonly actions: HActions) {
    this.#resized.observe(this.#stage);
    this.#over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.#over.setPointerCapture(event.pointerId);
      this.#box = { from: this.#at(event), to: this.#at(event) };
    });
    this.#over.addEventListener("pointermove", (event) => this.#move(event));
    this.#over.addEventListener("pointerup", (event) => this.#up(event));
    this.#over.addEventListener("pointercancel", () => {
      this.#box = undefined;
      this.#drawOver();
    });
    this.#over.addEventListener("pointerleave", () => this.actions.hover(-1));
  }

  show(state: HState): void {
    this.#state = state;
    this.#offer(state);
    this.#later();
  }

  hover(row: number): void {
    this.#hovered = row;
    this.#drawOver();
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#resized.disconnect();
  }

  svg(): SvgPen | undefined {
    const [state, layout] = [this.#state, this.#layout];
    if (!state || !layout) return undefined;
    const ink = inkOf(this.el);
    const pen = new SvgPen(layout.width, layout.height, ink.card);
    drawAxes(pen, layout, ink);
    drawDots(pen, state, layout, ink);
    for (const row of state.picked) drawStrong(pen, state, layout, row, ink);
    return pen;
  }

  #offer({ table, x, y }: HState): void {
    const offered = JSON.stringify([
      table.columns.map(({ key, name, role }) => [key, name, role]),
      x?.key,
      y?.key,
    ]);
    if (offered === this.#offered) return;
    this.#offered = offered;
    const options: Option<string>[] = table.columns
      .filter(({ cells }) => cells.some((cell) => cell !== undefined))
      .map(({ key, name }) => ({ value: key, text: clipped(name, 60) }));
    const focused = this.#choices.contains(document.activeElement)
      ? document.activeElement?.getAttribute("aria-label")
      : null;
    const choice = (label: "x" | "y", column: Column | undefined): HTMLElement =>
      select(label, options, column?.key ?? "", (key) => this.actions.navigate({ [label]: key })).el;
    put(this.#choices, choice("x", x), choice("y", y));
    if (focused) this.#choices.querySelector<HTMLElement>(`[aria-label="${focused}"]`)?.focus();
  }

  #later(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    const state = this.#state;
    const width = this.#stage.clientWidth;
    if (!state?.x || !state.y || !width) return;
    const layout = scatterLayout(state, state.x, state.y, width, HEIGHT);
    this.#layout = layout;
    const ink = inkOf(this.el);
    const pen = new CanvasPen(wiped(this.#canvas, width, HEIGHT));
    drawAxes(pen, layout, ink);
    drawDots(pen, state, layout, ink);
    put(this.#summary, summaryOf(state, layout));
    this.#drawOver();
  }

  #drawOver(): void {
    const [state, layout] = [this.#state, this.#layout];
    if (!state || !layout) return;
    const ink = inkOf(this.el);
    const context = wiped(this.#over, layout.width, layout.height);
    const pen = new CanvasPen(context);
    for (const row of state.picked) drawStrong(pen, state, layout, row, ink);
    if (this.#hovered >= 0) drawStrong(pen, state, layout, this.#hovered, ink);
    if (!this.#box) return;
    const [[x0, y0], [x1, y1]] = [this.#box.from, this.#box.to];
    context.globalAlpha = 0.2;
    pen.box(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0), ink.accent);
    context.globalAlpha = 1;
  }

  #at(event: PointerEvent): [number, number] {
    const box = this.#over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #move(event: PointerEvent): void {
    const [state, layout] = [this.#state, this.#layout];
    if (!state || !layout) return;
    const [x, y] = this.#at(event);
    if (!this.#box) return this.actions.hover(nearestDot(layout, state.rows, x, y), event);
    this.#box.to = [x, y];
    this.#drawOver();
  }

  #up(event: PointerEvent): void {
    const [state, layout, box] = [this.#state, this.#layout, this.#box];
    this.#box = undefined;
    if (!state || !layout || !box) return;
    const [x, y] = this.#at(event);
    if (Math.hypot(x - box.from[0], y - box.from[1]) > 6) return this.#filter(layout, box.from, [x, y]);
    this.#drawOver();
    const row = nearestDot(layout, state.rows, x, y);
    if (row >= 0) this.actions.pick(row, event.ctrlKey || event.metaKey || event.shiftKey);
  }

  #filter(layout: ScatterLayout, from: [number, number], to: [number, number]): void {
    const { x, y, xScale, yScale } = layout;
    const across = brushed(x, xScale, xPlace(layout, from[0]), xPlace(layout, to[0]));
    const up = brushed(y, yScale, yPlace(layout, from[1]), yPlace(layout, to[1]));
    this.actions.navigate({
      [filterKey(x.key)]: formatFilter(across),
      [filterKey(y.key)]: formatFilter(up),
    });
  }
}

function drawAxes(pen: Pen, layout: ScatterLayout, ink: Ink): void {
  const { left, right, top, bottom, x, y, xScale, yScale, width, height } = layout;
  const across = Math.max(1, Math.ceil(xScale.ticks.length / Math.max(2, (right - left) / 70)));
  xScale.ticks.forEach(({ at, text }, i) => {
    if (i % across) return;
    const place = left + at * (right - left);
    pen.line([place, top, place, bottom], { colour: ink.line, alpha: 0.5 });
    pen.text(place, height - 34, clipped(text, 11), { colour: ink.muted, size: 10.5, anchor: "middle" });
  });
  const up = Math.max(1, Math.ceil(yScale.ticks.length / 12));
  yScale.ticks.forEach(({ at, text }, i) => {
    if (i % up) return;
    const place = bottom - at * (bottom - top);
    pen.line([left, place, right, place], { colour: ink.line, alpha: 0.5 });
    pen.text(56, place, clipped(text, 7), { colour: ink.muted, size: 10.5, anchor: "end" });
  });
  layout.ySlots.forEach((slot, i) => {
    const place = slotBelow(i, bottom);
    pen.line([left, place, right, place], { colour: ink.line, dash: [2, 4] });
    pen.text(56, place, SLOT_NAMES[slot], { colour: ink.muted, size: 10.5, anchor: "end" });
  });
  layout.xSlots.forEach((slot, i) => {
    const place = slotX(i, left);
    pen.line([place, top, place, bottom], { colour: ink.line, dash: [2, 4] });
    pen.text(place - 6, top + 24, SLOT_NAMES[slot], {
      colour: ink.muted,
      size: 10,
      upright: true,
      anchor: "middle",
    });
  });
  const name = (column: Column, scale: string): string =>
    `${clipped(column.name, 3 * LONGEST)}${scale === "linear" || scale === "category" ? "" : ` (${scale})`}`;
  pen.text((left + right) / 2, height - 12, name(x, xScale.name), {
    colour: ink.text,
    anchor: "middle",
    bold: true,
  });
  const turned = { colour: ink.text, anchor: "middle", bold: true, upright: true } as const;
  pen.text(10, (top + bottom) / 2, name(y, yScale.name), turned);
  pen.line([left, top, left, bottom, Math.min(right, width), bottom], { colour: ink.muted });
}

function drawDots(pen: Pen, state: HState, { points }: ScatterLayout, ink: Ink): void {
  state.passes.forEach((passes, row) => {
    if (!passes) pen.dot(points[2 * row], points[2 * row + 1], 2, ink.line, null, 0.6);
  });
  const many = state.rows.length > 1000;
  const rim = many ? null : { colour: ink.card, width: 0.75 };
  for (const row of state.rows)
    pen.dot(points[2 * row], points[2 * row + 1], many ? 2.5 : 4, state.colouring.of(row), rim, 0.85);
}

function drawStrong(pen: Pen, state: HState, { points }: ScatterLayout, row: number, ink: Ink): void {
  const [x, y] = [points[2 * row], points[2 * row + 1]];
  pen.dot(x, y, 7, state.colouring.of(row), { colour: ink.card, width: 4 });
  pen.dot(x, y, 6.5, state.colouring.of(row), { colour: ink.text, width: 1.75 });
}

function summaryOf({ rows, table }: HState, { x, y, xScale, yScale }: ScatterLayout): string {
  const both = rows.filter(
    (row) => typeof xScale.place(x.cells[row]) === "number" && typeof yScale.place(y.cells[row]) === "number",
  ).length;
  return `${y.name} (${yScale.name}) over ${x.name} (${xScale.name}): ${count(both)} runs with both, of ${count(rows.length)} that pass the filters of ${plural(table.runs.length, "run")}. The table lists the same runs.`;
}
