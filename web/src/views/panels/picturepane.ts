// One enlarged picture, or two on top of each other: zoomed and moved with wheel, fingers, pointer and keys.
import { type Child, h, put } from "../../lib/dom";
import { Picture, type PictureFile } from "./picture";
import { type Entry, FIT, fitScale, nextScale, pan, type Zoom, zoomAt } from "./picturemath";

export type Blend = "swipe" | "diff";

export interface Layer {
  readonly file: PictureFile;
  readonly entry: Entry;
  readonly alt: string;
}

const WHEEL = 0.0022;
const STEP_PX = 60;
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [STEP_PX, 0],
  ArrowRight: [-STEP_PX, 0],
  ArrowUp: [0, STEP_PX],
  ArrowDown: [0, -STEP_PX],
};

export class PicturePane {
  readonly el: HTMLElement;
  readonly #pictures = [new Picture(), new Picture()];
  readonly #layers = this.#pictures.map((picture) => h("div", { class: "pane-layer" }, picture.el));
  readonly #stage: HTMLElement;
  readonly #caption = h("figcaption", { class: "pane-caption" });
  readonly #pixel = h("output", { class: "num pane-pixel", "aria-live": "off" });
  readonly #pointers = new Map<number, PointerEvent>();
  readonly #observer = new ResizeObserver(() => this.place(this.#zoom));
  readonly #reader = h("canvas", { width: 1, height: 1 });
  /** What each layer shows: it stays while it is the same. */
  readonly #shown = ["", ""];
  #entry: Entry | undefined;
  #zoom = FIT;

  /** `moved` is told how a person has zoomed this pane. */
  constructor(private readonly moved: (zoom: Zoom) => void) {
    this.#stage = h(
      "div",
      {
        class: "pane-stage",
        tabindex: 0,
        role: "group",
        "aria-label": "Enlarged picture: plus and minus zoom, arrows move, 0 fits, 1 shows true pixels",
      },
      h("div", { class: "pane-layers" }, ...this.#layers),
    );
    this.el = h(
      "figure",
      { class: "pane" },
      this.#stage,
      h(
        "div",
        { class: "pane-foot" },
        this.#caption,
        this.#pixel,
        ...this.#pictures.map(({ controls }) => controls),
      ),
    );
    this.#listen();
    this.#observer.observe(this.#stage);
  }

