// The transfer function: how opaque each value is drawn, as a line over the histogram of the volume that one can bend.
import { gradient } from "../../lib/colour";
import { type Control, segmented, toggle } from "../../lib/controls";
import { h, put, s } from "../../lib/dom";
import { number, percent } from "../../lib/format";
import type { Scale } from "../../lib/maps";
import {
  addPoint,
  formatTransfer,
  movePoint,
  nearest,
  opacityAt,
  PRESETS,
  type Preset,
  preset,
  removePoint,
  type Transfer,
} from "../../lib/transfer";
import type { MapName } from "../../lib/volumelook";
import { colourValue } from "../../lib/voxels";

export interface TransferShown {
  readonly points: Transfer;
  readonly scale: Scale;
  /** Whether each channel has a scale of its own: then places are said in percent of it. */
  readonly own: boolean;
  /** How many voxels have each of the 256 colours. */
  readonly bins: Float64Array;
  readonly map: MapName;
  readonly log: boolean;
}

export interface TransferEvents {
  readonly change: (points: Transfer) => void;
  readonly log: (on: boolean) => void;
}

const WIDTH = 256;
const HEIGHT = 104;
/** So near a point is meant, in units of the drawing. */
const NEAR = 13;
const STEP = 0.01;
const OPACITY_STEP = 0.02;
const FAST = 5;
const PRESET_TEXT: Readonly<Record<Preset, string>> = { ramp: "Ramp", tent: "Tent", threshold: "Threshold" };

export class TransferEditor {
  readonly el = h("section", { class: "block transfer", "aria-label": "Transfer function" });
  readonly #svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "transfer-plot" });
  readonly #bars = s("path", { class: "transfer-bars" });
  readonly #line = s("polyline", { class: "transfer-line" });
  readonly #handles = s("g", {});
  readonly #ramp = h("i", { class: "transfer-ramp", "aria-hidden": "true" });
  readonly #ends = h("div", { class: "bar-ends num" });
  readonly #about = h("p", { class: "muted num", role: "status", "data-testid": "transfer-point" });
  readonly #presets: Control<Preset>;
  readonly #log: Control<boolean>;
  readonly #add = h(
    "button",
    { type: "button", class: "button", onclick: () => this.#insert() },
    "Add point",
  );
  readonly #remove = h(
    "button",
    { type: "button", class: "button", onclick: () => this.#delete() },
    "Delete point",
  );
  #shown: TransferShown | undefined;
  #chosen = 0;
  #dragged = -1;
  #drawnBins: Float64Array | undefined;
  #drawnLog = false;

