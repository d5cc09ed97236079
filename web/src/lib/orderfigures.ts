// What explains an order, as figures to draw: clusters, components, a dendrogram, one line of the image.
import type { Json, NumberArray } from "../source/source";
import { signedIndex, table } from "./colour";
import { number, plural } from "./format";
import type { Fact } from "./frame";
import type { OrderMaps, OrderRow } from "./order";
import { numberList } from "./topkdata";

const NAMES: Readonly<Record<string, string>> = {
  index: "Index of the network",
  mean: "Mean activation",
  kmeans: "k-means",
  pca: "PCA, means removed",
  pca_plain: "PCA of the maps as they are",
  hierarchical: "Hierarchical",
  spectral: "Spectral seriation",
  selectivity: "Class selectivity",
};

/** "pca:2" → "PCA, means removed: 2"; a name that is not known stays as it is. */
export function orderName(name: string): string {
  const [, method, parameter, source] = /^(\w+)(?::(\w+))?( of .*)?$/.exec(name) ?? [];
  if (!method || !(method in NAMES)) return name;
  return `${NAMES[method]}${parameter ? `: ${parameter}` : ""}${source ?? ""}`;
}

const figure = (value: Json | undefined): number => (typeof value === "number" ? value : Number.NaN);

export interface Cluster {
  readonly size: number;
  readonly silhouette: number;
}

/** The clusters in the order they are stacked. */
export function clustersOf({ explanation }: OrderRow): Cluster[] {
  const [sizes, values] = [numberList(explanation.sizes), numberList(explanation.silhouette_by_cluster)];
  return sizes.map((size, i) => ({ size, silhouette: values[i] ?? Number.NaN }));
}

/** Shares of the variance, the first component first. */
export const varianceOf = ({ explanation }: OrderRow): number[] =>
  numberList(explanation.explained_variance).filter(Number.isFinite);

/** The component that sorts, from 1; 0 where none does. */
export const componentOf = ({ explanation }: OrderRow): number => figure(explanation.component) || 0;

/** The numbers of an order that are no list. */
export function orderFacts(order: OrderRow): Fact[] {
  const { explanation } = order;
  const facts: Fact[] = [];
  const add = (name: string, value: Json | undefined, title: string): void => {
    if (typeof value === "number") facts.push({ name, value: number(value, 3), title });
  };
  add(
    "ρ with brightness",
    explanation.brightness,
    "Spearman's rank correlation of the place with the mean of the map that stands there",
  );
  add(
    "mean silhouette",
    explanation.silhouette,
    "From −1 to 1: how much nearer its own cluster is to a map than the next",
  );
  add("within clusters", explanation.inertia, "Sum of squared distances to the centres");
  add("path", explanation.path, "Sum of the distances of neighbouring maps");
  add("path by index", explanation.path_of_index, "The same in the order of the network");
  add(
    "cophenetic r",
    explanation.cophenetic_correlation,
    "How well the heights of the dendrogram keep the distances of the maps",
  );
  add(
    "Fiedler value",
    explanation.fiedler_value,
    "The second smallest eigenvalue: near 0, the maps fall into two parts",
  );
  return facts;
}

/** What the method was told, in words: "seed 0, compare values". */
export const parameterText = ({ parameters }: OrderRow): string =>
  Object.entries(parameters)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");

/** What was tried to choose the number of clusters: k and its mean silhouette. */
export const triedOf = ({ explanation }: OrderRow): [k: number, silhouette: number][] =>
  Array.isArray(explanation.tried)
    ? explanation.tried
        .map(numberList)
        .filter((pair) => pair.length === 2)
        .map(([k, value]) => [k, value])
    : [];

export interface Dendrogram {
  /** The height of the topmost merge. */
  readonly top: number;
  /** A path for SVG in a box of `leaves` × 1, the leaves at the bottom. */
  readonly path: string;
  readonly leaves: number;
}

/** The branches of a hierarchical order; none where the record does not tell, or what it tells is no tree. */
export function dendrogramOf(
  { explanation }: OrderRow,
  permutation: readonly number[],
): Dendrogram | undefined {
  const merges = Array.isArray(explanation.merges) ? explanation.merges.map(numberList) : [];
  const heights = numberList(explanation.heights);
  const leaves = permutation.length;
  if (!merges.length || merges.length !== leaves - 1 || heights.length !== merges.length) return undefined;
  const top = Math.max(...heights) || 1;
  const nodes: { x: number; y: number }[] = [];
  permutation.forEach((channel, place) => {
    nodes[channel] = { x: place + 0.5, y: 0 };
  });
  const parts: string[] = [];
  for (const [i, [left, right]] of merges.entries()) {
    const [a, b] = [nodes[left], nodes[right]];
    if (!a || !b || left === right) return undefined;
    const y = heights[i] / top;
    parts.push(`M${coordinate(a.x)} ${down(a.y)}V${down(y)}H${coordinate(b.x)}V${down(b.y)}`);
    nodes[leaves + i] = { x: (a.x + b.x) / 2, y };
  }
  return { top, path: parts.join(""), leaves };
}

