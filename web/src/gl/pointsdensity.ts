// How many points lie in each pixel, and their mean colour: a picture of more points than a screen has room for.
import { DIM, HIDDEN } from "../lib/highlight";
import { pixelRows, type Seen } from "./pointspick";

/** A pixel with one point keeps this share of its colour; the densest has all of it. */
const FAINTEST = 0.45;
/** Pixels that hold only dimmed points. */
const DIMMED = 0.18;

export class Density {
  /** Of each cell: number of points, and sums of their red, green and blue; together, to be near in memory. */
  #cells = new Uint32Array();
  #dim = new Uint8Array();
  pixels = new Uint8Array();
  width = 0;
  height = 0;
  /** Points in the densest cell. */
  most = 0;

  /** Count the points of each cell of `grain` pixels; `look` holds their colours and states (4N). */
  draw(seen: Seen, look: Uint8Array, background: readonly number[], grain = 1): void {
    this.#fit(Math.max(1, Math.ceil(seen.width / grain)), Math.max(1, Math.ceil(seen.height / grain)));
    this.#bin(seen, look, grain);
    this.#paint(background);
  }

  #fit(width: number, height: number): void {
    if (width !== this.width || height !== this.height) {
      [this.width, this.height] = [width, height];
      this.#cells = new Uint32Array(4 * width * height);
      this.#dim = new Uint8Array(width * height);
      this.pixels = new Uint8Array(4 * width * height);
    } else for (const one of [this.#cells, this.#dim]) one.fill(0);
  }

  #bin(seen: Seen, look: Uint8Array, grain: number): void {
    const { positions, states } = seen;
    const { width, height } = this;
    const [cells, dim] = [this.#cells, this.#dim];
    const [ax, bx, cx, dx, ay, by, cy, dy, aw, bw, cw, dw] = pixelRows(seen);
    for (let i = 0, at = 0; i < states.length; i++, at += 3) {
      const px = positions[at];
      const py = positions[at + 1];
      const pz = positions[at + 2];
      const inverse = 1 / (grain * (aw * px + bw * py + cw * pz + dw));
      const x = (ax * px + bx * py + cx * pz + dx) * inverse;
      const y = (ay * px + by * py + cy * pz + dy) * inverse;
      if (!(x >= 0 && y >= 0 && x < width && y < height) || inverse <= 0) continue;
      const to = (y | 0) * width + (x | 0);
      if (states[i] === DIM) dim[to] = 1;
      else if (states[i] !== HIDDEN) {
        cells[4 * to]++;
        cells[4 * to + 1] += look[4 * i];
        cells[4 * to + 2] += look[4 * i + 1];
        cells[4 * to + 3] += look[4 * i + 2];
      }
    }
  }

  /** The logarithm of the count is the share of the colour over the background. */
  #paint([r, g, b]: readonly number[]): void {
    const cells = this.#cells;
    let most = 0;
    for (let k = 0; k < cells.length; k += 4) if (cells[k] > most) most = cells[k];
    this.most = most;
    const share = sharesOf(most);
    const out = new Uint32Array(this.pixels.buffer);
    const empty = packed(r, g, b);
    const dimmed = packed(...([r, g, b].map((c) => c + DIMMED * (128 - c)) as Rgb));
    for (let k = 0; k < out.length; k++) {
      const n = cells[4 * k];
      if (n) {
        const part = n < share.length ? share[n] : share[share.length - 1];
        const [rest, each] = [1 - part, part / n];
        out[k] = packed(
          rest * r + each * cells[4 * k + 1] + 0.5,
          rest * g + each * cells[4 * k + 2] + 0.5,
          rest * b + each * cells[4 * k + 3] + 0.5,
        );
      } else out[k] = this.#dim[k] ? dimmed : empty;
    }
  }
}

type Rgb = [number, number, number];

/** Opaque pixel as a little-endian machine stores it. */
const packed = (r: number, g: number, b: number): number => (r | (g << 8) | (b << 16) | 0xff000000) >>> 0;

/** Share of the colour for 0, 1, 2 … points in a cell, of which the fullest has `most`; the last is that of all more. */
export function sharesOf(most: number): Float32Array {
  const range = most > 1 ? (1 - FAINTEST) / Math.log(most) : 0;
  const base = most > 1 ? FAINTEST : 1;
  return Float32Array.from({ length: Math.min(most, 65535) + 1 }, (_, n) =>
    n ? Math.min(1, base + range * Math.log(n)) : 0,
  );
}
