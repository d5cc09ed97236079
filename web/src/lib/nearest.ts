// Nearest neighbours and what tells a selection apart: from the server, else computed in the page, else as stored.
import type {
  EmbeddingPart,
  Metric,
  Neighbours,
  NumberArray,
  SelectionAnswer,
  Source,
} from "../source/source";
import { isAbort } from "./frame";
import type { EmbeddingData } from "./points";
import { Rows } from "./rows";

/** Vectors of more numbers than this are not fetched by the page. */
const MOST_NUMBERS = 8_000_000;
const MOST_CHANNELS = 24;

export interface NearestAnswer extends Neighbours {
  /** Who has computed them: the page says so where they are not what was asked for. */
  readonly from: "server" | "page" | "stored";
}

export interface Vectors {
  readonly data: NumberArray;
  readonly dim: number;
}

/** Distance of every vector to number `to`; NaN where one has no direction (cosine). */
export function distancesTo({ data, dim }: Vectors, to: number, metric: Metric): Float32Array {
  const n = data.length / dim;
  const out = new Float32Array(n);
  const wanted = data.subarray(to * dim, (to + 1) * dim);
  const size = lengthOf(wanted);
  for (let i = 0; i < n; i++) {
    let [dot, square] = [0, 0];
    for (let d = 0, at = i * dim; d < dim; d++, at++) {
      const value = data[at];
      if (metric === "cosine") {
        dot += value * wanted[d];
        square += value * value;
      } else square += (value - wanted[d]) ** 2;
    }
    // As the server has it: a vector without a direction is 1 away from all.
    out[i] = metric === "euclidean" ? Math.sqrt(square) : 1 - (dot && dot / (Math.sqrt(square) * size));
  }
  if (size > 0 || metric === "euclidean") out[to] = 0; // and not what rounding leaves
  return out;
}

function lengthOf(vector: NumberArray): number {
  let square = 0;
  for (let d = 0; d < vector.length; d++) square += vector[d] * vector[d];
  return Math.sqrt(square);
}

/** The `k` smallest of some distances but for number `but`, ties by number. */
export function smallest(distances: ArrayLike<number>, k: number, but: number): Neighbours {
  const index: number[] = [];
  const distance: number[] = [];
  for (let i = 0; i < distances.length; i++) {
    const value = distances[i];
    if (i === but || !(value < (distance.length < k ? Number.POSITIVE_INFINITY : distance[k - 1]))) continue;
    let at = distance.length;
    while (at > 0 && distance[at - 1] > value) at--;
    index.splice(at, 0, i);
    distance.splice(at, 0, value);
    if (index.length > k) {
      index.pop();
      distance.pop();
    }
  }
  return { index, distance, exact: true };
}

/** How much each channel of the selection differs from the rest, in standard deviations of all points. */
export function channelEffects(
  { data, dim }: Vectors,
  points: ArrayLike<number>,
  shape: readonly number[],
): SelectionAnswer["channels"] {
  const n = data.length / dim;
  const channels = shape.length && dim % shape[0] === 0 ? shape[0] : dim;
  const per = dim / channels;
  const within = new Float64Array(channels);
  const total = new Float64Array(channels);
  const squares = new Float64Array(channels);
  const chosen = new Uint8Array(n);
  for (let k = 0; k < points.length; k++) chosen[points[k]] = 1;
  for (let i = 0; i < n; i++)
    for (let c = 0; c < channels; c++) {
      let value = 0;
      for (let p = 0; p < per; p++) value += data[i * dim + c * per + p] / per;
      total[c] += value;
      squares[c] += value * value;
      if (chosen[i]) within[c] += value;
    }
  const [inside, outside] = [points.length, n - points.length];
  if (!inside || !outside) return [];
  const found = Array.from({ length: channels }, (_, channel) => {
    const mean = within[channel] / inside;
    const rest = (total[channel] - within[channel]) / outside;
    const variance = squares[channel] / n - (total[channel] / n) ** 2;
    const effect = variance > 1e-12 ? (mean - rest) / Math.sqrt(variance) : 0;
    return { channel, mean, rest, effect };
  });
  return found
    .filter(({ effect }) => effect !== 0)
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect) || a.channel - b.channel)
    .slice(0, MOST_CHANNELS);
}

