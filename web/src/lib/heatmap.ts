// A confusion matrix on a canvas: right answers and mistakes in two colours, each on a scale of its own, with names.

import { type Confusion, cellValues, type Share, strengths } from "./confusion";
import { h, put, sizeCanvas } from "./dom";
import { count, percent } from "./format";

export interface Cell {
  readonly row: number;
  readonly column: number;
}

const LARGEST_CELL = 58;
const SMALLEST_WITH_TEXT = 24;
const LETTER = 6.6;
const LONGEST_NAME = 110;
const AXIS = 18;

export class HeatMap {
  readonly el: HTMLElement;
  readonly canvas = h("canvas", {
    class: "heat-map",
    role: "img",
    tabindex: 0,
  });
  readonly #reading = h("p", { class: "visually-hidden", role: "status" });
  readonly #observer = new ResizeObserver(() => this.#draw());
  #matrix: Confusion = { names: [], counts: new Float64Array() };
  #share: Share = "none";
  #wanted = "";
  #cell: Cell | null = null;
  #margin = 0;
  #side = 1;

  constructor(private readonly pointed: (cell: Cell | null, at: { x: number; y: number }) => void) {
    this.el = h("div", { class: "heat-host" }, this.canvas, this.#reading);
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerleave", () => this.#set(null));
    this.canvas.addEventListener("blur", () => this.#set(null));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#observer.observe(this.el);
  }

  /** Draw a matrix; the names that contain `wanted` are strong. */
  show(matrix: Confusion, share: Share, wanted: string): void {
    this.#matrix = matrix;
    this.#share = share;
    this.#wanted = wanted;
    this.canvas.setAttribute(
      "aria-label",
      `Confusion matrix of ${matrix.names.length} classes; arrow keys read it`,
    );
    this.#draw();
  }

  /** Frame a cell that is spoken of elsewhere; null: none. */
  mark(cell: Cell | null): void {
    this.#cell = cell;
    this.#draw();
  }

  /** Say in words what is pointed at, for those who do not see the canvas. */
  say(text: string): void {
    put(this.#reading, text);
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  #measure(): void {
    const { names } = this.#matrix;
    const longest = Math.max(1, ...names.map((name) => name.length));
    this.#margin = AXIS + 10 + Math.min(LONGEST_NAME, longest * LETTER);
    const room = (this.el.clientWidth - this.#margin - 12) / Math.max(1, names.length);
    this.#side = Math.min(LARGEST_CELL, room > 4 ? Math.floor(room) : room);
  }

  #draw(): void {
    if (!this.el.clientWidth) return;
    this.#measure();
    const extent = this.#margin + this.#side * this.#matrix.names.length + 2;
    const context = sizeCanvas(this.canvas, extent, extent);
    const style = getComputedStyle(this.el);
    context.font = `12px ${style.getPropertyValue("--font-sans")}`;
    context.textBaseline = "middle";
    this.#cells(context, style);
    this.#names(context, style);
    if (this.#cell) this.#frame(context, style, this.#cell);
  }

  #cells(context: CanvasRenderingContext2D, style: CSSStyleDeclaration): void {
    const { names, counts } = this.#matrix;
    const strong = strengths(this.#matrix, this.#share);
    const values = cellValues(this.#matrix, this.#share);
    const gap = this.#side >= 8 ? 1 : 0;
    const [right, wrong, sunk] = ["--accent", "--bad", "--sunk"].map((name) => style.getPropertyValue(name));
    context.textAlign = "center";
    counts.forEach((value, at) => {
      const [row, column] = [Math.floor(at / names.length), at % names.length];
      const [x, y] = [this.#margin + column * this.#side, this.#margin + row * this.#side];
      const size = this.#side - gap;
      context.fillStyle = sunk;
      context.fillRect(x, y, size, size);
      if (value > 0) {
        context.globalAlpha = 0.12 + 0.88 * strong[at];
        context.fillStyle = row === column ? right : wrong;
        context.fillRect(x, y, size, size);
        context.globalAlpha = 1;
      }
      if (this.#side < SMALLEST_WITH_TEXT || value === 0) return;
      context.fillStyle = style.getPropertyValue(strong[at] > 0.5 ? "--on-accent" : "--text");
      const text = this.#share === "none" ? count(value) : shortShare(values[at]);
      context.fillText(text, x + size / 2, y + size / 2 + 0.5, size - 2);
    });
  }

  #names(context: CanvasRenderingContext2D, style: CSSStyleDeclaration): void {
    const { names } = this.#matrix;
    const every = Math.max(1, Math.ceil(14 / this.#side));
    const end = this.#margin - 7;
    names.forEach((name, at) => {
      if (at % every) return;
      const found = this.#wanted !== "" && name.toLocaleLowerCase().includes(this.#wanted);
      context.fillStyle = style.getPropertyValue(found ? "--accent-text" : "--muted");
      const middle = this.#margin + (at + 0.5) * this.#side;
      context.textAlign = "right";
      context.fillText(name, end, middle, end - AXIS);
      this.#turned(context, middle, end, name, name.length * LETTER > this.#side);
    });
    context.fillStyle = style.getPropertyValue("--faint");
    context.textAlign = "center";
    const middle = this.#margin + (this.#side * names.length) / 2;
    context.fillText("predicted", middle, 8);
    context.save();
    context.translate(8, middle);
    context.rotate(-Math.PI / 2);
    context.fillText("true", 0, 0);
    context.restore();
  }

  /** Write the name of a column above it, upwards where it would not fit. */
  #turned(
    context: CanvasRenderingContext2D,
    x: number,
    bottom: number,
    name: string,
    upwards: boolean,
  ): void {
    context.save();
    context.translate(x, bottom);
    if (upwards) context.rotate(-Math.PI / 2);
    context.textAlign = upwards ? "left" : "center";
    context.fillText(name, 0, upwards ? 0 : -5, upwards ? bottom - AXIS : this.#side);
    context.restore();
  }

  #frame(context: CanvasRenderingContext2D, style: CSSStyleDeclaration, { row, column }: Cell): void {
    context.strokeStyle = style.getPropertyValue("--text");
    context.lineWidth = 2;
    context.strokeRect(
      this.#margin + column * this.#side - 1,
      this.#margin + row * this.#side - 1,
      this.#side + 1,
      this.#side + 1,
    );
  }

  #move(event: PointerEvent): void {
    const bounds = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - bounds.left - this.#margin) / this.#side);
    const row = Math.floor((event.clientY - bounds.top - this.#margin) / this.#side);
    this.#set(this.#inside(row, column) ? { row, column } : null, { x: event.clientX, y: event.clientY });
  }

  #inside = (row: number, column: number): boolean =>
    Math.min(row, column) >= 0 && Math.max(row, column) < this.#matrix.names.length;

  #set(cell: Cell | null, at = { x: 0, y: 0 }): void {
    if (cell?.row !== this.#cell?.row || cell?.column !== this.#cell?.column) {
      this.#cell = cell;
      this.#draw();
    }
    this.pointed(cell, at);
  }

  #key(event: KeyboardEvent): void {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const ends = { Home: 0, End: this.#matrix.names.length - 1 }[event.key];
    if (event.key === "Escape" && this.#cell) this.#set(null);
    if (!by && ends === undefined) return;
    event.preventDefault();
    const [down, across] = by ?? [0, 0];
    const to = ends === undefined ? undefined : [this.#cell?.row ?? 0, ends];
    const [row, column] = to ?? (this.#cell ? [this.#cell.row + down, this.#cell.column + across] : [0, 0]);
    if (!this.#inside(row, column)) return;
    const bounds = this.canvas.getBoundingClientRect();
    const place = (n: number): number => this.#margin + (n + 1) * this.#side;
    this.#set({ row, column }, { x: bounds.left + place(column), y: bounds.top + place(row) });
  }
}

/** 0.1234 → "12", 0.004 → "0.4": percent without the sign, for small cells. */
const shortShare = (share: number): string => percent(share).replace(" %", "");
