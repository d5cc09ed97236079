// The magnitudes of a layer at a glance: one bar for each filter that is shown, in the order of the grid.
import { h, sizeCanvas } from "../../lib/dom";
import { type FilterData, printedScale } from "../../lib/filterdata";
import { number } from "../../lib/format";

const HEIGHT = 36;
/** Bits of the flags that say a filter does nothing: not finite, dead, weak, silent. */
const IDLE = 1 | 2 | 4 | 32;

export class NormStrip {
  readonly el = h("canvas", { class: "norm-strip", role: "img" });
  readonly #observer = new ResizeObserver(() => this.#draw());
  #data: FilterData | undefined;
  #order: readonly number[] = [];
  #largest = 1;
  #chosen = -1;

  constructor(open: (filter: number) => void) {
    this.#observer.observe(this.el);
    this.el.addEventListener("click", (event) => {
      const filter = this.#at(event);
      if (filter !== undefined) open(filter);
    });
    this.el.addEventListener("pointermove", (event) => {
      const filter = this.#at(event);
      this.el.title =
        filter === undefined ? "" : `filter ${filter} · L2 norm ${number(this.#normOf(filter))}`;
    });
  }

  show(data: FilterData, order: readonly number[], largest: number, chosen: number): void {
    this.#data = data;
    this.#order = order;
    this.#largest = largest;
    this.#chosen = chosen;
    const text = `L2 norms of ${order.length} filters in the order of the grid; the largest is ${number(printedScale(largest))}`;
    this.el.setAttribute("aria-label", text);
    this.#draw();
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  #normOf = (filter: number): number => this.#data?.norm[filter] ?? 0;

  #at({ offsetX }: MouseEvent): number | undefined {
    return this.#order[Math.floor((offsetX / Math.max(1, this.el.clientWidth)) * this.#order.length)];
  }

  #draw(): void {
    const data = this.#data;
    const width = this.el.clientWidth;
    if (!data || !width) return;
    const context = sizeCanvas(this.el, width, HEIGHT);
    this.el.style.width = "";
    const style = getComputedStyle(this.el);
    const [plain, flagged, chosen, line] = ["--accent", "--bad", "--text", "--line"].map((name) =>
      style.getPropertyValue(name),
    );
    const pitch = width / Math.max(1, this.#order.length);
    this.#order.forEach((filter, place) => {
      const height = Math.max(1, (HEIGHT - 2) * (this.#normOf(filter) / this.#largest));
      context.fillStyle = filter === this.#chosen ? chosen : data.flags[filter] & IDLE ? flagged : plain;
      context.fillRect(
        place * pitch,
        HEIGHT - 1 - height,
        Math.max(0.6, pitch - (pitch > 3 ? 1 : 0)),
        height,
      );
    });
    context.fillStyle = line;
    context.fillRect(0, HEIGHT - 1, width, 1);
  }
}
