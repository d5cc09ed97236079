// The groups of cards on the page: closed ones hold none, open ones only those near the screen, however many tags there are.
import type { LazyCards } from "../../lib/cards";
import { arrange, h, put } from "../../lib/dom";
import { count } from "../../lib/format";
import type { ScalarCard } from "./scalarcard";
import type { ChartSpec } from "./scalarspec";

export interface Group {
  /** Tells it from the others, also in the address. */
  readonly key: string;
  readonly name: string;
  readonly specs: readonly ChartSpec[];
  readonly open: boolean;
}

/** Cards of a block: as many as fill whole rows of one to six columns. */
const BLOCK = 60;
/** Groups that are put on the page at a time. */
const PORTION = 60;
const ROW = 300;
const COLUMN = 356;

export interface SectionHost {
  readonly cards: LazyCards<ScalarCard>;
  make(spec: ChartSpec): ScalarCard;
  toggle(key: string): void;
}

/** A run of cards that is on the page as a whole or, far from the screen, as empty space of its height. */
class Block {
  readonly el = h("div", { class: "card-grid curve-grid" });
  near = false;
  #height = 0;

  constructor(public specs: readonly ChartSpec[]) {}

  fill(cards: readonly ScalarCard[]): void {
    this.el.style.minHeight = "";
    arrange(
      this.el,
      cards.map((card) => card.el),
    );
  }

  /** Leave space in place of the cards: as high as they were, or will be. */
  clear(width: number): void {
    if (this.el.childElementCount) this.#height = this.el.offsetHeight;
    const columns = Math.max(1, Math.floor(width / COLUMN));
    const height = this.#height || Math.ceil(this.specs.length / columns) * ROW;
    put(this.el);
    this.el.style.minHeight = `${height}px`;
  }
}

class Section {
  readonly el: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #count = h("span", { class: "count num" });
  readonly #body = h("div", { class: "group-body" });
  blocks: Block[] = [];
  #sign = "";

  constructor(group: Group, toggle: () => void) {
    this.#button = h(
      "button",
      { type: "button", class: "group-button", onclick: toggle },
      h("span", { class: "chevron", "aria-hidden": "true" }),
      group.name,
      this.#count,
    );
    this.el = h(
      "section",
      { class: "group", "aria-label": group.name },
      h("h2", { class: "group-title" }, this.#button),
      this.#body,
    );
  }

  /** True if blocks came or went. */
  update(group: Group): boolean {
    this.#button.setAttribute("aria-expanded", String(group.open));
    put(this.#count, count(group.specs.length));
    const sign = group.open ? group.specs.map(({ key }) => key).join("\n\n") : "";
    if (sign === this.#sign) return false;
    this.#sign = sign;
    this.blocks = group.open ? this.#cut(group.specs) : [];
    arrange(
      this.#body,
      this.blocks.map(({ el }) => el),
    );
    return true;
  }

  /** Blocks that are on the page already keep their place and their cards. */
  #cut(specs: readonly ChartSpec[]): Block[] {
    return Array.from({ length: Math.ceil(specs.length / BLOCK) }, (_, i) => {
      const own = specs.slice(i * BLOCK, (i + 1) * BLOCK);
      const block = this.blocks[i] ?? new Block(own);
      block.specs = own;
      return block;
    });
  }
}

export class ScalarSections {
  readonly el = h("div", { class: "view-body" });
  readonly #more = h("div", { class: "more-groups" });
  readonly #sections = new Map<string, Section>();
  readonly #blocks = new Map<Element, Block>();
  readonly #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "700px" });
  #groups: readonly Group[] = [];
  #portions = 1;

  constructor(private readonly host: SectionHost) {
    this.#observer.observe(this.#more);
  }

  update(groups: readonly Group[]): void {
    this.#groups = groups;
    this.#render();
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  #render(): void {
    const shown = this.#groups.slice(0, this.#portions * PORTION);
    const keys = new Set(shown.map(({ key }) => key));
    for (const key of this.#sections.keys()) if (!keys.has(key)) this.#sections.delete(key);
    let changed = false;
    const elements = shown.map((group) => {
      const section = this.#sections.get(group.key) ?? new Section(group, () => this.host.toggle(group.key));
      this.#sections.set(group.key, section);
      changed = section.update(group) || changed;
      return section.el;
    });
    this.#more.hidden = shown.length === this.#groups.length;
    arrange(this.el, [...elements, this.#more]);
    this.#watch();
    this.#fill();
  }

  /** Observe the blocks that are there now, and only those. */
  #watch(): void {
    const now = new Map(
      [...this.#sections.values()].flatMap(({ blocks }) => blocks.map((block) => [block.el, block])),
    );
    for (const el of this.#blocks.keys()) {
      if (now.has(el as HTMLDivElement)) continue;
      this.#observer.unobserve(el);
      this.#blocks.delete(el);
    }
    for (const [el, block] of now) {
      if (this.#blocks.has(el)) continue;
      this.#blocks.set(el, block);
      block.clear(this.el.clientWidth);
      this.#observer.observe(el);
    }
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    let more = false;
    for (const { target, isIntersecting } of entries) {
      const block = this.#blocks.get(target);
      if (block) block.near = isIntersecting;
      else if (target === this.#more && isIntersecting) more = true;
    }
    if (more) {
      this.#portions++;
      this.#render();
      // It is told of again only when it leaves and comes back, and it may not leave.
      this.#observer.unobserve(this.#more);
      this.#observer.observe(this.#more);
    } else this.#fill();
  }

  /** The cards of all blocks near the screen, and of no others. */
  #fill(): void {
    const near = [...this.#blocks.values()].filter((block) => block.near);
    const specs = new Map(near.flatMap((block) => block.specs.map((spec) => [spec.key, spec])));
    for (const block of this.#blocks.values())
      if (!block.near && block.el.childElementCount) block.clear(this.el.clientWidth);
    const made = this.host.cards.keep([...specs.keys()], (key) =>
      this.host.make(specs.get(key) as ChartSpec),
    );
    const cards = new Map(made.map((card) => [card.spec.key, card]));
    for (const block of near)
      block.fill(block.specs.map(({ key }) => cards.get(key)).filter((card) => card !== undefined));
  }
}
