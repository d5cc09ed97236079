// Cards that load when they come into view: what the pages of curves, histograms and pictures share.
import { isAbort } from "./frame";

export interface LazyCard {
  readonly el: HTMLElement;
  /** Fetch what is new and draw it. */
  refresh(): Promise<void>;
  fail(error: unknown): void;
  destroy(): void;
}

export class LazyCards<C extends LazyCard> {
  readonly #cards = new Map<string, C>();
  readonly #visible = new Set<C>();
  readonly #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "240px" });
  #working = 0;

  /** `settled` is called whenever nothing is being fetched any more. */
  constructor(private readonly settled: () => void) {}

  /** The cards of these keys, in order: known ones are kept, new ones made, others destroyed. */
  keep(keys: readonly string[], make: (key: string) => C): C[] {
    for (const [key, card] of this.#cards) if (!keys.includes(key)) this.#forget(key, card);
    return keys.map((key) => {
      const card = this.#cards.get(key) ?? make(key);
      if (!this.#cards.has(key)) this.#observer.observe(card.el);
      this.#cards.set(key, card);
      return card;
    });
  }

  get visible(): readonly C[] {
    return [...this.#visible];
  }

  refresh(): void {
    for (const card of this.#visible) this.#refresh(card);
  }

  destroy(): void {
    this.#observer.disconnect();
    for (const [key, card] of this.#cards) this.#forget(key, card);
  }

  #forget(key: string, card: C): void {
    this.#observer.unobserve(card.el);
    this.#visible.delete(card);
    this.#cards.delete(key);
    card.destroy();
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    const byElement = new Map<Element, C>([...this.#cards.values()].map((card) => [card.el, card]));
    for (const entry of entries) {
      const card = byElement.get(entry.target);
      if (!card) continue;
      if (!entry.isIntersecting) this.#visible.delete(card);
      else if (!this.#visible.has(card)) {
        this.#visible.add(card);
        this.#refresh(card);
      }
    }
  }

  #refresh(card: C): void {
    this.#working++;
    card
      .refresh()
      .catch((error: unknown) => {
        if (!isAbort(error)) card.fail(error);
      })
      .finally(() => {
        this.#working--;
        if (this.#working === 0) this.settled();
      });
  }
}
