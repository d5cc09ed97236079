// Rows of a large array of a record: fetched when they are drawn, several at once, and kept while there is room.
import type { NumberArray, Source, Tensor } from "../source/source";

const KEPT_BYTES = 24_000_000;
/** Rows that nobody asked for are fetched along if they cost less than another question. */
const GAP_BYTES = 2048;
const AT_ONCE_BYTES = 1_000_000;

/** Half-open ranges that cover `rows`; ranges up to `gap` rows apart become one, none is longer than `most`. */
export function rangesOf(rows: Iterable<number>, gap: number, most: number): [number, number][] {
  const ranges: [number, number][] = [];
  for (const row of [...new Set(rows)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && row - last[1] <= gap && row + 1 - last[0] <= most) last[1] = row + 1;
    else ranges.push([row, row + 1]);
  }
  return ranges;
}

interface Wanted {
  readonly row: number;
  readonly signal: AbortSignal | undefined;
  readonly give: (row: NumberArray) => void;
  readonly fail: (error: unknown) => void;
}

/** The rows (entries of the first axis) of one array. */
export class Rows {
  readonly #kept = new Map<number, NumberArray>();
  readonly #bytes: number;
  #wanted: Wanted[] = [];

  /** `size`: numbers in a row, of 4 bytes each; `ask` fetches rows from one number up to another. */
  constructor(
    private readonly size: number,
    private readonly ask: (start: number, stop: number) => Promise<Tensor>,
  ) {
    this.#bytes = 4 * size;
  }

  /** Rows of an array that is here. */
  static of(tensor: Tensor): Rows {
    const size = tensor.data.length / Math.max(1, tensor.shape[0]);
    const rows = new Rows(size, () => Promise.resolve(tensor));
    for (let row = 0; row < tensor.shape[0]; row++) {
      rows.#kept.set(row, tensor.data.subarray(row * size, (row + 1) * size));
    }
    return rows;
  }

  static from(source: Source, run: string, id: string, name: string, size: number): Rows {
    return new Rows(
      size,
      async (start, stop) => (await source.arrays(run, id, [name], undefined, [start, stop]))[name],
    );
  }

  /** A row that is here, undefined if it is not. */
  have(row: number): NumberArray | undefined {
    return this.#kept.get(row);
  }

  /** A row; what is asked for in one go is fetched together, unless `signal` is aborted before. */
  async want(row: number, signal?: AbortSignal): Promise<NumberArray> {
    const here = this.#kept.get(row);
    if (here) return here;
    return new Promise((give, fail) => {
      if (!this.#wanted.length) setTimeout(() => this.#flush());
      this.#wanted.push({ row, signal, give, fail });
    });
  }

  #flush(): void {
    const wanted = this.#wanted.filter(({ signal }) => !signal?.aborted);
    this.#wanted = [];
    const gap = Math.floor(GAP_BYTES / this.#bytes);
    const most = Math.max(1, Math.floor(AT_ONCE_BYTES / this.#bytes));
    for (const [start, stop] of rangesOf(
      wanted.map(({ row }) => row),
      gap,
      most,
    )) {
      const of = wanted.filter(({ row }) => row >= start && row < stop);
      this.ask(start, stop).then(
        ({ data }) => {
          for (let row = start; row < stop; row++)
            this.#keep(row, data.slice((row - start) * this.size, (row - start + 1) * this.size));
          for (const { row, give } of of)
            give(data.subarray((row - start) * this.size, (row - start + 1) * this.size));
        },
        (error: unknown) => {
          for (const { fail } of of) fail(error);
        },
      );
    }
  }

  #keep(row: number, data: NumberArray): void {
    this.#kept.delete(row);
    this.#kept.set(row, data);
    const room = Math.max(64, Math.floor(KEPT_BYTES / this.#bytes));
    if (this.#kept.size > room) this.#kept.delete(this.#kept.keys().next().value ?? row);
  }
}
