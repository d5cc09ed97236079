// Layouts of one embedding at several training steps as one film: points matched by index, laid over each other, and
// interpolated between the steps.
import { type Alignment, aligned, IDENTITY, procrustes } from "./procrustes";

/** The layout at one step. */
export interface Layout {
  readonly step: number;
  /** What each point is: the number of its picture in the data set. */
  readonly index: ArrayLike<number>;
  /** (N, 3), z is 0 for flat ones. */
  readonly points: Float32Array;
  readonly flat: boolean;
}

/** For each of `from` its place in `to`, -1 where it has none; of several with one index the first. */
export function matched(from: ArrayLike<number>, to: ArrayLike<number>): Int32Array {
  if (sameIndex(from, to)) return Int32Array.from({ length: from.length }, (_, i) => i);
  const places = new Map<number, number>();
  for (let i = to.length - 1; i >= 0; i--) places.set(to[i], i);
  return Int32Array.from({ length: from.length }, (_, i) => places.get(from[i]) ?? -1);
}

export function sameIndex(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** How each layout is laid over that after it; the last one stays as it is. */
export function alignments(layouts: readonly Layout[]): Alignment[] {
  const found: Alignment[] = new Array(layouts.length).fill(IDENTITY);
  let later = layouts.at(-1);
  for (let k = layouts.length - 2; k >= 0 && later; k--) {
    const one = layouts[k];
    if (one.flat === later.flat) {
      found[k] = procrustes(one.points, later.points, matched(one.index, later.index));
      later = { ...one, points: aligned(one.points, found[k]) };
    } else later = one;
  }
  return found;
}

/** A place in the film: the points of the open embedding, and how much of each is there (0 … 1). */
export interface Still {
  readonly points: Float32Array;
  readonly flat: boolean;
  /** null: all points are there. */
  readonly presence: Float32Array | null;
}

export class Timeline {
  readonly steps: readonly number[];
  readonly #points: readonly Float32Array[];
  readonly #flat: readonly boolean[];
  /** At each step, where the points of the open embedding are in its layout. */
  readonly #places: readonly Int32Array[];
  readonly #whole: readonly boolean[];
  /** How each layout was moved. */
  readonly ways: readonly Alignment[];

  /** `index`: that of the points of the open embedding, to which all numbers belong. */
  constructor(
    layouts: readonly Layout[],
    readonly index: ArrayLike<number>,
    isAligned: boolean,
  ) {
    this.steps = layouts.map(({ step }) => step);
    this.ways = isAligned ? alignments(layouts) : layouts.map(() => IDENTITY);
    this.#points = layouts.map(({ points }, k) =>
      this.ways[k] === IDENTITY ? points : aligned(points, this.ways[k]),
    );
    this.#flat = layouts.map(({ flat }) => flat);
    this.#places = layouts.map((layout) => matched(index, layout.index));
    this.#whole = this.#places.map((place) => !place.includes(-1));
  }

  get length(): number {
    return this.steps.length;
  }

  /** Where point i is at step number k, null if it is not there. */
  place(k: number, i: number): readonly [number, number, number] | null {
    const at = this.#places[k][i];
    const points = this.#points[k];
    return at < 0 ? null : [points[3 * at], points[3 * at + 1], points[3 * at + 2]];
  }

  /** Points of step number k (all of them, in their own order) as the film has them. */
  fitted(k: number, points: Float32Array, flat: boolean): Float32Array {
    const way = this.ways[k];
    return !way || way === IDENTITY || flat !== this.#flat[k] ? points : aligned(points, way);
  }

  /** The film between two steps: 1.5 is half way from the second layout to the third. */
  at(time: number): Still {
    const last = this.length - 1;
    const from = Math.max(0, Math.min(last, Math.floor(time)));
    const share = Math.max(0, Math.min(1, time - from));
    const to = share > 0 ? Math.min(last, from + 1) : from;
    const n = this.index.length;
    const points = new Float32Array(3 * n);
    const presence = this.#whole[from] && this.#whole[to] ? null : new Float32Array(n);
    for (let i = 0; i < n; i++) this.#blend(points, presence, i, from, to, share);
    return { points, flat: this.#flat[from] && this.#flat[to], presence };
  }

  #blend(
    out: Float32Array,
    presence: Float32Array | null,
    i: number,
    from: number,
    to: number,
    share: number,
  ): void {
    const a = this.#places[from][i];
    const b = this.#places[to][i];
    if (presence) presence[i] = (a < 0 ? 0 : 1 - share) + (b < 0 ? 0 : share);
    // A point that comes or goes stays where it is at the step that has it.
    const [p, start] = a < 0 ? [this.#points[to], b] : [this.#points[from], a];
    const [q, end] = b < 0 ? [this.#points[from], a] : [this.#points[to], b];
    if (start < 0 || end < 0) return;
    for (let d = 0; d < 3; d++) {
      const begin = p[3 * start + d];
      out[3 * i + d] = begin + (q[3 * end + d] - begin) * share;
    }
  }

  /** How far points move from each step to the next, on average; of `chosen` points or all that both steps have. */
  moved(chosen?: readonly number[]): number[] {
    return this.steps.slice(1).map((_, k) => {
      let [sum, n] = [0, 0];
      const add = (i: number): void => {
        const [a, b] = [this.place(k, i), this.place(k + 1, i)];
        if (!a || !b) return;
        sum += Math.hypot(b[0] - a[0], b[1] - a[1], b[2] - a[2]);
        n++;
      };
      if (chosen?.length) chosen.forEach(add);
      else for (let i = 0; i < this.index.length; i++) add(i);
      return n ? sum / n : 0;
    });
  }

  /** The way of a point over the steps: runs of places without a gap. */
  trail(i: number): (readonly [number, number, number])[][] {
    const runs: (readonly [number, number, number])[][] = [];
    let open: (readonly [number, number, number])[] = [];
    for (let k = 0; k <= this.length; k++) {
      const at = k < this.length ? this.place(k, i) : null;
      if (at) open.push(at);
      else if (open.length) {
        runs.push(open);
        open = [];
      }
    }
    return runs;
  }
}

/** How many of the nearest neighbours two embeddings have in common: the mean share, over points that both have. */
export function agreement(
  ours: ArrayLike<number>,
  theirs: ArrayLike<number>,
  k: number,
  place: ArrayLike<number>,
  points?: readonly number[],
): { readonly share: number; readonly points: number } {
  let [sum, n] = [0, 0];
  const one = (i: number): void => {
    const at = place[i];
    if (at < 0) return;
    const known = new Set<number>();
    for (let j = 0; j < k; j++) known.add(theirs[k * at + j]);
    let common = 0;
    for (let j = 0; j < k; j++) if (known.has(place[ours[k * i + j]])) common++;
    sum += common / k;
    n++;
  };
  if (points) points.forEach(one);
  else for (let i = 0; i < place.length; i++) one(i);
  return { share: n ? sum / n : 0, points: n };
}
