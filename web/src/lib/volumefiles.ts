// A volume as files: NPY and NRRD of its numbers, and the table of its channels.
import type { CsvCell } from "./download";
import type { VolumeData } from "./volumedata";
import { decode } from "./voxels";

const NPY_ALIGN = 64;

/** The bytes of a NumPy array file (version 1.0) of little-endian float32 numbers, (C, H, W) in C order. */
export function npyOf(values: Float32Array<ArrayBuffer>, shape: readonly number[]): Blob {
  const about = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const room = Math.ceil((10 + about.length + 1) / NPY_ALIGN) * NPY_ALIGN - 10;
  const header = new TextEncoder().encode(`${about.padEnd(room - 1)}\n`);
  const start = Uint8Array.of(0x93, 78, 85, 77, 80, 89, 1, 0, room & 255, room >> 8);
  return new Blob([start, header, values], { type: "application/octet-stream" });
}

/** The bytes of an NRRD file of the same numbers; its fastest axis comes first. */
export function nrrdOf(
  values: Float32Array<ArrayBuffer>,
  [channels, height, width]: readonly number[],
): Blob {
  const head = [
    "NRRD0004",
    "type: float",
    "dimension: 3",
    `sizes: ${width} ${height} ${channels}`,
    "encoding: raw",
    "endian: little",
    'labels: "column" "row" "channel"',
  ];
  return new Blob([`${head.join("\n")}\n\n`, values], { type: "application/octet-stream" });
}

/** All stored numbers in `order`. */
export async function stackedValues(
  data: VolumeData,
  order: readonly number[],
): Promise<Float32Array<ArrayBuffer>> {
  const area = data.volume.height * data.volume.width;
  const all = new Float32Array(order.length * area);
  const channels = await Promise.all(order.map((channel) => data.exact(channel)));
  channels.forEach((values, place) => {
    all.set(values, place * area);
  });
  return all;
}

export const CHANNEL_COLUMNS = ["place", "channel", "mean", "min", "max", "row of max", "column of max"];

/** One row a channel, in the order of the stack; from the voxels, so means and maxima are as exact as these. */
export function channelRows(data: VolumeData, order: readonly number[]): CsvCell[][] {
  const { volume, counts } = data;
  const area = volume.height * volume.width;
  return order.map((channel, place) => {
    let [sum, most] = [0, -1];
    for (let byte = 0; byte < 256; byte++) {
      const many = counts[256 * channel + byte];
      sum += many * byte;
      if (many) most = byte;
    }
    const at = volume.data.subarray(channel * area, (channel + 1) * area).indexOf(most);
    const [low, high] = [volume.scale[2 * channel], volume.scale[2 * channel + 1]];
    const mean = decode(volume, channel, sum / area);
    return [place, channel, mean, low, high, Math.floor(at / volume.width), at % volume.width];
  });
}
