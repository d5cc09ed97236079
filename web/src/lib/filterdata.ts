// A record of filters as its view needs it.
import type { Json, NumberArray, RecordMeta, Source, Tensor } from "../source/source";
import { type Colours, coloursOf, filterShape, largest, norms } from "./filters";

const DEAD = 1e-6;
const SHOWN_SHARE = 0.95;

export interface FilterData {
  readonly record: RecordMeta;
  readonly weight: Tensor;
  readonly norm: NumberArray;
  readonly dead: ReadonlySet<number>;
  readonly weak: ReadonlySet<number>;
  /** |weight| at full contrast of the shared scale. */
  readonly scale: number;
  /** Largest |weight| of the layer. */
  readonly largest: number;
  /** Which inputs are red, green and blue, if the network sees colours. */
  readonly colours: Colours | null;
}

const numbers = (value: Json | undefined): number[] => (Array.isArray(value) ? value.map(Number) : []);

export async function fetchFilters(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<FilterData> {
  const record = await source.record(run, id, signal);
  const names = ["weight", ...("norm" in record.arrays ? ["norm"] : [])];
  const arrays = await source.arrays(run, id, names, signal);
  const norm = arrays.norm?.data ?? norms(arrays.weight);
  const { out } = filterShape(arrays.weight);
  const measured = Array.from({ length: out }, (_, o) => largest(arrays.weight, o));
  return {
    record,
    weight: arrays.weight,
    norm,
    dead: new Set([...numbers(record.meta.dead), ...measured.keys()].filter((o) => norm[o] < DEAD)),
    weak: new Set(numbers(record.meta.weak)),
    scale: fullContrast(measured, filterShape(arrays.weight).input),
    largest: Math.max(...measured),
    colours: coloursOf(filterShape(arrays.weight).input, record.meta.order),
  };
}

/** Of first layers the largest |weight|; of deeper ones a few outliers would make all others pale, so they are clipped. */
function fullContrast(largestOf: readonly number[], inputs: number): number {
  const sorted = [...largestOf].sort((a, b) => a - b);
  const last = sorted.length - 1;
  return Math.max(sorted[inputs > 3 ? Math.floor(SHOWN_SHARE * last) : last] ?? 0, Number.MIN_VALUE);
}
