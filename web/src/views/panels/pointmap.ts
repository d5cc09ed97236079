// One map of points in an element: where they are, their colours, what stands out, picking, lasso and box.
import { type Detail, PointsScene } from "../../gl/points";
import { h, put } from "../../lib/dom";
import { plural } from "../../lib/format";
import { failed, isAbort, messageOf } from "../../lib/frame";
import { FrameStore, type ProjectionFrame } from "../../lib/frames";
import { type Emphasis, statesOf } from "../../lib/highlight";
import { Motion } from "../../lib/motion";
import { type ColourSpec, coloursOf, type Legend } from "../../lib/pointcolours";
import type { EmbeddingData } from "../../lib/points";
import { modeOf, type SelectMode } from "../../lib/selection";
import type { PictureCache } from "../../lib/sheet";
import type { RecordInfo, RunInfo, Source } from "../../source/source";
import { PointLasso, type SelectTool } from "./pointlasso";

export interface PointMapEvents {
  /** A point was clicked; -1: the map beside the points. */
  readonly onPick?: (point: number, event: MouseEvent) => void;
  /** The pointer is over a point, -1 if over none; where it is on the page. */
  readonly onHover?: (point: number, x: number, y: number) => void;
  /** Points were encircled. */
  readonly onSelect?: (points: Int32Array, mode: SelectMode) => void;
  /** The camera has come to rest somewhere else: as text for the address. */
  readonly onCamera?: (view: string) => void;
  /** The camera or the points have moved, with every picture drawn. */
  readonly onDrawn?: () => void;
  /** Other positions are shown: the frame of a projection. */
  readonly onFrame?: (frame: ProjectionFrame) => void;
}

const MOVE_MS = 420;
const REST_MS = 350;
/** Further than this from where it was pressed, a click was a drag. */
const STILL = 4;

export class PointMap {
  readonly el: HTMLElement;
  /** How a recorded frame is turned before it is shown, so that steps lie over each other. */
  fit: ((points: Float32Array, flat: boolean) => Float32Array) | null = null;
  readonly #badge = h("p", { class: "scene-badge num", "data-testid": "points" });
  readonly #motion = new Motion();
  readonly #lasso: PointLasso;
  #controller = new AbortController();
  #scene: PointsScene | undefined;
  #data: EmbeddingData | undefined;
  #frames: FrameStore | undefined;
  #frame: ProjectionFrame | undefined;
  #recorded: ProjectionFrame | undefined;
  #states = new Uint8Array();
  #wanted = "";
  #placed = false;
  #rest = 0;
  #view = "";
  /** Where the address leads that names no camera: to all points, or to this view. */
  #toAll = true;
  #home = "";
  /** Whether the camera is on its way there. */
  #led = true;
  #pressed = { x: 0, y: 0 };
  #rgb: Uint8Array = new Uint8Array();
  #legend: Legend = { kind: "none", title: "" };

