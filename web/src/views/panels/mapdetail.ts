// One feature map at full size: every value under the pointer, and what of the picture that position sees.
import { context2d, h, put } from "../../lib/dom";
import { number, percent, times } from "../../lib/format";
import { facts, failed, isAbort } from "../../lib/frame";
import { colourBar } from "../../lib/legend";
import {
  type Clamp,
  clamp,
  fieldBox,
  ownScale,
  type Scale,
  seenBox,
  shownMean,
  strongest,
  valuePixels,
} from "../../lib/maps";
import type { MapsData } from "../../lib/mapsdata";
import { cellUnder } from "../../lib/pointer";
import type { NumberArray } from "../../source/source";

export interface DetailLinks {
  readonly back: string;
  readonly previous: string | null;
  readonly next: string | null;
  /** Other pages about this channel. */
  readonly more: readonly (readonly [text: string, href: string])[];
}

export interface DetailLook {
  readonly scale: Scale;
  readonly after: Clamp;
  readonly own: boolean;
  /** Row and column that the address names. */
  readonly pinned: readonly [number, number] | undefined;
}

export interface DetailEvents {
  readonly pin: (row: number, column: number) => void;
  /** The map is drawn; these are its pixels to be laid over the picture. */
  readonly drawn: (pixels: Uint8ClampedArray<ArrayBuffer>) => void;
  /** A position is looked at. */
  readonly look: (row: number, column: number) => void;
}

export class MapDetail {
  readonly el = h("section", { class: "map-detail", "aria-label": "Chosen feature map", tabindex: -1 });
  readonly #head = h("header", { class: "map-detail-head" });
  readonly #canvas = h("canvas", { class: "pixelated", role: "img" });
  readonly #cursor = h("div", { class: "map-cursor", "aria-hidden": "true" });
  readonly #stage = h("div", { class: "map-stage" }, this.#canvas, this.#cursor);
  readonly #reading = h("p", { class: "map-reading num", role: "status", "data-testid": "reading" });
  readonly #below = h("div", { class: "map-below" });
  #data: MapsData | undefined;
  #channel = -1;
  #values: NumberArray | undefined;
  #look: DetailLook | undefined;
  #at: readonly [number, number] = [0, 0];

