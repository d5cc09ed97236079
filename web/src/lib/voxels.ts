// Feature maps as bytes: how often each byte occurs, on which scale they are shown, reordered, small enough for a texture.
import type { NumberArray } from "../source/source";
import { rangeIndex, signedIndex } from "./colour";
import { ownScale, type Scale, UNCHANGED } from "./maps";

export interface Voxels {
  /** (channels, height, width), row-major. */
  readonly data: Uint8Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export interface VolumeArrays extends Voxels {
  /** (channels, 2): the value of byte 0 and of byte 255. */
  readonly scale: NumberArray;
}

const BYTES = 256;
const LEVELS = 4096;

/** The value that stands behind a byte of channel `channel`. */
export function valueAt(volume: VolumeArrays, channel: number, row: number, column: number): number {
  const byte = volume.data[(channel * volume.height + row) * volume.width + column];
  return decode(volume, channel, byte);
}

export function decode(volume: VolumeArrays, channel: number, byte: number): number {
  const [low, high] = [volume.scale[2 * channel], volume.scale[2 * channel + 1]];
  return low + (byte / 255) * (high - low);
}

/** How far a decoded value of a channel may be from the one that was stored. */
export const byteError = (volume: VolumeArrays, channel: number): number =>
  (volume.scale[2 * channel + 1] - volume.scale[2 * channel]) / 510;

/** Smallest and largest value of the layer. */
export function layerRange(volume: VolumeArrays): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let c = 0; c < volume.channels; c++) {
    low = Math.min(low, volume.scale[2 * c]);
    high = Math.max(high, volume.scale[2 * c + 1]);
  }
  return low <= high ? [low, high] : [0, 1];
}

/** How often each byte occurs in each channel, `(channels, 256)`; from channel `from` up to `to`, into `counts`. */
export function countBytes(
  volume: Voxels,
  counts = new Uint32Array(BYTES * volume.channels),
  from = 0,
  to = volume.channels,
): Uint32Array {
  const area = volume.height * volume.width;
  for (let c = from; c < to; c++) {
    const own = counts.subarray(BYTES * c, BYTES * (c + 1)).fill(0);
    for (let p = c * area; p < (c + 1) * area; p++) own[volume.data[p]]++;
  }
  return counts;
}

/** The values below which `shares` of all voxels lie, to a 4096th of the layer's range. */
export function quantiles(volume: VolumeArrays, counts: Uint32Array, shares: readonly number[]): number[] {
  const [low, high] = layerRange(volume);
  if (!(high > low)) return shares.map(() => high);
  const levels = new Float64Array(LEVELS);
  for (let c = 0; c < volume.channels; c++) {
    for (let byte = 0; byte < BYTES; byte++) {
      const level = Math.floor(((decode(volume, c, byte) - low) / (high - low)) * (LEVELS - 1));
      levels[level] += counts[BYTES * c + byte];
    }
  }
  const all = volume.channels * volume.height * volume.width;
  return shares.map((share) => {
    if (share <= 0) return low;
    let sum = 0;
    for (let level = 0; level < LEVELS; level++) {
      sum += levels[level];
      if (sum >= share * all) return low + ((high - low) * (level + 1)) / LEVELS;
    }
    return high;
  });
}

/** The colour, from 0 to 255, of a value; of a signed scale 128 is zero. */
export const byteOf = (value: number, { low, high, signed }: Scale): number =>
  signed ? signedIndex(value, high) : rangeIndex(value, low, high);

/** The value that a colour stands for; it need not be a whole number. */
export const colourValue = (byte: number, { low, high, signed }: Scale): number =>
  signed ? ((byte - 128) / 127) * high : low + (byte / 255) * (high - low);

/** One scale for all channels, or each channel on its own (then `scale` is that of no channel). */
export interface Shown {
  readonly own: boolean;
  readonly scale: Scale;
}

/** The scale that a channel is shown on. */
export const scaleOf = (volume: VolumeArrays, channel: number, { own, scale }: Shown): Scale =>
  own ? ownScale(volume.scale, channel, UNCHANGED, scale.signed) : scale;

/** What the bytes of a channel become on the scale it is shown on. */
export function lookup(volume: VolumeArrays, channel: number, shown: Shown): Uint8Array {
  const scale = scaleOf(volume, channel, shown);
  return Uint8Array.from({ length: BYTES }, (_, byte) => byteOf(decode(volume, channel, byte), scale));
}

/** The maps in `order` on a scale; places from `from` up to `to`, into `data`. */
export function arrange(
  volume: VolumeArrays,
  order: readonly number[],
  shown: Shown,
  data = new Uint8Array(order.length * volume.height * volume.width),
  from = 0,
  to = order.length,
): Voxels {
  const area = volume.height * volume.width;
  for (let place = from; place < to; place++) {
    const channel = order[place];
    const colours = lookup(volume, channel, shown);
    const start = channel * area - place * area;
    for (let p = place * area; p < (place + 1) * area; p++) data[p] = colours[volume.data[start + p]];
  }
  return { data, channels: order.length, height: volume.height, width: volume.width };
}

/**
 * How many voxels have each colour, `(256,)`. A byte stands for a stretch of values and is counted where this lies, so
 * that a scale finer than the bytes leaves no gaps.
 */
