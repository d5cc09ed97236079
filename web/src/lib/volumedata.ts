// A volume record as its view needs it: the voxels at once, the stored numbers of a channel when they are looked at.
import type { Json, NumberArray, RecordMeta, Source, Tensors } from "../source/source";
import { pictureText } from "./mapsdata";
import { splitTag } from "./mapstags";
import { ORDER_ARRAYS, type OrderMaps } from "./order";
import { Rows } from "./rows";
import { type Field, fieldOf, numberList, text } from "./topkdata";
import { byteError, countBytes, decode, inPieces, layerRange, toBytes, type VolumeArrays } from "./voxels";

export const SCALES = ["layer", "each", "symmetric"] as const;
/** One scale for all channels; each channel its own; one for all with zero in the middle. */
export type ScaleBy = (typeof SCALES)[number];

/** Of which weights' gradients the volume is: one image, or the mean over several. */
export interface Group {
  readonly name: string;
  readonly className: string;
  readonly images: number;
  readonly predictedName: string;
  readonly correct: boolean | null;
}

export interface VolumeData {
  readonly record: RecordMeta;
  readonly run: string;
  readonly volume: VolumeArrays;
  /** How often each byte occurs in each channel, `(channels, 256)`. */
  readonly counts: Uint32Array;
  /** Channel at each place of the stack, as it was stored. */
  readonly order: readonly number[];
  readonly orderName: string;
  /** The orders of the record, for the panel that explains them. */
  readonly orders: Tensors;
  readonly maps: OrderMaps;
  readonly source: string;
  /** Whether it has values of both signs. */
  readonly signed: boolean;
  /** The scale it was recorded for. */
  readonly by: ScaleBy;
  /** In percent of the values. */
  readonly percentiles: readonly [number, number];
  /** What these come to; null where the record does not tell. */
  readonly window: readonly [number, number] | null;
  readonly layer: string;
  readonly network: string;
  /** Name or class of the picture that went in. */
  readonly picture: string;
  readonly inputSize: readonly number[];
  readonly field: Field;
  readonly group: Group | null;
  /** What was done with a fourth axis: "sum" over the inputs, for instance. */
  readonly inputs: string;
  /** Edges of a voxel along channel, row and column, of volumes that are no stack of maps. */
  readonly spacing: readonly [number, number, number] | undefined;
  /** "uint8" or "float16": what the voxels were sent as. */
  readonly wire: string;
  /** The stored numbers of a channel; fails where the page has only the voxels. */
  exact(channel: number): Promise<NumberArray>;
}

const WELCOME = ["order", ...ORDER_ARRAYS];
const USUAL: readonly [number, number] = [0, 99.9];
/** Channels are looked at in pieces of so many voxels. */
const AT_ONCE = 500_000;

export async function fetchVolume(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<VolumeData> {
  const record = await source.record(run, id, signal);
  const names = ["voxels", "scale", ...WELCOME.filter((name) => name in record.arrays)];
  const arrays = await source.arrays(run, id, names, signal);
  const volume = volumeOf(arrays);
  const { channels, height, width } = volume;
  const counts = new Uint32Array(256 * channels);
  const atOnce = Math.ceil(AT_ONCE / Math.max(1, height * width));
  await inPieces(channels, atOnce, (from, to) => countBytes(volume, counts, from, to), signal);
  const rows = Rows.from(source, run, id, "volume", height * width);
  const exact = (channel: number): Promise<NumberArray> => rows.want(channel);
  const [low, high] = layerRange(volume);
  const { meta } = record;
  const signed = typeof meta.signed === "boolean" ? meta.signed : low < 0 && high > 0;
  return {
    record,
    run,
    volume,
    counts,
    order: orderOf(arrays.order?.data, channels),
    orderName: text(meta.order) || "index",
    orders: arrays,
    maps: mapsOf(volume, exact),
    source: text(meta.source) || "activations",
    signed,
    ...scalingOf(meta, signed),
    layer: text(meta.layer) || splitTag(record.tag).layer,
    network: text(meta.network),
    picture: pictureText(meta.image),
    inputSize: sizeOf(record),
    field: volumeField(meta.receptive_field),
    group: groupOf(meta.group),
    spacing: spacingOf(meta),
    inputs: inputsOf(meta.inputs),
    wire: record.arrays.voxels.dtype === "F16" || text(meta.wire) === "float16" ? "float16" : "uint8",
    exact,
  };
}

function volumeOf({ voxels, scale }: Tensors): VolumeArrays {
  const [channels, height, width] = voxels.shape;
  const data = voxels.data instanceof Uint8Array ? voxels.data : toBytes(voxels.data, scale.data);
  return { data, channels, height, width, scale: scale.data };
}

/** A permutation of the channels; what is none counts as none. */
function orderOf(order: NumberArray | undefined, channels: number): number[] {
  const index = Array.from({ length: channels }, (_, channel) => channel);
  if (order?.length !== channels || new Set(order).size !== channels) return index;
  return Array.from(order).every((channel) => channel >= 0 && channel < channels) ? Array.from(order) : index;
}

function mapsOf(volume: VolumeArrays, exact: VolumeData["exact"]): OrderMaps {
  const { channels, height, width } = volume;
  const at = (row: number, column: number): number => row * width + column;
  return {
    channels,
    height,
    width,
    value: (channel, row, column) =>
      decode(volume, channel, volume.data[channel * height * width + at(row, column)]),
    real: async (channel, row, column) => (await exact(channel))[at(row, column)],
  };
}

const fields = (value: Json | undefined): Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, Json>>)
    : {};

