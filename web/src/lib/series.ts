// A curve that grows: fetched once, then only what was added.
import type { NumberArray, Scalars } from "../source/source";

export type XAxis = "step" | "relative" | "wall";

export class GrowingSeries {
  length = 0;
  #step = new Float64Array(256);
  #wall = new Float64Array(256);
  #value = new Float64Array(256);

  append(points: Scalars): void {
    const added = points.value.length;
    this.#reserve(this.length + added);
    this.#step.set(points.step, this.length);
    this.#wall.set(points.wallTime, this.length);
    this.#value.set(points.value, this.length);
    this.length += added;
  }

  get step(): NumberArray {
    return this.#step.subarray(0, this.length);
  }

  get wallTime(): NumberArray {
    return this.#wall.subarray(0, this.length);
  }

  get value(): NumberArray {
    return this.#value.subarray(0, this.length);
  }

  /** The x values of an axis; relative time is in seconds since the first point. */
  x(axis: XAxis): NumberArray {
    if (axis === "step") return this.step;
    if (axis === "wall") return this.wallTime;
    const start = this.#wall[0];
    return this.wallTime.map((time) => time - start);
  }

  #reserve(length: number): void {
    if (length <= this.#value.length) return;
    const size = Math.max(length, 2 * this.#value.length);
    this.#step = grown(this.#step, size);
    this.#wall = grown(this.#wall, size);
    this.#value = grown(this.#value, size);
  }
}

function grown(array: Float64Array<ArrayBuffer>, size: number): Float64Array<ArrayBuffer> {
  const out = new Float64Array(size);
  out.set(array);
  return out;
}
