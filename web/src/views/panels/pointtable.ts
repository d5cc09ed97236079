// All points, the matches or the selected ones as a table: sorted by its headings, a page at a time.
import { segmented } from "../../lib/controls";
import { type Child, h, put, refill } from "../../lib/dom";
import { count, number, plural } from "../../lib/format";
import type { EmbeddingData } from "../../lib/points";
import { sortPoints } from "../../lib/pointsort";
import type { Change } from "../../lib/route";

export type TableOf = "all" | "matches" | "selection";

export interface TableState {
  /** What is listed; null: all points. */
  readonly points: Int32Array | null;
  readonly of: TableOf;
  /** The column it is sorted by, "-" before it for the other way round; "" as they come. */
  readonly by: string;
  /** Counted from 0. */
  readonly page: number;
  readonly chosen: number;
}

const PAGE = 50;
const LONGEST = 120;

export class PointTable {
  readonly el = h("section", { class: "points-table", "aria-label": "Table of the points", hidden: true });
  readonly #head = h("tr");
  readonly #body = h("tbody");
  readonly #caption = h("caption");
  readonly #said = h("span", { class: "num muted", role: "status" });
  readonly #of;
  readonly #before;
  readonly #after;
  #order: Int32Array = new Int32Array();
  #key = "";
  #page = 0;

  constructor(private readonly navigate: (change: Change, replace?: boolean) => void) {
    this.#of = segmented<TableOf>(
      "Rows",
      [
        { value: "all", text: "All" },
        { value: "matches", text: "Matches" },
        { value: "selection", text: "Selection" },
      ],
      "all",
      (of) => navigate({ table: of, page: null }, true),
    );
    const turn = (text: string, label: string, by: number): HTMLButtonElement =>
      h(
        "button",
        {
          type: "button",
          class: "button",
          "aria-label": label,
          onclick: () => navigate({ page: this.#page + by || null }, true),
        },
        text,
      );
    this.#before = turn("‹", "Previous page", -1);
    this.#after = turn("›", "Next page", 1);
    const close = h(
      "button",
      { type: "button", class: "icon-button", "aria-label": "Close the table", onclick: () => this.#close() },
      "×",
    );
    put(
      this.el,
      h("div", { class: "points-table-head" }, this.#of.el, this.#said, this.#before, this.#after, close),
      h(
        "div",
        { class: "points-table-scroll", tabindex: 0, role: "region", "aria-label": "Rows of the table" },
        h("table", {}, this.#caption, h("thead", {}, this.#head), this.#body),
      ),
    );
  }

  hide(): void {
    this.el.hidden = true;
  }

  async show(data: EmbeddingData, state: TableState, signal: AbortSignal): Promise<void> {
    this.el.hidden = false;
    this.#of.set(state.of);
    await Promise.all(data.columns.map((column) => (column.type === "text" ? column.load() : undefined)));
    if (signal.aborted) return;
    const key = `${data.record.id}/${state.of}/${state.by}`;
    if (key !== this.#key || state.of !== "all") this.#order = sortPoints(data, state.points, state.by);
    this.#key = key;
    const pages = Math.max(1, Math.ceil(this.#order.length / PAGE));
    this.#page = Math.min(state.page, pages - 1);
    this.#headings(data, state.by);
    const first = this.#page * PAGE;
    const rows = this.#order.subarray(first, first + PAGE);
    put(this.#caption, `Points of ${data.record.tag}`);
    put(
      this.#said,
      rows.length
        ? `${count(first + 1)}–${count(first + rows.length)} of ${plural(this.#order.length, "point")}`
        : nothing(state.of),
    );
    this.#before.disabled = this.#page === 0;
    this.#after.disabled = this.#page >= pages - 1;
    refill(this.#body, ...Array.from(rows, (i) => this.#row(data, i, i === state.chosen)));
  }

  #headings(data: EmbeddingData, by: string): void {
    const cell = (name: string, key: string): HTMLElement => {
      const [on, back] = [by === key, by === `-${key}`];
      const next = on ? `-${key}` : back ? null : key;
      return h(
        "th",
        { scope: "col", "aria-sort": on ? "ascending" : back ? "descending" : "none" },
        h(
          "button",
          { type: "button", onclick: () => this.navigate({ by: next, page: null }, true) },
          h("bdi", {}, name),
          on ? " ↑" : back ? " ↓" : "",
        ),
      );
    };
    refill(
      this.#head,
      cell("Point", "point"),
      cell("Image", "image"),
      cell("Class", "class"),
      ...data.columns.map(({ name }) => cell(name, `column:${name}`)),
    );
  }

  #row(data: EmbeddingData, i: number, chosen: boolean): HTMLElement {
    const text = (value: Child): HTMLElement => h("td", {}, h("bdi", {}, value));
    const cells = data.columns.map((column) =>
      column.type === "number"
        ? h("td", { class: "num" }, Number.isNaN(column.values[i]) ? "" : number(column.values[i], 6))
        : text(column.text(i).slice(0, LONGEST)),
    );
    return h(
      "tr",
      { "aria-current": chosen ? "true" : null },
      h(
        "th",
        { scope: "row", class: "num" },
        h(
          "button",
          {
            type: "button",
            class: "link-button",
            "aria-label": `Choose point ${i}`,
            onclick: () => this.navigate({ point: i }, true),
          },
          count(i),
        ),
      ),
      h("td", { class: "num" }, count(data.index[i])),
      text(data.className(data.label[i])),
      ...cells,
    );
  }

  #close(): void {
    this.navigate({ table: null, page: null, by: null }, true);
  }
}

const nothing = (of: TableOf): string =>
  of === "matches"
    ? "No search, or nothing matches."
    : of === "selection"
      ? "Nothing is selected."
      : "No points.";