  /** The map fills `host`. */
  constructor(
    host: HTMLElement,
    private readonly source: Source,
    private readonly pictures: PictureCache,
    private readonly on: PointMapEvents = {},
  ) {
    this.el = h("div", {
      class: "scene points-map",
      tabindex: 0,
      role: "application",
      "aria-label": "Map of points: drag to move, wheel to zoom, click a point, Shift-drag to select",
    });
    this.#lasso = new PointLasso(this.el, (shape, event) => this.#encircled(shape, event));
    put(host, this.el);
    this.el.addEventListener("pointerdown", ({ clientX: x, clientY: y }) => {
      this.#pressed = { x, y };
      this.#led = false;
    });
    // What was under the pointer is elsewhere now.
    this.el.addEventListener("wheel", () => {
      this.#led = false;
      on.onHover?.(-1, 0, 0);
    });
    this.el.addEventListener("pointermove", (event) => this.#hover(event));
    this.el.addEventListener("pointerleave", () => on.onHover?.(-1, 0, 0));
    this.el.addEventListener("click", (event) => this.#click(event));
  }

  /** Make room for the points of an embedding; false where this browser cannot draw. */
  open(run: RunInfo, data: EmbeddingData): boolean {
    this.#clear();
    this.#data = data;
    this.#frames = new FrameStore(this.source, run.name, data.count, this.#controller.signal);
    put(this.el, this.#badge, this.#lasso.el);
    try {
      const label = `${plural(data.count, "point")} of ${data.record.tag}`;
      this.#scene = new PointsScene(this.el, data.count, label, () => this.#drawn());
    } catch (error) {
      put(this.el, failed(error));
      return false;
    }
    this.#states = new Uint8Array(data.count);
    const sheet = data.record.pictures.thumbnail;
    if (sheet)
      this.#scene.setThumbnails({
        sheet,
        url: (file) => this.source.pictureUrl(run.name, data.record.id, file),
        pictures: this.pictures,
        failed: (message) => this.say(message),
        ...(data.sizes ? { sizes: data.sizes } : {}),
      });
    return true;
  }

  get frames(): FrameStore | undefined {
    return this.#frames;
  }

  /** What is shown now; undefined before the first frame, or while points come from elsewhere. */
  get frame(): ProjectionFrame | undefined {
    return this.#frame;
  }

  /** Whether there are positions yet: before, there is nothing to look at. */
  get placed(): boolean {
    return this.#placed;
  }

  /** (3N,) as they are drawn; empty before an embedding is open. */
  get positions(): Float32Array {
    return this.#scene?.positions ?? new Float32Array();
  }

  get legend(): Legend {
    return this.#legend;
  }

  get scene(): PointsScene | undefined {
    return this.#scene;
  }

  set tool(tool: SelectTool) {
    this.#lasso.tool = tool;
  }

  /** Show the frame of a projection at an iteration, its end for null. Another call before it is here replaces it. */
  async show(parts: readonly RecordInfo[], iteration: number | null, span = MOVE_MS): Promise<void> {
    const store = this.#frames;
    const last = parts.at(-1);
    if (!store || !last) return;
    const key = `${last.id}/${iteration}`;
    if (key === this.#wanted) return;
    this.#wanted = key;
    try {
      const frame = iteration === null ? await store.exact(last) : await this.#at(store, parts, iteration);
      if (this.#wanted === key) this.#moveTo(frame, span);
    } catch (error) {
      if (isAbort(error) || this.#wanted !== key) return;
      this.say(messageOf(error));
      throw error;
    }
  }

  async #at(store: FrameStore, parts: readonly RecordInfo[], iteration: number): Promise<ProjectionFrame> {
    if (!store.iterations.length) await store.read(parts);
    return store.frame(nearestTo(store.iterations, iteration));
  }

  /** Put the points elsewhere: positions (3N) that are no recorded frame. */
  place(points: Float32Array, flat: boolean, span: number): void {
    this.#wanted = "";
    this.#frame = undefined;
    this.#move(points, flat, span);
  }

  /** Show the recorded frame again, as `fit` has it now. */
  refit(): void {
    const frame = this.#recorded;
    if (!frame) return;
    this.#frame = frame;
    this.#move(this.#fitted(frame), frame.flat, MOVE_MS);
  }

  #fitted({ points, flat }: ProjectionFrame): Float32Array {
    return this.fit?.(points, flat) ?? points;
  }

  #moveTo(frame: ProjectionFrame, span: number): void {
    this.#frame = frame;
    this.#recorded = frame;
    this.#move(this.#fitted(frame), frame.flat, this.#placed ? span : 0);
    this.on.onFrame?.(frame);
  }

  #move(points: Float32Array, flat: boolean, span: number): void {
    const scene = this.#scene;
    if (!scene) return;
    this.#placed = true;
    scene.setFlat(flat, points);
    this.#motion.start(scene.positions, points, span, false, () => scene.moved());
    if (this.#data) this.say(plural(this.#data.count, "point"));
  }

  /** Colour the points, and return the legend of the colours. */
  colour(spec: ColourSpec): Legend {
    if (!this.#data || !this.#scene) return this.#legend;
    const { rgb, legend } = coloursOf(this.#data, spec);
    this.#legend = legend;
    this.#rgb = rgb;
    this.el.dataset.theme = spec.theme;
    const { backgroundColor, color } = getComputedStyle(this.el);
    this.#scene.setColours(rgb, backgroundColor, color);
    return legend;
  }

  /** The colour of a point as CSS. */
  colourOf(point: number): string {
    return `rgb(${Array.from(this.#rgb.subarray(3 * point, 3 * point + 3)).join(" ")})`;
  }

  emphasise(emphasis: Emphasis): void {
    if (!this.#scene || !this.#data) return;
    this.#scene.setStates(statesOf(this.#data.count, emphasis, this.#states));
    this.#scene.setChosen(emphasis.chosen ?? -1);
  }

  /** (N,) how each point is drawn: see lib/highlight. */
  get states(): Uint8Array {
    return this.#states;
  }

  setDetail(detail: Detail): void {
    this.#scene?.setDetail(detail);
  }

  /** Look at these points; at all for none. `led`: the address leads there, so that it need not name the camera. */
  focus(points: ArrayLike<number>, led = false): void {
    this.#led = led;
    if (led) this.#toAll = !points.length;
    if (!points.length) return this.#scene?.orbit.reset();
    const stand = this.#scene?.focus(points) ?? "";
    if (led) this.#home = stand; // known before the camera is there: another one may be asked for on the way
  }

  /** The camera as text; "" where it stands as at the beginning. */
  get view(): string {
    return this.#scene?.orbit.view() ?? "";
  }

  set view(text: string) {
    this.#view = text;
    this.#home = "";
    this.#toAll = false;
    this.#led = false;
    if (text && text !== this.#scene?.orbit.view()) this.#scene?.orbit.setView(text);
  }

  say(text: string): void {
    if (this.#badge.textContent !== text) put(this.#badge, text);
  }

  destroy(): void {
    this.#clear();
    this.#lasso.destroy();
    this.el.remove();
  }

  #clear(): void {
    clearTimeout(this.#rest);
    this.#motion.stop();
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#scene?.destroy();
    this.#scene = undefined;
    this.#data = undefined;
    this.#frame = undefined;
    this.#recorded = undefined;
    this.#frames = undefined;
    this.#placed = false;
    this.#wanted = "";
    this.#view = "";
    this.#home = "";
    this.#toAll = true;
    this.#led = true;
  }

  #drawn(): void {
    this.on.onDrawn?.();
    if (!this.on.onCamera) return;
    clearTimeout(this.#rest);
    this.#rest = window.setTimeout(() => {
      const { view } = this;
      if (!this.#placed || view === this.#view || this.#scene?.orbit.dragging) return;
      this.#view = view;
      if (!this.#led) {
        const isLed = this.#toAll ? this.#scene?.orbit.atHome : view === this.#home;
        this.on.onCamera?.(isLed ? "" : view);
      }
      this.#led = false;
    }, REST_MS);
  }

  #encircled(
    shape: { polygon: number[] } | { box: [number, number, number, number] },
    event: PointerEvent,
  ): void {
    const found = "box" in shape ? this.#scene?.inBox(...shape.box) : this.#scene?.inPolygon(shape.polygon);
    if (found) this.on.onSelect?.(found, modeOf(event));
  }

  /** The point under the pointer, -1 if there is none. */
  #pick(event: MouseEvent): number {
    const box = this.#scene?.canvas.getBoundingClientRect();
    return box && this.#placed
      ? (this.#scene?.pick(event.clientX - box.left, event.clientY - box.top) ?? -1)
      : -1;
  }

  #hover(event: PointerEvent): void {
    const busy = this.#scene?.orbit.dragging || this.#lasso.drawing;
    const point = busy ? -1 : this.#pick(event);
    this.el.classList.toggle("over", point >= 0);
    this.on.onHover?.(point, event.clientX, event.clientY);
  }

  #click(event: MouseEvent): void {
    const moved = Math.hypot(event.clientX - this.#pressed.x, event.clientY - this.#pressed.y);
    if (event.detail === 0 || moved > STILL || this.#lasso.justDrawn) return;
    this.on.onPick?.(this.#pick(event), event);
  }
}

/** Where in a rising list the number nearest to `wanted` is. */
export function nearestTo(list: readonly number[], wanted: number): number {
  let best = 0;
  for (let i = 1; i < list.length; i++)
    if (Math.abs(list[i] - wanted) < Math.abs(list[best] - wanted)) best = i;
  return best;
}
