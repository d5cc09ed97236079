// The colours of points by what is known of them, and the legend that goes with the colours.
import { rangeIndex, rgb as rgbOf, table } from "./colour";
import { categorical, PALETTE, type Theme } from "./palette";
import type { CategoryColumn } from "./pointcolumns";
import type { EmbeddingData } from "./points";

export interface ColourSpec {
  /** "class", "none", "distance" (to the chosen point) or "column:NAME". */
  readonly by: string;
  readonly theme: Theme;
  /** Numbers on a logarithmic scale, where all are positive. */
  readonly log?: boolean;
  /** Distances to the chosen point, for "distance". */
  readonly distances?: ArrayLike<number> | null;
}

export interface Group {
  /** What the address calls it. */
  readonly key: string;
  readonly text: string;
  readonly code: number;
  readonly count: number;
  readonly colour: string;
}

export interface CategoryLegend {
  readonly kind: "categories";
  readonly title: string;
  /** Most points first. */
  readonly groups: readonly Group[];
  readonly codes: ArrayLike<number>;
  /** How many groups share the colour of the others. */
  readonly others: number;
}

export interface NumberLegend {
  readonly kind: "numbers";
  readonly title: string;
  readonly values: ArrayLike<number>;
  readonly low: number;
  readonly high: number;
  readonly log: boolean;
  /** Whether a logarithmic scale is of use: all positive, over two decades or more. */
  readonly spansDecades: boolean;
  readonly missing: number;
  /** How many points are in each of equal parts of the scale. */
  readonly bins: Uint32Array;
  readonly map: "viridis";
}

export interface NoLegend {
  readonly kind: "none";
  readonly title: string;
}

export type Legend = CategoryLegend | NumberLegend | NoLegend;

export interface Colouring {
  /** (N, 3). */
  readonly rgb: Uint8Array;
  readonly legend: Legend;
}

/** What groups without a value are called in the address. */
export const MISSING = "(none)";
const OWN_COLOUR = PALETTE.length - 1;
const BINS = 48;
/** The ends of the map that are too near to the background are left out. */
const ENDS: Readonly<Record<Theme, readonly [number, number]>> = { light: [0, 232], dark: [34, 255] };

export function coloursOf(data: EmbeddingData, spec: ColourSpec): Colouring {
  const { by, theme } = spec;
  if (by === "none") return plain(data.count, theme);
  if (by === "distance")
    return spec.distances
      ? byNumbers("Distance to the chosen point", spec.distances, spec, data.count)
      : plain(data.count, theme, "Choose a point to see how far the others are from it.");
  const column = by.startsWith("column:") ? data.column(by.slice("column:".length)) : undefined;
  if (column?.type === "number") return byNumbers(column.name, column.values, spec, data.count);
  if (column?.type === "category") return byCategories(column.name, column.codes, valueNames(column), theme);
  return byCategories("Classes", data.label, data.className, theme);
}

const valueNames =
  ({ values }: CategoryColumn) =>
  (code: number): string =>
    values[code] ?? "no value";

function plain(count: number, theme: Theme, title = ""): Colouring {
  const [r, g, b] = rgbOf(categorical(0, theme));
  const rgb = new Uint8Array(3 * count);
  for (let i = 0; i < rgb.length; i += 3) [rgb[i], rgb[i + 1], rgb[i + 2]] = [r, g, b];
  return { rgb, legend: { kind: "none", title } };
}

function byCategories(
  title: string,
  codes: ArrayLike<number>,
  name: (code: number) => string,
  theme: Theme,
): Colouring {
  const counts = countCodes(codes);
  const last = (code: number): number => (code < 0 ? 1 : 0);
  const sorted = [...counts].sort((a, b) => last(a[0]) - last(b[0]) || b[1] - a[1] || a[0] - b[0]);
  // Few enough: each has the colour of its number, the same on every page. More: the largest have one each.
  const few = sorted.filter(([code]) => code >= 0).every(([code]) => code < PALETTE.length);
  // None is larger than others: then none has a colour of its own.
  const alike = !few && sorted.every(([, count]) => count === sorted[0][1]);
  const colours = new Map<number, string>();
  sorted
    .filter(([code]) => code >= 0)
    .forEach(([code], rank) => {
      colours.set(code, categorical(few ? code : rank < OWN_COLOUR && !alike ? rank : -1, theme));
    });
  const grey = categorical(-1, theme);
  const groups = sorted.map(([code, count]) => ({
    code,
    count,
    key: code < 0 ? MISSING : name(code),
    text: name(code),
    colour: colours.get(code) ?? grey,
  }));
  const named = sorted.filter(([code]) => code >= 0).length;
  const others = few ? 0 : alike ? named : Math.max(0, named - OWN_COLOUR);
  return {
    rgb: paint(codes, colours, grey),
    legend: { kind: "categories", title, groups, codes, others },
  };
}

