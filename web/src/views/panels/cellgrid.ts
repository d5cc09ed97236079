// The filters of a layer as one picture: a cell each, in so many columns, light where the value is large; signed ones on the diverging map.
import { gradient, rangeIndex, signedIndex, table } from "../../lib/colour";
import { h, put, sizeCanvas } from "../../lib/dom";
import { number } from "../../lib/format";
import type { Tooltip } from "../../lib/tooltip";

export interface GridScale {
  readonly low: number;
  readonly high: number;
}

export interface CellContent {
  readonly label: string;
  readonly values: ArrayLike<number>;
  readonly order: readonly number[];
  readonly columns: number;
  readonly scale: GridScale;
  readonly chosen: number;
  /** Those that a search has found; all others are pale. Empty: no search. */
  readonly found: ReadonlySet<number>;
  /** What is said of an item, its name first. */
  readonly lines: (item: number) => readonly string[];
}

const LARGEST = 44;
const NUMBERED = 22;
const NONE: CellContent = {
  label: "",
  values: [],
  order: [],
  columns: 1,
  scale: { low: 0, high: 1 },
  chosen: -1,
  found: new Set(),
  lines: () => [],
};

export const isSigned = ({ low }: GridScale): boolean => low < 0;

/** The bar of the grid's colours with the numbers at its ends. */
export function gridBar(scale: GridScale, label: string): HTMLElement {
  const signed = isSigned(scale);
  const ends = signed ? [scale.low, 0, scale.high] : [scale.low, scale.high];
  const said = `${label}: ${signed ? "blue to red" : "black to white"} from ${number(scale.low)} to ${number(scale.high)}`;
  return h(
    "div",
    { class: "colour-bar", role: "img", "aria-label": said },
    h("span", { class: "caption" }, label),
    h(
      "div",
      {},
      h("i", { style: { background: gradient(signed ? "diverging" : "grey") } }),
      h("div", { class: "bar-ends num" }, ...ends.map((end) => h("span", {}, number(end, 3)))),
    ),
  );
}

export class CellGrid {
  readonly canvas = h("canvas", { class: "cell-grid", role: "img", tabindex: 0 });
  readonly #reading = h("p", { class: "visually-hidden", role: "status" });
  readonly el = h("div", { class: "cell-grid-host" }, this.canvas, this.#reading);
  readonly #observer = new ResizeObserver(() => this.#draw());
  #content = NONE;
  #at = -1;
  #side = 1;

  constructor(
    private readonly tooltip: Tooltip,
    private readonly open: (item: number) => void,
  ) {
    this.#observer.observe(this.el);
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => this.#leave());
    this.canvas.addEventListener("blur", () => this.#leave());
    this.canvas.addEventListener("click", (event) => {
      const item = this.#content.order[this.#placeOf(event)];
      if (item !== undefined) this.open(item);
    });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  show(content: CellContent): void {
    this.#content = content;
    const { label, order, columns } = content;
    const rows = Math.ceil(order.length / columns);
    this.canvas.setAttribute(
      "aria-label",
      `${label}: ${order.length} filters in ${columns} columns and ${rows} rows; arrow keys read them, Enter opens one`,
    );
    this.#draw();
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  #placeOf({ offsetX, offsetY }: MouseEvent): number {
    const [column, row] = [Math.floor(offsetX / this.#side), Math.floor(offsetY / this.#side)];
    return column < this.#content.columns ? row * this.#content.columns + column : -1;
  }

  #point(event: PointerEvent): void {
    const place = this.#placeOf(event);
    if (this.#content.order[place] === undefined) return this.#leave();
    this.#at = place;
    this.#draw();
    this.#say(event.clientX, event.clientY, false);
  }

  #leave(): void {
    this.tooltip.hide();
    if (this.#at < 0) return;
    this.#at = -1;
    put(this.#reading);
    this.#draw();
  }

  #say(x: number, y: number, aloud: boolean): void {
    const lines = this.#content.lines(this.#content.order[this.#at]);
    this.tooltip.show(
      x,
      y,
      h("h4", {}, lines[0]),
      ...lines.slice(1).map((line) => h("p", { class: "num" }, line)),
    );
    if (aloud) put(this.#reading, lines.join(", "));
  }

  #key(event: KeyboardEvent): void {
    const { order, columns } = this.#content;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const end = { Home: 0, End: order.length - 1 }[event.key];
    if (event.key === "Enter" && order[this.#at] !== undefined) this.open(order[this.#at]);
    else if (event.key === "Escape" && this.#at >= 0) this.#leave();
    else if (by || end !== undefined) {
      const next = end ?? (this.#at < 0 ? 0 : this.#at + (by ?? 0));
      if (next >= 0 && next < order.length) this.#at = next;
      this.#draw();
      const box = this.canvas.getBoundingClientRect();
      const [row, column] = [Math.floor(this.#at / columns), this.#at % columns];
      this.#say(box.left + (column + 1) * this.#side, box.top + row * this.#side, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #draw(): void {
    const { order, columns } = this.#content;
    const room = this.el.clientWidth;
    if (!room) return;
    const side = Math.min(LARGEST, room / columns);
    this.#side = side >= 4 ? Math.floor(side) : side;
    const rows = Math.max(1, Math.ceil(order.length / columns));
    const context = sizeCanvas(
      this.canvas,
      Math.min(columns, Math.max(1, order.length)) * this.#side,
      rows * this.#side,
    );
    const style = getComputedStyle(this.el);
    const gap = this.#side >= 8 ? 1 : 0;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `10px ${style.getPropertyValue("--font-sans")}`;
    order.forEach((item, place) => {
      this.#cell(
        context,
        item,
        (place % columns) * this.#side,
        Math.floor(place / columns) * this.#side,
        gap,
      );
    });
    this.#frame(context, style);
  }

  #cell(context: CanvasRenderingContext2D, item: number, x: number, y: number, gap: number): void {
    const { values, scale, found } = this.#content;
    const value = values[item];
    const signed = isSigned(scale);
    const index = signed ? signedIndex(value, scale.high) : rangeIndex(value, scale.low, scale.high);
    const [red, green, blue] = table(signed ? "diverging" : "grey").subarray(3 * index, 3 * index + 3);
    context.globalAlpha = found.size && !found.has(item) ? 0.25 : 1;
    context.fillStyle = Number.isNaN(value) ? "#b3273d" : `rgb(${red}, ${green}, ${blue})`;
    const size = this.#side - gap;
    context.fillRect(x, y, size, size);
    if (this.#side >= NUMBERED) {
      const light = 0.299 * red + 0.587 * green + 0.114 * blue;
      context.fillStyle = light > 130 && !Number.isNaN(value) ? "#000000" : "#ffffff";
      context.fillText(String(item), x + size / 2, y + size / 2 + 0.5, size - 2);
    }
    context.globalAlpha = 1;
  }

  #frame(context: CanvasRenderingContext2D, style: CSSStyleDeclaration): void {
    const { order, columns, chosen } = this.#content;
    const frame = (place: number, colour: string): void => {
      if (place < 0) return;
      context.strokeStyle = style.getPropertyValue(colour);
      context.lineWidth = 2;
      const [x, y] = [(place % columns) * this.#side, Math.floor(place / columns) * this.#side];
      context.strokeRect(x + 1, y + 1, Math.max(1, this.#side - 3), Math.max(1, this.#side - 3));
    };
    frame(chosen < 0 ? -1 : order.indexOf(chosen), "--accent");
    frame(this.#at, "--warn");
  }
}
