// A record of filters as its view needs it. The weights of large layers stay behind until they are drawn.
import type { Json, NumberArray, RecordMeta, Source, Tensor, Tensors } from "../source/source";
import {
  type Colours,
  coloursOf,
  type Drawing,
  type FilterShape,
  filterShape,
  largest,
  norms,
  strongestInput,
} from "./filters";
import { number } from "./format";
import { Rows } from "./rows";
import { amount, text } from "./topkdata";

/** Arrays up to this size are fetched at once; of larger ones, rows. */
const AT_ONCE_BYTES = 1 << 18;
const SHOWN_SHARE = 0.95;
/** Of layers with no more inputs than this, all slices are shown unless another choice is made. */
const FEW_INPUTS = 8;
const SMALL = [
  "norm",
  "l1",
  "largest",
  "smoothness",
  "nearest",
  "cosine",
  "order_similarity",
  "flags",
  "strongest",
];

/** One thing that can be wrong with a filter. */
export interface FilterFlag {
  readonly name: string;
  readonly bit: number;
  /** When it is set, in words. */
  readonly formula: string;
  readonly count: number;
}

export interface FilterData {
  readonly record: RecordMeta;
  readonly run: string;
  readonly layer: string;
  readonly network: string;
  readonly shape: FilterShape;
  /** The filters, a row each. */
  readonly weight: Rows;
  /** The strongest slice of each, undefined where it is the filter itself. */
  readonly slice: Rows | undefined;
  readonly norm: NumberArray;
  readonly l1: NumberArray | undefined;
  /** Largest |weight| of each filter. */
  readonly largest: NumberArray;
  readonly smoothness: NumberArray | undefined;
  readonly nearest: NumberArray | undefined;
  readonly cosine: NumberArray | undefined;
  readonly similar: NumberArray | undefined;
  readonly strongest: NumberArray;
  readonly flags: NumberArray;
  /** The flags that could be judged, with how many filters have each. */
  readonly health: readonly FilterFlag[];
  readonly sentence: string;
  readonly groups: number;
  /** |weight| at full contrast of the shared scale. */
  readonly scale: number;
  /** Which inputs are red, green and blue, if the network sees colours. */
  readonly colours: Colours | null;
}

