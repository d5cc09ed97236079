// A data set as the audit of a search shows it: which images dominate the channels, and which are nearly the same.
import type { NumberArray, RecordMeta, Source } from "../source/source";
import { amount, text, textList } from "./topkdata";

export interface AuditData {
  readonly record: RecordMeta;
  /** How many images are among the best of any channel; all arrays are by their row. */
  readonly count: number;
  readonly index: NumberArray;
  readonly label: NumberArray;
  readonly channels: NumberArray;
  readonly first: NumberArray;
  readonly layerChannels: NumberArray;
  readonly layers: readonly string[];
  readonly duplicate: NumberArray;
  readonly likeness: NumberArray;
  /** How many pairs there are; not all of very many are kept. */
  readonly pairs: number;
  /** From which likeness on a pair is kept. */
  readonly threshold: number;
  readonly names: readonly string[];
  readonly total: number;
  /** How many images are among the best of any channel; more than `count` where not all are kept. */
  readonly among: number;
  readonly k: number;
  readonly network: string;
  readonly dataset: string;
  readonly classes: number;
  /** How many places among the best of their channels the images have, of all channels and of each layer's. */
  readonly places: number;
  readonly layerPlaces: readonly number[];
  nameOf(row: number): string;
  classOf(row: number): string;
}

export type ImageSort = "channels" | "first" | "name" | "class";

const ARRAYS = ["index", "label", "channels", "first", "layer_channels", "duplicate", "likeness"];

export async function fetchAudit(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<AuditData> {
  const record = await source.record(run, id, signal);
  const arrays = await source.arrays(
    run,
    id,
    ARRAYS.filter((name) => name in record.arrays),
    signal,
  );
  const { meta } = record;
  const layers = textList(meta.layers);
  const names = textList(meta.names);
  const classes = textList(meta.label_names);
  const layerChannels = arrays.layer_channels.data;
  const index = arrays.index.data;
  const label = arrays.label.data;
  const layerPlaces = columnSums(layerChannels, layers.length);
  return {
    record,
    count: index.length,
    index,
    label,
    channels: arrays.channels.data,
    first: arrays.first.data,
    layerChannels,
    layers,
    duplicate: arrays.duplicate?.data ?? new Int32Array(),
    likeness: arrays.likeness?.data ?? new Float32Array(),
    pairs: Math.max(amount(meta.duplicates_total), arrays.likeness?.data.length ?? 0),
    threshold: amount(meta.threshold),
    names,
    total: amount(meta.images_total),
    among: Math.max(amount(meta.images_among), index.length),
    k: amount(meta.k),
    network: text(meta.network),
    dataset: text(meta.dataset),
    classes: classes.length,
    places: layerPlaces.reduce((sum, one) => sum + one, 0),
    layerPlaces,
    nameOf: (row) => names[row] || `image ${index[row]}`,
    classOf: (row) => (label[row] < 0 ? "" : (classes[label[row]] ?? `class ${label[row]}`)),
  };
}

function columnSums(data: ArrayLike<number>, columns: number): number[] {
  const sums = new Array<number>(columns).fill(0);
  for (let i = 0; i < data.length; i++) sums[i % columns] += data[i];
  return sums;
}

type Names = Pick<AuditData, "count" | "channels" | "first" | "nameOf" | "classOf">;

/** The rows whose image has `query` in its name or class, in the wanted order; ties stay in that of the record. */
export function orderImages(data: Names, by: ImageSort, query: string): number[] {
  const wanted = query.trim().toLocaleLowerCase();
  const fits = (row: number): boolean =>
    `${data.nameOf(row)}\n${data.classOf(row)}`.toLocaleLowerCase().includes(wanted);
  const rows = Array.from({ length: data.count }, (_, row) => row).filter(fits);
  const byText = (textOf: (row: number) => string) => (a: number, b: number) =>
    textOf(a).localeCompare(textOf(b), "en", { numeric: true });
  const orders: Record<ImageSort, (a: number, b: number) => number> = {
    channels: (a, b) => data.channels[b] - data.channels[a],
    first: (a, b) => data.first[b] - data.first[a] || data.channels[b] - data.channels[a],
    name: byText(data.nameOf),
    class: byText(data.classOf),
  };
  return rows.sort((a, b) => orders[by](a, b) || a - b);
}

/** The share of a layer's channels that have an image among their best, for every layer. */
export function layerShares(
  data: Pick<AuditData, "layerChannels" | "layerPlaces" | "k">,
  row: number,
): number[] {
  const layers = data.layerPlaces.length;
  return data.layerPlaces.map((places, layer) =>
    places ? (data.layerChannels[row * layers + layer] * data.k) / places : 0,
  );
}

export interface Dominance {
  readonly images: number;
  /** Of all places. */
  readonly share: number;
  /** What as many images would have if all had as much as any other. */
  readonly even: number;
  /** How many images are among the best of no channel. */
  readonly without: number;
}

/** How much of all places the `images` that dominate most have; null where there are no places. */
export function dominance(
  data: Pick<AuditData, "channels" | "count" | "total" | "among" | "places">,
  images: number,
): Dominance | null {
  if (!data.places || !data.total) return null;
  const strongest = Array.from(data.channels).sort((a, b) => b - a);
  const some = Math.min(images, data.count);
  const filled = strongest.slice(0, some).reduce((sum, one) => sum + one, 0);
  return {
    images: some,
    share: filled / data.places,
    even: some / data.total,
    without: Math.max(0, data.total - data.among),
  };
}

/** Images that are nearly the same, each like another one of the group. */
export interface Group {
  readonly rows: readonly number[];
  /** The least and the largest likeness of its pairs. */
  readonly likeness: readonly [number, number];
}

/** The groups that pairs of rows connect, the most alike first. */
export function groupsOf(duplicate: ArrayLike<number>, likeness: ArrayLike<number>): Group[] {
  const groups = new Map<number, { rows: Set<number>; likeness: number[] }>();
  for (let pair = 0; 2 * pair + 1 < duplicate.length; pair++) {
    const [a, b] = [duplicate[2 * pair], duplicate[2 * pair + 1]];
    const [of, other] = [groups.get(a), groups.get(b)];
    const group = of ?? other ?? { rows: new Set<number>(), likeness: [] };
    if (of && other && of !== other) {
      for (const row of other.rows) of.rows.add(row);
      of.likeness.push(...other.likeness);
    }
    group.rows.add(a).add(b);
    group.likeness.push(likeness[pair]);
    for (const row of group.rows) groups.set(row, group);
  }
  return [...new Set(groups.values())]
    .map(
      ({ rows, likeness: all }): Group => ({
        rows: [...rows].sort((a, b) => a - b),
        likeness: [Math.min(...all), Math.max(...all)],
      }),
    )
    .sort((a, b) => b.likeness[1] - a.likeness[1] || a.rows[0] - b.rows[0]);
}

/** A channel that an image is among the best of. */
export interface Dominated {
  readonly channel: number;
  readonly rank: number;
}

/** The channels of a layer, with images `image` (C, k), that have `wanted` among their k: those it excites most first. */
export function dominatedBy(image: ArrayLike<number>, k: number, wanted: number): Dominated[] {
  const found: Dominated[] = [];
  const seen = new Set<number>();
  for (let i = 0; i < image.length; i++) {
    const channel = Math.floor(i / k);
    if (image[i] !== wanted || seen.has(channel)) continue;
    seen.add(channel);
    found.push({ channel, rank: i % k });
  }
  return found.sort((a, b) => a.rank - b.rank || a.channel - b.channel);
}
