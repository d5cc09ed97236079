// Logged texts: every step of each tag and run, as formatted Markdown or as it was logged, with a search through them.

import { LazyCards } from "../lib/cards";
import { fromSeriesKey } from "../lib/catalog";
import { segmented, select, toggle } from "../lib/controls";
import { h, put } from "../lib/dom";
import { count } from "../lib/format";
import { empty, Frame } from "../lib/frame";
import { Marks } from "../lib/marks";
import { choiceOf } from "../lib/route";
import { shownSeries } from "../lib/runs";
import { StepBar, stepOf } from "../lib/stepbar";
import { stepKey } from "../lib/stepkeys";
import type { Address, Source } from "../source/source";
import { TextCard, type TextCardHost, type TextChoice } from "./panels/textcard";
import { TextStore } from "./panels/textstore";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Texts logged during training, every step of them. Markdown is formatted; scripts, styles and pictures from elsewhere are left out.";
const LAST = ["3", "5", "10", "25", "50"] as const;
/** So many cards are made at once; more on demand. */
const PAGE = 100;
/** Texts that are read for a search. */
const MOST_SEARCHED = 400;
const SEARCHED_AT_ONCE = 6;

class TextView implements View, TextCardHost {
  readonly marks = new Marks();
  readonly store: TextStore;
  choice: TextChoice = { step: null, most: 1, source: false, wanted: "", colours: new Map() };
  readonly #frame: Frame;
  readonly #cards = new LazyCards<TextCard>(() => this.state.ready());
  readonly #controller = new AbortController();
  readonly #bar = new StepBar((step) => this.state.navigate({ step }, true));
  readonly #mode = segmented(
    "Show",
    [
      { value: "step", text: "One step" },
      { value: "last", text: "List", title: "The last steps one under the other, the newest first" },
    ],
    "step",
    (mode) => this.state.navigate({ last: mode === "last" ? "10" : null }),
  );
  readonly #last = select(
    "Last",
    LAST.map((value) => ({ value, text: `${value} steps` })),
    "10",
    (last) => this.state.navigate({ last }, true),
  );
  readonly #source = toggle(
    "Source",
    false,
    (on) => this.state.navigate({ raw: on ? 1 : null }, true),
    "Show the text as it was logged",
  );
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  #layout = "";
  #limit = PAGE;
  /** Of the search that runs or is done: what was asked, and the keys whose text has it. */
  #search = { question: "", found: new Set<string>(), done: true };

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.store = new TextStore(source, this.#controller.signal);
    this.#frame = new Frame(el);
    put(this.#frame.tools, this.#mode.el, this.#last.el, this.#source.el, this.#bar.el);
    window.addEventListener("keydown", this.#keys);
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const { index, route, colours } = state;
    const last = route.params.last === undefined ? undefined : choiceOf(route, "last", ["10", ...LAST]);
    const raw = route.params.raw === "1";
    const wanted = route.params.q ?? "";
    this.choice = { step: stepOf(route), most: Number(last ?? 1), source: raw, wanted, colours };
    this.store.learn(index);
    this.#mode.set(last ? "last" : "step");
    this.#last.set(last ?? "10");
    this.#last.el.hidden = !last;
    this.#source.set(raw);
    const all = shownSeries(index, "text", route.params, "");
    this.#find(all, wanted);
    this.#show(all);
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#keys);
    this.#controller.abort();
    this.#cards.destroy();
    this.#bar.destroy();
    this.marks.clear();
  }

  wholeUrl(run: string, tag: string, index: number): Address {
    return this.source.textUrl(run, tag, index);
  }

  known(): void {
    this.#bar.update(this.store.steps(this.#layout.split("\0")), this.choice.step);
  }

  #show(all: readonly string[]): void {
    const { wanted } = this.choice;
    const part = wanted.toLocaleLowerCase();
    const keys = wanted ? all.filter((key) => hasTag(key, part) || this.#search.found.has(key)) : all;
    this.#frame.head({
      view: "Text",
      explain: EXPLAIN,
      facts: all.length
        ? [
            {
              name: "series",
              value: wanted ? `${count(keys.length)} of ${count(all.length)}` : count(all.length),
            },
          ]
        : [],
    });
    this.#frame.tools.hidden = !all.length;
    this.#build(keys);
    if (!keys.length) this.#showEmpty(all.length > 0);
    this.#cards.refresh();
    this.known();
  }

  #showEmpty(some: boolean): void {
    const { wanted } = this.choice;
    if (some && !this.#search.done)
      put(this.#frame.body, h("p", { class: "loading", role: "status" }, "Searching …"));
    else if (some)
      put(this.#frame.body, empty("No text", `No tag and no text that is shown contains “${wanted}”.`));
    else
      put(
        this.#frame.body,
        empty(
          "No texts yet",
          "Log them with SummaryWriter.add_text, or with add_text of torch.utils.tensorboard:",
          'writer.add_text("samples", "**Hello**", step)',
        ),
      );
    this.state.ready();
  }

  #build(keys: readonly string[]): void {
    const shown = keys.slice(0, this.#limit);
    const layout = shown.join("\0");
    if (layout === this.#layout && this.#frame.body.querySelector(".text-list")) return;
    this.#layout = layout;
    const cards = this.#cards.keep(shown, (key) => {
      const { run, tag } = fromSeriesKey(key);
      return new TextCard(key, run, tag, this);
    });
    put(
      this.#frame.body,
      h("div", { class: "text-list" }, ...cards.map((card) => card.el)),
      keys.length > shown.length ? this.#more(keys.length) : null,
    );
  }

  #more(all: number): HTMLElement {
    const more = (): void => {
      this.#limit += PAGE;
      this.update(this.state);
    };
    const text = `Show ${Math.min(PAGE, all - this.#limit)} more of ${count(all)}`;
    return h("button", { type: "button", class: "button text-more", onclick: more }, text);
  }

  /** Look into the texts that are shown of tags that do not match by name. */
  #find(all: readonly string[], wanted: string): void {
    const { step, most } = this.choice;
    const question = wanted ? [wanted, step, most, this.state.index.version].join("\n") : "";
    if (question === this.#search.question) return;
    const same = this.#search.question.startsWith(`${wanted}\n`);
    this.#search = { question, found: same ? this.#search.found : new Set(), done: !wanted };
    this.#frame.note();
    if (!wanted) return;
    const part = wanted.toLocaleLowerCase();
    const open = all.filter((key) => !hasTag(key, part));
    const searched = open.slice(0, Math.max(1, Math.floor(MOST_SEARCHED / most)));
    void this.#searchAll(searched, part, question).then(() => {
      if (this.#search.question !== question) return;
      this.#search.done = true;
      if (open.length > searched.length)
        this.#frame.note(
          `Of ${count(open.length)} series the first ${count(searched.length)} were searched.`,
        );
      this.#show(all);
    });
  }

  async #searchAll(keys: readonly string[], part: string, question: string): Promise<void> {
    const found = new Set<string>();
    const queue = [...keys];
    const work = async (): Promise<void> => {
      for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
        if (this.#search.question !== question) return;
        if (await this.#contains(key, part)) found.add(key);
      }
    };
    await Promise.all(Array.from({ length: SEARCHED_AT_ONCE }, work));
    if (this.#search.question === question) this.#search.found = found;
  }

  async #contains(key: string, part: string): Promise<boolean> {
    try {
      const entries = await this.store.entries(key, this.choice.step, this.choice.most);
      const texts = await Promise.all(entries.map((entry) => this.store.text(key, entry)));
      return texts.some(({ text }) => text.toLocaleLowerCase().includes(part));
    } catch {
      return false; // what cannot be read is not what is looked for; its card says why
    }
  }

  #key(event: KeyboardEvent): void {
    const by = stepKey(event);
    if (by) this.#bar.move(by);
  }
}

const hasTag = (key: string, part: string): boolean =>
  fromSeriesKey(key).tag.toLocaleLowerCase().includes(part);

export const mount: Mount = (el, source, state) => new TextView(el, source, state);
