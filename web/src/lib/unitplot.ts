// A plot of shares against shares: curves in a square of 0..1, or in a corner of it, drawn on one canvas.
import type { NumberArray } from "../source/source";
import { nearestPoint } from "./curvesdata";
import { h, put, sizeCanvas } from "./dom";
import { number } from "./format";
import { isoF1 } from "./prcurve";

export interface UnitCurve {
  readonly name: string;
  readonly colour: string;
  /** Lengths of strokes and gaps; none: a whole line. */
  readonly dash?: readonly number[];
  readonly x: NumberArray;
  readonly y: NumberArray;
  /** Between two points the later y holds, as precision does; else they are joined by a straight line. */
  readonly steps: boolean;
  readonly strong: boolean;
  readonly faint: boolean;
}

export interface UnitBox {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

export interface UnitExtras {
  /** The line that guessing gives. */
  readonly diagonal?: boolean;
  /** Lines of equal F1 (the harmonic mean of both axes). */
  readonly f1?: boolean;
}

export interface UnitPoint {
  readonly curve: number;
  readonly index: number;
}

const HEIGHT = 380;
const MARGIN = { left: 46, right: 12, top: 10, bottom: 38 } as const;
const TICKS = 5;
const REACH = 28;

export class UnitPlot {
  readonly el: HTMLElement;
  readonly canvas = h("canvas", { role: "img", tabindex: 0 });
  readonly #reading = h("p", { class: "visually-hidden", role: "status" });
  readonly #observer = new ResizeObserver(() => this.#draw());
  #curves: readonly UnitCurve[] = [];
  #box: UnitBox = { x: [0, 1], y: [0, 1] };
  #extras: UnitExtras = {};
  #hover: UnitPoint | null = null;

