// Plays the places of a series at an even pace: each is shown once its data are here; what comes late shifts the rest.
import { following, type Repeat } from "./animation";

export class Playback {
  at = 0;
  count = 0;
  /** Frames a second. */
  speed = 2;
  repeat: Repeat = "loop";
  forward = true;
  #turn = 0;
  #timer = 0;
  #playing = false;

  /** `show` draws a place; `changed` is told when it plays or stops, and whether it stopped by itself. */
  constructor(
    private readonly show: (at: number) => Promise<void>,
    private readonly changed: (ended: boolean) => void,
  ) {}

  get playing(): boolean {
    return this.#playing;
  }

  play(): void {
    if (this.#playing || this.count < 2) return;
    // A film that is over begins anew.
    const over = this.repeat === "once" && this.at >= this.count - 1;
    this.forward = true;
    this.#playing = true;
    this.changed(false);
    void this.#run(++this.#turn, over);
  }

  stop(ended = false): void {
    if (!this.#playing) return;
    this.#turn++;
    clearTimeout(this.#timer);
    this.#playing = false;
    this.changed(ended);
  }

  async #run(turn: number, anew: boolean): Promise<void> {
    let due = performance.now();
    let next = anew ? { at: 0, forward: true } : this.#next();
    while (next) {
      due = this.#due(due + 1000 / this.speed);
      await this.#until(due);
      if (turn !== this.#turn) return;
      try {
        await this.show(next.at);
      } catch {
        return this.stop(true); // why, is told by who shows
      }
      if (turn !== this.#turn) return;
      this.at = next.at;
      this.forward = next.forward;
      next = this.#next();
    }
    this.stop(true);
  }

  /** A frame that came very late is shown as long as any other; one a little late is made up for. */
  #due(planned: number): number {
    const [now, each] = [performance.now(), 1000 / this.speed];
    return now - planned > each ? now + each : Math.max(planned, now);
  }

  #next(): ReturnType<typeof following> {
    return following(this.at, this.count, this.repeat, this.forward);
  }

  #until(due: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, Math.max(0, due - performance.now()));
    });
  }
}
