// Recorded positions of an embedding: the frames of a projection, read part by part, scaled to fit.
import type { NumberArray, RecordInfo, RecordMeta, Source, Tensors } from "../source/source";
import type { Meta } from "./points";

/** One moment of a projection. */
export interface ProjectionFrame {
  /** (N, 3), centred and scaled so that nearly all points lie within ±1; z is 0 for flat ones. */
  readonly points: Float32Array;
  readonly flat: boolean;
  readonly meta: Meta;
  readonly iteration: number;
  /** NaN where there is none. */
  readonly kl: number;
}

/** The largest quantised position: 12 bits. */
const HIGHEST = 4095;
/** Of more points the spread is taken from every n-th of them. */
const SPREAD_OF = 50_000;

/** Centre the points and scale them by the 98th percentile of their distance. */
export function scaleToFit(points: ArrayLike<number>, dimensions: number): Float32Array {
  const n = Math.floor(points.length / dimensions);
  const used = Math.min(3, dimensions);
  const out = new Float32Array(3 * n);
  for (let d = 0; d < used; d++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += points[i * dimensions + d];
    mean /= n || 1;
    for (let i = 0; i < n; i++) out[3 * i + d] = points[i * dimensions + d] - mean;
  }
  const radius = spreadOf(out) || 1;
  for (let i = 0; i < out.length; i++) out[i] /= radius;
  return out;
}

function spreadOf(points: Float32Array): number {
  const n = points.length / 3;
  const stride = Math.max(1, Math.ceil(n / SPREAD_OF));
  const radii = new Float32Array(Math.ceil(n / stride));
  for (let k = 0; k < radii.length; k++) {
    const i = 3 * k * stride;
    radii[k] = Math.hypot(points[i], points[i + 1], points[i + 2]);
  }
  radii.sort();
  return radii[Math.floor(0.98 * (radii.length - 1))] ?? 0;
}

/** Why an array of this shape and length cannot place `count` points; empty if it can. */
export function misfit(shape: readonly number[], length: number, count: number): string {
  const [n = 0, dimensions = 0] = shape;
  if (shape.length !== 2 || dimensions < 1 || length !== n * dimensions)
    return `positions of shape ${shape.join(" × ") || "()"} place no points`;
  return n === count ? "" : `${n} positions do not fit the ${count} points of the embedding`;
}

