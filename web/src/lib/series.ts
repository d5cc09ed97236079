// Series that grow: fetched once, then only what was added.
import type { Histograms, Images, Index, NumberArray, Scalars, Tensors } from "../source/source";

export type XAxis = "step" | "relative" | "wall";

/** Numbers to which more are appended, in an array of twice the size whenever it is full; the first are not copied. */
class Growing {
  length = 0;
  #data: Float64Array = new Float64Array();

  append(numbers: ArrayLike<number>): void {
    if (this.length === 0 && numbers instanceof Float64Array) {
      this.#data = numbers;
      this.length = numbers.length;
      return;
    }
    const length = this.length + numbers.length;
    if (length > this.#data.length) {
      const larger = new Float64Array(Math.max(256, length, 2 * this.#data.length));
      larger.set(this.data);
      this.#data = larger;
    }
    this.#data.set(numbers, this.length);
    this.length = length;
  }

  clear(): void {
    this.length = 0;
  }

  get data(): NumberArray {
    return this.#data.subarray(0, this.length);
  }
}

export class GrowingSeries {
  readonly #step = new Growing();
  readonly #wall = new Growing();
  readonly #value = new Growing();

  append(points: Scalars): void {
    this.#step.append(points.step);
    this.#wall.append(points.wallTime);
    this.#value.append(points.value);
  }

  clear(): void {
    for (const one of [this.#step, this.#wall, this.#value]) one.clear();
  }

  get length(): number {
    return this.#value.length;
  }

  get step(): NumberArray {
    return this.#step.data;
  }

  get wallTime(): NumberArray {
    return this.#wall.data;
  }

  get value(): NumberArray {
    return this.#value.data;
  }

  /** The x values of an axis; relative time is in seconds since the first point. */
  x(axis: XAxis): NumberArray {
    if (axis === "step") return this.step;
    if (axis === "wall") return this.wallTime;
    const wall = this.wallTime;
    return wall.map((time) => time - wall[0]);
  }
}

export class GrowingHistograms {
  readonly #step = new Growing();
  readonly #wall = new Growing();
  readonly #stats = new Growing();
  readonly #offset = new Growing();
  readonly #limit = new Growing();
  readonly #count = new Growing();
  readonly #special = new Growing();

  constructor() {
    this.#offset.append([0]);
  }

  append(part: Histograms): void {
    const start = this.#limit.length;
    this.#step.append(part.step);
    this.#wall.append(part.wallTime);
    this.#stats.append(part.stats);
    this.#offset.append(Array.from(part.offset.subarray(1), (end) => start + end));
    this.#limit.append(part.limit);
    this.#count.append(part.count);
    this.#special.append(part.special);
  }

  clear(): void {
    const columns = [
      this.#step,
      this.#wall,
      this.#stats,
      this.#limit,
      this.#count,
      this.#special,
      this.#offset,
    ];
    for (const one of columns) one.clear();
    this.#offset.append([0]);
  }

  get length(): number {
    return this.#step.length;
  }

  get all(): Histograms {
    return {
      step: this.#step.data,
      wallTime: this.#wall.data,
      stats: this.#stats.data,
      offset: this.#offset.data,
      limit: this.#limit.data,
      count: this.#count.data,
      special: this.#special.data,
    };
  }
}

export class GrowingImages {
  readonly #step = new Growing();
  readonly #wall = new Growing();
  readonly #size = new Growing();
  readonly #animated = new Growing();
  readonly #clipped = new Growing();

  append(part: Images): void {
    this.#step.append(part.step);
    this.#wall.append(part.wallTime);
    this.#size.append(part.size);
    this.#animated.append(part.animated);
    this.#clipped.append(part.clipped);
  }

  clear(): void {
    for (const one of [this.#step, this.#wall, this.#size, this.#animated, this.#clipped]) one.clear();
  }

  get length(): number {
    return this.#step.length;
  }

  get all(): Images {
    return {
      step: this.#step.data,
      wallTime: this.#wall.data,
      size: this.#size.data,
      animated: this.#animated.data,
      clipped: this.#clipped.data,
    };
  }
}

/** Named arrays whose first axis is the entries of a series; rows of other lengths are padded with NaN. */
export class GrowingTensors implements Growable<Tensors> {
  #length = 0;
  readonly #columns = new Map<string, { rest: readonly number[]; numbers: Growing }>();

  append(part: Tensors): void {
    const added = part.step?.shape[0] ?? 0;
    if (!added) return;
    for (const [name, { shape, data }] of Object.entries(part)) this.#add(name, shape.slice(1), data);
    this.#length += added;
  }

  clear(): void {
    this.#length = 0;
    this.#columns.clear();
  }

  get length(): number {
    return this.#length;
  }

  get all(): Tensors {
    return Object.fromEntries(
      [...this.#columns].map(([name, { rest, numbers }]) => [
        name,
        { shape: [this.#length, ...rest], data: numbers.data },
      ]),
    );
  }

  #add(name: string, rest: readonly number[], data: NumberArray): void {
    const column = this.#columns.get(name) ?? { rest, numbers: new Growing() };
    const known = column.rest[0] ?? 1;
    const width = Math.max(known, rest[0] ?? 1);
    if (width > known) {
      const numbers = new Growing();
      numbers.append(padded(column.numbers.data, known, width));
      this.#columns.set(name, { rest: [width, ...column.rest.slice(1)], numbers });
    } else if (!this.#columns.has(name)) this.#columns.set(name, column);
    this.#columns.get(name)?.numbers.append(padded(data, rest[0] ?? 1, width));
  }
}

/** Rows of `from` numbers as rows of `to`, filled with NaN. */
function padded(data: NumberArray, from: number, to: number): NumberArray {
  if (from === to || !from) return data;
  const rows = data.length / from;
  const wider = new Float64Array(rows * to).fill(Number.NaN);
  for (let row = 0; row < rows; row++) wider.set(data.subarray(row * from, (row + 1) * from), row * to);
  return wider;
}

export interface Growable<P> {
  readonly length: number;
  append(part: P): void;
  clear(): void;
}

/** The edition of each run by its name. */
export const editionsOf = ({ runs }: Pick<Index, "runs">): ReadonlyMap<string, number | undefined> =>
  new Map(runs.map(({ name, edition }) => [name, edition]));

/** Keeps a series up to date: asks for what follows the part that is here, one question at a time. */
export class Follower<P> {
  #pending: Promise<void> | undefined;
  #known = 0;
  #edition: number | undefined;
  /** How often the series began anew. */
  #age = 0;

  constructor(
    readonly series: Growable<P>,
    private readonly fetch: (start: number) => Promise<P>,
  ) {}

  /**
   * Fetch until `count` entries are here, or the source has no more.
   * Fewer than before, or another edition of the run: what is here counts no more.
   */
  async reach(count: number, edition?: number): Promise<void> {
    const anew = count < this.#known || (this.#known > 0 && edition !== this.#edition);
    this.#known = count;
    this.#edition = edition;
    if (anew) {
      this.#age++;
      this.#pending = undefined;
      this.series.clear();
    }
    const age = this.#age;
    while (age === this.#age && this.series.length < count) {
      const before = this.series.length;
      this.#pending ??= this.#grow();
      await this.#pending;
      if (this.series.length === before) return;
    }
  }

  async #grow(): Promise<void> {
    const age = this.#age;
    try {
      const part = await this.fetch(this.series.length);
      if (age === this.#age) this.series.append(part);
    } finally {
      if (age === this.#age) this.#pending = undefined;
    }
  }
}
