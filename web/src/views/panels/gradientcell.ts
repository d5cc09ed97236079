// One filter's gradient in the grid: a signed picture of one group, of two beside each other, and of their difference.
import { context2d, h } from "../../lib/dom";
import { difference, drawnSize, type FilterShape, filterPixels, type Size } from "../../lib/filters";
import { number } from "../../lib/format";
import {
  drawingOf,
  type GradientData,
  largestShown,
  type Part,
  rowOf,
  shownValues,
} from "../../lib/gradientdata";
import { fitTile } from "../../lib/sheet";
import type { NumberArray } from "../../source/source";

const BETWEEN = 4;
const CAPTION = 24;
const NAMES = 16;

/** How the gradients of a page are drawn. */
export interface GradientLook {
  readonly data: GradientData;
  readonly part: Part;
  /** All filters of the group, and of the other one. */
  readonly one: NumberArray;
  readonly other: NumberArray | undefined;
  /** Whether only the difference of both is drawn. */
  readonly only: boolean;
  /** |gradient| at full contrast; undefined: each filter its own. */
  readonly scale: number | undefined;
  /** Norms that the bars and captions tell: of the group, or of the difference. */
  readonly norms: ArrayLike<number>;
  readonly largestNorm: number;
}

/** One picture of a filter, with what it is called. */
export interface Tile {
  readonly name: string;
  readonly label: string;
  readonly values: NumberArray;
}

/** The pictures of filter `o`. */
export function tilesOf({ data, part, one, other, only }: GradientLook, o: number): Tile[] {
  const size = data.store.size(part);
  const here = rowOf(one, o, size);
  if (!other) return [{ name: "", label: `gradient of filter ${o}`, values: here }];
  const there = rowOf(other, o, size);
  const apart = { name: "difference", label: `difference of filter ${o}`, values: difference(here, there) };
  if (only) return [apart];
  return [
    { name: "this", label: `gradient of filter ${o}`, values: here },
    { name: "other", label: `gradient of filter ${o} for the other`, values: there },
    apart,
  ];
}

/** |gradient| at full contrast in the pictures of filter `o`. */
export function scaleOf(look: GradientLook, o: number): number {
  if (look.scale !== undefined) return look.scale;
  return Math.max(...tilesOf(look, o).map(({ values }) => largestShown(look.data, look.part, values)));
}

export const tileCount = ({ other, only }: Pick<GradientLook, "other" | "only">): number =>
  other && !only ? 3 : 1;

function tileSize(look: GradientLook, cellWidth: number): Size {
  const columns = tileCount(look);
  const [drawing, shape] = drawingOf(look.data, look.part);
  const { width, height } = drawnSize(shape, drawing);
  return fitTile([height, width], (cellWidth - BETWEEN * (columns - 1)) / columns);
}

export const gradientCellHeight = (look: GradientLook, cellWidth: number): number =>
  tileSize(look, cellWidth).height + CAPTION + (tileCount(look) > 1 ? NAMES : 0);

/** A canvas of one pixel a weight. */
export function gradientCanvas(
  look: GradientLook,
  { label, values }: Tile,
  scale: number,
  className: string,
): HTMLCanvasElement {
  const [drawing, shape] = drawingOf(look.data, look.part);
  const { width, height } = drawnSize(shape, drawing);
  const canvas = h("canvas", {
    width,
    height,
    class: `pixelated ${className}`,
    role: "img",
    "aria-label": label,
  });
  const pixels = filterPixels(values, shape, drawing, scale);
  context2d(canvas).putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

export function gradientCell(
  look: GradientLook,
  o: number,
  cellWidth: number,
  href: string,
): HTMLAnchorElement {
  const size = tileSize(look, cellWidth);
  const scale = scaleOf(look, o);
  const tiles = tilesOf(look, o).map((tile) => {
    const canvas = gradientCanvas(look, tile, scale, "filter-tile");
    canvas.style.width = `${size.width}px`;
    canvas.style.height = `${size.height}px`;
    canvas.dataset.tile = tile.name;
    return tileCount(look) > 1
      ? h("span", { class: "filter-one" }, canvas, h("span", { class: "filter-name" }, tile.name))
      : canvas;
  });
  const norm = look.norms[o];
  const share = look.largestNorm > 0 ? Math.min(1, norm / look.largestNorm) : 0;
  return h(
    "a",
    { class: "filter-cell", href, "data-filter": o, "aria-label": `filter ${o}, L2 norm ${number(norm)}` },
    h("span", { class: "filter-tiles" }, ...tiles),
    h("span", { class: "strip", "aria-hidden": "true" }, h("i", { style: { width: `${100 * share}%` } })),
    h(
      "span",
      { class: "filter-caption num" },
      h("span", {}, o),
      h("span", { class: "muted" }, number(norm, 3)),
    ),
  );
}

/** Row and column of a weight under a pointer. */
export function weightAt(
  { height, width }: FilterShape,
  canvas: HTMLElement,
  event: MouseEvent,
): [number, number] {
  const box = canvas.getBoundingClientRect();
  const at = (share: number, size: number): number =>
    Math.max(0, Math.min(size - 1, Math.floor(share * size)));
  return [
    at((event.clientY - box.top) / box.height, height),
    at((event.clientX - box.left) / box.width, width),
  ];
}

const COLOURS = ["red", "green", "blue"];

/** What a picture shows at a position: a number, or one for each colour. */
export function readingAt(
  { data, part }: GradientLook,
  values: NumberArray,
  row: number,
  column: number,
): string[] {
  const planes = shownValues(data, part, values);
  const at = row * data.shape.width + column;
  if (part !== "rgb" || !data.colours) return [number(planes[0][at])];
  return data.colours.map((input, c) => `${COLOURS[c]} ${number(planes[input][at])}`);
}
