// Figures with time from left to right: a heat map of counts, bands of quantiles, medians of several runs.
import { table } from "../../lib/colour";
import {
  densityOf,
  edgesOf,
  type Group,
  groupsOf,
  nearestEntry,
  placeOn,
  quantilesOf,
  spanOf,
} from "../../lib/distribution";
import { context2d, h } from "../../lib/dom";
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
  roundTicks,
  type Style,
  timeText,
  valueTicks,
} from "./histogramfigure";

const LEFT = 56;
const TOP = 14;
const BOTTOM = HEIGHT - 22;
/** Room at the right for the histogram of the chosen step. */
const SIDE = 46;
const SIDE_BINS = 56;

/** Axes, signs, the chosen step and its histogram; what lies between is up to the kind. */
abstract class TimeFigure implements Figure {
  abstract readonly bins: number;
  readonly note: string;
  protected readonly groups: readonly (readonly Group[])[];
  readonly #span: [number, number];

  constructor(
    protected readonly lines: readonly Line[],
    protected readonly look: Look,
    what: string,
    cells = false,
  ) {
    const span = spanOf(lines.map(({ times }) => times));
    const places = Math.max(8, Math.floor((look.width - LEFT - SIDE) / 2));
    this.groups = lines.map(({ times }) => groupsOf(times, span, places));
    const most = Math.max(1, ...this.groups.map((groups) => groups.length));
    const room = cells ? (span[1] - span[0]) / (2 * Math.max(1, most - 1)) : 0;
    this.#span = [span[0] - room, span[1] + room];
    const longest = lines.reduce((a, b) => (b.times.length > a.times.length ? b : a), lines[0]);
    const drawn = longest ? this.groups[lines.indexOf(longest)].length : 0;
    this.note = binnedNote(longest?.times.length ?? 0, drawn, what);
  }

  paint(context: CanvasRenderingContext2D, style: Style, read: Place | null): void {
    this.#paintAxes(context, style);
    this.paintBody(context, style);
    for (const line of this.lines) {
      const place = (entry: number): { x: number; y: number } => ({
        x: this.x(line.times[entry]),
        y: TOP - 4,
      });
      paintSigns(context, style, line, place, this.lines.length > 1 ? line.colour : undefined);
    }
    const [line] = this.lines;
    const entry = read?.entry ?? line?.chosen ?? -1;
    if (!line || entry < 0) return;
    this.#paintRule(context, style, this.x(line.times[entry]), read !== null);
    if (this.lines.length === 1) this.#paintSide(context, line, entry);
    if (read && this.bins) this.#paintBin(context, style, read);
  }

  hit(x: number, y: number): Place {
    const [low, high] = this.#span;
    const at = low + ((high - low) * (x - LEFT)) / (this.right - LEFT);
    const bin = Math.floor((this.bins * (BOTTOM - y)) / (BOTTOM - TOP));
    return {
      entry: nearestEntry(this.lines[0]?.times ?? [], at),
      bin: Math.max(0, Math.min(this.bins - 1, bin)),
    };
  }

  where({ entry, bin }: Place): { x: number; y: number } {
    const place = this.bins ? (bin + 0.5) / this.bins : 0.5;
    return { x: this.x(this.lines[0].times[entry]), y: BOTTOM - place * (BOTTOM - TOP) };
  }

  protected abstract paintBody(context: CanvasRenderingContext2D, style: Style): void;

  protected get right(): number {
    return this.look.width - (this.lines.length === 1 ? SIDE : 8);
  }

  protected x(at: number): number {
    const [low, high] = this.#span;
    return LEFT + ((this.right - LEFT) * (at - low)) / (high - low);
  }

  protected y(value: number): number {
    return BOTTOM - placeOn(this.look.scale, value) * (BOTTOM - TOP);
  }

  #paintAxes(context: CanvasRenderingContext2D, style: Style): void {
    context.font = style.font;
    context.strokeStyle = style.colour("grid");
    context.fillStyle = style.colour("muted");
    context.lineWidth = 1;
    context.textAlign = "right";
    for (const value of valueTicks(this.look.scale, 5)) {
      const y = Math.round(this.y(value)) + 0.5;
      context.fillText(tick(value), LEFT - 6, y + 3.5, LEFT - 6);
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(this.right, y);
      context.stroke();
    }
    const [low, high] = this.#span;
    const wanted = Math.max(1, Math.floor((this.right - LEFT) / 64));
    const ticks = roundTicks(low, high, wanted).filter(
      (at) => this.look.axis !== "step" || Number.isInteger(at),
    );
    for (const at of ticks) {
      const x = this.x(at);
      context.textAlign = x < LEFT + 16 ? "left" : x > this.right - 16 ? "right" : "center";
      context.fillText(timeText(this.look.axis, at, high - low), x, HEIGHT - 6);
    }
  }

  #paintRule(context: CanvasRenderingContext2D, style: Style, x: number, strong: boolean): void {
    context.strokeStyle = style.colour(strong ? "text" : "muted");
    context.lineWidth = 1;
    context.setLineDash(strong ? [] : [3, 3]);
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, TOP);
    context.lineTo(Math.round(x) + 0.5, BOTTOM);
    context.stroke();
    context.setLineDash([]);
  }

  /** The histogram of one step beside the figure, on the same values. */
  #paintSide(context: CanvasRenderingContext2D, line: Line, entry: number): void {
    const edges = edgesOf(this.look.scale, SIDE_BINS);
    const density = densityOf(line.data, { entries: [entry], at: 0 }, edges);
    const top = Math.max(...density);
    if (!(top > 0)) return;
    const height = (BOTTOM - TOP) / SIDE_BINS;
    context.fillStyle = withAlpha(line.colour, 0.75);
    density.forEach((value, bin) => {
      const length = heightOf(value, top, this.look.logCounts) * (SIDE - 10);
      context.fillRect(this.right + 6, BOTTOM - (bin + 1) * height, length, Math.max(0.5, height - 0.5));
    });
  }

  #paintBin(context: CanvasRenderingContext2D, style: Style, read: Place): void {
    const { x, y } = this.where(read);
    context.strokeStyle = style.colour("text");
    context.lineWidth = 1.5;
    context.strokeRect(x - 4, y - 4, 8, 8);
  }
}

