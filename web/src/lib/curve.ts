// One chart of several curves: axes and cursor by uPlot, lines by ourselves; drag zooms, shift-drag pans, arrows read.
import uPlot from "uplot";
import { h } from "./dom";
import { duration, tick } from "./format";
import { paintScene } from "./paint";
import { type CurveOptions, makeScene, place, type Range, type Scene, valueAt } from "./scene";
import type { XAxis } from "./series";
import { nearestPoint, type Prepared, Preparer, type Trace } from "./traces";

export interface Reading {
  readonly line: Prepared;
  /** Index of the point, -1 if the line has none. */
  readonly index: number;
  /** How far the line is from the pointer, in pixels up or down; without a pointer 0. */
  readonly away: number;
}

export interface Cursor {
  readonly readings: readonly Reading[];
  /** Whether it is this chart that is pointed at, or read by keys: others follow. */
  readonly own: boolean;
  readonly keyboard: boolean;
  /** In pixels of the window. */
  readonly x: number;
  readonly y: number;
}

export interface CurveEvents {
  /** `moving`: the range goes on changing (a pan under way). */
  readonly zoomed: (range: Range | null, moving: boolean) => void;
  /** The cursor moved; null: it left. */
  readonly cursor: (cursor: Cursor | null) => void;
}

export interface Tick {
  /** Share of the length of the axis. */
  readonly at: number;
  readonly text: string;
}

const SYNC = "convscope-cursor";
const AXES_WIDTH = 66;
const PAN = 0.1;
const NONE: CurveOptions = {
  smoothing: 0,
  axis: "step",
  logX: false,
  logY: false,
  clip: false,
  zoom: null,
};

export class Curve {
  scene: Scene | undefined;
  #lines: readonly Prepared[] = [];
  #plot: uPlot | undefined;
  #options = NONE;
  #shape = "";
  #keyboard = false;
  #panned = 0;
  readonly #points: HTMLElement[] = [];
  readonly #preparer = new Preparer();
  readonly #observer: ResizeObserver;

