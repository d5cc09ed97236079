// A record of the importance of filters as its view needs it; of large ones a measure is fetched when it is wanted.
import type { NumberArray, RecordMeta, Source } from "../source/source";
import { type Group, groupsOf } from "./groups";
import { ranks } from "./ranks";
import { Rows } from "./rows";
import { amount, text, textList } from "./topkdata";

/** Records up to this size are fetched at once. */
const AT_ONCE_BYTES = 2_000_000;

export interface ImportanceData {
  readonly record: RecordMeta;
  readonly run: string;
  readonly layer: string;
  readonly network: string;
  readonly dataset: string;
  readonly images: number;
  readonly measures: readonly string[];
  readonly groups: readonly Group[];
  readonly filters: number;
  readonly rows: Rows;
}

const WORDS: Readonly<Record<string, readonly [name: string, meaning: string]>> = {
  gradient_norm: [
    "gradient norm",
    "L2 norm of the gradient of the class's logit by the weights of the filter",
  ],
  activation: ["activation", "mean of the filter's feature map after its non-linearity"],
  taylor: [
    "Taylor",
    "activation times the gradient of the loss: to first order, how far the loss moves when the filter is zeroed",
  ],
};

export const measureName = (measure: string): string => WORDS[measure]?.[0] ?? measure.replaceAll("_", " ");
export const measureMeaning = (measure: string): string => WORDS[measure]?.[1] ?? "";

export async function fetchImportance(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<ImportanceData> {
  const record = await source.record(run, id, signal);
  const { meta } = record;
  const [measures = 0, groups = 0, filters = 0] = record.arrays.importance?.shape ?? [];
  const names = textList(meta.measures);
  const small = 4 * measures * groups * filters <= AT_ONCE_BYTES;
  const rows = small
    ? Rows.of((await source.arrays(run, id, ["importance"], signal)).importance)
    : Rows.from(source, run, id, "importance", groups * filters);
  return {
    record,
    run,
    layer: text(meta.layer) || record.tag,
    network: text(meta.network),
    dataset: text(meta.dataset),
    images: amount(meta.images),
    measures: Array.from({ length: measures }, (_, m) => names[m] ?? `measure ${m}`),
    groups: groupsOf(meta.groups, groups),
    filters,
    rows,
  };
}

/** The importance of every filter by a measure for a group; undefined while it is not here. */
export const valuesOf = (
  { rows, filters }: ImportanceData,
  measure: number,
  group: number,
): NumberArray | undefined => rows.have(measure)?.subarray(group * filters, (group + 1) * filters);

/** A filter of the one that matters less to the other, with its rank in both. */
export interface Apart {
  readonly filter: number;
  readonly here: number;
  readonly there: number;
}

/** Ranks in words: "filter 12 is 1st here and 80th there". */
export const apartOf = (filters: readonly number[], one: NumberArray, other: NumberArray): Apart[] => {
  const [here, there] = [ranks(one), ranks(other)];
  return filters.map((filter) => ({ filter, here: here[filter], there: there[filter] }));
};

/** As many columns as the grid has unless chosen: 16, and more for layers that would be very long. */
export const usualColumns = (filters: number): number => (filters <= 256 ? 16 : filters <= 1024 ? 32 : 64);

/** The filters whose number begins with what is searched for; none if it is no number. */
export function filtersFound(query: string | undefined, filters: number): Set<number> {
  const wanted = (query ?? "").trim().replace(/^#/, "");
  if (!/^\d+$/.test(wanted)) return new Set();
  return new Set(Array.from({ length: filters }, (_, o) => o).filter((o) => String(o).startsWith(wanted)));
}
