// Logged texts of many series: which entries there are, and those that were read last.
import { fromSeriesKey } from "../../lib/catalog";
import { GrowingTensors } from "../../lib/series";
import { entryAt } from "../../lib/stepbar";
import type { Index, LoggedText, Source, Tensors } from "../../source/source";
import { SeriesStore } from "./pictureseries";

/** Characters of texts that are kept. */
const MOST_KEPT = 16 << 20;

export interface TextEntry {
  readonly index: number;
  readonly step: number;
  readonly wallTime: number;
  readonly bytes: number;
}

/** The entries that a card shows: the one at `step` (null: the last), or the last `most` up to it, the newest first. */
export function entriesAt(all: Tensors, step: number | null, most: number): TextEntry[] {
  const { step: steps, wall_time: times, bytes } = all;
  if (!steps?.data.length) return [];
  const last = entryAt(steps.data, step);
  const entry = (index: number): TextEntry => ({
    index,
    step: steps.data[index],
    wallTime: times.data[index],
    bytes: bytes.data[index],
  });
  return Array.from({ length: Math.min(most, last + 1) }, (_, back) => entry(last - back));
}

export class TextStore {
  readonly #series: SeriesStore<Tensors, GrowingTensors>;
  readonly #texts = new Map<string, Promise<LoggedText>>();
  #kept = 0;

  constructor(
    private readonly source: Source,
    private readonly signal: AbortSignal,
  ) {
    this.#series = new SeriesStore(
      () => new GrowingTensors(),
      (key, start) => {
        const { run, tag } = fromSeriesKey(key);
        return source.series(run, "text", tag, start, signal);
      },
      (series) => series.all.step?.data ?? [],
    );
  }

  learn(index: Index): void {
    this.#series.learn(index, "text");
  }

  steps(keys: readonly string[]): number[] {
    return this.#series.steps(keys);
  }

  async entries(key: string, step: number | null, most: number): Promise<TextEntry[]> {
    return entriesAt((await this.#series.reach(key)).all, step, most);
  }

  /** One text; asked for once as long as it is kept. */
  text(key: string, entry: TextEntry): Promise<LoggedText> {
    // A run that began anew has other texts under the same numbers.
    const name = `${key}\n${entry.index}\n${entry.step}\n${entry.wallTime}`;
    const known = this.#texts.get(name);
    if (known) return known;
    const { run, tag } = fromSeriesKey(key);
    const asked = this.source.text(run, tag, entry.index, this.signal);
    this.#texts.set(name, asked);
    asked.then(
      ({ text }) => this.#make(text.length),
      () => this.#texts.delete(name),
    );
    return asked;
  }

  /** Make room: beyond what is kept all are forgotten, and asked for again where they are shown. */
  #make(length: number): void {
    this.#kept += length;
    if (this.#kept <= MOST_KEPT) return;
    this.#texts.clear();
    this.#kept = 0;
  }
}
