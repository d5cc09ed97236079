// One chart of several curves, drawn by uPlot: raw and smoothed, binned to the screen, cursor linked to the other charts.
import uPlot from "uplot";
import { minMaxBin, nearest, ordered, smooth } from "./binning";
import { duration, tick } from "./format";
import { withAlpha } from "./palette";
import type { GrowingSeries, XAxis } from "./series";

export interface Line {
  readonly name: string;
  readonly colour: string;
  readonly series: GrowingSeries;
}

export interface CurveOptions {
  readonly smoothing: number;
  readonly axis: XAxis;
  readonly log: boolean;
  readonly zoom: readonly [number, number] | null;
}

export interface Reading {
  readonly line: Line;
  /** Index of the point, -1 if the line has none. */
  readonly index: number;
  readonly smoothed: number;
}

export interface CurveEvents {
  readonly zoomed: (range: [number, number] | null) => void;
  /** The cursor moved (null: it left); `hovered` is true for the chart under the pointer. */
  readonly cursor: (readings: Reading[] | null, hovered: boolean, at: { x: number; y: number }) => void;
}

interface Prepared {
  readonly line: Line;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly smoothed: ArrayLike<number>;
}

const NAN_MARKS = 400;
const SYNC = "convscope-cursor";

export class Curve {
  /** Points left out of the drawing: "2,000,000 points, …"; empty if every point is drawn. */
  binned = false;
  notFinite = 0;
  #plot: uPlot | undefined;
  #lines: Prepared[] = [];
  #options: CurveOptions = { smoothing: 0, axis: "step", log: false, zoom: null };
  #shape = "";
  readonly #observer: ResizeObserver;

  constructor(
    private readonly host: HTMLElement,
    private readonly events: CurveEvents,
  ) {
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(host);
  }

