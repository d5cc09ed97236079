// What a chart of curves shows, in numbers: lines binned to the columns of the screen, ranges, marks, and what is left out.
import { binEdges, binPass, lowerBound, type Ordered, type Points, quantiles } from "./binning";
import type { XAxis } from "./series";
import type { Prepared } from "./traces";

export interface CurveOptions {
  readonly smoothing: number;
  readonly axis: XAxis;
  readonly logX: boolean;
  readonly logY: boolean;
  /** Whether the y axis ends at the 5th and the 95th percentile of the points. */
  readonly clip: boolean;
  readonly zoom: readonly [number, number] | null;
}

export interface Stroke {
  readonly name: string;
  readonly colour: string;
  /** How strong: the raw curve is faint where a smoothed one is drawn over it. */
  readonly alpha: number;
  readonly width: number;
  readonly dash: readonly number[];
  readonly pieces: readonly Points[];
}

export interface Area {
  readonly colour: string;
  readonly low: readonly Points[];
  readonly high: readonly Points[];
}

/** A value that is not finite: "nan" is drawn as ×, "up" and "down" as triangles where the curve left. */
export interface Mark {
  readonly kind: "nan" | "up" | "down";
  readonly colour: string;
  readonly x: number;
}

export type Range = readonly [number, number];

export interface Scene {
  readonly x: Range;
  readonly y: Range;
  readonly logX: boolean;
  readonly logY: boolean;
  readonly areas: readonly Area[];
  readonly strokes: readonly Stroke[];
  readonly marks: readonly Mark[];
  /** Whether points were left out because several fall into one column of pixels. */
  readonly binned: boolean;
  /** Finite points above or below a clipped axis. */
  readonly outside: number;
  /** Points that a logarithmic axis has no place for. */
  readonly notPositive: number;
}

export const CLIP: Range = [0.05, 0.95];
const FAINT = 0.25;
const MOST_MARKS = 400;
const TINY = Number.MIN_VALUE;

/** The scene of prepared lines on a plot `columns` pixels wide. */
export function makeScene(lines: readonly Prepared[], options: CurveOptions, columns: number): Scene {
  const x = xRange(lines, options);
  const edges = binEdges(x[0], x[1], Math.max(50, columns), options.logX);
  const bin = (points: Ordered): Points[] =>
    points.passes.map((pass) => binPass(points.x, points.y, pass, edges)).filter(({ x }) => x.length > 0);
  const areas: Area[] = [];
  const strokes: Stroke[] = [];
  for (const line of lines) {
    const { colour, dash, name, kind } = line.trace;
    if (line.band) areas.push({ colour, low: bin(line.band.low), high: bin(line.band.high) });
    const faint = options.smoothing > 0 && kind !== "mean";
    if (faint) strokes.push({ name, colour, dash: [], alpha: FAINT, width: 1, pieces: bin(line) });
    const pieces = bin({ ...line, y: line.shown });
    strokes.push({ name, colour, dash, alpha: 1, width: kind === "mean" ? 2 : 1.6, pieces });
  }
  const seen = lines.flatMap((line) => slices(line, x));
  const y = yRange(strokes, areas, seen, x, options);
  return {
    x,
    y,
    logX: options.logX,
    logY: options.logY,
    areas,
    strokes,
    marks: lines.flatMap((line) => marksOf(line, x)),
    binned: strokes.some(({ pieces }) => pieces.some(({ binned }) => binned)),
    outside: options.clip ? countIf(seen, (value) => value < y[0] || value > y[1]) : 0,
    notPositive: notPositive(lines, seen, options),
  };
}

/** The range of x of all points, or the zoomed part of it. */
export function xRange(lines: readonly Ordered[], { zoom, logX }: CurveOptions): Range {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { x, passes } of lines) {
    for (const [start, stop] of passes) {
      const first = logX ? lowerBound(x, TINY, stop, start) : start;
      if (first >= stop) continue;
      low = Math.min(low, x[first]);
      high = Math.max(high, x[stop - 1]);
    }
  }
  if (zoom) {
    const [a, b] = zoom;
    if (!logX || a > 0) return apart(a, b);
    if (b > 0 && low < b) return apart(low, b);
  }
  if (low > high) return logX ? [1, 10] : [0, 1];
  if (low < high) return [low, high];
  return logX ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
}

/** The closest that a zoom goes, as a share of the numbers: no axis has marks between two neighbouring numbers. */
const CLOSEST = 1e-10;

/** A range, widened about its middle where it is too short for an axis. */
function apart(from: number, to: number): Range {
  const least = CLOSEST * Math.max(Math.abs(from), Math.abs(to), TINY);
  if (to - from >= least) return [from, to];
  const middle = from + (to - from) / 2;
  return [middle - least / 2, middle + least / 2];
}

/** The raw values of a line between two places. */
function slices({ x, y, passes }: Ordered, [from, to]: Range): ArrayLike<number>[] {
  return passes.map(([start, stop]) => {
    const first = lowerBound(x, from, stop, start);
    let last = lowerBound(x, to, stop, first);
    while (last < stop && x[last] === to) last++;
    return y.subarray(first, last);
  });
}

