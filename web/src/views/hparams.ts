// Hyper-parameters of all runs: a table, parallel coordinates and a scatter plot, linked by one filter and selection.
import { segmented, select } from "../lib/controls";
import { h, put } from "../lib/dom";
import { csv, download, type SaveItem, saveMenu } from "../lib/download";
import { count } from "../lib/format";
import { dot, empty, Frame, failed, isAbort, loading, messageOf } from "../lib/frame";
import { curvesLink, runsWithout, withScalars } from "../lib/hparamcurves";
import { type Column, type HTable, OF, RUN, tableOf, textOf } from "../lib/hparams";
import { type HActions, type HState, pickChange, stateOf } from "../lib/hparamstate";
import { clipped, type SvgPen } from "../lib/pen";
import { choiceOf } from "../lib/route";
import { shownRuns } from "../lib/runs";
import { Tooltip } from "../lib/tooltip";
import type { HParams, Source } from "../source/source";
import { ColumnList, HparamBar, legendOf } from "./panels/hparambar";
import { HparamMenu } from "./panels/hparammenu";
import { HparamParallel } from "./panels/hparamparallel";
import { HparamRanks } from "./panels/hparamranks";
import { HparamScatter } from "./panels/hparamscatter";
import { HparamTable } from "./panels/hparamtable";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Each run with its hyper-parameters and metrics (the last, least or greatest value of each curve). What is filtered or selected in the table, on an axis or in the plot is so in all three.";
const SHOW = ["all", "table", "parallel", "scatter"] as const;
const SHOW_OPTIONS = SHOW.map((value) => ({ value, text: value[0].toUpperCase() + value.slice(1) }));
const OF_OPTIONS = [
  { value: "last", text: "Last", title: "The last value of each curve" },
  { value: "min", text: "Min", title: "The least value of each curve, NaN left out" },
  { value: "max", text: "Max", title: "The greatest value of each curve, NaN left out" },
] as const;
/** A running training changes the index several times a second. */
const PAUSE_MS = 1000;
const LISTED = 200;
const TOLD = 14;

