// One line of the image of all channels as a picture: a row a channel, groups apart, the value under the pointer.
import { type Control, select, slider } from "../../lib/controls";
import { context2d, h, isTyping, put } from "../../lib/dom";
import { number, percent } from "../../lib/format";
import { hiddenTable, isAbort } from "../../lib/frame";
import { colourBar } from "../../lib/legend";
import { type LineOrder, lineMethods, lineOf, lineOrder, type OrderData } from "../../lib/order";
import {
  type LineLayout,
  layoutLines,
  linePixels,
  lineScale,
  lineValues,
  orderName,
  placeAt,
} from "../../lib/orderfigures";

const STACK = "stack";
const WANTED = 300;
const MOST_ROWS = 256;
/** The stored value is asked for once the pointer rests so long, in milliseconds. */
const REST = 120;

export class OrderLine {
  readonly el: HTMLDetailsElement;
  readonly #canvas = h("canvas", { class: "order-line", role: "img", tabindex: 0 });
  readonly #reading = h("p", {
    class: "reading-line num",
    role: "status",
    "data-testid": "line-reading",
  });
  readonly #bar = h("div");
  readonly #said = h("p", { class: "muted" });
  readonly #table = h("div");
  readonly #methods = h("div");
  readonly #slider = slider(
    "Row",
    { min: 0, max: 0, step: 1 },
    0,
    (row) => this.#go(row),
    (row) => String(row),
  );
  #select: Control<string> | undefined;
  #data: OrderData | undefined;
  #method = STACK;
  #row = 0;
  #order: LineOrder = { permutation: [], groups: [], row: -1, sentence: "" };
  #layout: LineLayout = layoutLines(0, [], WANTED);
  #cell: readonly [place: number, column: number] | undefined;
  #gone = new AbortController();
  #timer = 0;

  constructor() {
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerdown", (event) => this.#point(event));
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.el = h(
      "details",
      { class: "order-lines" },
      h("summary", {}, "One line of the image"),
      this.#methods,
      this.#slider.el,
      this.#canvas,
      this.#reading,
      this.#bar,
      this.#said,
      this.#table,
    );
    this.el.addEventListener("toggle", () => this.#draw());
  }

  show(data: OrderData): void {
    const other = data.maps !== this.#data?.maps;
    this.#data = data;
    if (other) this.#begin(data);
    this.#draw();
  }

  destroy(): void {
    this.#gone.abort();
    clearTimeout(this.#timer);
  }

  /** Of other maps: the row stays where it is one of theirs. */
  #begin(data: OrderData): void {
    const methods = lineMethods(data);
    if (!methods.includes(this.#method)) this.#method = methods[0] ?? STACK;
    const { height } = data.maps;
    const stored = data.rowOrders.find(({ name }) => name === this.#method);
    if (this.#row >= height || this.#row === 0) this.#row = stored ? lineOf(stored) : height >> 1;
    this.#row = Math.max(0, Math.min(height - 1, this.#row));
    this.#slider.limit({ min: 0, max: height - 1, step: 1 });
    this.#slider.set(this.#row);
    const options = [
      ...methods.map((value) => ({ value, text: orderName(value) })),
      { value: STACK, text: "The stack's order" },
    ];
    this.#select = select("Ordered by", options, this.#method, (method) => {
      this.#method = method;
      this.#draw();
    });
    put(this.#methods, methods.length ? this.#select.el : null);
  }

  #go(row: number): void {
    this.#row = row;
    this.#draw();
  }

  #draw(): void {
    const data = this.#data;
    if (!data || !this.el.open) return;
    const { maps } = data;
    this.#order = lineOrder(data, this.#method, this.#row);
    const { permutation, groups } = this.#order;
    const values = lineValues(maps, permutation, this.#row);
    const scale = lineScale(values);
    this.#layout = layoutLines(permutation.length, groups, WANTED);
    const { height, separators } = this.#layout;
    this.#canvas.width = maps.width;
    this.#canvas.height = height;
    this.#canvas.style.height = `${height}px`;
    const context = context2d(this.#canvas);
    context.putImageData(
      new ImageData(linePixels(values, maps.width, this.#layout, scale), maps.width),
      0,
      0,
    );
    context.fillStyle = getComputedStyle(this.#canvas).getPropertyValue("--text");
    for (const y of separators) context.fillRect(0, y, maps.width, 1);
    const parts = groups.length > 1 ? `, in ${groups.length} groups with a line between` : "";
    this.#canvas.setAttribute(
      "aria-label",
      `Row ${this.#row} of the maps of ${permutation.length} channels${parts}; arrow keys read it`,
    );
    put(
      this.#bar,
      colourBar(scale.signed ? "diverging" : "viridis", scale.low, scale.high, `row ${this.#row}`),
    );
    put(
      this.#said,
      this.#words(),
      scale.clipped > 0
        ? ` Values beyond the scale (${percent(scale.clipped)}) have the colour of its end.`
        : null,
    );
    this.#tabulate(values, maps.width);
    this.#cell = undefined;
    put(this.#reading, "Point at a row, or use the arrow keys, to read its values.");
  }

  #words(): string {
    const { row, sentence } = this.#order;
    if (row < 0) return "Channels as they are stacked, from the top.";
    const whose =
      row === this.#row
        ? `Ordered by the values of this row.`
        : `Ordered by the values of row ${row}, the nearest for which an order is stored.`;
    return sentence ? `${whose} ${sentence[0].toUpperCase()}${sentence.slice(1)}.` : whose;
  }

  #tabulate(values: Float64Array, width: number): void {
    const { permutation, groups } = this.#order;
    const ends = groups.map((_, i) => groups.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
    const rows = permutation.slice(0, MOST_ROWS).map((channel, place) => {
      const own = values.subarray(place * width, (place + 1) * width);
      const group = groups.length ? 1 + ends.findIndex((end) => place < end) : "–";
      return [place, channel, group, number(Math.min(...own)), number(Math.max(...own))];
    });
    const head = ["place", "channel", "group", "min", "max"];
    put(this.#table, hiddenTable(`Row ${this.#row} of the maps`, head, rows));
  }

  #point(event: PointerEvent): void {
    const data = this.#data;
    if (!data) return;
    const box = this.#canvas.getBoundingClientRect();
    const share = (offset: number, span: number, many: number): number =>
      Math.max(0, Math.min(many - 1, Math.floor((many * offset) / span)));
    const place = placeAt(this.#layout, share(event.clientY - box.top, box.height, this.#layout.height));
    if (place >= 0) this.#read(place, share(event.clientX - box.left, box.width, data.maps.width));
  }

  #key(event: KeyboardEvent): void {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!by || !this.#data || isTyping(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const [place, column] = this.#cell ? [this.#cell[0] + by[0], this.#cell[1] + by[1]] : [0, 0];
    const inside = place >= 0 && place < this.#order.permutation.length && column >= 0;
    if (inside && column < this.#data.maps.width) this.#read(place, column);
  }

  /** Say the value that was sent, and the stored one as soon as it is here. */
  #read(place: number, column: number): void {
    const maps = this.#data?.maps;
    if (!maps || (this.#cell?.[0] === place && this.#cell[1] === column)) return;
    this.#cell = [place, column];
    const channel = this.#order.permutation[place];
    const where = `channel ${channel}, row ${this.#row}, column ${column}`;
    put(this.#reading, `${where}: about ${number(maps.value(channel, this.#row, column))}`);
    this.#gone.abort();
    clearTimeout(this.#timer);
    const { real } = maps;
    if (!real) return;
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    const ask = async (): Promise<void> => {
      try {
        const value = await real.call(maps, channel, this.#row, column, signal);
        if (!signal.aborted) put(this.#reading, `${where}: ${number(value)}`);
      } catch (error) {
        // Pages without the stored numbers keep what was sent.
        if (!isAbort(error) && !signal.aborted) put(this.#reading, `${this.#reading.textContent} (as drawn)`);
      }
    };
    this.#timer = window.setTimeout(ask, REST);
  }
}