function countCodes(codes: ArrayLike<number>): Map<number, number> {
  const counts = new Uint32Array(maxOf(codes) + 2); // the first is of those without a value
  for (let i = 0; i < codes.length; i++) counts[Math.max(-1, codes[i]) + 1]++;
  const found = new Map<number, number>();
  for (let k = 0; k < counts.length; k++) if (counts[k]) found.set(k - 1, counts[k]);
  return found;
}

function paint(codes: ArrayLike<number>, colours: ReadonlyMap<number, string>, grey: string): Uint8Array {
  const most = maxOf(codes);
  const lookup = new Uint8Array(3 * (most + 2));
  for (let code = -1; code <= most; code++) lookup.set(rgbOf(colours.get(code) ?? grey), 3 * (code + 1));
  const rgb = new Uint8Array(3 * codes.length);
  for (let i = 0; i < codes.length; i++) {
    const at = 3 * (Math.max(-1, codes[i]) + 1);
    rgb[3 * i] = lookup[at];
    rgb[3 * i + 1] = lookup[at + 1];
    rgb[3 * i + 2] = lookup[at + 2];
  }
  return rgb;
}

function maxOf(values: ArrayLike<number>): number {
  let most = -1;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

function byNumbers(title: string, values: ArrayLike<number>, spec: ColourSpec, n: number): Colouring {
  let [low, high, missing] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (let i = 0; i < n; i++) {
    const value = values[i];
    if (!Number.isFinite(value)) {
      missing++;
      continue;
    }
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (missing === n) [low, high] = [0, 0];
  const spansDecades = low > 0 && high / low >= 100;
  const log = spec.log === true && spansDecades;
  const scaled = scaleOf(low, high, log);
  const [first, last] = ENDS[spec.theme];
  const colours = table("viridis");
  const grey = rgbOf(categorical(-1, spec.theme));
  const rgb = new Uint8Array(3 * n);
  const bins = new Uint32Array(BINS);
  for (let i = 0; i < n; i++) {
    const share = scaled(values[i]);
    if (Number.isNaN(share)) {
      rgb.set(grey, 3 * i);
      continue;
    }
    bins[Math.min(BINS - 1, Math.floor(share * BINS))]++;
    const at = 3 * rangeIndex(first + share * (last - first), 0, 255);
    rgb[3 * i] = colours[at];
    rgb[3 * i + 1] = colours[at + 1];
    rgb[3 * i + 2] = colours[at + 2];
  }
  return {
    rgb,
    legend: { kind: "numbers", title, values, low, high, log, spansDecades, missing, bins, map: "viridis" },
  };
}

/** Where a value lies on a scale, from 0 to 1; NaN for none. */
export function scaleOf(low: number, high: number, log: boolean): (value: number) => number {
  const [a, b] = log ? [Math.log(low), Math.log(high)] : [low, high];
  return (value) => {
    if (!Number.isFinite(value)) return Number.NaN;
    return b > a ? Math.min(1, Math.max(0, ((log ? Math.log(value) : value) - a) / (b - a))) : 0;
  };
}

/** The value at a share of a scale. */
export const valueAt = ({ low, high, log }: NumberLegend, share: number): number =>
  log ? low * (high / low) ** share : low + share * (high - low);

export interface LegendFilter {
  /** Groups that are off. */
  readonly off: ReadonlySet<string>;
  /** The only groups that are on; empty: all. */
  readonly on: ReadonlySet<string>;
  /** The only numbers that are on; null: all. */
  readonly range: readonly [number, number] | null;
}

export const NO_FILTER: LegendFilter = { off: new Set(), on: new Set(), range: null };

export const isShown = ({ off, on }: LegendFilter, key: string): boolean =>
  on.size ? on.has(key) : !off.has(key);

/** (N,): 1 where a point is filtered out; null where none is. */
export function hiddenBy(legend: Legend, filter: LegendFilter): Uint8Array | null {
  if (legend.kind === "categories" && (filter.off.size || filter.on.size)) {
    const codes = new Set<number>();
    for (const { key, code } of legend.groups) if (!isShown(filter, key)) codes.add(Math.max(-1, code));
    if (!codes.size || codes.size === legend.groups.length) return null; // nothing, or nothing left
    return where(legend.codes.length, (i) => codes.has(Math.max(-1, legend.codes[i])));
  }
  if (legend.kind === "numbers" && filter.range) {
    const [low, high] = filter.range;
    const { values } = legend;
    return where(values.length, (i) => !(values[i] >= low && values[i] <= high));
  }
  return null;
}

export function where(n: number, is: (i: number) => boolean): Uint8Array {
  const found = new Uint8Array(n);
  for (let i = 0; i < n; i++) if (is(i)) found[i] = 1;
  return found;
}
