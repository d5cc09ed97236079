// The index by increments: the server tells only of runs that have changed, and their series as columns by kind.
import type { Index, RunInfo, SeriesInfo, SeriesKind } from "./source";

/** The series of one kind: a value for each tag, or one for all of them. */
interface Columns {
  readonly tag: readonly string[];
  readonly count: number | readonly number[];
  readonly first_step: number | readonly number[];
  readonly last_step: number | readonly number[];
  readonly last_wall_time: number | readonly number[];
}

export interface PackedRun extends Omit<RunInfo, "series"> {
  readonly series: Readonly<Partial<Record<SeriesKind, Columns>>>;
}

/** An answer to what is new since a version; without `names` the runs are those that were known. */
export interface Changes extends Omit<Index, "runs"> {
  /** Whether it is everything: the version that was asked with is none of this server. */
  readonly whole: boolean;
  readonly names?: readonly string[];
  readonly runs: readonly PackedRun[];
}

/** The index as it was told so far. Runs that have not changed stay the same objects. */
export class MergedIndex {
  #runs = new Map<string, RunInfo>();
  #index: Index | undefined;

  /** The version to ask with. */
  get since(): number {
    return this.#index?.version ?? 0;
  }

  /** Take an answer to a question that was asked with `since`; an answer that comes late changes nothing. */
  take(changes: Changes, since: number): Index {
    const { whole, names, runs, ...more } = changes;
    const known = this.#index;
    if (known && !whole && (since > known.version || more.version < known.version)) return known;
    const fresh = new Map(runs.map((run) => [run.name, unpacked(run)]));
    const order = names ?? [...this.#runs.keys()];
    const before = this.#runs;
    this.#runs = new Map(
      order.flatMap((name) => {
        const run = fresh.get(name) ?? (whole ? undefined : before.get(name));
        return run ? [[name, run] as const] : [];
      }),
    );
    this.#index = { ...more, runs: [...this.#runs.values()] };
    return this.#index;
  }
}

function unpacked({ series, ...run }: PackedRun): RunInfo {
  const kinds = Object.entries(series) as [SeriesKind, Columns][];
  return { ...run, series: kinds.flatMap(([kind, columns]) => rows(kind, columns)) };
}

function rows(kind: SeriesKind, columns: Columns): SeriesInfo[] {
  const { tag, count, first_step, last_step, last_wall_time } = columns;
  return tag.map((name, i) => ({
    kind,
    tag: name,
    count: at(count, i),
    first_step: at(first_step, i),
    last_step: at(last_step, i),
    last_wall_time: at(last_wall_time, i),
  }));
}

const at = (column: number | readonly number[], i: number): number =>
  typeof column === "number" || column === null ? column : column[i];
