// Recorded positions of an embedding: frames of a projection, fetched when needed, scaled to fit.
import type { Json, RecordInfo, Source } from "../source/source";

export interface ProjectionFrame {
  /** (N, 3), centred and scaled so that nearly all points lie within ±1; z is 0 for flat ones. */
  readonly points: Float32Array;
  readonly flat: boolean;
  readonly meta: Readonly<Record<string, Json>>;
}

/** Centre the points and scale them by the 98th percentile of their distance. */
export function scaleToFit(points: ArrayLike<number>, dimensions: number): Float32Array {
  const n = Math.floor(points.length / dimensions);
  const used = Math.min(3, dimensions);
  const out = new Float32Array(3 * n);
  for (let d = 0; d < used; d++) {
    let mean = 0;
    for (let i = 0; i < n; i++) mean += points[i * dimensions + d] / n;
    for (let i = 0; i < n; i++) out[3 * i + d] = points[i * dimensions + d] - mean;
  }
  const radii = Float32Array.from({ length: n }, (_, i) =>
    Math.hypot(out[3 * i], out[3 * i + 1], out[3 * i + 2]),
  ).sort();
  const radius = radii[Math.floor(0.98 * (n - 1))] || 1;
  return out.map((value) => value / radius);
}

/** Why an array of this shape and length cannot place `count` points; empty if it can. */
export function misfit(shape: readonly number[], length: number, count: number): string {
  const [n = 0, dimensions = 0] = shape;
  if (shape.length !== 2 || dimensions < 1 || length !== n * dimensions)
    return `positions of shape ${shape.join(" × ") || "()"} place no points`;
  return n === count ? "" : `${n} positions do not fit the ${count} points of the embedding`;
}

export class FrameStore {
  readonly #frames = new Map<string, Promise<ProjectionFrame>>();

  constructor(
    private readonly source: Source,
    private readonly run: string,
    /** How many points the embedding has. */
    private readonly count: number,
    private readonly signal: AbortSignal,
  ) {}

  get(record: RecordInfo): Promise<ProjectionFrame> {
    let frame = this.#frames.get(record.id);
    if (!frame) {
      frame = this.#fetch(record.id);
      frame.catch(() => this.#frames.delete(record.id));
      this.#frames.set(record.id, frame);
    }
    return frame;
  }

  /** The divergences of these frames, fetched one after the other; frames that cannot be had are left out. */
  async divergence(records: readonly RecordInfo[]): Promise<number[]> {
    const values: number[] = [];
    for (const record of records) {
      if (this.signal.aborted) return values;
      const frame = await this.get(record).catch(() => undefined);
      if (typeof frame?.meta.kl === "number") values.push(frame.meta.kl);
    }
    return values;
  }

  async #fetch(id: string): Promise<ProjectionFrame> {
    const [record, arrays] = await Promise.all([
      this.source.record(this.run, id, this.signal),
      this.source.arrays(this.run, id, ["points"], this.signal),
    ]);
    const { shape, data } = arrays.points;
    const problem = misfit(shape, data.length, this.count);
    if (problem) throw new Error(`${record.tag}, step ${record.step}: ${problem}`);
    return { points: scaleToFit(data, shape[1]), flat: shape[1] < 3, meta: record.meta };
  }
}

/** Positions between two frames, written into `out`. */
export function blend(out: Float32Array, from: Float32Array, to: Float32Array, share: number): void {
  for (let i = 0; i < out.length; i++) out[i] = from[i] + (to[i] - from[i]) * share;
}
