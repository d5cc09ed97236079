// A WebGL canvas that draws a frame only when asked, follows its size and survives a lost context.
import { type Camera, Color, type Scene, WebGLRenderer } from "three";
import { context2d, h } from "../lib/dom";

export class WebGLMissing extends Error {
  override readonly name = "WebGLMissing";
}

export class Stage {
  readonly canvas: HTMLCanvasElement;
  readonly renderer: WebGLRenderer;
  readonly #observer: ResizeObserver;
  #frame = 0;
  #size: readonly [number, number] = [0, 0];
  #background = "#000000";
  /** Share of the full resolution; less while something moves. */
  quality = 1;
  /** Called before each picture. */
  before: () => void = () => undefined;

  constructor(
    private readonly host: HTMLElement,
    label: string,
    private readonly scene: Scene,
    private readonly camera: () => Camera,
    private readonly resized: (width: number, height: number) => void,
    private readonly drawn: () => void,
    antialias = true,
  ) {
    this.canvas = h("canvas", { class: "gl", "aria-label": label, role: "img" });
    try {
      this.renderer = new WebGLRenderer({
        canvas: this.canvas,
        antialias,
        alpha: false,
        powerPreference: "high-performance",
      });
    } catch {
      throw new WebGLMissing(
        "This view needs WebGL 2, which this browser does not offer: turn on hardware or software rendering in its settings.",
      );
    }
    host.prepend(this.canvas);
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.background = this.#background; // three.js begins anew, with black
    });
    this.#observer = new ResizeObserver(() => this.#fit());
    this.#observer.observe(host);
    this.#fit();
  }

  /** Colour behind everything, as CSS. */
  set background(colour: string) {
    this.#background = colour;
    this.renderer.setClearColor(new Color(colour), 1);
    this.request();
  }

  get height(): number {
    return this.canvas.height;
  }

  request(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#resolution();
      this.#draw();
      this.drawn();
    });
  }

  /** What is seen, at `ratio` pixels a CSS pixel, on a canvas of its own; the page stays as it is. */
  snapshot(ratio: number): HTMLCanvasElement {
    if (this.renderer.getContext().isContextLost())
      throw new Error("The picture cannot be drawn: the graphics context was lost; wait until it is back.");
    const before = this.renderer.getPixelRatio();
    this.renderer.setPixelRatio(ratio);
    this.#draw();
    const { width, height } = this.canvas;
    const sheet = h("canvas", { width, height });
    context2d(sheet).drawImage(this.canvas, 0, 0);
    this.renderer.setPixelRatio(before);
    this.#draw();
    return sheet;
  }

  #draw(): void {
    this.before();
    this.renderer.render(this.scene, this.camera());
  }

  destroy(): void {
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
    this.renderer.dispose();
    this.renderer.forceContextLoss();
    this.canvas.remove();
  }

  #resolution(): void {
    const ratio = Math.min(devicePixelRatio, 2) * this.quality;
    if (Math.abs(this.renderer.getPixelRatio() - ratio) > 1e-3) this.renderer.setPixelRatio(ratio);
  }

  #fit(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    // An observer reports once what was there already.
    if (!width || !height || (width === this.#size[0] && height === this.#size[1])) return;
    this.#size = [width, height];
    this.renderer.setSize(width, height, true);
    this.resized(width, height);
    this.request();
  }
}
