// Three slices of a volume through one voxel, as pictures: the channel's map, a row and a column of all maps. A click in one moves the others.
import { context2d, h, put } from "../../lib/dom";
import { times } from "../../lib/format";
import { cellUnder } from "../../lib/pointer";
import type { PlaneName } from "../../lib/volumelook";
import { type Axis, sliceOf, slicePixels, type Voxels } from "../../lib/voxels";

/** A voxel: place in the stack, row, column. */
export type At = readonly [place: number, row: number, column: number];

export interface SliceEvents {
  readonly go: (at: At) => void;
  /** The pointer is over a voxel; none: it has left. */
  readonly point: (at: At | undefined) => void;
  readonly plane: (name: PlaneName, on: boolean) => void;
}

export interface SlicesShown {
  readonly voxels: Voxels;
  readonly at: At;
  readonly colours: Uint8Array;
  /** The channel at that place. */
  readonly channel: number;
  readonly planes: ReadonlySet<PlaneName>;
  /** Whether there is a scene with planes to show and hide. */
  readonly scene: boolean;
}

const PLANES: Readonly<Record<Axis, PlaneName>> = { channel: "z", row: "y", column: "x" };
const AXES: readonly Axis[] = ["channel", "row", "column"];
/** A slice is at most so many times higher than wide, or wider than high. */
const STRETCH = 2;

class SlicePicture {
  readonly canvas = h("canvas", { class: "slice-picture", role: "img", tabindex: 0 });
  readonly #across = h("i", { class: "slice-cross across", "aria-hidden": "true" });
  readonly #down = h("i", { class: "slice-cross down", "aria-hidden": "true" });
  readonly #stage = h("div", { class: "slice-stage" }, this.canvas, this.#across, this.#down);
  readonly #title = h("h3", { class: "num" });
  readonly #box = h("input", { type: "checkbox" });
  readonly #toggle = h(
    "label",
    { class: "control toggle", title: "Show this plane in the volume" },
    this.#box,
    h("span", {}, "in 3-D"),
  );
  readonly el: HTMLElement;
  #voxels: Voxels | undefined;
  #at: At = [0, 0, 0];
  #drawn = "";
  #colours: Uint8Array | undefined;

  constructor(
    private readonly axis: Axis,
    private readonly on: SliceEvents,
  ) {
    this.el = h(
      "figure",
      { class: "slice", "data-axis": axis },
      h("figcaption", {}, this.#title, this.#toggle),
      this.#stage,
    );
    this.canvas.addEventListener("click", (event) => this.on.go(this.#under(event)));
    this.canvas.addEventListener("pointermove", (event) => {
      this.on.point(this.#under(event));
      if (event.buttons === 1 && event.pointerType !== "touch") this.on.go(this.#under(event));
    });
    this.canvas.addEventListener("pointerleave", () => this.on.point(undefined));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("change", () => this.on.plane(PLANES[axis], this.#box.checked));
  }

  show({ voxels, at, colours, channel, planes, scene }: SlicesShown): void {
    const { axis } = this;
    const place = at[AXES.indexOf(axis)];
    const slice = sliceOfShape(voxels, axis);
    this.#at = at;
    const [y, x] = this.#cell();
    const name = axis === "channel" ? `Channel ${channel}` : `${axis === "row" ? "Row" : "Column"} ${place}`;
    put(
      this.#title,
      name,
      h("span", { class: "muted" }, axis === "channel" ? ` place ${place}` : " of all channels"),
    );
    this.#box.checked = planes.has(PLANES[axis]);
    this.#toggle.hidden = !scene;
    const text =
      axis === "channel"
        ? `feature map of channel ${channel}, ${times(slice.height, slice.width)}; crosshair at row ${y}, column ${x}`
        : `${axis} ${place} of all channels, ${times(slice.height, slice.width)}; crosshair at place ${y}, ${axis === "row" ? "column" : "row"} ${x}`;
    this.canvas.setAttribute("aria-label", text);
    this.canvas.dataset.at = at.join(",");
    if (voxels !== this.#voxels || colours !== this.#colours || this.#drawn !== String(place)) {
      [this.#voxels, this.#colours, this.#drawn] = [voxels, colours, String(place)];
      const cut = sliceOf(voxels, axis, place);
      this.canvas.width = cut.width;
      this.canvas.height = cut.height;
      const ratio = Math.max(1 / STRETCH, Math.min(STRETCH, cut.width / cut.height));
      this.#stage.style.aspectRatio = String(ratio);
      this.#stage.style.setProperty("--ratio", String(ratio));
      context2d(this.canvas).putImageData(slicePixels(cut, colours), 0, 0);
    }
    this.#across.style.top = `${(100 * (y + 0.5)) / slice.height}%`;
    this.#down.style.left = `${(100 * (x + 0.5)) / slice.width}%`;
  }

  /** Line and dot of the crosshair in this picture. */
  #cell(): readonly [number, number] {
    const [place, row, column] = this.#at;
    if (this.axis === "channel") return [row, column];
    return this.axis === "row" ? [place, column] : [place, row];
  }

  #voxel(y: number, x: number): At {
    const [place, row, column] = this.#at;
    if (this.axis === "channel") return [place, y, x];
    return this.axis === "row" ? [y, row, x] : [y, x, column];
  }

  #under = (event: MouseEvent): At =>
    this.#voxel(...cellUnder(event, this.canvas, this.canvas.height, this.canvas.width));

  #key(event: KeyboardEvent): void {
    const by = ARROWS[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const fast = event.shiftKey ? 10 : 1;
    const [y, x] = this.#cell();
    const within = (value: number, size: number): number => Math.max(0, Math.min(size - 1, value));
    this.on.go(
      this.#voxel(within(y + fast * by[0], this.canvas.height), within(x + fast * by[1], this.canvas.width)),
    );
  }
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

function sliceOfShape({ channels, height, width }: Voxels, axis: Axis): { height: number; width: number } {
  if (axis === "channel") return { height, width };
  return { height: channels, width: axis === "row" ? width : height };
}

export class VolumeSlices {
  readonly #pictures: readonly SlicePicture[];
  readonly el: HTMLElement;

  constructor(on: SliceEvents) {
    this.#pictures = AXES.map((axis) => new SlicePicture(axis, on));
    this.el = h(
      "section",
      { class: "volume-slices", "aria-label": "Slices" },
      ...this.#pictures.map(({ el }) => el),
    );
  }

  show(shown: SlicesShown): void {
    for (const picture of this.#pictures) picture.show(shown);
  }

  /** The three pictures side by side, every voxel a whole number of pixels, with crosshairs left out. */
  picture(background: string): HTMLCanvasElement {
    const canvases = this.#pictures.map(({ canvas }) => canvas);
    const gap = 8;
    const scales = canvases.map(({ width, height }) =>
      Math.max(1, Math.floor(480 / Math.max(width, height))),
    );
    const all = h("canvas", {
      width: canvases.reduce((sum, { width }, i) => sum + width * scales[i] + gap, -gap),
      height: Math.max(...canvases.map(({ height }, i) => height * scales[i])),
    });
    const context = context2d(all);
    context.fillStyle = background;
    context.fillRect(0, 0, all.width, all.height);
    context.imageSmoothingEnabled = false;
    let x = 0;
    canvases.forEach((canvas, i) => {
      context.drawImage(canvas, x, 0, canvas.width * scales[i], canvas.height * scales[i]);
      x += canvas.width * scales[i] + gap;
    });
    return all;
  }
}
