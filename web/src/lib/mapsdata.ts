// A record of feature maps as its view needs it: the numbers at once, the maps row by row when they are looked at.
import type { Json, NumberArray, RecordMeta, Source } from "../source/source";
import { type Clamp, type Sortable, UNCHANGED } from "./maps";
import { splitTag } from "./mapstags";
import { Rows } from "./rows";
import { amount, type Field, fieldOf, numberList, text } from "./topkdata";

const ORDER = "order_";
const NEEDED = ["range", "mean", "positive"];
const WELCOME = ["mean_after", "not_finite"];

export interface Prediction {
  readonly label: string;
  readonly probability: number;
}

export interface MapsData extends Sortable {
  readonly record: RecordMeta;
  readonly layer: string;
  readonly network: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Rows and columns of a map in the grid, and how many positions a side are one of them. */
  readonly small: readonly [height: number, width: number];
  readonly reduced: number;
  /** How many values of each channel are NaN or infinite. */
  readonly notFinite: NumberArray | undefined;
  readonly field: Field;
  /** Height and width of the network's input. */
  readonly inputSize: readonly number[];
  /** Kind of the layer's non-linearity. */
  readonly nonlinearity: string;
  /** What it leaves of the values, if that can be said of each value alone. */
  readonly after: Clamp | null;
  /** Name and class of the picture. */
  readonly picture: string;
  readonly predictions: readonly Prediction[];
  /** The maps of the grid, in bytes; `after`: so reduced that nothing positive is lost. */
  bytes(channel: number, after: boolean, gone: AbortSignal): Promise<NumberArray>;
  /** All values of a channel. */
  values(channel: number): Promise<NumberArray>;
}

export async function fetchMaps(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<MapsData> {
  const record = await source.record(run, id, signal);
  const known = Object.keys(record.arrays);
  const orders = known.filter((name) => name.startsWith(ORDER));
  const arrays = await source.arrays(
    run,
    id,
    [...NEEDED, ...[...WELCOME, ...orders].filter((name) => known.includes(name))],
    signal,
  );
  const [channels, height, width] = record.arrays.map.shape;
  const [, ...small] = record.arrays.small.shape;
  const rows = (name: string): Rows => {
    const [, ...shape] = record.arrays[name].shape;
    return Rows.from(source, run, id, name, shape[0] * shape[1]);
  };
  const before = rows("small");
  const after = "small_after" in record.arrays ? rows("small_after") : before;
  const whole = rows("map");
  const { meta } = record;
  return {
    record,
    layer: text(meta.layer) || splitTag(record.tag).layer,
    network: text(meta.network),
    channels,
    height,
    width,
    small: [small[0], small[1]],
    reduced: amount(meta.reduced) || 1,
    range: arrays.range.data,
    mean: arrays.mean.data,
    meanAfter: arrays.mean_after?.data,
    positive: arrays.positive.data,
    notFinite: arrays.not_finite?.data,
    orders: new Map(orders.map((name) => [name.slice(ORDER.length), arrays[name].data])),
    field: fieldOf(meta.receptive_field),
    inputSize: sizeOf(record),
    nonlinearity: text(meta.nonlinearity),
    after: clampOf(meta.after),
    picture: pictureText(meta.image),
    predictions: predictionsOf(meta.predictions),
    bytes: (channel, rectified, gone) => (rectified ? after : before).want(channel, gone),
    values: (channel) => whole.want(channel),
  };
}

/** The clamp that the values are shown with. */
export const shownClamp = (data: MapsData, after: boolean): Clamp => (after && data.after) || UNCHANGED;

const fields = (value: Json | undefined): Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)
    : {};

function sizeOf(record: RecordMeta): readonly number[] {
  const size = numberList(record.meta.input_size);
  return size.length === 2 ? size : (record.pictures.input?.tile ?? [1, 1]);
}

function clampOf(value: Json | undefined): Clamp | null {
  if (!Array.isArray(value) || typeof value[0] !== "number") return null;
  return { low: value[0], high: typeof value[1] === "number" ? value[1] : UNCHANGED.high };
}

/** "dogs/a.jpg · dog". */
export function pictureText(image: Json | undefined): string {
  const { name, label } = fields(image);
  return [...new Set([name, label].map((part) => (typeof part === "number" ? String(part) : text(part))))]
    .filter(Boolean)
    .join(" · ");
}

function predictionsOf(value: Json | undefined): Prediction[] {
  const list = Array.isArray(value) ? value.map(fields) : [];
  return list.map(({ label, probability }) => ({ label: text(label), probability: amount(probability) }));
}
