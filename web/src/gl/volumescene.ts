// The volume in its box: camera, look, picking; coarse while it moves, fine once it rests.
import { Vector3, type WebGLRenderTarget } from "three";
import { context2d, h } from "../lib/dom";
import { Orbit } from "./orbit";
import { drawBefore, drawBehind, type Surroundings } from "./volumeaxes";
import { Marcher, pictureOf } from "./volumemarch";
import { MOVING_MS, Pace, whenDrawn } from "./volumepace";
import { pickAlong } from "./volumepick";
import { cornersOf, type Ray, type Triple } from "./volumespace";
import type {
  CameraView,
  Clip,
  Look,
  Picked,
  Reduced,
  SceneColours,
  SceneEvents,
  SceneVoxels,
  Slices,
} from "./volumetypes";

export * from "./volumetypes";

const HOME = { distance: 2.75, yaw: 0.62, pitch: 0.36 };
/** Milliseconds without a movement after which it rests. */
const REST = 160;
/** A picture that takes no longer than this is fine from the start. */
const PROMPT_MS = 130;
/** Of these a frame is spent on getting ready to draw a large volume. */
const READY_MS = 40;

export class VolumeScene {
  readonly canvas: HTMLCanvasElement;
  readonly #behind = layer();
  readonly #before = layer();
  readonly #orbit: Orbit;
  readonly #marcher: Marcher;
  readonly #pace = new Pace();
  readonly #observer: ResizeObserver;
  #colours: SceneColours = { background: "#0b0f16", line: "#5b6b82", text: "#9aa7ba", accent: "#a7acff" };
  #ready = false;
  #moving = false;
  #dirty = false;
  #frame = 0;
  #rest = 0;
  #stopWaiting: (() => void) | undefined;
  #coarse: WebGLRenderTarget | undefined;
  #fine: WebGLRenderTarget | undefined;
  /** Piece of the fine picture that is next, of how many; null once it is complete. */
  #piece: { index: number; of: number } | null = null;
  #waiting: (() => void)[] = [];

