// The picture of a point, and its card: class, number and all that is known of it.
import { h, sizeCanvas } from "../../lib/dom";
import { count } from "../../lib/format";
import { dot } from "../../lib/frame";
import type { EmbeddingData } from "../../lib/points";
import { drawTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { Source } from "../../source/source";

const LONGEST = 160;
/** Of more columns the rest stands in the table. */
const MOST_COLUMNS = 14;

export class PointCards {
  #data: EmbeddingData | undefined;
  /** The colour of a point, as it is drawn. */
  colour: (point: number) => string = () => "var(--faint)";

  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
    private readonly pick: (point: number) => void,
  ) {}

  open(data: EmbeddingData): void {
    this.#data = data;
  }

  /** The picture of a point, as large as fits into a square of `size` pixels. */
  picture(point: number, size: number): HTMLCanvasElement {
    const data = this.#data;
    const canvas = h("canvas", { role: "img", "aria-label": data?.nameOf(point) });
    const context = sizeCanvas(canvas, size, size);
    const sheet = data?.record.pictures.thumbnail;
    if (!sheet || !data) return canvas;
    const tile = tileOf(sheet, Math.floor(point / sheet.columns), point % sheet.columns);
    const part = partOf(data, point, tile.width, tile.height);
    const [wide, high] = [part.width * tile.width, part.height * tile.height];
    const scale = size / Math.max(wide, high, 1);
    const [width, height] = [wide * scale, high * scale];
    this.pictures.get(this.source.pictureUrl(data.run, data.record.id, tile.file)).then(
      (picture) =>
        drawTile(context, picture, tile, (size - width) / 2, (size - height) / 2, width, height, part),
      () => {
        canvas.title = "This thumbnail could not be loaded";
      },
    );
    return canvas;
  }

  /** Wait until the pictures of some points that were asked for are drawn, or cannot be. */
  async settled(points: readonly number[]): Promise<void> {
    const data = this.#data;
    const sheet = data?.record.pictures.thumbnail;
    if (!data || !sheet) return;
    const files = new Set(points.map((i) => tileOf(sheet, Math.floor(i / sheet.columns), 0).file));
    const url = (file: string) => this.source.pictureUrl(data.run, data.record.id, file);
    await Promise.allSettled([...files].map((file) => this.pictures.get(url(file))));
  }

  get pictured(): boolean {
    return this.#data?.record.pictures.thumbnail !== undefined;
  }

  card(point: number, most = MOST_COLUMNS): HTMLElement {
    const data = this.#data;
    if (!data) return h("div");
    const rows = data.columns
      .slice(0, most)
      .map((column) => [column.name, column.text(point)] as const)
      .filter(([, text]) => text)
      .flatMap(([name, text]) => [
        h("dt", {}, h("bdi", {}, shortened(name))),
        h("dd", {}, h("bdi", {}, shortened(text))),
      ]);
    return h(
      "div",
      { class: "point-card" },
      this.pictured ? this.picture(point, 96) : null,
      h(
        "div",
        {},
        h("h4", {}, dot(this.colour(point)), h("bdi", {}, data.className(data.label[point]))),
        h("p", { class: "num muted" }, `point ${count(point)}, image ${count(data.index[point])}`),
        rows.length ? h("dl", { class: "point-columns" }, ...rows) : null,
      ),
    );
  }

  /** A picture (or a name) that chooses its point. */
  jump(point: number, size: number, title = "", caption = ""): HTMLElement {
    const name = this.#data?.nameOf(point) ?? "";
    const about = title || name;
    return h(
      "button",
      {
        type: "button",
        class: "thumb",
        title: about,
        "aria-label": `${about}, point ${point}`,
        onclick: () => this.pick(point),
      },
      this.pictured ? this.picture(point, size) : h("span", { class: "thumb-name" }, h("bdi", {}, name)),
      caption ? h("small", { class: "num" }, caption) : null,
    );
  }
}

const shortened = (text: string): string => (text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);

/** The part of its tile that a picture fills: it lies in the middle. */
function partOf(
  { sizes }: EmbeddingData,
  point: number,
  width: number,
  height: number,
): { x: number; y: number; width: number; height: number } {
  const [high, wide] = sizes ? [sizes[2 * point] || height, sizes[2 * point + 1] || width] : [height, width];
  return {
    x: Math.floor((width - wide) / 2) / width,
    y: Math.floor((height - high) / 2) / height,
    width: wide / width,
    height: high / height,
  };
}

/** Every n-th of some points, `most` of them at most: a sample that has all parts of a list. */
export function sampled(points: ArrayLike<number>, most: number): number[] {
  const n = Math.min(most, points.length);
  return Array.from({ length: n }, (_, k) => points[Math.floor((k * points.length) / n)]);
}
