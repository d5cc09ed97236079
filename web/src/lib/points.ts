// An embedding record as its view needs it: typed arrays, never one object a point.
import type { Json, NumberArray, RecordMeta, Source } from "../source/source";
import { columnsOf, earlyArrays, type PointColumn } from "./pointcolumns";
import { text, textList } from "./topkdata";

export interface EmbeddingData {
  readonly record: RecordMeta;
  readonly run: string;
  readonly count: number;
  /** Length of a vector. */
  readonly dim: number;
  /** (N,) class of each point, -1 if unknown. */
  readonly label: NumberArray;
  /** (N,) number of each picture in its data set. */
  readonly index: NumberArray;
  readonly classes: readonly string[];
  readonly columns: readonly PointColumn[];
  readonly layer: string;
  readonly network: string;
  readonly dataset: string;
  /** (N, 2) height and width of each thumbnail in its tile, where they differ from the tile. */
  readonly sizes: Uint8Array | undefined;
  className(label: number): string;
  /** What a point is called: its class, else its number. */
  nameOf(point: number): string;
  column(name: string): PointColumn | undefined;
}

export async function fetchEmbedding(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<EmbeddingData> {
  const record = await source.record(run, id, signal);
  const there = Object.keys(record.arrays);
  const names = ["label", "index", "thumbnail_size"].filter((name) => there.includes(name));
  const arrays = await source.arrays(run, id, [...names, ...earlyArrays(there)], signal);
  const label = arrays.label.data;
  const { meta } = record;
  const classes = textList(meta.label_names);
  const columns = columnsOf(meta.columns, arrays, (wanted) => source.arrays(run, id, wanted, signal));
  const className = (one: number): string => classes[one] ?? (one < 0 ? "no label" : `class ${one}`);
  return {
    record,
    run,
    count: label.length,
    dim: typeof meta.dim === "number" ? meta.dim : (record.arrays.vector?.shape[1] ?? 0),
    label,
    index: arrays.index?.data ?? Float64Array.from({ length: label.length }, (_, i) => i),
    classes,
    columns,
    layer: text(meta.layer) || record.tag,
    network: text(meta.network),
    dataset: text(meta.dataset),
    sizes: arrays.thumbnail_size?.data as Uint8Array | undefined,
    className,
    nameOf: (point) => (label[point] < 0 ? `point ${point}` : className(label[point])),
    column: (name) => columns.find((one) => one.name === name),
  };
}

/** Fetch the columns of texts; whether there are any that came. */
export async function loadTexts({ columns }: EmbeddingData): Promise<boolean> {
  const asked = columns.flatMap((column) => (column.type === "text" ? [column.load()] : []));
  return (await Promise.allSettled(asked)).some(({ status }) => status === "fulfilled");
}

/** The class that an address isolates, by number or by name; none, and why, where it names no class of the points. */
export function classOf(
  { label, classes }: Pick<EmbeddingData, "label" | "classes">,
  wanted: string | undefined,
): { label: number | null; note: string } {
  if (wanted === undefined) return { label: null, note: "" };
  const found = /^-?\d+$/.test(wanted) ? Number(wanted) : classes.indexOf(wanted);
  const known = (found >= 0 || wanted === "-1") && label.includes(found);
  return known ? { label: found, note: "" } : { label: null, note: `No class “${wanted}” here.` };
}

/** How many points each class has: the class (-1 for none) and the number, most first. */
export function classCounts(label: ArrayLike<number>, of?: ArrayLike<number>): [number, number][] {
  const counts = new Map<number, number>();
  const n = of?.length ?? label.length;
  for (let k = 0; k < n; k++) {
    const one = label[of ? of[k] : k];
    counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

export type Meta = Readonly<Record<string, Json>>;

const METHODS: Readonly<Record<string, string>> = {
  tsne: "t-SNE",
  pca: "PCA",
  umap: "UMAP",
  axes: "Own axes",
};

/** The name of a method; "tsne-p5" is "t-SNE p5". */
export function methodName(name: string): string {
  const [method, ...rest] = name.split("-");
  return [METHODS[method] ?? method, ...rest].join(METHODS[method] ? " " : "-");
}
