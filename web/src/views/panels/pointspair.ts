// A second embedding beside the first: another layer, network, run or projection; linked by what the points are.
import { type Control, toggle } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { percent, plural } from "../../lib/format";
import { empty, isAbort, loading, messageOf } from "../../lib/frame";
import type { Emphasis } from "../../lib/highlight";
import { LayoutStore, type Recorded } from "../../lib/layouts";
import { Loader } from "../../lib/loader";
import { chosenPair, differing, type Pair, pairsOf, pairText, stepOf, translated } from "../../lib/pairs";
import type { ColourSpec } from "../../lib/pointcolours";
import { type EmbeddingData, fetchEmbedding } from "../../lib/points";
import { aligned, procrustes } from "../../lib/procrustes";
import type { Change } from "../../lib/route";
import type { SelectMode } from "../../lib/selection";
import type { PictureCache } from "../../lib/sheet";
import { agreement, matched } from "../../lib/timeline";
import type { Index, RecordInfo, RunInfo, Source } from "../../source/source";
import { PointMap } from "./pointmap";
import { ring, ringAt } from "./pointring";

/** What the panel asks of the page around it; all numbers are those of the first embedding's points. */
export interface PairActions {
  readonly navigate: (change: Change, replace?: boolean) => void;
  /** The pointer is over a point of the second map, -1: over none that the first has; where it is on the page. */
  readonly hover: (point: number, x: number, y: number) => void;
  /** A point of the second map was clicked. */
  readonly pick: (point: number) => void;
  /** Points were selected in the second map. */
  readonly select: (points: Int32Array, mode: SelectMode) => void;
}

export interface PairShown {
  readonly index: Index;
  readonly run: RunInfo;
  readonly data: EmbeddingData;
  /** The parts of the first map's projection. */
  readonly parts: readonly RecordInfo[];
  /** The first map. */
  readonly map: PointMap;
  /** The address key `pair`: "run|tag|projection"; undefined: one map only. */
  readonly pair: string | undefined;
}

/** What both maps say alike. */
export interface PairLook {
  readonly spec: ColourSpec;
  readonly emphasis: Emphasis;
  readonly selection: ArrayLike<number>;
}

const NEIGHBOURS = 10;
/** Layouts that differ more, as `procrustes` measures it, have other points at the same place: each has its own camera. */
const ALIKE = 0.5;

export class PointsPair {
  /** The second column; hidden without a pair. */
  readonly el: HTMLElement;
  /** The choice of the second embedding, for a tool bar; hidden where there is nothing to choose. */
  readonly choice: HTMLElement;
  readonly #select = h("select", { "aria-label": "Compare with" });
  readonly #stage = h("div", { class: "points-pair-stage" });
  readonly #title = h("p", { class: "points-pair-title mono" });
  readonly #facts = h("p", { class: "points-pair-facts", role: "status", "data-testid": "agreement" });
  readonly #map: PointMap;
  readonly #loader = new Loader();
  readonly #store: LayoutStore;
  readonly #rings: readonly [HTMLElement, HTMLElement] = [ring(), ring()];
  #shown: PairShown | undefined;
  #second: EmbeddingData | undefined;
  #look: PairLook | undefined;
  /** Of each point of the first embedding its number in the second, and the other way. */
  #there: Int32Array = new Int32Array();
  #back: Int32Array = new Int32Array();
  #near: readonly [ArrayLike<number>, ArrayLike<number>] | undefined;
  #choices = "";
  #key = "";
  #isLinked = false;
  /** What one has asked for; otherwise they are linked where the layouts are alike. */
  #wish: boolean | undefined;
  readonly #linked: Control<boolean>;
  #leads: "first" | "second" = "first";
  #controller = new AbortController();

  constructor(
    private readonly source: Source,
    pictures: PictureCache,
    private readonly actions: PairActions,
  ) {
    this.#store = new LayoutStore(source);
    this.#select.addEventListener("change", () => actions.navigate({ pair: this.#select.value }));
    this.choice = h(
      "label",
      { class: "control", hidden: true },
      h("span", { class: "caption" }, "Beside it"),
      this.#select,
    );
    this.#linked = toggle(
      "Linked cameras",
      false,
      (on) => {
        this.#wish = on;
        this.#isLinked = on;
        this.drawn();
      },
      "Both maps are moved together; at first where their layouts are alike",
    );
    const close = h(
      "button",
      {
        type: "button",
        class: "icon-button",
        "aria-label": "Close the second map",
        onclick: () => actions.navigate({ pair: null }),
      },
      "×",
    );
    this.el = h(
      "section",
      { class: "points-pair", "aria-label": "Second embedding", hidden: true },
      h("div", { class: "points-pair-head" }, this.#title, this.#linked.el, close),
      this.#stage,
      this.#facts,
    );
    this.#map = new PointMap(this.#stage, source, pictures, {
      onPick: (point) => this.#picked(point),
      onHover: (point, x, y) => this.#hovered(point, x, y),
      onSelect: (points, mode) => actions.select(translated(points, this.#back), mode),
      onDrawn: () => this.#follow("second"),
    });
    for (const event of ["pointerdown", "wheel", "keydown", "pointerenter"])
      this.#map.el.addEventListener(event, () => this.#lead("second"), { passive: true });
    this.#map.el.append(this.#rings[1]);
  }

