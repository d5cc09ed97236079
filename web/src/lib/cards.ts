// Cards that load when they come into view: what the pages of curves, histograms and pictures share.
import { isAbort } from "./frame";

export interface LazyCard {
  readonly el: HTMLElement;
  /** Fetch what is new and draw it. */
  refresh(): Promise<void>;
  fail(error: unknown): void;
  /** It left the screen: what can be made anew may go. */
  rest?(): void;
  destroy(): void;
}

export class LazyCards<C extends LazyCard> {
  readonly #cards = new Map<string, C>();
  readonly #byElement = new WeakMap<Element, C>();
  readonly #visible = new Set<C>();
  readonly #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "240px" });
  #working = 0;

  /** `settled` is called whenever nothing is being fetched any more. */
  constructor(private readonly settled: () => void) {}

  /** The cards of these keys, in order: known ones are kept, new ones made, others destroyed. */
  keep(keys: readonly string[], make: (key: string) => C): C[] {
    const kept = new Set(keys);
    for (const [key, card] of this.#cards) if (!kept.has(key)) this.#forget(key, card);
    return keys.map((key) => {
      const card = this.#cards.get(key) ?? make(key);
      if (!this.#cards.has(key)) this.#observer.observe(card.el);
      this.#byElement.set(card.el, card);
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
    this.#byElement.delete(card.el); // what it was about to tell comes too late
    this.#visible.delete(card);
    this.#cards.delete(key);
    card.destroy();
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const card = this.#byElement.get(entry.target);
      if (!card) continue;
      if (!entry.isIntersecting) {
        if (this.#visible.delete(card)) card.rest?.();
      } else if (!this.#visible.has(card)) {
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
