// A top-k record as the pages of a layer and of its channels need it. What belongs to one channel stays behind until it is shown.
import type { Json, NumberArray, RecordMeta, Source } from "../source/source";
import { classColour, type Theme } from "./palette";
import { insidePart, type Part } from "./patch";
import { Rows } from "./rows";
import { MEASURES, type Measure, type Purity, purity } from "./topk";

export interface Field {
  readonly size: readonly number[];
  readonly stride: readonly number[];
  readonly start: readonly number[];
  /** Why the field is the whole image; empty if it is not. */
  readonly reason: string;
  /** What all positions together can see, as y0, x0, y1, x1; none where that is not known. */
  readonly extent?: readonly number[];
}

/** How the pixels of one rule's projections came about. */
export interface Rule {
  readonly name: string;
  /** Its place in the arrays of the record. */
  readonly at: number;
  readonly report: string;
  /** Lower quartile, median and upper quartile of each proof figure in the layer. */
  readonly summary: ReadonlyMap<string, readonly number[]>;
}

export interface TopKData {
  readonly record: RecordMeta;
  readonly run: string;
  readonly channels: number;
  readonly k: number;
  /** The receptive fields: y0, x0, y1, x1 of every channel and rank, 0 where there is no image. */
  readonly box: NumberArray;
  readonly max: NumberArray;
  readonly positive: NumberArray;
  readonly edges: NumberArray | undefined;
  readonly label: NumberArray | undefined;
  readonly selectivity: NumberArray | undefined;
  readonly purity: readonly Purity[];
  /** The rules there are pictures of. */
  readonly rules: readonly Rule[];
  /** Names of the proof figures; a row of `proof` has them for every channel and rank. */
  readonly proofNames: readonly string[];
  readonly proof: Rows | undefined;
  /** |value| drawn at full contrast, for every channel and rank: a row a rule. */
  readonly scale: Rows | undefined;
  readonly engine: string;
  readonly mismatches: number;
  readonly mode: string;
  readonly lrn: string;
  readonly score: string;
  readonly field: Field;
  readonly inputSize: readonly number[];
  readonly wholeImage: boolean;
  readonly seen: number;
  readonly total: number;
  readonly complete: boolean;
  readonly dataset: string;
  readonly network: string;
  /** Which part of a tile of a sheet is drawn: fields reach over the border. */
  part(channel: number, rank: number, name: string): Part;
  className(label: number): string;
  classColour(label: number, theme: Theme): string;
  /** Names of the classes of a channel's pictures. */
  classNames(channel: number): string[];
  /** "dog 7/9", or nothing where no label is known. */
  classText(channel: number): string;
}

/** What the cards of a layer need; all else is of one channel, or of one rule. */
const NEEDED = ["box", "max", "positive"];
const WELCOME = ["edges", "label", "selectivity"];

export const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
export const amount = (value: Json | undefined): number => (typeof value === "number" ? value : 0);
export const numberList = (value: Json | undefined): number[] =>
  Array.isArray(value) ? value.map(Number) : [];
export const textList = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.map(String) : [];

const isNumber = (value: Json): boolean => typeof value === "number";
export const objectOf = (value: Json | undefined): Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)
    : {};

export function fieldOf(value: Json | undefined): Field {
  const field = objectOf(value);
  return {
    size: numberList(field.size),
    stride: numberList(field.stride),
    start: numberList(field.start),
    reason: text(field.reason),
    ...(Array.isArray(field.extent) ? { extent: numberList(field.extent) } : {}),
  };
}

function rulesOf({ meta, pictures }: RecordMeta): Rule[] {
  const [reports, summaries] = [objectOf(meta.rule_reports), objectOf(meta.proof_summary)];
  return textList(meta.rules)
    .map((name, at) => ({
      name,
      at,
      report: text(reports[name]),
      summary: new Map(
        Object.entries(objectOf(summaries[name]))
          .filter(([, quartiles]) => Array.isArray(quartiles) && quartiles.every(isNumber))
          .map(([figure, quartiles]) => [figure, numberList(quartiles)]),
      ),
    }))
    .filter(({ name }) => name in pictures);
}

