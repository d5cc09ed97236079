// The camera of both scenes: turn, move, zoom by pointer, touch, wheel and keys; nothing moves by itself.
import { PerspectiveCamera, Vector3 } from "three";
import { reducedMotion } from "../lib/dom";

interface Pose {
  readonly target: Vector3;
  readonly distance: number;
  readonly yaw: number;
  readonly pitch: number;
}

/** Where one stands; angles in radians, lengths in units of the scene. */
export interface CameraView {
  readonly yaw: number;
  readonly pitch: number;
  readonly distance: number;
  readonly target: readonly [number, number, number];
}

const FOV = 40;
const FLY_MS = 450;
const TURN = 0.007;
const KEY_TURN = 0.12;
const PITCH_LIMIT = 1.55;
const [NEAREST, FARTHEST] = [0.05, 20];

export class Orbit {
  readonly camera = new PerspectiveCamera(FOV, 1, 0.01, 60);
  #flat = false;
  #pose: Pose;
  #home: Pose;
  #frame = 0;
  readonly #pointers = new Map<number, { x: number; y: number }>();
  readonly #controller = new AbortController();

  constructor(
    private readonly el: HTMLElement,
    private readonly changed: (moving: boolean) => void,
    home: { distance: number; yaw: number; pitch: number },
  ) {
    this.#home = { target: new Vector3(), ...home };
    this.#pose = this.#home;
    const { signal } = this.#controller;
    el.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    el.addEventListener("pointermove", (event) => this.#move(event), { signal });
    for (const name of ["pointerup", "pointercancel"] as const) {
      el.addEventListener(name, (event) => this.#up(event), { signal });
    }
    el.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
    el.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#place();
  }

  /** Flat scenes are moved, not turned, and have one field of view at every width. */
  get flat(): boolean {
    return this.#flat;
  }

  set flat(flat: boolean) {
    this.#flat = flat;
    this.#place();
  }

  get dragging(): boolean {
    return this.#pointers.size > 0;
  }

  get distance(): number {
    return this.#pose.distance;
  }

  /** Where one stands, as an address keeps it; set at once, telling nobody. */
  get stand(): CameraView {
    const { target, distance, yaw, pitch } = this.#pose;
    return { yaw, pitch, distance, target: [target.x, target.y, target.z] };
  }

  set stand({ yaw, pitch, distance, target }: CameraView) {
    cancelAnimationFrame(this.#frame);
    this.#pose = {
      yaw,
      pitch: Math.max(-PITCH_LIMIT, Math.min(PITCH_LIMIT, pitch)),
      distance: Math.max(NEAREST, Math.min(FARTHEST, distance)),
      target: new Vector3(...target),
    };
    this.#place();
  }

  /** The same as short text for an address: angles in hundredths of a radian, then distance and target. */
  view(pose = this.#pose): string {
    const { target, distance, yaw, pitch } = pose;
    const turn = [yaw, pitch].map((angle) => Math.round(angle * 100));
    const place = [distance, target.x, target.y, target.z].map((length) => Number(length.toPrecision(4)));
    return [...(this.flat ? [] : turn), ...(this.flat ? place.slice(0, 3) : place)].join("_");
  }

  /** Stand where `view()` said; text that says nothing is left alone. Returns whether it did. */
  setView(text: string): boolean {
    const values = text.split("_").map(Number);
    if (values.length !== (this.flat ? 3 : 6) || !values.every(Number.isFinite)) return false;
    const [yaw, pitch, distance, x, y, z] = this.flat
      ? [0, 0, ...values, 0]
      : [values[0] / 100, values[1] / 100, ...values.slice(2)];
    this.stand = { yaw, pitch, distance, target: [x, y, z] };
    this.changed(false);
    return true;
  }

  /** Whether one stands where `reset()` leads. */
  get atHome(): boolean {
    const { target, distance, yaw, pitch } = this.#home;
    const pose = this.#pose;
    return (
      pose.distance === distance && pose.yaw === yaw && pose.pitch === pitch && pose.target.equals(target)
    );
  }

  resize(width: number, height: number): void {
    this.camera.aspect = width / Math.max(1, height);
    this.#place();
  }

  setHome(home: { distance: number; yaw: number; pitch: number }): void {
    this.#home = { target: new Vector3(), ...home };
  }

  reset(slowly = true): void {
    if (slowly) this.fly(this.#home.target, this.#home.distance, this.#home.yaw, this.#home.pitch);
    else this.#set(this.#home, false);
  }

  /** Look from where another camera looks. */
  follow(other: Orbit): void {
    cancelAnimationFrame(this.#frame);
    this.#pose = other.#pose;
    this.#place();
  }

  /** Move the camera to look at `target` from `distance`; returns where it comes to stand, as `view` says it. */
  fly(target: Vector3, distance: number, yaw = this.#pose.yaw, pitch = this.#pose.pitch): string {
    cancelAnimationFrame(this.#frame);
    const from = this.#pose;
    const to: Pose = { target: target.clone(), distance, yaw, pitch };
    const stand = this.view(to);
    if (reducedMotion()) {
      this.#set(to, false);
      return stand;
    }
    const start = performance.now();
    const step = (now: number): void => {
      const time = Math.min(1, (now - start) / FLY_MS);
      const ease = 1 - (1 - time) ** 3;
      const blend = (a: number, b: number): number => a + (b - a) * ease;
      const pose = {
        target: from.target.clone().lerp(to.target, ease),
        distance: blend(from.distance, to.distance),
        yaw: blend(from.yaw, to.yaw),
        pitch: blend(from.pitch, to.pitch),
      };
      this.#set(time < 1 ? pose : to, time < 1);
      if (time < 1) this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
    return stand;
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#controller.abort();
  }

  #set(pose: Pose, moving: boolean): void {
    this.#pose = pose;
    this.#place();
    this.changed(moving);
  }

  #place(): void {
    const { target, distance, yaw, pitch } = this.#pose;
    const offset = new Vector3(
      Math.sin(yaw) * Math.cos(pitch),
      Math.sin(pitch),
      Math.cos(yaw) * Math.cos(pitch),
    );
    this.camera.position.copy(target).addScaledVector(offset, distance);
    this.camera.lookAt(target);
    this.camera.fov = this.#fov();
    this.camera.updateProjectionMatrix();
    this.camera.updateMatrixWorld();
  }

  /** Degrees from top to bottom; a solid keeps its width on a narrow page, a flat scene is fitted by its distance. */
  #fov(): number {
    const { aspect } = this.camera;
    if (this.flat || aspect >= 1) return FOV;
    return (Math.atan(Math.tan((FOV * Math.PI) / 360) / aspect) * 360) / Math.PI;
  }

  #down(event: PointerEvent): void {
    cancelAnimationFrame(this.#frame);
    this.el.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  }

  #up(event: PointerEvent): void {
    if (this.#pointers.delete(event.pointerId)) this.changed(this.dragging);
  }

  #move(event: PointerEvent): void {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    const spread = this.#spread();
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.#pointers.size > 1) {
      if (spread > 0) this.#zoom(spread / Math.max(1, this.#spread()), true);
      this.#pan(dx / this.#pointers.size, dy / this.#pointers.size);
    } else if (this.flat || event.shiftKey || event.buttons === 2) this.#pan(dx, dy);
    else this.#turn(-dx * TURN, dy * TURN);
  }

  #spread(): number {
    const [a, b] = [...this.#pointers.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }

  #turn(yaw: number, pitch: number): void {
    const limited = Math.max(-PITCH_LIMIT, Math.min(PITCH_LIMIT, this.#pose.pitch + pitch));
    this.#set({ ...this.#pose, yaw: this.#pose.yaw + yaw, pitch: limited }, this.dragging);
  }

  #pan(dx: number, dy: number): void {
    const scale = this.#unitsPerPixel();
    const [right, up] = [new Vector3(), new Vector3()];
    this.camera.matrixWorld.extractBasis(right, up, new Vector3());
    const target = this.#pose.target
      .clone()
      .addScaledVector(right, -dx * scale)
      .addScaledVector(up, dy * scale);
    this.#set({ ...this.#pose, target }, this.dragging);
  }

  #unitsPerPixel(): number {
    return (
      (2 * this.#pose.distance * Math.tan((this.camera.fov * Math.PI) / 360)) /
      Math.max(1, this.el.clientHeight)
    );
  }

  #zoom(factor: number, moving: boolean): void {
    const distance = Math.max(NEAREST, Math.min(FARTHEST, this.#pose.distance * factor));
    this.#set({ ...this.#pose, distance }, moving);
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const before = this.#unitsPerPixel();
    this.#zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.0035), true);
    if (this.flat) {
      // Keep what is under the pointer where it is.
      const box = this.el.getBoundingClientRect();
      const shift = before / this.#unitsPerPixel() - 1;
      this.#pan(
        -(event.clientX - box.left - box.width / 2) * shift,
        -(event.clientY - box.top - box.height / 2) * shift,
      );
    }
    this.changed(false);
  }

  #key(event: KeyboardEvent): void {
    const arrows: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    const by = arrows[event.key];
    if (by) {
      if (this.flat) this.#pan(-by[0] * 40, by[1] * 40);
      else this.#turn(by[0] * KEY_TURN, by[1] * KEY_TURN);
    } else if (event.key === "+" || event.key === "=") this.#zoom(0.85, false);
    else if (event.key === "-") this.#zoom(1 / 0.85, false);
    else if (event.key === "0") this.reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
