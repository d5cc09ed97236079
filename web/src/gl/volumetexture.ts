// Voxels as a texture: small enough for it, with the extremes of its blocks, by which empty ones are passed over.
import { Data3DTexture, HalfFloatType, LinearFilter, RedFormat, UnsignedByteType } from "three";
import { type FullLook, opacities, reachOf } from "./volumelook";
import type { Reduced, SceneVoxels } from "./volumetypes";

/** Edge of a block in voxels. */
const BLOCK = 8;
/** Voxels of a texture: more than 256 MB would be too much for many devices. */
const MOST_VOXELS = 2 ** 28;

/** Smallest and largest byte of every block and the voxels around it (which samples inside it read). */
export interface Ranges {
  readonly low: Uint8Array;
  readonly high: Uint8Array;
  /** Blocks along column, row, channel. */
  readonly counts: readonly [number, number, number];
}

let halves: Float32Array | undefined;

/** The numbers that the 65,536 patterns of float16 stand for. */
export function halfValues(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  });
  return halves;
}

/** From what is stored to shares of the scale: gain and bias. */
export function toShare({ data, window }: SceneVoxels): { gain: number; bias: number } {
  if (data instanceof Uint8Array) return { gain: 1, bias: 0 };
  const [low, high] = window ?? [0, 1];
  const gain = high > low ? 1 / (high - low) : 0;
  return { gain, bias: -low * gain };
}

export const clamped = (share: number): number => Math.max(0, Math.min(1, share)) || 0;

/** Share of the scale of each stored pattern; of float16 outside its window below 0 or above 1. */
export function openShares(voxels: SceneVoxels): Float32Array {
  if (voxels.data instanceof Uint8Array) return Float32Array.from({ length: 256 }, (_, byte) => byte / 255);
  const { gain, bias } = toShare(voxels);
  return halfValues().map((value) => value * gain + bias);
}

/** Share of the scale of each stored pattern, 0 to 1. */
export const shares = (voxels: SceneVoxels): Float32Array => openShares(voxels).map(clamped);

/** How many voxels of each axis become one, so that it fits. */
function factors(sides: readonly number[], limit: number): number[] {
  const by = sides.map((side) => Math.ceil(side / limit));
  const left = (): number[] => sides.map((side, axis) => Math.ceil(side / by[axis]));
  while (left().reduce((a, b) => a * b) > MOST_VOXELS) by[left().indexOf(Math.max(...left()))]++;
  return by;
}

/** The volume with no side above `limit`: each new voxel is the strongest of those it stands for. */
export function shrunk(
  voxels: SceneVoxels,
  limit: number,
  zero: number | null,
): { voxels: SceneVoxels; reduced: Reduced } {
  const sides = [voxels.channels, voxels.height, voxels.width];
  const by = factors(sides, limit);
  if (Math.max(...by) === 1) return { voxels, reduced: null };
  const [channels, height, width] = sides.map((side, axis) => Math.ceil(side / by[axis]));
  const own = shares(voxels).map((share) => (zero === null ? share : Math.abs(share - zero)));
  const data = new (voxels.data instanceof Uint8Array ? Uint8Array : Uint16Array)(channels * height * width);
  const best = new Float32Array(data.length).fill(-1);
  let from = 0;
  for (let c = 0; c < voxels.channels; c++) {
    for (let y = 0; y < voxels.height; y++) {
      const row = (Math.floor(c / by[0]) * height + Math.floor(y / by[1])) * width;
      for (let x = 0; x < voxels.width; x++, from++) {
        const to = row + Math.floor(x / by[2]);
        const strength = own[voxels.data[from]];
        if (strength > best[to]) {
          best[to] = strength;
          data[to] = voxels.data[from];
        }
      }
    }
  }
  const reduced = { channels: by[0], rows: by[1], columns: by[2] };
  return { voxels: { ...voxels, data, channels, height, width }, reduced };
}

/** Bytes below and above every stored pattern; null where patterns are bytes. */
function byteTables(voxels: SceneVoxels): [Uint8Array, Uint8Array] | null {
  if (voxels.data instanceof Uint8Array) return null;
  const share = shares(voxels);
  return [
    Uint8Array.from(share, (value) => Math.floor(value * 255)),
    Uint8Array.from(share, (value) => Math.ceil(value * 255)),
  ];
}

/** Extremes of all blocks. */
export function rangesOf(voxels: SceneVoxels): Ranges {
  const pieces = rangesInPieces(voxels);
  let piece = pieces.next();
  while (!piece.done) piece = pieces.next();
  return piece.value;
}

