// Parallel coordinates: an axis a column, a line a run; axes are dragged to another place, a stretch of one filters.
import { brushed, stretches } from "../../lib/axisbrush";
import { h, put } from "../../lib/dom";
import { count, plural } from "../../lib/format";
import { filterKey, formatFilter } from "../../lib/hparamfilter";
import type { Column } from "../../lib/hparams";
import { axesChange, type HActions, type HState, moved } from "../../lib/hparamstate";
import {
  axisNear,
  type Layout,
  layoutOf,
  lineOf,
  nearestLine,
  placeAmong,
  placeOf,
  slotY,
  TOP,
  yOf,
} from "../../lib/parallel";
import { CanvasPen, clipped, type Pen, SvgPen, wiped } from "../../lib/pen";

const HEIGHT = 300;
const HEAD = 46;
const LABELS = 12;
const LONGEST_LABEL = 15;
const BACKGROUND_LINES = 1600;
const AT_ONCE = 500;
const SLOT_NAMES = { below: "≤ 0", NaN: "NaN", missing: "missing" } as const;

export interface Ink {
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly card: string;
  readonly accent: string;
}

/** The colours of the page as a canvas needs them. */
export function inkOf(el: Element): Ink {
  const style = getComputedStyle(el);
  const of = (name: string): string => style.getPropertyValue(name).trim();
  return {
    text: of("--text"),
    muted: of("--muted"),
    line: of("--line-strong"),
    card: of("--card"),
    accent: of("--accent"),
  };
}

