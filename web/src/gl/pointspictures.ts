// The thumbnails on screen at the size they need: all of them small enough to have room, the large ones in full.
import type { WebGLRenderer } from "three";
import { canvasCutter, type Thumbnails, ThumbStream } from "../lib/thumbstream";
import { Atlas, MOST_SHOWN, type SlotShape, slotShape } from "./pointsatlas";
import type { Uniforms } from "./pointsshader";

/** Added to the place of a picture that lies in the second texture. */
export const SECOND = 16384;
/** Sides of the textures: with their halvings at most 85 MB and 21 MB. */
const [FIRST_SIDE, SECOND_SIDE] = [4096, 2048];
/** Sharper than this many pixels no thumbnail is drawn. */
const SHARPEST = 256;
/** How many times larger than its slot a picture is drawn before it is fetched in full. */
const GROWN = 1.25;

/** Orders points whose pictures are missed by how urgent they are. */
type Order = (points: number[]) => Int32Array;

class Level {
  readonly atlas: Atlas;
  readonly #stream: ThumbStream;
  #missing: number[] = [];
  #asked = 0;
  #frame = 0;

  constructor(
    renderer: WebGLRenderer,
    thumbnails: Thumbnails,
    points: number,
    shape: SlotShape,
    changed: () => void,
  ) {
    this.atlas = new Atlas(renderer, points, shape);
    this.#stream = new ThumbStream(
      thumbnails,
      canvasCutter(thumbnails, shape.side),
      (point, slot) => this.atlas.put(point, slot, this.#frame),
      changed,
    );
  }

  begin(frame: number): void {
    this.#frame = frame;
    this.#asked = 0;
    this.#missing = [];
  }

  /** Where a picture lies, written into `box`; false, and it is missed, where it is not there. */
  find(point: number, box: Uint16Array, at: number): boolean {
    if (this.#asked++ >= this.atlas.capacity) return false;
    const found = this.atlas.find(point, this.#frame, box, at);
    if (!found && this.#stream.has(point)) this.#missing.push(point);
    return found;
  }

  want(order: Order): void {
    this.#stream.want(order(this.#missing));
  }

  dispose(): void {
    this.#stream.stop();
    this.atlas.dispose();
  }
}

export class Pictures {
  readonly #first: Level;
  readonly #second: Level | undefined;
  readonly #side: number;

  constructor(
    renderer: WebGLRenderer,
    thumbnails: Thumbnails,
    points: number,
    uniforms: Uniforms,
    changed: () => void,
  ) {
    const tile = Math.max(...thumbnails.sheet.tile);
    const limit = renderer.capabilities.maxTextureSize;
    const level = (shape: SlotShape): Level => new Level(renderer, thumbnails, points, shape, changed);
    const shape = slotShape(points, tile, Math.min(FIRST_SIDE, limit));
    this.#first = level(shape);
    this.#side = shape.side;
    const full = slotShape(1, Math.min(tile, SHARPEST), limit).side;
    if (full > shape.side) {
      const columns = Math.floor(Math.min(SECOND_SIDE, limit) / full);
      this.#second = level({ side: full, columns });
    }
    uniforms.atlas.value = this.#first.atlas.texture;
    uniforms.full.value = this.#second?.atlas.texture ?? this.#first.atlas.texture;
    uniforms.sides.value.set(this.#first.atlas.side, this.#second?.atlas.side ?? 1);
  }

  /** How many can be shown at a time. */
  get most(): number {
    return Math.min(MOST_SHOWN, this.#first.atlas.capacity);
  }

  begin(frame: number): void {
    this.#first.begin(frame);
    this.#second?.begin(frame);
  }

  /** Where the picture of a point that is drawn `pixels` large lies, written into `box`; false if it is not there. */
  find(point: number, pixels: number, box: Uint16Array, at: number): boolean {
    const small = this.#first.find(point, box, at);
    if (this.#second && pixels > GROWN * this.#side && this.#second.find(point, box, at)) {
      box[at] += SECOND;
      return true;
    }
    return small;
  }

  /** Fetch what was missed since `begin`. */
  want(order: Order): void {
    this.#first.want(order);
    this.#second?.want(order);
  }

  /** After a lost context. */
  reset(): void {
    this.#first.atlas.reset();
    this.#second?.atlas.reset();
  }

  dispose(): void {
    this.#first.dispose();
    this.#second?.dispose();
  }
}
