// How much of a picture is drawn at once: what a frame costs is learnt from fences, so that moving stays fluent.

/** Milliseconds of graphics for a frame while something moves, and for a piece of the fine picture. */
export const MOVING_MS = 45;
const PIECE_MS = 70;
/** Shares of resolution and of samples, from fine to coarse; the cost falls by share² · samples. */
const LEVELS = [
  { share: 1, samples: 1 },
  { share: 0.75, samples: 0.8 },
  { share: 0.5, samples: 0.7 },
  { share: 0.375, samples: 0.6 },
  { share: 0.25, samples: 0.5 },
] as const;

export type Level = (typeof LEVELS)[number];

/** Nothing is known of a device before its first frame: this many samples a millisecond would be slow. */
const FIRST_GUESS = 40_000;

export class Pace {
  /** Milliseconds a sample. */
  #price = 1 / FIRST_GUESS;

  /** Remember what a frame of `cost` samples took. */
  learn(cost: number, ms: number): void {
    if (cost < 1000) return;
    const price = ms / cost;
    // Slower is believed at once, faster by and by: a short fence may have hidden work.
    this.#price = price > this.#price ? price : 0.5 * (this.#price + price);
  }

  /** The finest level at which a picture that costs `cost` when fine is drawn in `budget` milliseconds. */
  level(cost: number, budget: number): Level {
    const within = LEVELS.find(
      ({ share, samples }) => cost * share * share * samples * this.#price <= budget,
    );
    return within ?? LEVELS[LEVELS.length - 1];
  }

  /** In how many pieces a fine picture is drawn. */
  pieces(cost: number): number {
    return Math.max(1, Math.min(32, Math.ceil((cost * this.#price) / PIECE_MS)));
  }
}

/** Call `done` with the milliseconds until the graphics have drawn what they were given; returns how to stop asking. */
export function whenDrawn(gl: WebGL2RenderingContext, done: (ms: number) => void): () => void {
  const began = performance.now();
  const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  gl.flush();
  let timer = 0;
  const ask = (): void => {
    const state = fence ? gl.clientWaitSync(fence, 0, 0) : gl.ALREADY_SIGNALED;
    if (state === gl.TIMEOUT_EXPIRED && !gl.isContextLost()) {
      timer = window.setTimeout(ask, 2);
      return;
    }
    gl.deleteSync(fence);
    done(performance.now() - began);
  };
  timer = window.setTimeout(ask, 0);
  return () => {
    clearTimeout(timer);
    gl.deleteSync(fence);
  };
}
