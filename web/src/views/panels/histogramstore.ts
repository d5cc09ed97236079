// Histograms that were asked for, shared by the cards: a few series are kept, those looked at longest ago go first.
import { seriesKey, seriesOf } from "../../lib/catalog";
import { Follower, GrowingHistograms } from "../../lib/series";
import type { Histograms, Index, Source } from "../../source/source";

/** Series kept in memory beyond those on screen; a thousand steps of one are about two megabytes. */
const KEPT = 48;

interface Entry {
  readonly series: GrowingHistograms;
  readonly follower: Follower<Histograms>;
  /** How many cards show it. */
  users: number;
}

export class HistogramStore {
  readonly #entries = new Map<string, Entry>();

  constructor(
    private readonly source: Source,
    private readonly signal: AbortSignal,
  ) {}

  /** Every histogram of a tag that the index knows of. */
  async load(index: Index, run: string, tag: string): Promise<Histograms> {
    const entry = this.#touch(seriesKey(run, tag), run, tag);
    const info = index.runs.find(({ name }) => name === run);
    await entry.follower.reach(info ? (seriesOf(info, "histogram", tag)?.count ?? 0) : 0, info?.edition);
    return entry.series.all;
  }

  /** A card of a tag has come into view, or (-1) left it. */
  use(runs: readonly string[], tag: string, by: 1 | -1): void {
    for (const run of runs) {
      const entry = this.#touch(seriesKey(run, tag), run, tag);
      entry.users = Math.max(0, entry.users + by);
    }
    this.#shrink();
  }

  #touch(key: string, run: string, tag: string): Entry {
    const series = new GrowingHistograms();
    const entry = this.#entries.get(key) ?? {
      series,
      follower: new Follower<Histograms>(series, (start) =>
        this.source.histograms(run, tag, start, this.signal),
      ),
      users: 0,
    };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  #shrink(): void {
    let surplus = this.#entries.size - KEPT;
    for (const [key, { users }] of this.#entries) {
      if (surplus <= 0) return;
      if (users) continue;
      this.#entries.delete(key);
      surplus--;
    }
  }
}
