// What the chosen voxel says: its channel and position, the stored value, and what of the input picture it sees.
import { h, put } from "../../lib/dom";
import { exact, number } from "../../lib/format";
import { isAbort, messageOf } from "../../lib/frame";
import { seenBox } from "../../lib/maps";
import type { PictureCache } from "../../lib/sheet";
import { type Reading, roughReading, type VolumeData } from "../../lib/volumedata";
import type { Source } from "../../source/source";
import { seenText } from "./mapdetail";
import { MapInput } from "./mapinput";

/** A voxel: its channel, row and column. */
export type VoxelAt = readonly [channel: number, row: number, column: number];

const PAUSE_MS = 120;

export class VolumeReading {
  readonly #value = h("p", { class: "volume-value num", "data-testid": "reading", role: "status" });
  readonly #hover = h("p", { class: "reading-line num", "data-testid": "hover" });
  readonly #seen = h("p", { class: "muted", "data-testid": "seen" });
  readonly #links = h("p", { class: "map-more" });
  readonly #input: MapInput;
  readonly #caption = h("p", { class: "map-name muted" });
  readonly el: HTMLElement;
  #data: VolumeData | undefined;
  #asked = "";
  #pause = 0;
  /** Whether the stored numbers cannot be had: the page is a file without them. */
  #rough = false;

  constructor(source: Source, pictures: PictureCache) {
    this.#input = new MapInput(source, pictures);
    this.el = h(
      "section",
      { class: "block", "aria-label": "Chosen voxel" },
      h("h3", {}, "Chosen voxel"),
      this.#value,
      this.#hover,
      this.#links,
      this.#input.el,
      this.#caption,
      this.#seen,
    );
  }

  open(data: VolumeData): void {
    if (data === this.#data) return;
    this.#data = data;
    this.#asked = "";
    this.#rough = false;
    const shown = data.record.pictures.input !== undefined;
    this.#input.el.hidden = this.#caption.hidden = !shown;
    if (shown) this.#input.open({ record: data.record, inputSize: data.inputSize }, data.run);
    put(this.#caption, data.picture);
  }

  /** Show the chosen voxel; `place` is where its channel stands in the stack. */
  show([channel, row, column]: VoxelAt, place: number, links: readonly (readonly [string, string])[]): void {
    const data = this.#data;
    if (!data) return;
    const key = JSON.stringify([channel, row, column, place, links]);
    if (key === this.#asked) return;
    this.#asked = key;
    const where = `channel ${channel} (place ${place}), row ${row}, column ${column}`;
    this.#say(where, roughReading(data, channel, row, column));
    put(this.#links, ...links.map(([text, href]) => h("a", { href }, text)));
    this.#see(data, row, column);
    if (this.#rough) return;
    data.exact(channel).then(
      (values) => {
        if (key !== this.#asked || data !== this.#data) return;
        this.#say(where, { value: values[row * data.volume.width + column], error: 0 });
      },
      (error) => {
        if (isAbort(error) || data !== this.#data) return;
        this.#rough = true;
      },
    );
  }

  /** Say what is under the pointer: the voxel at once, the stored value when it rests. */
  point(at: VoxelAt | undefined): void {
    clearTimeout(this.#pause);
    const data = this.#data;
    if (!at || !data) return put(this.#hover);
    const [channel, row, column] = at;
    const where = `channel ${channel}, row ${row}, column ${column}: `;
    put(this.#hover, where, readingText(roughReading(data, channel, row, column)));
    if (this.#rough) return;
    this.#pause = window.setTimeout(() => {
      data.exact(channel).then(
        (values) => {
          if (data !== this.#data || !this.#hover.textContent?.startsWith(where)) return;
          put(this.#hover, where, number(values[row * data.volume.width + column], 7));
        },
        (error) => {
          if (!isAbort(error)) this.#hover.title = messageOf(error);
        },
      );
    }, PAUSE_MS);
  }

  destroy(): void {
    clearTimeout(this.#pause);
    this.#data = undefined;
  }

  #say(where: string, reading: Reading): void {
    const { value, error } = reading;
    this.#value.dataset.exact = String(error === 0);
    this.#value.dataset.value = String(value);
    put(
      this.#value,
      h("b", {}, error ? readingText(reading) : exact(value)),
      ` at ${where}`,
      h("span", { class: "muted" }, error ? ", from the voxels" : ", as stored (float32)"),
    );
  }

  #see(data: VolumeData, row: number, column: number): void {
    const { field, inputSize } = data;
    const known = inputSize.length === 2 && (field.reason !== "" || field.size.length > 1);
    put(this.#seen, known ? seenText({ field, inputSize }, row, column) : unseenText(data));
    this.#input.field(known ? seenBox(field, [row, column], inputSize) : undefined);
  }
}

const readingText = ({ value, error }: Reading): string =>
  error ? `${number(value)} ± ${number(error, 2)}` : number(value, 7);

/** Why no field is drawn. */
function unseenText({ source }: VolumeData): string {
  if (source === "activations") return "What this position sees of the picture is not recorded.";
  if (source === "weight_gradients" || source === "weights")
    return "Rows and columns are places in the filters, not on a picture: no receptive field.";
  return "";
}
