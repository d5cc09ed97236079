// The entries of many series: fetched for the cards that are near, the least recently used forgotten.
import { seriesKey } from "../../lib/catalog";
import { Follower, type Growable } from "../../lib/series";
import { unionOfSteps } from "../../lib/stepbar";
import type { Index, SeriesInfo } from "../../source/source";

const KEPT = 512;

interface Held<P, G> {
  readonly series: G;
  readonly follower: Follower<P>;
}

export class SeriesStore<P, G extends Growable<P>> {
  readonly #held = new Map<string, Held<P, G>>();
  #counts = new Map<string, readonly [count: number, edition: number | undefined]>();

  constructor(
    private readonly make: () => G,
    private readonly fetch: (key: string, start: number) => Promise<P>,
    private readonly stepsOf: (series: G) => ArrayLike<number>,
  ) {}

  /** Learn from the index how many entries each series has. */
  learn(index: Index, kind: SeriesInfo["kind"]): void {
    this.#counts = new Map();
    for (const run of index.runs)
      for (const series of run.series)
        if (series.kind === kind)
          this.#counts.set(seriesKey(run.name, series.tag), [series.count, run.edition]);
  }

  /** The series of a key with all entries that the index knows of. */
  async reach(key: string): Promise<G> {
    const held = this.#held.get(key) ?? this.#begin(key);
    this.#held.delete(key);
    this.#held.set(key, held);
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= KEPT) break;
      this.#held.delete(oldest);
    }
    const [count, edition] = this.#counts.get(key) ?? [0, undefined];
    await held.follower.reach(count, edition);
    return held.series;
  }

  /** The steps of those of `keys` whose entries are here. */
  steps(keys: readonly string[]): number[] {
    const wanted = new Set(keys);
    const known = [...this.#held].filter(([key]) => wanted.has(key));
    return unionOfSteps(known.map(([, { series }]) => this.stepsOf(series)));
  }

  #begin(key: string): Held<P, G> {
    const series = this.make();
    return { series, follower: new Follower(series, (start) => this.fetch(key, start)) };
  }
}
