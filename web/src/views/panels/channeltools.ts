// The tool bar of a layer: what of each channel is shown, in which order, and which of them.

import { type Control, type Option, segmented, select, slider } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { number, percent, plural } from "../../lib/format";
import { ruleText } from "../../lib/overview";
import type { Change } from "../../lib/route";
import { type ChannelSort, isAsked, leastKey, MEASURES, type Measure, type Where } from "../../lib/topk";
import type { Rule } from "../../lib/topkdata";
import { MEASURE_TITLES } from "../../lib/topkpage";
import type { Shown } from "./channelcard";

const SHOWN: readonly Option<Shown>[] = [
  { value: "best", text: "Best", title: "The best patch of every channel, many at once" },
  { value: "patches", text: "Patches", title: "The receptive field in each picture" },
  { value: "projections", text: "Projections", title: "What in this image reached the channel" },
  { value: "both", text: "Both" },
];
const STATES: readonly Option<Where["state"] | "all">[] = [
  { value: "all", text: "All" },
  { value: "live", text: "Active", title: "Above 0 at some position of some image" },
  { value: "dead", text: "Dead", title: "Never above 0" },
];

/** What the tool bar stands at. */
export interface ToolState {
  readonly shown: Shown;
  readonly rules: readonly Rule[];
  readonly rule: Rule | undefined;
  readonly sort: ChannelSort;
  readonly where: Where;
  /** Whether the conditions are in sight although none is set. */
  readonly unfolded: boolean;
  /** What the channels of the layer can be judged by. */
  readonly measures: readonly Measure[];
  /** The largest activation of any channel. */
  readonly most: number;
  readonly channels: number;
  readonly left: number;
  /** What a search has found, in words. */
  readonly found: string;
}

type Least = ReturnType<typeof slider>;

export class ChannelTools {
  readonly el = h("div", { class: "channel-tools" });
  readonly #show: Control<Shown>;
  readonly #state: Control<Where["state"] | "all">;
  readonly #rule = h("span", { class: "control-slot" });
  readonly #sort = h("span", { class: "control-slot" });
  readonly #fold: HTMLButtonElement;
  readonly #clear: HTMLButtonElement;
  readonly #where = h("div", {
    class: "channel-where",
    role: "group",
    "aria-label": "Show only channels with",
  });
  readonly #count = h("output", { class: "num channel-count", role: "status", "data-testid": "shown" });
  readonly #found = h("p", { class: "muted channel-found", role: "status", "data-testid": "found" });
  readonly #least = new Map<Measure, Least>();
  #choices = "";
  #open = false;

  constructor(private readonly set: (change: Change) => void) {
    this.#show = segmented("Show", SHOWN, "both", (show) => set({ show }));
    this.#state = segmented("State", STATES, "all", (state) =>
      set({ where: state === "all" ? null : state }),
    );
    this.#fold = h(
      "button",
      {
        type: "button",
        class: "button",
        "aria-expanded": "false",
        onclick: () => set({ filter: this.#open ? null : 1, ...(this.#open ? this.#none() : {}) }),
      },
      "Filter",
    );
    this.#clear = h("button", { type: "button", class: "button", onclick: () => set(this.#none()) }, "Clear");
    for (const by of MEASURES) this.#least.set(by, this.#slider(by));
    put(this.#where, this.#state.el, ...[...this.#least.values()].map(({ el }) => el), this.#clear);
  }

  /** All the elements of the bar, in their order; `more` stands after the choices. */
  elements(more: HTMLElement): HTMLElement[] {
    return [this.#show.el, this.#rule, this.#sort, this.#fold, this.#count, more, this.#where, this.#found];
  }

  update(state: ToolState): void {
    const { shown, rules, where, measures, most, channels, left } = state;
    this.#show.set(shown);
    this.#show.el.hidden = false;
    for (const button of this.#show.el.querySelectorAll("button"))
      button.hidden =
        !rules.length && (button.textContent === "Projections" || button.textContent === "Both");
    this.#choose(state);
    this.#open = state.unfolded || isAsked(where);
    this.#fold.setAttribute("aria-expanded", String(this.#open));
    this.#where.hidden = !this.#open;
    this.#state.set(where.state || "all");
    this.#clear.hidden = !isAsked(where);
    for (const [by, control] of this.#least) {
      const least = where.least[by] ?? 0;
      control.el.hidden = !measures.includes(by) && !least;
      limit(control, by === "strength" ? most : 1, least);
    }
    const all = plural(channels, "channel");
    say(this.#count, left === channels ? all : `${left} of ${all}`);
    say(this.#found, state.found);
  }

  /** The rules and the orders there are: their lists change with the layer. */
  #choose({ rules, rule, sort, measures, shown }: ToolState): void {
    const sorts = sortsOf(measures);
    const choices = JSON.stringify([rules.map(({ name }) => name), sorts]);
    if (choices !== this.#choices) {
      this.#choices = choices;
      const named = rules.map(({ name }) => ({ value: name, text: ruleText(name) }));
      put(this.#rule, select("Rule", named, rule?.name ?? "", (name) => this.set({ rule: name })).el);
      put(this.#sort, select("Sort", sorts, sort, (by) => this.set({ sort: by === "index" ? null : by })).el);
    }
    this.#rule.hidden = rules.length < 2 || shown === "patches" || shown === "best";
    const [ruleField, sortField] = [this.#rule, this.#sort].map((slot) => slot.querySelector("select"));
    if (ruleField && rule) ruleField.value = rule.name;
    if (sortField) sortField.value = sort;
  }

  #slider(by: Measure): Least {
    const text = by === "sparsity" || by === "purity" ? percent : (value: number) => number(value, 3);
    return slider(
      MEASURE_TITLES[by][0],
      { min: 0, max: 1, step: 0.01 },
      0,
      (value) => this.set({ [leastKey(by)]: value > 0 ? Number(value.toPrecision(6)) : null, filter: 1 }),
      (value) => (value > 0 ? `≥ ${text(value)}` : "any"),
    );
  }

  #none = (): Change => ({
    where: null,
    ...Object.fromEntries(MEASURES.map((by) => [leastKey(by), null])),
  });
}

/** Replace a text only if it is another one: what is said again would be read aloud again. */
function say(el: HTMLElement, text: string): void {
  if (el.textContent !== text) put(el, text);
  el.hidden = !text;
}

const sortsOf = (measures: readonly Measure[]): Option<ChannelSort>[] => [
  { value: "index", text: "Index" },
  ...measures.map((by) => ({ value: by, text: MEASURE_TITLES[by][0], title: MEASURE_TITLES[by][1] })),
];

/** The orders that can be asked for. */
export const SORTS: readonly ChannelSort[] = ["index", ...MEASURES];

/** From 0 to the largest number, in steps that are round: a hundredth of 1, some dozens of any other. */
function limit(control: Least, most: number, value: number): void {
  const step = most === 1 ? 0.01 : 10 ** Math.floor(Math.log10(most || 1)) / 20;
  control.limit({ min: 0, max: Math.ceil(most / step) * step, step });
  control.set(value);
}
