// The gradients of runs: moments of all their steps, fetched a few at a time, and the marks that follow from them.
import type { Histograms, RunInfo, Source, Tensors } from "../source/source";
import { seriesKey, seriesOf, tagsOf } from "./catalog";
import { isAbort } from "./frame";
import { isGradient, type Layer, type Mark, marksOf, type Thresholds } from "./gradients";
import { momentsOf } from "./histogram";
import { Follower, GrowingTensors } from "./series";

/** Questions on their way at once: the figures have theirs too. */
const AT_ONCE = 3;
/** Layers of one run that are compared; of more, the first. */
export const MOST_LAYERS = 500;

/** The tags of a run's gradients in the order in which they were first logged. */
export const gradientsOf = (run: RunInfo): readonly string[] =>
  tagsOf(run, "histogram").filter(isGradient).slice(0, MOST_LAYERS);

interface Entry {
  readonly series: GrowingTensors;
  readonly follower: Follower<Tensors>;
  layer?: Layer;
  /** Of the run that the layer is of. */
  edition?: number | undefined;
  /** Why the moments are not to be had; their layer is left out. */
  failed?: boolean;
}

export class GradientStore {
  readonly #entries = new Map<string, Entry>();
  readonly #marks = new Map<string, { key: string; marks: Map<string, Mark[]> }>();
  #running = false;
  #again: (() => void) | undefined;

  constructor(
    private readonly source: Source,
    private readonly signal: AbortSignal,
    /** The whole histograms, for what does not store its sums or comes from a file. */
    private readonly whole: (run: string, tag: string) => Promise<Histograms>,
  ) {}

  /** Fetch what is not known yet of some runs; `changed` is called as it comes in, `settled` when all is here. */
  follow(runs: readonly RunInfo[], changed: () => void, settled: () => void): void {
    this.#again = () => this.follow(runs, changed, settled);
    if (this.#running) return;
    this.#again = undefined;
    const wanted = runs.flatMap((run) =>
      gradientsOf(run)
        .filter((tag) => !this.#isCurrent(run, tag))
        .filter((tag) => !this.#entries.get(seriesKey(run.name, tag))?.failed)
        .map((tag) => ({ run, tag })),
    );
    if (wanted.length) void this.#fetch(wanted, changed, settled);
    else settled();
  }

  #isCurrent(run: RunInfo, tag: string): boolean {
    const entry = this.#entries.get(seriesKey(run.name, tag));
    return (entry?.layer?.step.length ?? 0) === countOf(run, tag) && entry?.edition === run.edition;
  }

  /** What is known of a gradient. */
  layer(run: string, tag: string): Layer | undefined {
    return this.#entries.get(seriesKey(run, tag))?.layer;
  }

  layers(run: RunInfo): Layer[] {
    return gradientsOf(run).flatMap((tag) => this.layer(run.name, tag) ?? []);
  }

  /** The marks of all gradients of a run, by tag; none before all of them are known, for they are compared. */
  marks(run: RunInfo, thresholds: Thresholds): ReadonlyMap<string, readonly Mark[]> {
    const layers = this.layers(run);
    if (layers.length < gradientsOf(run).filter((tag) => !this.#failed(run.name, tag)).length)
      return new Map();
    const key = JSON.stringify([thresholds, run.edition, layers.map(({ step }) => step.length)]);
    const known = this.#marks.get(run.name);
    if (known?.key === key) return known.marks;
    const marks = marksOf(layers, thresholds);
    this.#marks.set(run.name, { key, marks });
    return marks;
  }

  #failed(run: string, tag: string): boolean {
    return this.#entries.get(seriesKey(run, tag))?.failed ?? false;
  }

  async #fetch(
    wanted: readonly { run: RunInfo; tag: string }[],
    changed: () => void,
    settled: () => void,
  ): Promise<void> {
    this.#running = true;
    const queue = [...wanted];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next && !this.signal.aborted; next = queue.shift()) {
        await this.#reach(next.run, next.tag);
        changed();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.#running = false;
    if (this.#again) this.#again();
    else if (!this.signal.aborted) settled();
  }

  async #reach(run: RunInfo, tag: string): Promise<void> {
    const entry = this.#entry(run.name, tag);
    entry.edition = run.edition;
    try {
      await entry.follower.reach(countOf(run, tag), run.edition);
      const { step, stats, special } = entry.series.all;
      const data = momentsData(step?.data ?? [], stats?.data ?? [], special?.data ?? []);
      entry.layer = isTold(data) ? layerOf(tag, data) : layerOf(tag, await this.whole(run.name, tag));
    } catch (error) {
      if (isAbort(error)) return;
      await this.#fromWhole(entry, run.name, tag);
    }
  }

  async #fromWhole(entry: Entry, run: string, tag: string): Promise<void> {
    try {
      entry.layer = layerOf(tag, await this.whole(run, tag));
    } catch (error) {
      entry.failed = !isAbort(error);
    }
  }

  #entry(run: string, tag: string): Entry {
    const key = seriesKey(run, tag);
    const known = this.#entries.get(key);
    if (known) return known;
    const series = new GrowingTensors();
    const follower = new Follower<Tensors>(series, (start) =>
      this.source.series(run, "moments", tag, start, this.signal),
    );
    const entry: Entry = { series, follower };
    this.#entries.set(key, entry);
    return entry;
  }
}

const countOf = (run: RunInfo, tag: string): number => seriesOf(run, "histogram", tag)?.count ?? 0;

const NONE = new Float64Array();

function momentsData(
  step: ArrayLike<number>,
  stats: ArrayLike<number>,
  special: ArrayLike<number>,
): Histograms {
  const columns = {
    step: Float64Array.from(step),
    stats: Float64Array.from(stats),
    special: Float64Array.from(special),
  };
  const offset = new Float64Array(step.length + 1);
  return { ...columns, wallTime: NONE, offset, limit: NONE, count: NONE };
}

/** Whether the sums are stored wherever there are values. */
const isTold = ({ step, stats }: Histograms): boolean =>
  step.every((_, i) => !(stats[5 * i + 2] > 0) || Number.isFinite(stats[5 * i + 4]));

export const layerOf = (tag: string, data: Histograms): Layer => ({
  tag,
  step: data.step,
  rms: Float64Array.from(data.step, (_, i) => momentsOf(data, i).rms),
  broken: Float64Array.from(data.step, (_, i) => data.special[3 * i] + data.special[3 * i + 1]),
});