export async function fetchTopK(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<TopKData> {
  const record = await source.record(run, id, signal);
  const names = [...NEEDED, ...WELCOME].filter((name) => name in record.arrays);
  const arrays = await source.arrays(run, id, names, signal);
  const [channels, k] = arrays.box.shape;
  const { meta } = record;
  const rowsOf = (name: string): Rows | undefined => {
    const shape = record.arrays[name]?.shape.slice(1);
    return (
      shape &&
      Rows.from(
        source,
        run,
        id,
        name,
        shape.reduce((all, n) => all * n, 1),
      )
    );
  };
  return {
    record,
    run,
    channels,
    k,
    box: arrays.box.data,
    max: arrays.max.data,
    positive: arrays.positive.data,
    edges: arrays.edges?.data,
    selectivity: arrays.selectivity?.data,
    rules: rulesOf(record),
    proofNames: textList(meta.proof),
    proof: rowsOf("proof"),
    scale: rowsOf("projection_scale"),
    engine: text(meta.engine),
    mismatches: amount(meta.mismatches),
    mode: text(meta.mode),
    lrn: text(meta.lrn),
    score: text(meta.score),
    field: fieldOf(meta.receptive_field),
    inputSize: numberList(meta.input_size),
    wholeImage: meta.whole_image === true,
    seen: amount(meta.images_seen),
    total: amount(meta.images_total),
    complete: meta.complete !== false,
    dataset: text(meta.dataset),
    network: text(meta.network),
    ...classesOf(arrays.label?.data, textList(meta.label_names), channels, k),
    part: (channel, rank, name) => {
      const { tile } = record.pictures[name];
      // Of a projection all is drawn: it is zero outside the picture, as it is where nothing reached the channel.
      const whole = meta.whole_image === true || name !== "patch";
      return insidePart(arrays.box.data, 4 * (channel * k + rank), numberList(meta.input_size), tile, whole);
    },
  };
}

type Classes = Pick<TopKData, "label" | "purity" | "className" | "classColour" | "classNames" | "classText">;

function classesOf(
  label: NumberArray | undefined,
  classes: readonly string[],
  channels: number,
  k: number,
): Classes {
  const pure = Array.from({ length: channels }, (_, c) =>
    label ? purity(label, c, k) : { label: -1, count: 0, of: 0 },
  );
  const className = (one: number): string => classes[one] ?? (one < 0 ? "no label" : `class ${one}`);
  return {
    label,
    purity: pure,
    className,
    classColour: (one, theme) => classColour(one, classes.length, theme),
    classNames: (channel) =>
      label
        ? [...new Set(Array.from(label.subarray(channel * k, (channel + 1) * k)))]
            .filter((one) => one >= 0)
            .map(className)
        : [],
    classText: (channel) =>
      pure[channel].label < 0
        ? ""
        : `${className(pure[channel].label)} ${pure[channel].count}/${pure[channel].of}`,
  };
}

/** The specificity of every channel's strongest projection in a rule, if it is here. */
export function specificityOf(data: TopKData, rule: Rule | undefined): NumberArray | undefined {
  const column = data.proofNames.indexOf("specificity");
  const row = rule && data.proof?.have(rule.at);
  if (!row || column < 0) return undefined;
  const pitch = data.k * data.proofNames.length;
  return Float32Array.from({ length: data.channels }, (_, channel) => row[channel * pitch + column]);
}

/** Numbers and places of a channel's pictures, best first: a data set may have fewer than k. */
export const ranksOf = (data: TopKData, channel: number): number[] =>
  Array.from({ length: data.k }, (_, rank) => rank).filter((rank) => {
    const at = 4 * (channel * data.k + rank);
    return data.box[at + 2] > data.box[at];
  });

/** The measures that a layer's channels have. */
export function measuresOf(data: TopKData): Measure[] {
  const known: Readonly<Record<Measure, boolean>> = {
    strength: true,
    sparsity: true,
    purity: data.label !== undefined,
    selectivity: data.selectivity !== undefined,
    specificity: data.rules.length > 0 && data.proof !== undefined && data.proofNames.includes("specificity"),
  };
  return MEASURES.filter((by) => known[by]);
}
