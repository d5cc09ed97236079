// A stack of feature maps as a ray-marched volume in a wire box, with one channel as a plane.
import {
  BackSide,
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  Color,
  Data3DTexture,
  DataTexture,
  EdgesGeometry,
  GLSL3,
  LinearFilter,
  LineBasicMaterial,
  LineLoop,
  LineSegments,
  Mesh,
  RawShaderMaterial,
  RedFormat,
  RGBAFormat,
  Scene,
  UnsignedByteType,
  Vector3,
} from "three";
import type { Voxels } from "../lib/voxels";
import { Orbit } from "./orbit";
import { Stage } from "./stage";

export type Mode = "composite" | "maximum";

/** Samples along the diagonal of the box: at rest, and while it moves. */
const FINE = 520;
const COARSE = 180;

export interface Look {
  readonly mode: Mode;
  /** Values below this share of the scale are transparent. */
  readonly threshold: number;
  readonly opacity: number;
  /** RGB of 256 values. */
  readonly colours: Uint8Array;
}

const VERTEX = `
uniform mat4 modelViewMatrix, projectionMatrix;
in vec3 position;
out vec3 place;
void main() {
  place = position;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const FRAGMENT = `
precision highp float;
precision highp sampler3D;
uniform sampler3D voxels;
uniform sampler2D colours;
uniform vec3 eye, extent;
uniform float steps, threshold, opacity, slice, depth;
uniform int mode;
in vec3 place;
out vec4 result;
float noise(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }
void main() {
  vec3 ray = place - eye;
  vec3 a = (-0.5 - eye) / ray, b = (0.5 - eye) / ray;
  vec3 low = min(a, b), high = max(a, b);
  float near = max(max(max(low.x, low.y), low.z), 0.0), far = min(min(high.x, high.y), high.z);
  if (near >= far) discard;
  float plane = slice < 0.0 ? -1.0 : (0.5 - (slice + 0.5) / depth - eye.z) / ray.z;
  float span = length(ray * extent), stride = length(extent) / steps / span;
  float t = near + stride * (0.25 + 0.5 * noise(gl_FragCoord.xy)), strongest = 0.0;
  vec4 sum = vec4(0.0);
  bool passed = plane < near || plane > far;
  for (int i = 0; i < 1024; i++) {
    if (t > far || sum.a > 0.985) break;
    if (!passed && t >= plane) {
      passed = true;
      vec3 p = eye + ray * plane + 0.5;
      float v = texture(voxels, vec3(p.x, 1.0 - p.y, (slice + 0.5) / depth)).r;
      vec3 c = texture(colours, vec2(v * 0.996 + 0.002, 0.5)).rgb;
      float alpha = 0.1 + 0.85 * smoothstep(0.0, 0.3, v);
      sum += (1.0 - sum.a) * vec4(c * alpha, alpha);
    }
    vec3 p = eye + ray * t + 0.5;
    float v = texture(voxels, vec3(p.x, 1.0 - p.y, 1.0 - p.z)).r;
    if (mode == 1) strongest = max(strongest, v);
    else if (v > threshold) {
      float share = (v - threshold) / (1.0 - threshold + 1e-4);
      float alpha = 1.0 - pow(1.0 - clamp(opacity * share, 0.0, 0.995), stride * span * 160.0);
      sum += (1.0 - sum.a) * alpha * vec4(texture(colours, vec2(v * 0.996 + 0.002, 0.5)).rgb, 1.0);
    }
    t += stride;
  }
  if (mode == 1) {
    float alpha = smoothstep(threshold, threshold + 0.08, strongest) * (1.0 - sum.a);
    sum += alpha * vec4(texture(colours, vec2(strongest * 0.996 + 0.002, 0.5)).rgb, 1.0);
  }
  if (sum.a < 0.004) discard;
  result = sum;
}`;

export class VolumeScene {
  readonly orbit: Orbit;
  /** Half the edges of the box in scene units: width, height, depth. */
  readonly extent = new Vector3(1, 1, 1);
  readonly #stage: Stage;
  readonly #scene = new Scene();
  readonly #material: RawShaderMaterial;
  readonly #box: Mesh;
  readonly #wire: LineSegments;
  readonly #plane: LineLoop;
  #texture: Data3DTexture | undefined;
  #map: DataTexture | undefined;
  #settle = 0;

  constructor(host: HTMLElement, label: string, drawn: () => void) {
    const uniform = (value: unknown): { value: unknown } => ({ value });
    this.#material = new RawShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      side: BackSide,
      transparent: true,
      premultipliedAlpha: true,
      depthTest: false,
      depthWrite: false,
      uniforms: {
        voxels: uniform(null),
        colours: uniform(null),
        eye: uniform(new Vector3()),
        extent: uniform(this.extent),
        steps: uniform(FINE),
        threshold: uniform(0.1),
        opacity: uniform(0.5),
        slice: uniform(-1),
        depth: uniform(1),
        mode: uniform(0),
      },
    });
    const geometry = new BoxGeometry(1, 1, 1);
    this.#box = new Mesh(geometry, this.#material);
    this.#box.visible = false;
    this.#wire = new LineSegments(
      new EdgesGeometry(geometry),
      new LineBasicMaterial({ transparent: true, opacity: 0.55 }),
    );
    const corners = new Float32Array([-0.5, -0.5, 0, 0.5, -0.5, 0, 0.5, 0.5, 0, -0.5, 0.5, 0]);
    this.#plane = new LineLoop(
      new BufferGeometry().setAttribute("position", new BufferAttribute(corners, 3)),
      new LineBasicMaterial(),
    );
    this.#plane.renderOrder = 2;
    this.#scene.add(this.#wire, this.#box, this.#plane);
    this.orbit = new Orbit(host, (moving) => this.#moved(moving), { distance: 2.75, yaw: 0.62, pitch: 0.36 });
    this.#stage = new Stage(
      host,
      label,
      this.#scene,
      () => this.orbit.camera,
      (width, height) => this.orbit.resize(width, height),
      drawn,
    );
    this.#moved(false);
  }

  get canvas(): HTMLCanvasElement {
    return this.#stage.canvas;
  }

  get largestSide(): number {
    const gl = this.#stage.renderer.getContext() as WebGL2RenderingContext;
    return gl.getParameter(gl.MAX_3D_TEXTURE_SIZE) as number;
  }

  setVoxels(voxels: Voxels): void {
    const { data, channels, height, width } = voxels;
    this.#texture?.dispose();
    const texture = new Data3DTexture(data as Uint8Array<ArrayBuffer>, width, height, channels);
    texture.format = RedFormat;
    texture.type = UnsignedByteType;
    texture.minFilter = texture.magFilter = LinearFilter;
    texture.unpackAlignment = 1;
    texture.needsUpdate = true;
    this.#texture = texture;
    const side = Math.max(height, width);
    const depth = Math.max(0.55, Math.min(1.5, channels / side));
    const scale = 1.15 / Math.max(1, depth);
    this.extent.set((scale * width) / side, (scale * height) / side, scale * depth);
    for (const object of [this.#box, this.#wire]) object.scale.copy(this.extent);
    this.#box.visible = true;
    this.#uniform("voxels", texture);
    this.#uniform("depth", channels);
    this.#moved(false);
  }

  setLook(look: Look): void {
    if (this.#map?.userData.colours !== look.colours) {
      this.#map?.dispose();
      const rgba = new Uint8Array(256 * 4).fill(255);
      for (let i = 0; i < 256; i++) rgba.set(look.colours.subarray(3 * i, 3 * i + 3), 4 * i);
      this.#map = new DataTexture(rgba, 256, 1, RGBAFormat);
      this.#map.minFilter = this.#map.magFilter = LinearFilter;
      this.#map.userData.colours = look.colours;
      this.#map.needsUpdate = true;
      this.#uniform("colours", this.#map);
    }
    this.#uniform("threshold", look.threshold);
    this.#uniform("opacity", look.opacity);
    this.#uniform("mode", look.mode === "maximum" ? 1 : 0);
  }

  /** Draw channel `slice` as a plane; none if negative. */
  setSlice(slice: number, channels: number): void {
    this.#plane.visible = slice >= 0;
    this.#plane.scale.set(this.extent.x, this.extent.y, 1);
    this.#plane.position.z = (0.5 - (slice + 0.5) / channels) * this.extent.z;
    this.#uniform("slice", slice);
  }

  setColours(background: string, line: string, accent: string): void {
    (this.#wire.material as LineBasicMaterial).color = new Color(line);
    (this.#plane.material as LineBasicMaterial).color = new Color(accent);
    this.#stage.background = background;
  }

  /** Where a point of the box (each coordinate from -0.5 to 0.5) is on the canvas, in CSS pixels. */
  project(x: number, y: number, z: number): { x: number; y: number } {
    const point = new Vector3(x, y, z).multiply(this.extent).project(this.orbit.camera);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return { x: ((point.x + 1) / 2) * width, y: ((1 - point.y) / 2) * height };
  }

  destroy(): void {
    clearTimeout(this.#settle);
    this.orbit.destroy();
    this.#texture?.dispose();
    this.#map?.dispose();
    this.#material.dispose();
    this.#stage.destroy();
  }

  /** Coarse while it moves, fine once it rests. */
  #moved(moving: boolean): void {
    if (!this.#stage) return;
    clearTimeout(this.#settle);
    this.#stage.quality = moving ? 0.5 : 1;
    this.#uniform("steps", moving ? COARSE : FINE);
    if (moving) this.#settle = window.setTimeout(() => this.#moved(false), 220);
    this.#uniform("eye", this.orbit.camera.position.clone().divide(this.extent));
  }

  #uniform(name: string, value: unknown): void {
    this.#material.uniforms[name].value = value;
    this.#stage.request();
  }
}
