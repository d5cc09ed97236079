// What the page of an embedding asks and waits for: the search, the neighbours of the chosen point, distances to it.
import type { Metric } from "../source/source";
import { isAbort, messageOf } from "./frame";
import type { Nearest, NearestAnswer } from "./nearest";
import { type Found, findPoints, NOTHING } from "./pointquery";
import type { EmbeddingData } from "./points";

export class PointQuestions {
  query = "";
  found: Found = NOTHING;
  /** Why nothing was searched. */
  problem = "";
  searching = false;
  near: NearestAnswer | undefined;
  nearProblem = "";
  distances: Float32Array | null = null;
  #search = new AbortController();
  #near = new AbortController();
  #far = new AbortController();
  #nearKey = "";
  #farKey = "";

  constructor(
    private readonly data: EmbeddingData,
    private readonly nearest: Nearest,
  ) {}

  stop(): void {
    for (const one of [this.#search, this.#near, this.#far]) one.abort();
  }

  /** Search; true once that has another answer than before. Several at once: only the last one counts. */
  async search(query: string): Promise<boolean> {
    if (query === this.query) return false;
    this.query = query;
    this.#search.abort();
    this.#search = new AbortController();
    const { signal } = this.#search;
    this.problem = "";
    this.searching = query.trim() !== "";
    if (!this.searching) {
      this.found = NOTHING;
      return true;
    }
    try {
      const found = await findPoints(query, this.data, signal);
      if (signal.aborted) return false;
      this.found = found;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return false;
      this.found = NOTHING;
      this.problem = messageOf(error);
    }
    this.searching = false;
    return true;
  }

  /** The neighbours of a point, -1 for none; true once they are others. */
  async neighbours(point: number, k: number, metric: Metric): Promise<boolean> {
    const key = `${point}/${k}/${metric}`;
    if (key === this.#nearKey) return false;
    this.#nearKey = key;
    this.#near.abort();
    this.#near = new AbortController();
    const { signal } = this.#near;
    this.near = undefined;
    this.nearProblem = "";
    if (point < 0) return true;
    try {
      const near = await this.nearest.neighbours(point, k, metric, signal);
      if (signal.aborted) return false;
      this.near = near;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return false;
      this.nearProblem = messageOf(error);
    }
    return true;
  }

  /** Distances of all points to one, for their colours; true once they are others. */
  async far(point: number, metric: Metric): Promise<boolean> {
    const key = `${point}/${metric}`;
    if (key === this.#farKey) return false;
    this.#farKey = key;
    this.#far.abort();
    this.#far = new AbortController();
    const { signal } = this.#far;
    this.distances = null;
    if (point < 0) return true;
    try {
      const distances = await this.nearest.distances(point, metric, signal);
      if (signal.aborted) return false;
      this.distances = distances;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return false;
    }
    return true;
  }
}
