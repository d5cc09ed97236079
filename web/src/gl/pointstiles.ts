// The points that show their picture or stand out: which, where and how large, and the rectangles they are drawn as.
import { BufferAttribute, BufferGeometry, DynamicDrawUsage } from "three";
import { DIM, HIDDEN, STRONG } from "../lib/highlight";
import { MOST_SHOWN } from "./pointsatlas";
import type { Seen } from "./pointspick";

/** State of the chosen point in a look. */
const CHOSEN = 5;
/** A thumbnail is drawn at most this large, in CSS pixels. */
const LARGEST = 320;

/** What decides how large points are drawn, in pixels of the canvas. */
export interface Sizing {
  /** Pixels of a unit at distance one. */
  readonly scale: number;
  /** Distance between points, in units of the scene, were they spread evenly. */
  readonly size: number;
  /** Pixels of the canvas a CSS pixel. */
  readonly ratio: number;
  /** Diameter of the smallest dot in CSS pixels. */
  readonly smallest: number;
  /** Size from which a point shows its picture, negative for never. */
  readonly threshold: number;
  /** The least size of a picture. */
  readonly least: number;
  readonly chosen: number;
}

/** Size and share of the picture (0 a dot, 1 a thumbnail) of a point at depth `w`. */
export function shapeOf(
  sizing: Sizing,
  w: number,
  strong: boolean,
  picked: boolean,
  tile: boolean,
): [number, number] {
  const { scale, size, ratio, smallest, threshold, least } = sizing;
  const near = Math.min((size * scale) / w, LARGEST * ratio);
  const dot = Math.max(smallest * ratio, Math.min(11 * ratio, near * 0.34)) * (strong ? 1.5 : 1);
  const large = Math.max(near, strong ? Math.max(least, 26 * ratio) : least);
  const shown = !tile || threshold < 0 ? 0 : strong ? 1 : smoothstep(threshold, near + least);
  return [(dot + (large - dot) * shown) * (picked ? 1.5 : 1), shown];
}

function smoothstep(threshold: number, value: number): number {
  const t = Math.max(0, Math.min(1, (value / threshold - 0.82) / 0.33));
  return t * t * (3 - 2 * t);
}

/** The same for a point at every frame, spread evenly over 0 to 255. */
const lot = (i: number): number => Math.imul(i + 1, 2654435761) >>> 24;

/** Points on screen that show their picture, at most `most`: all that stand out, and of the others a fixed choice. */
export function shownOf(
  seen: Seen,
  sizing: Sizing,
  strong: Int32Array,
  tiles: boolean,
  most: number,
): Int32Array {
  if (!tiles || sizing.threshold < 0) return onScreen(seen, sizing, strong).subarray(0, most);
  const all = onScreen(seen, sizing, null);
  if (all.length <= most) return all;
  const counts = new Uint32Array(256);
  const stands = (i: number): boolean => seen.states[i] === STRONG || i === sizing.chosen;
  let left = most;
  for (const i of all) {
    if (stands(i)) left--;
    else counts[lot(i)]++;
  }
  let limit = 0;
  while (limit < 256 && left >= counts[limit]) left -= counts[limit++];
  return all.filter((i) => stands(i) || lot(i) < limit).subarray(0, most);
}

/** Points on screen, of all or of the given ones, that are large enough to show a picture or stand out. */
function onScreen(
  { positions, states, matrix: m, width, height }: Seen,
  sizing: Sizing,
  of: Int32Array | null,
) {
  const { scale, size, ratio, threshold, least, chosen } = sizing;
  const count = of ? of.length : states.length;
  const found = new Int32Array(count);
  let n = 0;
  for (let k = 0; k < count; k++) {
    const i = of ? of[k] : k;
    const state = states[i];
    if (state === HIDDEN || (state === DIM && i !== chosen)) continue;
    const [x, y, z] = [positions[3 * i], positions[3 * i + 1], positions[3 * i + 2]];
    const w = m[3] * x + m[7] * y + m[11] * z + m[15];
    if (!(w > 0)) continue;
    const near = Math.min((size * scale) / w, LARGEST * ratio);
    const stands = state === STRONG || i === chosen;
    if (!stands && near + least <= threshold * 0.82) continue;
    const half = (0.75 * Math.max(near, least, 26 * ratio)) / ratio;
    const across = Math.abs(m[0] * x + m[4] * y + m[8] * z + m[12]);
    const down = Math.abs(m[1] * x + m[5] * y + m[9] * z + m[13]);
    if (across > w * (1 + (2 * half) / width) || down > w * (1 + (2 * half) / height)) continue;
    found[n++] = i;
  }
  return found.subarray(0, n);
}

/** Rectangles in the order of their points; four corners each, since instances are slow in software. */
export class Tiles {
  readonly geometry = new BufferGeometry();
  /** Points drawn, and their places: x and y in CSS pixels, depth, half width and half height. */
  points = new Int32Array();
  readonly spots = new Float32Array(5 * MOST_SHOWN);
  readonly #place = new Float32Array(16 * MOST_SHOWN);
  readonly #look = new Uint8Array(16 * MOST_SHOWN);
  readonly #box = new Uint16Array(16 * MOST_SHOWN);
  readonly #shape = new Float32Array(8 * MOST_SHOWN);
  #count = 0;

