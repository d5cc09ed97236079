// How much every filter of a layer matters to a class, by several measures: as a grid, a table, and two classes against each other.
import { channelPages } from "../lib/channelpages";
import { type Control, segmented, slider } from "../lib/controls";
import { h, isTyping, put } from "../lib/dom";
import { download, pngOf, saveMenu } from "../lib/download";
import { count, number } from "../lib/format";
import { failed } from "../lib/frame";
import { type Group, groupSize, groupText } from "../lib/groups";
import {
  fetchImportance,
  filtersFound,
  type ImportanceData,
  measureMeaning,
  measureName,
  usualColumns,
  valuesOf,
} from "../lib/importancedata";
import { largestFirst, rangeOf, ranks } from "../lib/ranks";
import { type About, mounting, RecordView } from "../lib/recordview";
import { boundedOf, choiceOf, numberOf, type Place, placeOf } from "../lib/route";
import { Tooltip } from "../lib/tooltip";
import { withPanel } from "../lib/withpanel";
import type { NumberArray, Source } from "../source/source";
import { BarStrip } from "./panels/barstrip";
import { CellGrid, type GridScale, gridBar } from "./panels/cellgrid";
import { ChosenFilter } from "./panels/chosenfilter";
import { ImportanceChoices } from "./panels/importancechoices";
import { ImportanceCompare } from "./panels/importancecompare";
import { importanceColumns, importanceCsv } from "./panels/importancetable";
import { RowTable } from "./panels/rowtable";
import type { Mount, ViewState } from "./view";

const SORTS = ["index", "value"] as const;
const SCALES = ["class", "all"] as const;
const STRIP = 72;

const ABOUT: About<ImportanceData> = {
  kind: "importance",
  view: "Importance",
  explain: "How much every filter of a layer matters to a class.",
  nothing: [
    "No importance of filters yet",
    "Measure how much every filter of a layer matters to the classes of a folder of pictures:",
    "convscope importance MODEL IMAGES --layer LAYER -o RUN",
    "writer.add(model.importance(dataset, layer), layer)",
  ],
  fetch: fetchImportance,
};

/** What is shown: a measure, a group, and the group it is compared with. */
interface Shown {
  readonly measure: number;
  readonly group: number;
  readonly other: number;
  readonly values: NumberArray;
  readonly others: NumberArray | undefined;
}