export function histogram(volume: VolumeArrays, counts: Uint32Array, shown: Shown): Float64Array {
  const bins = new Float64Array(BYTES);
  for (let c = 0; c < volume.channels; c++) {
    const scale = scaleOf(volume, c, shown);
    const half = byteError(volume, c);
    for (let byte = 0; byte < BYTES; byte++) {
      const many = counts[BYTES * c + byte];
      if (!many) continue;
      const value = decode(volume, c, byte);
      const [from, to] = [byteOf(value - half, scale), byteOf(value + half, scale)];
      for (let bin = from; bin <= to; bin++) bins[bin] += many / (to - from + 1);
    }
  }
  return bins;
}

/** Share of the voxels that a scale clips, below and above. */
export function clipped(volume: VolumeArrays, counts: Uint32Array, shown: Shown): [number, number] {
  let [below, above] = [0, 0];
  for (let c = 0; c < volume.channels; c++) {
    const { low, high } = scaleOf(volume, c, shown);
    const slack = byteError(volume, c);
    for (let byte = 0; byte < BYTES; byte++) {
      const value = decode(volume, c, byte);
      if (value < low - slack) below += counts[BYTES * c + byte];
      else if (value > high + slack) above += counts[BYTES * c + byte];
    }
  }
  const all = volume.channels * volume.height * volume.width || 1;
  return [below / all, above / all];
}

/** What half floats become: bytes on each channel's own scale, as they come where the record has bytes. */
export function toBytes(values: NumberArray, scale: NumberArray): Uint8Array {
  const channels = scale.length / 2;
  const area = values.length / Math.max(1, channels);
  const data = new Uint8Array(values.length);
  for (let c = 0; c < channels; c++) {
    const [low, high] = [scale[2 * c], scale[2 * c + 1]];
    for (let p = c * area; p < (c + 1) * area; p++) data[p] = rangeIndex(values[p], low, high);
  }
  return data;
}

/** What a slice is perpendicular to. */
export type Axis = "channel" | "row" | "column";

/** A picture cut out of a volume: colours of `height` lines of `width`. */
export interface Slice {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** The slice at `at`: a map; of a row or column of the maps, that line of every place (places run downwards). */
export function sliceOf(voxels: Voxels, axis: Axis, at: number): Slice {
  const { data, channels, height, width } = voxels;
  if (axis === "channel")
    return { data: data.subarray(at * height * width, (at + 1) * height * width), height, width };
  const across = axis === "row" ? width : height;
  const [start, step] = axis === "row" ? [at * width, 1] : [at, width];
  const out = new Uint8Array(channels * across);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < across; i++) out[c * across + i] = data[c * height * width + start + i * step];
  return { data: out, height: channels, width: across };
}

/** The volume with every side at most `limit`: each new voxel is the largest of those it stands for. */
export function shrink(volume: Voxels, limit: number): Voxels {
  const by = [volume.channels, volume.height, volume.width].map((side) => Math.ceil(side / limit));
  if (Math.max(...by) === 1) return volume;
  const [channels, height, width] = [volume.channels, volume.height, volume.width].map((side, axis) =>
    Math.ceil(side / by[axis]),
  );
  const data = new Uint8Array(channels * height * width);
  for (let c = 0; c < volume.channels; c++) {
    for (let y = 0; y < volume.height; y++) {
      for (let x = 0; x < volume.width; x++) {
        const to = (Math.floor(c / by[0]) * height + Math.floor(y / by[1])) * width + Math.floor(x / by[2]);
        data[to] = Math.max(data[to], volume.data[(c * volume.height + y) * volume.width + x]);
      }
    }
  }
  return { data, channels, height, width };
}

/** RGBA pixels of a slice. */
export function slicePixels({ data, height, width }: Slice, colours: Uint8Array): ImageData {
  const image = new ImageData(width, height);
  const packed = new Uint32Array(BYTES);
  const rgba = new Uint8Array(packed.buffer);
  for (let i = 0; i < BYTES; i++) rgba.set([...colours.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  const pixels = new Uint32Array(image.data.buffer);
  for (let p = 0; p < pixels.length; p++) pixels[p] = packed[data[p]];
  return image;
}

/** RGBA pixels of the map at a place. */
export const mapPixels = (voxels: Voxels, place: number, colours: Uint8Array): ImageData =>
  slicePixels(sliceOf(voxels, "channel", place), colours);

const PIECE_MS = 12;

/**
 * Do `work` on numbers from 0 up to `total`, some at a time, and let the page breathe between. All at once where it is
 * done within a frame: then it is done when this returns.
 */
export function inPieces(
  total: number,
  atOnce: number,
  work: (from: number, to: number) => void,
  signal: AbortSignal,
): Promise<void> | undefined {
  let done = 0;
  const piece = (): boolean => {
    const end = performance.now() + PIECE_MS;
    while (done < total) {
      const to = Math.min(total, done + Math.max(1, atOnce));
      work(done, to);
      done = to;
      if (performance.now() > end) break;
    }
    return done >= total;
  };
  if (piece()) return undefined;
  return new Promise((resolve, reject) => {
    const next = (): void => {
      if (signal.aborted) reject(signal.reason);
      else if (piece()) resolve();
      else setTimeout(next);
    };
    setTimeout(next);
  });
}
