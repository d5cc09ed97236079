// A record of an ablation as its view needs it: curves of accuracy over zeroed filters; of large ones, classes when they are wanted.
import type { Json, NumberArray, RecordMeta, Source } from "../source/source";

import { areaUnder, meanHeight } from "./ranks";
import { Rows } from "./rows";
import { amount, objectOf, text } from "./topkdata";

const AT_ONCE_BYTES = 4_000_000;

export interface AblationCurve {
  readonly name: string;
  readonly measure: string;
  readonly seed: number | null;
  /** Filters in the order in which they are zeroed. */
  readonly order: NumberArray;
  /** By place in `removed`; NaN where it is not measured yet. */
  readonly accuracy: NumberArray;
  readonly loss: NumberArray;
}

export interface AblationData {
  readonly record: RecordMeta;
  readonly run: string;
  readonly layer: string;
  readonly network: string;
  readonly dataset: string;
  readonly images: number;
  readonly filters: number;
  /** How many filters are zeroed at each measured place. */
  readonly removed: NumberArray;
  readonly curves: readonly AblationCurve[];
  readonly classes: readonly { readonly label: number; readonly name: string }[];
  readonly support: NumberArray;
  /** Accuracy of every class: a row a curve, of places times classes. */
  readonly ofClasses: Rows;
  /** Accuracy with only one filter zeroed, if that was measured. */
  readonly single: NumberArray | undefined;
  /** The same for every class: a row a filter. */
  readonly singleClass: Rows | undefined;
}

export async function fetchAblation(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<AblationData> {
  const record = await source.record(run, id, signal);
  const { meta, arrays: there } = record;
  const names = ["order", "removed", "accuracy", "loss", "support", ...("single" in there ? ["single"] : [])];
  const arrays = await source.arrays(run, id, names, signal);
  const rowsOf = async (name: string): Promise<Rows | undefined> => {
    const shape = there[name]?.shape;
    if (!shape) return undefined;
    if (8 * product(shape) <= AT_ONCE_BYTES)
      return Rows.of((await source.arrays(run, id, [name], signal))[name]);
    return Rows.from(source, run, id, name, product(shape.slice(1)));
  };
  const [ofClasses, singleClass] = await Promise.all([rowsOf("class_accuracy"), rowsOf("single_class")]);
  const points = arrays.removed.data.length;
  const filters = arrays.order.shape[1] ?? 0;
  const row = (name: string, q: number, size: number): NumberArray =>
    arrays[name].data.subarray(q * size, (q + 1) * size);
  const told = Array.isArray(meta.curves) ? meta.curves : [];
  const curves = Array.from({ length: arrays.order.shape[0] }, (_, q): AblationCurve => {
    const about = objectOf(told[q] as Json | undefined);
    return {
      name: text(about.name) || `order ${q}`,
      measure: text(about.measure),
      seed: typeof about.seed === "number" ? about.seed : null,
      order: row("order", q, filters),
      accuracy: row("accuracy", q, points),
      loss: row("loss", q, points),
    };
  });
  return {
    record,
    run,
    layer: text(meta.layer) || record.tag,
    network: text(meta.network),
    dataset: text(meta.dataset),
    images: amount(meta.images),
    filters,
    removed: arrays.removed.data,
    curves,
    classes: classesOf(meta.classes, arrays.support.data.length),
    support: arrays.support.data,
    ofClasses: ofClasses ?? Rows.from(source, run, id, "class_accuracy", 0),
    single: arrays.single?.data,
    singleClass,
  };
}

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

function classesOf(value: Json | undefined, count: number): AblationData["classes"] {
  const known = Array.isArray(value) ? value : [];
  return Array.from({ length: count }, (_, k) => {
    const one = objectOf(known[k] as Json | undefined);
    const label = typeof one.class === "number" ? one.class : k;
    return { label, name: text(one.name) || `class ${label}` };
  });
}

/** How many places of all curves are measured, and how many there are. */
export function progressOf({ curves, removed }: AblationData): { done: number; total: number } {
  const measured = ({ accuracy }: AblationCurve): number =>
    accuracy.filter((y: number) => !Number.isNaN(y)).length;
  return {
    done: curves.reduce((sum, curve) => sum + measured(curve), 0),
    total: curves.length * removed.length,
  };
}

/** The accuracy with nothing zeroed; NaN where no curve has it. */
export function baselineOf({ curves, removed }: AblationData): number {
  const at = removed.indexOf(0);
  if (at < 0) return Number.NaN;
  return curves.map(({ accuracy }) => accuracy[at]).find((y) => !Number.isNaN(y)) ?? Number.NaN;
}

/** The accuracy of class `k` along a curve; undefined while it is not here. */
export function classCurve(data: AblationData, q: number, k: number): Float64Array | undefined {
  const row = data.ofClasses.have(q);
  const classes = data.classes.length;
  return row && Float64Array.from({ length: data.removed.length }, (_, p) => row[p * classes + k]);
}

/** The filters that are zeroed at a place and were not at the one before, in the order in which they go. */
export function zeroedAt({ removed }: AblationData, { order }: AblationCurve, place: number): number[] {
  return place < 0 ? [] : Array.from(order.subarray(place > 0 ? removed[place - 1] : 0, removed[place]));
}

/** The place of the largest number of zeroed filters up to `n` that a curve is measured at; -1 if there is none. */
export function placeOfCount({ removed }: AblationData, y: ArrayLike<number>, n: number): number {
  let best = -1;
  for (let p = 0; p < removed.length; p++)
    if (removed[p] <= n && !Number.isNaN(y[p]) && (best < 0 || removed[p] >= removed[best])) best = p;
  return best;
}

/** What a curve comes to: the area under it over the share of zeroed filters, and up to which share it is measured. */
export function areaOf(
  { removed, filters }: AblationData,
  y: ArrayLike<number>,
): { mean: number; to: number } {
  const shares = Float64Array.from(removed, (n) => n / Math.max(1, filters));
  return { mean: meanHeight(shares, y), to: areaUnder(shares, y).to };
}

/** A change of accuracy in words: "−1.2 %". */
export const signedShare = (value: number): string =>
  Number.isNaN(value) ? "not measured" : `${value < 0 ? "−" : "+"}${(100 * Math.abs(value)).toFixed(1)} %`;

/** 2 → "2nd". */
export function ordinal(n: number): string {
  const [tens, ones] = [n % 100, n % 10];
  if (tens > 10 && tens < 14) return `${n}th`;
  return `${n}${{ 1: "st", 2: "nd", 3: "rd" }[ones] ?? "th"}`;
}
