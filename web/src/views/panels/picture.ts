// One logged picture on the page, in its true pixels: still, moving or a video.
import { h, put, reducedMotion } from "../../lib/dom";
import { Film } from "./picturefilm";
import { natureOf } from "./picturemath";

const HEAD_BYTES = 1 << 20;

export interface PictureFile {
  /** Its bytes; without them (a page that is a file) the address alone is shown. */
  readonly blob: Blob | undefined;
  readonly url: string;
}

export class Picture {
  readonly el = h("div", { class: "picture" });
  /** Where the buttons of a film stand. */
  readonly controls = h("div", { class: "picture-controls" });
  #film: Film | undefined;
  #objectUrl = "";
  #turn = 0;
  #size: readonly [number, number] = [1, 1];
  #scale = 1;

  /** Show a file; what was shown stays until it is decoded. */
  async show(file: PictureFile, size: readonly [number, number], alt: string): Promise<void> {
    const turn = ++this.#turn;
    const nature = file.blob ? natureOf(await headOf(file.blob)) : "still";
    const objectUrl = file.blob && nature !== "video" ? URL.createObjectURL(file.blob) : "";
    const image = h("img", { alt, decoding: "async", draggable: "false", src: objectUrl || file.url });
    try {
      if (nature !== "video") await image.decode();
    } catch {
      URL.revokeObjectURL(objectUrl);
      if (turn === this.#turn)
        throw new Error(
          "this picture cannot be decoded: its bytes are damaged or of a kind that the browser does not know",
        );
      return;
    }
    if (turn !== this.#turn) return URL.revokeObjectURL(objectUrl);
    this.#release();
    this.#objectUrl = objectUrl;
    this.#size = size;
    if (nature === "video") put(this.el, video(file.url, alt));
    else put(this.el, image);
    if (nature === "moving" && file.blob) await this.#play(file.blob, image);
    this.scale(this.#scale);
  }

  /** CSS pixels for one pixel of the picture. */
  scale(scale: number): void {
    this.#scale = scale;
    const [height, width] = this.#size;
    this.el.style.width = `${width * scale}px`;
    this.el.style.height = `${height * scale}px`;
    // Shrunk, nearest pixels would drop lines of a figure.
    this.el.classList.toggle("enlarged", scale * (window.devicePixelRatio || 1) >= 0.999);
  }

  clear(): void {
    this.#turn++;
    this.#release();
    put(this.el);
  }

  async #play(blob: Blob, image: HTMLImageElement): Promise<void> {
    const film = new Film(this.el, image);
    this.#film = film;
    put(this.controls, film.controls);
    await film.open(blob);
  }

  #release(): void {
    this.#film?.destroy();
    this.#film = undefined;
    if (this.#objectUrl) URL.revokeObjectURL(this.#objectUrl);
    this.#objectUrl = "";
  }
}

async function headOf(blob: Blob): Promise<Uint8Array> {
  return new Uint8Array(await blob.slice(0, HEAD_BYTES).arrayBuffer());
}

/** A video is played from its address: its bytes may be large, and pages are not let play what they hold themselves. */
function video(url: string, label: string): HTMLElement {
  const el = h("video", { src: url, controls: true, loop: true, playsinline: true, "aria-label": label });
  el.muted = true;
  el.autoplay = !reducedMotion();
  return el;
}
