// Which points are where on the screen: loops over typed arrays, of which a million take some milliseconds.
import { DIM, HIDDEN } from "../lib/highlight";

/** Where points are (3N), how each is drawn (N), and how they come to a canvas of this size in CSS pixels. */
export interface Seen {
  readonly positions: Float32Array;
  readonly states: Uint8Array;
  /** Projection times view, column after column. */
  readonly matrix: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

/** Rows of the matrix that give x and y in pixels times w, and w: [ax, bx, cx, dx, ay, …, aw, …]. */
export function pixelRows({ matrix: m, width, height }: Seen): Float64Array {
  const rows = new Float64Array(12);
  for (let k = 0; k < 4; k++) {
    rows[k] = 0.5 * width * (m[4 * k] + m[4 * k + 3]);
    rows[4 + k] = 0.5 * height * (m[4 * k + 3] - m[4 * k + 1]);
    rows[8 + k] = m[4 * k + 3];
  }
  return rows;
}

/** Where point `i` comes to: x and y in pixels, and its depth; null behind the camera. */
export function placed(seen: Seen, i: number): { x: number; y: number; w: number } | null {
  const [ax, bx, cx, dx, ay, by, cy, dy, aw, bw, cw, dw] = pixelRows(seen);
  const [x, y, z] = seen.positions.subarray(3 * i, 3 * i + 3);
  const w = aw * x + bw * y + cw * z + dw;
  if (!(w > 0)) return null;
  return { x: (ax * x + bx * y + cx * z + dx) / w, y: (ay * x + by * y + cy * z + dy) / w, w };
}

/** The point nearest to (x, y), -1 if none is within `reach` pixels; of points at one place the nearest in depth. */
export function nearest(seen: Seen, x: number, y: number, reach: number): number {
  const { positions, states } = seen;
  const [ax, bx, cx, dx, ay, by, cy, dy, aw, bw, cw, dw] = pixelRows(seen);
  let best = -1;
  let least = reach * reach;
  let within = reach;
  for (let i = 0, at = 0; i < states.length; i++, at += 3) {
    if (states[i] === DIM || states[i] === HIDDEN) continue;
    const px = positions[at];
    const py = positions[at + 1];
    const pz = positions[at + 2];
    const w = aw * px + bw * py + cw * pz + dw;
    const across = ax * px + bx * py + cx * pz + dx - x * w;
    const limit = within * w;
    if (!(across <= limit && across >= -limit) || w <= 0) continue;
    const down = ay * px + by * py + cy * pz + dy - y * w;
    // Of points at about the same place the nearer one is on top.
    const distance = (across * across + down * down) / (w * w) + w;
    if (distance < least) {
      least = distance;
      within = Math.sqrt(least);
      best = i;
    }
  }
  return best;
}

/** Points with x0 <= x <= x1 and y0 <= y <= y1, in any order of the corners. */
export function inBox(seen: Seen, x0: number, y0: number, x1: number, y1: number): Int32Array {
  const [left, right, top, bottom] = [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)];
  return gathered(seen, left, right, top, bottom, () => true);
}

/** Points inside a polygon by the even-odd rule; `corners` are x, y, x, y … */
export function inPolygon(seen: Seen, corners: ArrayLike<number>): Int32Array {
  const polygon = edgesByRow(corners);
  if (!polygon) return new Int32Array();
  const { left, right, top, bottom, rows } = polygon;
  const first = Math.floor(top);
  return gathered(seen, left, right, top, bottom, (x, y) => {
    const edges = rows[Math.floor(y) - first];
    let inside = false;
    for (let k = 0; k < edges.length; k += 4) {
      // From y0 to y1, without y1: a corner belongs to one of its edges.
      if (y >= edges[k + 1] !== y >= edges[k + 3]) {
        const t = (y - edges[k + 1]) / (edges[k + 3] - edges[k + 1]);
        if (x < edges[k] + t * (edges[k + 2] - edges[k])) inside = !inside;
      }
    }
    return inside;
  });
}

interface Polygon {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** For each row of pixels the edges that touch it, as x0, y0, x1, y1. */
  readonly rows: number[][];
}

/** The edges of a polygon by the rows they touch: a point is compared with few of them. */
function edgesByRow(corners: ArrayLike<number>): Polygon | null {
  const count = corners.length >> 1;
  if (count < 3) return null;
  const [xs, ys] = [0, 1].map((odd) => Array.from({ length: count }, (_, k) => corners[2 * k + odd]));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  if (![left, right, top, bottom].every(Number.isFinite)) return null;
  const rows: number[][] = Array.from({ length: Math.floor(bottom) - Math.floor(top) + 1 }, () => []);
  for (let k = 0; k < count; k++) {
    const next = (k + 1) % count;
    const from = Math.floor(Math.min(ys[k], ys[next])) - Math.floor(top);
    const to = Math.floor(Math.max(ys[k], ys[next])) - Math.floor(top);
    for (let row = from; row <= to; row++) rows[row].push(xs[k], ys[k], xs[next], ys[next]);
  }
  return { left, right, top, bottom, rows };
}

/** Points that are not hidden, inside a box and for which `holds`, in their order. */
function gathered(
  seen: Seen,
  left: number,
  right: number,
  top: number,
  bottom: number,
  holds: (x: number, y: number) => boolean,
): Int32Array {
  const { positions, states } = seen;
  const [ax, bx, cx, dx, ay, by, cy, dy, aw, bw, cw, dw] = pixelRows(seen);
  const found = new Int32Array(states.length);
  let count = 0;
  for (let i = 0, at = 0; i < states.length; i++, at += 3) {
    const px = positions[at];
    const py = positions[at + 1];
    const pz = positions[at + 2];
    const w = aw * px + bw * py + cw * pz + dw;
    const x = (ax * px + bx * py + cx * pz + dx) / w;
    if (!(x >= left && x <= right) || w <= 0) continue;
    const y = (ay * px + by * py + cy * pz + dy) / w;
    if (y >= top && y <= bottom && states[i] !== HIDDEN && holds(x, y)) found[count++] = i;
  }
  return found.slice(0, count);
}