const pairOf = (value: Json | undefined): [number, number] | null => {
  const pair = numberList(value);
  return pair.length === 2 && pair.every(Number.isFinite) && pair[0] <= pair[1] ? [pair[0], pair[1]] : null;
};

/** The names that records use: each channel is "channel" there. */
const BY: Readonly<Record<string, ScaleBy>> = { layer: "layer", channel: "each", symmetric: "symmetric" };

function scalingOf(
  meta: RecordMeta["meta"],
  signed: boolean,
): Pick<VolumeData, "by" | "percentiles" | "window"> {
  const scaling = fields(meta.scaling);
  const by = BY[text(scaling.by)];
  return {
    by: by ?? (signed ? "symmetric" : "layer"),
    percentiles: pairOf(scaling.percentiles) ?? USUAL,
    window: by ? pairOf(meta.window) : null,
  };
}

function sizeOf(record: RecordMeta): readonly number[] {
  const size = numberList(record.meta.input_size);
  return size.length === 2 ? size : (record.pictures.input?.tile ?? []);
}

/** The field of a position; where it begins is called `start` or `offset`. */
function volumeField(value: Json | undefined): Field {
  const told = fields(value);
  return fieldOf({ ...told, start: told.start ?? told.offset ?? [] });
}

function groupOf(value: Json | undefined): Group | null {
  const group = fields(value);
  if (!Object.keys(group).length) return null;
  const named = (name: Json | undefined, number: Json | undefined): string =>
    text(name) || (typeof number === "number" ? `class ${number}` : "");
  return {
    name: text(group.name),
    className: named(group.class_name, group.class),
    images: typeof group.images === "number" ? group.images : 0,
    predictedName: named(group.predicted_name, group.predicted),
    correct: typeof group.correct === "boolean" ? group.correct : null,
  };
}

/** Maps are as far apart as one likes; volumes of strangers have edges of their own. */
function spacingOf(meta: RecordMeta["meta"]): VolumeData["spacing"] {
  const [z, y, x] = numberList(meta.spacing);
  const own = text(meta.source) === "file" && [z, y, x].every((edge) => edge > 0 && Number.isFinite(edge));
  return own ? [z, y, x] : undefined;
}

const inputsOf = (value: Json | undefined): string =>
  typeof value === "number" ? `input ${value}` : text(value);

/** A value as a page can give it: the stored one, or the voxel's with how far it may be off. */
export interface Reading {
  readonly value: number;
  /** 0 for the stored number itself. */
  readonly error: number;
}

/** What the voxel of a position says. */
export const roughReading = (
  { volume, maps, wire }: VolumeData,
  channel: number,
  row: number,
  column: number,
): Reading => ({ value: maps.value(channel, row, column), error: errorOf(volume, channel, wire) });

/** Half a step of the bytes; half floats were rounded before. */
function errorOf(volume: VolumeArrays, channel: number, wire: string): number {
  const [low, high] = [volume.scale[2 * channel], volume.scale[2 * channel + 1]];
  const rounded = wire === "float16" ? Math.max(Math.abs(low), Math.abs(high)) / 2048 : 0;
  return byteError(volume, channel) + rounded;
}
