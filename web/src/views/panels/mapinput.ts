// The picture the network looked at: its pixels, a feature map laid over it, and what one position sees.
import { context2d, h, put } from "../../lib/dom";
import { type Box, clipBox } from "../../lib/maps";
import type { MapsData } from "../../lib/mapsdata";
import { drawTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { Address, Source } from "../../source/source";

/** A map to be laid over the picture. */
export interface Overlay {
  /** RGBA. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly size: readonly number[];
  /** Where it lies, in pixels of the picture. */
  readonly place: Box;
  readonly opacity: number;
}

export class MapInput {
  readonly #picture = h("canvas", { role: "img", "aria-label": "The network's input picture" });
  readonly #over = h("canvas", { class: "map-over", "aria-hidden": "true", hidden: true });
  readonly #field = h("div", { class: "map-field", "data-testid": "field", hidden: true });
  readonly #note = h("p", { class: "map-missing muted" });
  readonly el = h("div", { class: "map-input" }, this.#picture, this.#over, this.#field, this.#note);
  #size: readonly number[] = [1, 1];
  #shown: Address = "";

  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
  ) {}

  /** Show the picture of a record. */
  open({ record, inputSize }: Pick<MapsData, "record" | "inputSize">, run: string): void {
    this.#size = inputSize;
    const sheet = record.pictures.input;
    const [height, width] = sheet?.tile ?? inputSize;
    this.el.style.aspectRatio = `${width} / ${height}`;
    const url = sheet ? this.source.pictureUrl(run, record.id, tileOf(sheet, 0, 0).file) : "";
    this.#say(sheet ? "" : "The picture is not recorded.");
    if (url === this.#shown) return;
    this.#shown = url;
    if (!sheet) {
      this.#picture.width = this.#picture.height = 1;
      return;
    }
    this.pictures.get(url).then(
      (picture) => {
        if (url !== this.#shown) return;
        this.#picture.width = width;
        this.#picture.height = height;
        drawTile(context2d(this.#picture), picture, tileOf(sheet, 0, 0), 0, 0, width, height);
      },
      () => url === this.#shown && this.#say("The input picture could not be loaded."),
    );
  }

  /** Lay a map over the picture; none takes it away. */
  overlay(over?: Overlay): void {
    this.#over.hidden = !over;
    if (!over) return;
    const [height, width] = over.size;
    this.#over.width = width;
    this.#over.height = height;
    context2d(this.#over).putImageData(new ImageData(over.pixels, width, height), 0, 0);
    this.#over.style.opacity = String(over.opacity);
    this.#lay(this.#over, over.place);
  }

  /** Frame what a position sees, cut at the border; none takes the frame away. */
  field(box?: Box): void {
    this.#field.hidden = !box;
    if (!box) return;
    const inside = clipBox(box, this.#size);
    this.#lay(this.#field, inside);
    this.#field.dataset.box = [inside.y0, inside.x0, inside.y1, inside.x1].join(",");
  }

  #lay(el: HTMLElement, { y0, x0, y1, x1 }: Box): void {
    const [height, width] = this.#size;
    el.style.top = `${(100 * y0) / height}%`;
    el.style.left = `${(100 * x0) / width}%`;
    el.style.height = `${(100 * (y1 - y0)) / height}%`;
    el.style.width = `${(100 * (x1 - x0)) / width}%`;
  }

  #say(text: string): void {
    put(this.#note, text);
    this.#note.hidden = !text;
  }
}
