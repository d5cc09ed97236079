// Points of an embedding: dots far away, thumbnails near, a ring in the colour of the class.
import {
  BufferAttribute,
  BufferGeometry,
  CanvasTexture,
  GLSL3,
  LinearFilter,
  LinearMipmapLinearFilter,
  Points,
  RawShaderMaterial,
  Scene,
  Vector3,
} from "three";
import type { Atlas } from "../lib/atlas";
import { DIM } from "../lib/highlight";
import { Orbit } from "./orbit";
import { Stage } from "./stage";

export type Detail = "dots" | "auto" | "thumbnails";
/** A lone point farther out than this does not make all others small. */
const FARTHEST = 1.6;
const VERTEX = `
precision highp float;
uniform mat4 modelViewMatrix, projectionMatrix;
uniform float scale, size, threshold, least, columns, ratio, chosen;
uniform vec3 accent;
in vec3 position;
in vec3 colour;
in float state;
out vec3 ring;
out vec2 tile;
out float thumbnail, fade, pixels;
void main() {
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  float near = size * scale / gl_Position.w;
  bool picked = float(gl_VertexID) == chosen;
  bool strong = (state > 1.5 && state < 2.5) || picked;
  float dot = clamp(near * 0.34, 4.5 * ratio, 11.0 * ratio);
  float large = max(near, (strong ? max(least, 26.0 * ratio) : least));
  thumbnail = threshold < 0.0 ? 0.0 : strong ? 1.0 : smoothstep(threshold * 0.82, threshold * 1.15, near + least);
  float dim = state > 0.5 && state < 1.5 && !picked ? 1.0 : 0.0;
  thumbnail *= 1.0 - dim;
  fade = picked ? 0.0 : state > 2.5 ? 0.7 : dim * 0.72;
  pixels = mix(dot * (strong ? 1.5 : 1.0), large, thumbnail) * (picked ? 1.5 : 1.0);
  if (dim > 0.5) pixels = 3.5 * ratio;
  gl_PointSize = pixels;
  gl_Position.z -= (picked ? 0.02 : strong ? 0.01 : 0.0) * gl_Position.w;
  ring = picked ? accent : colour;
  float i = float(gl_VertexID);
  tile = vec2(mod(i, columns), floor(i / columns));
}`;

const FRAGMENT = `
precision highp float;
uniform sampler2D atlas;
uniform float columns, ready;
uniform vec3 behind;
in vec3 ring;
in vec2 tile;
in float thumbnail, fade, pixels;
out vec4 result;
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float soft = 2.0 / pixels;
  float corner = mix(1.0, 0.26, thumbnail);
  vec2 q = abs(p) - (1.0 - corner);
  float edge = length(max(q, 0.0)) + min(max(q.x, q.y), 0.0) - corner;
  float alpha = 1.0 - smoothstep(-soft, 0.0, edge);
  if (alpha < 0.03) discard;
  float width = mix(2.0, clamp(pixels * 0.05, 1.3, 4.0) / pixels * 2.0, thumbnail);
  float inner = smoothstep(-width - soft, -width, edge);
  vec3 picture = texture(atlas, (tile + 0.02 + 0.96 * gl_PointCoord) / columns).rgb;
  vec3 colour = mix(mix(ring, picture, ready), ring, inner);
  colour = mix(ring, colour, thumbnail);
  result = vec4(mix(colour, behind, fade), alpha);
}`;

export class PointsScene {
  readonly orbit: Orbit;
  readonly #stage: Stage;
  readonly #scene = new Scene();
  readonly #geometry = new BufferGeometry();
  readonly #material: RawShaderMaterial;
  readonly #positions: Float32Array;
  readonly #state: Float32Array;
  #texture: CanvasTexture | undefined;
  #detail: Detail = "auto";
  #flat: boolean | undefined;

