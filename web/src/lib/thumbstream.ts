// Pictures of the points that are on screen, cut from sheets: the nearest to the middle first, given up off screen.
import type { Address, Sheet } from "../source/source";
import { context2d, h } from "./dom";
import { isAbort, messageOf } from "./frame";
import { type PictureCache, tileOf } from "./sheet";

/** Where the pictures of points are: tile i of the sheet is that of point i. */
export interface Thumbnails {
  readonly sheet: Sheet;
  readonly url: (file: string) => Address;
  readonly pictures: Pick<PictureCache, "get">;
  /** Height and width of each picture, centred in its tile (0 where it is missing); absent where all fill their tiles. */
  readonly sizes?: Uint8Array;
  /** Told once, in a sentence, when pictures cannot be loaded; their points stay dots. */
  readonly failed?: (message: string) => void;
}

/** A picture in a square of `side` pixels: RGBA, and where in the square it lies. */
export interface Slot {
  readonly pixels: Uint8ClampedArray;
  readonly box: Box;
}

/** x, y, width and height in pixels. */
export type Box = readonly [number, number, number, number];

/** A decoded sheet: an image element would be decoded again whenever its pixels were forgotten. */
export type Decoded = ImageBitmap;

export interface Cutter {
  decode(picture: HTMLImageElement): Promise<Decoded>;
  /** The pictures of at most `AT_A_TIME` points of one sheet. */
  cut(picture: Decoded, points: readonly number[]): Slot[];
}

/** Points that are cut together. */
export const AT_A_TIME = 48;

/** Sheets that are loaded or decoded at a time. */
const AT_ONCE = 3;
/** Milliseconds of cutting before the page is let go on. */
const SLICE_MS = 8;

interface File {
  readonly controller: AbortController;
  picture?: Decoded;
}

export class ThumbStream {
  readonly #files = new Map<number, File>();
  readonly #failed = new Set<number>();
  #wanted: Int32Array = new Int32Array();
  #told = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly thumbnails: Thumbnails,
    private readonly cutter: Cutter,
    /** Given each picture; `done` follows a handful of them. */
    private readonly deliver: (point: number, slot: Slot) => void,
    private readonly done: () => void,
  ) {}

  /** Whether a point has a picture that has not failed to load. */
  has(point: number): boolean {
    const { sizes } = this.thumbnails;
    return !(sizes && !sizes[2 * point]) && !this.#failed.has(this.#fileOf(point));
  }

  /** The points whose pictures are missed, the most urgent first; what is not among them is given up. */
  want(points: Int32Array): void {
    this.#wanted = points;
    const files = new Set<number>();
    for (const point of points) files.add(this.#fileOf(point));
    for (const file of this.#files.keys()) if (!files.has(file)) this.#close(file);
    this.#load(files);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const file of this.#files.keys()) this.#close(file);
    this.#wanted = new Int32Array();
  }

  #fileOf(point: number): number {
    const { sheet } = this.thumbnails;
    return Math.floor(point / (sheet.rows * sheet.columns));
  }

  #close(file: number): void {
    const { controller, picture } = this.#files.get(file) ?? {};
    this.#files.delete(file);
    controller?.abort();
    picture?.close();
  }

  #load(files: Iterable<number>): void {
    for (const file of files) {
      if (this.#files.size >= AT_ONCE) break;
      if (!this.#files.has(file) && !this.#failed.has(file)) void this.#fetch(file);
    }
    this.#go();
  }

  async #fetch(at: number): Promise<void> {
    const { sheet, url, pictures } = this.thumbnails;
    const file: File = { controller: new AbortController() };
    this.#files.set(at, file);
    const { signal } = file.controller;
    try {
      const picture = await this.cutter.decode(await pictures.get(url(sheet.files[at]), signal));
      if (signal.aborted) return picture.close();
      file.picture = picture;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.#failed.add(at);
      this.#files.delete(at);
      if (!this.#told) this.thumbnails.failed?.(messageOf(error));
      this.#told = true;
    }
    this.#next();
  }

  /** Load what is wanted still. */
  #next(): void {
    this.#load(new Set(Array.from(this.#wanted, (point) => this.#fileOf(point))));
  }

  #go(): void {
    if (this.#timer !== undefined || ![...this.#files.values()].some(({ picture }) => picture)) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#slice();
    }, 0);
  }

  /** Cut for some milliseconds, the most urgent points first; a sheet of which all is cut makes room for the next. */
  #slice(): void {
    const waiting = new Map<number, number[]>([...this.#files.keys()].map((file) => [file, []]));
    for (const point of this.#wanted) waiting.get(this.#fileOf(point))?.push(point);
    const cut = new Set<number>();
    const began = performance.now();
    for (const [file, points] of waiting) {
      const { picture } = this.#files.get(file) ?? {};
      if (!picture) continue;
      let from = 0;
      for (; from < points.length && performance.now() - began < SLICE_MS; from += AT_A_TIME)
        this.#some(picture, points.slice(from, from + AT_A_TIME), cut);
      if (from >= points.length) this.#close(file);
    }
    this.#wanted = this.#wanted.filter((point) => !cut.has(point));
    if (cut.size) this.done();
    this.#next();
  }

  #some(picture: Decoded, points: readonly number[], cut: Set<number>): void {
    this.cutter.cut(picture, points).forEach((slot, k) => {
      cut.add(points[k]);
      this.deliver(points[k], slot);
    });
  }
}

/** Where in a square of `side` pixels the picture of a point lies when its tile is drawn at the square's corner. */
export function boxOf(
  { sheet, sizes }: Pick<Thumbnails, "sheet" | "sizes">,
  point: number,
  side: number,
): Box {
  const [height, width] = sheet.tile;
  const scale = Math.min(1, side / Math.max(height, width));
  const [h, w] = sizes ? [sizes[2 * point], sizes[2 * point + 1]] : [height, width];
  const [x, y] = [Math.floor((width - w) / 2), Math.floor((height - h) / 2)];
  return [x, y, w, h].map((length) => Math.round(length * scale)) as unknown as Box;
}

/** Cuts by a canvas that is kept in memory. */
export function canvasCutter(thumbnails: Thumbnails, side: number): Cutter {
  const { sheet } = thumbnails;
  const canvas = h("canvas", { width: AT_A_TIME * side, height: side });
  const pen = context2d(canvas, { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  const [height, width] = sheet.tile;
  const scale = Math.min(1, side / Math.max(height, width));
  const cut = (picture: Decoded, points: readonly number[]): Slot[] => {
    pen.clearRect(0, 0, canvas.width, side);
    points.forEach((point, k) => {
      const tile = tileOf(sheet, Math.floor(point / sheet.columns), point % sheet.columns);
      pen.drawImage(picture, tile.x, tile.y, width, height, k * side, 0, width * scale, height * scale);
    });
    const { data } = pen.getImageData(0, 0, points.length * side, side);
    return points.map((point, k) => {
      const pixels = new Uint8ClampedArray(4 * side * side);
      for (let y = 0; y < side; y++) {
        const from = 4 * (y * points.length + k) * side;
        pixels.set(data.subarray(from, from + 4 * side), 4 * y * side);
      }
      return { pixels, box: boxOf(thumbnails, point, side) };
    });
  };
  return { decode: (picture) => createImageBitmap(picture), cut };
}
