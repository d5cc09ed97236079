// Plays the recorded frames of a projection on a map: the slider, what is read of the parts, and where it stands.
import { Player } from "../../lib/controls";
import { isAbort } from "../../lib/frame";
import type { Change } from "../../lib/route";
import type { RecordInfo } from "../../source/source";
import { nearestTo, type PointMap } from "./pointmap";

const PLAY_MS = 140;
const MOVE_MS = 420;

export class PointReplay {
  readonly player: Player;
  #parts: readonly RecordInfo[] = [];
  #iteration: number | null = null;
  #read = "";

  constructor(
    private readonly map: PointMap,
    private readonly navigate: (change: Change, replace?: boolean) => void,
    private readonly changed: () => void,
  ) {
    this.player = new Player("Iteration", (at) => this.#seek(at), PLAY_MS);
    this.player.update([], 0);
  }

  get iterations(): readonly number[] {
    return this.#read ? (this.map.frames?.iterations ?? []) : [];
  }

  get kl(): readonly number[] {
    return this.#read ? (this.map.frames?.kl ?? []) : [];
  }

  /** Which of the frames is shown. */
  get at(): number {
    const { iterations } = this;
    return this.#iteration === null
      ? Math.max(0, iterations.length - 1)
      : nearestTo(iterations, this.#iteration);
  }

  /** Show an iteration of a projection (null: its end), then learn what else was recorded of it. */
  async show(parts: readonly RecordInfo[], iteration: number | null): Promise<void> {
    this.#parts = parts;
    this.#iteration = iteration;
    if (this.#read !== keyOf(parts)) this.#read = "";
    if (!this.player.playing) this.player.update(this.iterations, this.at);
    const span = this.player.playing ? PLAY_MS : MOVE_MS;
    await this.map.show(parts, iteration, span);
    void this.#learn(parts);
  }

  stop(): void {
    this.player.stop();
    this.#read = "";
    this.player.update([], 0);
  }

  async #learn(parts: readonly RecordInfo[]): Promise<void> {
    const key = keyOf(parts);
    const { frames } = this.map;
    if (this.#read === key || !frames || parts !== this.#parts) return;
    try {
      await frames.read(parts);
    } catch (error) {
      if (!isAbort(error)) this.map.say("The frames on the way could not be read.");
      return;
    }
    if (this.map.frames !== frames || keyOf(this.#parts) !== key) return;
    this.#read = key;
    this.player.update(this.iterations, this.at);
    this.changed();
  }

  #seek(at: number): void {
    const { iterations } = this;
    this.navigate({ it: at >= iterations.length - 1 ? null : iterations[at] }, true);
  }
}

const keyOf = (parts: readonly RecordInfo[]): string => parts.map(({ id }) => id).join("/");