class ImportanceView extends RecordView<ImportanceData> {
  readonly #tooltip = new Tooltip();
  readonly #gone = new AbortController();
  readonly #grid = new CellGrid(this.#tooltip, (o) => this.#open(o));
  readonly #strip = new BarStrip(STRIP, this.#tooltip, (o) => this.#open(o));
  readonly #table = new RowTable((by) => this.set({ by }));
  readonly #compare = new ImportanceCompare(this.#tooltip, (o) => this.#open(o));
  readonly #panel = new ChosenFilter(() => this.#open(-1));
  readonly #chosen = h("p", { class: "group-line" });
  readonly #legend = h("div");
  readonly #stripNames = h("p", { class: "strip-names" });
  readonly #save = saveMenu(
    [
      {
        label: "PNG of the grid",
        save: async () => download(`${this.#name}.png`, await pngOf(this.#grid.canvas)),
      },
      { label: "CSV of all classes", save: () => this.#saveAll() },
    ],
    "Save the importance",
  );
  readonly #choices = new ImportanceChoices((change) => this.set(change));
  readonly #sort: Control<(typeof SORTS)[number]>;
  readonly #scale: Control<(typeof SCALES)[number]>;
  readonly #columns: ReturnType<typeof slider>;
  readonly #waiting = h("p", { class: "loading", role: "status" });
  readonly #main: HTMLElement;

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#sort = segmented(
      "Order",
      [
        { value: "index", text: "Index", title: "The order of the network" },
        { value: "value", text: "Sorted", title: "The most important filter first" },
      ],
      "index",
      (v) => this.set({ sort: v === "index" ? null : v }),
    );
    this.#scale = segmented(
      "Scale",
      [
        { value: "class", text: "Class", title: "From the least to the most important filter of this class" },
        { value: "all", text: "All", title: "One scale for all classes of this measure" },
      ],
      "class",
      (v) => this.set({ scale: v === "class" ? null : v }),
    );
    this.#columns = slider(
      "Columns",
      { min: 1, max: 128, step: 1 },
      16,
      (v) => this.set({ cols: v }),
      String,
    );
    const body = h(
      "div",
      { class: "study-main" },
      this.#chosen,
      this.#grid.el,
      this.#stripNames,
      this.#strip.el,
    );
    this.#main = h(
      "div",
      { class: "study-stack" },
      withPanel(body, this.#panel.el, this.#gone.signal),
      this.#compare.el,
      this.#table.el,
    );
  }

  override destroy(): void {
    super.destroy();
    this.#gone.abort();
    for (const part of [this.#grid, this.#strip, this.#table, this.#compare, this.#tooltip]) part.destroy();
  }

  protected paint(data: ImportanceData, run: string): void {
    const { route } = this.state;
    const measure = Math.max(0, data.measures.indexOf(route.params.measure ?? data.measures[0]));
    const [of, other] = [this.#group(data, "of"), this.#group(data, "with")];
    const filter = placeOf(route, "ch", data.filters, "filter");
    const group = Math.max(0, of.at);
    this.note(of.note, other.note, filter.note);
    this.state.crumb(filter.at < 0 ? "" : `filter ${filter.at}`);
    this.#tools(data, measure, group, other.at);
    const values = valuesOf(data, measure, group);
    if (!values) return this.#want(data, run, measure);
    const others = other.at < 0 ? undefined : valuesOf(data, measure, other.at);
    const shown: Shown = { measure, group, other: other.at, values, others };
    this.#head(data, run, shown);
    if (!this.#main.isConnected) put(this.frame.body, this.#main);
    this.#draw(data, shown, filter.at);
    this.#showPanel(data, run, shown, filter.at);
    this.#rest(data, run);
  }

  #group = (data: ImportanceData, key: string): Place =>
    placeOf(this.state.route, key, data.groups.length, "class");

  /** Fetch a measure of a large record; the page is painted when it is here. */
  #want(data: ImportanceData, run: string, measure: number): void {
    put(this.#waiting, `Loading ${measureName(data.measures[measure])} …`);
    put(this.frame.body, this.#waiting);
    data.rows.want(measure).then(
      () => this.#again(data, run),
      (error: unknown) => {
        if (this.loaded?.data === data) put(this.frame.body, failed(error));
        this.state.ready();
      },
    );
  }

  /** The table has all measures: those that are not here come one after the other. */
  #rest(data: ImportanceData, run: string): void {
    const next = data.measures.findIndex((_, m) => !data.rows.have(m));
    if (next < 0) return;
    data.rows.want(next).then(
      () => this.#again(data, run),
      () => undefined, // the table goes without it
    );
  }

  #again(data: ImportanceData, run: string): void {
    if (this.loaded?.data !== data) return;
    this.paint(data, run);
    this.state.ready();
  }

  #tools(data: ImportanceData, measure: number, group: number, other: number): void {
    const { route } = this.state;
    this.#sort.set(choiceOf(route, "sort", SORTS));
    this.#scale.set(choiceOf(route, "scale", SCALES));
    const most = Math.min(128, Math.max(1, data.filters));
    this.#columns.limit({ min: 1, max: most, step: 1 });
    this.#columns.set(this.#columnsOf(data));
    this.#choices.update(data, measure, group, other, route.params.q ?? "");
    if (!this.#sort.el.isConnected)
      put(
        this.frame.tools,
        this.#choices.el,
        this.#sort.el,
        this.#columns.el,
        this.#scale.el,
        this.player.el,
        this.#legend,
        this.#save,
      );
  }

  #columnsOf = (data: ImportanceData): number =>
    Math.round(
      boundedOf(this.state.route, "cols", Math.min(usualColumns(data.filters), data.filters || 1), 1, 128),
    );

  #scaleOf(data: ImportanceData, { measure, values }: Shown): GridScale {
    const all = choiceOf(this.state.route, "scale", SCALES) === "all";
    const { low, high } = rangeOf(all ? (data.rows.have(measure) ?? values) : values);
    const most = Math.max(Math.abs(low), Math.abs(high));
    return low < 0 ? { low: -most, high: most } : { low, high };
  }

  #head(data: ImportanceData, run: string, { measure, group, values, others }: Shown): void {
    const { low, high } = rangeOf(values);
    const meaning = measureMeaning(data.measures[measure]);
    const signed = low < 0 ? "; blue cells are negative, red ones positive" : "; light cells are important";
    const rho = others && this.#compare.correlation(values, others);
    this.head(run, {
      tag: data.record.tag,
      step: `step ${count(data.record.step)}`,
      explain: `How much every filter of ${data.layer} matters to a class, by ${measureName(data.measures[measure])}${meaning && ` (${meaning})`}${signed}. A filter's place in the grid is told by its number.`,
      facts: [
        { name: "filters", value: count(data.filters) },
        { name: "classes", value: count(data.groups.length) },
        {
          name: "from … to",
          value: `${number(low, 3)} … ${number(high, 3)}`,
          title: groupText(data.groups[group]),
        },
        ...(rho === undefined
          ? []
          : [{ name: "Spearman's ρ", value: number(rho, 3), title: "Rank correlation of both classes" }]),
        ...(data.dataset ? [{ name: "data set", value: data.dataset }] : []),
        ...(data.images ? [{ name: "images", value: count(data.images) }] : []),
        ...(data.network ? [{ name: "network", value: data.network }] : []),
      ],
    });
  }

  #draw(data: ImportanceData, shown: Shown, chosen: number): void {
    const { measure, group, values, others, other } = shown;
    const { params } = this.state.route;
    const rank = ranks(values);
    const order =
      choiceOf(this.state.route, "sort", SORTS) === "value"
        ? largestFirst(values)
        : Array.from({ length: data.filters }, (_, o) => o);
    const scale = this.#scaleOf(data, shown);
    const [name, of] = [measureName(data.measures[measure]), this.#titleOf(data, group)];
    const lines = (o: number): string[] => [
      `filter ${o}`,
      `${name} ${number(values[o])}`,
      `rank ${rank[o]} of ${data.filters}`,
    ];
    put(this.#chosen, h("b", {}, of), ` ${groupSize(data.groups[group])}`);
    this.#grid.show({
      label: `${name} for ${of}`,
      values,
      order,
      columns: this.#columnsOf(data),
      scale,
      chosen,
      found: filtersFound(params.q, data.filters),
      lines,
    });
    put(this.#legend, gridBar(scale, name));
    this.#strip.show({
      label: `${name} for ${of}, the most important filter first`,
      values,
      order: largestFirst(values),
      ...(others ? { other: others } : {}),
      names: others ? [of, this.#titleOf(data, other)] : [of],
      chosen,
      item: (o) => `filter ${o}`,
    });
    this.#nameStrip(data, of, other);
    if (others)
      this.#compare.show({
        data,
        name,
        one: values,
        other: others,
        names: [of, this.#titleOf(data, other)],
        chosen,
      });
    else this.#compare.hide();
    this.#table.show({
      caption: `Filters of ${data.layer} for ${of}`,
      columns: importanceColumns(data, shown.measure, group, other, (o) => this.#links(data, o)[0]?.href),
      items: this.#listed(data),
      by: params.by ?? "",
      chosen,
      file: `${data.run}-${data.record.tag}-importance-${data.groups[group]?.name ?? group}`,
    });
  }

  /** What bars and dots are of. */
  #nameStrip(data: ImportanceData, of: string, other: number): void {
    put(
      this.#stripNames,
      h(
        "span",
        {},
        h("i", { class: "bar-mark", "aria-hidden": "true" }),
        `${of}, the most important filter first`,
      ),
      other < 0
        ? null
        : h(
            "span",
            {},
            h("i", { class: "dot-mark", "aria-hidden": "true" }),
            `${this.#titleOf(data, other)}, in the same order`,
          ),
    );
  }

  get #name(): string {
    const { loaded } = this;
    return `${loaded?.run ?? ""}-${loaded?.record.tag ?? ""}-importance`;
  }

  /** A row a class and filter, with every measure that is here. */
  #saveAll(): void {
    const data = this.loaded?.data;
    if (data) download(`${this.#name}.csv`, importanceCsv(data), "text/csv;charset=utf-8");
  }

  #titleOf = (data: ImportanceData, group: number): string => titleOf(data.groups[group]);

  #listed(data: ImportanceData): number[] {
    const wanted = filtersFound(this.state.route.params.q, data.filters);
    const all = Array.from({ length: data.filters }, (_, o) => o);
    return wanted.size ? all.filter((o) => wanted.has(o)) : all;
  }

  #links = (data: ImportanceData, o: number) =>
    channelPages(this.state.index, this.state.route, data.run, data.layer, o);

  #showPanel(data: ImportanceData, run: string, { group, other }: Shown, filter: number): void {
    if (filter < 0) return this.#panel.hide();
    const facts = data.measures.flatMap((measure, m) =>
      [group, ...(other < 0 ? [] : [other])].map((g) => {
        const values = valuesOf(data, m, g);
        const name = other < 0 ? measureName(measure) : `${measureName(measure)}, ${this.#titleOf(data, g)}`;
        const value = values ? `${number(values[filter])} (rank ${ranks(values)[filter]})` : "…";
        return { name, value };
      }),
    );
    const pages = channelPages(this.state.index, this.state.route, run, data.layer, filter);
    this.#panel.show(filter, facts, pages);
  }

  #open(filter: number): void {
    this.#tooltip.hide();
    this.set({ ch: filter < 0 ? null : filter });
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (isTyping(event) || !data || event.defaultPrevented) return;
    const by = { "[": -1, "]": 1 }[event.key];
    if (by) {
      const next = Math.max(0, Math.min(data.groups.length - 1, numberOf(this.state.route, "of", 0) + by));
      return this.set({ of: next || null });
    }
    if (event.key === "Escape") return this.#open(-1);
    if (!(event.target instanceof HTMLInputElement)) this.stepKey(event);
  }
}

const titleOf = (group: Group | undefined): string => group?.className || group?.name || "";

export const mount: Mount = mounting(ImportanceView);
