// A ridge a step: values from left to right, time downwards, the newest in front.
import {
  densityOf,
  edgesOf,
  type Group,
  groupsOf,
  nearestEntry,
  placeOn,
  spanOf,
} from "../../lib/distribution";
import { tick } from "../../lib/format";
import { withAlpha } from "../../lib/palette";
import {
  binnedNote,
  type Figure,
  HEIGHT,
  heightOf,
  type Line,
  type Look,
  type Place,
  paintSigns,
  type Style,
  timeText,
  valueTicks,
} from "./histogramfigure";

const BINS = 96;
const AXIS = 24;
const RIGHT = 58;
const LEFT = 4;
/** Ridges drawn at most: more stand too close to tell apart. */
const RIDGES = 48;
const FIRST = HEIGHT * 0.36;
const LAST = HEIGHT - AXIS;

export class RidgeFigure implements Figure {
  readonly bins = BINS;
  readonly note: string;
  readonly #edges: Float64Array;
  readonly #span: [number, number];
  readonly #groups: readonly Group[];
  readonly #density: readonly Float64Array[];
  readonly #top: number;

  constructor(
    private readonly line: Line,
    private readonly look: Look,
  ) {
    this.#edges = edgesOf(look.scale, BINS);
    this.#span = spanOf([line.times]);
    this.#groups = groupsOf(line.times, this.#span, RIDGES);
    this.#density = this.#groups.map((group) => densityOf(line.data, group, this.#edges));
    this.#top = Math.max(...this.#density.map((ridge) => Math.max(...ridge)), 1e-12);
    this.note = binnedNote(line.times.length, this.#groups.length, "ridges, each the mean of its steps");
  }

  paint(context: CanvasRenderingContext2D, style: Style, read: Place | null): void {
    this.#paintAxes(context, style);
    const newest = this.#groups.length - 1;
    this.#groups.forEach(({ at }, place) => {
      const age = newest ? place / newest : 1;
      this.#paintRidge(context, style, this.#density[place], at, 0.06 + 0.22 * age, 0.25 + 0.75 * age);
    });
    const strong = [this.line.chosen, read?.entry ?? -1].filter((entry) => entry >= 0);
    for (const entry of new Set(strong)) {
      const density = densityOf(this.line.data, { entries: [entry], at: 0 }, this.#edges);
      this.#paintRidge(context, style, density, this.line.times[entry], 0.5, 1, 2);
    }
    paintSigns(context, style, this.line, (entry) => ({
      x: this.#width + 8,
      y: this.#baseline(this.line.times[entry]) + 4,
    }));
    if (read) this.#paintBin(context, style, read);
  }

  hit(x: number, y: number): Place {
    const [low, high] = this.#span;
    const at = low + ((high - low) * (y + 6 - FIRST)) / (LAST - FIRST);
    const bin = Math.floor((BINS * (x - LEFT)) / (this.#width - LEFT));
    return { entry: nearestEntry(this.line.times, at), bin: Math.max(0, Math.min(BINS - 1, bin)) };
  }

  where({ entry, bin }: Place): { x: number; y: number } {
    return { x: this.#x((bin + 0.5) / BINS), y: this.#baseline(this.line.times[entry]) };
  }

  get #width(): number {
    return this.look.width - RIGHT;
  }

  #x(place: number): number {
    return LEFT + place * (this.#width - LEFT);
  }

  #baseline(at: number): number {
    if (this.line.times.length === 1) return LAST;
    const [low, high] = this.#span;
    return FIRST + ((LAST - FIRST) * (at - low)) / (high - low);
  }

  #paintAxes(context: CanvasRenderingContext2D, style: Style): void {
    context.font = style.font;
    context.fillStyle = style.colour("muted");
    context.strokeStyle = style.colour("grid");
    context.textAlign = "center";
    for (const value of valueTicks(this.look.scale, 4)) {
      const x = this.#x(placeOn(this.look.scale, value));
      const text = tick(value);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.max(half, Math.min(this.look.width - half, x)), HEIGHT - 6);
      context.beginPath();
      context.moveTo(Math.round(x) + 0.5, HEIGHT * 0.04);
      context.lineTo(Math.round(x) + 0.5, LAST);
      context.stroke();
    }
    this.#paintTimes(context);
  }

  #paintTimes(context: CanvasRenderingContext2D): void {
    context.textAlign = "left";
    const [low, high] = this.#span;
    let free = Number.POSITIVE_INFINITY;
    for (const { at } of [...this.#groups].reverse()) {
      const y = this.#baseline(at) + 4;
      if (y > free) continue;
      context.fillText(timeText(this.look.axis, at, high - low), this.#width + 16, y, RIGHT - 16);
      free = y - 34;
    }
  }

  #paintRidge(
    context: CanvasRenderingContext2D,
    style: Style,
    density: Float64Array,
    at: number,
    fill: number,
    stroke: number,
    width = 1,
  ): void {
    const base = this.#baseline(at);
    const path = new Path2D();
    path.moveTo(LEFT, base);
    density.forEach((value, bin) => {
      const height = heightOf(value, this.#top, this.look.logCounts);
      path.lineTo(this.#x((bin + 0.5) / BINS), base - Math.min(1.4, height) * HEIGHT * 0.33);
    });
    path.lineTo(this.#width, base);
    context.fillStyle = style.colour("card");
    context.fill(path);
    context.fillStyle = withAlpha(this.line.colour, fill);
    context.fill(path);
    context.strokeStyle = withAlpha(this.line.colour, stroke);
    context.lineWidth = width;
    context.stroke(path);
  }

  #paintBin(context: CanvasRenderingContext2D, style: Style, read: Place): void {
    const { x, y } = this.where(read);
    context.strokeStyle = style.colour("text");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, y - HEIGHT * 0.33);
    context.lineTo(x, y);
    context.stroke();
  }
}