/** Inflate a zlib stream. */
export async function inflated(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Frames as numbers 0…4095: what a record of kind `projection` holds, of several frames. */
export class PackedFrames {
  private constructor(
    private readonly values: Uint16Array,
    /** (F, d, 2): what 0 and 4095 stand for. */
    private readonly ranges: ArrayLike<number>,
    readonly count: number,
    readonly points: number,
    readonly dimensions: number,
  ) {}

  /** Low bytes of all values, then high bytes; each frame but the first is what the one before has to be changed by. */
  static async of(data: Uint8Array, ranges: NumberArray, shape: readonly number[]): Promise<PackedFrames> {
    const planes = await inflated(data);
    const [frames = 0, dimensions = 0] = shape;
    const size = planes.length / 2 / frames;
    if (!frames || !dimensions || size % dimensions)
      throw new Error(`${planes.length} bytes of frames do not fit ranges of shape ${shape.join(" × ")}`);
    return new PackedFrames(summed(planes, Math.round(size)), ranges, frames, size / dimensions, dimensions);
  }

  /** The positions (N, d) of a frame. */
  at(frame: number): Float32Array {
    const { dimensions } = this;
    const size = this.points * dimensions;
    const out = new Float32Array(size);
    for (let d = 0; d < dimensions; d++) {
      const low = this.ranges[2 * (frame * dimensions + d)];
      const step = (this.ranges[2 * (frame * dimensions + d) + 1] - low) / HIGHEST;
      for (let i = d; i < size; i += dimensions) out[i] = low + this.values[frame * size + i] * step;
    }
    return out;
  }
}

function summed(planes: Uint8Array, size: number): Uint16Array {
  const length = planes.length / 2;
  const values = new Uint16Array(length);
  for (let i = 0; i < length; i++) {
    const change = planes[i] | (planes[length + i] << 8);
    values[i] = i < size ? change : values[i - size] + change; // modulo 2^16
  }
  return values;
}

/** A record of a projection, read but for its frames. */
interface Part {
  readonly record: RecordMeta;
  readonly iterations: readonly number[];
  readonly kl: readonly number[];
  readonly frames: () => Promise<PackedFrames>;
}

interface Place {
  readonly part: Part;
  /** Which frame of the part; -1: the exact positions that end it. */
  readonly frame: number;
}

/** The frames of one projection: those recorded on the way, and the exact positions it has come to. */
export class FrameStore {
  readonly #parts = new Map<string, Promise<Part>>();
  readonly #exact = new Map<string, Promise<ProjectionFrame>>();
  #places: readonly Place[] = [];
  #iterations: readonly number[] = [];
  #kl: readonly number[] = [];

  constructor(
    private readonly source: Source,
    private readonly run: string,
    /** How many points the embedding has. */
    private readonly count: number,
    private readonly signal: AbortSignal,
  ) {}

  /** Iteration of each frame, known after {@link read}. */
  get iterations(): readonly number[] {
    return this.#iterations;
  }

  /** Divergence of each frame, NaN where there is none. */
  get kl(): readonly number[] {
    return this.#kl;
  }

  /** The exact positions that end a part, with its meta. */
  exact(record: RecordInfo): Promise<ProjectionFrame> {
    return kept(this.#exact, record.id, () => this.#fetchExact(record.id));
  }

  /** Learn which frames these records hold; only those of the projection that the last of them belongs to. */
  async read(records: readonly RecordInfo[]): Promise<void> {
    const parts = await Promise.all(
      records.map(({ id }) => kept(this.#parts, id, () => this.#fetchPart(id))),
    );
    const last = parts.at(-1)?.record.meta.projection;
    const own = parts.filter(({ record }) => record.meta.projection === last);
    const places = own.flatMap((part, i): Place[] => {
      const frames = part.iterations.map((_, frame): Place => ({ part, frame }));
      const end = Number(part.record.meta.iteration ?? 0);
      // The positions that end a part are also its last frame, rounded: the exact ones are shown where all ends.
      if (i === own.length - 1 && frames.length && part.iterations.at(-1) === end) frames.pop();
      return i === own.length - 1 || !frames.length ? [...frames, { part, frame: -1 }] : frames;
    });
    this.#places = places;
    this.#iterations = places.map(({ part, frame }) =>
      frame < 0 ? Number(part.record.meta.iteration ?? 0) : part.iterations[frame],
    );
    this.#kl = places.map(({ part, frame }) =>
      frame < 0 ? klOf(part.record.meta) : (part.kl[frame] ?? Number.NaN),
    );
  }

  /** Frame number `at` of those that {@link read} has found. */
  async frame(at: number): Promise<ProjectionFrame> {
    const place = this.#places[at];
    if (!place) throw new Error(`no frame ${at} here; there are ${this.#places.length}`);
    const { part, frame } = place;
    if (frame < 0) return this.exact(part.record as unknown as RecordInfo);
    const packed = await part.frames();
    const problem = misfit([packed.points, packed.dimensions], packed.points * packed.dimensions, this.count);
    if (problem) throw new Error(`${part.record.tag}: ${problem}`);
    return {
      points: scaleToFit(packed.at(frame), packed.dimensions),
      flat: packed.dimensions < 3,
      meta: part.record.meta,
      iteration: this.#iterations[at],
      kl: this.#kl[at],
    };
  }

  async #fetchPart(id: string): Promise<Part> {
    const record = await this.source.record(this.run, id, this.signal);
    const has = "frames" in record.arrays && "frame_iteration" in record.arrays;
    const arrays: Tensors = has
      ? await this.source.arrays(this.run, id, ["frame_iteration", "frame_kl"], this.signal)
      : {};
    let packed: Promise<PackedFrames> | undefined;
    return {
      record,
      iterations: Array.from(arrays.frame_iteration?.data ?? []),
      kl: Array.from(arrays.frame_kl?.data ?? []),
      frames: () => {
        packed ??= this.#fetchFrames(id);
        return packed;
      },
    };
  }

  async #fetchFrames(id: string): Promise<PackedFrames> {
    const { frames, frame_range } = await this.source.arrays(
      this.run,
      id,
      ["frames", "frame_range"],
      this.signal,
    );
    return PackedFrames.of(frames.data as Uint8Array, frame_range.data, frame_range.shape);
  }

  async #fetchExact(id: string): Promise<ProjectionFrame> {
    const [record, arrays] = await Promise.all([
      this.source.record(this.run, id, this.signal),
      this.source.arrays(this.run, id, ["points"], this.signal),
    ]);
    const { shape, data } = arrays.points;
    const problem = misfit(shape, data.length, this.count);
    if (problem) throw new Error(`${record.tag}, step ${record.step}: ${problem}`);
    const { meta } = record;
    return {
      points: scaleToFit(data, shape[1]),
      flat: shape[1] < 3,
      meta,
      iteration: Number(meta.iteration ?? 0),
      kl: klOf(meta),
    };
  }
}

const klOf = (meta: Meta): number => (typeof meta.kl === "number" ? meta.kl : Number.NaN);

/** What `make` promises, once; a failure is not kept. */
function kept<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key);
  if (found) return found;
  const made = make();
  known.set(key, made);
  made.catch(() => known.delete(key));
  return made;
}

/** Positions between two frames, written into `out`. */
export function blend(out: Float32Array, from: Float32Array, to: Float32Array, share: number): void {
  for (let i = 0; i < out.length; i++) out[i] = from[i] + (to[i] - from[i]) * share;
}
