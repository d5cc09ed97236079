// Feature maps as bytes: reordered, on one scale or each on its own, small enough for a texture.
import type { NumberArray } from "../source/source";

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

/** The value that stands behind a byte of channel `channel`. */
export function valueAt(volume: VolumeArrays, channel: number, row: number, column: number): number {
  const byte = volume.data[(channel * volume.height + row) * volume.width + column];
  return decode(volume, channel, byte);
}

export function decode(volume: VolumeArrays, channel: number, byte: number): number {
  const [low, high] = [volume.scale[2 * channel], volume.scale[2 * channel + 1]];
  return low + (byte / 255) * (high - low);
}

/** Smallest and largest value of the layer. */
export function layerRange(volume: VolumeArrays): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let c = 0; c < volume.channels; c++) {
    low = Math.min(low, volume.scale[2 * c]);
    high = Math.max(high, volume.scale[2 * c + 1]);
  }
  return low <= high ? [low, high] : [0, 1];
}

const LEVELS = 4096;

/** The value below which `share` of all voxels of the layer lie: full contrast of the shared scale, printed beside it. */
export function contrast(volume: VolumeArrays, share: number): number {
  const [low, high] = layerRange(volume);
  if (!(high > low)) return high;
  const counts = new Uint32Array(LEVELS);
  const area = volume.height * volume.width;
  for (let c = 0; c < volume.channels; c++) {
    const levels = Uint16Array.from({ length: 256 }, (_, byte) =>
      Math.floor(((decode(volume, c, byte) - low) / (high - low)) * (LEVELS - 1)),
    );
    for (let p = c * area; p < (c + 1) * area; p++) counts[levels[volume.data[p]]]++;
  }
  const wanted = share * volume.channels * area;
  let sum = 0;
  for (let level = 0; level < LEVELS; level++) {
    sum += counts[level];
    if (sum >= wanted) return low + ((high - low) * (level + 1)) / LEVELS;
  }
  return high;
}

/** The maps in `order`: on one scale up to `top` for the layer, or each on its own range if that is null. */
export function arrange(volume: VolumeArrays, order: readonly number[], top: number | null): Voxels {
  const area = volume.height * volume.width;
  const data = new Uint8Array(order.length * area);
  const [low] = layerRange(volume);
  const factor = top !== null && top > low ? 255 / (top - low) : 0;
  order.forEach((channel, place) => {
    const bytes = volume.data.subarray(channel * area, (channel + 1) * area);
    if (top === null) {
      data.set(bytes, place * area);
      return;
    }
    const lookup = Uint8Array.from({ length: 256 }, (_, byte) =>
      Math.min(255, Math.round((decode(volume, channel, byte) - low) * factor)),
    );
    for (let p = 0; p < area; p++) data[place * area + p] = lookup[bytes[p]];
  });
  return { data, channels: order.length, height: volume.height, width: volume.width };
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

/** RGBA pixels of one map. */
export function mapPixels(volume: Voxels, channel: number, colours: Uint8Array): ImageData {
  const area = volume.height * volume.width;
  const image = new ImageData(volume.width, volume.height);
  for (let p = 0; p < area; p++) {
    const from = 3 * volume.data[channel * area + p];
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = colours[from + c];
    image.data[4 * p + 3] = 255;
  }
  return image;
}
