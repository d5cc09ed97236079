// Points of an embedding: density or dots far away, thumbnails near, a ring in the colour of the class.
import { BufferGeometry, DataTexture, Mesh, type RawShaderMaterial, Scene, Vector3 } from "three";
import { NORMAL, STRONG } from "../lib/highlight";
import type { Thumbnails } from "../lib/thumbstream";
import { Orbit } from "./orbit";
import { MOST_SHOWN } from "./pointsatlas";
import { Density } from "./pointsdensity";
import { Dots, material } from "./pointsdots";
import { inBox, inPolygon, nearest, placed, type Seen } from "./pointspick";
import { Pictures } from "./pointspictures";
import { PLANE_FRAGMENT, PLANE_VERTEX, TILE_FRAGMENT, TILE_VERTEX, uniformsOf } from "./pointsshader";
import { type Sizing, shownOf, Tiles } from "./pointstiles";
import { Stage } from "./stage";

export type { Thumbnails } from "../lib/thumbstream";
export type Detail = "auto" | "dots" | "thumbnails" | "density";

/** A lone point farther out than this does not make all others small. */
const FARTHEST = 1.6;
/** From so many points on density is drawn by itself, as long as they lie less than CROWDED CSS pixels apart. */
const MANY = 200_000;
const CROWDED = 2;
/** Milliseconds without a movement after which it rests. */
const REST_MS = 160;
/** Counting that takes longer is made coarser while the view moves. */
const COUNTING_MS = 25;
const SOLID = { distance: 3.1, yaw: 0.5, pitch: 0.35 };
/** Widest picture of `picture()`, in pixels. */
const WIDEST = 8192;

export class PointsScene {
  readonly orbit: Orbit;
  readonly #stage: Stage;
  readonly #scene = new Scene();
  readonly #positions: Float32Array;
  readonly #states: Uint8Array;
  /** Red, green, blue and state of each point. */
  readonly #look: Uint8Array;
  readonly #dots: Dots;
  readonly #tiles = new Tiles();
  readonly #rectangles: Mesh;
  readonly #density = new Density();
  readonly #plane: Mesh;
  readonly #uniforms = uniformsOf();
  #strong = new Int32Array();
  #pictures: Pictures | undefined;
  #detail: Detail = "auto";
  #flat: boolean | undefined;
  #background = "rgb(255 255 255)";
  #frame = 0;
  /** What the density on the texture was counted for. */
  #counted = "";
  #version = 0;
  #ready = false;
  #moving = false;
  #rest = 0;
  /** Milliseconds that counting density in full took. */
  #counting = 0;

