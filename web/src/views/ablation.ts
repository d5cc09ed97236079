// What a network still knows with filters of a layer zeroed: pruning curves overall and by class, and every filter alone.
import {
  type AblationData,
  areaOf,
  baselineOf,
  fetchAblation,
  ordinal,
  placeOfCount,
  progressOf,
  signedShare,
  zeroedAt,
} from "../lib/ablationdata";
import { joinList, splitList } from "../lib/catalog";
import { channelPages } from "../lib/channelpages";
import { type Control, segmented, select, slider } from "../lib/controls";
import { h, isTyping, put } from "../lib/dom";
import { count, number, percent, plural } from "../lib/format";
import type { Fact } from "../lib/frame";
import { filtersFound, measureName } from "../lib/importancedata";
import { type About, mounting, RecordView } from "../lib/recordview";
import { boundedOf, choiceOf, placeOf } from "../lib/route";
import { Tooltip } from "../lib/tooltip";
import { withPanel } from "../lib/withpanel";
import type { Source } from "../source/source";
import { classColumns, placeColumns } from "./panels/ablationclasses";
import { AblationCurves, shareText } from "./panels/ablationcurves";
import { dropsOf, SingleAblation, singleColumns } from "./panels/ablationsingle";
import { ChosenFilter } from "./panels/chosenfilter";
import { RowTable } from "./panels/rowtable";
import type { Mount, ViewState } from "./view";

const WHATS = ["accuracy", "loss"] as const;
const ACROSS = ["count", "share"] as const;
const MOST_CLASSES = 8;
const MOST_LOST = 8;

const ABOUT: About<AblationData> = {
  kind: "ablation",
  view: "Ablation",
  explain: "What the network still knows with filters of a layer zeroed.",
  nothing: [
    "No ablation yet",
    "Zero the filters of a layer one after the other, the least important first, and measure the accuracy:",
    "convscope ablate MODEL IMAGES --layer LAYER -o RUN",
    "writer.add(model.ablation(dataset, layer), layer)",
  ],
  fetch: fetchAblation,
};

