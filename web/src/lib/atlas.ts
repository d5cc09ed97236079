// All thumbnails of an embedding in one square picture, for one texture.
import type { Sheet } from "../source/source";
import { context2d } from "./dom";
import { type PictureCache, tileOf } from "./sheet";

const LARGEST = 4096;

export interface Atlas {
  readonly canvas: HTMLCanvasElement;
  readonly columns: number;
}

/** Side of a tile and number of columns for `count` tiles of at most `tile` pixels in a picture of at most `limit`. */
export function atlasShape(count: number, tile: number, limit = LARGEST): { columns: number; side: number } {
  const columns = Math.max(1, Math.ceil(Math.sqrt(count)));
  return { columns, side: Math.max(1, Math.min(tile, Math.floor(limit / columns))) };
}

/** Load the sheets one after the other; `progress` is called with the growing atlas. */
export async function buildAtlas(
  sheet: Sheet,
  count: number,
  pictures: PictureCache,
  url: (file: string) => string,
  signal: AbortSignal,
  progress: (atlas: Atlas) => void,
): Promise<void> {
  const [height, width] = sheet.tile;
  const { columns, side } = atlasShape(count, Math.max(height, width));
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = columns * side;
  const context = context2d(canvas);
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#808080";
  context.fillRect(0, 0, canvas.width, canvas.height);
  const scale = side / Math.max(height, width);
  const perFile = sheet.rows * sheet.columns;
  for (let first = 0; first < count; first += perFile) {
    const picture = await pictures.get(url(tileOf(sheet, Math.floor(first / sheet.columns), 0).file));
    if (signal.aborted) return;
    for (let i = first; i < Math.min(count, first + perFile); i++) {
      const tile = tileOf(sheet, Math.floor(i / sheet.columns), i % sheet.columns);
      const [x, y] = [(i % columns) * side, Math.floor(i / columns) * side];
      const [w, h] = [width * scale, height * scale];
      context.drawImage(picture, tile.x, tile.y, width, height, x + (side - w) / 2, y + (side - h) / 2, w, h);
    }
    progress({ canvas, columns });
  }
}