const coordinate = (value: number): string => value.toFixed(3).replace(/\.?0+$/, "");
const down = (share: number): string => coordinate(1 - share);

/** Values of one line of the image of all channels in an order, `(channels, width)`. */
export function lineValues(maps: OrderMaps, permutation: readonly number[], row: number): Float64Array {
  const values = new Float64Array(permutation.length * maps.width);
  permutation.forEach((channel, place) => {
    for (let x = 0; x < maps.width; x++) values[place * maps.width + x] = maps.value(channel, row, x);
  });
  return values;
}

export interface LineScale {
  readonly low: number;
  readonly high: number;
  readonly signed: boolean;
  /** Share of the values that is drawn as the nearer end. */
  readonly clipped: number;
}

const SHOWN_SHARE = 0.98;

/** A scale of 98 % of the values, so that one strong channel does not leave all others dark; about 0 where there are both signs. */
export function lineScale(values: Float64Array): LineScale {
  const sorted = Float64Array.from(values).sort();
  const signed = sorted[0] < 0 && sorted[sorted.length - 1] > 0;
  const sizes = signed ? Float64Array.from(values, Math.abs).sort() : sorted;
  const last = sizes.length - 1;
  const end = sizes[Math.ceil(SHOWN_SHARE * last)] || sizes[last];
  const high = signed || end > sorted[0] ? end : sorted[last];
  const low = signed ? -high : sorted[0];
  return { low, high, signed, clipped: sizes.filter((value) => value > high).length / sizes.length };
}

/** Pixels between two groups. */
export const GAP = 3;

/** Where the rows of a picture lie: each `tall` pixels, with a gap before every group but the first. */
export interface LineLayout {
  readonly tall: number;
  readonly height: number;
  /** The first pixel of each place. */
  readonly tops: readonly number[];
  /** The middle pixel of each gap. */
  readonly separators: readonly number[];
}

/** Lay out so many rows in about `wanted` pixels; a separator takes room of its own and covers no row. */
export function layoutLines(count: number, groups: readonly number[], wanted: number): LineLayout {
  const tall = Math.max(1, Math.min(8, Math.round(wanted / Math.max(1, count))));
  const starts = new Set<number>();
  let start = 0;
  for (const size of groups.slice(0, -1)) {
    start += size;
    starts.add(start);
  }
  const tops: number[] = [];
  const separators: number[] = [];
  let y = 0;
  for (let place = 0; place < count; place++) {
    if (starts.has(place)) {
      separators.push(y + (GAP >> 1));
      y += GAP;
    }
    tops.push(y);
    y += tall;
  }
  return { tall, height: y, tops, separators };
}

/** The place whose row is at a pixel; -1 in a gap. */
export function placeAt({ tops, tall }: LineLayout, y: number): number {
  let [low, high] = [0, tops.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= y) low = middle;
    else high = middle - 1;
  }
  return y >= tops[low] && y < tops[low] + tall ? low : -1;
}

/** RGBA of the picture; gaps are transparent. */
export function linePixels(
  values: NumberArray,
  width: number,
  layout: LineLayout,
  scale: LineScale,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * width * layout.height);
  const colours = table(scale.signed ? "diverging" : "viridis");
  const span = scale.high - scale.low || 1;
  layout.tops.forEach((top, place) => {
    for (let x = 0; x < width; x++) {
      const value = values[place * width + x];
      const index = scale.signed
        ? signedIndex(value, scale.high)
        : Math.min(255, Math.round((255 * (value - scale.low)) / span));
      for (let y = top; y < top + layout.tall; y++) {
        const at = 4 * (y * width + x);
        pixels.set(colours.subarray(3 * index, 3 * index + 3), at);
        pixels[at + 3] = 255;
      }
    }
  });
  return pixels;
}

/** A cluster in words. */
export const clusterText = ({ size, silhouette }: Cluster): string =>
  `${plural(size, "map")}${Number.isNaN(silhouette) ? "" : `, silhouette ${number(silhouette, 2)}`}`;
