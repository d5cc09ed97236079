// Logged sounds: a player with its wave form for each tag and run, one slider over the steps of all of them.

import { GrowingTensors } from "../lib/series";
import type { Source, Tensors } from "../source/source";
import { PicturePool } from "./panels/picturepool";
import { layoutTool } from "./panels/picturetools";
import { SoundCard, type SoundHost } from "./panels/soundcard";
import { layoutOf, StepPage } from "./panels/steppage";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Sounds logged during training. Every logged step is kept and reachable; the wave form runs from −1 to 1.";
const WIDTH = 320;
const HEIGHT = 282;

class AudioView implements View, SoundHost {
  readonly pool = new PicturePool();
  readonly #page: StepPage<Tensors, GrowingTensors>;
  readonly #layout: ReturnType<typeof layoutTool>;

  constructor(
    el: HTMLElement,
    readonly source: Source,
    state: ViewState,
  ) {
    this.#page = new StepPage(el, state, {
      kind: "audio",
      heading: { view: "Audio", explain: EXPLAIN },
      make: () => new GrowingTensors(),
      fetch: (run, tag, start, signal) => source.series(run, "audio", tag, start, signal),
      stepsOf: (series) => series.all.step?.data ?? [],
      card: (key) => new SoundCard(key, this),
      width: () => WIDTH,
      height: () => HEIGHT,
      empty: [
        "No sounds",
        "Log them from a program:",
        "SummaryWriter.add_audio(tag, samples, step, sample_rate=16000)",
      ],
    });
    this.#layout = layoutTool(() => this.#page.state);
    this.#page.frame.tools.append(this.#layout.el);
    this.update(state);
  }

  get step(): number | null {
    return this.#page.step;
  }

  get own(): Map<string, number> {
    return this.#page.own;
  }

  colour(run: string): string | undefined {
    return this.#page.state.colours.get(run);
  }

  async sounds(key: string): Promise<Tensors> {
    return (await this.#page.series(key)).all;
  }

  busy(work: Promise<void>): void {
    this.#page.busy(work);
  }

  update(state: ViewState): void {
    this.#layout.set(layoutOf(state.route));
    this.#page.update(state);
  }

  destroy(): void {
    this.#page.destroy();
    this.pool.destroy();
  }
}

export const mount: Mount = (el, source, state) => new AudioView(el, source, state);