class AblationView extends RecordView<AblationData> {
  readonly #tooltip = new Tooltip();
  readonly #gone = new AbortController();
  readonly #curves = new AblationCurves(this.#tooltip, (o) => this.#open(o));
  readonly #single = new SingleAblation(this.#tooltip, (o) => this.#open(o));
  readonly #places = new RowTable((places) => this.set({ places }));
  readonly #classes = new RowTable((by) => this.set({ by }));
  readonly #filters = new RowTable((filters) => this.set({ filters }));
  readonly #panel = new ChosenFilter(() => this.#open(-1));
  readonly #areas = h("div");
  readonly #what: Control<(typeof WHATS)[number]>;
  readonly #across: Control<(typeof ACROSS)[number]>;
  readonly #zeroed: ReturnType<typeof slider>;
  readonly #curve = h("span", { class: "control-slot study-choices" });
  readonly #tables: HTMLElement;
  readonly #main: HTMLElement;
  readonly #asked = new WeakSet<AblationData>();
  #options = "";

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#what = segmented(
      "Show",
      [
        { value: "accuracy", text: "Accuracy" },
        { value: "loss", text: "Loss" },
      ],
      "accuracy",
      (v) => this.set({ y: v === "accuracy" ? null : v }),
    );
    this.#across = segmented(
      "Zeroed",
      [
        { value: "count", text: "Number" },
        { value: "share", text: "Share" },
      ],
      "count",
      (v) => this.set({ x: v === "count" ? null : v }),
    );
    this.#zeroed = slider(
      "With",
      { min: 0, max: 0, step: 1 },
      0,
      (n) => this.set({ n }),
      (n) => `${count(n)} zeroed`,
    );
    this.#tables = h("div", { class: "study-tables" }, this.#classes.el, this.#places.el);
    const body = h("div", { class: "study-main" }, this.#curves.el, this.#areas);
    this.#main = h(
      "div",
      { class: "study-stack" },
      withPanel(body, this.#panel.el, this.#gone.signal),
      this.#tables,
    );
  }

  override destroy(): void {
    super.destroy();
    this.#gone.abort();
    const parts = [this.#curves, this.#single, this.#places, this.#classes, this.#filters, this.#tooltip];
    for (const part of parts) part.destroy();
  }

  protected paint(data: AblationData, run: string): void {
    const { route } = this.state;
    const filter = placeOf(route, "ch", data.filters, "filter");
    const order = placeOf(route, "order", data.curves.length, "order");
    const curve = Math.max(0, order.at);
    const { classes, note } = this.#chosen(data);
    this.note(filter.note, order.note, note);
    this.state.crumb(filter.at < 0 ? "" : `filter ${filter.at}`);
    const zeroed = Math.round(boundedOf(route, "n", usualCount(data), 0, data.filters));
    this.#tools(data, curve, zeroed);
    this.#head(data, run);
    if (!this.#main.isConnected) put(this.frame.body, this.#main);
    this.#curves.show({
      data,
      what: choiceOf(route, "y", WHATS),
      share: choiceOf(route, "x", ACROSS) === "share",
      classes,
      curve,
      theme: this.state.theme,
      title: `${data.layer}: filters zeroed`,
    });
    put(this.#areas, this.#areaTable(data, zeroed));
    this.#tabulate(data, run, curve, zeroed, classes, filter.at);
    this.#showSingle(data, run, classes, filter.at);
    this.#showPanel(data, run, filter.at);
    this.#want(data, run, curve, classes);
  }

  /** The classes of the address, as far as there are such. */
  #chosen(data: AblationData): { classes: number[]; note: string } {
    const wanted = splitList(this.state.route.params.class);
    const places = wanted.map((name) => data.classes.findIndex((one) => one.name === name));
    const gone = wanted.filter((_, i) => places[i] < 0);
    const note = gone.length ? `No class “${gone[0]}” here; there are ${data.classes.length}.` : "";
    return { classes: places.filter((place) => place >= 0).slice(0, MOST_CLASSES), note };
  }

  /** Fetch what of a large record is shown and not here; the page is painted again when it is. */
  #want(data: AblationData, run: string, curve: number, classes: readonly number[]): void {
    const again = (): void => {
      if (this.loaded?.data === data) this.paint(data, run);
    };
    const failed = (): void => this.note("The curves of the classes could not be loaded.");
    if (data.classes.length && !data.ofClasses.have(curve)) data.ofClasses.want(curve).then(again, failed);
    const { singleClass } = data;
    // Once: of a very large layer not all rows are kept.
    if (!singleClass || !classes.length || this.#asked.has(data)) return;
    this.#asked.add(data);
    const rows = Array.from({ length: data.filters }, (_, c) => c).filter((c) => !singleClass.have(c));
    if (rows.length) Promise.all(rows.map((c) => singleClass.want(c))).then(again, failed);
  }

  #tools(data: AblationData, curve: number, zeroed: number): void {
    const { route } = this.state;
    this.#what.set(choiceOf(route, "y", WHATS));
    this.#across.set(choiceOf(route, "x", ACROSS));
    this.#zeroed.limit({ min: 0, max: data.filters, step: 1 });
    this.#zeroed.set(zeroed);
    const names = data.curves.map(({ name }) => name);
    if (JSON.stringify(names) !== this.#options) {
      this.#options = JSON.stringify(names);
      const options = names.map((text, q) => ({ value: String(q), text }));
      put(
        this.#curve,
        select("Classes by", options, "0", (q) => this.set({ order: q === "0" ? null : q })).el,
      );
    }
    const field = this.#curve.querySelector("select");
    if (field) field.value = String(curve);
    if (!this.#what.el.isConnected)
      put(this.frame.tools, this.#what.el, this.#across.el, this.#curve, this.#zeroed.el, this.player.el);
  }

  #head(data: AblationData, run: string): void {
    const { done, total } = progressOf(data);
    const base = baselineOf(data);
    const facts: Fact[] = [
      { name: "baseline", value: shareText(base, "accuracy"), title: "Accuracy with nothing zeroed" },
      { name: "filters", value: count(data.filters) },
      { name: "classes", value: count(data.classes.length) },
      ...(data.images ? [{ name: "images", value: count(data.images) }] : []),
      ...(data.dataset ? [{ name: "data set", value: data.dataset }] : []),
      ...(data.network ? [{ name: "network", value: data.network }] : []),
    ];
    if (done < total)
      facts.push({
        name: "progress",
        value: `${count(done)} of ${count(total)} measured`,
        title: "Of all places of all orders",
      });
    this.head(run, {
      tag: data.record.tag,
      step: `step ${count(data.record.step)}`,
      explain: `The accuracy of the network with more and more filters of ${data.layer} zeroed, in ${plural(data.curves.length, "order")}. A curve that stays high says that the filters zeroed so far are not needed.`,
      facts,
      ...(done < total ? { progress: { label: "Ablation measured", done, total } } : {}),
    });
  }

  /** What each order comes to: the area under its curve, and the accuracy with n zeroed. */
  #areaTable(data: AblationData, zeroed: number): HTMLElement {
    const base = baselineOf(data);
    const rows = data.curves.map((curve) => {
      const { mean, to } = areaOf(data, curve.accuracy);
      const at = placeOfCount(data, curve.accuracy, zeroed);
      const n = at < 0 ? "–" : count(data.removed[at]);
      const measured = curve.accuracy.filter((y: number) => !Number.isNaN(y)).length;
      const by = [
        curve.measure && `by ${measureName(curve.measure)}`,
        curve.seed === null ? "" : `seed ${curve.seed}`,
      ];
      return h(
        "tr",
        {},
        h("td", {}, curve.name, h("span", { class: "muted" }, ` ${by.filter(Boolean).join(", ")}`)),
        h(
          "td",
          { class: "num", title: `up to ${percent(to)} of the filters zeroed` },
          `${number(mean)}${to < 1 ? ` (to ${percent(to)})` : ""}`,
        ),
        h("td", { class: "num" }, n),
        h("td", { class: "num" }, at < 0 ? "not measured" : shareText(curve.accuracy[at], "accuracy")),
        h("td", { class: "num" }, at < 0 ? "–" : shareText(base - curve.accuracy[at], "accuracy")),
        h("td", { class: "num" }, `${count(measured)} of ${count(data.removed.length)}`),
      );
    });
    const head: [string, string][] = [
      ["order", "In which order filters are zeroed"],
      [
        "area",
        "Area under the curve over the share of zeroed filters; of a part, its mean height: 1 would be no mistake, whatever is zeroed",
      ],
      ["zeroed", "The largest measured number up to the one chosen above"],
      ["accuracy", ""],
      ["drop", "Accuracy lost against nothing zeroed"],
      ["measured", ""],
    ];
    return h(
      "div",
      { class: "study-scroll", role: "region", tabindex: 0, "aria-label": "Areas under the pruning curves" },
      h(
        "table",
        { class: "class-table" },
        h("caption", { class: "visually-hidden" }, "Areas under the pruning curves"),
        h(
          "thead",
          {},
          h("tr", {}, ...head.map(([name, title]) => h("th", { scope: "col", title: title || null }, name))),
        ),
        h("tbody", {}, ...rows),
      ),
    );
  }

  #tabulate(
    data: AblationData,
    run: string,
    curve: number,
    zeroed: number,
    classes: readonly number[],
    filter: number,
  ): void {
    const { params } = this.state.route;
    const file = `${run}-${data.record.tag}-ablation`;
    const wanted = (params.q ?? "").trim().toLocaleLowerCase();
    const named = Array.from(data.classes.keys()).filter((k) =>
      data.classes[k].name.toLocaleLowerCase().includes(wanted),
    );
    const choose = (k: number): void => this.#choose(data, classes, k);
    const chosen = new Set(classes);
    this.#classes.show({
      caption: `Classes, ${data.curves[curve]?.name ?? ""}`,
      columns: data.curves.length ? classColumns(data, { curve, zeroed, chosen, choose }) : [],
      items: named,
      by: params.by ?? "",
      chosen: -1,
      file: `${file}-classes`,
    });
    this.#places.show({
      caption: "Accuracy by zeroed filters",
      columns: placeColumns(data),
      items: Array.from(data.removed.keys()),
      by: params.places ?? "",
      chosen: data.curves.length ? placeOfCount(data, data.curves[curve].accuracy, zeroed) : filter,
      file: `${file}-places`,
    });
  }

  #choose(data: AblationData, classes: readonly number[], k: number): void {
    const next = classes.includes(k)
      ? classes.filter((one) => one !== k)
      : [...classes, k].slice(-MOST_CLASSES);
    this.set({ class: joinList(next.map((one) => data.classes[one].name)) });
  }

  /** Every filter alone; for the class that was chosen last, if one is. */
  #showSingle(data: AblationData, run: string, classes: readonly number[], chosen: number): void {
    const last = data.singleClass ? (classes.at(-1) ?? -1) : -1;
    const drops = dropsOf(data, last) ?? dropsOf(data, -1);
    const parts = [this.#single.el, this.#filters.el];
    if (!drops) {
      for (const part of parts) part.remove();
      return;
    }
    if (!this.#single.el.isConnected) this.#main.append(...parts);
    const of = last >= 0 && dropsOf(data, last) ? data.classes[last].name : "all classes";
    const all = Array.from(drops.keys());
    const found = filtersFound(this.state.route.params.q, data.filters);
    this.#single.show({ data, drops, of, chosen, found });
    this.#filters.show({
      caption: `Filters of ${data.layer}, each zeroed alone, ${of}`,
      columns: singleColumns(data, drops, (o) => this.#pages(data, run, o)[0]?.href),
      items: found.size ? [...found] : all,
      by: this.state.route.params.filters ?? "",
      chosen,
      file: `${run}-${data.record.tag}-ablation-filters`,
    });
  }

  #pages = (data: AblationData, run: string, filter: number) =>
    channelPages(this.state.index, this.state.route, run, data.layer, filter);

  #showPanel(data: AblationData, run: string, filter: number): void {
    if (filter < 0) return this.#panel.hide();
    const facts: Fact[] = data.curves.flatMap((curve) => {
      const at = curve.order.indexOf(filter);
      if (at < 0) return [];
      const place = data.removed.findIndex((_: number, p: number) =>
        zeroedAt(data, curve, p).includes(filter),
      );
      const [before, after] = [curve.accuracy[place - 1], curve.accuracy[place]];
      const moved = Number.isNaN(before + after) || place < 1 ? "not measured" : signedShare(after - before);
      return [{ name: curve.name, value: `${ordinal(at + 1)} to go, accuracy ${moved}` }];
    });
    const drops = dropsOf(data, -1);
    if (drops) facts.push({ name: "alone", value: `accuracy ${signedShare(-drops[filter])}` });
    this.#panel.show(filter, facts, this.#pages(data, run, filter), this.#losses(data, run, filter));
  }

  /** Which classes a single filter costs most. */
  #losses(data: AblationData, run: string, filter: number): HTMLElement | null {
    const start = data.removed.indexOf(0);
    const row = data.singleClass?.have(filter);
    const base = data.ofClasses.have(0);
    if (data.singleClass && !row)
      data.singleClass.want(filter).then(
        () => this.loaded?.data === data && this.paint(data, run),
        () => undefined,
      );
    if (!row || !base || start < 0) return null;
    const lost = data.classes
      .map(({ name }, k) => ({ name, drop: base[start * data.classes.length + k] - row[k] }))
      .filter(({ drop }) => drop > 0)
      .sort((a, b) => b.drop - a.drop);
    return h(
      "section",
      {},
      h("h3", {}, "Classes that lose most without it"),
      lost.length
        ? h(
            "ol",
            { class: "lost-classes" },
            ...lost
              .slice(0, MOST_LOST)
              .map(({ name, drop }) =>
                h("li", {}, name, h("b", { class: "num" }, shareText(drop, "accuracy"))),
              ),
          )
        : h("p", { class: "muted" }, "None loses anything."),
    );
  }

  #open(filter: number): void {
    this.#tooltip.hide();
    this.set({ ch: filter < 0 ? null : filter });
  }

  protected key(event: KeyboardEvent): void {
    if (isTyping(event) || event.defaultPrevented || !this.loaded) return;
    if (event.key === "Escape") return this.#open(-1);
    if (!(event.target instanceof HTMLInputElement)) this.stepKey(event);
  }
}

/** Unless another number is chosen: half of the filters. */
const usualCount = ({ filters }: AblationData): number => Math.floor(filters / 2);

export const mount: Mount = mounting(AblationView);
