// The 3-D picture of the volume page: the scene, what is said when there is none, and the way between camera and address.
import type { CameraView, Clip, Look, Slices } from "../../gl/volumescene";
import { VolumeScene } from "../../gl/volumescene";
import { h, put } from "../../lib/dom";
import { messageOf } from "../../lib/frame";
import { type Camera, type ClipBox, cameraText } from "../../lib/volumelook";
import type { Voxels } from "../../lib/voxels";
import type { At } from "./volumeslices";

export interface StageEvents {
  readonly pick: (at: At) => void;
  readonly point: (at: At | undefined) => void;
  /** The camera rests somewhere else; in the form of the address. */
  readonly camera: (text: string | null) => void;
}

export interface StageShown {
  readonly voxels: Voxels;
  readonly spacing: readonly [number, number, number] | undefined;
  readonly look: Look;
  readonly slices: Slices;
  readonly clip: ClipBox | null;
  readonly camera: Camera;
  readonly theme: string;
}

const REST_MS = 250;
/** Further than that the pointer has dragged, not clicked. */
const CLICK_PIXELS = 4;

export class VolumeStage {
  readonly el = h("div", {
    class: "scene night",
    tabindex: 0,
    role: "application",
    "aria-label":
      "Volume: drag or use the arrow keys to turn, wheel or + and − to zoom, click to choose a voxel",
  });
  readonly #lost = h("p", { class: "scene-note", role: "alert", "data-testid": "lost", hidden: true });
  readonly #reduced = h("p", { class: "scene-badge num", "data-testid": "reduced", hidden: true });
  #scene: VolumeScene | undefined;
  #problem = "";
  #voxels: Voxels | undefined;
  #theme = "";
  /** The camera as the address has it, to tell its own changes from others'. */
  #camera: string | null = null;
  #rest = 0;
  #down: PointerEvent | undefined;
  #frame = 0;
  #painting = 0;

  constructor(private readonly on: StageEvents) {
    put(this.el, this.#lost, this.#reduced);
    this.el.addEventListener("pointerdown", (event) => {
      this.#down = event;
    });
    this.el.addEventListener("pointerup", (event) => this.#up(event));
    this.el.addEventListener("pointermove", (event) => this.#point(event));
    this.el.addEventListener("pointerleave", () => this.on.point(undefined));
  }

  get scene(): VolumeScene | undefined {
    return this.#scene;
  }

  /** Why there is no scene; empty while there is one or none was asked for. */
  get problem(): string {
    return this.#problem;
  }

  /** Make the scene if there is none; false if this browser cannot. */
  open(): boolean {
    if (this.#scene) return true;
    if (this.#problem) return false;
    try {
      this.#scene = new VolumeScene(this.el, "The volume, drawn in three dimensions", {
        onCamera: (view, moving) => this.#moved(view, moving),
        onDrawn: (fine) => this.#drawn(fine),
        onContext: (lost) => this.#context(lost),
      });
    } catch (error) {
      this.#problem = messageOf(error);
      return false;
    }
    return true;
  }

  show(shown: StageShown): void {
    const scene = this.#scene;
    if (!scene) return;
    if (shown.voxels !== this.#voxels) {
      this.#voxels = shown.voxels;
      scene.setVoxels(shown.spacing ? { ...shown.voxels, spacing: shown.spacing } : shown.voxels);
    }
    scene.setLook(shown.look);
    scene.setSlices(shown.slices);
    scene.setClip(shown.clip && edges(shown.clip));
    this.#colour(shown.theme);
    const camera = cameraText(shown.camera);
    if (camera !== this.#camera) {
      clearTimeout(this.#rest);
      this.#camera = camera;
      scene.camera = shown.camera;
    }
    this.#drawn(false);
    scene.settled().then(() => this.#drawn(true));
  }

  reset(): void {
    this.#scene?.reset();
  }

  destroy(): void {
    clearTimeout(this.#rest);
    cancelAnimationFrame(this.#frame);
    cancelAnimationFrame(this.#painting);
    this.#scene?.destroy();
  }

  /** Say on the element whether what is on it is the fine picture, and of how many voxels it is. */
  #drawn(fine: boolean): void {
    this.el.dataset.drawn = fine ? "fine" : "coarse";
    // What the card takes is known once something is drawn.
    const reduced = this.#scene?.reduced;
    this.#reduced.hidden = !reduced;
    if (!reduced) return;
    const text = `Drawn from every ${reduced.channels} × ${reduced.rows} × ${reduced.columns} voxels' strongest: the volume is larger than this graphics card takes.`;
    if (this.#reduced.textContent !== text) put(this.#reduced, text);
  }

  #colour(theme: string): void {
    if (theme === this.#theme) return;
    this.#theme = theme;
    this.#painting = requestAnimationFrame(() => {
      const style = getComputedStyle(this.el);
      const of = (name: string): string => style.getPropertyValue(name).trim();
      this.#scene?.setColours({
        background: style.backgroundColor,
        line: of("--scene-line"),
        text: of("--scene-text"),
        accent: of("--scene-accent"),
      });
    });
  }

  #moved(view: CameraView, moving: boolean): void {
    clearTimeout(this.#rest);
    if (moving) return;
    // A wheel or a held key comes to rest many times: only the last one is written down.
    this.#rest = window.setTimeout(() => {
      const text = cameraText(view);
      if (text === this.#camera) return;
      this.#camera = text;
      this.on.camera(text);
    }, REST_MS);
  }

  #context(lost: boolean): void {
    this.#lost.hidden = !lost;
    put(
      this.#lost,
      lost
        ? "The browser has taken the graphics card away; the picture comes back as soon as it gives it back. Slices and maps still work."
        : null,
    );
  }

  #up(event: PointerEvent): void {
    const down = this.#down;
    this.#down = undefined;
    if (!down || event.button !== 0 || down.pointerId !== event.pointerId) return;
    if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > CLICK_PIXELS) return;
    const at = this.#scene?.pick(event.clientX, event.clientY);
    if (at) this.on.pick([at.channel, at.row, at.column]);
  }

  #point(event: PointerEvent): void {
    if (event.buttons || event.pointerType === "touch") return;
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      const at = this.#scene?.pick(event.clientX, event.clientY);
      this.on.point(at ? [at.channel, at.row, at.column] : undefined);
    });
  }
}

/** First and last voxels as edges, in the order of the scene: columns, rows, places. */
const edges = ([z0, z1, y0, y1, x0, x1]: ClipBox): Clip => [x0, x1 + 1, y0, y1 + 1, z0, z1 + 1];