class HparamsView implements View {
  readonly #frame: Frame;
  readonly #tooltip = new Tooltip();
  readonly #table: HparamTable;
  readonly #parallel: HparamParallel;
  readonly #scatter: HparamScatter;
  readonly #ranks: HparamRanks;
  readonly #menu: HparamMenu;
  readonly #bar: HparamBar;
  readonly #columns: ColumnList;
  readonly #legend = h("div");
  readonly #without = h("div");
  readonly #plots: Readonly<Record<Exclude<(typeof SHOW)[number], "all">, HTMLElement>>;
  readonly #tools = h("div", { class: "hparam-tools" });
  #controller = new AbortController();
  #answer: HParams | undefined;
  #fetched = "";
  #fetching = false;
  #last = { at: 0, took: 0 };
  #timer = 0;
  #made: readonly unknown[] = [];
  #known: HTable | undefined;
  #shown: HState | undefined;
  #offered = "";

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#frame = new Frame(el);
    this.#frame.head({ view: "Hyper-parameters", explain: EXPLAIN });
    const host = {
      state: () => this.#shown as HState,
      params: () => this.state.route.params,
      navigate: (change: Parameters<ViewState["navigate"]>[0], replace?: boolean) =>
        this.state.navigate(change, replace),
    };
    this.#menu = new HparamMenu(host);
    const actions: HActions = {
      navigate: host.navigate,
      pick: (row, add) => this.state.navigate(pickChange(host.state(), row, add)),
      hover: (row, event) => this.#hover(row, event),
      menu: (column, anchor) => this.#menu.open(column, anchor),
    };
    this.#table = new HparamTable(actions);
    this.#parallel = new HparamParallel(actions);
    this.#scatter = new HparamScatter(actions);
    this.#ranks = new HparamRanks(actions);
    this.#bar = new HparamBar(host, (rows) => this.#curves(rows));
    this.#columns = new ColumnList(host);
    this.#plots = {
      parallel: card(
        "Parallel coordinates",
        this.#parallel.el,
        this.#pictures("parallel", () => this.#parallel.svg()),
      ),
      table: card("Table", this.#table.el, saveMenu(this.#tableFiles(), "Save the table")),
      scatter: card(
        "Scatter plot",
        h("div", { class: "scatter-pair" }, this.#scatter.el, this.#ranks.el),
        this.#pictures("scatter", () => this.#scatter.svg()),
      ),
    };
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const runs = state.index.runs.filter(({ series }) => series.some(({ kind }) => kind === "hparams"));
    if (!runs.length) return this.#showEmpty();
    const key = state.index.runs
      .map(({ name, last_wall_time, series }) => `${name} ${last_wall_time} ${series.length}`)
      .join("\n");
    if (key !== this.#fetched) this.#ask(key);
    if (this.#answer) this.#paint(this.#answer);
    else if (!this.#frame.body.childElementCount) put(this.#frame.body, loading("hyper-parameters"));
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
    this.#tooltip.destroy();
    this.#menu.destroy();
    for (const panel of [this.#table, this.#parallel, this.#scatter, this.#ranks]) panel.destroy();
  }

  #showEmpty(): void {
    this.#answer = undefined;
    this.#fetched = "";
    put(this.#frame.tools);
    this.#offered = "";
    put(
      this.#frame.body,
      empty(
        "No hyper-parameters yet",
        "Log those of a run, and how well it did with them:",
        'writer.add_hparams({"lr": 0.1}, {"accuracy": 0.9})',
      ),
    );
    this.state.ready();
  }

  /** Ask anew, one question at a time, and not more often than the answers come easily. */
  #ask(key: string): void {
    clearTimeout(this.#timer);
    const wait = this.#last.at + Math.max(PAUSE_MS, 4 * this.#last.took) - performance.now();
    if (this.#fetching) return;
    if (this.#answer && wait > 0) {
      this.#timer = window.setTimeout(() => this.update(this.state), wait);
      return;
    }
    void this.#fetch(key);
  }

  async #fetch(key: string): Promise<void> {
    const { signal } = this.#controller;
    const start = performance.now();
    this.#fetching = true;
    try {
      this.#answer = await this.source.hparams(signal);
      this.#fetched = key;
      this.#frame.note();
    } catch (error) {
      if (isAbort(error)) return;
      if (this.#answer) this.#frame.note(messageOf(error));
      else put(this.#frame.body, failed(error));
      return this.state.ready();
    } finally {
      this.#fetching = false;
      this.#last = { at: performance.now(), took: performance.now() - start };
    }
    if (!signal.aborted) this.update(this.state);
  }

  #paint(answer: HParams): void {
    const { index, route, colours, theme } = this.state;
    const runs = shownRuns(index, route.params);
    const of = choiceOf(route, "of", OF);
    if (!same(this.#made, [answer, runs, of])) {
      const names = new Map(runs.map(({ name }, i) => [name, i]));
      const rows = answer.runs.filter(({ run }) => names.has(run));
      rows.sort((a, b) => (names.get(a.run) ?? 0) - (names.get(b.run) ?? 0));
      this.#known = tableOf(rows, of);
      this.#made = [answer, runs, of];
    }
    const table = this.#known as HTable;
    const state = stateOf(table, route.params, colours, theme);
    this.#shown = state;
    this.#controls(state);
    this.#layout();
    this.#bar.show(state);
    this.#columns.show(state);
    put(this.#legend, legendOf(state));
    const curves = withScalars(index);
    this.#table.show(state, (row) => ({
      colour: colours.get(table.runs[row]) ?? "",
      href: curvesLink(route, [table.runs[row]], curves),
    }));
    this.#parallel.show(state);
    this.#scatter.show(state);
    this.#ranks.show(state);
    this.#list(runsWithout(runs, new Set(table.runs)));
    this.state.ready();
  }

  #layout(): void {
    const show = choiceOf(this.state.route, "show", SHOW);
    const { parallel, table, scatter } = this.#plots;
    const plots = show === "all" ? [table, parallel, scatter] : [this.#plots[show]];
    const wanted = [this.#bar.el, this.#legend, ...plots, this.#without, this.#menu.el];
    const { children } = this.#frame.body;
    if (wanted.length !== children.length || wanted.some((one, i) => children[i] !== one))
      put(this.#frame.body, ...wanted);
  }

  #controls({ table, by }: HState): void {
    const show = choiceOf(this.state.route, "show", SHOW);
    const columns = table.columns.filter(({ distinct }) => distinct > 1);
    const of = choiceOf(this.state.route, "of", OF);
    const offered = JSON.stringify([show, of, by?.key, columns.map(({ key, name }) => [key, name])]);
    if (offered === this.#offered) return;
    this.#offered = offered;
    const held = this.#frame.tools.contains(document.activeElement)
      ? (document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent)
      : null;
    const options = [
      { value: RUN, text: "run" },
      ...columns.map(({ key, name }) => ({ value: key, text: clipped(name, 60) })),
    ];
    put(
      this.#tools,
      segmented("Show", SHOW_OPTIONS, show, (value) =>
        this.state.navigate({ show: value === "all" ? null : value }),
      ).el,
      select("Colour by", options, by?.key ?? RUN, (value) => this.state.navigate({ by: value })).el,
      segmented("Metrics", OF_OPTIONS, of, (value) =>
        this.state.navigate({ of: value === "last" ? null : value }),
      ).el,
      this.#columns.el,
    );
    if (this.#frame.tools.firstChild !== this.#tools) put(this.#frame.tools, this.#tools);
    if (!held) return;
    const again = [...this.#tools.querySelectorAll<HTMLElement>("button, select, summary")];
    again.find((one) => (one.getAttribute("aria-label") ?? one.textContent) === held)?.focus();
  }

  #hover(row: number, event?: MouseEvent): void {
    for (const panel of [this.#table, this.#parallel, this.#scatter]) panel.hover(row);
    const state = this.#shown;
    if (row < 0 || !event || !state) return this.#tooltip.hide();
    const told = new Set([...state.axes, state.x, state.y, state.by].filter((one) => one !== undefined));
    const lines = [...told]
      .filter((column) => column.key !== RUN)
      .slice(0, TOLD)
      .map((column) =>
        h(
          "tr",
          {},
          h("td", {}, clipped(column.name, 40)),
          h("td", { class: "num" }, clipped(textOf(column, column.cells[row]) || "missing", 60)),
        ),
      );
    this.#tooltip.show(
      event.clientX,
      event.clientY,
      h("h4", {}, dot(state.colouring.of(row)), state.table.runs[row]),
      h("table", {}, ...lines),
    );
  }

  #curves(rows: Iterable<number>): string {
    const names = [...rows].map((row) => this.#shown?.table.runs[row] ?? "");
    return curvesLink(this.state.route, names, withScalars(this.state.index));
  }

  /** Runs without hyper-parameters are not in the table; they are named below it. */
  #list(without: ReturnType<typeof runsWithout>): void {
    if (!without.length) return put(this.#without);
    const open = this.#without.querySelector("details")?.open;
    const curves = withScalars(this.state.index);
    const items = without
      .slice(0, LISTED)
      .map(({ name, below }) =>
        h(
          "li",
          {},
          dot(this.state.colours.get(name)),
          h("a", { href: curvesLink(this.state.route, [name], curves) }, name),
          below > 0 && h("span", { class: "muted" }, `hyper-parameters in ${count(below)} below it`),
        ),
      );
    put(
      this.#without,
      h(
        "details",
        { class: "hparam-without", open: open ?? false },
        h("summary", {}, `${count(without.length)} with curves but without hyper-parameters`),
        h("ul", {}, ...items),
        without.length > LISTED && h("p", { class: "muted" }, `and ${count(without.length - LISTED)} more`),
      ),
    );
  }

  #tableFiles(): SaveItem[] {
    const save = (name: string, columns: (state: HState) => readonly Column[]) => (): void => {
      const state = this.#shown;
      if (!state) return;
      const chosen = columns(state);
      const head = [RUN, ...chosen.map((column) => column.name)];
      const rows = state.rows.map((row) => [
        state.table.runs[row],
        ...chosen.map(({ cells }) => {
          const cell = cells[row];
          return typeof cell === "boolean" ? String(cell) : cell;
        }),
      ]);
      download(`${name}.csv`, csv(head, rows), "text/csv;charset=utf-8");
    };
    return [
      { label: "CSV of the columns shown", save: save("hparams", ({ columns }) => columns) },
      { label: "CSV of all columns", save: save("hparams-all", ({ table }) => table.columns) },
    ];
  }

  #pictures(name: string, drawing: () => SvgPen | undefined): HTMLElement {
    const svg = (): SvgPen => {
      const made = drawing();
      if (!made) throw new Error("nothing is drawn yet");
      return made;
    };
    return saveMenu(
      [
        { label: "SVG", save: () => download(`hparams-${name}.svg`, svg().toString(), "image/svg+xml") },
        { label: "PNG", save: async () => download(`hparams-${name}.png`, await svg().png()) },
      ],
      `Save the ${name === "parallel" ? "parallel coordinates" : "scatter plot"}`,
    );
  }
}

const same = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i]);

const card = (title: string, content: HTMLElement, menu: HTMLElement): HTMLElement =>
  h(
    "section",
    { class: "card hparam-card", "aria-label": title },
    h("div", { class: "card-head" }, h("h2", {}, title), menu),
    content,
  );

export const mount: Mount = (el, source, state) => new HparamsView(el, source, state);
