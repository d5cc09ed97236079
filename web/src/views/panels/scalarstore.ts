// The scalar series that were asked for, shared by all charts, and which runs have which tag.
import { seriesKey } from "../../lib/catalog";
import { editionsOf, Follower, GrowingSeries } from "../../lib/series";
import type { Index, RunInfo, Scalars, Source } from "../../source/source";

/** Points that are kept of charts that are no longer on the screen. */
const MOST_POINTS = 8_000_000;

interface Followed {
  readonly series: GrowingSeries;
  readonly follower: Follower<Scalars>;
}

export class SeriesStore {
  readonly #followed = new Map<string, Followed>();
  readonly #controller = new AbortController();
  #editions: ReadonlyMap<string, number | undefined> = new Map();

  constructor(private readonly source: Source) {}

  get(run: string, tag: string): GrowingSeries {
    return this.#of(run, tag).series;
  }

  /** Learn from the index which runs began anew. */
  learn(index: Index): void {
    this.#editions = editionsOf(index);
  }

  /** Fetch what was added since the last time; `count` points are known to be there. */
  reach(run: string, tag: string, count: number): Promise<void> {
    return this.#of(run, tag).follower.reach(count, this.#editions.get(run));
  }

  /** Forget series that none of the keys `used` names, the ones asked for longest ago first, while too many points are here. */
  trim(used: ReadonlySet<string>): void {
    let total = 0;
    for (const { series } of this.#followed.values()) total += series.length;
    for (const [key, { series }] of this.#followed) {
      if (total <= MOST_POINTS) return;
      if (used.has(key)) continue;
      total -= series.length;
      this.#followed.delete(key);
    }
  }

  destroy(): void {
    this.#controller.abort();
  }

  #of(run: string, tag: string): Followed {
    const key = seriesKey(run, tag);
    const known = this.#followed.get(key);
    if (known) return known;
    const { signal } = this.#controller;
    const series = new GrowingSeries();
    const follower = new Follower(series, (start) => this.source.scalars(run, tag, start, signal));
    this.#followed.set(key, { series, follower });
    return { series, follower };
  }
}

/** How many points each run has, by tag; tags in order of first appearance. */
export type TagRuns = ReadonlyMap<string, ReadonlyMap<string, number>>;

const answers = new WeakMap<readonly RunInfo[], TagRuns>();

export function tagRuns(index: Index): TagRuns {
  const known = answers.get(index.runs);
  if (known) return known;
  const tags = new Map<string, Map<string, number>>();
  for (const run of index.runs) {
    for (const { kind, tag, count } of run.series) {
      if (kind !== "scalar") continue;
      const runs = tags.get(tag);
      if (runs) runs.set(run.name, count);
      else tags.set(tag, new Map([[run.name, count]]));
    }
  }
  answers.set(index.runs, tags);
  return tags;
}
