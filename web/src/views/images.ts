// Logged pictures and films: a card a tag and run, one slider over the steps of all of them.

import { fromSeriesKey } from "../lib/catalog";
import { GrowingImages } from "../lib/series";
import type { Images, Source } from "../source/source";
import { PictureCard, type PictureHost } from "./panels/picturecard";
import { PictureLarge } from "./panels/picturelarge";
import { PicturePool } from "./panels/picturepool";
import { filterOf, PictureTools, sizeOf } from "./panels/picturetools";
import { StepPage } from "./panels/steppage";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Pictures and films logged during training. Every logged step is kept and reachable; enlarged pixels stay square.";
const LOG = "Log them with SummaryWriter.add_image, add_figure or add_video, or run the demonstration:";
const CHROME = 138; // head and foot of a card
const PADDING = 28;
const LEAST_WIDTH = 196;

class ImagesView implements View, PictureHost {
  readonly pool = new PicturePool();
  readonly #page: StepPage<Images, GrowingImages>;
  readonly #tools: PictureTools;
  readonly #large: PictureLarge;

  constructor(
    private readonly el: HTMLElement,
    readonly source: Source,
    state: ViewState,
  ) {
    this.#page = new StepPage(el, state, {
      kind: "image",
      heading: { view: "Images", explain: EXPLAIN },
      make: () => new GrowingImages(),
      fetch: (run, tag, start, signal) => source.images(run, tag, start, signal),
      stepsOf: (series) => series.all.step,
      card: (key) => new PictureCard(key, this),
      width: () => Math.max(LEAST_WIDTH, this.side + PADDING),
      height: () => this.side + CHROME,
      empty: ["No pictures", LOG, "convscope demo"],
    });
    this.#tools = new PictureTools(() => this.#page.state);
    this.#page.frame.tools.append(...this.#tools.parts);
    this.#large = new PictureLarge(el, this, () => this.#page.state);
    this.update(state);
  }

  get step(): number | null {
    return this.#page.step;
  }

  get own(): Map<string, number> {
    return this.#page.own;
  }

  get side(): number {
    return sizeOf(this.#page.state.route);
  }

  colour(run: string): string | undefined {
    return this.#page.state.colours.get(run);
  }

  async images(key: string): Promise<Images> {
    return (await this.#page.series(key)).all;
  }

  enlarge(key: string): void {
    const { run, tag } = fromSeriesKey(key);
    this.#page.state.navigate({ pic: tag, of: run, z: null });
  }

  busy(work: Promise<void>): void {
    this.#page.busy(work);
  }

  update(state: ViewState): void {
    this.el.style.setProperty("--picture-filter", filterOf(state.route));
    this.#tools.update(state.route);
    this.#page.update(state);
    this.#large.update(this.#page.runsOf(state.route.params.pic));
  }

  destroy(): void {
    this.#page.destroy();
    this.#large.destroy();
    this.pool.destroy();
  }
}

export const mount: Mount = (el, source, state) => new ImagesView(el, source, state);
