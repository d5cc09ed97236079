// The layouts of an embedding at its steps, fetched once each: exact positions and what each point is.
import type { NumberArray, RecordInfo, RunInfo, Source } from "../source/source";
import { projectionsOf } from "./catalog";
import { misfit, scaleToFit } from "./frames";
import type { Layout } from "./timeline";

/** An embedding and the last part of its projection. */
export interface Recorded {
  readonly embedding: RecordInfo;
  readonly projection: RecordInfo;
}

/** The steps at which an embedding has a projection of this name, in order. */
export function recordedSteps(
  run: RunInfo,
  embeddings: readonly RecordInfo[],
  name: string,
): readonly Recorded[] {
  const found: Recorded[] = [];
  for (const embedding of embeddings) {
    const projection = projectionsOf(run, embedding).get(`${embedding.tag}/${name}`)?.at(-1);
    if (projection) found.push({ embedding, projection });
  }
  return found;
}

export class LayoutStore {
  readonly #layouts = new Map<string, Promise<Layout>>();
  readonly #indices = new Map<string, Promise<NumberArray>>();

  constructor(private readonly source: Source) {}

  get(run: string, recorded: Recorded, signal: AbortSignal): Promise<Layout> {
    const { id } = recorded.projection;
    const known = this.#layouts.get(`${run}\n${id}`);
    if (known) return known;
    const fetched = this.#fetch(run, recorded, signal);
    this.#layouts.set(`${run}\n${id}`, fetched);
    fetched.catch(() => this.#layouts.delete(`${run}\n${id}`));
    return fetched;
  }

  /** What each point of an embedding is. */
  index(run: string, id: string, signal: AbortSignal): Promise<NumberArray> {
    const key = `${run}\n${id}`;
    const known = this.#indices.get(key);
    if (known) return known;
    const fetched = this.source.arrays(run, id, ["index"], signal).then(({ index }) => index.data);
    this.#indices.set(key, fetched);
    fetched.catch(() => this.#indices.delete(key));
    return fetched;
  }

  clear(): void {
    this.#layouts.clear();
    this.#indices.clear();
  }

  async #fetch(run: string, { embedding, projection }: Recorded, signal: AbortSignal): Promise<Layout> {
    const [index, arrays] = await Promise.all([
      this.index(run, embedding.id, signal),
      this.source.arrays(run, projection.id, ["points"], signal),
    ]);
    const { shape, data } = arrays.points;
    const problem = misfit(shape, data.length, index.length);
    if (problem) throw new Error(`${projection.tag}, step ${projection.step}: ${problem}`);
    return { step: embedding.step, index, points: scaleToFit(data, shape[1]), flat: shape[1] < 3 };
  }
}