export class Nearest {
  readonly #stored: { index: Rows; distance: Rows | undefined } | undefined;
  #vectors: Promise<Vectors | null> | undefined;

  constructor(
    private readonly source: Source,
    private readonly data: EmbeddingData,
  ) {
    const { run, record } = data;
    const rows = (name: string): Rows | undefined => {
      const size = record.arrays[name]?.shape[1];
      return size ? Rows.from(source, run, record.id, name, size) : undefined;
    };
    const index = rows("neighbours");
    this.#stored = index && { index, distance: rows("neighbour_distance") };
  }

  /** The points nearest to one; those stored with the embedding where nobody can compute them. */
  async neighbours(point: number, k: number, metric: Metric, signal: AbortSignal): Promise<NearestAnswer> {
    const { run, record } = this.data;
    const found = await this.#served((server) => server.neighbours(run, record.id, point, k, metric, signal));
    if (found) return { ...found, from: "server" };
    const vectors = await this.vectors();
    if (vectors) return { ...smallest(distancesTo(vectors, point, metric), k, point), from: "page" };
    if (!this.#stored) return { index: [], distance: [], exact: false, from: "stored" };
    const [index, distance] = await Promise.all([
      this.#stored.index.want(point, signal),
      this.#stored.distance?.want(point, signal),
    ]);
    const known = Array.from(index).filter((one) => one >= 0);
    return {
      index: known.slice(0, k),
      distance: known.slice(0, k).map((_, i) => distance?.[i] ?? Number.NaN),
      exact: true,
      from: "stored",
    };
  }

  /** Distances of all points to one, null where nobody can compute them. */
  async distances(point: number, metric: Metric, signal: AbortSignal): Promise<Float32Array | null> {
    const vectors = await this.vectors();
    if (vectors) return distancesTo(vectors, point, metric);
    const { run, record, count } = this.data;
    const found =
      count <= 20_000
        ? await this.#served((server) => server.neighbours(run, record.id, point, count - 1, metric, signal))
        : undefined;
    if (!found || found.index.length < count - 1) return null;
    const out = new Float32Array(count);
    found.index.forEach((one, i) => {
      out[one] = found.distance[i];
    });
    return out;
  }

  /** What tells a selection apart, without its channels where nobody can compute them. */
  async selection(
    points: Int32Array,
    metric: Metric,
    signal: AbortSignal,
  ): Promise<SelectionAnswer["channels"] | null> {
    const { run, record } = this.data;
    const found = await this.#served((server) =>
      server.selection(run, record.id, points, 10, metric, signal),
    );
    if (found) return found.channels;
    const vectors = await this.vectors();
    return vectors && channelEffects(vectors, points, shapeOf(this.data));
  }

  /** All vectors, where they are few enough to be fetched. */
  vectors(): Promise<Vectors | null> {
    this.#vectors ??= this.#fetch();
    return this.#vectors;
  }

  async #fetch(): Promise<Vectors | null> {
    const { run, record } = this.data;
    const [n = 0, dim = 0] = record.arrays.vector?.shape ?? [];
    if (!n || n * dim > MOST_NUMBERS) return null;
    const { vector } = await this.source.arrays(run, record.id, ["vector"]);
    return { data: vector.data, dim };
  }

  /** What the server answers; nothing where there is none that could, or where it fails. */
  async #served<T>(ask: (server: EmbeddingPart) => Promise<T>): Promise<T | undefined> {
    const server = this.source.embedding;
    if (!server) return undefined;
    try {
      return await ask(server);
    } catch (error) {
      if (isAbort(error)) throw error;
      return undefined;
    }
  }
}

function shapeOf(data: EmbeddingData): number[] {
  const { feature_shape: shape } = data.record.meta;
  return Array.isArray(shape) ? shape.filter((one): one is number => typeof one === "number") : [];
}
