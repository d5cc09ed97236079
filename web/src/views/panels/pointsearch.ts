// What the search found: how many in each tier, of which classes, and the way from match to match.
import { h, put, refill } from "../../lib/dom";
import { count } from "../../lib/format";
import { type Found, NOTHING } from "../../lib/pointquery";
import { classCounts, type EmbeddingData } from "../../lib/points";
import type { Change } from "../../lib/route";
import { TIERS, type Tier } from "../../lib/search";
import { type PointCards, sampled } from "./pointcard";

export interface FoundState {
  readonly query: string;
  readonly found: Found;
  readonly tier: Tier | null;
  /** The points of the tier, rising. */
  readonly points: Int32Array;
  readonly chosen: number;
  /** Why nothing was searched, as a sentence. */
  readonly problem: string;
  readonly searching: boolean;
}

export const NO_SEARCH: FoundState = {
  query: "",
  found: NOTHING,
  tier: null,
  points: new Int32Array(),
  chosen: -1,
  problem: "",
  searching: false,
};

const NAMES: Readonly<Record<Tier, string>> = {
  exact: "whole name",
  word: "whole word",
  part: "part of a word",
};
const CLASSES = 8;
const PICTURES = 12;

interface Actions {
  readonly navigate: (change: Change, replace?: boolean) => void;
  readonly focus: (points: ArrayLike<number>) => void;
  readonly select: (points: ArrayLike<number>) => void;
}

export class PointFound {
  readonly el = h("section", { class: "block", "aria-live": "polite", "aria-label": "Search", hidden: true });
  #state: FoundState = NO_SEARCH;

  constructor(
    private readonly cards: PointCards,
    private readonly on: Actions,
  ) {}

  show(data: EmbeddingData, state: FoundState): void {
    const before = this.#state;
    this.#state = state;
    this.el.hidden = !state.query.trim();
    if (this.el.hidden) return put(this.el);
    const same =
      before.found === state.found &&
      before.tier === state.tier &&
      before.query === state.query &&
      before.searching === state.searching;
    if (same && before.problem === state.problem) return this.#place();
    if (state.problem)
      return put(this.el, title(state), h("p", { class: "notice", role: "alert" }, state.problem));
    if (state.searching) return put(this.el, title(state), h("p", { class: "loading" }, "Searching …"));
    const { points } = state;
    refill(
      this.el,
      title(state),
      this.#tiers(state),
      h(
        "p",
        { class: "muted", "data-testid": "matches" },
        points.length ? `${count(points.length)} of ${count(data.count)} match` : "Nothing matches.",
      ),
      points.length ? classes(data, points) : hint(),
      points.length ? this.#buttons(points) : null,
      points.length
        ? h("div", { class: "strip-thumbs" }, ...sampled(points, PICTURES).map((i) => this.cards.jump(i, 40)))
        : null,
    );
    this.#place();
  }

  /** Choose the match after the chosen point, or before it with -1. */
  step(by: number): void {
    const { points, chosen } = this.#state;
    if (!points.length) return;
    let at = by > 0 ? points.findIndex((i) => i > chosen) : points.findLastIndex((i) => i < chosen);
    if (at < 0) at = by > 0 ? 0 : points.length - 1;
    this.on.navigate({ point: points[at] }, true);
    this.on.focus([points[at]]);
  }

  #tiers({ found, tier }: FoundState): HTMLElement {
    const chips = TIERS.map((name) =>
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-pressed": String(name === tier),
          disabled: found.counts[name] === 0,
          onclick: () => this.on.navigate({ tier: name }),
        },
        NAMES[name],
        h("b", { class: "num" }, count(found.counts[name])),
      ),
    );
    return h("div", { class: "chips" }, ...chips);
  }

  #buttons(points: Int32Array): HTMLElement {
    const button = (text: string, label: string, act: () => void): HTMLElement =>
      h("button", { type: "button", class: "button", "aria-label": label, title: label, onclick: act }, text);
    return h(
      "div",
      { class: "points-buttons" },
      button("Zoom", "Zoom to matches", () => this.on.focus(points)),
      button("Select", "Select the matches", () => this.on.select(points)),
      h(
        "span",
        { class: "points-step" },
        button("‹", "Previous match", () => this.step(-1)),
        h("span", { class: "num muted", "data-at": "" }),
        button("›", "Next match", () => this.step(1)),
      ),
    );
  }

  #place(): void {
    const { points, chosen } = this.#state;
    const at = points.indexOf(chosen);
    const el = this.el.querySelector("[data-at]");
    if (el) put(el, at < 0 ? "" : `${count(at + 1)} / ${count(points.length)}`);
  }
}

const title = ({ query }: FoundState): HTMLElement => h("h3", {}, "“", h("bdi", {}, query), "”");

function classes(data: EmbeddingData, points: Int32Array): HTMLElement | null {
  const counts = classCounts(data.label, points).filter(([label]) => label >= 0);
  if (!counts.length) return null;
  const items = counts
    .slice(0, CLASSES)
    .map(([label, n]) =>
      h("li", {}, h("bdi", {}, data.className(label)), h("b", { class: "num" }, count(n))),
    );
  const more = counts.length - CLASSES;
  return h(
    "ul",
    { class: "points-classes", "aria-label": "Classes of the matches" },
    ...items,
    more > 0 ? h("li", { class: "muted" }, `and ${count(more)} more classes`) : null,
  );
}

const hint = (): HTMLElement =>
  h("p", { class: "muted" }, "Try part of a word, /an expression/, class:name, column:word or -word.");
