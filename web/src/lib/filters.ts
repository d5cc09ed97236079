// From convolution weights (O, I, kh, kw) to pictures.
import type { NumberArray, Tensor } from "../source/source";
import { signedIndex, table } from "./colour";

export interface FilterShape {
  readonly out: number;
  readonly input: number;
  readonly height: number;
  readonly width: number;
}

export function filterShape({ shape }: { readonly shape: readonly number[] }): FilterShape {
  const [out = 0, input = 1, height = 1, width = 1] = shape;
  return { out, input, height, width };
}

/** The inputs that are red, green and blue. */
export type Colours = readonly [number, number, number];

/** Which inputs of a layer are colours: those of a first layer with three, in the order its network was trained with. */
export function coloursOf(inputs: number, order: unknown): Colours | null {
  if (inputs !== 3) return null;
  return order === "BGR" ? [2, 1, 0] : [0, 1, 2];
}

/** How a filter is drawn: its three inputs as red, green, blue; one input slice; the slice with the largest norm; or all slices side by side. */
export type Drawing =
  | { readonly kind: "colour"; readonly inputs: Colours }
  | { readonly kind: "slice"; readonly input: number }
  | { readonly kind: "strongest" }
  | { readonly kind: "all" };

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Pixels a weight where all slices stand side by side, and between two of them: a gap is narrower than a weight. */
const ZOOM = 4;
const GAP = 2;

/** How many pixels a filter takes. */
export function drawnSize({ input, height, width }: FilterShape, drawing: Drawing): Size {
  if (drawing.kind !== "all") return { width, height };
  const columns = mosaicColumns(input);
  return {
    width: columns * (ZOOM * width + GAP) - GAP,
    height: Math.ceil(input / columns) * (ZOOM * height + GAP) - GAP,
  };
}

const mosaicColumns = (inputs: number): number => Math.ceil(Math.sqrt(inputs));

/** The slices of a row that are drawn; for the strongest one, the row is that slice alone. */
function slicesOf(shape: FilterShape, drawing: Drawing): readonly number[] {
  if (drawing.kind === "colour") return drawing.inputs;
  if (drawing.kind === "slice") return [drawing.input];
  if (drawing.kind === "strongest") return [0];
  return Array.from({ length: shape.input }, (_, i) => i);
}

/** RGBA pixels of a filter on the signed scale ±`scale`: zero is mid-grey (colour) or the neutral of the diverging map. */
export function filterPixels(
  row: NumberArray,
  shape: FilterShape,
  drawing: Drawing,
  scale: number,
): Uint8ClampedArray<ArrayBuffer> {
  const size = drawnSize(shape, drawing);
  const pixels = new Uint8ClampedArray(4 * size.width * size.height);
  const slices = slicesOf(shape, drawing);
  if (drawing.kind === "colour") paintColours(pixels, row, shape, drawing.inputs, scale);
  else if (drawing.kind !== "all")
    paintSlice(pixels, { at: 0, pitch: size.width, zoom: 1 }, row, shape, slices[0], scale);
  else {
    const columns = mosaicColumns(shape.input);
    for (const slice of slices) {
      const left = (slice % columns) * (ZOOM * shape.width + GAP);
      const top = Math.floor(slice / columns) * (ZOOM * shape.height + GAP);
      const to = { at: top * size.width + left, pitch: size.width, zoom: ZOOM };
      paintSlice(pixels, to, row, shape, slice, scale);
    }
  }
  return pixels;
}

/** Where a slice is drawn: its first pixel, the pixels of a line, and those of a weight. */
interface Target {
  readonly at: number;
  readonly pitch: number;
  readonly zoom: number;
}

function paintColours(
  pixels: Uint8ClampedArray,
  row: NumberArray,
  { height, width }: FilterShape,
  inputs: Colours,
  scale: number,
): void {
  const area = height * width;
  for (let p = 0; p < area; p++) {
    for (let c = 0; c < 3; c++) pixels[4 * p + c] = signedIndex(row[inputs[c] * area + p], scale);
    pixels[4 * p + 3] = 255;
  }
}

function paintSlice(
  pixels: Uint8ClampedArray,
  { at, pitch, zoom }: Target,
  row: NumberArray,
  { height, width }: FilterShape,
  slice: number,
  scale: number,
): void {
  const colours = table("diverging");
  for (let y = 0; y < height * zoom; y++) {
    const line = (slice * height + Math.floor(y / zoom)) * width;
    for (let x = 0; x < width * zoom; x++) {
      const index = 3 * signedIndex(row[line + Math.floor(x / zoom)], scale);
      const to = 4 * (at + y * pitch + x);
      pixels.set(colours.subarray(index, index + 3), to);
      pixels[to + 3] = 255;
    }
  }
}

/** The finite ones of some weights from `start` up to `stop`, as one number. */
function fold(
  data: NumberArray,
  start: number,
  stop: number,
  add: (sum: number, value: number) => number,
): number {
  let sum = 0;
  for (let p = start; p < stop; p++) if (Number.isFinite(data[p])) sum = add(sum, data[p]);
  return sum;
}

/** Sum of squares of every slice of one filter. */
export function sliceEnergies(row: NumberArray, { input, height, width }: FilterShape): Float64Array {
  const area = height * width;
  return Float64Array.from({ length: input }, (_, i) =>
    fold(row, i * area, (i + 1) * area, (sum, value) => sum + value * value),
  );
}

/** Input channel of filter `o` whose slice has the largest L2 norm. */
export function strongestInput(weight: Tensor, o: number): number {
  const shape = filterShape(weight);
  const size = shape.input * shape.height * shape.width;
  const energies = sliceEnergies(weight.data.subarray(o * size, (o + 1) * size), shape);
  return energies.reduce((best, energy, i) => (energy > energies[best] ? i : best), 0);
}

/** Largest |weight| of filter `o`. */
export function largest(weight: Tensor, o: number): number {
  const { input, height, width } = filterShape(weight);
  const size = input * height * width;
  return fold(weight.data, o * size, (o + 1) * size, (most, value) => Math.max(most, Math.abs(value)));
}

/** L2 norm of every filter. */
export function norms(weight: Tensor): Float64Array {
  const { out, input, height, width } = filterShape(weight);
  const size = input * height * width;
  return Float64Array.from({ length: out }, (_, o) =>
    Math.sqrt(fold(weight.data, o * size, (o + 1) * size, (sum, value) => sum + value * value)),
  );
}

/** How far two filters are apart as a share of the length of the longer one: 0 is equal, 2 is flipped. */
export function relativeChange(a: NumberArray, b: NumberArray): number {
  let [apart, one, other] = [0, 0, 0];
  for (let p = 0; p < a.length; p++) {
    apart += (a[p] - b[p]) ** 2;
    one += a[p] ** 2;
    other += b[p] ** 2;
  }
  return apart === 0 ? 0 : Math.sqrt(apart / Math.max(one, other));
}

export const difference = (a: NumberArray, b: NumberArray): Float32Array =>
  Float32Array.from(a, (value, p) => value - b[p]);
