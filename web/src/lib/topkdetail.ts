// What only the page of one channel needs of a top-k record: fetched a channel at a time.

import type { NumberArray, Source } from "../source/source";
import { isExported } from "./exported";
import type { TopKData } from "./topkdata";

/** Arrays with a row a channel. */
const BY_CHANNEL = [
  "value",
  "activation",
  "image",
  "position",
  "mean",
  "variance",
  "histogram",
  "class_top",
  "class_mean",
  "similar",
  "similarity",
  "recomputed",
  "map_scale",
] as const;

export interface ChannelDetail {
  /** Score, number in the data set, row and column of each picture. */
  readonly value: NumberArray;
  readonly image: NumberArray;
  readonly position: NumberArray;
  /** The activation at each position: the score itself, unless that is a mean. */
  readonly activation: NumberArray;
  /** Over all positions of all images. */
  readonly mean: number;
  readonly variance: number;
  /** How many images had their score in each bin. */
  readonly histogram: NumberArray | undefined;
  readonly classTop: NumberArray | undefined;
  readonly classMean: NumberArray | undefined;
  readonly similar: NumberArray | undefined;
  readonly similarity: NumberArray | undefined;
  /** The activation of each picture, computed once more for its projections. */
  readonly recomputed: NumberArray | undefined;
  /** The value drawn white in each activation map. */
  readonly mapScale: NumberArray | undefined;
  /** |value| at full contrast of each picture, by rule. */
  readonly scale: ReadonlyMap<string, NumberArray>;
  /** The proof figures of each picture one after the other, by rule. */
  readonly proof: ReadonlyMap<string, NumberArray>;
}

export async function fetchDetail(
  source: Source,
  data: TopKData,
  channel: number,
  signal: AbortSignal,
): Promise<ChannelDetail> {
  const { record, run, k } = data;
  const names = BY_CHANNEL.filter((name) => name in record.arrays);
  const [arrays, scale, proof] = await Promise.all([
    source.arrays(run, record.id, names, signal, [channel, channel + 1]),
    ofChannel(data, "scale", channel * k, k),
    ofChannel(data, "proof", channel * k * data.proofNames.length, k * data.proofNames.length),
  ]);
  const of = (name: (typeof BY_CHANNEL)[number]): NumberArray | undefined => arrays[name]?.data;
  return {
    value: arrays.value.data,
    activation: (arrays.activation ?? arrays.value).data,
    image: arrays.image.data,
    position: arrays.position.data,
    mean: arrays.mean.data[0],
    variance: arrays.variance.data[0],
    histogram: of("histogram"),
    classTop: of("class_top"),
    classMean: of("class_mean"),
    similar: of("similar"),
    similarity: of("similarity"),
    recomputed: of("recomputed"),
    mapScale: of("map_scale"),
    scale,
    proof,
  };
}

/** Part of the row of every rule. */
async function ofChannel(
  data: TopKData,
  name: "scale" | "proof",
  start: number,
  size: number,
): Promise<Map<string, NumberArray>> {
  const rows = data[name];
  if (!rows || !size) return new Map();
  const parts = data.rules.map(async (rule): Promise<[string, NumberArray]> => {
    const row = await rows.want(rule.at);
    return [rule.name, row.subarray(start, start + size)];
  });
  return new Map(await Promise.all(parts));
}

/** The channels most like one, of those that can be shown, with how like they are. */
export function likest(
  { record, channels }: Pick<TopKData, "record" | "channels">,
  { similar, similarity }: Pick<ChannelDetail, "similar" | "similarity">,
): { readonly channel: number; readonly likeness: number }[] {
  if (!similar || !similarity) return [];
  const here = isExported(record);
  return Array.from(similar, (channel, i) => ({ channel, likeness: similarity[i] })).filter(
    ({ channel }) => channel >= 0 && channel < channels && here(channel),
  );
}
