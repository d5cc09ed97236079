// How opaque a value is drawn: points on a line from the lower end of the scale to the upper one, and what a GPU makes of them.

/** Both from 0 to 1: where on the scale, and how opaque there. */
export interface TransferPoint {
  readonly at: number;
  readonly opacity: number;
}

export type Transfer = readonly TransferPoint[];

export const PRESETS = ["ramp", "tent", "threshold"] as const;
export type Preset = (typeof PRESETS)[number];

const MOST_POINTS = 24;
const DIGITS = 3;

const round = (share: number): number => Number(Math.max(0, Math.min(1, share)).toFixed(DIGITS));

/** A named shape. Of signed scales zero, in the middle, stays clear: both signs grow opaque away from it. */
export function preset(name: Preset, signed: boolean, threshold = 0.1): Transfer {
  const points = (...pairs: readonly (readonly [number, number])[]): Transfer =>
    pairs.map(([at, opacity]) => ({ at: round(at), opacity: round(opacity) }));
  const [left, right] = [0.5 - threshold / 2, 0.5 + threshold / 2];
  if (name === "ramp")
    return signed ? points([0, 1], [left, 0], [right, 0], [1, 1]) : points([0, 0], [threshold, 0], [1, 1]);
  if (name === "tent")
    return signed
      ? points([0, 0], [0.1, 0], [0.25, 0.9], [0.4, 0], [0.6, 0], [0.75, 0.9], [0.9, 0], [1, 0])
      : points([0, 0], [0.3, 0], [0.5, 0.9], [0.7, 0], [1, 0]);
  return signed
    ? points([0, 0.9], [0.245, 0.9], [0.255, 0], [0.745, 0], [0.755, 0.9], [1, 0.9])
    : points([0, 0], [0.495, 0], [0.505, 0.9], [1, 0.9]);
}

/** The points of "0:0,0.4:0.2,1:1" or of a preset's name; undefined if it is neither. */
export function parseTransfer(text: string | undefined, signed: boolean): Transfer | undefined {
  if (!text) return undefined;
  const named = PRESETS.find((name) => name === text);
  if (named) return preset(named, signed);
  const pairs = text.split(",").map((pair) => pair.split(":"));
  if (pairs.length < 2 || pairs.length > MOST_POINTS) return undefined;
  const points = pairs.map(([at, opacity]) => ({ at: Number(at || NaN), opacity: Number(opacity || NaN) }));
  const good = ({ at, opacity }: TransferPoint): boolean =>
    at >= 0 && at <= 1 && opacity >= 0 && opacity <= 1;
  return points.every(good) && pairs.every((pair) => pair.length === 2) ? ordered(points) : undefined;
}

/** The short form for the address: the name of a preset, or its points. */
export function formatTransfer(points: Transfer, signed: boolean): string {
  const text = (some: Transfer): string => some.map(({ at, opacity }) => `${at}:${opacity}`).join(",");
  const mine = text(points);
  return PRESETS.find((name) => text(preset(name, signed)) === mine) ?? mine;
}

const ordered = (points: Transfer): Transfer =>
  points.map(({ at, opacity }) => ({ at: round(at), opacity: round(opacity) })).sort((a, b) => a.at - b.at);

/** The opacity at a place: on the line between the points beside it, and beyond the last ones as there. */
export function opacityAt(points: Transfer, at: number): number {
  const right = points.findIndex((point) => point.at >= at);
  if (right < 0) return points.at(-1)?.opacity ?? 0;
  if (right === 0) return points[0].opacity;
  const [a, b] = [points[right - 1], points[right]];
  const share = b.at > a.at ? (at - a.at) / (b.at - a.at) : 1;
  return a.opacity + share * (b.opacity - a.opacity);
}

/** The points with one more; `number`: which of them it is. There are never more than two dozen. */
export function addPoint(
  points: Transfer,
  at: number,
  opacity: number,
): { points: Transfer; number: number } {
  if (points.length >= MOST_POINTS) return { points, number: nearest(points, at) };
  const place = round(at);
  const before = points.filter((point) => point.at <= place).length;
  const added = { at: place, opacity: round(opacity) };
  return { points: [...points.slice(0, before), added, ...points.slice(before)], number: before };
}

/** The points with one moved; it stays between its neighbours, and the first and last stay at the ends of the scale. */
export function movePoint(points: Transfer, number: number, at: number, opacity: number): Transfer {
  const last = points.length - 1;
  const low = number === 0 ? 0 : points[number - 1].at;
  const high = number === last ? 1 : points[number + 1].at;
  const end = number === 0 ? points[0].at : number === last ? points[last].at : undefined;
  const moved = { at: end ?? round(Math.max(low, Math.min(high, at))), opacity: round(opacity) };
  return points.map((point, i) => (i === number ? moved : point));
}

/** The points without one; the first and the last stay. */
export const removePoint = (points: Transfer, number: number): Transfer =>
  number > 0 && number < points.length - 1 ? points.filter((_, i) => i !== number) : points;

export function nearest(points: Transfer, at: number): number {
  let best = 0;
  points.forEach((point, i) => {
    if (Math.abs(point.at - at) < Math.abs(points[best].at - at)) best = i;
  });
  return best;
}

/** 256 colours with their opacity, RGBA, as the ray march reads them; `colours`: RGB of the 256. */
export function transferTable(points: Transfer, colours: Uint8Array): Uint8Array {
  const table = new Uint8Array(4 * 256);
  for (let i = 0; i < 256; i++) {
    table.set(colours.subarray(3 * i, 3 * i + 3), 4 * i);
    table[4 * i + 3] = Math.round(255 * opacityAt(points, i / 255));
  }
  return table;
}
