// The custom charts of the shown runs: asked for once a run, and only where the index says that there are some.
import { isAbort } from "../../lib/frame";
import type { Layout, RunInfo, Source } from "../../source/source";

export class Layouts {
  readonly #asked = new Map<string, string>();
  readonly #known = new Map<string, Layout>();
  readonly #controller = new AbortController();

  /** `changed` is called when layouts came. */
  constructor(
    private readonly source: Source,
    private readonly changed: () => void,
  ) {}

  /** The layouts of these runs as far as they are here; what is missing is fetched. */
  of(runs: readonly RunInfo[]): Layout[] {
    for (const run of runs) {
      const info = run.series.find(({ kind }) => kind === "layout");
      const sign = info ? `${run.edition} ${info.count} ${info.last_wall_time}` : "";
      if (!sign) this.#known.delete(run.name);
      if (!sign || this.#asked.get(run.name) === sign) continue;
      this.#asked.set(run.name, sign);
      void this.#fetch(run.name);
    }
    return runs.flatMap(({ name }) => this.#known.get(name) ?? []);
  }

  destroy(): void {
    this.#controller.abort();
  }

  async #fetch(run: string): Promise<void> {
    try {
      this.#known.set(run, await this.source.layout(run, this.#controller.signal));
      this.changed();
    } catch (error) {
      // The curves themselves are there all the same; with the next news it is asked again.
      if (!isAbort(error)) this.#asked.delete(run);
    }
  }
}