  constructor(private readonly on: DetailEvents) {
    put(this.el, this.#head, this.#stage, this.#reading, this.#below);
    this.#canvas.addEventListener("pointermove", (event) => this.#see(...this.#under(event)));
    this.#canvas.addEventListener("pointerleave", () => this.#see(...this.#home()));
    this.#canvas.addEventListener("click", (event) => this.on.pin(...this.#under(event)));
  }

  show(data: MapsData, channel: number, look: DetailLook, links: DetailLinks): void {
    const same = data === this.#data && channel === this.#channel;
    this.#data = data;
    this.#channel = channel;
    this.#look = look;
    this.#header(links);
    this.#describe(data, channel, look, links);
    if (same && this.#values) return this.#draw();
    this.#values = undefined;
    data.values(channel).then(
      (values) => {
        if (data !== this.#data || channel !== this.#channel) return;
        this.#values = values;
        this.#draw();
      },
      (error) => {
        if (!isAbort(error) && data === this.#data) put(this.#below, failed(error));
      },
    );
  }

  /** Go from the position that is looked at by rows and columns. */
  move(rows: number, columns: number): void {
    const data = this.#data;
    if (!data || !this.#values) return;
    const within = (value: number, size: number): number => Math.max(0, Math.min(size - 1, value));
    this.on.pin(within(this.#at[0] + rows, data.height), within(this.#at[1] + columns, data.width));
  }

  #draw(): void {
    const [data, values, look] = [this.#data, this.#values, this.#look];
    if (!data || !values || !look) return;
    const { height, width } = data;
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#stage.style.aspectRatio = `${width} / ${height}`;
    this.#canvas.setAttribute(
      "aria-label",
      `feature map ${this.#channel} enlarged, ${times(height, width)} values`,
    );
    const pixels = valuePixels(values, look.after, look.scale);
    context2d(this.#canvas).putImageData(new ImageData(pixels, width, height), 0, 0);
    // On its own scale, as in the grid: what is laid over the picture says where, the map itself says how much.
    const own = ownScale(data.range, this.#channel, look.after, look.scale.signed);
    this.on.drawn(valuePixels(values, look.after, own, "by strength"));
    this.#see(...this.#home());
  }

  /** The pinned position, or else the strongest. */
  #home(): readonly [number, number] {
    const width = this.#data?.width ?? 1;
    if (this.#look?.pinned) return this.#look.pinned;
    const best = this.#values ? strongest(this.#values) : 0;
    return [Math.floor(best / width), best % width];
  }

  #under = (event: MouseEvent): [number, number] =>
    cellUnder(event, this.#canvas, this.#data?.height ?? 1, this.#data?.width ?? 1);

  #see(row: number, column: number): void {
    const [data, values, look] = [this.#data, this.#values, this.#look];
    if (!data || !values || !look) return;
    this.#at = [row, column];
    const cell = (size: number): string => `${100 / size}%`;
    Object.assign(this.#cursor.style, {
      top: `${(100 * row) / data.height}%`,
      left: `${(100 * column) / data.width}%`,
      height: cell(data.height),
      width: cell(data.width),
    });
    const value = clamp(values[row * data.width + column], look.after);
    put(
      this.#reading,
      h("b", {}, number(value, 6)),
      ` at row ${row}, column ${column}. ${seenText(data, row, column)}`,
    );
    this.on.look(row, column);
  }

  #header({ back, previous, next }: DetailLinks): void {
    const step = (text: string, label: string, href: string | null): HTMLElement =>
      href
        ? h("a", { class: "icon-button", href, "aria-label": label, title: label }, text)
        : h("span", { class: "icon-button faint", "aria-hidden": "true" }, text);
    put(
      this.#head,
      h("h2", { class: "num" }, `Channel ${this.#channel}`),
      step("‹", "Previous channel", previous),
      step("›", "Next channel", next),
      h("a", { class: "map-back", href: back }, "All maps"),
    );
  }

  #describe(data: MapsData, channel: number, { scale, after, own }: DetailLook, links: DetailLinks): void {
    const [low, high] = [data.range[2 * channel], data.range[2 * channel + 1]];
    const bad = data.notFinite?.[channel] ?? 0;
    put(
      this.#below,
      colourBar(scale.signed ? "diverging" : "inferno", scale.low, scale.high, own ? "this map" : "layer"),
      facts([
        { name: "values", value: `${number(clamp(low, after), 3)} … ${number(clamp(high, after), 3)}` },
        { name: "mean", value: number(shownMean(data, channel, after), 3) },
        { name: "above 0", value: percent(data.positive[channel]), title: "Share of the positions" },
        ...(bad
          ? [{ name: "NaN or infinite", value: String(bad), title: "Left clear, or drawn as the end" }]
          : []),
      ]),
      links.more.length
        ? h("p", { class: "map-more" }, ...links.more.map(([text, href]) => h("a", { href }, text)))
        : null,
    );
  }
}

/** What of the picture a position sees, in words. */
export function seenText(
  { field, inputSize }: Pick<MapsData, "field" | "inputSize">,
  row: number,
  column: number,
): string {
  if (field.reason) return `It sees the whole picture: ${field.reason}.`;
  if (field.size.length < 2) return "What it sees is not recorded.";
  const whole = fieldBox(field, [row, column], inputSize);
  const { y0, x0, y1, x1 } = seenBox(field, [row, column], inputSize);
  if (y0 >= y1 || x0 >= x1) return "It sees nothing of the picture, only what is padded.";
  const cut = y1 - y0 < whole.y1 - whole.y0 || x1 - x0 < whole.x1 - whole.x0;
  const span = (from: number, to: number): string => `${number(from)}–${number(to - 1)}`;
  const more = cut ? `; its field of ${times(...field.size)} is cut at the border` : "";
  return `It sees rows ${span(y0, y1)}, columns ${span(x0, x1)} of the picture${more}.`;
}
