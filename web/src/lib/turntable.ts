// Turns a camera once around: evenly, or a step at a time where motion is not wanted.
import type { FilmCamera, FilmScene } from "./film";

const TURN_MS = 8000;
const STEP = Math.PI / 6;

export class Turntable {
  #frame = 0;
  #home: { readonly scene: FilmScene; readonly camera: FilmCamera } | undefined;

  /** `changed` is told when it starts, and when it rests: where the camera is then. */
  constructor(private readonly changed: (rests: FilmCamera | undefined) => void) {}

  get turning(): boolean {
    return this.#home !== undefined;
  }

  /** Start, or stop where it is; `still`: only one step of thirty degrees. */
  toggle(scene: FilmScene | undefined, still: boolean): void {
    if (this.turning) return this.stop();
    if (!scene) return;
    const { camera } = scene;
    if (still) {
      scene.camera = { ...camera, yaw: camera.yaw + STEP };
      return this.changed(scene.camera);
    }
    this.#home = { scene, camera };
    const start = performance.now();
    let shown = camera.yaw;
    const step = (now: number): void => {
      // Whoever takes the camera has it.
      if (Math.abs(scene.camera.yaw - shown) > 1e-6) return this.stop();
      const share = Math.max(0, now - start) / TURN_MS;
      shown = share < 1 ? camera.yaw + 2 * Math.PI * share : camera.yaw;
      scene.camera = { ...scene.camera, yaw: shown };
      if (share >= 1) return this.stop();
      this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
    this.changed(undefined);
  }

  stop(): void {
    if (!this.#home) return;
    cancelAnimationFrame(this.#frame);
    const { camera } = this.#home.scene;
    this.#home = undefined;
    this.changed(camera);
  }
}
