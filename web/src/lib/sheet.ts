// Where a tile lies in a picture sheet, and the loading of sheets.
import type { Sheet } from "../source/source";
import { type Part, WHOLE } from "./patch";

export interface Tile {
  readonly file: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The place of tile (row, column): top-left pixel is (c·(w+2g)+g, r·(h+2g)+g) in the file that holds the row. */
export function tileOf(sheet: Sheet, row: number, column: number): Tile {
  const [height, width] = sheet.tile;
  const gutter = sheet.gutter;
  return {
    file: sheet.files[Math.floor(row / sheet.rows)],
    x: column * (width + 2 * gutter) + gutter,
    y: (row % sheet.rows) * (height + 2 * gutter) + gutter,
    width,
    height,
  };
}

/** The largest box of a tile's shape in a square of `side` pixels. */
export function fitTile([height, width]: readonly number[], side: number): { width: number; height: number } {
  const scale = side / Math.max(height, width, 1);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

const KEPT = 48;

/** Pictures by address: fetched once, the least recently used forgotten. */
export class PictureCache {
  readonly #pictures = new Map<string, Promise<HTMLImageElement>>();

  get(url: string): Promise<HTMLImageElement> {
    const known = this.#pictures.get(url);
    if (known) {
      this.#pictures.delete(url);
      this.#pictures.set(url, known);
      return known;
    }
    const picture = load(url);
    this.#pictures.set(url, picture);
    picture.catch(() => this.#pictures.delete(url));
    if (this.#pictures.size > KEPT) this.#pictures.delete(this.#pictures.keys().next().value ?? "");
    return picture;
  }

  clear(): void {
    this.#pictures.clear();
  }
}

async function load(url: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.decoding = "async";
  image.src = url;
  await image.decode();
  return image;
}

/** Draw a tile (or a part of it) into a box at (x, y): smooth when it shrinks, square pixels when it grows. */
export function drawTile(
  context: CanvasRenderingContext2D,
  picture: CanvasImageSource,
  tile: Tile,
  x: number,
  y: number,
  width: number,
  height: number,
  part: Part = WHOLE,
): void {
  const ratio = context.getTransform().a;
  context.imageSmoothingEnabled = width * ratio <= tile.width * 1.5;
  context.imageSmoothingQuality = "high";
  context.drawImage(
    picture,
    tile.x + part.x * tile.width,
    tile.y + part.y * tile.height,
    part.width * tile.width,
    part.height * tile.height,
    x + part.x * width,
    y + part.y * height,
    part.width * width,
    part.height * height,
  );
}
