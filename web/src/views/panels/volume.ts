// Beside the volume: the input picture, the chosen channel as a picture, and the value under the pointer.
import { slider } from "../../lib/controls";
import { context2d, h, put } from "../../lib/dom";
import { number } from "../../lib/format";
import { hiddenTable } from "../../lib/frame";
import { cellUnder } from "../../lib/pointer";
import { drawTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { VolumeData } from "../../lib/volumedata";
import { mapPixels, type Voxels, valueAt } from "../../lib/voxels";
import type { Source } from "../../source/source";

export class VolumePanel {
  readonly el = h("aside", { class: "volume-panel", "aria-label": "Channel and input picture" });
  readonly #slider;
  readonly #title = h("h3", { class: "num" });
  readonly #slice = h("canvas", { class: "slice-picture", role: "img" });
  readonly #input = h("canvas", {
    class: "input-picture",
    role: "img",
    "aria-label": "The network's input picture",
  });
  readonly #caption = h("p", { class: "muted" });
  readonly #reading = h("p", { class: "reading-line num", "data-testid": "reading" });
  readonly #bar = h("div");
  readonly #table = h("div");
  #data: VolumeData | undefined;
  #place = 0;
  #gone = new AbortController();

  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
    see: (place: number) => void,
  ) {
    this.#slider = slider("Place", { min: 0, max: 0, step: 1 }, 0, see, (place) => String(place));
    this.#slice.addEventListener("pointermove", (event) => this.#point(event));
    put(
      this.el,
      h("section", { class: "block" }, this.#title, this.#slider.el, this.#slice, this.#reading, this.#bar),
      h("section", { class: "block" }, h("h3", {}, "Input"), this.#input, this.#caption),
      this.#table,
    );
  }

  open(data: VolumeData, run: string): void {
    this.#data = data;
    this.#gone.abort();
    this.#gone = new AbortController();
    const { signal } = this.#gone;
    this.#slider.limit({ min: 0, max: data.order.length - 1, step: 1 });
    put(this.#caption, data.picture);
    const rows = data.order
      .slice(0, 512)
      .map((channel, place) => [
        place,
        channel,
        number(data.volume.scale[2 * channel]),
        number(data.volume.scale[2 * channel + 1]),
      ]);
    put(this.#table, hiddenTable("Feature maps", ["place", "channel", "min", "max"], rows));
    const sheet = data.record.pictures.input;
    this.#input.hidden = !sheet;
    if (!sheet) return;
    const tile = tileOf(sheet, 0, 0);
    this.pictures.get(this.source.pictureUrl(run, data.record.id, tile.file)).then(
      (picture) => {
        if (signal.aborted) return;
        this.#input.width = tile.width;
        this.#input.height = tile.height;
        drawTile(context2d(this.#input), picture, tile, 0, 0, tile.width, tile.height);
      },
      () => put(this.#caption, "The input picture could not be loaded."),
    );
  }

  /** Show the map at `place` of the stack, with the bar of its scale. */
  show(voxels: Voxels, place: number, colours: Uint8Array, bar: HTMLElement): void {
    if (!this.#data) return;
    this.#place = place;
    const channel = this.#data.order[place];
    this.#slider.set(place);
    put(this.#title, `Channel ${channel}`);
    this.#slice.width = voxels.width;
    this.#slice.height = voxels.height;
    this.#slice.setAttribute(
      "aria-label",
      `feature map of channel ${channel}, largest value ${number(this.#data.volume.scale[2 * channel + 1])}`,
    );
    context2d(this.#slice).putImageData(mapPixels(voxels, place, colours), 0, 0);
    put(this.#bar, bar);
    if (!this.#reading.textContent) put(this.#reading, "Point at a map to read its values.");
  }

  read(channel: number, row: number, column: number, value: number): void {
    put(this.#reading, `channel ${channel}, row ${row}, column ${column}: ${number(value)}`);
  }

  destroy(): void {
    this.#gone.abort();
  }

  #point(event: PointerEvent): void {
    const data = this.#data;
    if (!data) return;
    const { volume } = data;
    const [row, column] = cellUnder(event, this.#slice, volume.height, volume.width);
    const channel = data.order[this.#place];
    this.read(channel, row, column, valueAt(volume, channel, row, column));
  }
}
