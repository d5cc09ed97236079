// What the figures of histograms share: their look, ticks, marks, and the shape that a card draws and reads.

import { placeOn, type Scale } from "../../lib/distribution";
import { count, duration, tick } from "../../lib/format";
import { type Mark, SIGN } from "../../lib/gradients";
import type { XAxis } from "../../lib/series";
import type { Histograms, NumberArray } from "../../source/source";

export const HEIGHT = 250;
const SIGN_ROOM = 11;

/** One run's histograms of a tag. */
export interface Line {
  readonly run: string;
  readonly colour: string;
  readonly dash: readonly number[];
  readonly data: Histograms;
  readonly times: NumberArray;
  /** Of each histogram; empty where the tag is no gradient or nothing is known yet. */
  marks: readonly Mark[];
  /** Of each histogram: values that are NaN or infinite. */
  readonly broken: ArrayLike<number>;
  /** The chosen step's histogram, -1 if there is none. */
  chosen: number;
}

export interface Look {
  readonly width: number;
  readonly axis: XAxis;
  /** Counts on a logarithmic axis. */
  readonly logCounts: boolean;
  readonly scale: Scale;
  readonly shares: readonly number[];
  readonly dark: boolean;
}

/** A histogram that is read, and the bin of it. */
export interface Place {
  readonly entry: number;
  readonly bin: number;
}

export interface Figure {
  /** How many bins a histogram is read in; 0: it is not read bin by bin. */
  readonly bins: number;
  /** What stands for several steps, as a sentence; empty if every step is drawn by itself. */
  readonly note: string;
  /** The most values in a bin, where counts are colours. */
  readonly most?: number;
  paint(context: CanvasRenderingContext2D, style: Style, read: Place | null): void;
  hit(x: number, y: number): Place;
  where(place: Place): { x: number; y: number };
}

/** Colours and letters of the page. */
export interface Style {
  readonly font: string;
  readonly colour: (token: string) => string;
}

export function styleOf(el: HTMLElement): Style {
  const style = getComputedStyle(el);
  return {
    font: `11px ${style.getPropertyValue("--font-sans")}`,
    colour: (token) => style.getPropertyValue(`--${token}`).trim(),
  };
}

/** Round numbers within [low, high], about `wanted` of them. */
export function roundTicks(low: number, high: number, wanted: number): number[] {
  const rough = (high - low) / wanted;
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= rough) ?? 10);
  const ticks: number[] = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-12) && ticks.length < 50; k++)
    ticks.push(k * step);
  return ticks;
}

/** Values to write at an axis: round ones, or where it is logarithmic zero and powers of ten. */
export function valueTicks(scale: Scale, wanted: number): number[] {
  if (!scale.linear) return roundTicks(scale.low, scale.high, wanted);
  const last = Math.ceil(Math.log10(Math.max(-scale.low, scale.high)));
  const powers: number[] = [0];
  for (let k = last; k >= Math.floor(Math.log10(scale.linear)); k--) powers.push(10 ** k, -(10 ** k));
  const kept: number[] = [];
  for (const value of powers) {
    const clear = kept.every(
      (other) => Math.abs(placeOn(scale, other) - placeOn(scale, value)) > 0.55 / wanted,
    );
    if (value >= scale.low && value <= scale.high && clear) kept.push(value);
  }
  return kept.sort((a, b) => a - b);
}

/** A place in time as it is written at an axis. */
export function timeText(axis: XAxis, at: number, span: number): string {
  if (axis === "step") return tick(at);
  if (axis === "relative") return duration(at);
  const time = new Date(at * 1000);
  if (Number.isNaN(time.getTime())) return "–";
  const [clock, day] = [
    { hour: "2-digit", minute: "2-digit" },
    { month: "short", day: "numeric" },
  ] as const;
  return time.toLocaleString("en-GB", span > 86400 ? { ...day, ...clock } : clock);
}

/** What is said where steps share a place in the figure. */
export const binnedNote = (entries: number, groups: number, what: string): string =>
  groups < entries ? `${count(entries)} steps in ${count(groups)} ${what}` : "";

/** The sign of a histogram: not finite, exploding, vanishing, or none. */
export function signOf(line: Line, entry: number): string {
  if (line.broken[entry] > 0) return "×";
  return SIGN[line.marks[entry] ?? ""];
}

/** Write the signs of a line's histograms where `at` says, in a colour or in that of each sign, where none of its kind stands so near that they touch. */
export function paintSigns(
  context: CanvasRenderingContext2D,
  style: Style,
  line: Line,
  at: (entry: number) => { x: number; y: number },
  colour?: string,
): void {
  const last = new Map<string, { x: number; y: number }>();
  context.textAlign = "center";
  for (let entry = 0; entry < line.data.step.length; entry++) {
    const sign = signOf(line, entry);
    if (!sign) continue;
    const place = at(entry);
    const before = last.get(sign);
    if (before && Math.hypot(place.x - before.x, place.y - before.y) < SIGN_ROOM) continue;
    last.set(sign, place);
    context.fillStyle = colour ?? style.colour(sign === "▼" ? "warn" : "bad");
    context.fillText(sign, place.x, place.y);
  }
}

/** A height from 0 to 1 for a count. */
export const heightOf = (value: number, top: number, log: boolean): number =>
  log ? Math.log1p(value) / Math.log1p(top) : value / top;