  constructor(private readonly on: TransferEvents) {
    this.#presets = segmented<Preset>(
      "Shape",
      PRESETS.map((value) => ({ value, text: PRESET_TEXT[value] })),
      "ramp",
      (name) => this.#change(preset(name, this.#shown?.scale.signed ?? false), 0),
    );
    this.#log = toggle(
      "Log counts",
      false,
      (on) => this.on.log(on),
      "Draw the histogram's counts as logarithms",
    );
    put(
      this.el,
      h("h3", {}, "Opacity"),
      this.#svg,
      this.#ramp,
      this.#ends,
      this.#about,
      h("div", { class: "transfer-tools" }, this.#presets.el, this.#add, this.#remove, this.#log.el),
    );
    put(this.#svg, this.#bars, this.#line, this.#handles);
    this.#svg.addEventListener("pointerdown", (event) => this.#down(event));
    this.#svg.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"] as const)
      this.#svg.addEventListener(name, () => {
        this.#dragged = -1;
      });
    this.#svg.addEventListener("dblclick", (event) => {
      event.preventDefault();
      this.#delete();
    });
  }

  show(shown: TransferShown): void {
    this.#shown = shown;
    const { points, scale, bins, map, log } = shown;
    this.#chosen = Math.min(this.#chosen, points.length - 1);
    const name = formatTransfer(points, scale.signed);
    this.#presets.set(name as Preset);
    this.#log.set(log);
    if (bins !== this.#drawnBins || log !== this.#drawnLog) {
      this.#bars.setAttribute("d", barsPath(bins, log));
      this.#drawnBins = bins;
      this.#drawnLog = log;
    }
    const corners = [
      { at: 0, opacity: opacityAt(points, 0) },
      ...points,
      { at: 1, opacity: opacityAt(points, 1) },
    ];
    this.#line.setAttribute(
      "points",
      corners.map((point) => `${xOf(point.at)},${yOf(point.opacity)}`).join(" "),
    );
    this.#ramp.style.background = gradient(map);
    const ends = scale.signed ? [0, 128 / 255, 1] : [0, 1];
    put(this.#ends, ...ends.map((at) => h("span", {}, this.#text(at))));
    this.#draw(points);
  }

  #draw(points: Transfer): void {
    const focused = [...this.#handles.children].indexOf(document.activeElement as Element);
    if (this.#handles.childElementCount !== points.length)
      put(this.#handles, ...points.map((_, i) => this.#handle(i)));
    points.forEach(({ at, opacity }, i) => {
      const handle = this.#handles.children[i];
      handle.setAttribute("cx", String(xOf(at)));
      handle.setAttribute("cy", String(yOf(opacity)));
      handle.setAttribute("aria-label", `Point ${i + 1} of ${points.length}`);
      handle.setAttribute("aria-valuenow", String(Math.round(100 * opacity)));
      handle.setAttribute("aria-valuetext", `at ${this.#text(at)}, opacity ${percent(opacity)}`);
      handle.classList.toggle("chosen", i === this.#chosen);
    });
    if (focused >= 0) this.#focus();
    this.#say();
  }

  #handle(number: number): SVGCircleElement {
    return s("circle", {
      r: 5.5,
      tabindex: 0,
      role: "slider",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      onfocus: () => this.#choose(number),
      onkeydown: (event: KeyboardEvent) => this.#key(event, number),
    });
  }

  #choose(number: number): void {
    this.#chosen = number;
    [...this.#handles.children].forEach((handle, i) => {
      handle.classList.toggle("chosen", i === number);
    });
    this.#say();
  }

  #say(): void {
    const points = this.#shown?.points ?? [];
    const point = points[this.#chosen];
    if (!point) return;
    put(
      this.#about,
      `Point ${this.#chosen + 1} of ${points.length}: opacity ${percent(point.opacity)} at ${this.#text(point.at)}.`,
    );
    this.#remove.disabled = this.#chosen === 0 || this.#chosen === points.length - 1;
  }

  /** The value at a place of the scale, in words. */
  #text(at: number): string {
    if (!this.#shown) return "";
    const { own, scale } = this.#shown;
    if (!own) return number(Math.max(scale.low, colourValue(255 * at, scale)), 3);
    return percent(Math.max(-1, colourValue(255 * at, { low: 0, high: 1, signed: scale.signed })));
  }

  #change(points: Transfer, chosen: number): void {
    this.#chosen = chosen;
    this.on.change(points);
  }

  #insert(): void {
    const points = this.#shown?.points ?? [];
    const from = Math.min(this.#chosen, points.length - 2);
    const at = (points[from].at + points[from + 1].at) / 2;
    const { points: more, number: added } = addPoint(points, at, opacityAt(points, at));
    this.#change(more, added);
    this.#focus();
  }

  #delete(): void {
    const points = this.#shown?.points ?? [];
    const fewer = removePoint(points, this.#chosen);
    if (fewer === points) return;
    this.#change(fewer, Math.max(0, this.#chosen - 1));
    this.#focus();
  }

  #focus(): void {
    (this.#handles.children[this.#chosen] as SVGElement | undefined)?.focus({ preventScroll: true });
  }

  #key(event: KeyboardEvent, chosen: number): void {
    const points = this.#shown?.points ?? [];
    const times = event.shiftKey ? FAST : 1;
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-STEP, 0],
      ArrowRight: [STEP, 0],
      ArrowUp: [0, OPACITY_STEP],
      ArrowDown: [0, -OPACITY_STEP],
    };
    const by = moves[event.key];
    const { at, opacity } = points[chosen];
    this.#chosen = chosen;
    if (by) this.#change(movePoint(points, chosen, at + times * by[0], opacity + times * by[1]), chosen);
    else if (event.key === "Delete" || event.key === "Backspace") this.#delete();
    else if (event.key === "Insert" || event.key === "Enter" || event.key === "+") this.#insert();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #down(event: PointerEvent): void {
    const points = this.#shown?.points;
    if (!points || event.button !== 0) return;
    event.preventDefault();
    const [x, y] = this.#under(event);
    const distance = (i: number): number => Math.hypot(xOf(points[i].at) - x, yOf(points[i].opacity) - y);
    const near = points.map((_, i) => i).reduce((best, i) => (distance(i) < distance(best) ? i : best), 0);
    this.#svg.setPointerCapture(event.pointerId);
    if (distance(near) <= NEAR) {
      this.#dragged = near;
      this.#choose(near);
    } else {
      const { points: more, number: added } = addPoint(points, x / WIDTH, 1 - y / HEIGHT);
      this.#dragged = more.length > points.length ? added : nearest(points, x / WIDTH);
      this.#change(more, this.#dragged);
    }
    this.#focus();
  }

  #move(event: PointerEvent): void {
    const points = this.#shown?.points;
    if (!points || this.#dragged < 0) return;
    const [x, y] = this.#under(event);
    this.#change(movePoint(points, this.#dragged, x / WIDTH, 1 - y / HEIGHT), this.#dragged);
  }

  #under(event: PointerEvent): [x: number, y: number] {
    const box = this.#svg.getBoundingClientRect();
    return [
      (WIDTH * (event.clientX - box.left)) / box.width,
      (HEIGHT * (event.clientY - box.top)) / box.height,
    ];
  }
}

const xOf = (at: number): number => Number((at * WIDTH).toFixed(2));
const yOf = (opacity: number): number => Number(((1 - opacity) * HEIGHT).toFixed(2));

/** Bars, one a colour. Without logarithms the largest bar is left out of the scale: most voxels of a map are one value. */
function barsPath(bins: Float64Array, log: boolean): string {
  const heights = Array.from(bins, (many) => (log ? Math.log1p(many) : many));
  const sorted = [...heights].sort((a, b) => b - a);
  const top = (log ? sorted[0] : sorted[1] || sorted[0]) || 1;
  const wide = WIDTH / bins.length;
  return heights
    .map((many, i) => {
      const high = Math.min(1, many / top) * HEIGHT;
      return high > 0
        ? `M${(i * wide).toFixed(2)} ${HEIGHT}v${(-high).toFixed(2)}h${wide.toFixed(2)}V${HEIGHT}z`
        : "";
    })
    .join("");
}