  /** Throws `WebGLMissing`, with one sentence, where there is no WebGL 2. */
  constructor(
    host: HTMLElement,
    readonly count: number,
    label: string,
    drawn: () => void,
  ) {
    this.#positions = new Float32Array(3 * count);
    this.#states = new Uint8Array(count);
    this.#look = new Uint8Array(4 * count);
    const uniforms = this.#uniforms;
    this.#dots = new Dots(this.#positions, this.#look, uniforms);
    this.#rectangles = new Mesh(this.#tiles.geometry, material(uniforms, TILE_VERTEX, TILE_FRAGMENT, true));
    const plane = new BufferGeometry();
    plane.setDrawRange(0, 3);
    this.#plane = new Mesh(plane, material(uniforms, PLANE_VERTEX, PLANE_FRAGMENT, false));
    this.#plane.visible = false;
    (this.#plane.material as RawShaderMaterial).depthWrite = false;
    [this.#plane, this.#dots.object, this.#rectangles].forEach((one, order) => {
      one.frustumCulled = false;
      one.renderOrder = order;
      this.#scene.add(one);
    });
    this.orbit = new Orbit(host, () => this.#turned(), SOLID);
    this.#stage = new Stage(
      host,
      label,
      this.#scene,
      () => this.orbit.camera,
      (width, height) => this.#resized(width, height),
      () => {
        this.#dots.drawn(this.#stage.renderer.getContext() as WebGL2RenderingContext);
        drawn();
      },
      false, // the shaders soften edges themselves
    );
    this.#uniforms.largest.value = this.#largestPoint();
    this.#stage.before = () => this.#before();
    this.canvas.addEventListener("webglcontextrestored", () => this.#restored());
  }

  /** x, y and z of each point; `moved()` is to be called after writing. */
  get positions(): Float32Array {
    return this.#positions;
  }

  get canvas(): HTMLCanvasElement {
    return this.#stage.canvas;
  }

  /** Points in the densest CSS pixel while density is drawn, else (and while it is coarse, in movement) null. */
  get density(): { readonly most: number } | null {
    return this.#plane.visible && this.#counted.startsWith("1,") ? { most: this.#density.most } : null;
  }

  /** To be called after writing into `positions`. */
  moved(): void {
    this.#ready = true;
    this.#changed("position");
  }

  /** Whether the positions lie in a plane; the camera goes home when that changes, and stays there if it is. */
  setFlat(flat: boolean, points: Float32Array): void {
    this.orbit.flat = flat; // before distances are taken: it decides the field of view
    const home = flat ? { distance: this.#flatDistance(points), yaw: 0, pitch: 0 } : SOLID;
    const homeward = this.#flat !== flat || this.orbit.atHome;
    this.#flat = flat;
    this.orbit.setHome(home);
    if (homeward) this.orbit.reset(false);
  }

  /** Red, green and blue of each point (3N); the background and the colour of the chosen point as "rgb(…)". */
  setColours(rgb: Uint8Array, background: string, accent: string): void {
    const look = this.#look;
    for (let i = 0; i < this.count; i++) {
      look[4 * i] = rgb[3 * i];
      look[4 * i + 1] = rgb[3 * i + 1];
      look[4 * i + 2] = rgb[3 * i + 2];
    }
    this.#background = background;
    this.#stage.background = background;
    this.#uniforms.behind.value.fromArray(components(background).map((byte) => byte / 255));
    this.#uniforms.accent.value.fromArray(components(accent).map((byte) => byte / 255));
    this.#changed("look");
  }

  setStates(states: ArrayLike<number>): void {
    let strong = 0;
    for (let i = 0; i < this.count; i++) {
      const state = states[i];
      this.#states[i] = this.#look[4 * i + 3] = state;
      if (state === STRONG) strong++;
    }
    this.#strong = new Int32Array(strong);
    for (let i = 0, at = 0; at < strong; i++) if (states[i] === STRONG) this.#strong[at++] = i;
    this.#changed("look");
  }

  /** The chosen point, -1 for none. */
  setChosen(index: number): void {
    this.#uniforms.chosen.value = index;
    this.#stage.request();
  }

  setDetail(detail: Detail): void {
    this.#detail = detail;
    this.#stage.request();
  }

  /** Pictures for the points on screen; null for none. */
  setThumbnails(thumbnails: Thumbnails | null): void {
    this.#pictures?.dispose();
    const changed = (): void => this.#stage.request();
    const { renderer } = this.#stage;
    this.#pictures = thumbnails
      ? new Pictures(renderer, thumbnails, this.count, this.#uniforms, changed)
      : undefined;
    changed();
  }

  /** The point drawn at (x, y) CSS pixels of the canvas, else the nearest within reach, -1 if there is none. */
  pick(x: number, y: number, reach = 16): number {
    const tile = this.#tiles.at(x, y);
    return tile >= 0 ? tile : nearest(this.#seen(), x, y, reach);
  }

  /** Points inside a polygon (x, y of each corner in CSS pixels; even-odd), but hidden ones. */
  inPolygon(corners: ArrayLike<number>): Int32Array {
    return inPolygon(this.#seen(), corners);
  }

  /** Points inside a box of CSS pixels, but hidden ones. */
  inBox(x0: number, y0: number, x1: number, y1: number): Int32Array {
    return inBox(this.#seen(), x0, y0, x1, y1);
  }

  /** Where a point is, in CSS pixels of the canvas; null if it is hidden or outside of the canvas. */
  screen(i: number): [number, number] | null {
    const seen = this.#seen();
    const at = i >= 0 && i < this.count && this.#states[i] <= 3 ? placed(seen, i) : null;
    if (!at || at.x < 0 || at.y < 0 || at.x > seen.width || at.y > seen.height) return null;
    return [at.x, at.y];
  }

  /** Look at these points, at least one; returns where the camera comes to stand, as its view says it. */
  focus(indices: ArrayLike<number>): string {
    const p = this.#positions;
    const centre = new Vector3();
    for (let k = 0; k < indices.length; k++) {
      const at = 3 * indices[k];
      centre.x += p[at];
      centre.y += p[at + 1];
      centre.z += p[at + 2];
    }
    centre.divideScalar(indices.length);
    const radii = new Float32Array(indices.length);
    for (let k = 0; k < indices.length; k++) {
      const at = 3 * indices[k];
      radii[k] = Math.hypot(p[at] - centre.x, p[at + 1] - centre.y, p[at + 2] - centre.z);
    }
    const radius = radii.sort()[Math.floor(0.92 * (radii.length - 1))];
    return this.orbit.fly(centre, Math.max(0.55, Math.min(3.3, 3.4 * radius + 0.3)));
  }

  /** What is seen as a PNG, `width` pixels wide (as on the page if not given). */
  async picture(width?: number): Promise<Blob> {
    const { clientWidth } = this.canvas;
    const ratio = width === undefined ? this.#ratio() : Math.min(width, WIDEST) / Math.max(1, clientWidth);
    this.#moving = false; // in movement fewer or coarser points will do, in a picture to keep not
    const sheet = this.#stage.snapshot(ratio);
    return new Promise((done, failed) =>
      sheet.toBlob((blob) =>
        blob ? done(blob) : failed(new Error(`No picture of ${sheet.width} pixels: choose a smaller one.`)),
      ),
    );
  }

  destroy(): void {
    clearTimeout(this.#rest);
    this.setThumbnails(null);
    this.orbit.destroy();
    this.#dots.dispose();
    for (const one of [this.#rectangles, this.#plane]) {
      one.geometry.dispose();
      (one.material as RawShaderMaterial).dispose();
    }
    this.#uniforms.picture.value?.dispose();
    this.#stage.destroy();
  }

  /** Diameter in pixels that the device draws a point sprite with at most. */
  #largestPoint(): number {
    const gl = this.#stage.renderer.getContext();
    return (gl.getParameter(gl.ALIASED_POINT_SIZE_RANGE) as Float32Array)[1];
  }

  #changed(attribute: "position" | "look"): void {
    this.#version++;
    this.#dots.changed(attribute);
    this.#stage.request();
  }

  /** One who sees all points still does. */
  #resized(width: number, height: number): void {
    this.orbit.resize(width, height);
    if (this.#flat && this.#ready) this.setFlat(true, this.#positions);
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

  #restored(): void {
    this.#counted = "";
    this.#pictures?.reset();
    this.#stage.request();
  }

  #turned(): void {
    if (!this.#stage) return;
    clearTimeout(this.#rest);
    this.#moving = true;
    this.#rest = window.setTimeout(() => {
      this.#moving = false;
      if (this.#dots.thinned || this.#plane.visible || this.#pictures) this.#stage.request();
    }, REST_MS);
    this.#stage.request();
  }

  #ratio = (): number => Math.min(devicePixelRatio, 2);

  #seen(): Seen {
    const { camera } = this.orbit;
    const matrix = camera.projectionMatrix.clone().multiply(camera.matrixWorldInverse).elements;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return { positions: this.#positions, states: this.#states, matrix, width, height };
  }

  #sizing({ width, height }: Seen): Sizing {
    const ratio = this.#stage.renderer.getPixelRatio();
    const size = 2.5 / Math.sqrt(this.count);
    return {
      scale: (height * ratio) / (2 * Math.tan((this.orbit.camera.fov * Math.PI) / 360)),
      size,
      ratio,
      smallest: Math.max(1.25, Math.min(4.5, 0.9 * Math.sqrt((width * height) / this.count))),
      threshold: { dots: -1, density: -1, auto: 11 * ratio, thumbnails: 1 }[this.#detail],
      least: this.#detail === "thumbnails" ? 22 * ratio : 0,
      chosen: this.#uniforms.chosen.value,
    };
  }

  /** Get ready for a picture. */
  #before(): void {
    const seen = this.#seen();
    const sizing = this.#sizing(seen);
    const u = this.#uniforms;
    this.#frame++;
    u.scale.value = sizing.scale;
    u.size.value = sizing.size;
    u.ratio.value = sizing.ratio;
    u.smallest.value = sizing.smallest;
    u.viewport.value.set(seen.width * sizing.ratio, seen.height * sizing.ratio);
    const dense = this.#ready && this.#isDense(sizing);
    this.#plane.visible = dense;
    this.#dots.object.visible = this.#ready && !dense;
    if (dense) this.#count(seen);
    else if (this.#ready) {
      const depth = Math.max(0.05, this.orbit.distance - (this.#flat ? 0 : FARTHEST));
      this.#dots.prepare(sizing, depth, this.#moving);
    }
    this.#showTiles(seen, sizing);
  }

  #isDense({ scale, size, ratio }: Sizing): boolean {
    if (this.#detail !== "auto") return this.#detail === "density";
    return this.count >= MANY && (scale * size) / ratio < CROWDED * this.orbit.distance;
  }

  #count(seen: Seen): void {
    const grain = this.#moving && this.#counting > COUNTING_MS ? 2 : 1;
    const key = [grain, this.#version, seen.width, seen.height, ...(seen.matrix as number[])].join();
    if (key === this.#counted) return;
    this.#counted = key;
    const density = this.#density;
    const began = performance.now();
    density.draw(seen, this.#look, components(this.#background), grain);
    if (grain === 1) this.#counting = performance.now() - began;
    const { picture } = this.#uniforms;
    if (picture.value?.image.width !== density.width || picture.value.image.height !== density.height) {
      picture.value?.dispose();
      picture.value = new DataTexture(density.pixels, density.width, density.height);
    }
    picture.value.needsUpdate = true;
  }

  #showTiles(seen: Seen, sizing: Sizing): void {
    const [pictures, { chosen }] = [sizing.threshold < 0 ? undefined : this.#pictures, sizing];
    if (!this.#ready) return;
    const stands = chosen >= 0 && this.#states[chosen] !== STRONG ? [...this.#strong, chosen] : this.#strong;
    const most = pictures?.most ?? MOST_SHOWN;
    const points = shownOf(seen, sizing, Int32Array.from(stands), this.#mayShow(sizing), most);
    this.#pictures?.begin(this.#frame);
    this.#tiles.fill(seen, sizing, points, this.#look, (...what) => pictures?.find(...what) ?? false);
    this.#rectangles.visible = this.#tiles.points.length > 0;
    // While the view moves on, most of what is missed now would come too late.
    if (!this.#moving || this.#frame % 4 === 0)
      this.#pictures?.want((missing) => this.#byUrgency(seen, missing));
  }

  /** Whether any point can be large enough to show its picture. */
  #mayShow({ scale, size, threshold, least }: Sizing): boolean {
    if (!this.#pictures || threshold < 0) return false;
    return !this.#flat || (scale * size) / this.orbit.distance + least > 0.82 * threshold;
  }

  /** What stands out first, then what is nearest to the middle. */
  #byUrgency(seen: Seen, points: number[]): Int32Array {
    const distance = new Map<number, number>();
    for (const i of points) {
      const at = placed(seen, i);
      const far = at ? Math.hypot(at.x - seen.width / 2, at.y - seen.height / 2) : 1e6;
      distance.set(i, this.#states[i] === NORMAL ? far : this.#states[i] === STRONG ? far - 1e6 : far);
    }
    return Int32Array.from(points.sort((a, b) => (distance.get(a) ?? 0) - (distance.get(b) ?? 0)));
  }
}

/** Bytes of "rgb(1 2 3)". */
function components(colour: string): [number, number, number] {
  const [r, g, b] = (colour.match(/\d+/g) ?? ["255", "255", "255"]).map(Number);
  return [r, g, b];
}