  /** Throws `WebGLMissing`, with one sentence, where there is no WebGL 2. */
  constructor(
    private readonly host: HTMLElement,
    label: string,
    private readonly events: SceneEvents = {},
  ) {
    this.canvas = layer();
    this.#marcher = new Marcher(this.canvas);
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", label);
    this.canvas.removeAttribute("aria-hidden");
    this.canvas.addEventListener("webglcontextlost", () => this.#lost());
    this.canvas.addEventListener("webglcontextrestored", () => this.#restored());
    host.prepend(this.#behind, this.canvas, this.#before);
    this.#orbit = new Orbit(host, (moving) => this.#moved(moving), HOME);
    this.#observer = new ResizeObserver(() => this.#fit());
    this.#observer.observe(host);
    this.#fit();
  }

  /** How many voxels one of the picture stands for, where the device cannot hold all. */
  get reduced(): Reduced {
    return this.#marcher.reduced;
  }

  get camera(): CameraView {
    return this.#orbit.stand;
  }

  set camera(view: CameraView) {
    this.#orbit.stand = view;
    this.#change();
  }

  /** The camera stays where it is. */
  setVoxels(voxels: SceneVoxels): void {
    this.#marcher.setVoxels(voxels);
    this.#ready = true;
    this.#change();
  }

  setLook(look: Look): void {
    this.#marcher.setLook(look);
    this.#change();
  }

  setSlices(slices: Slices): void {
    this.#marcher.slices = slices;
    this.#change();
  }

  setClip(clip: Clip | null): void {
    this.#marcher.clip = clip;
    this.#change();
  }

  setColours(colours: SceneColours): void {
    this.#colours = colours;
    this.#surround();
  }

  /** Back to the first view. */
  reset(): void {
    this.#orbit.reset();
  }

  /** The voxel that is seen at a point of the page. */
  pick(clientX: number, clientY: number): Picked | null {
    if (!this.#ready) return null;
    const { voxels, look, extent, slices, clip } = this.#marcher;
    const [low, high] = cornersOf(clip, [voxels.width, voxels.height, voxels.channels]);
    return pickAlong(this.#ray(clientX, clientY), { voxels, look, extent, low, high, slices });
  }

  /** Where a point of the box (each coordinate from -0.5 to 0.5) is on the canvas, in CSS pixels. */
  project(x: number, y: number, z: number): { x: number; y: number } {
    return this.#projected([x, y, z], this.host.clientWidth, this.host.clientHeight);
  }

  /** Draw the fine picture at once. */
  render(): void {
    if (!this.#ready || this.#marcher.gl.isContextLost()) return;
    this.#cancel();
    this.#orbit.resize(this.host.clientWidth, this.host.clientHeight);
    this.#fine = sized(this.#fine, this.canvas.width, this.canvas.height);
    this.#marcher.draw(this.#fine, this.#orbit.camera);
    this.#marcher.show(this.#fine);
    this.#surround();
    this.#done();
  }

  /** A fine picture of any size with background, box and axes; what is on the page stays as it is. */
  async capture(width: number, height: number): Promise<ImageData> {
    if (this.#marcher.gl.isContextLost())
      throw new Error("The picture cannot be drawn: the graphics context was lost; wait until it is back.");
    const sheet = h("canvas", { width, height });
    const pen = context2d(sheet);
    const [pageWidth, pageHeight] = [this.canvas.width, this.canvas.height];
    const { renderer } = this.#marcher;
    const picture = pictureOf(width, height);
    this.#orbit.resize(width, height);
    const around = this.#surroundings(width, height);
    pen.fillStyle = this.#colours.background;
    pen.fillRect(0, 0, width, height);
    drawBehind(pen, around);
    renderer.setSize(width, height, false);
    this.#marcher.draw(picture, this.#orbit.camera);
    this.#marcher.show(picture);
    pen.drawImage(this.canvas, 0, 0);
    drawBefore(pen, around);
    picture.dispose();
    this.#orbit.resize(this.host.clientWidth, this.host.clientHeight);
    renderer.setSize(pageWidth, pageHeight, false);
    const shown = this.#piece || this.#dirty ? this.#coarse : this.#fine;
    if (shown) this.#marcher.show(shown);
    return pen.getImageData(0, 0, width, height);
  }

  /** Resolves once the fine picture is on the canvas. */
  settled(): Promise<void> {
    if (!this.#frame && !this.#stopWaiting && !this.#moving && !this.#dirty) return Promise.resolve();
    return new Promise((done) => this.#waiting.push(done));
  }

  destroy(): void {
    this.#cancel();
    clearTimeout(this.#rest);
    this.#observer.disconnect();
    this.#orbit.destroy();
    this.#coarse?.dispose();
    this.#fine?.dispose();
    this.#marcher.destroy();
    for (const one of [this.#behind, this.canvas, this.#before]) one.remove();
  }

  #fit(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    // An observer reports once what was there already.
    if (across === this.#before.width && down === this.#before.height) return;
    for (const one of [this.#behind, this.#before]) {
      one.width = across;
      one.height = down;
    }
    this.#marcher.renderer.setSize(across, down, false);
    this.#orbit.resize(width, height);
    // A canvas of a new size is empty; what was drawn before stands there until there is something better.
    if (this.#fine && this.#ready && !this.#marcher.gl.isContextLost()) this.#marcher.show(this.#fine);
    this.#change();
  }

  #moved(moving: boolean): void {
    if (!this.#observer) return;
    clearTimeout(this.#rest);
    this.#moving = moving;
    if (moving) this.#rest = window.setTimeout(() => this.#moved(false), REST);
    this.#change();
    this.events.onCamera?.(this.camera, moving);
  }

  #change(): void {
    this.#dirty = true;
    this.#request();
  }

  #request(): void {
    if (!this.#ready || this.#frame || this.#stopWaiting) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#step();
    });
  }

  /** Draw what is due: a quick picture of what has changed, or the next piece of the fine one. */
  #step(): void {
    const { width, height } = this.canvas;
    if (this.#marcher.gl.isContextLost() || !this.host.clientWidth) return;
    const state = this.#marcher.getReady(READY_MS);
    if (state === "busy") return this.#request();
    if (state === "sent") return this.#wait(0);
    const cost = this.#marcher.cost(width, height);
    if (this.#dirty) {
      this.#dirty = false;
      this.#surround();
      const level = this.#pace.level(cost, this.#moving ? MOVING_MS : PROMPT_MS);
      if (level.share === 1) this.#piece = { index: 0, of: 1 };
      else {
        this.#piece = this.#moving ? null : { index: 0, of: this.#pace.pieces(cost) };
        const { share, samples } = this.#moving ? level : this.#pace.level(cost, MOVING_MS);
        this.#coarse = sized(this.#coarse, Math.ceil(width * share), Math.ceil(height * share));
        this.#marcher.draw(this.#coarse, this.#orbit.camera, samples);
        this.#marcher.show(this.#coarse);
        this.events.onDrawn?.(false);
        return this.#wait(cost * share * share * samples);
      }
    }
    if (!this.#piece) return;
    const { index, of } = this.#piece;
    this.#fine = sized(this.#fine, width, height);
    this.#marcher.draw(this.#fine, this.#orbit.camera, 1, { index, of });
    this.#piece = index + 1 < of ? { index: index + 1, of } : null;
    if (!this.#piece) this.#marcher.show(this.#fine);
    this.#wait(cost / of);
  }

  /** Go on once the graphics have drawn: nothing piles up, and what it took is known for the next frame. */
  #wait(cost: number): void {
    this.#stopWaiting = whenDrawn(this.#marcher.gl, (ms) => {
      this.#stopWaiting = undefined;
      this.#pace.learn(cost, ms);
      if (this.#dirty) this.#request();
      else if (this.#piece) this.#step();
      else if (!this.#moving) this.#done();
    });
  }

  #done(): void {
    this.#dirty = false;
    this.#piece = null;
    this.events.onDrawn?.(true);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done();
  }

  #cancel(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
  }

  #lost(): void {
    this.#cancel();
    this.events.onContext?.(true);
  }

  #restored(): void {
    this.#coarse = this.#fine = undefined;
    this.events.onContext?.(false);
    this.#change();
  }

  #surround(): void {
    const ratio = this.canvas.width / Math.max(1, this.host.clientWidth);
    const around = this.#surroundings(this.host.clientWidth, this.host.clientHeight);
    for (const [canvas, draw] of [
      [this.#behind, drawBehind],
      [this.#before, drawBefore],
    ] as const) {
      const pen = context2d(canvas);
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, around.width, around.height);
      if (this.#ready) draw(pen, around);
    }
  }

  #surroundings(width: number, height: number): Surroundings {
    const { voxels, extent, clip, slices, look } = this.#marcher;
    const { camera } = this.#orbit;
    const size: Triple = [voxels.width, voxels.height, voxels.channels];
    const depth = -new Vector3().applyMatrix4(camera.matrixWorldInverse).z;
    const unit = height / (2 * Math.tan((camera.fov * Math.PI) / 360) * depth);
    return {
      project: (x, y, z) => this.#projected([x, y, z], width, height),
      eye: camera.position.toArray().map((at, axis) => at / extent[axis]) as unknown as Triple,
      ...{ size, clip, slices, width, height, colours: this.#colours, axes: look.axes },
      font: getComputedStyle(this.host).fontFamily || "sans-serif",
      lengths: { column: (unit * extent[0]) / size[0], channel: (unit * extent[2]) / size[2] },
    };
  }

  #projected(point: Triple, width: number, height: number): { x: number; y: number } {
    const at = new Vector3(...point)
      .multiply(new Vector3(...this.#marcher.extent))
      .project(this.#orbit.camera);
    return { x: ((at.x + 1) / 2) * width, y: ((1 - at.y) / 2) * height };
  }

  /** The ray through a point of the page. */
  #ray(clientX: number, clientY: number): Ray {
    const box = this.canvas.getBoundingClientRect();
    const { camera } = this.#orbit;
    const x = (2 * (clientX - box.left)) / box.width - 1;
    const y = 1 - (2 * (clientY - box.top)) / box.height;
    const through = new Vector3(x, y, 0.5).unproject(camera);
    const [eye, far] = [camera.position, through].map((at) => this.#inTexture(at));
    return { eye, along: far.map((end, axis) => end - eye[axis]) as unknown as Triple };
  }

  #inTexture({ x, y, z }: Vector3): Triple {
    const [w, h, d] = this.#marcher.extent;
    return [x / w + 0.5, 0.5 - y / h, 0.5 - z / d];
  }
}

function layer(): HTMLCanvasElement {
  const canvas = h("canvas", { class: "gl", "aria-hidden": "true" });
  Object.assign(canvas.style, { width: "100%", height: "100%", pointerEvents: "none" });
  return canvas;
}

/** A picture of this size: the given one, or a new one in its place. */
function sized(picture: WebGLRenderTarget | undefined, width: number, height: number): WebGLRenderTarget {
  if (!picture) return pictureOf(width, height);
  if (picture.width !== width || picture.height !== height) picture.setSize(width, height);
  return picture;
}
