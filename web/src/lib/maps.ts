// Feature maps as numbers: scales, what a non-linearity leaves of them, orders, and where positions lie on the picture.
import type { NumberArray } from "../source/source";
import { rangeIndex, signedIndex, table } from "./colour";
import type { Field } from "./topkdata";

/** What a non-linearity that only cuts off leaves: values from `low` to `high`. */
export interface Clamp {
  readonly low: number;
  readonly high: number;
}

export const UNCHANGED: Clamp = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

export const clamp = (value: number, { low, high }: Clamp): number => Math.max(low, Math.min(high, value));

/** The values that the first and the last colour stand for; `signed`: zero is the middle one, mid-grey. */
export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly signed: boolean;
}

const CLIPPED_SHARE = 0.02;

/** Smallest and largest value of a channel, as it is shown. */
export function shownRange(range: NumberArray, channel: number, after: Clamp): [number, number] {
  return [clamp(range[2 * channel], after), clamp(range[2 * channel + 1], after)];
}

const shownRanges = (range: NumberArray, after: Clamp): [number, number][] =>
  Array.from({ length: range.length / 2 }, (_, channel) => shownRange(range, channel, after));

/** Smallest and largest value of the layer, as it is shown. */
export function layerEnds(range: NumberArray, after: Clamp): [number, number] {
  const ends = shownRanges(range, after);
  return [
    ends.reduce((low, one) => Math.min(low, one[0]), Number.POSITIVE_INFINITY),
    ends.reduce((high, one) => Math.max(high, one[1]), Number.NEGATIVE_INFINITY),
  ];
}

/** One scale for all channels. It ends where the strongest 2 % of the channels are clipped: they would make the others pale. */
export function sharedScale(range: NumberArray, after: Clamp): Scale {
  const [low] = layerEnds(range, after);
  const signed = low < 0;
  const tops = shownRanges(range, after)
    .map(([least, most]) => (signed ? Math.max(-least, most) : most))
    .sort((a, b) => a - b);
  const top = tops[tops.length - 1 - Math.floor(CLIPPED_SHARE * tops.length)] || tops[tops.length - 1] || 0;
  return { low: signed ? -top : low, high: top, signed };
}

/** The scale of one channel alone; in a layer of signed values it is signed too, so that colours mean the same. */
export function ownScale(range: NumberArray, channel: number, after: Clamp, signed: boolean): Scale {
  const [low, high] = shownRange(range, channel, after);
  const end = Math.max(-low, high);
  return signed ? { low: -end, high: end, signed } : { low, high, signed };
}

/** Three bytes a colour, 256 of them. */
export const coloursOf = ({ signed }: Scale): Uint8Array => table(signed ? "diverging" : "inferno");

/** How far a value is from zero, or from the lower end of a scale without a zero, as a share of the scale. */
const strength = (value: number, { low, high, signed }: Scale): number => {
  const share = signed ? Math.abs(value) / high : (value - low) / (high - low);
  return Number.isNaN(share) ? 0 : Math.max(0, Math.min(1, share));
};

export const colourIndex = (value: number, { low, high, signed }: Scale): number =>
  signed ? signedIndex(value, high) : rangeIndex(value, low, high);

/**
 * How opaque pixels are: all of them, or the more the stronger the value is, to be laid over a picture. By its square
 * root: most values of a map are small beside its largest, and would not be seen on a picture.
 */
export type Opacity = "full" | "by strength";

/** RGBA pixels of values: what is not a number is left clear. */
export function valuePixels(
  values: ArrayLike<number>,
  after: Clamp,
  scale: Scale,
  opacity: Opacity = "full",
): Uint8ClampedArray<ArrayBuffer> {
  const colours = coloursOf(scale);
  const pixels = new Uint8ClampedArray(4 * values.length);
  for (let p = 0; p < values.length; p++) {
    if (Number.isNaN(values[p])) continue;
    const value = clamp(values[p], after);
    const index = 3 * colourIndex(value, scale);
    pixels.set(colours.subarray(index, index + 3), 4 * p);
    pixels[4 * p + 3] = opacity === "full" ? 255 : 255 * Math.sqrt(strength(value, scale));
  }
  return pixels;
}

