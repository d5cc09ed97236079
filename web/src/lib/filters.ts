// From convolution weights (O, I, kh, kw) to pictures.
import type { Tensor } from "../source/source";
import { signedIndex, table } from "./colour";

export interface FilterShape {
  readonly out: number;
  readonly input: number;
  readonly height: number;
  readonly width: number;
}

export function filterShape(weight: Tensor): FilterShape {
  const [out = 0, input = 1, height = 1, width = 1] = weight.shape;
  return { out, input, height, width };
}

/** The inputs that are red, green and blue. */
export type Colours = readonly [number, number, number];

/** Which inputs of a layer are colours: those of a first layer with three, in the order its network was trained with. */
export function coloursOf(inputs: number, order: unknown): Colours | null {
  if (inputs !== 3) return null;
  return order === "BGR" ? [2, 1, 0] : [0, 1, 2];
}

/** How a filter is drawn: its three inputs as red, green, blue; one input slice; or the slice with the largest norm. */
export type Drawing =
  | { readonly kind: "colour"; readonly inputs: Colours }
  | { readonly kind: "slice"; readonly input: number }
  | { readonly kind: "strongest" };

/** RGBA pixels of filter `o` on the signed scale ±`scale`: zero is mid-grey (colour) or the neutral of the diverging map. */
export function filterPixels(weight: Tensor, o: number, drawing: Drawing, scale: number): ImageData {
  const { input, height, width } = filterShape(weight);
  const image = new ImageData(width, height);
  const area = height * width;
  const start = o * input * area;
  const slice =
    drawing.kind === "strongest" ? strongestInput(weight, o) : drawing.kind === "slice" ? drawing.input : 0;
  const colours = table("diverging");
  for (let p = 0; p < area; p++) {
    for (let c = 0; c < 3; c++) {
      const from = drawing.kind === "colour" ? drawing.inputs[c] : slice;
      const index = signedIndex(weight.data[start + from * area + p], scale);
      image.data[4 * p + c] = drawing.kind === "colour" ? index : colours[3 * index + c];
    }
    image.data[4 * p + 3] = 255;
  }
  return image;
}

/** Input channel of filter `o` whose slice has the largest L2 norm. */
export function strongestInput(weight: Tensor, o: number): number {
  const { input, height, width } = filterShape(weight);
  const area = height * width;
  let best = 0;
  let most = -1;
  for (let i = 0; i < input; i++) {
    let sum = 0;
    const start = (o * input + i) * area;
    for (let p = start; p < start + area; p++) sum += weight.data[p] * weight.data[p];
    if (sum > most) {
      most = sum;
      best = i;
    }
  }
  return best;
}

/** Largest |weight| of filter `o`. */
export function largest(weight: Tensor, o: number): number {
  const { input, height, width } = filterShape(weight);
  const size = input * height * width;
  let most = 0;
  for (let p = o * size; p < (o + 1) * size; p++) most = Math.max(most, Math.abs(weight.data[p]));
  return most;
}

/** L2 norm of every filter. */
export function norms(weight: Tensor): Float64Array {
  const { out, input, height, width } = filterShape(weight);
  const size = input * height * width;
  return Float64Array.from({ length: out }, (_, o) => {
    let sum = 0;
    for (let p = o * size; p < (o + 1) * size; p++) sum += weight.data[p] * weight.data[p];
    return Math.sqrt(sum);
  });
}
