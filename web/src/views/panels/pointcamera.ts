// Where the map looks: as the address says it, and back into the address where one has moved.
import type { Change } from "../../lib/route";
import type { PointMap } from "./pointmap";

export class PointCamera {
  /** What the address says, as far as the map has taken or given it. */
  #cam = "";
  /** Where one looked before another step was opened. */
  #kept = "";
  #isFirst = true;

  constructor(
    private readonly map: PointMap,
    private readonly navigate: (change: Change, replace?: boolean) => void,
  ) {}

  /** Whether nothing has been looked at yet since `close`. */
  get isFirst(): boolean {
    return this.#isFirst;
  }

  /** Another embedding comes; `kept`: where it is to be looked at, for another step of the same. */
  close(kept = ""): void {
    this.#kept = kept;
    this.#isFirst = true;
  }

  /** The map has been moved by hand and has come to rest. */
  moved(cam: string): void {
    this.#cam = cam;
    this.navigate({ cam }, true);
  }

  /** All is there: look where the address says, the first time and whenever it says something else; returns whether it was the first. */
  settle(cam: string, points: () => ArrayLike<number>): boolean {
    if (!this.map.placed) return false;
    const [first, before] = [this.#isFirst, this.#cam];
    this.#isFirst = false;
    this.#cam = cam;
    if (cam) {
      if (first || cam !== before) this.map.view = cam;
    } else if (first && this.#kept) this.map.view = this.#kept;
    else if (first || before) this.map.focus(points(), true);
    return first;
  }

  /** Look where the address leads without a camera. */
  lead(points: ArrayLike<number>): void {
    this.map.focus(points, true);
    if (this.#cam) this.navigate({ cam: null }, true);
  }
}