  /** `host` gets the focus; its `aria-label` is the caller's. */
  constructor(
    private readonly host: HTMLElement,
    private readonly events: CurveEvents,
  ) {
    host.tabIndex = 0;
    host.addEventListener("keydown", (event) => this.#key(event));
    host.addEventListener("blur", () => this.#leave());
    host.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(host);
  }

  get lines(): readonly Prepared[] {
    return this.#lines;
  }

  get canvas(): HTMLCanvasElement | undefined {
    return this.#plot?.ctx.canvas;
  }

  draw(traces: readonly Trace[], options: CurveOptions): void {
    this.#options = options;
    this.#lines = this.#preparer.prepare(traces, options.axis, options.smoothing);
    this.#render();
  }

  /** Give back the canvas; the next {@link draw} makes another. */
  rest(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#preparer.clear();
    this.#lines = [];
  }

  destroy(): void {
    this.#observer.disconnect();
    this.rest();
  }

  /** Ticks of both axes as they are drawn. */
  ticks(): { readonly x: readonly Tick[]; readonly y: readonly Tick[] } {
    const { scene } = this;
    const axes = (this.#plot?.axes ?? []) as { _splits?: number[]; _values?: (string | null)[] }[];
    const of = (i: number, range: Range, log: boolean): Tick[] =>
      (axes[i]?._splits ?? [])
        .map((split, n) => ({ at: place(split, range, log), text: axes[i]._values?.[n] ?? "" }))
        .filter(({ at, text }) => at >= 0 && at <= 1 && text !== "");
    return scene ? { x: of(0, scene.x, scene.logX), y: of(1, scene.y, scene.logY) } : { x: [], y: [] };
  }

  #render(): void {
    this.scene = makeScene(this.#lines, this.#options, this.host.clientWidth - AXES_WIDTH);
    const theme = document.documentElement.dataset.theme;
    const { logX, logY, axis } = this.#options;
    const shape = [logX, logY, axis, theme].join(" ");
    const data: uPlot.AlignedData = [[...this.scene.x], [null, null]];
    if (this.#plot && shape === this.#shape) return this.#plot.setData(data);
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#settings(), data, this.host);
    this.#shape = shape;
  }

  #settings(): uPlot.Options {
    const { axis, logX, logY } = this.#options;
    return {
      width: Math.max(50, this.host.clientWidth),
      height: Math.max(50, this.host.clientHeight),
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: SYNC, scales: ["x", null] },
        drag: { x: true, y: false, setScale: false },
        points: { show: false },
        bind: {
          mousedown: (plot, _, handle) => (event) =>
            event.shiftKey ? this.#startPan(plot, event) : handle(event),
          dblclick: () => () => this.#zoom(null),
        },
      },
      scales: {
        x: { time: axis === "wall", distr: logX ? 3 : 1, range: () => [...(this.scene?.x ?? [0, 1])] },
        y: { distr: logY ? 3 : 1, range: () => [...(this.scene?.y ?? [0, 1])] },
      },
      axes: axesOf(axis, logX),
      series: [{}, { show: true, points: { show: false } }],
      hooks: {
        draw: [(plot) => this.#paint(plot)],
        setSelect: [(plot) => this.#select(plot)],
        setCursor: [(plot) => this.#cursor(plot)],
      },
    };
  }

  #paint(plot: uPlot): void {
    if (this.scene) paintScene(plot.ctx, this.scene, plot.bbox, devicePixelRatio);
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!this.#plot || width < 50 || (width === this.#plot.width && height === this.#plot.height)) return;
    this.#plot.setSize({ width, height });
    this.#render();
  }

  #zoom(range: Range | null, moving = false): null {
    this.events.zoomed(range, moving);
    return null;
  }

  #select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 4) return;
    const range: Range = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#zoom(range);
  }

  #startPan(plot: uPlot, down: MouseEvent): null {
    const from = this.scene;
    if (!from || down.button !== 0) return null;
    const gone = new AbortController();
    const width = plot.over.clientWidth;
    const move = (event: MouseEvent, moving: boolean): void => {
      cancelAnimationFrame(this.#panned);
      const shift = (down.clientX - event.clientX) / width;
      this.#panned = requestAnimationFrame(() => this.#zoom(moved(from, shift), moving));
    };
    plot.over.style.cursor = "grabbing";
    document.addEventListener("mousemove", (event) => move(event, true), gone);
    document.addEventListener(
      "mouseup",
      (event) => {
        gone.abort();
        plot.over.style.cursor = "";
        move(event, false);
      },
      gone,
    );
    return null;
  }

  /** Shift and the wheel pan, Alt and the wheel zoom; the wheel alone scrolls the page. */
  #wheel(event: WheelEvent): void {
    const { scene } = this;
    const plot = this.#plot;
    if (!scene || !plot || !(event.shiftKey || event.altKey)) return;
    event.preventDefault();
    const turn = Math.sign(event.deltaY || event.deltaX);
    const box = plot.over.getBoundingClientRect();
    const about = (event.clientX - box.left) / box.width;
    const range = event.altKey ? scaled(scene, turn > 0 ? 1.25 : 0.8, about) : moved(scene, turn * PAN);
    this.#zoom(range, true);
  }

  #key(event: KeyboardEvent): void {
    const { scene } = this;
    if (!scene || event.target !== this.host || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && event.shiftKey) this.#zoom(moved(scene, by * PAN), true);
    else if (by) this.#walk(by);
    else if (event.key === "Home") this.#point(scene.x[0]);
    else if (event.key === "End") this.#point(scene.x[1]);
    else if (event.key === "+" || event.key === "=") this.#zoom(scaled(scene, 0.5, this.#share()));
    else if (event.key === "-") this.#zoom(scaled(scene, 2, this.#share()));
    else if (event.key === "0") this.#zoom(null);
    else if (event.key === "Escape") this.#leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #share(): number {
    const { left = -1 } = this.#plot?.cursor ?? {};
    return left < 0 ? 0.5 : left / (this.#plot?.over.clientWidth || 1);
  }