  /** What the page shows now; the second embedding is opened, changed or closed as the address says. */
  show(shown: PairShown): void {
    const isOther = this.#shown?.data !== shown.data;
    this.#shown = shown;
    const pairs = pairsOf(shown.index, shown.run, shown.data.record, shown.parts.at(-1));
    this.#choose(pairs, shown.pair);
    const pair = chosenPair(pairs, shown.pair);
    this.el.hidden = shown.pair === undefined;
    this.el.parentElement?.classList.toggle("has-pair", !this.el.hidden);
    if (shown.pair === undefined) return this.#close();
    if (!pair) return this.#missing(shown.pair);
    if (shown.map.el !== this.#rings[0].parentElement) this.#attach(shown.map);
    const record = stepOf(pair, shown.data.record.step);
    const key = `${pair.run.name}\n${record.id}`;
    if (this.#loader.isNew(key)) this.#load(pair, record);
    else if (isOther) this.#link();
    else this.#place(pair, record);
  }

  /** Colours, search, selection and the chosen point, as the first map has them. */
  look(look: PairLook): void {
    this.#look = look;
    this.#paint();
  }

  /** The pointer is over a point of the first map, -1: over none. */
  hover(point: number): void {
    this.#mark(point, point < 0 ? -1 : (this.#there[point] ?? -1));
  }

  /** The first map was drawn: its camera may have moved. */
  drawn(): void {
    this.#follow("first");
  }

  destroy(): void {
    this.#close();
    this.#loader.stop();
    this.#map.destroy();
    this.#store.clear();
  }

  #attach(first: PointMap): void {
    for (const event of ["pointerdown", "wheel", "keydown", "pointerenter"])
      first.el.addEventListener(event, () => this.#lead("first"), { passive: true });
    first.el.append(this.#rings[0]);
  }

  #lead(map: "first" | "second"): void {
    this.#leads = map;
  }

  #close(): void {
    this.#loader.stop();
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#second = undefined;
    this.#near = undefined;
    this.#key = "";
    this.#mark(-1, -1);
  }

  #missing(pair: string): void {
    this.#close();
    put(this.#title);
    put(this.#facts);
    this.#map.el.hidden = true;
    this.#stage.querySelector(".empty")?.remove();
    this.#stage.append(
      empty("Not here", `There is no embedding “${pair}” with a projection; choose another one.`),
    );
  }

  #choose(pairs: readonly Pair[], chosen: string | undefined): void {
    this.choice.hidden = pairs.length === 0 && chosen === undefined;
    const key = pairs.map(pairText).join("\n");
    if (key !== this.#choices) {
      this.#choices = key;
      const groups = new Map<string, HTMLElement>();
      const options: HTMLElement[] = [h("option", { value: "" }, "nothing")];
      for (const pair of pairs) {
        const { name } = pair.run;
        let group = groups.get(name);
        if (!group) {
          group = h("optgroup", { label: name });
          groups.set(name, group);
          options.push(group);
        }
        group.append(h("option", { value: pairText(pair) }, pair.text));
      }
      put(this.#select, ...options);
    }
    const known = chosenPair(pairs, chosen);
    this.#select.value = known ? pairText(known) : "";
  }

  #load(pair: Pair, record: RecordInfo): void {
    this.#close();
    this.#stage.querySelector(".empty, .loading")?.remove();
    this.#map.el.hidden = true;
    this.#stage.append(loading(record.tag));
    put(this.#title, `${pair.run.name} · ${pair.text}`);
    put(this.#facts);
    this.#loader.run(
      (signal) => fetchEmbedding(this.source, pair.run.name, record.id, signal),
      (data) => {
        this.#stage.querySelector(".loading")?.remove();
        this.#map.el.hidden = false;
        this.#second = data;
        if (!this.#map.open(pair.run, data)) return;
        this.#map.el.append(this.#rings[1]);
        this.#link();
        this.#place(pair, record);
      },
      (error) => {
        this.#stage.querySelector(".loading")?.remove();
        this.#stage.append(empty("This could not be loaded", messageOf(error)));
      },
    );
  }

  /** Know which points are the same. */
  #link(): void {
    const first = this.#shown?.data;
    const second = this.#second;
    if (!first || !second) return;
    this.#there = matched(first.index, second.index);
    this.#back = matched(second.index, first.index);
    this.#near = undefined;
    this.#paint();
    this.#tell();
    void this.#neighbours(first, second);
  }

  /** Show the second projection, laid over the first where both have the same dimensions. */
  #place(pair: Pair, record: RecordInfo): void {
    const parts = pair.parts(record);
    const last = parts.at(-1);
    const first = this.#shown?.parts.at(-1);
    const key = `${pair.run.name}\n${last?.id}\n${first?.id}`;
    if (!last || !this.#second || key === this.#key) return;
    this.#key = key;
    const shown = this.#shown;
    if (!shown || !first) return void this.#map.show(parts, null).catch(() => undefined);
    const { signal } = this.#controller;
    const there = this.#there;
    const ours: Recorded = { embedding: shown.data.record as unknown as RecordInfo, projection: first };
    const theirs: Recorded = { embedding: record, projection: last };
    Promise.all([
      this.#store.get(shown.run.name, ours, signal),
      this.#store.get(pair.run.name, theirs, signal),
    ])
      .then(([a, b]) => {
        const way = a.flat === b.flat ? procrustes(b.points, a.points, matched(b.index, a.index)) : null;
        if (this.#key !== key || there !== this.#there) return;
        this.#map.fit = way && ((points) => aligned(points, way));
        this.#isLinked = this.#wish ?? (way !== null && way.distance < ALIKE);
        this.#linked.set(this.#isLinked);
      })
      .catch((error: unknown) => {
        if (!isAbort(error)) this.#map.fit = null;
      })
      .then(() => this.#map.show(parts, null))
      .then(
        () => this.#follow("first"),
        () => undefined, // the map says what is wrong
      );
  }

  #paint(): void {
    const look = this.#look;
    if (!look || !this.#second || this.el.hidden) return;
    const { matches, hidden, selection, near, chosen } = look.emphasis;
    const there = (bits: Uint8Array | null | undefined, absent: 0 | 1): Uint8Array | null =>
      bits ? Uint8Array.from(this.#back, (i) => (i < 0 ? absent : bits[i])) : null;
    this.#map.emphasise({
      matches: there(matches, 0),
      hidden: there(hidden, 0),
      selection: there(selection, 0),
      near: near ? translated(near, this.#there) : null,
      chosen: chosen === undefined || chosen < 0 ? -1 : (this.#there[chosen] ?? -1),
    });
    // The theme is on the document by the time this runs.
    requestAnimationFrame(() => {
      if (this.#second) this.#map.colour({ ...look.spec, distances: null });
    });
    this.#tell();
  }

  async #neighbours(first: EmbeddingData, second: EmbeddingData): Promise<void> {
    const { signal } = this.#controller;
    const of = async ({ run, record }: EmbeddingData): Promise<ArrayLike<number> | null> => {
      if (record.arrays.neighbours?.shape[1] !== NEIGHBOURS) return null;
      return (await this.source.arrays(run, record.id, ["neighbours"], signal)).neighbours.data;
    };
    const found = await Promise.all([of(first), of(second)]).catch(() => [null, null] as const);
    if (signal.aborted || this.#second !== second) return;
    const [ours, theirs] = found;
    this.#near = ours && theirs ? [ours, theirs] : undefined;
    this.#tell();
  }

  /** How much both agree, and how far their data sets do. */
  #tell(): void {
    const first = this.#shown?.data;
    const second = this.#second;
    if (!first || !second) return;
    const common = this.#there.reduce((sum, at) => sum + (at >= 0 ? 1 : 0), 0);
    put(this.#facts, differing(first, second, common), " ", this.#agreed());
  }

  #agreed(): HTMLElement | string {
    // Two projections of one embedding have the same neighbours in its layer.
    const isSame =
      this.#second?.record.id === this.#shown?.data.record.id && this.#second?.run === this.#shown?.run.name;
    if (!this.#near || isSame) return "";
    const all = agreement(...this.#near, NEIGHBOURS, this.#there);
    if (!all.points) return "";
    const selected = this.#look?.selection;
    const some = selected?.length
      ? agreement(...this.#near, NEIGHBOURS, this.#there, Array.from(selected))
      : undefined;
    return h(
      "span",
      { title: "Nearest in the layers’ own spaces, by cosine; not in the maps." },
      "Of a point’s 10 nearest neighbours ",
      h("b", { class: "num" }, percent(all.share)),
      " are the same in both",
      some?.points
        ? h(
            "span",
            {},
            "; of the ",
            plural(some.points, "selected point"),
            " ",
            h("b", { class: "num" }, percent(some.share)),
          )
        : null,
      ".",
    );
  }

  #picked(point: number): void {
    const at = point < 0 ? -1 : this.#back[point];
    if (at >= 0) this.actions.pick(at);
  }

  #hovered(point: number, x: number, y: number): void {
    const at = point < 0 ? -1 : this.#back[point];
    this.#mark(at, point);
    this.actions.hover(at, x, y);
  }

  /** Rings around the same picture in both maps. */
  #mark(first: number, second: number): void {
    ringAt(this.#rings[0], this.#shown?.map, this.#second ? first : -1);
    ringAt(this.#rings[1], this.#map, this.#second ? second : -1);
  }

  /** One camera goes with the other. */
  #follow(moved: "first" | "second"): void {
    const first = this.#shown?.map;
    if (!this.#isLinked || !first || !this.#second || this.el.hidden || moved !== this.#leads) return;
    const [leader, other] = moved === "first" ? [first, this.#map] : [this.#map, first];
    if (leader.scene && other.scene && leader.scene.orbit.flat === other.scene.orbit.flat)
      other.view = leader.view;
  }
}
