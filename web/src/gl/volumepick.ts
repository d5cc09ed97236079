// The voxel that a ray shows: the rule of the picture, followed on the processor through all voxels.
import { extinctions, type FullLook, strength } from "./volumelook";
import { crossing, middle, type Ray, strideOf, type Triple } from "./volumespace";
import { clamped, openShares, shares } from "./volumetexture";
import type { Picked, SceneVoxels, Slices } from "./volumetypes";

/** All that decides what is seen. */
export interface Seen {
  readonly voxels: SceneVoxels;
  readonly look: FullLook;
  readonly extent: Triple;
  readonly low: Triple;
  readonly high: Triple;
  readonly slices: Slices;
}

/** A piece of the ray: where it lies, the value there and the length that it stands for, in scene units. */
interface Piece {
  readonly t: number;
  readonly value: number;
  readonly length: number;
}

/**
 * The voxel under a ray. Maximum: the strongest on it; surface: the first that reaches it; composite: the one that adds
 * most to the pixel; where none of them is seen, the slice plane that the ray meets first.
 */
export function pickAlong(ray: Ray, seen: Seen): Picked | null {
  const along = ray.along.map((part) => (Math.abs(part) < 1e-7 ? part + 1e-7 : part)) as unknown as Triple;
  const safe = { eye: ray.eye, along };
  const between = crossing(safe, seen.low, seen.high);
  if (!between) return null;
  const plane = planeOf(safe, seen, between);
  const inside: [number, number] = [between[0], plane ?? between[1]];
  const t = seen.look.mode === "slices" ? null : found(safe, seen, inside);
  return t === null
    ? plane === null
      ? null
      : voxelAt(safe, seen.voxels, plane)
    : voxelAt(safe, seen.voxels, t);
}

function found(ray: Ray, seen: Seen, between: [number, number]): number | null {
  const pieces = seen.look.sampling === "voxels" ? crossed(ray, seen, between) : sampled(ray, seen, between);
  const { look } = seen;
  if (look.mode === "maximum") return strongest(pieces, look);
  if (look.mode === "iso") {
    for (const { t, value } of pieces) if (strength(look, value) >= look.iso) return t;
    return null;
  }
  return heaviest(pieces, look, Math.max(...seen.extent));
}

function strongest(pieces: Iterable<Piece>, look: FullLook): number | null {
  let [best, at]: [number, number | null] = [look.threshold, null];
  for (const { t, value } of pieces) {
    const own = strength(look, value);
    if (own > best) [best, at] = [own, t];
  }
  return at;
}

function heaviest(pieces: Iterable<Piece>, look: FullLook, longest: number): number | null {
  const extinction = extinctions(look, longest);
  let [best, at, light]: [number, number | null, number] = [0, null, 1];
  for (const { t, value, length } of pieces) {
    const passed = Math.exp(-extinction[Math.round(value * 255)] * length);
    if (light * (1 - passed) > best) [best, at] = [light * (1 - passed), t];
    light *= passed;
    if (light < 0.004) break;
  }
  return at;
}

/** Samples at equal distances, trilinear. */
function* sampled(ray: Ray, seen: Seen, [near, far]: [number, number]): Generator<Piece> {
  const { voxels, extent, look } = seen;
  const size: Triple = [voxels.width, voxels.height, voxels.channels];
  const stride = strideOf(extent, size, look.rate);
  const pace = stride / unitOf(ray, extent);
  const value = trilinear(voxels);
  for (let t = near + 0.5 * pace; t < far; t += pace)
    yield { t, value: value(pointOf(ray, t)), length: stride };
}

/** Every voxel on the ray with the length of the ray in it. */
function* crossed(ray: Ray, seen: Seen, [near, far]: [number, number]): Generator<Piece> {
  const { voxels, extent } = seen;
  const size = [voxels.width, voxels.height, voxels.channels];
  const share = shares(voxels);
  const unit = unitOf(ray, extent);
  let t = near;
  const cell = pointOf(ray, t).map((x, axis) => {
    const [least, most] = [
      Math.round(seen.low[axis] * size[axis]),
      Math.round(seen.high[axis] * size[axis]) - 1,
    ];
    return Math.max(least, Math.min(most, Math.floor(x * size[axis])));
  });
  while (t < far) {
    const leave = cell.map(
      (index, axis) => ((index + Number(ray.along[axis] > 0)) / size[axis] - ray.eye[axis]) / ray.along[axis],
    );
    const next = Math.min(...leave);
    const at = (cell[2] * voxels.height + cell[1]) * voxels.width + cell[0];
    const until = Math.min(next, far);
    yield { t: 0.5 * (t + until), value: share[voxels.data[at]], length: (until - t) * unit };
    const axis = leave.indexOf(next);
    cell[axis] += Math.sign(ray.along[axis]);
    if (cell[axis] < 0 || cell[axis] >= size[axis]) return;
    t = Math.max(t, next);
  }
}

const pointOf = ({ eye, along }: Ray, t: number): number[] => eye.map((x, axis) => x + t * along[axis]);

/** Scene units of a unit of `t`. */
const unitOf = ({ along }: Ray, extent: Triple): number =>
  Math.hypot(...along.map((x, axis) => x * extent[axis]));

/** The value at texture coordinates, as a texture with linear filter has it. */
function trilinear(voxels: SceneVoxels): (point: readonly number[]) => number {
  const { data, width, height, channels } = voxels;
  const share = openShares(voxels);
  const size = [width, height, channels];
  return (point) => {
    const at = point.map((x, axis) => Math.max(0, Math.min(size[axis] - 1, x * size[axis] - 0.5)));
    const low = at.map(Math.floor);
    const high = low.map((index, axis) => Math.min(size[axis] - 1, index + 1));
    const [fx, fy, fz] = at.map((x, axis) => x - low[axis]);
    const read = (x: number, y: number, z: number): number => share[data[(z * height + y) * width + x]];
    const line = (y: number, z: number): number => read(low[0], y, z) * (1 - fx) + read(high[0], y, z) * fx;
    const face = (z: number): number => line(low[1], z) * (1 - fy) + line(high[1], z) * fy;
    return clamped(face(low[2]) * (1 - fz) + face(high[2]) * fz);
  };
}

/** Where the ray meets the first slice plane, or null. */
function planeOf(ray: Ray, seen: Seen, [near, far]: [number, number]): number | null {
  const { voxels, slices } = seen;
  const places = [
    middle(slices.x, voxels.width),
    middle(slices.y, voxels.height),
    middle(slices.z, voxels.channels),
  ];
  const hits = places
    .map((place, axis) => (place < 0 ? Number.NaN : (place - ray.eye[axis]) / ray.along[axis]))
    .filter((t) => t >= near && t <= far);
  return hits.length ? Math.min(...hits) : null;
}

function voxelAt(ray: Ray, { channels, height, width }: SceneVoxels, t: number): Picked {
  const [x, y, z] = pointOf(ray, t);
  const index = (share: number, count: number): number =>
    Math.max(0, Math.min(count - 1, Math.floor(share * count)));
  return { channel: index(z, channels), row: index(y, height), column: index(x, width) };
}
