// What the page of an embedding saves: the picture, the drawing, the points and the selected ones.
import { context2d, h } from "../../lib/dom";
import { download, type SaveItem } from "../../lib/download";
import { plural } from "../../lib/format";
import { DIM, HIDDEN } from "../../lib/highlight";
import { type ColourSpec, coloursOf } from "../../lib/pointcolours";
import { pointsJson, pointsTable } from "../../lib/pointfiles";
import type { EmbeddingData } from "../../lib/points";
import { pointsSvg, type SvgPoint } from "../../lib/pointsvg";
import type { Selection } from "../../lib/selection";
import type { PointCards } from "./pointcard";
import type { PointMap } from "./pointmap";

export interface SaveFrom {
  readonly data: () => EmbeddingData | undefined;
  readonly map: PointMap;
  readonly selection: () => Selection | undefined;
  readonly cards: PointCards;
  readonly colours: () => ColourSpec;
  /** "t-SNE, iteration 750". */
  readonly subtitle: () => string;
}

const PICTURE_WIDTH = 2400;
/** More pictures than this are dots in a drawing, and more dots than this no drawing at all. */
const MOST_PICTURES = 300;
const MOST_DOTS = 100_000;
const SIDE = 56;

export class PointSave {
  constructor(private readonly from: SaveFrom) {}

  items(): SaveItem[] {
    return [
      { label: "PNG of the map", save: () => this.#png() },
      { label: "SVG of the map", save: () => this.#svg() },
      { label: "CSV of all points", save: () => this.table(null, "points") },
      { label: "CSV of the selection", save: () => this.selected() },
      { label: "JSON of the selection", save: () => this.numbers() },
    ];
  }

  async table(points: ArrayLike<number> | null, name: string): Promise<void> {
    const data = this.#data();
    await Promise.all(data.columns.map((column) => (column.type === "text" ? column.load() : undefined)));
    const { positions, scene } = this.from.map;
    const text = pointsTable(data, points, positions, scene?.orbit.flat ?? true);
    download(`${data.record.tag}-${name}.csv`, text, "text/csv;charset=utf-8");
  }

  async selected(): Promise<void> {
    await this.table(this.#selected(), "selection");
  }

  numbers(): void {
    const data = this.#data();
    download(`${data.record.tag}-selection.json`, pointsJson(data, this.#selected()), "application/json");
  }

  #data(): EmbeddingData {
    const data = this.from.data();
    if (!data) throw new Error("The embedding is not here yet.");
    return data;
  }

  #selected(): Int32Array {
    const points = this.from.selection()?.indices();
    if (!points?.length)
      throw new Error("Nothing is selected: draw a lasso, or select what the search found.");
    return points;
  }

  async #png(): Promise<void> {
    const { scene } = this.from.map;
    if (!scene) throw new Error("There is no map here.");
    download(`${this.#data().record.tag}.png`, await scene.picture(PICTURE_WIDTH));
  }

  async #svg(): Promise<void> {
    const data = this.#data();
    const { map } = this.from;
    if (!map.scene) throw new Error("There is no map here.");
    if (data.count > MOST_DOTS)
      throw new Error(`${plural(data.count, "point")} are too many for a drawing: save a PNG.`);
    const points = this.#points(data);
    const shown = points.filter(({ state }) => state !== DIM);
    // Pictures where they are few enough to be seen.
    if (this.from.cards.pictured && shown.length <= MOST_PICTURES) await this.#withPictures(shown);
    const style = getComputedStyle(map.el);
    const svg = pointsSvg({
      width: map.el.clientWidth,
      height: map.el.clientHeight,
      title: `${data.record.tag} · ${data.run}`,
      subtitle: `${this.from.subtitle()} · ${plural(data.count, "point")}`,
      background: style.backgroundColor,
      text: style.color,
      points,
      legend: map.legend,
    });
    download(`${data.record.tag}.svg`, svg, "image/svg+xml");
  }

  #points(data: EmbeddingData): Drawn[] {
    const { map } = this.from;
    const { rgb } = coloursOf(data, this.from.colours());
    const points: Drawn[] = [];
    for (let i = 0; i < data.count; i++) {
      const at = map.states[i] === HIDDEN ? null : map.scene?.screen(i);
      if (!at) continue;
      const colour = `#${[0, 1, 2].map((c) => rgb[3 * i + c].toString(16).padStart(2, "0")).join("")}`;
      points.push({ point: i, x: at[0], y: at[1], colour, state: map.states[i], title: data.nameOf(i) });
    }
    return points;
  }

  async #withPictures(points: Drawn[]): Promise<void> {
    const canvases = points.map(({ point }) => this.from.cards.picture(point, SIDE));
    await this.from.cards.settled(points.map(({ point }) => point));
    const small = h("canvas", { width: SIDE, height: SIDE });
    points.forEach((one, k) => {
      const context = context2d(small);
      context.clearRect(0, 0, SIDE, SIDE);
      context.drawImage(canvases[k], 0, 0, SIDE, SIDE);
      one.picture = small.toDataURL("image/webp", 0.85);
    });
  }
}

interface Drawn extends SvgPoint {
  readonly point: number;
  picture?: string;
}
