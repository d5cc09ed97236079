// A grid of equally high cells that builds only those on screen.
import { h } from "./dom";
import { type GridShape, gridShape, visibleCells } from "./virtual";

export interface GridOptions {
  readonly label: string;
  /** What the grid is to assistive technology: a list, whose cells are list items, unless said otherwise. */
  readonly role?: string;
  readonly minimum: number;
  readonly rowHeight: (cellWidth: number) => number;
  readonly gap: number;
  /** Build cell `item`; `signal` is aborted when the cell leaves the screen. */
  readonly cell: (item: number, signal: AbortSignal, width: number) => HTMLElement;
  /** Called when none of the cells is on screen: there is nothing to wait for. */
  readonly unseen?: () => void;
}

interface Cell {
  readonly item: number;
  readonly el: HTMLElement;
  readonly gone: AbortController;
}

export class VirtualGrid {
  readonly el: HTMLElement;
  readonly #cells = new Map<number, Cell>();
  readonly #observer: ResizeObserver;
  readonly #scroller: HTMLElement;
  readonly #draw = (): void => this.#schedule();
  #items: readonly number[] = [];
  #shape: GridShape = { columns: 1, rows: 0, cellWidth: 0, rowHeight: 0, height: 0 };
  #frame = 0;

  constructor(
    scroller: HTMLElement,
    private options: GridOptions,
  ) {
    this.el = h("div", { class: "virtual", role: options.role ?? "list", "aria-label": options.label });
    this.#scroller = scroller;
    this.#observer = new ResizeObserver(() => this.#layout());
    this.#observer.observe(this.el);
    scroller.addEventListener("scroll", this.#draw, { passive: true });
  }

  /** The items on screen. */
  get visible(): readonly number[] {
    return [...this.#cells.keys()].map((place) => this.#items[place]);
  }

  /** How many cells stand in a row. */
  get columns(): number {
    return this.#shape.columns;
  }

  /** Show these items, in this order. Cells are rebuilt. */
  show(items: readonly number[], options: Partial<GridOptions> = {}): void {
    this.#items = items;
    this.options = { ...this.options, ...options };
    this.#layout();
  }

  /** Bring `item` onto the screen, if it is not there, and give its cell the focus. */
  focus(item: number): void {
    const place = this.#items.indexOf(item);
    if (place < 0) return;
    const pitch = this.#shape.rowHeight + this.options.gap;
    const offset = this.el.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
    const top = offset + Math.floor(place / this.#shape.columns) * pitch;
    if (top < 0 || top + pitch > this.#scroller.clientHeight) this.#scroller.scrollBy(0, top - pitch / 2);
    this.#render();
    this.#focusCell(place);
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
    this.#scroller.removeEventListener("scroll", this.#draw);
    this.#clear();
  }

  #layout(): void {
    const { minimum, rowHeight, gap } = this.options;
    this.#shape = gridShape(this.#items.length, this.el.clientWidth, minimum, rowHeight, gap);
    this.el.style.height = `${this.#shape.height}px`;
    const focused = this.#focused();
    this.#clear();
    this.#render();
    if (focused !== undefined) this.#focusCell(this.#items.indexOf(focused));
  }

  /** The item whose cell has the focus. */
  #focused(): number | undefined {
    const active = document.activeElement;
    return [...this.#cells.values()].find(({ el }) => el.contains(active))?.item;
  }

  #focusCell(place: number): void {
    this.#cells.get(place)?.el.querySelector<HTMLElement>("a, button")?.focus({ preventScroll: true });
  }

  #schedule(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#render());
  }

  #render(): void {
    if (this.el.clientWidth === 0) return;
    const pitch = this.#shape.rowHeight + this.options.gap;
    const top = this.#scroller.getBoundingClientRect().top - this.el.getBoundingClientRect().top;
    const [first, last] = visibleCells(
      this.#items.length,
      this.#shape,
      pitch,
      top,
      top + this.#scroller.clientHeight,
    );
    for (const [place, cell] of this.#cells) if (place < first || place >= last) this.#drop(place, cell);
    for (let place = first; place < last; place++) if (!this.#cells.has(place)) this.#add(place, pitch);
    if (!this.#cells.size) this.options.unseen?.();
  }

  #add(place: number, pitch: number): void {
    const gone = new AbortController();
    const { columns, cellWidth } = this.#shape;
    const item = this.#items[place];
    const el = this.options.cell(item, gone.signal, cellWidth);
    el.classList.add("virtual-cell");
    el.style.width = `${cellWidth}px`;
    el.style.height = `${this.#shape.rowHeight}px`;
    const left = Math.round((place % columns) * (cellWidth + this.options.gap)); // whole pixels: pictures stay sharp
    el.style.transform = `translate(${left}px, ${Math.floor(place / columns) * pitch}px)`;
    const next = [...this.#cells.keys()].filter((other) => other > place).sort((a, b) => a - b)[0];
    this.el.insertBefore(el, next === undefined ? null : (this.#cells.get(next)?.el ?? null));
    this.#cells.set(place, { item, el, gone });
  }

  #drop(place: number, cell: Cell): void {
    cell.gone.abort();
    cell.el.remove();
    this.#cells.delete(place);
  }

  #clear(): void {
    for (const [place, cell] of this.#cells) this.#drop(place, cell);
  }
}

/** The element that scrolls `el`. */
export function scrollerOf(el: HTMLElement): HTMLElement {
  return el.closest<HTMLElement>("[data-scroller]") ?? document.documentElement;
}
