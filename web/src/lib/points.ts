// An embedding record as its view needs it.
import type { Json, NumberArray, RecordMeta, Source } from "../source/source";
import { text, textList } from "./topkdata";

export interface Neighbour {
  readonly index: number;
  readonly distance: number;
}

export interface EmbeddingData {
  readonly record: RecordMeta;
  readonly count: number;
  readonly label: NumberArray;
  readonly index: NumberArray;
  readonly classes: readonly string[];
  readonly columns: readonly string[];
  readonly network: string;
  readonly dataset: string;
  className(label: number): string;
  /** What a search looks at: class name and columns. */
  texts(point: number): string[];
  column(name: string, point: number): string;
  neighboursOf(point: number): Neighbour[];
}

export async function fetchEmbedding(source: Source, run: string, id: string, signal: AbortSignal): Promise<EmbeddingData> {
  const record = await source.record(run, id, signal);
  const names = ["label", "index", "neighbours", "neighbour_distance"].filter((name) => name in record.arrays);
  const arrays = await source.arrays(run, id, names, signal);
  const label = arrays.label.data;
  const classes = textList(record.meta.label_names);
  const columns = (typeof record.meta.columns === "object" && record.meta.columns !== null && !Array.isArray(record.meta.columns) ? record.meta.columns : {}) as Record<string, readonly Json[]>;
  const className = (one: number): string => classes[one] ?? (one < 0 ? "no label" : `class ${one}`);
  const cell = (name: string, point: number): string => String(columns[name]?.[point] ?? "");
  const per = arrays.neighbours?.shape[1] ?? 0;
  return {
    record,
    count: label.length,
    label,
    index: arrays.index.data,
    classes,
    columns: Object.keys(columns),
    network: text(record.meta.network),
    dataset: text(record.meta.dataset),
    className,
    texts: (point) => [className(label[point]), ...Object.keys(columns).map((name) => cell(name, point))],
    column: cell,
    neighboursOf: (point) =>
      Array.from({ length: point < label.length ? per : 0 }, (_, j) => ({
        index: arrays.neighbours.data[point * per + j],
        distance: arrays.neighbour_distance?.data[point * per + j] ?? Number.NaN,
      })),
  };
}
