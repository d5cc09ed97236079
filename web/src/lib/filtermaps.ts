// The feature maps that a filter causes in the pictures of its run.
import type { Index, Source } from "../source/source";
import { recordsOf, tagsOf } from "./catalog";
import { rangeIndex, signedIndex, table } from "./colour";
import { text } from "./topkdata";

/** What may stand between the layer and the picture in the tag of maps. */
const SEPARATORS = [" @ ", "/"];

export interface MapPicture {
  readonly id: string;
  readonly tag: string;
  /** What the picture is called. */
  readonly name: string;
}

/** The pictures whose maps of a layer a run has. */
export function mapPictures(index: Index, run: string, layer: string): MapPicture[] {
  const found = index.runs.find(({ name }) => name === run);
  if (!found) return [];
  return tagsOf(found, "maps").flatMap((tag) => {
    const separator = SEPARATORS.find((one) => tag.startsWith(layer + one));
    const record = recordsOf(found, "maps", tag).at(-1);
    return separator && record
      ? [{ id: record.id, tag, name: tag.slice(layer.length + separator.length) }]
      : [];
  });
}

export interface ChannelMap {
  readonly values: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly low: number;
  readonly high: number;
}

/** One channel's map of a picture, undefined if the record is of another layer or has no such channel. */
export async function fetchMap(
  source: Source,
  run: string,
  { id }: MapPicture,
  layer: string,
  channel: number,
  signal: AbortSignal,
): Promise<ChannelMap | undefined> {
  const { meta, arrays } = await source.record(run, id, signal);
  if (text(meta.layer) !== layer || !arrays.small || channel >= arrays.small.shape[0]) return undefined;
  const { small, range } = await source.arrays(run, id, ["small", "range"], signal, [channel, channel + 1]);
  const [, height, width] = small.shape;
  return { values: Uint8Array.from(small.data), width, height, low: range.data[0], high: range.data[1] };
}

/** RGBA pixels of a map: signed around zero where it has negative values, else from zero to its largest. */
export function mapPixels({ values, low, high }: ChannelMap): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * values.length);
  const colours = table(low < 0 ? "diverging" : "viridis");
  const scale = Math.max(-low, high);
  values.forEach((byte, p) => {
    const value = low + (byte / 255) * (high - low);
    const index = low < 0 ? signedIndex(value, scale) : rangeIndex(value, 0, high);
    pixels.set(colours.subarray(3 * index, 3 * index + 3), 4 * p);
    pixels[4 * p + 3] = 255;
  });
  return pixels;
}