function yRange(
  strokes: readonly Stroke[],
  areas: readonly Area[],
  seen: readonly ArrayLike<number>[],
  x: Range,
  { clip, logY }: CurveOptions,
): Range {
  const clipped = clip ? quantiles(logY ? seen.map(positives) : seen, ...CLIP) : null;
  if (clipped) return padded(clipped[0], clipped[1], logY);
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const pieces = [
    ...strokes.flatMap((stroke) => stroke.pieces),
    ...areas.flatMap((area) => [...area.low, ...area.high]),
  ];
  for (const piece of pieces) {
    for (let i = 0; i < piece.y.length; i++) {
      const value = piece.y[i];
      if (value === null || piece.x[i] < x[0] || piece.x[i] > x[1] || (logY && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return padded(low, high, logY);
}

const positives = (values: ArrayLike<number>): number[] => Array.from(values).filter((value) => value > 0);

/** Of the numbers themselves: what lies closer together is a flat line. */
const FLAT = 1e-12;

/** A little air above and below; a flat line in the middle. */
export function padded(low: number, high: number, log: boolean): Range {
  if (low > high) return log ? [1, 10] : [0, 1];
  if (log) {
    const air = low === high ? 2 : Math.max((high / low) ** 0.06, 1.02);
    return [low / air, high * air];
  }
  const size = Math.max(Math.abs(low), Math.abs(high));
  // Smoothing moves the last bits of a constant: no axis has marks between two neighbouring numbers.
  if (high - low <= FLAT * size) return [low - (size || 1) * 0.1, high + (size || 1) * 0.1];
  const air = (high - low) * 0.06;
  return [low >= 0 && low - air < 0 ? 0 : low - air, high + air];
}

function marksOf(line: Prepared, [from, to]: Range): Mark[] {
  const seen = line.notFinite.filter(({ x }) => x >= from && x <= to);
  const every = Math.ceil(seen.length / MOST_MARKS);
  return seen
    .filter((_, n) => n % every === 0)
    .map(({ x, value }) => ({ kind: markOf(value), colour: line.trace.colour, x }));
}

const markOf = (value: number): Mark["kind"] => (Number.isNaN(value) ? "nan" : value > 0 ? "up" : "down");

function notPositive(
  lines: readonly Ordered[],
  seen: readonly ArrayLike<number>[],
  { logX, logY }: CurveOptions,
): number {
  let n = logY ? countIf(seen, (value) => value <= 0) : 0;
  if (logX)
    for (const { x, passes } of lines)
      for (const [start, stop] of passes) n += lowerBound(x, TINY, stop, start) - start;
  return n;
}

/** How many finite values there are of which something holds. */
function countIf(parts: readonly ArrayLike<number>[], holds: (value: number) => boolean): number {
  let n = 0;
  for (const part of parts)
    for (let i = 0; i < part.length; i++) if (Number.isFinite(part[i]) && holds(part[i])) n++;
  return n;
}

/** A place on an axis as a share of its length, 0 at its lower end; NaN where a logarithmic axis has none. */
export function place(value: number, [low, high]: Range, log: boolean): number {
  if (!log) return (value - low) / (high - low);
  if (value <= 0) return Number.NaN;
  return Math.log(value / low) / Math.log(high / low);
}

/** What stands at a share of the length of an axis. */
export function valueAt(share: number, [low, high]: Range, log: boolean): number {
  return log ? low * (high / low) ** share : low + share * (high - low);
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export type Polyline = readonly (readonly [x: number, y: number])[];

/** The lines of a piece inside a box of the page; a gap (or what has no place on the axis) ends one and begins another. */
export function polylines(points: Points, scene: Scene, box: Box): Polyline[] {
  const lines: [number, number][][] = [];
  let current: [number, number][] | undefined;
  for (let i = 0; i < points.x.length; i++) {
    const value = points.y[i];
    const across = place(points.x[i], scene.x, scene.logX);
    const up = value === null ? Number.NaN : place(value, scene.y, scene.logY);
    if (Number.isNaN(across) || Number.isNaN(up)) {
      current = undefined;
      continue;
    }
    if (!current) {
      current = [];
      lines.push(current);
    }
    current.push([box.left + across * box.width, box.top + (1 - up) * box.height]);
  }
  return lines;
}

/** The outlines of an area: along its upper line and back along the lower one; below a logarithmic axis it ends at the axis. */
export function outlines({ low, high }: Area, scene: Scene, box: Box): Polyline[] {
  const floor = (points: Points): Points =>
    scene.logY
      ? { ...points, y: points.y.map((v) => (v === null ? null : Math.max(v, scene.y[0]))) }
      : points;
  return high.map((top, i) => {
    const above = polylines(floor(top), scene, box).flat();
    const below = (low[i] ? polylines(floor(low[i]), scene, box) : []).flat();
    return [...above, ...below.reverse()];
  });
}
