// The weights of a convolution as pictures: all filters of a layer on one signed scale, with their norms and flags.
import { type Control, segmented, slider } from "../lib/controls";
import { context2d, h, isTyping, put } from "../lib/dom";
import { type FilterData, fetchFilters } from "../lib/filterdata";
import { type Drawing, filterPixels, filterShape, largest } from "../lib/filters";
import { count, number, times } from "../lib/format";
import { type Fact, hiddenTable } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import { colourBar, greyBar } from "../lib/legend";
import { type About, mounting, RecordView } from "../lib/recordview";
import { boundedOf, changed, choiceOf, formatRoute, type Place, placeOf } from "../lib/route";
import { fitTile } from "../lib/sheet";
import type { Source } from "../source/source";
import { FilterPanel } from "./panels/filter";
import type { Mount, ViewState } from "./view";

const TILE = 76;
const CAPTION = 24;
const SORTS = ["index", "norm"] as const;
const SCALES = ["shared", "own"] as const;

const ABOUT: About<FilterData> = {
  kind: "filters",
  view: "Filters",
  explain: "The weights of a convolution layer, drawn as pictures.",
  nothing: [
    "No filters recorded",
    "Inspect a model, or run the demonstration, to see its weights as pictures:",
    "convscope demo",
    "convscope inspect MODEL IMAGES -o RUN",
  ],
  fetch: fetchFilters,
};

