// Curves: one card a tag, one line a run, in groups by what stands before the slash; all charts share axes and cursor.

import { LazyCards } from "../lib/cards";
import { splitList } from "../lib/catalog";
import type { Cursor } from "../lib/curve";
import { put } from "../lib/dom";
import { count, plural } from "../lib/format";
import { empty, Frame } from "../lib/frame";
import { categorical } from "../lib/palette";
import { runDash, runGroups, shownRuns } from "../lib/runs";
import type { CurveOptions, Range } from "../lib/scene";
import type { Index, Source } from "../source/source";
import { type CardHost, type CardList, ScalarCard } from "./panels/scalarcard";
import { groupsOf, matchingTags, openAll, toggled, toggledGroup } from "./panels/scalargroups";
import { Layouts } from "./panels/scalarlayouts";
import { type Group, ScalarSections } from "./panels/scalarsections";
import type { Material } from "./panels/scalarspec";
import { SeriesStore, tagRuns } from "./panels/scalarstore";
import { ScalarTip } from "./panels/scalartip";
import { optionsOf, ScalarTools, tipOrder, zoomText } from "./panels/scalartools";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Numbers logged during training, one colour a run. Every logged point is here; the faint line is the raw curve, the strong one its smoothed course.";
/** Keys that say which groups there are; the others say how they are drawn. */
const GROUP_KEYS = ["q", "pins", "closed", "open"] as const;

class ScalarsView implements View, CardHost {
  readonly #store: SeriesStore;
  readonly #layouts: Layouts;
  readonly #frame: Frame;
  readonly #tools: ScalarTools;
  readonly #tip = new ScalarTip();
  readonly #cards = new LazyCards<ScalarCard>(() => this.state.ready());
  readonly #sections: ScalarSections;
  #material: Material | undefined;
  #groups: readonly Group[] = [];
  #sign: readonly unknown[] = [];
  #matching = 0;
  /** Names of the runs that have curves. */
  #capable: ReadonlySet<string> = new Set();

  constructor(
    el: HTMLElement,
    source: Source,
    public state: ViewState,
  ) {
    this.#store = new SeriesStore(source);
    this.#layouts = new Layouts(source, () => this.update(this.state));
    this.#frame = new Frame(el);
    this.#tools = new ScalarTools({
      navigate: (change, replace) => this.state.navigate(change, replace),
      openAll: (open) => this.state.navigate({ ...openAll(open) }),
    });
    this.#sections = new ScalarSections({
      cards: this.#cards,
      make: (spec) => new ScalarCard(spec, this),
      toggle: (key) => this.state.navigate({ ...toggledGroup(this.state.route.params, key) }, true),
    });
    put(this.#frame.tools, ...this.#tools.elements);
    el.append(this.#tip.el);
    this.update(state);
  }

  material(): Material {
    const { state } = this;
    this.#material ??= {
      store: this.#store,
      tags: tagRuns(state.index),
      groups: runGroups(state.index, state.route.params),
      colours: state.colours,
      dashes: dashesOf(state.index, state.colours),
      colourOf: (place) => categorical(place, state.theme),
    };
    return this.#material;
  }

  options(): CurveOptions {
    return optionsOf(this.state.route);
  }

  by(): string {
    return this.state.route.params.by ?? "";
  }

  has(list: CardList, name: string): boolean {
    return splitList(this.state.route.params[list]).includes(name);
  }

  toggle(list: CardList, name: string): void {
    this.state.navigate({ [list]: toggled(this.state.route.params[list], name) }, true);
  }

  sort(by: string): void {
    this.state.navigate({ by: by || null }, true);
  }

  zoom(range: Range | null, moving: boolean): void {
    this.state.navigate({ zoom: zoomText(range) }, moving);
  }

  point(title: string, cursor: Cursor | null): void {
    const { route } = this.state;
    this.#tip.show(title, cursor, { order: tipOrder(route), smoothing: this.options().smoothing });
  }

  rested(): void {
    this.#store.trim(new Set(this.#cards.visible.flatMap((card) => card.series)));
  }

  update(state: ViewState): void {
    this.state = state;
    this.#material = undefined;
    this.#store.learn(state.index);
    const { params } = state.route;
    const known = tagRuns(state.index);
    const shown = shownRuns(state.index, params);
    const layouts = this.#layouts.of(shown);
    const sign = [known, layouts.length, ...layouts, ...GROUP_KEYS.map((key) => params[key])];
    if (sign.length !== this.#sign.length || sign.some((part, i) => part !== this.#sign[i])) {
      const tags = matchingTags([...known.keys()], params.q ?? "");
      this.#groups = groupsOf({ tags, known: new Set(known.keys()), layouts, params });
      this.#sign = sign;
      this.#matching = tags.length;
      this.#capable = new Set([...known.values()].flatMap((runs) => [...runs.keys()]));
      this.#place();
    }
    this.#tools.update(state.route, this.#groups.length);
    this.#tip.park(params.tip === "park");
    this.#head();
    this.#cards.refresh();
  }

  destroy(): void {
    this.#cards.destroy();
    this.#sections.destroy();
    this.#store.destroy();
    this.#layouts.destroy();
    this.#tip.destroy();
  }

  #head(): void {
    const { index, route } = this.state;
    const known = tagRuns(index);
    const visible = shownRuns(index, route.params).filter(({ name }) => this.#capable.has(name));
    const facts = [
      {
        name: "curves",
        value:
          this.#matching < known.size
            ? `${count(this.#matching)} of ${count(known.size)}`
            : count(known.size),
      },
      { name: "runs shown", value: `${count(visible.length)} of ${count(this.#capable.size)}` },
    ];
    this.#frame.head({ view: "Scalars", explain: EXPLAIN, facts });
  }

  #place(): void {
    if (!this.#groups.length) return this.#showEmpty();
    this.#sections.update(this.#groups);
    if (!this.#sections.el.isConnected) put(this.#frame.body, this.#sections.el);
    // No card will say that it is drawn.
    if (!this.#groups.some(({ open }) => open)) this.state.ready();
  }

  #showEmpty(): void {
    const all = tagRuns(this.state.index).size;
    const content =
      all && !this.#matching
        ? empty(
            "No such tag",
            `No tag contains “${this.state.route.params.q}”; ${plural(all, "tag")} in all.`,
          )
        : empty(
            "No curves yet",
            "Log numbers with SummaryWriter.add_scalar, or run the demonstration:",
            "convscope demo",
          );
    this.#sections.update([]);
    put(this.#frame.body, content);
    this.state.ready();
  }
}

/** Runs of one colour differ by the dash of their lines: the first has none. */
function dashesOf(index: Index, colours: ReadonlyMap<string, string>): Map<string, readonly number[]> {
  const used = new Map<string | undefined, number>();
  return new Map(
    index.runs.map(({ name }) => {
      const round = used.get(colours.get(name)) ?? 0;
      used.set(colours.get(name), round + 1);
      return [name, runDash(12 * round)];
    }),
  );
}

export const mount: Mount = (el, source, state) => new ScalarsView(el, source, state);
