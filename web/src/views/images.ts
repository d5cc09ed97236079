// Logged pictures: a card a tag and run, a slider over every step that was logged.

import { type LazyCard, LazyCards } from "../lib/cards";
import { fromSeriesKey, seriesOf, shownSeries } from "../lib/catalog";
import { Player } from "../lib/controls";
import { h, put } from "../lib/dom";
import { count, times } from "../lib/format";
import { dot, empty, Frame, messageOf } from "../lib/frame";
import { numberOf } from "../lib/route";
import { Follower, GrowingImages } from "../lib/series";
import type { Images, Source } from "../source/source";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Pictures logged during training. Every logged step is kept and reachable; pixels are shown square when enlarged.";

class Card implements LazyCard {
  readonly el: HTMLElement;
  readonly #image = h("img", { alt: "", decoding: "async" });
  readonly #note = h("p", { class: "curve-note num" });
  readonly #player: Player;
  readonly #series = new GrowingImages();
  readonly #follower: Follower<Images>;
  #data: Images | undefined;
  #index = 0;

  constructor(
    readonly run: string,
    readonly tag: string,
    private readonly view: ImagesView,
  ) {
    this.#follower = new Follower(this.#series, (start) => view.source.images(run, tag, start, view.signal));
    this.#player = new Player("Step", (index) => this.#show(index));
    this.el = h(
      "article",
      { class: "card image-card", "aria-label": `Pictures ${tag}, ${run}` },
      h(
        "header",
        { class: "card-head" },
        h("h3", { title: tag }, tag),
        h("p", { class: "curve-note" }, dot(view.state.colours.get(run)), run),
      ),
      h(
        "button",
        {
          type: "button",
          class: "image-button",
          "aria-label": `Enlarge ${tag}`,
          onclick: () => view.enlarge(this),
        },
        this.#image,
      ),
      h("footer", { class: "card-foot" }, this.#player.el, this.#note),
    );
    this.el.addEventListener("keydown", (event) => this.#key(event));
  }

  get url(): string {
    return this.#image.src;
  }

  get caption(): string {
    return `${this.tag} · ${this.run} · ${this.#note.textContent}`;
  }

  async refresh(): Promise<void> {
    const { index: known, route } = this.view.state;
    const run = known.runs.find(({ name }) => name === this.run);
    const available = run ? (seriesOf(run, "image", this.tag)?.count ?? 0) : 0;
    await this.#follower.reach(available);
    if (this.#series.length === (this.#data?.step.length ?? 0)) return;
    const following = !this.#data || this.#index === this.#data.step.length - 1;
    this.#data = this.#series.all;
    const wanted = Array.from(this.#data.step).indexOf(numberOf(route, "step", -1));
    const index = wanted >= 0 ? wanted : following ? this.#data.step.length - 1 : this.#index;
    this.#show(index);
    await this.#image.decode();
  }

  fail(error: unknown): void {
    put(this.#note, messageOf(error));
  }

  destroy(): void {
    this.#player.stop();
  }

  #show(index: number): void {
    if (!this.#data || index < 0) return;
    this.#index = index;
    this.#player.update(Array.from(this.#data.step), index);
    const [height, width] = [this.#data.size[2 * index], this.#data.size[2 * index + 1]];
    this.#image.src = this.view.source.imageUrl(this.run, this.tag, index);
    this.#image.alt = `${this.tag} at step ${this.#data.step[index]}, ${width} by ${height} pixels`;
    this.#image.style.aspectRatio = `${width} / ${height}`;
    put(this.#note, `step ${count(this.#data.step[index])} · ${times(height, width)} px`);
  }

  #key(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && !(event.target instanceof HTMLInputElement)) this.#player.move(by);
  }
}

class ImagesView implements View {
  readonly #frame: Frame;
  readonly #cards = new LazyCards<Card>(() => this.state.ready());
  readonly #controller = new AbortController();
  /** Aborted when the view is left. */
  readonly signal = this.#controller.signal;
  readonly #dialog = h("dialog", { class: "zoom", "aria-label": "Enlarged picture" });
  #layout = "";

  constructor(
    el: HTMLElement,
    readonly source: Source,
    public state: ViewState,
  ) {
    this.#frame = new Frame(el);
    el.append(this.#dialog);
    this.#dialog.addEventListener("click", () => this.#dialog.close());
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const { index, route } = state;
    const wanted = route.params.q ?? "";
    const keys = shownSeries(index, "image", route.params.hide, wanted);
    this.#frame.head({
      view: "Images",
      explain: EXPLAIN,
      facts: [{ name: "series", value: count(keys.length) }],
    });
    this.#build(keys);
    if (!keys.length) this.#showEmpty(wanted);
    this.#cards.refresh();
  }

  enlarge(card: Card): void {
    put(this.#dialog, h("img", { src: card.url, alt: card.caption }), h("p", { class: "num" }, card.caption));
    this.#dialog.showModal();
  }

  destroy(): void {
    this.#controller.abort();
    this.#cards.destroy();
  }

  #showEmpty(wanted: string): void {
    const text = wanted
      ? `No tag of a shown run contains “${wanted}”.`
      : "Log pictures with SummaryWriter.add_image, or run the demonstration:";
    put(this.#frame.body, empty("No pictures", text, ...(wanted ? [] : ["convscope demo"])));
    this.state.ready();
  }

  #build(keys: readonly string[]): void {
    const layout = keys.join("\t");
    if (layout === this.#layout) return;
    this.#layout = layout;
    const cards = this.#cards.keep(keys, (key) => {
      const { run, tag } = fromSeriesKey(key);
      return new Card(run, tag, this);
    });
    put(this.#frame.body, h("div", { class: "card-grid" }, ...cards.map((card) => card.el)));
  }
}

export const mount: Mount = (el, source, state) => new ImagesView(el, source, state);
