// All points as dots in one call: round where they are large enough to have a shape, fewer while they move slowly.
import { BufferAttribute, BufferGeometry, DoubleSide, GLSL3, Points, RawShaderMaterial } from "three";
import { DOT_VERTEX, ROUND_FRAGMENT, SMALL_FRAGMENT, type Uniforms } from "./pointsshader";
import type { Sizing } from "./pointstiles";
import { whenDrawn } from "./volumepace";

/** Milliseconds of graphics for a frame while something moves. */
const MOVING_MS = 45;
/** What fewer points cost need not be known. */
const FEW = 50_000;
/** Dots larger than this have a shape, in CSS pixels. */
const SHAPED = 2.5;

export const material = (
  uniforms: Uniforms,
  vertexShader: string,
  fragmentShader: string,
  transparent: boolean,
): RawShaderMaterial =>
  new RawShaderMaterial({
    ...{ glslVersion: GLSL3, vertexShader, fragmentShader, transparent, uniforms },
    side: DoubleSide,
  });

export class Dots {
  readonly object: Points;
  readonly #geometry = new BufferGeometry();
  readonly #round: RawShaderMaterial;
  readonly #small: RawShaderMaterial;
  readonly #count: number;
  /** Milliseconds of graphics a dot, learnt from frames. */
  #price = 0;
  #stride = 1;
  #stopWaiting: (() => void) | undefined;

  /** `look` holds red, green, blue and state of each point. */
  constructor(positions: Float32Array, look: Uint8Array, uniforms: Uniforms) {
    this.#count = look.length / 4;
    this.#geometry.setAttribute("position", new BufferAttribute(positions, 3));
    this.#geometry.setAttribute("look", new BufferAttribute(look, 4, true));
    this.#round = material(uniforms, DOT_VERTEX, ROUND_FRAGMENT, true);
    this.#small = material(uniforms, DOT_VERTEX, SMALL_FRAGMENT, false);
    this.object = new Points(this.#geometry, this.#round);
  }

  /** Whether some points are left out of the picture. */
  get thinned(): boolean {
    return this.#stride > 1;
  }

  changed(attribute: "position" | "look"): void {
    this.#geometry.getAttribute(attribute).needsUpdate = true;
  }

  /** Get ready for a picture in which the nearest points are `depth` away. */
  prepare({ scale, size, ratio, smallest }: Sizing, depth: number, moving: boolean): void {
    const largest = Math.max(smallest, (0.34 * size * scale) / depth / ratio);
    this.object.material = largest <= SHAPED ? this.#small : this.#round;
    const wanted = moving ? (this.#count * this.#price) / MOVING_MS : 1;
    const stride = 2 ** Math.max(0, Math.ceil(Math.log2(wanted)));
    if (stride === this.#stride) return;
    this.#stride = stride;
    this.#geometry.setIndex(stride === 1 ? null : new BufferAttribute(every(stride, this.#count), 1));
  }

  /** To be called after a picture was given to the graphics: learns what a dot costs. */
  drawn(gl: WebGL2RenderingContext): void {
    if (!this.object.visible || this.thinned || this.#count < FEW || this.#stopWaiting || gl.isContextLost())
      return;
    this.#stopWaiting = whenDrawn(gl, (ms) => {
      this.#stopWaiting = undefined;
      this.#price = ms / this.#count;
    });
  }

  dispose(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = () => undefined; // nothing is to be learnt any more
    for (const one of [this.#geometry, this.#round, this.#small]) one.dispose();
  }
}

/** Every `stride`th point. */
function every(stride: number, count: number): Uint32Array {
  const index = new Uint32Array(Math.ceil(count / stride));
  for (let k = 0; k < index.length; k++) index[k] = k * stride;
  return index;
}
