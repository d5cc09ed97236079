// An embedding record as its view needs it.
import type { Json, NumberArray, RecordMeta, Source } from "../source/source";
import { count, number, percent } from "./format";
import type { Fact } from "./frame";
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

export async function fetchEmbedding(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<EmbeddingData> {
  const record = await source.record(run, id, signal);
  const names = ["label", "index", "neighbours", "neighbour_distance"].filter(
    (name) => name in record.arrays,
  );
  const arrays = await source.arrays(run, id, names, signal);
  const label = arrays.label.data;
  const classes = textList(record.meta.label_names);
  const columns = (
    typeof record.meta.columns === "object" &&
    record.meta.columns !== null &&
    !Array.isArray(record.meta.columns)
      ? record.meta.columns
      : {}
  ) as Record<string, readonly Json[]>;
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

/** The class that an address isolates; none, and why, where it names no class of the points. */
export function classOf(
  { label }: Pick<EmbeddingData, "label">,
  wanted: string | undefined,
): { label: number | null; note: string } {
  if (wanted === undefined) return { label: null, note: "" };
  const known = /^-?\d+$/.test(wanted) && label.includes(Number(wanted));
  return known ? { label: Number(wanted), note: "" } : { label: null, note: `No class “${wanted}” here.` };
}

type Meta = Readonly<Record<string, Json>>;

const METHODS: Readonly<Record<string, string>> = { tsne: "t-SNE", pca: "PCA", umap: "UMAP" };
const QUALITY: Readonly<Record<string, string>> = {
  neighbour_preservation: "neighbours kept",
  label_accuracy: "k-NN accuracy",
  explained_variance: "variance explained",
};

export const methodName = (method: string): string => METHODS[method] ?? method;

/** "t-SNE, iteration 500 of 750". */
export function origin(iteration: number, meta: Meta): string {
  const total =
    typeof meta.iterations === "number" && meta.iterations > 0 ? ` of ${count(meta.iterations)}` : "";
  const method = typeof meta.method === "string" ? methodName(meta.method) : "";
  return [method, iteration > 0 && `iteration ${count(iteration)}${total}`].filter(Boolean).join(", ");
}

/** The numbers that qualify a map: size, source, divergence and quality where they are known. */
export function embeddingFacts(data: EmbeddingData, meta: Meta): Fact[] {
  const facts: Fact[] = [
    { name: "points", value: count(data.count) },
    { name: "network", value: data.network },
    { name: "data set", value: data.dataset },
  ];
  if (typeof meta.kl === "number") facts.push({ name: "KL divergence", value: number(meta.kl) });
  const quality =
    typeof meta.quality === "object" && meta.quality !== null ? Object.entries(meta.quality) : [];
  for (const [name, value] of quality) {
    if (typeof value !== "number") continue;
    const shown = value >= 0 && value <= 1 ? percent(value) : number(value);
    facts.push({ name: QUALITY[name] ?? name.replaceAll("_", " "), value: shown });
  }
  return facts;
}
