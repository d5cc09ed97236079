// One filter in the grid: its weights as a picture, how long it is, and what is wrong with it; beside another one if two layers are compared.
import { context2d, h, put } from "../../lib/dom";
import { type FilterData, flagsOf, rowsFor } from "../../lib/filterdata";
import {
  type Drawing,
  difference,
  drawnSize,
  type FilterShape,
  filterPixels,
  relativeChange,
  type Size,
} from "../../lib/filters";
import { number, percent } from "../../lib/format";
import { fitTile } from "../../lib/sheet";
import type { NumberArray } from "../../source/source";

const BETWEEN = 4;
const CAPTION = 24;
const NAMES = 16;

/** How the filters of a page are drawn. */
export interface Look {
  readonly data: FilterData;
  readonly drawing: Drawing;
  /** The other layer, if two are compared. */
  readonly other: FilterData | undefined;
  readonly otherDrawing: Drawing;
  /** Whether filters of the same number can be subtracted. */
  readonly same: boolean;
  /** Every filter stretched to its own largest weight. */
  readonly own: boolean;
  /** The one scale of all filters of both. */
  readonly scale: number;
  readonly largestNorm: number;
}

export const columnsOf = (look: Pick<Look, "other" | "same">): number =>
  look.other ? (look.same ? 3 : 2) : 1;

/** How large the pictures of a cell are: those of the layer, and those of the other one. */
function tileSizes(look: Look, cellWidth: number): [Size, Size] {
  const columns = columnsOf(look);
  const side = (cellWidth - BETWEEN * (columns - 1)) / columns;
  const place = (from: FilterData, as: Drawing): Size => {
    const { height, width } = drawnSize(from.shape, as);
    return fitTile([height, width], side);
  };
  return [place(look.data, look.drawing), place(look.other ?? look.data, look.otherDrawing)];
}

export function cellHeight(look: Look, cellWidth: number): number {
  const [one, other] = tileSizes(look, cellWidth);
  return look.other ? Math.max(one.height, other.height) + NAMES + CAPTION : one.height + CAPTION;
}

/** A canvas of one pixel a weight. */
export function filterCanvas(
  shape: FilterShape,
  drawing: Drawing,
  label: string,
  className: string,
): HTMLCanvasElement {
  const { width, height } = drawnSize(shape, drawing);
  return h("canvas", { width, height, class: `pixelated ${className}`, role: "img", "aria-label": label });
}

function sized(canvas: HTMLCanvasElement, { width, height }: Size): HTMLCanvasElement {
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  return canvas;
}

export function paintFilter(
  canvas: HTMLCanvasElement,
  row: NumberArray,
  shape: FilterShape,
  drawing: Drawing,
  scale: number,
): void {
  const pixels = filterPixels(row, shape, drawing, scale);
  context2d(canvas).putImageData(new ImageData(pixels, canvas.width, canvas.height), 0, 0);
}

/** Draw filter `o` now if its weights are here, else when they are. */
function drawFilter(
  canvas: HTMLCanvasElement,
  data: FilterData,
  o: number,
  drawing: Drawing,
  scale: number,
  signal: AbortSignal,
): void {
  const rows = rowsFor(data, drawing);
  const here = rows.have(o);
  if (here) return paintFilter(canvas, here, data.shape, drawing, scale);
  rows.want(o, signal).then(
    (row) => paintFilter(canvas, row, data.shape, drawing, scale),
    () => {
      canvas.title = "These weights could not be loaded";
    },
  );
}

/** The drawing of a filter, and of the one it is compared with: of two strongest slices both show the same input. */
function drawingsOf(look: Look, o: number): [Drawing, Drawing] {
  if (!look.same || look.drawing.kind !== "strongest") return [look.drawing, look.otherDrawing];
  return [look.drawing, { kind: "slice", input: look.data.strongest[o] }];
}