  async show(layers: readonly Layer[], blend: Blend | undefined, ...caption: Child[]): Promise<void> {
    put(this.#caption, ...caption);
    this.#stage.dataset.blend = blend ?? "";
    this.#entry = layers[0].entry;
    this.place(this.#zoom);
    await Promise.all(this.#pictures.map((picture, i) => this.#fill(picture, i, layers[i])));
    this.place(this.#zoom);
  }

  async #fill(picture: Picture, at: number, layer: Layer | undefined): Promise<void> {
    const sign = layer ? `${layer.file.url} ${layer.entry.wallTime}` : "";
    if (sign === this.#shown[at]) return;
    this.#shown[at] = sign;
    if (!layer) return picture.clear();
    try {
      await picture.show(layer.file, sizeIn(layer.entry), layer.alt);
    } catch (error) {
      this.#shown[at] = "";
      throw error;
    }
  }

  fail(message: string): void {
    put(this.#caption, h("span", { class: "picture-failed", role: "alert" }, message));
  }

  /** The zoom that is on screen, with the enlargement in numbers. */
  get zoom(): Zoom {
    return this.#zoom.scale > 0 ? this.#zoom : { ...FIT, scale: this.#fit() };
  }

  place(zoom: Zoom): void {
    this.#zoom = zoom;
    const { scale, x, y } = this.zoom;
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.#stage;
    for (const picture of this.#pictures) picture.scale(scale);
    const [height, width] = this.#size;
    for (const { el } of this.#pictures) {
      const left = Math.round((clientWidth / 2 - x * width * scale) * ratio) / ratio;
      const top = Math.round((clientHeight / 2 - y * height * scale) * ratio) / ratio;
      el.style.transform = `translate(${left}px, ${top}px)`;
    }
  }

  /** Zoom one step up or down. */
  step(up: boolean): Zoom {
    return zoomAt(
      this.zoom,
      nextScale(this.zoom.scale, up, window.devicePixelRatio || 1),
      [0, 0],
      this.#size,
    );
  }

  /** One pixel of the picture on one of the screen. */
  trueSize(): Zoom {
    return { ...this.zoom, scale: 1 / (window.devicePixelRatio || 1) };
  }

  destroy(): void {
    this.#observer.disconnect();
    for (const picture of this.#pictures) picture.clear();
  }

  get #size(): readonly [number, number] {
    return this.#entry ? sizeIn(this.#entry) : [1, 1];
  }

  #fit(): number {
    const { clientWidth, clientHeight } = this.#stage;
    return fitScale(
      this.#size,
      [Math.max(1, clientHeight), Math.max(1, clientWidth)],
      window.devicePixelRatio || 1,
    );
  }

  #listen(): void {
    const stage = this.#stage;
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"] as const)
      stage.addEventListener(kind, (event) => this.#pointers.delete(event.pointerId));
    stage.addEventListener("pointerleave", () => put(this.#pixel));
    stage.addEventListener("dblclick", () => this.moved(this.#zoom.scale > 0 ? FIT : this.trueSize()));
    stage.addEventListener("keydown", (event) => this.#key(event));
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const pinch = event.ctrlKey ? 4 : 1; // browsers tell a pinch of the touch pad as a small wheel with this key
    const scale = this.zoom.scale * Math.exp(-event.deltaY * lines * pinch * WHEEL);
    this.moved(zoomAt(this.zoom, scale, this.#offset(event), this.#size));
  }

  #down(event: PointerEvent): void {
    if (event.target instanceof HTMLVideoElement || event.button !== 0) return;
    this.#stage.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, event);
  }

  #move(event: PointerEvent): void {
    this.#read(event);
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    this.#pointers.set(event.pointerId, event);
    const others = [...this.#pointers.values()].filter(({ pointerId }) => pointerId !== event.pointerId);
    if (!others.length)
      return this.moved(
        pan(this.zoom, event.clientX - before.clientX, event.clientY - before.clientY, this.#size),
      );
    const apart = (a: PointerEvent): number =>
      Math.hypot(a.clientX - others[0].clientX, a.clientY - others[0].clientY);
    const scale = (this.zoom.scale * apart(event)) / Math.max(1, apart(before));
    this.moved(zoomAt(this.zoom, scale, this.#offset(event), this.#size));
  }

  #key(event: KeyboardEvent): void {
    const next = this.#wanted(event);
    if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.moved(next);
  }

  #wanted(event: KeyboardEvent): Zoom | undefined {
    const arrow = ARROWS[event.key];
    if (arrow) return pan(this.zoom, arrow[0], arrow[1], this.#size);
    if (event.key === "+" || event.key === "=") return this.step(true);
    if (event.key === "-") return this.step(false);
    if (event.key === "0") return FIT;
    return event.key === "1" ? this.trueSize() : undefined;
  }

  /** How far the pointer is off the middle. */
  #offset(event: MouseEvent): [number, number] {
    const box = this.#stage.getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  }

  /** Say which pixel is under the pointer, and its colour. */
  #read(event: PointerEvent): void {
    const [dx, dy] = this.#offset(event);
    const [height, width] = this.#size;
    const { scale, x, y } = this.zoom;
    const column = Math.floor(x * width + dx / scale);
    const row = Math.floor(y * height + dy / scale);
    if (column < 0 || row < 0 || column >= width || row >= height) return put(this.#pixel);
    put(this.#pixel, `row ${row}, column ${column} · ${this.#colour(row, column)}`);
  }

  #colour(row: number, column: number): string {
    const shown = this.#pictures[0].el.querySelector<HTMLImageElement | HTMLCanvasElement>("img, canvas");
    if (!shown) return "";
    const context = this.#reader.getContext("2d", { willReadFrequently: true });
    if (!context) return "";
    context.clearRect(0, 0, 1, 1);
    context.drawImage(shown, column, row, 1, 1, 0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return alpha === 255 ? `RGB ${red} ${green} ${blue}` : `RGBA ${red} ${green} ${blue} ${alpha}`;
  }
}

const sizeIn = ({ height, width }: Entry): [number, number] => [height, width];