/** The same with a pause after each channel: of a large volume it takes longer than a page may stand still. */
export function* rangesInPieces(voxels: SceneVoxels): Generator<void, Ranges, void> {
  const { data, channels, height, width } = voxels;
  const counts = [width, height, channels].map((side) => Math.ceil(side / BLOCK)) as [number, number, number];
  const [nx, ny, nz] = counts;
  const low = new Uint8Array(nx * ny * nz).fill(255);
  const high = new Uint8Array(nx * ny * nz);
  const tables = byteTables(voxels);
  const [least, most] = [new Uint8Array(nx), new Uint8Array(nx)];
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const start = (c * height + y) * width;
      for (let bx = 0; bx < nx; bx++) {
        const end = start + Math.min(width, (bx + 1) * BLOCK + 1);
        let [a, b] = [255, 0];
        for (let at = start + Math.max(0, bx * BLOCK - 1); at < end; at++) {
          const low = tables ? tables[0][data[at]] : data[at];
          const high = tables ? tables[1][data[at]] : data[at];
          if (low < a) a = low;
          if (high > b) b = high;
        }
        least[bx] = a;
        most[bx] = b;
      }
      for (const bz of touched(c, nz))
        for (const by of touched(y, ny)) {
          const to = (bz * ny + by) * nx;
          for (let bx = 0; bx < nx; bx++) {
            if (least[bx] < low[to + bx]) low[to + bx] = least[bx];
            if (most[bx] > high[to + bx]) high[to + bx] = most[bx];
          }
        }
    }
    yield;
  }
  return { low, high, counts };
}

/** Blocks in which a voxel is, or beside which. */
function touched(index: number, count: number): number[] {
  const block = Math.floor(index / BLOCK);
  if (index % BLOCK === 0 && block > 0) return [block - 1, block];
  if (index % BLOCK === BLOCK - 1 && block < count - 1) return [block, block + 1];
  return [block];
}

/** What the shader compares with, and for which blocks: their edge in voxels and their number along each axis. */
export interface Bounds {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly counts: readonly [number, number, number];
  readonly block: number;
}

/** Looking at blocks costs about a third of the samples: worth it where as many blocks are empty. */
const PAYS = 0.35;
const LONG = 65536;

/** The largest strength of each block (maximum), or 255 where something of it is drawn; one block if few are empty. */
export function boundsOf(ranges: Ranges, look: FullLook): Bounds {
  const data = look.mode === "composite" ? visible(ranges, look) : strengths(ranges, look);
  const empty = data.reduce((count, bound) => count + Number(bound === 0), 0);
  if (look.mode === "maximum" || empty >= PAYS * data.length)
    return { data, counts: ranges.counts, block: BLOCK };
  return { data: new Uint8Array([255]), counts: [1, 1, 1], block: LONG };
}

function visible({ low, high }: Ranges, look: FullLook): Uint8Array<ArrayBuffer> {
  const seen = new Uint32Array(257);
  opacities(look).forEach((alpha, level) => {
    seen[level + 1] = seen[level] + Number(alpha > 0);
  });
  return Uint8Array.from(low, (least, i) => (seen[high[i] + 1] > seen[least] ? 255 : 0));
}

function strengths({ low, high }: Ranges, look: FullLook): Uint8Array<ArrayBuffer> {
  const reach = look.signed ? reachOf(look.zero) : 1;
  const zero = look.signed ? look.zero : 0;
  const side = (byte: number): number => Math.abs(byte / 255 - zero) * reach;
  return Uint8Array.from(high, (most, i) => {
    const strongest = Math.max(side(most), look.signed ? side(low[i]) : 0);
    if (look.mode === "iso") return strongest >= look.iso - 1e-6 ? 255 : 0;
    return Math.min(255, Math.ceil(strongest * 255 - 1e-6));
  });
}

/** A texture of voxels; the one before is filled anew if it has the same shape. */
export function voxelTexture(voxels: SceneVoxels, before: Data3DTexture | undefined): Data3DTexture {
  const { data, channels, height, width } = voxels;
  const half = data instanceof Uint16Array;
  const same =
    before &&
    before.image.width === width &&
    before.image.height === height &&
    before.image.depth === channels &&
    (before.type === HalfFloatType) === half;
  if (!same) before?.dispose();
  const texture = same ? before : new Data3DTexture(null, width, height, channels);
  texture.image.data = data as Uint8Array<ArrayBuffer>;
  texture.format = RedFormat;
  texture.type = half ? HalfFloatType : UnsignedByteType;
  texture.minFilter = texture.magFilter = LinearFilter;
  texture.unpackAlignment = 1;
  texture.needsUpdate = true;
  return texture;
}
