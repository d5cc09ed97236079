// Draws a lasso or a box over a map with the pointer, with the tool that is chosen or with Shift held.
import { h, put, s } from "../../lib/dom";

export type SelectTool = "move" | "lasso" | "box";
export type Shape = { readonly polygon: number[] } | { readonly box: [number, number, number, number] };

/** Corners nearer than this to the one before are left out, in CSS pixels. */
const STEP = 3;

export class PointLasso {
  readonly el = h("div", { class: "points-lasso", "aria-hidden": "true" });
  readonly #controller = new AbortController();
  #tool: SelectTool = "move";
  #pointer = -1;
  #corners: number[] = [];
  #box = false;
  #drawnAt = 0;

  constructor(
    private readonly host: HTMLElement,
    private readonly done: (shape: Shape, event: PointerEvent) => void,
  ) {
    const { signal } = this.#controller;
    // Before the camera, which listens to the same element.
    host.addEventListener("pointerdown", (event) => this.#down(event), { signal, capture: true });
    host.addEventListener("pointermove", (event) => this.#move(event), { signal, capture: true });
    host.addEventListener("pointerup", (event) => this.#up(event), { signal, capture: true });
    host.addEventListener("pointercancel", () => this.#end(), { signal, capture: true });
    host.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  set tool(tool: SelectTool) {
    this.#tool = tool;
    this.host.dataset.tool = tool;
  }

  get drawing(): boolean {
    return this.#pointer >= 0;
  }

  /** Whether the click that comes now ends a drawing. */
  get justDrawn(): boolean {
    return performance.now() - this.#drawnAt < 300;
  }

  destroy(): void {
    this.#controller.abort();
  }

  #down(event: PointerEvent): void {
    const wanted = this.#tool !== "move" || event.shiftKey;
    if (!wanted || event.button !== 0 || this.drawing) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    this.host.focus({ preventScroll: true });
    this.#pointer = event.pointerId;
    this.#box = this.#tool === "box";
    this.#corners = this.#place(event);
    this.host.setPointerCapture(event.pointerId);
  }

  #move(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return;
    event.stopImmediatePropagation();
    const [x, y] = this.#place(event);
    if (this.#box) this.#corners = [this.#corners[0], this.#corners[1], x, y];
    else if (Math.hypot(x - (this.#corners.at(-2) ?? x), y - (this.#corners.at(-1) ?? y)) >= STEP)
      this.#corners.push(x, y);
    this.#draw();
  }

  #up(event: PointerEvent): void {
    if (event.pointerId !== this.#pointer) return;
    event.stopImmediatePropagation();
    const corners = this.#corners;
    this.#end();
    if (corners.length < (this.#box ? 4 : 6)) return;
    this.#drawnAt = performance.now();
    const [x0, y0, x1, y1] = corners;
    const box: [number, number, number, number] = [
      Math.min(x0, x1),
      Math.min(y0, y1),
      Math.max(x0, x1),
      Math.max(y0, y1),
    ];
    this.done(this.#box ? { box } : { polygon: corners }, event);
  }

  #end(): void {
    this.#pointer = -1;
    this.#corners = [];
    put(this.el);
  }

  #key(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !this.drawing) return;
    event.stopPropagation();
    this.#end();
  }

  #place(event: PointerEvent): [number, number] {
    const { left, top } = this.host.getBoundingClientRect();
    return [event.clientX - left - this.host.clientLeft, event.clientY - top - this.host.clientTop];
  }

  #draw(): void {
    const [x0, y0, x1 = x0, y1 = y0] = this.#corners;
    const points = this.#box ? [x0, y0, x1, y0, x1, y1, x0, y1] : this.#corners;
    put(this.el, s("svg", { width: "100%", height: "100%" }, s("polygon", { points: points.join(" ") })));
  }
}