  /** To the next place with a point, at least a pixel away. */
  #walk(by: number): void {
    const plot = this.#plot;
    const { scene } = this;
    if (!plot || !scene) return;
    const { left = -1 } = plot.cursor;
    const width = plot.over.clientWidth;
    if (left < 0) return this.#point(by > 0 ? scene.x[0] : scene.x[1]);
    const places = this.scene?.strokes.flatMap(({ pieces }) => pieces.flatMap(({ x }) => x)) ?? [];
    const next = places
      .map((x) => place(x, scene.x, scene.logX) * width)
      .filter((at) => (by > 0 ? at > left + 0.9 && at <= width + 0.01 : at < left - 0.9 && at >= -0.01));
    if (next.length) this.#point(valueAt(extreme(next, by) / width, scene.x, scene.logX));
  }

  #point(x: number): void {
    const { scene } = this;
    const plot = this.#plot;
    if (!plot || !scene) return;
    this.#keyboard = true;
    const left = Math.max(0, place(x, scene.x, scene.logX)) * plot.over.clientWidth;
    putCursor(plot, Math.min(left, plot.over.clientWidth));
  }

  #leave(): void {
    if (!this.#keyboard) return;
    if (this.#plot) putCursor(this.#plot, -10);
    this.#keyboard = false;
  }

  /** A dot on each line at the cursor. */
  #dots(plot: uPlot, readings: readonly Reading[]): void {
    const { scene } = this;
    const shown = scene ? readings.slice(0, MOST_DOTS) : [];
    while (this.#points.length < shown.length) this.#points.push(h("span", { class: "curve-dot" }));
    this.#points.forEach((el, i) => {
      const reading = shown[i];
      const across = scene && reading ? place(reading.line.x[reading.index], scene.x, scene.logX) : -1;
      const up = scene && reading ? place(reading.line.shown[reading.index], scene.y, scene.logY) : -1;
      el.hidden = !(across >= 0 && across <= 1 && up >= 0 && up <= 1);
      if (el.hidden) return;
      if (el.parentElement !== plot.over) plot.over.append(el);
      el.style.background = reading.line.trace.colour;
      const [x, y] = [across * plot.over.clientWidth, (1 - up) * plot.over.clientHeight];
      el.style.transform = `translate(${x}px, ${y}px)`;
    });
  }

  #cursor(plot: uPlot): void {
    const { left = -10, top = -10 } = plot.cursor;
    const { scene } = this;
    const hovered = plot.over.matches(":hover");
    if (hovered) this.#keyboard = false;
    if (left < 0 || !scene) {
      this.#dots(plot, []);
      return this.events.cursor(null);
    }
    const at = plot.posToVal(left, "x");
    const height = plot.over.clientHeight;
    const readings = this.#lines.map((line): Reading => {
      const index = nearestPoint(line, at);
      const up = (1 - place(line.shown[index], scene.y, scene.logY)) * height;
      return { line, index, away: hovered ? Math.abs(up - top) : 0 };
    });
    this.#dots(plot, readings);
    const box = plot.over.getBoundingClientRect();
    const [x, y] = [box.left + left, box.top + top];
    this.events.cursor({ readings, own: hovered || this.#keyboard, keyboard: this.#keyboard, x, y });
  }
}

/** Put the cursor at a pixel of the plot; those of the other charts follow, which the types of uPlot do not tell of. */
function putCursor(plot: uPlot, left: number): void {
  const publish = plot.setCursor as (at: uPlot.Cursor, fire: boolean, publish: boolean) => void;
  publish({ left, top: left < 0 ? left : 0 }, true, true);
}

const MOST_DOTS = 24;

const extreme = (values: readonly number[], by: number): number =>
  values.reduce((best, value) => (by > 0 ? Math.min(best, value) : Math.max(best, value)));

/** The range moved by a share of its length. */
export function moved({ x, logX }: Pick<Scene, "x" | "logX">, share: number): Range {
  return [valueAt(share, x, logX), valueAt(1 + share, x, logX)];
}

/** The range `factor` times as long, about a point that stays where it is. */
export function scaled({ x, logX }: Pick<Scene, "x" | "logX">, factor: number, about: number): Range {
  return [valueAt(about - about * factor, x, logX), valueAt(about + (1 - about) * factor, x, logX)];
}

function axesOf(kind: XAxis, logX: boolean): uPlot.Axis[] {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const axis = (extra: uPlot.Axis): uPlot.Axis => ({
    stroke: token("--muted"),
    font: `11px ${token("--font-sans")}`,
    grid: { stroke: token("--grid"), width: 1 },
    ticks: { show: false },
    ...extra,
  });
  const text = (value: number, all: readonly (number | null)[]): string => {
    if (kind !== "relative") return tick(value);
    // Whole seconds would say the same at every tick of a short run.
    return Math.max(...all.map((v) => Math.abs(v ?? 0))) < 60 ? `${tick(value)} s` : duration(value);
  };
  const values = (_: uPlot, at: (number | null)[]): string[] =>
    at.map((v) => (v === null ? "" : text(v, at)));
  const ticks = (_: uPlot, at: (number | null)[]): string[] => at.map((v) => (v === null ? "" : tick(v)));
  const across: uPlot.Axis = kind === "wall" && !logX ? { space: 70 } : { space: 60, values };
  return [axis({ size: 28, gap: 4, ...across }), axis({ size: 46, gap: 6, values: ticks })];
}
