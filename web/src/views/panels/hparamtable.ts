// The table of runs: one row each, only those on screen are made; the head and the names stay while one scrolls.
import { h, put, s } from "../../lib/dom";
import { dot } from "../../lib/frame";
import { filterText } from "../../lib/hparamfilter";
import { type Column, exactText, textOf } from "../../lib/hparams";
import { type HActions, type HState, sortChange } from "../../lib/hparamstate";

const ROW = 30;
const SPARE = 8;
/** Rows come and go in such steps, so that not every pixel of a scroll is work. */
const AT_ONCE = 6;
const CHARACTER = 7.4;
const LOOKED_AT = 300;
const BESIDE = 200;
const WIDTHS = { least: 84, most: 240 } as const;

export interface RunCell {
  readonly colour: string;
  readonly href: string;
}

export class HparamTable {
  readonly #scroll = h("div", {
    class: "hparam-scroll",
    tabindex: 0,
    role: "region",
    "aria-label": "Table of runs",
    onscroll: () => this.#later(),
  });
  readonly el = this.#scroll;
  readonly #body = h("tbody");
  readonly #lines = new Map<number, HTMLTableRowElement>();
  readonly #resized = new ResizeObserver(() => this.#later());
  #state: HState | undefined;
  #run: (row: number) => RunCell = () => ({ colour: "", href: "" });
  #head = "";
  #frame = 0;
  #hovered = -1;
  #stop = 0;
  #drawn = "";
  #columns: readonly [first: number, last: number] = [0, 0];

  constructor(private readonly actions: HActions) {
    this.#resized.observe(this.#scroll);
    this.#body.addEventListener("pointerover", (event) => this.actions.hover(rowOf(event)));
    this.#body.addEventListener("pointerleave", () => this.actions.hover(-1));
    this.#body.addEventListener("focusin", (event) => this.#focused(rowOf(event)));
    this.#body.addEventListener("focusout", () => this.actions.hover(-1));
    this.#body.addEventListener("click", (event) => this.#click(event));
    this.#body.addEventListener("keydown", (event) => this.#key(event));
  }

  show(state: HState, run: (row: number) => RunCell): void {
    this.#state = state;
    this.#run = run;
    const head = JSON.stringify([
      state.columns.map(({ key, role, numeric, name }) => [key, role, numeric, name]),
      state.sort,
      [...state.filters].map(([key, filter]) => [key, filterText(filter)]),
      widthsOf(state.columns),
    ]);
    if (head !== this.#head) this.#make(state);
    this.#head = head;
    this.#columns = [0, 0];
    this.#lines.clear();
    this.#draw();
  }

  hover(row: number): void {
    this.#lines.get(this.#hovered)?.classList.remove("hovered");
    this.#hovered = row;
    this.#lines.get(row)?.classList.add("hovered");
  }

  /** Scroll to a row that was chosen elsewhere. */
  reveal(row: number): void {
    const place = this.#state?.rows.indexOf(row) ?? -1;
    if (place >= 0) this.#scrollTo(place);
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#resized.disconnect();
  }

  #make(state: HState): void {
    const left = this.#scroll.scrollLeft;
    const focused = (document.activeElement as HTMLElement | null)?.dataset.focus;
    const widths = widthsOf(state.columns);
    put(
      this.#scroll,
      h(
        "table",
        {
          class: "hparam-table",
          "aria-rowcount": state.rows.length + 1,
          "aria-colcount": state.columns.length + 1,
        },
        h("caption", { class: "visually-hidden" }, "Runs with their hyper-parameters and metrics"),
        h(
          "colgroup",
          {},
          h("col", { class: "hparam-names" }),
          ...widths.map((width) => h("col", { style: { width: `${width}px` } })),
        ),
        h(
          "thead",
          {},
          h("tr", {}, ...[state.table.name, ...state.columns].map((column) => this.#title(column, state))),
        ),
        this.#body,
      ),
    );
    this.#scroll.scrollLeft = left;
    if (focused)
      [...this.#scroll.querySelectorAll<HTMLElement>("[data-focus]")]
        .find((one) => one.dataset.focus === focused)
        ?.focus();
  }

  #title(column: Column, { sort, filters }: HState): HTMLElement {
    const sorted = sort?.key === column.key;
    const filter = filters.get(column.key);
    const said = filter ? `, filtered: ${filterText(filter)}` : "";
    const menu = h(
      "button",
      {
        type: "button",
        class: `icon-button hparam-menu${filter ? " on" : ""}`,
        "data-focus": `menu ${column.key}`,
        "aria-label": `Filter and options of ${column.name}${said}`,
        title: `Filter and options of ${column.name}${said}`,
        "aria-haspopup": "dialog",
        onclick: (event: MouseEvent) => this.actions.menu(column, event.currentTarget as HTMLElement),
      },
      funnel(),
    );
    return h(
      "th",
      {
        scope: "col",
        class: `role-${column.role}${column.numeric ? " num" : ""}`,
        "aria-sort": sorted ? (sort.descending ? "descending" : "ascending") : null,
      },
      h(
        "div",
        {},
        h(
          "button",
          {
            type: "button",
            class: "hparam-sort",
            "data-focus": `sort ${column.key}`,
            title: column.name,
            onclick: () => this.actions.navigate(sortChange(this.#state?.sort ?? null, column.key)),
          },
          h("span", {}, column.name),
          sorted && h("span", { class: "sort-mark", "aria-hidden": "true" }, sort.descending ? "↓" : "↑"),
        ),
        menu,
      ),
    );
  }

  #later(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** The first and one past the last place on screen. */
  #window(rows: number): [number, number] {
    const top = AT_ONCE * Math.floor(this.#scroll.scrollTop / ROW / AT_ONCE) - SPARE;
    const many = Math.ceil((this.#scroll.clientHeight || 400) / ROW) + 2 * SPARE + AT_ONCE;
    const first = Math.max(0, Math.min(top, rows - many));
    return [first, Math.min(rows, first + many)];
  }

  /** The first and one past the last column on screen; the names always are. */
  #columnWindow(columns: readonly Column[]): readonly [number, number] {
    const { scrollLeft, clientWidth } = this.#scroll;
    const [left, right] = [scrollLeft - BESIDE, scrollLeft + (clientWidth || innerWidth) + BESIDE];
    let [x, first, last] = [0, 0, 0];
    for (const column of columns) {
      x += widthOf(column);
      if (x < left) first++;
      if (x - widthOf(column) < right) last++;
    }
    const [before, after] = this.#columns;
    const enough = before <= first && after >= last && after - before <= 2 * (last - first) + 2;
    return enough ? this.#columns : [Math.max(0, first - 2), Math.min(columns.length, last + 2)];
  }

  #draw(): void {
    const state = this.#state;
    if (!state) return;
    const [first, last] = this.#window(state.rows.length);
    const columns = this.#columnWindow(state.columns);
    if (columns !== this.#columns) this.#lines.clear();
    const drawn = `${first} ${last}`;
    if (this.#lines.size && drawn === this.#drawn) return this.#settle(state.rows.slice(first, last), first);
    this.#columns = columns;
    this.#drawn = drawn;
    const rows = state.rows.slice(first, last);
    const held = document.activeElement;
    const focused = held && this.#body.contains(held) ? rowOf({ target: held }) : -1;
    const wanted = new Set(rows);
    for (const row of this.#lines.keys()) if (!wanted.has(row)) this.#lines.delete(row);
    const lines = rows.map((row, i) => this.#line(row, first + i, state));
    put(
      this.#body,
      spacer(first * ROW, state.columns.length + 1),
      ...lines,
      spacer((state.rows.length - last) * ROW, state.columns.length + 1),
      state.rows.length ? null : nothing(state),
    );
    this.#body.parentElement?.setAttribute("aria-rowcount", String(state.rows.length + 1));
    this.#settle(rows, first);
    // A row that is scrolled away takes the focus along; the keys go on from the table.
    if (focused >= 0 && document.activeElement === document.body)
      (wanted.has(focused) ? this.#box(focused) : this.#scroll)?.focus({ preventScroll: true });
  }

  /** One row of all is in the tab order. */
  #settle(rows: readonly number[], first: number): void {
    if (this.#stop < first || this.#stop >= first + rows.length) this.#stop = first + Math.min(SPARE, first);
    rows.forEach((row, i) => {
      for (const one of this.#lines.get(row)?.querySelectorAll<HTMLElement>("input, a") ?? [])
        one.tabIndex = first + i === this.#stop ? 0 : -1;
    });
  }

  #line(row: number, place: number, state: HState): HTMLTableRowElement {
    const known = this.#lines.get(row);
    if (known) return known;
    const picked = state.picked.has(row);
    const name = state.table.runs[row];
    const { colour, href } = this.#run(row);
    const line = h(
      "tr",
      {
        "data-row": row,
        "aria-rowindex": place + 2,
        class: [picked && "picked", row === this.#hovered && "hovered"].filter(Boolean).join(" "),
      },
      h(
        "th",
        { scope: "row" },
        h(
          "div",
          {},
          h("input", { type: "checkbox", class: "plain", checked: picked, "aria-label": `Select ${name}` }),
          dot(colour),
          h("a", { href, title: `${name}: its curves` }, name),
        ),
      ),
      aside(this.#columns[0]),
      ...state.columns
        .slice(...this.#columns)
        .map((column, i) => cellOf(column, row, state, this.#columns[0] + i + 2)),
      aside(state.columns.length - this.#columns[1]),
    );
    this.#lines.set(row, line);
    return line;
  }

  #click(event: MouseEvent): void {
    const row = rowOf(event);
    if (row < 0 || !(event.target instanceof Element) || event.target.closest("a")) return;
    const box = event.target.closest("input");
    this.actions.pick(row, box !== null || event.ctrlKey || event.metaKey || event.shiftKey);
  }

  #focused(row: number): void {
    const place = this.#state?.rows.indexOf(row) ?? -1;
    if (place >= 0) this.#stop = place;
    this.actions.hover(row);
  }

  #key(event: KeyboardEvent): void {
    const many = this.#state?.rows.length ?? 0;
    const page = Math.max(1, Math.floor(this.#scroll.clientHeight / ROW) - 2);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -many, End: many }[
      event.key
    ];
    if (!by) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(many - 1, this.#stop + by));
    this.#scrollTo(place);
    this.#stop = place;
    this.#draw();
    this.#box(this.#state?.rows[place] ?? -1)?.focus({ preventScroll: true });
  }

  #box = (row: number): HTMLElement | null | undefined => this.#lines.get(row)?.querySelector("input");

  #scrollTo(place: number): void {
    const { scrollTop, clientHeight } = this.#scroll;
    const top = place * ROW;
    const room = clientHeight - 2 * ROW;
    if (top < scrollTop) this.#scroll.scrollTop = top;
    else if (top > scrollTop + room) this.#scroll.scrollTop = top - room;
    this.#draw();
  }
}

function cellOf(column: Column, row: number, state: HState, place: number): HTMLElement {
  const cell = column.cells[row];
  const at = { "aria-colindex": place };
  if (cell === undefined) return h("td", { ...at, class: "lacking", title: "missing" }, "–");
  const text = textOf(column, cell);
  const odd = typeof cell === "number" && !Number.isFinite(cell);
  return h(
    "td",
    {
      class: [column.numeric && "num", odd && "odd"].filter(Boolean).join(" "),
      title: exactText(column, cell),
    },
    column === state.by &&
      h("i", {
        class: "hparam-swatch",
        "aria-hidden": "true",
        style: { background: state.colouring.of(row) },
      }),
    text,
  );
}

const nothing = ({ table, columns }: HState): HTMLElement =>
  h(
    "tr",
    {},
    h(
      "td",
      { class: "hparam-nothing", colspan: columns.length + 1 },
      table.runs.length
        ? "No run passes the filters; take one off above."
        : "None of the shown runs has hyper-parameters.",
    ),
  );

const spacer = (height: number, columns: number): HTMLElement | null =>
  height > 0
    ? h(
        "tr",
        { class: "spacer", "aria-hidden": "true" },
        h("td", { colspan: columns, style: { height: `${height}px` } }),
      )
    : null;

/** In place of the cells of so many columns beside the screen. */
const aside = (columns: number): HTMLElement | null =>
  columns > 0 ? h("td", { colspan: columns, "aria-hidden": "true" }) : null;

function rowOf({ target }: { readonly target: EventTarget | null }): number {
  const line = target instanceof Element ? target.closest<HTMLElement>("tr[data-row]") : null;
  return line ? Number(line.dataset.row) : -1;
}

/** Widths that hold the names and the first rows' values; looked at once a column. */
const widthsOf = (columns: readonly Column[]): number[] => columns.map(widthOf);
const widths = new WeakMap<Column, number>();

function widthOf(column: Column): number {
  const known = widths.get(column);
  if (known) return known;
  let longest = column.name.length + 4;
  for (const cell of column.cells.slice(0, LOOKED_AT))
    if (cell !== undefined) longest = Math.max(longest, textOf(column, cell).length + 1);
  const width = Math.max(WIDTHS.least, Math.min(WIDTHS.most, Math.round(CHARACTER * longest + 24)));
  widths.set(column, width);
  return width;
}

const funnel = (): SVGElement =>
  s(
    "svg",
    { viewBox: "0 0 16 16", "aria-hidden": "true" },
    s("path", { d: "M2.5 3.5h11L9.5 8.6v4.2l-3-1.6V8.6z" }),
  );
