// A texture of bounded size for the thumbnails on screen: slots, of which the longest unseen are used anew.
import { ExternalTexture, type WebGLRenderer } from "three";
import type { Slot } from "../lib/thumbstream";

/** Thumbnails that are shown at a time. */
export const MOST_SHOWN = 6000;
/** The picture, and its halvings for when it is drawn small. */
const LEVELS = 3;
/** The least side by which all levels are whole. */
const UNIT = 8;

/** Side of a slot in pixels, and how many lie in a row and a column of the texture. */
export interface SlotShape {
  readonly side: number;
  readonly columns: number;
}

/** Slots for `count` pictures of at most `tile` pixels, in a texture of at most `limit` pixels. */
export function slotShape(count: number, tile: number, limit = 4096): SlotShape {
  const needed = Math.max(1, Math.ceil(Math.sqrt(Math.min(count, MOST_SHOWN))));
  const most = Math.max(UNIT, Math.floor(limit / needed / UNIT) * UNIT);
  const side = Math.min(Math.ceil(tile / UNIT) * UNIT, most);
  return { side, columns: Math.min(needed, Math.floor(limit / side)) };
}

/** Which slot holds which point's picture. */
export class Slots {
  /** Slot of each point plus one, 0 for none. */
  readonly #slot: Uint16Array;
  readonly #owner: Int32Array;
  /** When each slot was last seen. */
  readonly #seen: Float64Array;
  #hand = 0;

  constructor(
    points: number,
    readonly capacity: number,
  ) {
    this.#slot = new Uint16Array(points);
    this.#owner = new Int32Array(capacity).fill(-1);
    this.#seen = new Float64Array(capacity).fill(-1);
  }

  /** The slot of a point, -1 for none; asking keeps it for this frame. */
  of(point: number, frame: number): number {
    const slot = this.#slot[point] - 1;
    if (slot >= 0) this.#seen[slot] = frame;
    return slot;
  }

  /** A slot for a point: an empty one, else one that this frame does not show; -1 if all are shown. */
  claim(point: number, frame: number): number {
    for (let tries = 0; tries < this.capacity; tries++) {
      const slot = this.#hand;
      this.#hand = (this.#hand + 1) % this.capacity;
      if (this.#seen[slot] >= frame) continue;
      const before = this.#owner[slot];
      if (before >= 0) this.#slot[before] = 0;
      this.#owner[slot] = point;
      this.#slot[point] = slot + 1;
      this.#seen[slot] = frame;
      return slot;
    }
    return -1;
  }

  clear(): void {
    this.#slot.fill(0);
    this.#owner.fill(-1);
    this.#seen.fill(-1);
    this.#hand = 0;
  }
}

export class Atlas {
  readonly texture = new ExternalTexture();
  readonly side: number;
  readonly #slots: Slots;
  /** Of each slot: where its picture lies in the texture. */
  readonly #boxes: Uint16Array;
  readonly #renderer: WebGLRenderer;
  readonly #shape: SlotShape;

  constructor(renderer: WebGLRenderer, points: number, shape: SlotShape) {
    this.#renderer = renderer;
    this.#shape = shape;
    this.side = shape.side * shape.columns;
    this.#slots = new Slots(points, shape.columns ** 2);
    this.#boxes = new Uint16Array(4 * this.#slots.capacity);
    this.reset();
  }

  get capacity(): number {
    return this.#slots.capacity;
  }

  /** Where the picture of a point lies in the texture, written into `box`; false if it is not there. */
  find(point: number, frame: number, box: Uint16Array, at: number): boolean {
    const slot = this.#slots.of(point, frame);
    if (slot < 0) return false;
    for (let k = 0; k < 4; k++) box[at + k] = this.#boxes[4 * slot + k];
    return true;
  }

  put(point: number, { pixels, box }: Slot, frame: number): void {
    const slot = this.#slots.claim(point, frame);
    if (slot < 0) return;
    const { side, columns } = this.#shape;
    const [x, y] = [(slot % columns) * side, Math.floor(slot / columns) * side];
    this.#boxes.set([x + box[0], y + box[1], box[2], box[3]], 4 * slot);
    const gl = this.#renderer.getContext() as WebGL2RenderingContext;
    this.#bind(gl);
    let level = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
    for (let k = 0; k < LEVELS; k++) {
      if (k) level = halved(level, side >> (k - 1));
      const length = side >> k;
      gl.texSubImage2D(gl.TEXTURE_2D, k, x >> k, y >> k, length, length, gl.RGBA, gl.UNSIGNED_BYTE, level);
    }
  }

  /** An empty texture: at first, and after the context was lost with all that was in it. */
  reset(): void {
    const gl = this.#renderer.getContext() as WebGL2RenderingContext;
    this.#slots.clear();
    this.texture.sourceTexture = gl.createTexture();
    this.#bind(gl);
    gl.texStorage2D(gl.TEXTURE_2D, LEVELS, gl.RGBA8, this.side, this.side);
    for (const [name, value] of [
      [gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR],
      [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
    ])
      gl.texParameteri(gl.TEXTURE_2D, name, value);
  }

  dispose(): void {
    const gl = this.#renderer.getContext();
    gl.deleteTexture(this.texture.sourceTexture as WebGLTexture | null);
    this.texture.dispose();
  }

  #bind(gl: WebGL2RenderingContext): void {
    this.#renderer.state.bindTexture(gl.TEXTURE_2D, this.texture.sourceTexture as WebGLTexture);
  }
}

/** Half the side: each pixel the mean of four. */
function halved(pixels: Uint8Array, side: number): Uint8Array<ArrayBuffer> {
  const half = side >> 1;
  const out = new Uint8Array(4 * half * half);
  for (let y = 0; y < half; y++)
    for (let x = 0; x < half; x++) {
      const from = 8 * (y * side + x);
      const to = 4 * (y * half + x);
      for (let c = 0; c < 4; c++) {
        const [a, b] = [from + c, from + 4 * side + c];
        out[to + c] = (pixels[a] + pixels[a + 4] + pixels[b] + pixels[b + 4] + 2) >> 2;
      }
    }
  return out;
}
