// A plot of shares against shares: curves in a square of 0..1, or in a corner of it, drawn on one canvas.
import type { NumberArray } from "../source/source";
import { nearestPoint } from "./curvesdata";
import { h, sizeCanvas } from "./dom";
import { number } from "./format";

export interface UnitCurve {
  readonly name: string;
  readonly colour: string;
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
  readonly #canvas = h("canvas", { role: "img" });
  readonly #observer = new ResizeObserver(() => this.#draw());
  #curves: readonly UnitCurve[] = [];
  #box: UnitBox = { x: [0, 1], y: [0, 1] };
  #diagonal = false;
  #hover: UnitPoint | null = null;

  constructor(
    private readonly names: { readonly x: string; readonly y: string },
    private readonly pointed: (point: UnitPoint | null, at: { x: number; y: number }) => void,
  ) {
    this.el = h("div", { class: "unit-plot" }, this.#canvas);
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.#canvas.addEventListener("pointerleave", () => this.#leave());
    this.#observer.observe(this.el);
  }

  show(curves: readonly UnitCurve[], box: UnitBox, label: string, diagonal: boolean): void {
    this.#curves = curves;
    this.#box = box;
    this.#diagonal = diagonal;
    this.#hover = null;
    this.#canvas.setAttribute("aria-label", label);
    this.#draw();
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
    const context = sizeCanvas(this.#canvas, this.el.clientWidth, HEIGHT);
    this.#axes(context);
    context.save();
    const { width, height } = this.#size;
    context.beginPath();
    context.rect(MARGIN.left, MARGIN.top - 2, width + 2, height + 2);
    context.clip();
    if (this.#diagonal) this.#chance(context);
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

  #curve(context: CanvasRenderingContext2D, { x, y, steps, colour, strong, faint }: UnitCurve): void {
    context.beginPath();
    let before = Number.NaN;
    for (let i = 0; i < x.length; i++) {
      if (steps && i > 0) context.lineTo(...this.#place(before, y[i]));
      context.lineTo(...this.#place(x[i], y[i]));
      before = x[i];
    }
    context.globalAlpha = faint ? 0.25 : 1;
    context.strokeStyle = colour;
    context.lineWidth = strong ? 2.5 : 1.4;
    context.lineJoin = "round";
    context.stroke();
    context.globalAlpha = 1;
  }

  #mark(context: CanvasRenderingContext2D): void {
    if (!this.#hover) return;
    const curve = this.#curves[this.#hover.curve];
    context.beginPath();
    context.arc(...this.#place(curve.x[this.#hover.index], curve.y[this.#hover.index]), 4, 0, 2 * Math.PI);
    context.fillStyle = curve.colour;
    context.fill();
  }

  #move(event: PointerEvent): void {
    const bounds = this.#canvas.getBoundingClientRect();
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
