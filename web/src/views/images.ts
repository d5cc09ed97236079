// Logged pictures: a card a tag and run, a slider over every step that was logged.
import { allTags, seriesOf, shownRuns } from "../lib/catalog";
import { Player } from "../lib/controls";
import { h, put } from "../lib/dom";
import { dot, empty, Frame, isAbort, messageOf } from "../lib/frame";
import { count, times } from "../lib/format";
import { numberOf } from "../lib/route";
import type { Images, RunInfo, Source } from "../source/source";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN = "Pictures logged during training. Every logged step is kept and reachable; pixels are shown square when enlarged.";

class Card {
  readonly el: HTMLElement;
  visible = false;
  readonly #image = h("img", { alt: "", decoding: "async" });
  readonly #note = h("p", { class: "curve-note num" });
  readonly #player: Player;
  #data: Images | undefined;
  #index = 0;

  constructor(
    readonly run: string,
    readonly tag: string,
    colour: string,
    private readonly source: Source,
    enlarge: (card: Card) => void,
  ) {
    this.#player = new Player("Step", (index) => this.#show(index));
    this.el = h(
      "article",
      { class: "card image-card", "aria-label": `Pictures ${tag}, ${run}` },
      h("header", { class: "card-head" }, h("h3", { title: tag }, tag), h("p", { class: "curve-note" }, dot(colour), run)),
      h("button", { type: "button", class: "image-button", "aria-label": `Enlarge ${tag}`, onclick: () => enlarge(this) }, this.#image),
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

  async refresh(available: number, step: number, signal: AbortSignal): Promise<void> {
    if (this.#data && this.#data.step.length >= available) return;
    const following = !this.#data || this.#index === this.#data.step.length - 1;
    this.#data = await this.source.images(this.run, this.tag, 0, signal);
    const wanted = Array.from(this.#data.step).indexOf(step);
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
    this.#image.src = this.source.imageUrl(this.run, this.tag, index);
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
  readonly #cards = new Map<string, Card>();
  readonly #controller = new AbortController();
  readonly #dialog = h("dialog", { class: "zoom", "aria-label": "Enlarged picture" });
  readonly #observer: IntersectionObserver;
  #layout = "";
  #working = 0;

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#frame = new Frame(el);
    el.append(this.#dialog);
    this.#dialog.addEventListener("click", () => this.#dialog.close());
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "300px" });
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const wanted = (state.route.params.q ?? "").toLocaleLowerCase();
    const tags = allTags(state.index, "image").filter((tag) => tag.toLocaleLowerCase().includes(wanted));
    const pairs = tags.flatMap((tag) => this.#runs(tag).map((run) => ({ run: run.name, tag, colour: state.colours.get(run.name) ?? "" })));
    this.#frame.head({ view: "Images", explain: EXPLAIN, facts: [{ name: "series", value: count(pairs.length) }] });
    const layout = JSON.stringify(pairs);
    if (!pairs.length) this.#showEmpty(wanted);
    else if (layout !== this.#layout) this.#build(pairs);
    this.#layout = layout;
    for (const card of this.#cards.values()) if (card.visible) this.#refresh(card);
  }

  destroy(): void {
    this.#controller.abort();
    this.#observer.disconnect();
    for (const card of this.#cards.values()) card.destroy();
  }

  #runs(tag: string): RunInfo[] {
    return shownRuns(this.state.index, this.state.route.params.hide).filter((run) => seriesOf(run, "image", tag));
  }

  #showEmpty(wanted: string): void {
    const text = wanted ? `No tag of a shown run contains “${wanted}”.` : "Log pictures with SummaryWriter.add_image, or run the demonstration:";
    put(this.#frame.body, empty("No pictures", text, ...(wanted ? [] : ["convscope demo"])));
    this.state.ready();
  }

  #build(pairs: readonly { run: string; tag: string; colour: string }[]): void {
    for (const card of this.#cards.values()) card.destroy();
    this.#cards.clear();
    this.#observer.disconnect();
    for (const { run, tag, colour } of pairs) {
      this.#cards.set(`${run}\n${tag}`, new Card(run, tag, colour, this.source, (card) => this.#enlarge(card)));
    }
    const cards = [...this.#cards.values()];
    put(this.#frame.body, h("div", { class: "card-grid" }, ...cards.map((card) => card.el)));
    for (const card of cards) this.#observer.observe(card.el);
  }

  #enlarge(card: Card): void {
    put(this.#dialog, h("img", { src: card.url, alt: card.caption }), h("p", { class: "num" }, card.caption));
    this.#dialog.showModal();
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const card = [...this.#cards.values()].find(({ el }) => el === entry.target);
      if (!card) continue;
      const appeared = entry.isIntersecting && !card.visible;
      card.visible = entry.isIntersecting;
      if (appeared) this.#refresh(card);
    }
  }

  #refresh(card: Card): void {
    const run = this.state.index.runs.find(({ name }) => name === card.run);
    const available = run ? (seriesOf(run, "image", card.tag)?.count ?? 0) : 0;
    this.#working++;
    card
      .refresh(available, numberOf(this.state.route, "step", -1), this.#controller.signal)
      .catch((error: unknown) => {
        if (!isAbort(error)) card.fail(error);
      })
      .finally(() => {
        this.#working--;
        if (this.#working === 0) this.state.ready();
      });
  }
}

export const mount: Mount = (el, source, state) => new ImagesView(el, source, state);