  draw(lines: readonly Line[], options: CurveOptions): void {
    this.#options = options;
    this.#lines = lines.map((line) => {
      const { x, y } = ordered(line.series.x(options.axis), line.series.value);
      return { line, x, y, smoothed: options.smoothing > 0 ? smooth(y, options.smoothing) : y };
    });
    this.notFinite = this.#lines.reduce((sum, { y }) => sum + countNotFinite(y), 0);
    const theme = document.documentElement.dataset.theme;
    const shape = JSON.stringify([
      lines.map(({ name, colour }) => [name, colour]),
      options.smoothing > 0,
      options.log,
      options.axis,
      theme,
    ]);
    const data = this.#data();
    if (!this.#plot || shape !== this.#shape) {
      this.#plot?.destroy();
      this.#plot = new uPlot(this.#settings(), data, this.host);
      this.#shape = shape;
    } else this.#plot.setData(data);
  }

  destroy(): void {
    this.#observer.disconnect();
    this.#plot?.destroy();
  }

  #range(): [number, number] {
    if (this.#options.zoom) return [...this.#options.zoom];
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const { x } of this.#lines) {
      if (!x.length) continue;
      low = Math.min(low, x[0]);
      high = Math.max(high, x[x.length - 1]);
    }
    if (low > high) return [0, 1];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  }

  #data(): uPlot.AlignedData {
    const [from, to] = this.#range();
    const bins = Math.max(100, Math.round(this.host.clientWidth));
    this.binned = false;
    const tables: uPlot.AlignedData[] = [];
    for (const { x, y, smoothed } of this.#lines) {
      for (const values of this.#options.smoothing > 0 ? [y, smoothed] : [y]) {
        const points = minMaxBin(x, values, from, to, bins);
        this.binned ||= points.binned;
        tables.push([points.x, this.#options.log ? points.y.map(positive) : points.y]);
      }
    }
    return tables.length ? uPlot.join(tables) : [[], []];
  }

  #settings(): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const token = (name: string): string => style.getPropertyValue(name).trim();
    const axis = (extra: uPlot.Axis): uPlot.Axis => ({
      stroke: token("--muted"),
      font: `11px ${token("--font-sans")}`,
      grid: { stroke: token("--grid"), width: 1 },
      ticks: { show: false },
      ...extra,
    });
    return {
      width: Math.max(50, this.host.clientWidth),
      height: Math.max(50, this.host.clientHeight),
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: SYNC, scales: ["x", null] },
        drag: { x: true, y: false, setScale: false },
        points: { size: 7, width: 2 },
        bind: { dblclick: () => () => this.#unzoom() },
      },
      scales: {
        x: { time: this.#options.axis === "wall", range: () => this.#range() },
        y: this.#options.log ? { distr: 3 } : { range: padded },
      },
      axes: [
        axis({ size: 28, gap: 4, ...this.#xValues() }),
        axis({ size: 46, gap: 6, values: (_, values) => values.map((v) => (v === null ? "" : tick(v))) }),
      ],
      series: [{}, ...this.#lines.flatMap(({ line }) => this.#series(line))],
      hooks: {
        draw: [(plot) => this.#markNotFinite(plot)],
        setSelect: [(plot) => this.#select(plot)],
        setCursor: [(plot) => this.#cursor(plot)],
      },
    };
  }

  #xValues(): uPlot.Axis {
    const { axis } = this.#options;
    if (axis === "wall") return { space: 70 };
    return {
      space: 60,
      values: (_, values) => values.map((v) => (axis === "relative" ? duration(v) : tick(v))),
    };
  }

  #series(line: Line): uPlot.Series[] {
    const points = { show: line.series.length === 1, size: 6, fill: line.colour };
    const solid: uPlot.Series = { label: line.name, stroke: line.colour, width: 1.6, points };
    if (this.#options.smoothing === 0) return [solid];
    return [{ stroke: withAlpha(line.colour, 0.22), width: 1, points: { show: false } }, solid];
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!this.#plot || width < 50 || (width === this.#plot.width && height === this.#plot.height)) return;
    this.#plot.setSize({ width, height });
    this.#plot.setData(this.#data());
  }

  #unzoom(): null {
    this.events.zoomed(null);
    return null;
  }

  #select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 4) return;
    const range: [number, number] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.events.zoomed(range);
  }

  #cursor(plot: uPlot): void {
    const { left = -10, top = -10 } = plot.cursor;
    const hovered = plot.over.matches(":hover");
    if (left < 0) return this.events.cursor(null, hovered, { x: 0, y: 0 });
    const at = plot.posToVal(left, "x");
    const readings = this.#lines.map(({ line, x, smoothed }): Reading => {
      const index = nearest(x, at);
      return { line, index, smoothed: smoothed[index] };
    });
    const box = plot.over.getBoundingClientRect();
    this.events.cursor(readings, hovered, { x: box.left + left, y: box.top + top });
  }

  /** A small cross on the axis wherever a value is NaN or infinite. */
  #markNotFinite(plot: uPlot): void {
    if (!this.notFinite) return;
    const { ctx, bbox } = plot;
    const size = 3 * devicePixelRatio;
    const y = bbox.top + bbox.height - 2 * size;
    for (const { line, x, y: values } of this.#lines) {
      ctx.strokeStyle = line.colour;
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.beginPath();
      for (let i = 0, marks = 0; i < values.length && marks < NAN_MARKS; i++) {
        if (Number.isFinite(values[i])) continue;
        const px = plot.valToPos(x[i], "x", true);
        if (px < bbox.left || px > bbox.left + bbox.width) continue;
        ctx.moveTo(px - size, y - size);
        ctx.lineTo(px + size, y + size);
        ctx.moveTo(px + size, y - size);
        ctx.lineTo(px - size, y + size);
        marks++;
      }
      ctx.stroke();
    }
  }
}

const positive = (value: number | null): number | null => (value !== null && value > 0 ? value : null);

function countNotFinite(y: ArrayLike<number>): number {
  let n = 0;
  for (let i = 0; i < y.length; i++) if (!Number.isFinite(y[i])) n++;
  return n;
}

/** A little air above and below; a flat line in the middle. */
function padded(_: uPlot, low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (low === high) return [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  const air = (high - low) * 0.06;
  return [low >= 0 && low - air < 0 ? 0 : low - air, high + air];
}
