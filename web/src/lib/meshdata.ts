// A mesh or cloud of points as it can be drawn: what is not finite or points nowhere is left out and counted.
import type { Tensors } from "../source/source";
import { count, number, plural } from "./format";

export interface Box {
  readonly low: readonly [number, number, number];
  readonly high: readonly [number, number, number];
}

export interface MeshData {
  /** Three numbers a vertex; those that are not finite stand at the origin and are in no list below. */
  readonly positions: Float32Array;
  /** Three numbers a triangle. */
  readonly triangles: Uint32Array;
  /** The vertices that can be drawn. */
  readonly points: Uint32Array;
  /** Linear light, three numbers a vertex; undefined where no colours were logged. */
  readonly colours: Float32Array | undefined;
  /** Of the vertices that can be drawn; undefined if there are none. */
  readonly box: Box | undefined;
  /** Vertices that are not finite. */
  readonly lost: number;
  /** Triangles of vertices that do not exist or are not finite. */
  readonly broken: number;
}

/** What the answer to {@link Source.mesh} holds. */
export function meshOf({ vertices, faces, colours }: Tensors): MeshData {
  const positions = Float32Array.from(vertices.data);
  const total = Math.floor(positions.length / 3);
  const fine = new Uint8Array(total);
  for (let i = 0; i < total; i++) {
    const at = 3 * i;
    fine[i] = Number.isFinite(positions[at] + positions[at + 1] + positions[at + 2]) ? 1 : 0;
    if (!fine[i]) positions.fill(0, at, at + 3);
  }
  const points = Uint32Array.from(fine.keys()).filter((i) => fine[i]);
  const triangles = wholeTriangles(faces.data, fine);
  return {
    positions,
    triangles,
    points,
    colours: colours.data.length === positions.length && total ? linear(colours.data) : undefined,
    box: boxOf(positions, points),
    lost: total - points.length,
    broken: (faces.data.length - triangles.length) / 3,
  };
}

function wholeTriangles(faces: ArrayLike<number>, fine: Uint8Array): Uint32Array {
  const kept = new Uint32Array(faces.length);
  let length = 0;
  for (let at = 0; at + 2 < faces.length; at += 3) {
    // A number that is no vertex finds nothing in the list.
    if (!(fine[faces[at]] && fine[faces[at + 1]] && fine[faces[at + 2]])) continue;
    for (let k = 0; k < 3; k++) kept[length++] = faces[at + k];
  }
  return kept.subarray(0, length);
}

/** sRGB bytes as linear light, in which shaders count (IEC 61966-2-1). */
function linear(bytes: ArrayLike<number>): Float32Array {
  const table = Float32Array.from({ length: 256 }, (_, byte) => {
    const share = byte / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return Float32Array.from(bytes, (byte) => table[byte]);
}

function boxOf(positions: Float32Array, points: Uint32Array): Box | undefined {
  if (!points.length) return undefined;
  const low: [number, number, number] = [Infinity, Infinity, Infinity];
  const high: [number, number, number] = [-Infinity, -Infinity, -Infinity];
  for (const point of points)
    for (let axis = 0; axis < 3; axis++) {
      const value = positions[3 * point + axis];
      if (value < low[axis]) low[axis] = value;
      if (value > high[axis]) high[axis] = value;
    }
  return { low, high };
}

/** The box around both. */
export function joinedBox(a: Box | undefined, b: Box | undefined): Box | undefined {
  if (!a || !b) return a ?? b;
  const each = (pick: (...values: number[]) => number, end: "low" | "high"): [number, number, number] => [
    pick(a[end][0], b[end][0]),
    pick(a[end][1], b[end][1]),
    pick(a[end][2], b[end][2]),
  ];
  return { low: each(Math.min, "low"), high: each(Math.max, "high") };
}

/** Where a box has its middle, and what makes half its diagonal 1. */
export function placeOfBox(box: Box | undefined): { centre: [number, number, number]; scale: number } {
  if (!box) return { centre: [0, 0, 0], scale: 1 };
  const [x, y, z] = box.low.map((low, axis) => (low + box.high[axis]) / 2);
  const half = Math.hypot(...box.low.map((low, axis) => box.high[axis] - low)) / 2;
  return { centre: [x, y, z], scale: half > 0 && Number.isFinite(half) ? 1 / half : 1 };
}

/** "1,000 vertices · 1,996 triangles · colours". */
export function meshSummary({ positions, triangles, colours, lost, broken }: MeshData): string {
  const parts = [plural(positions.length / 3, "vertex", "vertices")];
  parts.push(triangles.length ? plural(triangles.length / 3, "triangle") : "no triangles: a cloud of points");
  if (colours) parts.push("colours");
  if (lost) parts.push(`${count(lost)} not finite, left out`);
  if (broken) parts.push(`${plural(broken, "triangle")} of missing vertices left out`);
  return parts.join(" · ");
}

/** The extent along each axis, as rows of a table. */
export const extents = (box: Box | undefined): string[][] =>
  box ? ["x", "y", "z"].map((axis, i) => [axis, number(box.low[i]), number(box.high[i])]) : [];
