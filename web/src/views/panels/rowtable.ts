// A table that is sorted by its headings and builds only the rows on screen, so that it may have thousands.
import { type Child, h, put } from "../../lib/dom";
import { csv, download } from "../../lib/download";
import { plural } from "../../lib/format";
import { sortedBy } from "../../lib/ranks";

const ROW = 26;
const SPARE = 6;

export interface Column {
  readonly name: string;
  readonly title?: string;
  /** What it is sorted by and saved as. */
  readonly value: (item: number) => number | string;
  readonly cell: (item: number) => Child;
  /** Text columns stand left, numbers right and sort the largest first. */
  readonly words?: boolean;
}

export interface TableContent {
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly items: readonly number[];
  /** The column it is sorted by, "-" before its name for the other way round; empty: as the items come. */
  readonly by: string;
  /** The item that is marked; -1: none. */
  readonly chosen: number;
  /** Name of the file it is saved as, without extension. */
  readonly file: string;
}

export class RowTable {
  readonly el = h("section", { class: "row-table-box" });
  readonly #head = h("tr");
  readonly #body = h("tbody");
  readonly #table = h("table", { class: "row-table" }, h("thead", {}, this.#head), this.#body);
  readonly #scroller = h("div", { class: "row-table-scroller", tabindex: 0, role: "region" }, this.#table);
  readonly #count = h("span", { class: "muted num" });
  readonly #title = h("h3");
  readonly #observer = new ResizeObserver(() => this.#render());
  #content: TableContent = { caption: "", columns: [], items: [], by: "", chosen: -1, file: "" };
  #order: readonly number[] = [];
  #first = -1;
  #last = -1;

  /** `sort` gets the column (or "-" and the column) that a heading asks for; empty: none. */
  constructor(private readonly sort: (by: string) => void) {
    const save = h("button", { type: "button", class: "button", onclick: () => this.save() }, "CSV");
    put(this.el, h("header", { class: "row-table-head" }, this.#title, this.#count, save), this.#scroller);
    this.#scroller.addEventListener("scroll", () => this.#render(), { passive: true });
    this.#observer.observe(this.#scroller);
  }

  show(content: TableContent): void {
    this.#content = content;
    const { columns, items, by } = content;
    const column = columns.find(({ name }) => by === name || by === `-${name}`);
    const usual = column && !column.words;
    this.#order = column
      ? sortedBy(items, column.value, by.startsWith("-") ? !usual : usual === true)
      : items;
    put(this.#title, content.caption);
    put(this.#count, plural(items.length, "row"));
    this.#scroller.setAttribute("aria-label", content.caption);
    this.#table.setAttribute("aria-label", content.caption);
    this.#table.setAttribute("aria-rowcount", String(items.length + 1));
    this.#headings();
    this.#first = -1;
    this.#render();
  }

  /** All rows, in the order in which they are shown, as a file. */
  save(): void {
    const { columns, file } = this.#content;
    const rows = this.#order.map((item) => columns.map(({ value }) => value(item)));
    download(
      `${file}.csv`,
      csv(
        columns.map(({ name }) => name),
        rows,
      ),
      "text/csv;charset=utf-8",
    );
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  #headings(): void {
    const { columns, by } = this.#content;
    const focused = this.#head.contains(document.activeElement)
      ? document.activeElement?.textContent
      : undefined;
    put(
      this.#head,
      ...columns.map(({ name, title, words }) => {
        const [on, back] = [by === name, by === `-${name}`];
        const rising = on ? words === true : back && !words;
        const next = on ? `-${name}` : back ? "" : name;
        const button = h("button", { type: "button", title, onclick: () => this.sort(next) }, name);
        const sorted = on || back ? (rising ? "ascending" : "descending") : "none";
        return h("th", { scope: "col", class: words ? "words" : null, "aria-sort": sorted }, button);
      }),
    );
    if (focused)
      [...this.#head.querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
  }

  #render(): void {
    const { columns, chosen } = this.#content;
    const height = this.#scroller.clientHeight || 400;
    const all = this.#order.length;
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(all, first + Math.ceil(height / ROW) + 2 * SPARE);
    if (first === this.#first && last === this.#last) return;
    [this.#first, this.#last] = [first, last];
    const rows = this.#order
      .slice(first, last)
      .map((item, i) =>
        h(
          "tr",
          { "aria-rowindex": first + i + 2, "aria-current": String(item === chosen), "data-item": item },
          ...columns.map(({ cell, words }) => h("td", { class: words ? "words" : "num" }, cell(item))),
        ),
      );
    put(this.#body, space(first, columns.length), ...rows, space(all - last, columns.length));
  }
}

/** Room for rows that are not built. */
const space = (rows: number, columns: number): HTMLElement | null =>
  rows > 0
    ? h(
        "tr",
        { "aria-hidden": "true", style: { height: `${rows * ROW}px` } },
        h("td", { colspan: columns, class: "row-space" }),
      )
    : null;
