// The weights of a convolution as pictures: all filters of a layer on one signed scale, with their norms and their health.
import { type Control, Player, segmented, select, slider } from "../lib/controls";
import { h, isTyping, put } from "../lib/dom";
import { otherChange, otherKey, otherOf, otherOptions } from "../lib/filtercompare";
import { drawingOf, type FilterData, fetchFilters, largestNorm, printedScale } from "../lib/filterdata";
import { type MapPicture, mapPictures } from "../lib/filtermaps";
import { chosenFilters, FILTER_SORTS, type FilterSort, sortFilters } from "../lib/filterorder";
import { explainFilters, filterFacts, filterTable } from "../lib/filterpage";
import { count } from "../lib/format";
import { messageOf } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import { colourBar, greyBar } from "../lib/legend";
import { Loader } from "../lib/loader";
import { type About, mounting, RecordView } from "../lib/recordview";
import { boundedOf, changed, choiceOf, formatRoute, type Place, placeOf, toView } from "../lib/route";
import { isNarrow, withPanel } from "../lib/withpanel";
import type { Source } from "../source/source";
import { FilterPanel } from "./panels/filter";
import { cellHeight, columnsOf, filterCell, type Look } from "./panels/filtercell";
import { FilterHover } from "./panels/filterhover";
import { HealthPanel } from "./panels/health";
import { NormStrip } from "./panels/normstrip";
import type { Mount, ViewState } from "./view";