export async function fetchFilters(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<FilterData> {
  const record = await source.record(run, id, signal);
  const { weight, slice } = record.arrays;
  const shape = filterShape(weight ?? { shape: [] });
  const complete = SMALL.every((name) => name in record.arrays);
  const now = (shapeOf: readonly number[]): boolean => 4 * product(shapeOf) <= AT_ONCE_BYTES;
  const names = [
    ...SMALL.filter((name) => name in record.arrays),
    ...(!complete || now(weight.shape) ? ["weight"] : []),
    ...(slice && now(slice.shape) ? ["slice"] : []),
  ];
  const arrays = await source.arrays(run, id, names, signal);
  const rowsOf = (name: string): Rows =>
    arrays[name]
      ? Rows.of(arrays[name])
      : Rows.from(source, run, id, name, product(record.arrays[name].shape.slice(1)));
  const about = {
    record,
    run,
    shape,
    layer: text(record.meta.layer) || record.tag,
    network: text(record.meta.network),
    weight: rowsOf("weight"),
    groups: amount(record.meta.groups) || 1,
    colours: coloursOf(shape.input, record.meta.order),
  };
  return complete
    ? { ...about, ...described(record, arrays), slice: slice ? rowsOf("slice") : undefined }
    : { ...about, ...measured(record, arrays) };
}

type Numbers = Omit<
  FilterData,
  "record" | "run" | "shape" | "layer" | "network" | "weight" | "groups" | "colours" | "slice"
>;

/** What the record says. */
function described({ meta }: RecordMeta, arrays: Tensors): Numbers {
  const health = objectOf(meta.health);
  return {
    norm: arrays.norm.data,
    l1: arrays.l1.data,
    largest: arrays.largest.data,
    smoothness: arrays.smoothness.data,
    nearest: arrays.nearest.data,
    cosine: arrays.cosine.data,
    similar: arrays.order_similarity.data,
    strongest: arrays.strongest.data,
    flags: arrays.flags.data,
    health: Array.isArray(health.flags) ? health.flags.map((flag: Json) => flagOf(objectOf(flag))) : [],
    sentence: text(health.sentence),
    scale: amount(meta.scale) || Number.MIN_VALUE,
  };
}

/** Records of older versions have the weights alone, or with norms: the rest is found here. */
function measured({ meta }: RecordMeta, { weight, norm }: Tensors): Numbers & { slice: Rows } {
  const { out, input } = filterShape(weight);
  const all = Array.from({ length: out }, (_, o) => o);
  const strongest = Int32Array.from(all, (o) => strongestInput(weight, o));
  const most = Float64Array.from(all, (o) => largest(weight, o));
  const known = (name: string): number[] => {
    const list = meta[name];
    return Array.isArray(list) ? list.map(Number).filter((o) => o >= 0 && o < out) : [];
  };
  const flags = new Uint8Array(out);
  const set = [
    { name: "dead", bit: 2, formula: "L2 norm < 1e-6", filters: known("dead") },
    { name: "weak", bit: 4, formula: "L2 norm < 1 % of the layer's largest", filters: known("weak") },
  ];
  for (const { bit, filters } of set) for (const o of filters) flags[o] |= bit;
  return {
    norm: norm?.data ?? norms(weight),
    l1: undefined,
    largest: most,
    smoothness: undefined,
    nearest: undefined,
    cosine: undefined,
    similar: undefined,
    strongest,
    flags,
    health: set.map(({ filters, ...flag }) => ({ ...flag, count: filters.length })),
    sentence: "",
    scale: fullContrast(most, input),
    slice: Rows.of(slicesOf(weight, strongest)),
  };
}

function slicesOf(weight: Tensor, strongest: Int32Array): Tensor {
  const { out, input, height, width } = filterShape(weight);
  const area = height * width;
  const data = new Float32Array(out * area);
  for (let o = 0; o < out; o++) {
    const start = (o * input + strongest[o]) * area;
    data.set(weight.data.subarray(start, start + area), o * area);
  }
  return { shape: [out, height, width], data };
}

/** Of first layers the largest |weight|; of deeper ones a few outliers would make all others pale, so they are clipped. */
function fullContrast(largestOf: Float64Array, inputs: number): number {
  const sorted = largestOf.slice().sort();
  const last = sorted.length - 1;
  return Math.max(sorted[inputs > 3 ? Math.floor(SHOWN_SHARE * last) : last] ?? 0, Number.MIN_VALUE);
}

const product = (shape: readonly number[]): number => shape.reduce((all, n) => all * n, 1);

const objectOf = (value: Json | undefined): Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)
    : {};

function flagOf(flag: Readonly<Record<string, Json>>): FilterFlag {
  const threshold = typeof flag.threshold === "number" ? number(flag.threshold) : "";
  return {
    name: text(flag.name),
    bit: amount(flag.bit),
    formula: text(flag.formula).replaceAll("{threshold}", threshold),
    count: amount(flag.count),
  };
}

/** A scale or a largest value as it is printed: that of a layer of zeros is the smallest number, so that it divides. */
export const printedScale = (scale: number): number => (scale === Number.MIN_VALUE ? 0 : scale);

/** Names of the flags of filter `o`. */
export const flagsOf = (data: FilterData, o: number): string[] =>
  data.health.filter(({ bit }) => data.flags[o] & bit).map(({ name }) => name);

export const largestNorm = (data: FilterData): number =>
  Float64Array.from(data.norm).reduce((most, norm) => Math.max(most, norm), Number.MIN_VALUE);

/** How the filters of a layer are drawn for a choice in the address: `all`, `strongest`, or the number of an input. */
export function drawingOf(data: FilterData, choice: string | undefined): Drawing {
  const { input } = data.shape;
  if (data.colours) return { kind: "colour", inputs: data.colours };
  if (input === 1) return { kind: "slice", input: 0 };
  if (choice && /^\d+$/.test(choice)) return { kind: "slice", input: Math.min(Number(choice), input - 1) };
  const all = choice === "all" || (choice !== "strongest" && input <= FEW_INPUTS);
  return { kind: all ? "all" : "strongest" };
}

/** The rows that a drawing is made of. */
export const rowsFor = (data: FilterData, drawing: Drawing): Rows =>
  drawing.kind === "strongest" && data.slice ? data.slice : data.weight;
