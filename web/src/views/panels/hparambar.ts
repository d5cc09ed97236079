// Above the plots: which filters are on, which runs are chosen, what the colours mean, which columns are shown.
import { h, put } from "../../lib/dom";
import { count, plural } from "../../lib/format";
import { filterKey, filterText, formatFilter } from "../../lib/hparamfilter";
import { type Column, cellText, RUN } from "../../lib/hparams";
import { columnChange, type HState } from "../../lib/hparamstate";
import type { MenuHost } from "./hparammenu";

const LISTED = 400;
const ENTRIES = 12;

/** The filters as buttons that take them off, and the chosen runs with what can be done with them. */
export class HparamBar {
  readonly #said = h("p", { role: "status", class: "num" });
  readonly #chips = h("div", { class: "hparam-chips" });
  readonly el = h("div", { class: "hparam-bar" }, this.#said, this.#chips);
  #made = "";

  constructor(
    private readonly host: MenuHost,
    private readonly curves: (rows: Iterable<number>) => string,
  ) {}

  show(state: HState): void {
    const { rows, table, filters, picked } = state;
    const text = `${count(rows.length)} of ${plural(table.runs.length, "run")}`;
    if (this.#said.textContent !== text) put(this.#said, text);
    const made = JSON.stringify([
      [...filters].map(([key, one]) => [key, filterText(one)]),
      [...picked],
      table.runs.length,
    ]);
    if (made === this.#made) return;
    this.#made = made;
    const named = new Map([table.name, ...table.columns].map((column) => [column.key, column.name]));
    put(
      this.#chips,
      ...[...filters].map(([key, filter]) => this.#chip(key, `${named.get(key)}: ${filterText(filter)}`)),
      filters.size > 1 && this.#button("Clear all filters", clearing(filters.keys())),
      ...(picked.size ? this.#chosen(state) : []),
    );
  }

  #chip(key: string, text: string): HTMLElement {
    return h(
      "button",
      {
        type: "button",
        class: "hparam-chip",
        "aria-label": `Remove the filter ${text}`,
        title: text,
        onclick: () => this.host.navigate({ [filterKey(key)]: null }),
      },
      h("span", {}, text),
      h("span", { "aria-hidden": "true" }, "×"),
    );
  }

  #chosen({ picked, table }: HState): HTMLElement[] {
    const names = [...picked].map((row) => table.runs[row]);
    const texts = new Set(names.map(cellText));
    const keep = { [filterKey(RUN)]: formatFilter({ kind: "choice", texts, missing: false }) };
    return [
      h(
        "span",
        { class: "hparam-chosen", title: names.slice(0, ENTRIES).join("\n") },
        `${plural(picked.size, "run")} selected`,
      ),
      h("a", { class: "button", href: this.curves(picked) }, "Their curves"),
      this.#button("Keep only these", { ...keep, sel: null }),
      this.#button("Clear selection", { sel: null }),
    ];
  }

  #button = (text: string, change: Readonly<Record<string, string | null>>): HTMLElement =>
    h("button", { type: "button", class: "button", onclick: () => this.host.navigate(change) }, text);
}

const clearing = (keys: Iterable<string>): Record<string, null> =>
  Object.fromEntries([...keys].map((key) => [filterKey(key), null]));

/** What the colours mean. */
export function legendOf({ by, colouring, table }: HState): HTMLElement {
  if (!by) return h("p", { class: "hparam-legend muted" }, "Each run in its own colour.");
  const lacking = by.cells.filter((cell) => cell === undefined || Number.isNaN(cell)).length;
  const rest =
    lacking > 0 &&
    h("span", { class: "muted" }, `grey: ${count(lacking)} of ${count(table.runs.length)} without`);
  const { ramp, entries } = colouring;
  if (!ramp) {
    const dots = entries.map(({ colour, text }) =>
      h(
        "span",
        { class: "hparam-legend-entry" },
        h("i", { class: "hparam-swatch", style: { background: colour } }),
        text,
      ),
    );
    return h("p", { class: "hparam-legend" }, h("b", {}, by.name), ...dots, rest);
  }
  const ticks = ramp.ticks.filter((_, i) => i % Math.max(1, Math.ceil(ramp.ticks.length / 6)) === 0);
  return h(
    "div",
    { class: "hparam-legend" },
    h("b", {}, by.name),
    h(
      "div",
      { class: "hparam-ramp" },
      h("i", { style: { background: `linear-gradient(90deg, ${ramp.colours.join(", ")})` } }),
      h(
        "div",
        { class: "hparam-ramp-ticks num" },
        ...ticks.map(({ at, text }) => h("span", { style: { left: `${100 * at}%` } }, text)),
      ),
    ),
    rest,
  );
}

/** A list of all columns to show or hide. */
export class ColumnList {
  readonly #list = h("div", { class: "hparam-choices" });
  readonly #search = h("input", {
    type: "search",
    "aria-label": "Find a column",
    placeholder: "Find a column",
    oninput: () => this.#draw(),
  });
  readonly #summary = h("summary", { class: "button" });
  readonly el = h(
    "details",
    {
      class: "hparam-columns",
      ontoggle: () => this.#draw(),
      onkeydown: (event: KeyboardEvent) => {
        if (event.key !== "Escape") return;
        this.el.open = false;
        this.#summary.focus();
      },
    },
    this.#summary,
    h("div", { class: "hparam-dialog" }, this.#search, this.#list),
  ) as HTMLDetailsElement;

  constructor(private readonly host: MenuHost) {}

  show(state: HState): void {
    const all = state.table.columns.filter(isFilled).length;
    put(this.#summary, `Columns: ${count(state.columns.length)} of ${count(all)}`);
    if (this.el.open && !this.#list.contains(document.activeElement)) this.#draw();
  }

  #draw(): void {
    if (!this.el.open) return;
    const state = this.host.state();
    const part = this.#search.value.trim().toLocaleLowerCase();
    const found = state.table.columns
      .filter(isFilled)
      .filter(({ name }) => name.toLocaleLowerCase().includes(part));
    const shown = new Set(state.columns);
    put(
      this.#list,
      ...found.slice(0, LISTED).map((column) => this.#row(column, shown.has(column))),
      found.length > LISTED &&
        h("p", { class: "muted" }, `${count(found.length - LISTED)} more; search for them.`),
      !found.length && h("p", { class: "muted" }, "No column of this name."),
    );
  }

  #row(column: Column, checked: boolean): HTMLElement {
    const box = h("input", { type: "checkbox", class: "plain", checked });
    box.addEventListener("change", () =>
      this.host.navigate(columnChange(this.host.state().table, this.host.params(), column.key, box.checked)),
    );
    const role = column.role === "hparam" ? "" : column.role === "metric" ? "metric" : "run";
    return h(
      "label",
      {},
      box,
      h("span", { title: column.name }, column.name),
      h("span", { class: "muted" }, role),
    );
  }
}

const isFilled = ({ cells }: Column): boolean => cells.some((cell) => cell !== undefined);