class FiltersView extends RecordView<FilterData> {
  readonly #grid: VirtualGrid;
  readonly #panel: FilterPanel;
  readonly #table = h("div");
  readonly #legend = h("div");
  readonly #sort: Control<(typeof SORTS)[number]>;
  readonly #scale: Control<(typeof SCALES)[number]>;
  readonly #input = slider(
    "Input",
    { min: -1, max: 0, step: 1 },
    -1,
    (i) => this.set({ input: i < 0 ? null : i }),
    (i) => (i < 0 ? "strongest" : String(i)),
  );
  #drawn = "";

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#sort = segmented(
      "Sort",
      [
        { value: "index", text: "Index" },
        { value: "norm", text: "Norm", title: "Largest L2 norm first" },
      ],
      "index",
      (v) => this.set({ sort: v === "index" ? null : v }),
    );
    this.#scale = segmented(
      "Scale",
      [
        { value: "shared", text: "Layer", title: "One scale for all filters: pale filters are weak" },
        { value: "own", text: "Each", title: "Every filter stretched to its own largest weight" },
      ],
      "shared",
      (v) => this.set({ show: v === "shared" ? null : v }),
    );
    this.#grid = new VirtualGrid(scrollerOf(el), {
      label: "Filters",
      minimum: TILE,
      rowHeight: (width) => this.#tile(width).height + CAPTION,
      gap: 10,
      cell: (o, _, width) => this.#cell(o, width),
    });
    this.#panel = new FilterPanel((o) => this.#open(o));
  }

  override destroy(): void {
    super.destroy();
    this.#grid.destroy();
  }

  protected paint(data: FilterData, run: string): void {
    const { route } = this.state;
    const { at, note } = this.#chosen(data);
    this.note(note);
    this.state.crumb(at < 0 ? "" : String(at));
    const { input } = filterShape(data.weight);
    const deep = !data.colours && input > 1;
    this.#sort.set(choiceOf(route, "sort", SORTS));
    this.#scale.set(choiceOf(route, "show", SCALES));
    this.#input.limit({ min: -1, max: input - 1, step: 1 });
    this.#input.set(this.#slice(input));
    this.#input.el.hidden = !deep;
    // Replacing a control while it is dragged would end the drag.
    if (!this.#sort.el.isConnected)
      put(this.frame.tools, this.#sort.el, this.#scale.el, this.#input.el, this.player.el, this.#legend);
    put(
      this.#legend,
      this.#own()
        ? null
        : data.colours
          ? greyBar(data.scale, "per colour")
          : colourBar("diverging", -data.scale, data.scale, "weight"),
    );
    this.#head(data, run);
    this.#layout(data, run, at);
  }

  #layout(data: FilterData, run: string, filter: number): void {
    if (!this.#grid.el.isConnected)
      put(this.frame.body, h("div", { class: "with-panel" }, this.#grid.el, this.#panel.el), this.#table);
    const key = JSON.stringify([
      run,
      data.record.id,
      this.state.route.params.sort,
      this.state.route.params.show,
      this.state.route.params.input,
      this.state.route.params.q,
    ]);
    this.#panel.show(data, filter, this.#drawing(data), this.#own());
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#grid.show(this.#order(data));
      const rows = Array.from(data.norm, (norm, o) => [o, number(norm), this.#flag(data, o)]);
      put(this.#table, hiddenTable("Filters by number", ["filter", "L2 norm", "flag"], rows.slice(0, 512)));
    }
    for (const cell of this.#grid.el.querySelectorAll<HTMLElement>("[data-filter]")) {
      cell.setAttribute("aria-current", String(Number(cell.dataset.filter) === filter));
    }
  }

  #head(data: FilterData, run: string): void {
    const { record, norm, dead, weak } = data;
    const { out, input, height, width } = filterShape(data.weight);
    const sorted = Float64Array.from(norm).sort();
    const facts: Fact[] = [
      { name: "filters", value: count(out) },
      { name: "each", value: `${times(height, width)}, ${count(input)} ${input === 1 ? "input" : "inputs"}` },
      {
        name: "scale",
        value: this.#own() ? "each its own" : `±${number(data.scale)}`,
        title: `Full contrast; the largest |weight| of the layer is ${number(data.largest)}`,
      },
      {
        name: "L2 norm",
        value: `${number(sorted[0], 3)} … ${number(sorted[out - 1], 3)}`,
        title: `median ${number(sorted[out >> 1])}`,
      },
      { name: "dead", value: count(dead.size), title: "L2 norm below 1e-6" },
      {
        name: "weak",
        value: count([...weak].filter((o) => !dead.has(o)).length),
        title: "Below 1 % of the layer's largest norm",
      },
    ];
    this.head(run, {
      tag: record.tag,
      step: `step ${count(record.step)}`,
      explain: this.#explain(data, input),
      facts,
    });
  }

  #explain(data: FilterData, input: number): string {
    if (data.colours)
      return "The weights of each filter as a colour picture: mid-grey is zero, so what a filter reacts to stands out from grey.";
    if (input === 1)
      return "The weights of each filter: red is positive, blue negative, grey zero. The bar below is the filter's L2 norm.";
    return "One input slice of each filter: red is positive, blue negative, grey zero. “Strongest” takes the slice with the largest norm.";
  }

  #own = (): boolean => choiceOf(this.state.route, "show", SCALES) === "own";

  #drawing(data: FilterData): Drawing {
    const { input } = filterShape(data.weight);
    if (data.colours) return { kind: "colour", inputs: data.colours };
    const wanted = this.#slice(input);
    return wanted < 0 && input > 1 ? { kind: "strongest" } : { kind: "slice", input: Math.max(0, wanted) };
  }

  #slice = (inputs: number): number => Math.round(boundedOf(this.state.route, "input", -1, -1, inputs - 1));

  #order(data: FilterData): number[] {
    const all = Array.from(data.norm.keys());
    const wanted = (this.state.route.params.q ?? "").trim();
    const shown = /^\d+$/.test(wanted) ? all.filter((o) => String(o).startsWith(wanted)) : all;
    return choiceOf(this.state.route, "sort", SORTS) === "norm"
      ? shown.sort((a, b) => data.norm[b] - data.norm[a] || a - b)
      : shown;
  }

  #flag(data: FilterData, o: number): string {
    return data.dead.has(o) ? "dead" : data.weak.has(o) ? "weak" : "";
  }

  #chosen = (data: FilterData): Place => placeOf(this.state.route, "ch", data.norm.length, "filter");

  #tile(side: number): { width: number; height: number } {
    const data = this.loaded?.data;
    const { width, height } = data ? filterShape(data.weight) : { width: 1, height: 1 };
    return fitTile([height, width], side);
  }

  #open(filter: number): void {
    this.state.navigate({ ch: filter < 0 ? null : filter }, filter >= 0 && "ch" in this.state.route.params);
  }

  #cell(o: number, cellWidth: number): HTMLElement {
    const data = this.loaded?.data;
    if (!data) return h("div");
    const { width, height } = filterShape(data.weight);
    const canvas = h("canvas", {
      width,
      height,
      class: "pixelated filter-tile",
      role: "img",
      "aria-label": `filter ${o}`,
    });
    context2d(canvas).putImageData(
      filterPixels(data.weight, o, this.#drawing(data), this.#own() ? largest(data.weight, o) : data.scale),
      0,
      0,
    );
    const share = data.norm[o] / Math.max(...data.norm, Number.MIN_VALUE);
    const flag = this.#flag(data, o);
    const link = h(
      "a",
      {
        class: "filter-cell",
        href: formatRoute(changed(this.state.route, { ch: o })),
        "data-filter": o,
        title: `filter ${o} · L2 norm ${number(data.norm[o])}`,
        "aria-label": `filter ${o}, L2 norm ${number(data.norm[o])} ${flag}`,
      },
      canvas,
      h("span", { class: "strip", "aria-hidden": "true" }, h("i", { style: { width: `${100 * share}%` } })),
      h(
        "span",
        { class: "filter-caption num" },
        h("span", {}, o),
        flag
          ? h("b", { class: `flag ${flag}` }, flag)
          : h("span", { class: "muted" }, number(data.norm[o], 3)),
      ),
    );
    const tile = this.#tile(cellWidth);
    canvas.style.width = `${tile.width}px`;
    canvas.style.height = `${tile.height}px`;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      this.#open(o);
    });
    return h("div", { role: "listitem" }, link);
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (isTyping(event) || !data) return;
    const { at: chosen } = this.#chosen(data);
    if (event.key === "Escape" && chosen >= 0) return this.#open(-1);
    if (event.key === " ") return this.stepKey(event);
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.target instanceof HTMLInputElement) return;
    if (chosen < 0) return this.stepKey(event);
    const order = this.#order(data);
    const next = order[order.indexOf(chosen) + by];
    if (next !== undefined) this.#open(next);
  }
}

export const mount: Mount = mounting(FiltersView);