  constructor(
    readonly names: { readonly x: string; readonly y: string },
    private readonly pointed: (point: UnitPoint | null, at: { x: number; y: number }) => void,
  ) {
    this.el = h("div", { class: "unit-plot" }, this.canvas, this.#reading);
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerleave", () => this.#leave());
    this.canvas.addEventListener("blur", () => this.#leave());
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#observer.observe(this.el);
  }

  show(curves: readonly UnitCurve[], box: UnitBox, label: string, extras: UnitExtras): void {
    // A curve that grows or is drawn anew keeps the point that is read.
    const kept = this.#hover && curves[this.#hover.curve]?.name === this.#curves[this.#hover.curve]?.name;
    if (!kept || (this.#hover?.index ?? 0) >= (curves[this.#hover?.curve ?? 0]?.x.length ?? 0))
      this.#hover = null;
    this.#curves = curves;
    this.#box = box;
    this.#extras = extras;
    this.canvas.setAttribute("aria-label", `${label}; arrow keys read the points`);
    this.#draw();
  }

  /** What is drawn. */
  get shown(): { curves: readonly UnitCurve[]; box: UnitBox; extras: UnitExtras } {
    return { curves: this.#curves, box: this.#box, extras: this.#extras };
  }

  /** Mark a point that is pointed at elsewhere; null: none. */
  mark(point: UnitPoint | null): void {
    if (point?.curve === this.#hover?.curve && point?.index === this.#hover?.index) return;
    this.#hover = point;
    this.#draw();
  }

  /** Say in words what is pointed at, for those who do not see the plot. */
  say(text: string): void {
    put(this.#reading, text);
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  get #size(): { width: number; height: number } {
    return {
      width: Math.max(1, this.el.clientWidth - MARGIN.left - MARGIN.right),
      height: HEIGHT - MARGIN.top - MARGIN.bottom,
    };
  }

  #place(x: number, y: number): [number, number] {
    const { width, height } = this.#size;
    const { x: across, y: up } = this.#box;
    return [
      MARGIN.left + (width * (x - across[0])) / (across[1] - across[0]),
      MARGIN.top + height - (height * (y - up[0])) / (up[1] - up[0]),
    ];
  }

  #draw(): void {
    if (!this.el.clientWidth) return;
    const context = sizeCanvas(this.canvas, this.el.clientWidth, HEIGHT);
    this.#axes(context);
    context.save();
    const { width, height } = this.#size;
    context.beginPath();
    context.rect(MARGIN.left, MARGIN.top - 2, width + 2, height + 2);
    context.clip();
    if (this.#extras.diagonal) this.#chance(context);
    if (this.#extras.f1) this.#isoF1(context);
    for (const curve of this.#curves) if (!curve.strong) this.#curve(context, curve);
    for (const curve of this.#curves) if (curve.strong) this.#curve(context, curve);
    context.restore();
    this.#mark(context);
  }

  #axes(context: CanvasRenderingContext2D): void {
    const style = getComputedStyle(this.el);
    context.font = `11px ${style.getPropertyValue("--font-sans")}`;
    context.strokeStyle = style.getPropertyValue("--grid");
    context.fillStyle = style.getPropertyValue("--muted");
    const { width, height } = this.#size;
    for (let i = 0; i <= TICKS; i++) {
      const share = i / TICKS;
      const x = Math.round(MARGIN.left + width * share) + 0.5;
      const y = Math.round(MARGIN.top + height * (1 - share)) + 0.5;
      context.beginPath();
      context.moveTo(x, MARGIN.top);
      context.lineTo(x, MARGIN.top + height);
      context.moveTo(MARGIN.left, y);
      context.lineTo(MARGIN.left + width, y);
      context.stroke();
      context.textAlign = i === TICKS ? "right" : "center";
      context.fillText(between(this.#box.x, share), i === TICKS ? x + 6 : x, MARGIN.top + height + 16);
      context.textAlign = "right";
      context.fillText(between(this.#box.y, share), MARGIN.left - 7, y + 4);
    }
    context.textAlign = "center";
    context.fillText(this.names.x, MARGIN.left + width / 2, HEIGHT - 6);
    context.save();
    context.translate(11, MARGIN.top + height / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(this.names.y, 0, 0);
    context.restore();
  }

  /** What guessing gives: as many right as wrong. */
  #chance(context: CanvasRenderingContext2D): void {
    context.strokeStyle = getComputedStyle(this.el).getPropertyValue("--line-strong");
    context.setLineDash([4, 4]);
    context.beginPath();
    context.moveTo(...this.#place(0, 0));
    context.lineTo(...this.#place(1, 1));
    context.stroke();
    context.setLineDash([]);
  }

  /** Where precision and recall together are equally good. */
  #isoF1(context: CanvasRenderingContext2D): void {
    const style = getComputedStyle(this.el);
    context.strokeStyle = style.getPropertyValue("--line-strong");
    context.fillStyle = style.getPropertyValue("--muted");
    context.textAlign = "right";
    context.lineWidth = 1;
    context.setLineDash([2, 4]);
    for (const { f1, points } of isoF1(this.#box.x, this.#box.y)) {
      context.beginPath();
      for (const [x, y] of points) context.lineTo(...this.#place(x, y));
      context.stroke();
      const end = points.at(-1);
      if (!end) continue;
      const [left, top] = this.#place(...end);
      context.fillText(`F1 ${f1}`, left - 3, top - 3);
    }
    context.setLineDash([]);
  }

  #curve(context: CanvasRenderingContext2D, curve: UnitCurve): void {
    const { x, y, steps, colour, dash, strong, faint } = curve;
    context.beginPath();
    let before = Number.NaN;
    for (let i = 0; i < x.length; i++) {
      // Where a share is not defined the line is broken.
      if (Number.isNaN(x[i] + y[i])) before = Number.NaN;
      else {
        if (Number.isNaN(before)) context.moveTo(...this.#place(x[i], y[i]));
        else if (steps) context.lineTo(...this.#place(before, y[i]));
        context.lineTo(...this.#place(x[i], y[i]));
        before = x[i];
      }
    }
    context.setLineDash([...(dash ?? [])]);
    context.globalAlpha = faint ? 0.25 : 1;
    context.strokeStyle = colour;
    context.lineWidth = strong ? 2.5 : 1.4;
    context.lineJoin = "round";
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #mark(context: CanvasRenderingContext2D): void {
    if (!this.#hover) return;
    const curve = this.#curves[this.#hover.curve];
    if (!curve || Number.isNaN(curve.x[this.#hover.index] + curve.y[this.#hover.index])) return;
    context.beginPath();
    context.arc(...this.#place(curve.x[this.#hover.index], curve.y[this.#hover.index]), 4, 0, 2 * Math.PI);
    context.fillStyle = curve.colour;
    context.fill();
  }

  #move(event: PointerEvent): void {
    const bounds = this.canvas.getBoundingClientRect();
    const found = this.#nearest(event.clientX - bounds.left, event.clientY - bounds.top);
    if (!found) return this.#leave();
    this.#hover = found;
    this.#draw();
    this.pointed(found, { x: event.clientX, y: event.clientY });
  }

  #nearest(left: number, top: number): UnitPoint | null {
    let best: UnitPoint | null = null;
    let least = REACH;
    this.#curves.forEach((curve, at) => {
      const places = Array.from(curve.x, (x, i) => this.#place(x, curve.y[i]));
      const xs = Float64Array.from(places, ([x]) => x);
      const ys = Float64Array.from(places, ([, y]) => y);
      const index = nearestPoint(xs, ys, left, top);
      if (index < 0) return;
      const distance = Math.hypot(xs[index] - left, ys[index] - top);
      if (distance < least || (distance === least && curve.strong)) {
        least = distance;
        best = { curve: at, index };
      }
    });
    return best;
  }

  /** Left and right go along a curve, up and down to the next one. */
  #key(event: KeyboardEvent): void {
    const along = { ArrowLeft: -1, ArrowRight: 1, PageDown: 10, PageUp: -10 }[event.key] ?? 0;
    const across = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    const end = { Home: 0, End: Number.POSITIVE_INFINITY }[event.key];
    if (event.key === "Escape" && this.#hover) this.#leave();
    else if (along || across || end !== undefined) this.#read(along, across, end);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #read(along: number, across: number, end: number | undefined): void {
    if (!this.#curves.length) return;
    const strong = Math.max(
      0,
      this.#curves.findIndex((curve) => curve.strong),
    );
    const before = this.#hover ?? { curve: strong, index: -1 };
    const curve = Math.max(0, Math.min(this.#curves.length - 1, before.curve + (this.#hover ? across : 0)));
    const { x, y } = this.#curves[curve];
    const wanted = end ?? before.index + (this.#hover ? along : 1);
    const index = Math.max(0, Math.min(x.length - 1, wanted));
    if (!x.length) return;
    this.#hover = { curve, index };
    this.#draw();
    const bounds = this.canvas.getBoundingClientRect();
    const [left, top] = this.#place(x[index], y[index]);
    // What is not defined has no place; it is read out all the same.
    const at = { x: bounds.left + (left || MARGIN.left), y: bounds.top + (top || MARGIN.top) };
    this.pointed(this.#hover, at);
  }

  #leave(): void {
    if (this.#hover) {
      this.#hover = null;
      this.#draw();
    }
    this.pointed(null, { x: 0, y: 0 });
  }
}

const between = ([low, high]: readonly [number, number], share: number): string =>
  number(low + (high - low) * share, 3);
