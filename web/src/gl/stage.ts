// A WebGL canvas that draws a frame only when asked, follows its size and survives a lost context.
import { type Camera, Color, type Scene, WebGLRenderer } from "three";
import { h } from "../lib/dom";

export class WebGLMissing extends Error {
  override readonly name = "WebGLMissing";
}

export class Stage {
  readonly canvas: HTMLCanvasElement;
  readonly renderer: WebGLRenderer;
  readonly #observer: ResizeObserver;
  #frame = 0;
  #background = "#000000";
  /** Share of the full resolution; less while something moves. */
  quality = 1;

  constructor(
    private readonly host: HTMLElement,
    label: string,
    private readonly scene: Scene,
    private readonly camera: () => Camera,
    private readonly resized: (width: number, height: number) => void,
    private readonly drawn: () => void,
  ) {
    this.canvas = h("canvas", { class: "gl", "aria-label": label, role: "img" });
    try {
      this.renderer = new WebGLRenderer({
        canvas: this.canvas,
        antialias: true,
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
      this.renderer.render(this.scene, this.camera());
      this.drawn();
    });
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
    if (!width || !height) return;
    this.renderer.setSize(width, height, true);
    this.resized(width, height);
    this.request();
  }
}