export class HparamParallel {
  readonly #canvas = h("canvas", { "aria-hidden": "true" });
  readonly #over = h("canvas", { class: "over", "aria-hidden": "true" });
  readonly #heads = h("div", {
    class: "axis-heads",
    role: "group",
    "aria-label": "Axes, from left to right",
  });
  readonly #summary = h("p", { class: "visually-hidden", "data-testid": "parallel-summary" });
  readonly #stage = h("div", { class: "parallel-stage" }, this.#heads, this.#canvas, this.#over);
  readonly #scroll = h(
    "div",
    { class: "parallel-scroll", role: "region", tabindex: 0, "aria-label": "Parallel coordinates" },
    this.#summary,
    this.#stage,
  );
  readonly el = this.#scroll;
  readonly #resized = new ResizeObserver(() => this.#later());
  #state: HState | undefined;
  #layout: Layout | undefined;
  #made: readonly unknown[] = [];
  #hovered = -1;
  #frame = 0;
  #brush: { axis: number; from: number; moved: boolean } | undefined;

  constructor(private readonly actions: HActions) {
    this.#resized.observe(this.#scroll);
    this.#over.addEventListener("pointerdown", (event) => this.#down(event));
    this.#over.addEventListener("pointermove", (event) => this.#move(event));
    this.#over.addEventListener("pointerup", (event) => this.#up(event));
    this.#over.addEventListener("pointercancel", () => {
      this.#brush = undefined;
    });
    this.#over.addEventListener("pointerleave", () => this.actions.hover(-1));
  }

  show(state: HState): void {
    this.#state = state;
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

  /** The plot as a drawing, for a file. */
  svg(): SvgPen | undefined {
    const [state, layout] = [this.#state, this.#layout];
    if (!state || !layout) return undefined;
    const ink = inkOf(this.#scroll);
    const pen = new SvgPen(layout.width, layout.height + HEAD, ink.card);
    const shifted = shiftedDown(pen, HEAD);
    const lines = linesOf(shifted, state, layout, ink, Number.POSITIVE_INFINITY);
    while (!lines.next().done);
    for (const row of state.picked) drawStrong(shifted, state, layout, row, ink);
    drawAxes(shifted, layout, ink);
    for (const { column, x, scale } of layout.axes) {
      pen.text(x, 18, clipped(column.name, LONGEST_LABEL), {
        colour: ink.text,
        anchor: "middle",
        bold: true,
      });
      if (scale.name !== "linear")
        pen.text(x, 34, scale.name, { colour: ink.muted, size: 10, anchor: "middle" });
    }
    return pen;
  }

  #later(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    const state = this.#state;
    if (!state || !this.#scroll.clientWidth) return;
    const made = [state.axes, state.table, this.#scroll.clientWidth, state.axes.map(state.scale).join()];
    const same = made.every((one, i) =>
      i === 0 ? sameColumns(state.axes, this.#made[0]) : one === this.#made[i],
    );
    if (!same || !this.#layout) this.#layout = layoutOf(state, this.#scroll.clientWidth, HEIGHT);
    this.#made = made;
    const layout = this.#layout;
    this.#stage.style.width = `${layout.width}px`;
    const ink = inkOf(this.#scroll);
    const pen = new CanvasPen(wiped(this.#canvas, layout.width, layout.height));
    // While an axis is brushed a part of many lines is enough; all follow when it rests.
    const most = this.#brush ? AT_ONCE : Number.POSITIVE_INFINITY;
    this.#continue(linesOf(pen, state, layout, ink, most), pen, layout, ink);
    this.#headings(state, layout);
    put(this.#summary, summaryOf(state));
    this.#drawOver();
  }

  /** Draw so many lines a frame until all are there. */
  #continue(lines: Iterator<void>, pen: Pen, layout: Layout, ink: Ink): void {
    let done = false;
    for (let i = 0; i < AT_ONCE && !done; i++) done = lines.next().done === true;
    drawAxes(pen, layout, ink);
    if (!done) this.#frame = requestAnimationFrame(() => this.#continue(lines, pen, layout, ink));
  }

  /** What changes with the pointer: the chosen and the touched line, and the filters. */
  #drawOver(): void {
    const [state, layout] = [this.#state, this.#layout];
    if (!state || !layout) return;
    const ink = inkOf(this.#scroll);
    const context = wiped(this.#over, layout.width, layout.height);
    const pen = new CanvasPen(context);
    for (const { column, scale, x } of layout.axes) {
      const filter = state.filters.get(column.key);
      if (!filter) continue;
      for (const [low, high] of stretches(column, scale, filter)) {
        const top = yOf(high, layout.bottom);
        const height = Math.max(3, yOf(low, layout.bottom) - top);
        context.globalAlpha = 0.28;
        pen.box(x - 8, top, 16, height, ink.accent);
        context.globalAlpha = 1;
        for (const y of [top, top + height]) pen.line([x - 8, y, x + 8, y], { colour: ink.accent, width: 2 });
      }
    }
    for (const row of state.picked) drawStrong(pen, state, layout, row, ink);
    if (this.#hovered >= 0) drawStrong(pen, state, layout, this.#hovered, ink);
  }

  #headings(state: HState, layout: Layout): void {
    const made = JSON.stringify(
      layout.axes.map(({ column, x, scale }) => [
        column.key,
        column.name,
        x,
        scale.name,
        state.filters.has(column.key),
      ]),
    );
    if (this.#heads.dataset.made === made) return;
    this.#heads.dataset.made = made;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.axis;
    const between = layout.axes.length > 1 ? layout.axes[1].x - layout.axes[0].x : 160;
    put(this.#heads, ...layout.axes.map((_, i) => this.#heading(state, layout, i, between)));
    if (focused !== undefined) this.#focus(focused);
  }

  #focus(key: string): void {
    for (const one of this.#heads.querySelectorAll<HTMLElement>("[data-axis]"))
      if (one.dataset.axis === key) one.focus();
  }

  #heading(state: HState, layout: Layout, i: number, between: number): HTMLElement {
    const { column, x, scale } = layout.axes[i];
    const filtered = state.filters.has(column.key);
    const button = h(
      "button",
      {
        type: "button",
        class: `axis-head${filtered ? " on" : ""}`,
        "data-axis": column.key,
        style: { left: `${x}px`, width: `${Math.min(150, between - 6)}px` },
        title: `${column.name}: drag to move, click for its range and scale; Shift with ← → moves it`,
        "aria-label": `Axis ${column.name}, ${i + 1} of ${layout.axes.length}, ${scale.name}${filtered ? ", filtered" : ""}`,
        "aria-haspopup": "dialog",
        onkeydown: (event: KeyboardEvent) => this.#axisKey(event, i),
      },
      h("b", {}, column.name),
      h("small", {}, scale.name === "linear" ? "" : scale.name),
    );
    this.#dragged(button, column, i);
    return button;
  }

  /** A press that moves drags the axis, one that does not opens its options. */
  #dragged(button: HTMLButtonElement, column: Column, i: number): void {
    let start: number | undefined;
    let dragging = false;
    button.addEventListener("pointerdown", (event) => {
      start = event.clientX;
      dragging = false;
      button.setPointerCapture(event.pointerId);
    });
    button.addEventListener("pointermove", (event) => {
      if (start === undefined) return;
      dragging ||= Math.abs(event.clientX - start) > 4;
      if (dragging) button.style.transform = `translateX(calc(-50% + ${event.clientX - start}px))`;
    });
    button.addEventListener("pointerup", (event) => {
      const layout = this.#layout;
      if (dragging && layout && start !== undefined) {
        button.style.transform = "";
        this.#place(i, placeAmong(layout, i, layout.axes[i].x + event.clientX - start));
      }
      start = undefined;
    });
    button.addEventListener("click", () => {
      if (!dragging) this.actions.menu(column, button);
      dragging = false;
    });
  }

  #axisKey(event: KeyboardEvent, i: number): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (event.shiftKey) this.#place(i, i + by);
    else this.#heads.querySelectorAll<HTMLElement>("[data-axis]")[i + by]?.focus();
  }

  #place(from: number, to: number): void {
    const axes = this.#state?.axes ?? [];
    if (to >= 0 && to < axes.length && to !== from) this.actions.navigate(axesChange(moved(axes, from, to)));
  }

  #at(event: PointerEvent): [number, number] {
    const box = this.#over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event: PointerEvent): void {
    const layout = this.#layout;
    if (!layout || event.button !== 0) return;
    const [x, y] = this.#at(event);
    const axis = axisNear(layout, x);
    if (axis < 0) return;
    this.#over.setPointerCapture(event.pointerId);
    this.#brush = { axis, from: placeOf(y, layout.bottom), moved: false };
    event.preventDefault();
  }

  #move(event: PointerEvent): void {
    const [state, layout, brush] = [this.#state, this.#layout, this.#brush];
    if (!state || !layout) return;
    const [x, y] = this.#at(event);
    if (!brush) {
      this.#over.classList.toggle("brush", axisNear(layout, x) >= 0);
      this.actions.hover(nearestLine(layout, state.rows, x, y), event);
      return;
    }
    const to = placeOf(y, layout.bottom);
    if (!brush.moved && Math.abs(to - brush.from) < 0.015) return;
    brush.moved = true;
    const { column, scale } = layout.axes[brush.axis];
    const filter = brushed(column, scale, brush.from, to);
    this.actions.navigate({ [filterKey(column.key)]: formatFilter(filter) }, true);
  }

  #up(event: PointerEvent): void {
    const [state, layout, brush] = [this.#state, this.#layout, this.#brush];
    this.#brush = undefined;
    if (!state || !layout) return;
    if (brush?.moved) return this.#later();
    const [x, y] = this.#at(event);
    const column = brush && layout.axes[brush.axis].column;
    if (column && state.filters.has(column.key)) {
      this.actions.navigate({ [filterKey(column.key)]: null });
      return;
    }
    const row = nearestLine(layout, state.rows, x, y);
    if (row >= 0) this.actions.pick(row, event.ctrlKey || event.metaKey || event.shiftKey);
  }
}

const sameColumns = (axes: readonly Column[], before: unknown): boolean =>
  Array.isArray(before) && before.length === axes.length && axes.every((axis, i) => axis === before[i]);

function shiftedDown(pen: SvgPen, by: number): Pen {
  const points = (list: ArrayLike<number>): number[] =>
    Array.from(list, (value, i) => (i % 2 ? value + by : value));
  return {
    line: (list, stroke) => pen.line(points(list), stroke),
    dot: (x, y, ...rest) => pen.dot(x, y + by, ...rest),
    box: (x, y, ...rest) => pen.box(x, y + by, ...rest),
    text: (x, y, ...rest) => pen.text(x, y + by, ...rest),
  };
}

/** Draw line after line: first what is filtered out, in the back and at most so many; then what passes, in colour. */
function* linesOf(pen: Pen, state: HState, layout: Layout, ink: Ink, most: number): Generator<void, void> {
  const { rows, passes, table, colouring } = state;
  const out = table.runs.flatMap((_, row) => (passes[row] ? [] : [row]));
  for (const row of thinned(out, Math.min(most, BACKGROUND_LINES) / 2)) {
    pen.line(lineOf(layout, row), { colour: ink.line, alpha: 0.35 });
    yield;
  }
  const alpha = Math.max(0.14, Math.min(0.85, 12 / Math.sqrt(Math.max(1, rows.length))));
  for (const row of thinned(rows, most)) {
    pen.line(lineOf(layout, row), { colour: colouring.of(row), alpha, width: 1.25 });
    yield;
  }
}

const thinned = (rows: readonly number[], most: number): readonly number[] =>
  rows.length <= most ? rows : rows.filter((_, i) => i % Math.ceil(rows.length / most) === 0);

function drawStrong(pen: Pen, state: HState, layout: Layout, row: number, ink: Ink): void {
  const points = lineOf(layout, row);
  pen.line(points, { colour: ink.card, width: 6 });
  pen.line(points, { colour: state.colouring.of(row), width: 3 });
  for (let i = 0; i < points.length; i += 2)
    pen.dot(points[i], points[i + 1], 3.5, state.colouring.of(row), { colour: ink.text, width: 1 });
}

function drawAxes(pen: Pen, layout: Layout, ink: Ink): void {
  layout.slots.forEach((slot, i) => {
    const y = slotY(i, layout.bottom);
    pen.text(4, y, SLOT_NAMES[slot], { colour: ink.muted, size: 10.5 });
    pen.line([48, y, layout.width - 8, y], { colour: ink.line, dash: [2, 4] });
  });
  for (const { x, scale } of layout.axes) {
    pen.line([x, TOP, x, layout.bottom], { colour: ink.muted, width: 1.25 });
    const every = Math.ceil(scale.ticks.length / LABELS);
    scale.ticks.forEach(({ at, text }, i) => {
      if (i % every) return;
      const y = yOf(at, layout.bottom);
      pen.line([x - 3, y, x + 3, y], { colour: ink.muted });
      pen.text(x + 7, y, clipped(text, LONGEST_LABEL), { colour: ink.text, size: 10.5, halo: ink.card });
    });
  }
}

function summaryOf({ axes, rows, table, by, picked }: HState): string {
  const names = axes.map(({ name }) => name).join(", ");
  const colours = by ? `coloured by ${by.name}` : "each run in its colour";
  const chosen = picked.size ? ` ${plural(picked.size, "run")} selected.` : "";
  return `${count(rows.length)} of ${plural(table.runs.length, "run")} as lines over ${plural(axes.length, "axis", "axes")}: ${names}; ${colours}.${chosen} The table lists the same runs.`;
}