  constructor(
    host: HTMLElement,
    readonly count: number,
    label: string,
    drawn: () => void,
  ) {
    this.#positions = new Float32Array(3 * count);
    this.#state = new Float32Array(count);
    const uniform = (value: unknown): { value: unknown } => ({ value });
    this.#material = new RawShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      transparent: true,
      uniforms: {
        scale: uniform(1),
        size: uniform(2.5 / Math.sqrt(count)),
        threshold: uniform(12),
        least: uniform(0),
        columns: uniform(1),
        ratio: uniform(1),
        chosen: uniform(-1),
        atlas: uniform(null),
        ready: uniform(0),
        behind: uniform(new Vector3(1, 1, 1)),
        accent: uniform(new Vector3(0, 0, 0)),
      },
    });
    this.#geometry.setAttribute("position", new BufferAttribute(this.#positions, 3));
    this.#geometry.setAttribute("colour", new BufferAttribute(new Float32Array(3 * count), 3));
    this.#geometry.setAttribute("state", new BufferAttribute(this.#state, 1));
    const points = new Points(this.#geometry, this.#material);
    points.frustumCulled = false;
    this.#scene.add(points);
    this.orbit = new Orbit(host, () => this.#stage?.request(), { distance: 3.1, yaw: 0.5, pitch: 0.35 });
    this.#stage = new Stage(
      host,
      label,
      this.#scene,
      () => this.orbit.camera,
      (width, height) => this.#resized(width, height),
      drawn,
    );
  }

  get positions(): Float32Array {
    return this.#positions;
  }

  get canvas(): HTMLCanvasElement {
    return this.#stage.canvas;
  }

  /** To be called after writing into `positions`. */
  moved(): void {
    this.#geometry.getAttribute("position").needsUpdate = true;
    this.#stage.request();
  }

  /** Whether the positions lie in a plane; the camera goes home when that changes. */
  setFlat(flat: boolean, points: Float32Array): void {
    this.orbit.flat = flat; // before distances are taken: it decides the field of view
    const home = flat
      ? { distance: this.#flatDistance(points), yaw: 0, pitch: 0 }
      : { distance: 3.1, yaw: 0.5, pitch: 0.35 };
    const changed = this.#flat !== flat;
    this.#flat = flat;
    this.orbit.setHome(home);
    if (changed) this.orbit.reset(false);
  }

  /** From how far away all points are seen, with room for a thumbnail. */
  #flatDistance(points: Float32Array): number {
    let [x, y] = [0.1, 0.1];
    for (let i = 0; i < this.count; i++) {
      x = Math.max(x, Math.abs(points[3 * i]));
      y = Math.max(y, Math.abs(points[3 * i + 1]));
    }
    const half = Math.max(Math.min(y, FARTHEST), Math.min(x, FARTHEST) / this.orbit.camera.aspect);
    return (half * 1.07) / Math.tan((this.orbit.camera.fov * Math.PI) / 360);
  }

  setColours(rgb: Float32Array, background: string, accent: string): void {
    const attribute = this.#geometry.getAttribute("colour") as BufferAttribute;
    attribute.set(rgb);
    attribute.needsUpdate = true;
    this.#stage.background = background;
    this.#uniform("behind", components(background));
    this.#uniform("accent", components(accent));
  }

  setStates(states: ArrayLike<number>): void {
    this.#state.set(states);
    this.#geometry.getAttribute("state").needsUpdate = true;
    this.#stage.request();
  }

  setChosen(index: number): void {
    this.#uniform("chosen", index);
  }

  setDetail(detail: Detail): void {
    this.#detail = detail;
    this.#sizes();
  }

  setAtlas(atlas: Atlas): void {
    if (!this.#texture) {
      this.#texture = new CanvasTexture(atlas.canvas);
      this.#texture.flipY = false;
      this.#texture.minFilter = LinearMipmapLinearFilter;
      this.#texture.magFilter = LinearFilter;
      this.#uniform("atlas", this.#texture);
      this.#uniform("columns", atlas.columns);
    }
    this.#texture.needsUpdate = true;
    this.#uniform("ready", 1);
  }

  /** The point drawn nearest to (x, y) CSS pixels of the canvas, -1 if none is within reach. */
  pick(x: number, y: number, reach = 16): number {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const matrix = this.orbit.camera.projectionMatrix
      .clone()
      .multiply(this.orbit.camera.matrixWorldInverse).elements;
    let best = -1;
    let least = reach * reach;
    for (let i = 0; i < this.count; i++) {
      if (this.#state[i] === DIM) continue;
      const [px, py, pz] = [this.#positions[3 * i], this.#positions[3 * i + 1], this.#positions[3 * i + 2]];
      const w = matrix[3] * px + matrix[7] * py + matrix[11] * pz + matrix[15];
      if (w <= 0) continue;
      const sx = ((matrix[0] * px + matrix[4] * py + matrix[8] * pz + matrix[12]) / w + 1) * 0.5 * width;
      const sy = (1 - (matrix[1] * px + matrix[5] * py + matrix[9] * pz + matrix[13]) / w) * 0.5 * height;
      // Of points at about the same place the nearer one is on top.
      const distance = (sx - x) ** 2 + (sy - y) ** 2 + w * 4;
      if (distance < least) {
        least = distance;
        best = i;
      }
    }
    return best;
  }

  /** Look at these points. */
  focus(indices: readonly number[]): void {
    if (!indices.length) return;
    const at = (i: number): Vector3 => new Vector3().fromArray(this.#positions, 3 * i);
    const centre = new Vector3();
    for (const i of indices) centre.add(at(i));
    centre.divideScalar(indices.length);
    const radii = indices.map((i) => at(i).distanceTo(centre)).sort((a, b) => a - b);
    const radius = radii[Math.floor(0.92 * (radii.length - 1))];
    this.orbit.fly(centre, Math.max(0.55, Math.min(3.3, 3.4 * radius + 0.3)));
  }

  destroy(): void {
    this.orbit.destroy();
    this.#geometry.dispose();
    this.#material.dispose();
    this.#texture?.dispose();
    this.#stage.destroy();
  }

  #uniform(name: string, value: unknown): void {
    this.#material.uniforms[name].value = value;
    this.#stage.request();
  }

  #resized(width: number, height: number): void {
    this.orbit.resize(width, height);
    this.#sizes();
  }

  #sizes(): void {
    const ratio = Math.min(devicePixelRatio, 2);
    const { uniforms } = this.#material;
    const height = (this.#stage?.canvas.clientHeight ?? 600) * ratio;
    uniforms.scale.value = height / (2 * Math.tan((this.orbit.camera.fov * Math.PI) / 360));
    uniforms.ratio.value = ratio;
    uniforms.threshold.value = { dots: -1, auto: 11 * ratio, thumbnails: 1 }[this.#detail];
    uniforms.least.value = this.#detail === "thumbnails" ? 22 * ratio : 0;
    this.#stage?.request();
  }
}

/** "rgb(1 2 3)" as shaders take it. */
function components(colour: string): Vector3 {
  const [r, g, b] = (colour.match(/\d+/g) ?? ["255", "255", "255"]).map(Number);
  return new Vector3(r / 255, g / 255, b / 255);
}
