// One dot a filter: what it matters to one class against what it matters to another.

import { niceTicks } from "../../lib/axisscale";
import { h, put, sizeCanvas } from "../../lib/dom";
import { number, tick } from "../../lib/format";
import { rangeOf } from "../../lib/ranks";
import type { Tooltip } from "../../lib/tooltip";

export interface Dots {
  readonly label: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly names: readonly [string, string];
  readonly chosen: number;
  readonly lines: (item: number) => readonly string[];
}

const HEIGHT = 320;
const PAD = { left: 56, right: 14, top: 12, bottom: 40 } as const;
const REACH = 16;

export class RankScatter {
  readonly canvas = h("canvas", { class: "rank-scatter", role: "img", tabindex: 0 });
  readonly #reading = h("p", { class: "visually-hidden", role: "status" });
  readonly el = h("div", { class: "rank-scatter-host" }, this.canvas, this.#reading);
  readonly #observer = new ResizeObserver(() => this.#draw());
  #dots: Dots = { label: "", x: [], y: [], names: ["", ""], chosen: -1, lines: () => [] };
  #at = -1;

  constructor(
    private readonly tooltip: Tooltip,
    private readonly open: (item: number) => void,
  ) {
    this.#observer.observe(this.el);
    this.canvas.addEventListener("pointermove", (event) => {
      this.#at = this.#nearest(event);
      this.#draw();
      if (this.#at < 0) return this.tooltip.hide();
      this.#say(event.clientX, event.clientY, false);
    });
    this.canvas.addEventListener("pointerleave", () => this.#leave());
    this.canvas.addEventListener("blur", () => this.#leave());
    this.canvas.addEventListener("click", (event) => {
      const item = this.#nearest(event);
      if (item >= 0) this.open(item);
    });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  show(dots: Dots): void {
    this.#dots = dots;
    this.canvas.setAttribute("aria-label", `${dots.label}; arrow keys read the filters, Enter opens one`);
    this.#draw();
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  /** Both axes begin and end alike, so that the diagonal says "as much to the one as to the other". */
  get #range(): readonly [number, number] {
    const [x, y] = [rangeOf(this.#dots.x), rangeOf(this.#dots.y)];
    const [low, high] = [Math.min(0, x.low, y.low), Math.max(0, x.high, y.high)];
    return high > low ? [low, high + 0.02 * (high - low)] : [low - 1, low + 1];
  }

  #place(x: number, y: number): [number, number] {
    const [low, high] = this.#range;
    const width = Math.max(1, this.el.clientWidth - PAD.left - PAD.right);
    const height = HEIGHT - PAD.top - PAD.bottom;
    return [
      PAD.left + (width * (x - low)) / (high - low),
      PAD.top + height - (height * (y - low)) / (high - low),
    ];
  }

  #nearest({ offsetX, offsetY }: MouseEvent): number {
    let [best, least] = [-1, REACH];
    for (let i = 0; i < this.#dots.x.length; i++) {
      const [x, y] = this.#place(this.#dots.x[i], this.#dots.y[i]);
      const away = Math.hypot(x - offsetX, y - offsetY);
      if (away < least) [best, least] = [i, away];
    }
    return best;
  }

  #leave(): void {
    this.#at = -1;
    this.tooltip.hide();
    put(this.#reading);
    this.#draw();
  }

  #say(x: number, y: number, aloud: boolean): void {
    const lines = this.#dots.lines(this.#at);
    this.tooltip.show(
      x,
      y,
      h("h4", {}, lines[0]),
      ...lines.slice(1).map((one) => h("p", { class: "num" }, one)),
    );
    if (aloud) put(this.#reading, lines.join(", "));
  }

  #key(event: KeyboardEvent): void {
    const last = this.#dots.x.length - 1;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 1, ArrowDown: -1 }[event.key];
    const end = { Home: 0, End: last }[event.key];
    if (event.key === "Enter" && this.#at >= 0) this.open(this.#at);
    else if (event.key === "Escape" && this.#at >= 0) this.#leave();
    else if (by || end !== undefined) {
      this.#at = end ?? Math.max(0, Math.min(last, this.#at + (by ?? 0)));
      this.#draw();
      const { left, top } = this.canvas.getBoundingClientRect();
      const [x, y] = this.#place(this.#dots.x[this.#at], this.#dots.y[this.#at]);
      this.#say(left + x, top + y, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #draw(): void {
    if (!this.el.clientWidth) return;
    const context = sizeCanvas(this.canvas, this.el.clientWidth, HEIGHT);
    const style = getComputedStyle(this.el);
    this.#axes(context, style);
    const { x, chosen } = this.#dots;
    context.fillStyle = style.getPropertyValue("--accent");
    context.globalAlpha = 0.75;
    for (let i = 0; i < x.length; i++) this.#dot(context, i, x.length > 500 ? 2 : 3.5);
    context.globalAlpha = 1;
    context.fillStyle = style.getPropertyValue("--text");
    for (const i of [chosen, this.#at]) if (i >= 0 && i < x.length) this.#dot(context, i, 5);
  }

  #dot(context: CanvasRenderingContext2D, i: number, radius: number): void {
    const { x, y } = this.#dots;
    if (!Number.isFinite(x[i] + y[i])) return;
    context.beginPath();
    context.arc(...this.#place(x[i], y[i]), radius, 0, 2 * Math.PI);
    context.fill();
  }

  #axes(context: CanvasRenderingContext2D, style: CSSStyleDeclaration): void {
    const range = this.#range;
    const { names } = this.#dots;
    const [width, bottom] = [this.el.clientWidth, HEIGHT - PAD.bottom];
    context.font = `11px ${style.getPropertyValue("--font-sans")}`;
    context.strokeStyle = style.getPropertyValue("--grid");
    context.fillStyle = style.getPropertyValue("--muted");
    for (const value of niceTicks(...range)) {
      const [x, y] = this.#place(value, value).map((at) => Math.round(at) + 0.5);
      context.beginPath();
      context.moveTo(x, PAD.top);
      context.lineTo(x, bottom);
      context.moveTo(PAD.left, y);
      context.lineTo(width - PAD.right, y);
      context.stroke();
      context.textAlign = "center";
      context.fillText(tick(value), x, bottom + 16);
      context.textAlign = "right";
      context.fillText(tick(value), PAD.left - 6, y + 4);
    }
    context.strokeStyle = style.getPropertyValue("--line-strong");
    context.setLineDash([4, 4]);
    context.beginPath();
    context.moveTo(...this.#place(range[0], range[0]));
    context.lineTo(...this.#place(range[1], range[1]));
    context.stroke();
    context.setLineDash([]);
    context.textAlign = "center";
    const across = (PAD.left + width - PAD.right) / 2;
    context.fillText(names[0], across, HEIGHT - 6, width - PAD.left);
    context.save();
    context.translate(12, (PAD.top + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(names[1], 0, 0, bottom);
    context.restore();
  }
}

/** The two values of a dot in words. */
export const dotLines = (name: string, names: readonly [string, string], x: number, y: number): string[] => [
  name,
  `${names[0]}: ${number(x)}`,
  `${names[1]}: ${number(y)}`,
];
