// The pictures of a run whose maps of one layer are recorded, as small pictures to choose from.
import { context2d, h, put } from "../../lib/dom";
import { VirtualGrid } from "../../lib/grid";
import type { MapsTag } from "../../lib/mapstags";
import { drawTile, fitTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { Source } from "../../source/source";

const SIDE = 58;

export interface StripPicture extends MapsTag {
  /** The record whose input is drawn. */
  readonly id: string;
  readonly href: string;
}

export class MapStrip {
  readonly #scroller = h("div", { class: "map-strip-scroller", "data-scroller": "" });
  readonly #title = h("h3", {});
  readonly el = h(
    "section",
    { class: "map-strip", "aria-label": "Pictures of this run" },
    this.#title,
    this.#scroller,
  );
  readonly #grid: VirtualGrid;
  #run = "";
  #pictures: readonly StripPicture[] = [];
  #chosen = "";
  #drawn = "";

  constructor(
    private readonly source: Source,
    private readonly cache: PictureCache,
  ) {
    this.#grid = new VirtualGrid(this.#scroller, {
      label: "Pictures",
      minimum: SIDE,
      rowHeight: (width) => width,
      gap: 6,
      cell: (place, signal, width) => this.#cell(place, signal, width),
    });
    put(this.#scroller, this.#grid.el);
  }

  show(run: string, pictures: readonly StripPicture[], chosen: string): void {
    this.el.hidden = pictures.length < 2;
    this.#run = run;
    this.#pictures = pictures;
    this.#chosen = chosen;
    put(this.#title, `${pictures.length} pictures`);
    const key = JSON.stringify([run, pictures.map(({ id, href }) => [id, href])]);
    if (key !== this.#drawn) this.#grid.show([...pictures.keys()]);
    this.#drawn = key;
    for (const cell of this.#grid.el.querySelectorAll<HTMLElement>("[data-picture]")) this.#mark(cell);
  }

  destroy(): void {
    this.#grid.destroy();
  }

  #mark(cell: HTMLElement): void {
    cell.setAttribute("aria-current", String(cell.dataset.picture === this.#chosen));
  }

  #cell(place: number, signal: AbortSignal, side: number): HTMLElement {
    const { tag, picture, id, href } = this.#pictures[place];
    const name = picture || tag;
    const canvas = h("canvas", { width: 1, height: 1, role: "img", "aria-label": `picture ${name}` });
    const link = h("a", { class: "map-thumb", href, title: name, "data-picture": tag }, canvas);
    this.#mark(link);
    // A picture that cannot be had leaves its place empty; its name is still there.
    this.#draw(canvas, id, side, signal).catch(() => undefined);
    return h("div", { role: "listitem" }, link);
  }

  async #draw(canvas: HTMLCanvasElement, id: string, side: number, signal: AbortSignal): Promise<void> {
    const sheet = (await this.source.record(this.#run, id, signal)).pictures.input;
    if (!sheet) return;
    const tile = tileOf(sheet, 0, 0);
    const picture = await this.cache.get(this.source.pictureUrl(this.#run, id, tile.file));
    if (signal.aborted) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { width, height } = fitTile([tile.height, tile.width], side);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    drawTile(context2d(canvas), picture, tile, 0, 0, canvas.width, canvas.height);
  }
}