/** Narrowest cell of one, two and three pictures. */
const CELLS = [0, 76, 148, 216];
/** A mosaic of slices needs more room than a single one. */
const MOSAIC = 132;
const GAP = 10;
const SCALES = ["shared", "own"] as const;
const SLICES = ["strongest", "all", "one"] as const;
const TABLE_ROWS = 512;
const TITLES: Readonly<Record<FilterSort, readonly [string, string]>> = {
  index: ["Index", "The order of the network"],
  norm: ["Norm", "Largest L2 norm first"],
  similarity: ["Similarity", "Like filters, and those of flipped sign, beside each other"],
  smoothness: ["Smoothness", "Most regular first, white noise last"],
};

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
  readonly #health: HealthPanel;
  readonly #hover: FilterHover;
  readonly #strip: NormStrip;
  readonly #gone = new AbortController();
  readonly #otherLoader = new Loader();
  readonly #otherPlayer: Player;
  readonly #table = h("div");
  readonly #legend = h("div");
  readonly #compare = h("span", { class: "control-slot" });
  readonly #sort: Control<FilterSort>;
  readonly #scale: Control<(typeof SCALES)[number]>;
  readonly #slices: Control<(typeof SLICES)[number]>;
  readonly #input = slider(
    "Input",
    { min: 0, max: 0, step: 1 },
    0,
    (i) => this.set({ input: i }),
    (i) => String(i),
  );
  #other: FilterData | undefined;
  #otherSteps: readonly number[] = [];
  #otherNote = "";
  #options = "";
  #drawn = "";

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#sort = segmented(
      "Sort",
      FILTER_SORTS.map((value) => ({ value, text: TITLES[value][0], title: TITLES[value][1] })),
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
    this.#slices = segmented(
      "Slices",
      [
        {
          value: "strongest",
          text: "Strongest",
          title: "Of each filter the input slice with the largest norm",
        },
        { value: "all", text: "All", title: "All input slices of each filter" },
        { value: "one", text: "One", title: "The same input of every filter" },
      ],
      "strongest",
      (v) => this.set({ input: v === "one" ? 0 : v }),
    );
    this.#otherPlayer = new Player("Other step", (at) => this.set({ at: this.#otherSteps[at] }));
    this.#grid = new VirtualGrid(scrollerOf(el), {
      label: "Filters",
      minimum: CELLS[1],
      rowHeight: (width) => (this.loaded ? cellHeight(this.#look(this.loaded.data), width) : 1),
      gap: GAP,
      cell: (o, signal, width) => this.#cell(o, signal, width),
    });
    this.#hover = new FilterHover(source);
    this.#strip = new NormStrip((o) => this.#open(o));
    this.#health = new HealthPanel(
      (flag) => this.set({ flag }),
      (open) => this.set({ health: open ? 1 : null }),
    );
    this.#panel = new FilterPanel(
      source,
      () => this.#open(-1),
      (picture) => this.set({ pic: picture }),
    );
  }

  override destroy(): void {
    super.destroy();
    this.#gone.abort();
    this.#grid.destroy();
    this.#hover.destroy();
    this.#strip.destroy();
    this.#panel.hide();
    this.#otherLoader.stop();
    this.#otherPlayer.stop();
  }

  protected paint(data: FilterData, run: string): void {
    this.#hover.hide();
    this.#askOther();
    const { at, note } = this.#chosen(data);
    this.note(note, this.#otherNote);
    this.state.crumb(at < 0 ? "" : String(at));
    const look = this.#look(data);
    this.#tools(data, look);
    this.#head(data, run, look);
    this.#layout(data, run, at, look);
  }

  /** Load what is compared with; the page is painted again when it is here. */
  #askOther(): void {
    const { other, note } = otherOf(this.state.index, this.state.route);
    this.#otherNote = note;
    this.#otherSteps = other?.records.map(({ step }) => step) ?? [];
    this.#otherPlayer.update(this.#otherSteps, other?.at ?? 0);
    if (!other) {
      this.#otherLoader.stop();
      this.#other = undefined;
      return;
    }
    const record = other.records[other.at];
    if (!this.#otherLoader.isNew(`${other.run}/${record.id}`)) return;
    this.#otherLoader.run(
      (signal) => fetchFilters(this.source, other.run, record.id, signal),
      (found) => {
        this.#other = found;
        if (this.loaded) this.paint(this.loaded.data, this.loaded.run);
      },
      (error) => {
        this.#other = undefined;
        this.note(messageOf(error));
      },
    );
  }

  #look(data: FilterData): Look {
    const { params } = this.state.route;
    const other = this.#other;
    const [a, b] = [data.shape, other?.shape];
    const same = b !== undefined && a.input === b.input && a.height === b.height && a.width === b.width;
    return {
      data,
      other,
      same: same && a.out === b.out,
      drawing: drawingOf(data, params.input),
      otherDrawing: drawingOf(other ?? data, params.input),
      own: this.#own(),
      scale: Math.max(data.scale, other?.scale ?? 0),
      largestNorm: Math.max(largestNorm(data), other ? largestNorm(other) : 0),
    };
  }

  #tools(data: FilterData, look: Look): void {
    const { route, index } = this.state;
    const { input } = data.shape;
    const { drawing } = look;
    const deep = !data.colours && input > 1;
    this.#sort.set(choiceOf(route, "sort", FILTER_SORTS));
    this.#scale.set(look.own ? "own" : "shared");
    this.#slices.set(drawing.kind === "slice" ? "one" : drawing.kind === "all" ? "all" : "strongest");
    this.#slices.el.hidden = !deep;
    this.#input.limit({ min: 0, max: input - 1, step: 1 });
    this.#input.set(Math.round(boundedOf(route, "input", 0, 0, input - 1)));
    this.#input.el.hidden = !deep || drawing.kind !== "slice";
    const options = otherOptions(index);
    if (JSON.stringify(options) !== this.#options) {
      this.#options = JSON.stringify(options);
      const chosen = select("Compare with", options, "", (value) => this.set(otherChange(value)));
      put(this.#compare, chosen.el);
    }
    const field = this.#compare.querySelector("select");
    const { with: run, layer } = route.params;
    if (field) field.value = run ? otherKey(run, layer ?? "") : "";
    // Replacing a control while it is dragged would end the drag.
    if (!this.#sort.el.isConnected)
      put(
        this.frame.tools,
        this.#sort.el,
        this.#scale.el,
        this.#slices.el,
        this.#input.el,
        this.player.el,
        this.#compare,
        this.#otherPlayer.el,
        this.#legend,
      );
    put(this.#legend, look.own ? null : this.#bar(data, look.scale));
  }

  #bar(data: FilterData, scale: number): HTMLElement {
    const end = printedScale(scale);
    return data.colours ? greyBar(end, "per colour") : colourBar("diverging", -end, end, "weight");
  }

  #layout(data: FilterData, run: string, filter: number, look: Look): void {
    const { params } = this.state.route;
    if (!this.#grid.el.isConnected)
      put(
        this.frame.body,
        this.#health.el,
        this.#strip.el,
        withPanel(this.#grid.el, this.#panel.el, this.#gone.signal),
        this.#table,
      );
    this.#health.show(data, this.#flag(data), params.health === "1");
    this.#showPanel(data, run, filter, look);
    const other = this.#other;
    const { sort, show, input, q, flag, step } = params;
    const from = [run, data.record.id, other?.run, other?.record.id];
    const key = JSON.stringify([...from, sort, show, input, q, flag, step]);
    const order = this.#order(data);
    const here = order.filter((o) => o < data.shape.out);
    this.#strip.show(data, here, look.largestNorm, filter);
    if (key !== this.#drawn) {
      this.#drawn = key;
      const narrowest = look.drawing.kind === "all" ? MOSAIC : CELLS[1];
      const minimum = look.other ? CELLS[columnsOf(look)] : narrowest;
      this.#grid.show(order, { minimum, gap: look.other ? 20 : GAP });
      put(this.#table, filterTable(data, here.slice(0, TABLE_ROWS)));
    }
    for (const cell of this.#grid.el.querySelectorAll<HTMLElement>("[data-filter]")) {
      cell.setAttribute("aria-current", String(Number(cell.dataset.filter) === filter));
    }
  }

  #showPanel(data: FilterData, run: string, filter: number, look: Look): void {
    if (filter < 0) return this.#panel.hide();
    const { index, route } = this.state;
    const pictures = mapPictures(index, run, data.layer);
    const picture = this.#picture(data);
    const known = index.runs.find(({ name }) => name === run)?.records ?? [];
    const to = (view: string, tag: string): string =>
      formatRoute(toView(route, view, { run, tag, ch: filter }));
    const links = [
      ...(picture ? [{ text: "Its feature map", href: to("maps", picture.tag) }] : []),
      ...(known.some(({ kind, tag }) => kind === "topk" && tag === data.layer)
        ? [{ text: "What excites it most", href: to("layer", data.layer) }]
        : []),
    ];
    this.#panel.show({
      data,
      filter,
      drawing: look.drawing,
      scale: look.own ? data.largest[filter] : look.scale,
      largestNorm: largestNorm(data),
      pictures,
      picture,
      links,
      hrefOf: this.#hrefOf,
    });
  }

  /** The picture whose feature maps are shown. */
  #picture(data: FilterData): MapPicture | undefined {
    const pictures = mapPictures(this.state.index, data.run, data.layer);
    return pictures.find(({ tag }) => tag === this.state.route.params.pic) ?? pictures[0];
  }

  #head(data: FilterData, run: string, look: Look): void {
    const { record } = data;
    const facts = filterFacts(data, this.#other, look.own ? null : look.scale);
    const explain = explainFilters(data, look.drawing);
    this.head(run, { tag: record.tag, step: `step ${count(record.step)}`, explain, facts });
  }

  #own = (): boolean => choiceOf(this.state.route, "show", SCALES) === "own";

  /** The flag in the address, if the layer is judged by it. */
  #flag = (data: FilterData): string =>
    data.health.find(({ name }) => name === this.state.route.params.flag)?.name ?? "";

  #order(data: FilterData): number[] {
    const flag = this.#flag(data);
    const shown = chosenFilters(data, this.state.route.params.q ?? "", flag);
    const sorted = sortFilters(shown, choiceOf(this.state.route, "sort", FILTER_SORTS), data);
    const more = Math.max(0, (this.#other?.shape.out ?? 0) - data.shape.out);
    const rest = flag || this.state.route.params.q ? 0 : more;
    return [...sorted, ...Array.from({ length: rest }, (_, i) => data.shape.out + i)];
  }

  #chosen = (data: FilterData): Place => placeOf(this.state.route, "ch", data.shape.out, "filter");

  #hrefOf = (filter: number): string => formatRoute(changed(this.state.route, { ch: filter }));

  #open(filter: number): void {
    const before = this.loaded ? this.#chosen(this.loaded.data).at : -1;
    this.state.navigate({ ch: filter < 0 ? null : filter }, filter >= 0 && before >= 0);
    this.#follow(filter >= 0 ? filter : before);
  }

  /** Keep a filter in sight and focused: the panel that opens or closes beside it makes the grid lay itself out anew. */
  #follow(filter: number): void {
    if (filter < 0) return;
    this.#grid.focus(filter);
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        if (this.#grid.el.isConnected) this.#grid.focus(filter);
        if (isNarrow() && !this.#panel.el.hidden) this.#panel.el.scrollIntoView();
      }),
    );
  }

  #cell(o: number, signal: AbortSignal, cellWidth: number): HTMLElement {
    const data = this.loaded?.data;
    if (!data) return h("div");
    const look = this.#look(data);
    const link = filterCell(look, o, cellWidth, this.#hrefOf(o), signal);
    link.setAttribute("aria-current", String(o === this.#chosen(data).at));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      if (o < data.shape.out) this.#open(o);
    });
    if (o < data.shape.out) {
      const show = (): void => this.#hover.show(link, data, o, look.largestNorm, this.#picture(data));
      link.addEventListener("pointerenter", show);
      link.addEventListener("pointerleave", () => this.#hover.hide());
    }
    return h("div", { role: "listitem" }, link);
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (isTyping(event) || !data) return;
    const { at: chosen } = this.#chosen(data);
    if (event.key === "Escape") this.#hover.hide();
    if (event.key === "Escape" && chosen >= 0) return this.#open(-1);
    if (event.key === " " || event.target instanceof HTMLInputElement) return this.stepKey(event);
    const inGrid = this.#grid.el.contains(document.activeElement);
    const columns = this.#grid.columns;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (!by) return;
    const from = inGrid ? Number((document.activeElement as HTMLElement).dataset.filter) : chosen;
    if (from < 0 || (!inGrid && Math.abs(by) > 1)) return this.stepKey(event);
    const order = this.#order(data);
    const next = order[order.indexOf(from) + by];
    if (next === undefined) return;
    event.preventDefault();
    if (chosen >= 0) this.#open(next);
    else this.#grid.focus(next);
  }
}

export const mount: Mount = mounting(FiltersView);
