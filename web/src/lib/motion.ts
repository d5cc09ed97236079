// Moves points smoothly from one recorded frame to the next; at once where motion is not wanted.
import { reducedMotion } from "./dom";
import { blend } from "./frames";

const smoothstep = (t: number): number => t * t * (3 - 2 * t);

export class Motion {
  #frame = 0;

  /** Write positions between what `points` holds and `target` into `points`, calling `moved` after each step. */
  start(points: Float32Array, target: Float32Array, span: number, steady: boolean, moved: () => void): void {
    this.stop();
    if (span <= 0 || reducedMotion()) {
      points.set(target);
      return moved();
    }
    const from = points.slice();
    const start = performance.now();
    const tick = (now: number): void => {
      const time = Math.min(1, Math.max(0, (now - start) / span));
      blend(points, from, target, steady ? time : smoothstep(time));
      moved();
      if (time < 1) this.#frame = requestAnimationFrame(tick);
    };
    this.#frame = requestAnimationFrame(tick);
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
  }
}
