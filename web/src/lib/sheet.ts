// Where a tile lies in a picture sheet, and the loading of sheets.
import type { Address, Sheet } from "../source/source";
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

interface Kept {
  readonly picture: Promise<HTMLImageElement>;
  readonly controller: AbortController;
  /** How many wait for it and might give up; infinite once somebody asked who cannot. */
  waiting: number;
}

/** Pictures by address: fetched once, the least recently used forgotten. */
export class PictureCache {
  readonly #pictures = new Map<Address, Kept>();

  /** A picture; its loading ends when all who asked for it have given up by their signals. */
  get(url: Address, signal?: AbortSignal): Promise<HTMLImageElement> {
    const kept = this.#pictures.get(url) ?? this.#begin(url);
    this.#pictures.delete(url);
    this.#pictures.set(url, kept);
    kept.waiting += signal ? 1 : Number.POSITIVE_INFINITY;
    signal?.addEventListener("abort", () => {
      if (--kept.waiting > 0) return;
      kept.controller.abort();
      if (this.#pictures.get(url) === kept) this.#pictures.delete(url);
    });
    if (this.#pictures.size > KEPT) this.#pictures.delete(this.#pictures.keys().next().value ?? "");
    return kept.picture;
  }

  clear(): void {
    this.#pictures.clear();
  }

  #begin(url: Address): Kept {
    const controller = new AbortController();
    const kept = { picture: load(url, controller.signal), controller, waiting: 0 };
    kept.picture.catch(() => this.#pictures.get(url) === kept && this.#pictures.delete(url));
    return kept;
  }
}

async function load(address: Address, signal: AbortSignal): Promise<HTMLImageElement> {
  const url = typeof address === "string" ? address : await address;
  signal.throwIfAborted();
  const image = new Image();
  image.decoding = "async";
  image.src = url;
  signal.addEventListener("abort", () => {
    if (!image.complete) image.src = "";
  });
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