/** RGBA pixels of bytes that stand for values from `low` to `high`. */
export function bytePixels(
  bytes: NumberArray,
  [low, high]: readonly [number, number],
  after: Clamp,
  scale: Scale,
  opacity: Opacity = "full",
): Uint8ClampedArray<ArrayBuffer> {
  const values = Float64Array.from({ length: 256 }, (_, byte) => low + (byte / 255) * (high - low));
  const colours = new Uint32Array(valuePixels(values, after, scale, opacity).buffer);
  const pixels = new Uint32Array(bytes.length);
  for (let p = 0; p < bytes.length; p++) pixels[p] = colours[bytes[p]];
  return new Uint8ClampedArray(pixels.buffer);
}

/** Place of the largest number, 0 if there is none. */
export function strongest(values: ArrayLike<number>): number {
  let best = 0;
  for (let p = 1; p < values.length; p++)
    if (values[p] > values[best] || Number.isNaN(values[best])) best = p;
  return best;
}

/** What channels are sorted by. */
export interface Sortable {
  readonly range: NumberArray;
  readonly mean: NumberArray;
  readonly meanAfter: NumberArray | undefined;
  readonly positive: NumberArray;
  readonly orders: ReadonlyMap<string, NumberArray>;
}

/** Mean of a channel, as it is shown. */
export const shownMean = (
  data: Pick<Sortable, "mean" | "meanAfter">,
  channel: number,
  after: Clamp,
): number => (after === UNCHANGED ? data.mean : (data.meanAfter ?? data.mean))[channel];

/** Channels by `sort`: index, mean, max, sparsity (rarely positive ones first) or a recorded order; ties by number. */
export function sortMaps(data: Sortable, sort: string, after: Clamp): number[] {
  const all = Array.from(data.positive.keys());
  const recorded = data.orders.get(sort);
  if (recorded) return Array.from(recorded);
  const keys: Readonly<Record<string, (channel: number) => number>> = {
    mean: (channel) => -shownMean(data, channel, after),
    max: (channel) => -shownRange(data.range, channel, after)[1],
    sparsity: (channel) => data.positive[channel],
  };
  const key = keys[sort];
  return key ? all.sort((a, b) => key(a) - key(b) || a - b) : all;
}

/** Channels whose number begins with the digits searched for; anything else searches for nothing. */
export function numbered(channels: readonly number[], query: string): readonly number[] {
  const wanted = query.trim();
  return /^\d+$/.test(wanted) ? channels.filter((channel) => String(channel).startsWith(wanted)) : channels;
}

/** A part of the picture in its pixels, half-open. */
export interface Box {
  readonly y0: number;
  readonly x0: number;
  readonly y1: number;
  readonly x1: number;
}

/** What a position sees: all of the picture where the field is global. May reach over the border. */
export function fieldBox(field: Field, [y, x]: readonly number[], [height, width]: readonly number[]): Box {
  if (field.reason || field.size.length < 2) return { y0: 0, x0: 0, y1: height, x1: width };
  const y0 = field.start[0] + y * field.stride[0];
  const x0 = field.start[1] + x * field.stride[1];
  return { y0, x0, y1: y0 + field.size[0], x1: x0 + field.size[1] };
}

export const clipBox = ({ y0, x0, y1, x1 }: Box, [height, width]: readonly number[]): Box => ({
  y0: Math.max(0, Math.min(height, y0)),
  x0: Math.max(0, Math.min(width, x0)),
  y1: Math.max(0, Math.min(height, y1)),
  x1: Math.max(0, Math.min(width, x1)),
});

/** What a position sees of the picture: windows that do not fit leave out its last pixels, for all layers above. */
export function seenBox(field: Field, at: readonly number[], size: readonly number[]): Box {
  const { y0, x0, y1, x1 } = clipBox(fieldBox(field, at, size), size);
  const [top, left, bottom, right] = field.extent ?? [0, 0, ...size];
  const within = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
  return {
    y0: within(y0, top, bottom),
    x0: within(x0, left, right),
    y1: within(y1, top, bottom),
    x1: within(x1, left, right),
  };
}

/**
 * Where a map of `rows` × `columns` lies on the picture: each position is a square as large as the stride around the
 * centre of its field. So a map need not cover the picture, and may reach over it. A global field covers it all.
 */
export function placeMap(
  field: Field,
  [rows, columns]: readonly number[],
  [height, width]: readonly number[],
): Box {
  if (field.reason || field.size.length < 2) return { y0: 0, x0: 0, y1: height, x1: width };
  const edge = (axis: number): number => field.start[axis] + (field.size[axis] - field.stride[axis]) / 2;
  return {
    y0: edge(0),
    x0: edge(1),
    y1: edge(0) + rows * field.stride[0],
    x1: edge(1) + columns * field.stride[1],
  };
}