export function filterCell(
  look: Look,
  o: number,
  cellWidth: number,
  href: string,
  signal: AbortSignal,
): HTMLElement {
  const { data, other } = look;
  const here = o < data.shape.out;
  const caption = h("span", { class: "filter-caption num" });
  const canvases = here || other ? pictures(look, o, cellWidth, signal, caption) : [];
  const flags = here ? flagsOf(data, o) : [];
  const norm = here ? data.norm[o] : 0;
  put(caption, h("span", {}, o), mark(flags, here ? number(norm, 3) : "not here"));
  const said = [`filter ${o}`, here ? `L2 norm ${number(norm)}` : "only in the other layer"];
  return h(
    "a",
    {
      class: "filter-cell",
      href,
      "data-filter": o,
      "aria-label": `${said.join(", ")} ${flags.join(", ")}`.trim(),
    },
    h("span", { class: "filter-tiles" }, ...canvases),
    h(
      "span",
      { class: "strip", "aria-hidden": "true" },
      h("i", { style: { width: `${100 * Math.min(1, norm / look.largestNorm)}%` } }),
    ),
    caption,
  );
}

function mark(flags: readonly string[], norm: string): HTMLElement {
  if (!flags.length) return h("span", { class: "muted" }, norm);
  const more = flags.length > 1 ? ` +${flags.length - 1}` : "";
  const title = flags.join(", ");
  return h("b", { class: `flag ${flags[0].replace(" ", "-")}`, title }, flags[0] + more);
}

function pictures(
  look: Look,
  o: number,
  cellWidth: number,
  signal: AbortSignal,
  caption: HTMLElement,
): HTMLElement[] {
  const { data, other } = look;
  const [size, otherSize] = tileSizes(look, cellWidth);
  const [drawing, otherDrawing] = drawingsOf(look, o);
  const one = (from: FilterData, as: Drawing, of: Size, label: string, names: string[]): HTMLElement => {
    const canvas = sized(filterCanvas(from.shape, as, label, "filter-tile"), of);
    if (o < from.shape.out) {
      const scale = look.own ? from.largest[o] : look.scale;
      drawFilter(canvas, from, o, as, scale, signal);
    }
    return other
      ? h("span", { class: "filter-one" }, canvas, h("span", { class: "filter-name" }, names.join(" · ")))
      : canvas;
  };
  const found = [one(data, drawing, size, `filter ${o}`, ["this"])];
  if (!other) return found;
  const otherFlags = o < other.shape.out ? flagsOf(other, o) : [];
  found.push(one(other, otherDrawing, otherSize, `filter ${o} of the other`, ["other", ...otherFlags]));
  if (look.same) found.push(differenceOf(look, other, o, size, signal, caption));
  return found;
}

function differenceOf(
  look: Look,
  other: FilterData,
  o: number,
  size: Size,
  signal: AbortSignal,
  caption: HTMLElement,
): HTMLElement {
  const { data } = look;
  const as: Drawing =
    look.drawing.kind === "strongest" ? { kind: "slice", input: data.strongest[o] } : look.drawing;
  const canvas = sized(filterCanvas(data.shape, as, `filter ${o} minus the other`, "filter-tile"), size);
  const scale = look.own ? Math.max(data.largest[o], other.largest[o]) : look.scale;
  const draw = ([a, b]: readonly NumberArray[]): void => {
    paintFilter(canvas, difference(a, b), data.shape, as, scale);
    const change = relativeChange(a, b);
    const title = "Length of the difference as a share of the longer filter's length";
    const text = Number.isNaN(change) ? "Δ NaN" : `Δ ${percent(change)}`;
    caption.append(h("span", { class: "muted change", title }, text));
  };
  Promise.all([data.weight.want(o, signal), other.weight.want(o, signal)]).then(draw, () => {
    canvas.title = "These weights could not be loaded";
  });
  return h("span", { class: "filter-one" }, canvas, h("span", { class: "filter-name" }, "difference"));
}