  constructor() {
    const index = new Uint16Array(6 * MOST_SHOWN);
    for (let k = 0; k < MOST_SHOWN; k++)
      [0, 1, 2, 2, 1, 3].forEach((corner, j) => {
        index[6 * k + j] = 4 * k + corner;
      });
    this.geometry.setIndex(new BufferAttribute(index, 1));
    this.#attribute("place", new BufferAttribute(this.#place, 4));
    this.#attribute("look", new BufferAttribute(this.#look, 4, true));
    this.#attribute("box", new BufferAttribute(this.#box, 4));
    this.#attribute("shape", new BufferAttribute(this.#shape, 2));
    this.geometry.setDrawRange(0, 0);
  }

  /**
   * Rectangles for the given points; `find` writes where a picture that is to be so many pixels large lies in the
   * atlas, or says that it is not there.
   */
  fill(
    seen: Seen,
    sizing: Sizing,
    points: Int32Array,
    look: Uint8Array,
    find: (point: number, pixels: number, box: Uint16Array, at: number) => boolean,
  ): void {
    const m = seen.matrix;
    const p = seen.positions;
    this.#count = 0;
    const drawn = new Int32Array(points.length);
    for (const i of points) {
      const k = this.#count;
      const picked = i === sizing.chosen;
      const stands = seen.states[i] === STRONG || picked;
      const w = m[3] * p[3 * i] + m[7] * p[3 * i + 1] + m[11] * p[3 * i + 2] + m[15];
      const [pixels] = shapeOf(sizing, w, stands, picked, true);
      const tile = find(i, pixels, this.#box, 16 * k);
      if (!tile && !stands) continue;
      this.#one(seen, sizing, i, tile, look);
      drawn[k] = i;
    }
    this.points = drawn.subarray(0, this.#count);
    this.geometry.setDrawRange(0, 6 * this.#count);
    for (const name of ["place", "look", "box", "shape"]) {
      const attribute = this.geometry.getAttribute(name) as BufferAttribute;
      attribute.clearUpdateRanges();
      attribute.addUpdateRange(0, 4 * this.#count * attribute.itemSize);
      attribute.needsUpdate = true;
    }
  }

  /** The topmost rectangle at (x, y) CSS pixels, -1 if there is none. */
  at(x: number, y: number): number {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < this.#count; k++) {
      const [cx, cy, depth, across, down] = this.spots.subarray(5 * k, 5 * k + 5);
      if (Math.abs(x - cx) > across || Math.abs(y - cy) > down || depth > least) continue;
      least = depth;
      best = this.points[k];
    }
    return best;
  }

  #attribute(name: string, attribute: BufferAttribute): void {
    attribute.setUsage(DynamicDrawUsage);
    this.geometry.setAttribute(name, attribute);
  }

  /** Rectangle `k`; plain loops: thousands are written for each picture. */
  #one(
    { positions: p, states, matrix: m, width, height }: Seen,
    sizing: Sizing,
    i: number,
    tile: boolean,
    look: Uint8Array,
  ) {
    const k = this.#count++;
    const [place, box, shape, at] = [this.#place, this.#box, this.#shape, 16 * k];
    for (let row = 0; row < 4; row++)
      place[at + row] =
        m[row] * p[3 * i] + m[4 + row] * p[3 * i + 1] + m[8 + row] * p[3 * i + 2] + m[12 + row];
    const w = place[at + 3];
    const picked = i === sizing.chosen;
    const strong = states[i] === STRONG || picked;
    const [pixels, shown] = shapeOf(sizing, w, strong, picked, tile);
    // In front of its own dot, and what stands out in front of all others.
    place[at + 2] -= (picked ? 0.02 : strong ? 0.01 : 2e-5) * w;
    if (!tile) box.fill(0, at, at + 4);
    for (let c = 0; c < 3; c++) this.#look[at + c] = look[4 * i + c];
    this.#look[at + 3] = picked ? CHOSEN : states[i];
    for (const one of [place, this.#look, box])
      for (let corner = 4; corner < 16; corner += 4) one.copyWithin(at + corner, at, at + 4);
    for (let corner = 0; corner < 8; corner += 2) {
      shape[8 * k + corner] = pixels;
      shape[8 * k + corner + 1] = shown;
    }
    const longest = Math.max(box[at + 2], box[at + 3], 1);
    const half = pixels / sizing.ratio / 2;
    const { spots } = this;
    spots[5 * k] = (place[at] / w + 1) * 0.5 * width;
    spots[5 * k + 1] = (1 - place[at + 1] / w) * 0.5 * height;
    spots[5 * k + 2] = place[at + 2] / w;
    for (const side of [0, 1])
      spots[5 * k + 3 + side] = half * (1 + (box[at + 2 + side] / longest - 1) * shown);
  }
}
