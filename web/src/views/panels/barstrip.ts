// Values at a glance: one bar each, from zero up or down, in any order; beside them the same of another group as dots.
import { h, put, sizeCanvas } from "../../lib/dom";
import { number } from "../../lib/format";
import { rangeOf } from "../../lib/ranks";
import type { Tooltip } from "../../lib/tooltip";

export interface Bars {
  /** What they are of, for those who do not see them: "L2 norms". */
  readonly label: string;
  readonly values: ArrayLike<number>;
  /** Which of the values stand there, from the left. */
  readonly order: readonly number[];
  /** Another value of each, drawn as a dot. */
  readonly other?: ArrayLike<number>;
  /** What both are called. */
  readonly names: readonly [string, string?];
  /** The one that is marked; -1: none. */
  readonly chosen: number;
  /** Names an item: "filter 3". */
  readonly item: (item: number) => string;
}

const NONE: Bars = { label: "", values: [], order: [], names: [""], chosen: -1, item: String };

export class BarStrip {
  readonly canvas = h("canvas", { class: "bar-strip", role: "img", tabindex: 0 });
  readonly #reading = h("p", { class: "visually-hidden", role: "status" });
  readonly el = h("div", { class: "bar-strip-host" }, this.canvas, this.#reading);
  readonly #observer = new ResizeObserver(() => this.#draw());
  #bars = NONE;
  #at = -1;

  constructor(
    private readonly height: number,
    private readonly tooltip: Tooltip,
    private readonly open: (item: number) => void,
  ) {
    this.#observer.observe(this.el);
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => this.#leave());
    this.canvas.addEventListener("blur", () => this.#leave());
    this.canvas.addEventListener("click", (event) => {
      const item = this.#bars.order[this.#placeOf(event)];
      if (item !== undefined) this.open(item);
    });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  show(bars: Bars): void {
    this.#bars = bars;
    const { low, high } = this.#range();
    const text = `${bars.label} of ${bars.order.length}, from ${number(low)} to ${number(high)}; arrow keys read them, Enter opens one`;
    this.canvas.setAttribute("aria-label", text);
    if (this.#at >= bars.order.length) this.#at = -1;
    this.#draw();
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  #range(): { low: number; high: number } {
    const { values, other, order } = this.#bars;
    const shown = order.flatMap((i) => (other ? [values[i], other[i]] : [values[i]]));
    const { low, high } = rangeOf(shown);
    return { low: Math.min(0, low), high: Math.max(0, high) };
  }

  #placeOf({ offsetX }: MouseEvent): number {
    return Math.floor((offsetX / Math.max(1, this.canvas.clientWidth)) * this.#bars.order.length);
  }

  #point(event: PointerEvent): void {
    this.#at = Math.max(0, Math.min(this.#bars.order.length - 1, this.#placeOf(event)));
    this.#draw();
    this.#say(event.clientX, event.clientY, false);
  }

  #leave(): void {
    this.#at = -1;
    this.tooltip.hide();
    put(this.#reading);
    this.#draw();
  }

  #say(x: number, y: number, aloud: boolean): void {
    const { order, values, other, names, item } = this.#bars;
    const at = order[this.#at];
    if (at === undefined) return;
    const lines = [
      `${names[0]} ${number(values[at])}`,
      ...(other ? [`${names[1]} ${number(other[at])}`] : []),
    ];
    const place = `${this.#at + 1} of ${order.length}`;
    this.tooltip.show(
      x,
      y,
      h("h4", {}, item(at)),
      ...lines.map((line) => h("p", { class: "num" }, line)),
      h("p", { class: "num muted" }, place),
    );
    if (aloud) put(this.#reading, [item(at), ...lines, place].join(", "));
  }

  #key(event: KeyboardEvent): void {
    const { order } = this.#bars;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    const end = { Home: 0, End: order.length - 1 }[event.key];
    if (event.key === "Enter" && order[this.#at] !== undefined) this.open(order[this.#at]);
    else if (event.key === "Escape" && this.#at >= 0) this.#leave();
    else if (by || end !== undefined) {
      this.#at = end ?? Math.max(0, Math.min(order.length - 1, this.#at + (by ?? 0)));
      this.#draw();
      const { left, top, width } = this.canvas.getBoundingClientRect();
      this.#say(left + ((this.#at + 0.5) * width) / Math.max(1, order.length), top, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #draw(): void {
    const { values, other, order, chosen } = this.#bars;
    const width = this.el.clientWidth;
    if (!width) return;
    const context = sizeCanvas(this.canvas, width, this.height);
    this.canvas.style.width = "";
    const style = getComputedStyle(this.el);
    const [plain, strong, line, dots] = ["--accent", "--text", "--line-strong", "--bad"].map((name) =>
      style.getPropertyValue(name),
    );
    const { low, high } = this.#range();
    const up = (value: number): number =>
      1 + (this.height - 2) * (high > low ? (high - value) / (high - low) : 1);
    const pitch = width / Math.max(1, order.length);
    const thick = Math.max(0.6, pitch - (pitch > 3 ? 1 : 0));
    const zero = up(0);
    order.forEach((item, place) => {
      if (!Number.isFinite(values[item])) return;
      context.fillStyle = item === chosen || place === this.#at ? strong : plain;
      const top = up(values[item]);
      const [from, to] = values[item] < 0 ? [zero, Math.max(top, zero + 1)] : [Math.min(top, zero - 1), zero];
      context.fillRect(place * pitch, from, thick, to - from);
    });
    context.fillStyle = line;
    context.fillRect(0, zero - 0.5, width, 1);
    if (!other) return;
    context.fillStyle = dots;
    const radius = Math.max(1, Math.min(2.5, pitch / 2));
    order.forEach((item, place) => {
      if (!Number.isFinite(other[item])) return;
      context.beginPath();
      context.arc((place + 0.5) * pitch, up(other[item]), radius, 0, 2 * Math.PI);
      context.fill();
    });
  }
}
