// Where the box and the rays are: edges of the box, steps along a ray, clipping; texture coordinates run 0 to 1.
import type { Clip, SceneVoxels } from "./volumetypes";

export type Triple = readonly [number, number, number];

/** A ray in texture coordinates (x right, y down, z away): points are `eye + t · along`. */
export interface Ray {
  readonly eye: Triple;
  readonly along: Triple;
}

/** The longest edge of the box in scene units. */
const LONGEST = 1.15;
/** Without a spacing, depth of the stack relative to the longer side of a map. */
const DEPTHS = [0.55, 1.5] as const;
const MOST_STEPS = 4000;

/** Edges of the box (columns, rows, channels) in scene units. */
export function extentOf({ channels, height, width, spacing }: Omit<SceneVoxels, "data">): Triple {
  const side = Math.max(height, width);
  const depth = Math.max(DEPTHS[0], Math.min(DEPTHS[1], channels / side)) * side;
  const edges: Triple = spacing
    ? [width * spacing[2], height * spacing[1], channels * spacing[0]]
    : [width, height, depth];
  const scale = LONGEST / Math.max(...edges);
  return [edges[0] * scale, edges[1] * scale, edges[2] * scale];
}

/** Scene units between two samples: `rate` of them an edge of a voxel, the shortest. */
export function strideOf(extent: Triple, size: Triple, rate: number): number {
  const edge = Math.min(...extent.map((length, axis) => length / size[axis]));
  return Math.max(edge / rate, Math.hypot(...extent) / MOST_STEPS);
}

/** Both corners of what a clip leaves, in texture coordinates. */
export function cornersOf(clip: Clip | null, size: Triple): [Triple, Triple] {
  if (!clip)
    return [
      [0, 0, 0],
      [1, 1, 1],
    ];
  const bound = (edge: number, axis: number): number => Math.max(0, Math.min(size[axis], edge)) / size[axis];
  const low = [0, 1, 2].map((axis) => bound(Math.min(clip[2 * axis], clip[2 * axis + 1]), axis));
  const high = [0, 1, 2].map((axis) => bound(Math.max(clip[2 * axis], clip[2 * axis + 1]), axis));
  return [low as unknown as Triple, high as unknown as Triple];
}

/** Where a ray is between two corners: from and to `t`, or null. */
export function crossing({ eye, along }: Ray, low: Triple, high: Triple): [number, number] | null {
  let [near, far] = [0, Number.POSITIVE_INFINITY];
  for (let axis = 0; axis < 3; axis++) {
    const a = (low[axis] - eye[axis]) / along[axis];
    const b = (high[axis] - eye[axis]) / along[axis];
    near = Math.max(near, Math.min(a, b));
    far = Math.min(far, Math.max(a, b));
  }
  return near < far ? [near, far] : null;
}

/** Middle of voxel `index` of `count`, in texture coordinates; -1 for none. */
export function middle(index: number | undefined, count: number): number {
  return index === undefined || index < 0 || index >= count ? -1 : (Math.floor(index) + 0.5) / count;
}

/** A round step of ticks for `count` voxels: 1, 2 or 5 times a power of ten, at most `most` of them. */
export function tickStep(count: number, most: number): number {
  const raw = count / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw) ?? 10 * power;
}
