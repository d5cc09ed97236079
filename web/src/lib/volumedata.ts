// A volume record as its view needs it.
import type { RecordMeta, Source } from "../source/source";
import { text } from "./topkdata";
import { contrast, type VolumeArrays } from "./voxels";

const SHOWN_SHARE = 0.999;

export interface VolumeData {
  readonly record: RecordMeta;
  readonly volume: VolumeArrays;
  /** Channel at each place of the stack. */
  readonly order: readonly number[];
  readonly orderName: string;
  /** Full contrast of the scale that all channels share. */
  readonly top: number;
  readonly network: string;
  /** Name or class of the picture that went in. */
  readonly picture: string;
}

export async function fetchVolume(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<VolumeData> {
  const record = await source.record(run, id, signal);
  const names = ["voxels", "scale", ...("order" in record.arrays ? ["order"] : [])];
  const arrays = await source.arrays(run, id, names, signal);
  const [channels, height, width] = arrays.voxels.shape;
  const { image } = record.meta;
  const fields =
    typeof image === "object" && image !== null && !Array.isArray(image)
      ? (image as Record<string, string | number | null>)
      : {};
  const volume: VolumeArrays = {
    data: arrays.voxels.data as Uint8Array,
    channels,
    height,
    width,
    scale: arrays.scale.data,
  };
  return {
    record,
    volume,
    top: contrast(volume, SHOWN_SHARE),
    order: arrays.order
      ? Array.from(arrays.order.data)
      : Array.from({ length: channels }, (_, channel) => channel),
    orderName: text(record.meta.order) || "index",
    network: text(record.meta.network),
    picture: [
      ...new Set(
        [fields.name, fields.label].filter((part) => part !== undefined && part !== null && part !== ""),
      ),
    ].join(" · "),
  };
}
