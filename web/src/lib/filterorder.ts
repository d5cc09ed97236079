// Which filters are shown, and in what order.
import { type FilterData, flagsOf } from "./filterdata";

export const FILTER_SORTS = ["index", "norm", "similarity", "smoothness"] as const;
export type FilterSort = (typeof FILTER_SORTS)[number];

type Sortable = Pick<FilterData, "norm" | "similar" | "smoothness">;

/** Filter numbers in the wanted order; ties, and what the record does not know, keep the order of the layer. */
export function sortFilters(filters: readonly number[], by: FilterSort, data: Sortable): number[] {
  const place = new Map<number, number>();
  data.similar?.forEach((filter: number, at: number) => {
    place.set(filter, at);
  });
  const key: Record<FilterSort, (o: number) => number> = {
    index: (o) => o,
    norm: (o) => -data.norm[o],
    similarity: (o) => place.get(o) ?? o,
    smoothness: (o) => {
      const smoothness = data.smoothness?.[o] ?? Number.NaN;
      return Number.isNaN(smoothness) ? Number.POSITIVE_INFINITY : -smoothness;
    },
  };
  return filters
    .map((o) => ({ o, key: key[by](o) }))
    .sort((a, b) => (a.key === b.key ? a.o - b.o : a.key - b.key))
    .map(({ o }) => o);
}

/** The filters that a search for a number and the choice of a flag leave; `flagged` is any flag. */
export function chosenFilters(data: FilterData, query: string, flag: string): number[] {
  const wanted = query.trim().replace(/^#/, "");
  const all = Array.from({ length: data.shape.out }, (_, o) => o);
  const named = /^\d+$/.test(wanted) ? all.filter((o) => String(o).startsWith(wanted)) : all;
  return flag ? named.filter((o) => flagsOf(data, o).includes(flag)) : named;
}