/** How many values each bin has at each step, as a colour. */
export class HeatFigure extends TimeFigure {
  readonly bins = 80;
  /** The most values in a bin: the far end of the colours. */
  most = 0;
  readonly #picture: HTMLCanvasElement;

  constructor(line: Line, look: Look) {
    super([line], look, "columns, each the mean of its steps", true);
    this.#picture = this.#paintCells(line);
  }

  protected paintBody(context: CanvasRenderingContext2D): void {
    const [groups] = this.groups;
    context.imageSmoothingEnabled = false;
    groups.forEach(({ at }, place) => {
      const before = place ? (this.x(at) + this.x(groups[place - 1].at)) / 2 : LEFT;
      const after = place < groups.length - 1 ? (this.x(at) + this.x(groups[place + 1].at)) / 2 : this.right;
      const [left, right] = [Math.round(before), Math.max(Math.round(after), Math.round(before) + 1)];
      context.drawImage(this.#picture, place, 0, 1, this.bins, left, TOP, right - left, BOTTOM - TOP);
    });
  }

  /** A pixel a group and bin; few values are near the colour of the card, in both themes. */
  #paintCells(line: Line): HTMLCanvasElement {
    const [groups] = this.groups;
    const edges = edgesOf(this.look.scale, this.bins);
    const density = groups.map((group) => densityOf(line.data, group, edges));
    const top = Math.max(...density.map((column) => Math.max(...column)), 1e-12);
    this.most = top;
    const colours = table("viridis");
    const picture = h("canvas", { width: Math.max(1, groups.length), height: this.bins });
    const pixels = context2d(picture).createImageData(picture.width, picture.height);
    density.forEach((column, place) => {
      column.forEach((value, bin) => {
        if (!(value > 0)) return;
        const strength = Math.round(255 * heightOf(value, top, this.look.logCounts));
        const colour = 3 * (this.look.dark ? strength : 255 - strength);
        const pixel = 4 * ((this.bins - 1 - bin) * picture.width + place);
        pixels.data.set(colours.subarray(colour, colour + 3), pixel);
        pixels.data[pixel + 3] = Math.min(255, 90 + 3 * strength);
      });
    });
    context2d(picture).putImageData(pixels, 0, 0);
    return picture;
  }
}

/** Quantiles as bands around the median; of several runs the median and the central 68 %. */
export class BandFigure extends TimeFigure {
  readonly bins = 0;
  readonly #values: readonly (readonly (readonly number[])[])[];
  readonly #shares: readonly number[];

  constructor(lines: readonly Line[], look: Look) {
    super(lines, look, "columns, each the widest bands of its steps");
    this.#shares = lines.length > 1 ? [0.16, 0.5, 0.84] : look.shares;
    this.#values = lines.map(({ data }, k) =>
      this.groups[k].map((group) => quantilesOf(data, group, this.#shares)),
    );
  }

  protected paintBody(context: CanvasRenderingContext2D): void {
    const bands = this.#shares.length >> 1;
    const alpha = this.lines.length > 1 ? 0.1 : 0.9 / (bands + 2);
    this.lines.forEach((line, k) => {
      for (const stretch of this.#stretches(k)) {
        for (let band = 0; band < bands; band++) {
          context.fillStyle = withAlpha(line.colour, alpha);
          context.fill(this.#band(k, stretch, band, this.#shares.length - 1 - band));
        }
        context.strokeStyle = line.colour;
        context.lineWidth = 1.8;
        context.setLineDash([...line.dash]);
        context.stroke(this.#median(k, stretch, bands));
        context.setLineDash([]);
      }
    });
  }

  /** Groups that follow each other and have values. */
  #stretches(k: number): number[][] {
    const stretches: number[][] = [[]];
    this.#values[k].forEach((values, place) => {
      if (Number.isFinite(values[0])) stretches[stretches.length - 1].push(place);
      else stretches.push([]);
    });
    return stretches.filter((stretch) => stretch.length);
  }

  /** Where a group's values stand: a lone one is as wide as a mark. */
  #points(k: number, stretch: readonly number[], share: number): [number, number][] {
    const points = stretch.map((place): [number, number] => [
      this.x(this.groups[k][place].at),
      this.y(this.#values[k][place][share]),
    ]);
    if (points.length > 1) return points;
    const [[x, y]] = points;
    return [
      [x - 5, y],
      [x + 5, y],
    ];
  }

  #band(k: number, stretch: readonly number[], low: number, high: number): Path2D {
    const path = new Path2D();
    for (const [x, y] of this.#points(k, stretch, low)) path.lineTo(x, y);
    for (const [x, y] of this.#points(k, stretch, high).reverse()) path.lineTo(x, y);
    path.closePath();
    return path;
  }

  #median(k: number, stretch: readonly number[], middle: number): Path2D {
    const path = new Path2D();
    for (const [x, y] of this.#points(k, stretch, middle)) path.lineTo(x, y);
    return path;
  }
}
