// A top-k record as the layer view needs it.
import type { Json, NumberArray, RecordMeta, Sheet, Source } from "../source/source";
import { count, times } from "./format";
import type { Fact } from "./frame";
import { classColour, type Theme } from "./palette";
import { insidePart, type Part } from "./patch";
import { type Purity, purity } from "./topk";

export interface Field {
  readonly size: readonly number[];
  readonly stride: readonly number[];
  readonly start: readonly number[];
  /** Why the field is the whole image; empty if it is not. */
  readonly reason: string;
  /** What all positions together can see, as y0, x0, y1, x1; none where that is not known. */
  readonly extent?: readonly number[];
}

export interface TopKData {
  readonly record: RecordMeta;
  readonly channels: number;
  readonly k: number;
  readonly value: NumberArray;
  readonly image: NumberArray;
  readonly position: NumberArray;
  readonly box: NumberArray;
  readonly mean: NumberArray;
  readonly max: NumberArray;
  readonly variance: NumberArray;
  readonly positive: NumberArray;
  readonly histogram: NumberArray | undefined;
  readonly edges: NumberArray | undefined;
  readonly label: NumberArray | undefined;
  readonly projectionScale: NumberArray | undefined;
  readonly purity: readonly Purity[];
  readonly projections: boolean;
  readonly field: Field;
  readonly inputSize: readonly number[];
  readonly seen: number;
  readonly total: number;
  readonly complete: boolean;
  readonly dataset: string;
  readonly network: string;
  readonly rule: string;
  readonly report: string;
  /** Which part of a tile is picture: fields reach over the border. */
  part(channel: number, rank: number, sheet: Sheet): Part;
  className(label: number): string;
  classColour(label: number, theme: Theme): string;
  /** Names of the classes of a channel's pictures. */
  classNames(channel: number): string[];
  /** "dog 7/9", or nothing where no label is known. */
  classText(channel: number): string;
}

const NEEDED = ["value", "image", "position", "box", "mean", "max", "variance", "positive"];
const WELCOME = ["histogram", "edges", "label", "projection_scale"];

export const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
export const amount = (value: Json | undefined): number => (typeof value === "number" ? value : 0);
export const numberList = (value: Json | undefined): number[] =>
  Array.isArray(value) ? value.map(Number) : [];
export const textList = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.map(String) : [];

export function fieldOf(value: Json | undefined): Field {
  const field = (typeof value === "object" && value !== null && !Array.isArray(value) ? value : {}) as Record<
    string,
    Json
  >;
  return {
    size: numberList(field.size),
    stride: numberList(field.stride),
    start: numberList(field.start),
    reason: text(field.reason),
    ...(Array.isArray(field.extent) ? { extent: numberList(field.extent) } : {}),
  };
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
  const [channels, k] = arrays.value.shape;
  const label = arrays.label?.data;
  const classes = textList(record.meta.label_names);
  const pure = Array.from({ length: channels }, (_, c) =>
    label ? purity(label, c, k) : { label: -1, count: 0, of: 0 },
  );
  const input = numberList(record.meta.input_size);
  const className = (one: number): string => classes[one] ?? (one < 0 ? "no label" : `class ${one}`);
  return {
    record,
    channels,
    k,
    value: arrays.value.data,
    image: arrays.image.data,
    position: arrays.position.data,
    box: arrays.box.data,
    mean: arrays.mean.data,
    max: arrays.max.data,
    variance: arrays.variance.data,
    positive: arrays.positive.data,
    histogram: arrays.histogram?.data,
    edges: arrays.edges?.data,
    label,
    projectionScale: arrays.projection_scale?.data,
    purity: pure,
    projections: "projection" in record.pictures,
    field: fieldOf(record.meta.receptive_field),
    inputSize: input,
    seen: amount(record.meta.images_seen),
    total: amount(record.meta.images_total),
    complete: record.meta.complete !== false,
    dataset: text(record.meta.dataset),
    network: text(record.meta.network),
    rule: text(record.meta.rule),
    report: text(record.meta.rule_report),
    part: (channel, rank, sheet) =>
      insidePart(
        arrays.box.data,
        4 * (channel * k + rank),
        input,
        sheet.tile,
        record.meta.whole_image === true,
      ),
    className,
    classColour: (one, theme) => classColour(one, classes.length, theme),
    classNames: (channel) =>
      label ? [...new Set(Array.from(label.subarray(channel * k, (channel + 1) * k)))].map(className) : [],
    classText: (channel) =>
      pure[channel].label < 0
        ? ""
        : `${className(pure[channel].label)} ${pure[channel].count}/${pure[channel].of}`,
  };
}

/** The numbers that qualify a layer's page. */
export function topkFacts(data: TopKData): Fact[] {
  const { field, seen, total, complete } = data;
  const facts: Fact[] = [
    { name: "channels", value: count(data.channels) },
    {
      name: "receptive field",
      value: field.reason ? "whole image" : `${times(...field.size)} px`,
      title: field.reason || `stride ${times(...field.stride)} px`,
    },
    {
      name: "images seen",
      value: complete ? count(seen) : `${count(seen)} of ${count(total)}`,
      title: data.dataset,
    },
    { name: "network", value: data.network },
  ];
  const title = "How the projection treated every non-linearity";
  if (data.report) facts.push({ name: data.rule || "rule", value: data.report, title });
  return facts;
}

/** What the page of a layer, or of one channel, shows. */
export function explainTopK(data: TopKData, one: boolean): string {
  const patches = one
    ? `The ${data.k} pictures that excite this channel most, cut to its receptive field.`
    : `Each card is one channel: the ${data.k} pictures that excite it most, cut to the part it sees.`;
  return data.projections
    ? `${patches} The projections beside them show what in this image reached the channel.`
    : patches;
}
