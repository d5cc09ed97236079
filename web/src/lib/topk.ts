// Channels of a layer by what is known of them: their order, which of them are shown, and the search for a class.
import type { NumberArray } from "../source/source";
import { type Matches, search, TIERS } from "./search";

export interface Purity {
  /** Class that most of the pictures have, -1 if no picture has a label. */
  readonly label: number;
  readonly count: number;
  readonly of: number;
}

/** The most frequent label among the k pictures of a channel; ties go to the one ranked first. */
export function purity(labels: ArrayLike<number>, channel: number, k: number): Purity {
  const counts = labelCounts(labels, channel, k);
  let of = 0;
  let best = { label: -1, count: 0 };
  for (const [label, n] of counts) {
    of += n;
    if (n > best.count) best = { label, count: n };
  }
  return { ...best, of };
}

/** How many of the k pictures of a channel have each label; unknown ones are left out. */
export function labelCounts(labels: ArrayLike<number>, channel: number, k: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (let i = channel * k; i < (channel + 1) * k; i++) {
    if (labels[i] >= 0) counts.set(labels[i], (counts.get(labels[i]) ?? 0) + 1);
  }
  return counts;
}

/** What channels are sorted by, and what they may be asked to have at least. */
export type Measure = "strength" | "sparsity" | "purity" | "selectivity" | "specificity";
export type ChannelSort = "index" | Measure;
export const MEASURES: readonly Measure[] = ["strength", "sparsity", "purity", "selectivity", "specificity"];

export interface ChannelFacts {
  readonly max: NumberArray;
  readonly positive: NumberArray;
  readonly purity: readonly Purity[];
  readonly selectivity: NumberArray | undefined;
  /** Of the strongest picture's projection in the rule that is shown. */
  readonly specificity: NumberArray | undefined;
}

const NUMBERS: Readonly<Record<Measure, (facts: ChannelFacts, channel: number) => number>> = {
  strength: ({ max }, channel) => max[channel],
  sparsity: ({ positive }, channel) => 1 - positive[channel],
  purity: ({ purity: pure }, channel) => (pure[channel].of ? pure[channel].count / pure[channel].of : NaN),
  selectivity: ({ selectivity }, channel) => selectivity?.[channel] ?? NaN,
  specificity: ({ specificity }, channel) => specificity?.[channel] ?? NaN,
};

/** A channel's number; NaN where it is not known. */
export const measured = (facts: ChannelFacts, by: Measure, channel: number): number =>
  NUMBERS[by](facts, channel);

/** Channel numbers, largest measure first, unknown ones last; ties keep the order of the layer. */
export function sortChannels(channels: readonly number[], by: ChannelSort, facts: ChannelFacts): number[] {
  if (by === "index") return [...channels].sort((a, b) => a - b);
  const key = (channel: number): number => {
    const value = measured(facts, by, channel);
    return Number.isNaN(value) ? Number.POSITIVE_INFINITY : -value;
  };
  const difference = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);
  return [...channels].sort((a, b) => difference(key(a), key(b)) || a - b);
}

/** Which channels are shown. */
export interface Where {
  /** "dead": never above 0 at any position of any image; "live": above 0 somewhere. */
  readonly state: "" | "dead" | "live";
  readonly least: Readonly<Partial<Record<Measure, number>>>;
}

export const leastKey = (by: Measure): string => `min${by}`;

/** The conditions in an address: `where=dead`, `minpurity=0.5`. What is no number asks for nothing. */
export function whereOf(params: Readonly<Record<string, string>>): Where {
  const least: Partial<Record<Measure, number>> = {};
  for (const by of MEASURES) {
    const value = Number.parseFloat(params[leastKey(by)] ?? "");
    if (Number.isFinite(value)) least[by] = value;
  }
  const state = params.where === "dead" || params.where === "live" ? params.where : "";
  return { state, least };
}

export const isAsked = ({ state, least }: Where): boolean => state !== "" || Object.keys(least).length > 0;

/** The channels that meet all conditions; one whose number is not known does not meet a condition on it. */
export function keepChannels(channels: readonly number[], where: Where, facts: ChannelFacts): number[] {
  const asked = MEASURES.flatMap((by) => {
    const least = where.least[by];
    return least === undefined ? [] : [{ by, least }];
  });
  const dead = (channel: number): boolean => !(facts.positive[channel] > 0);
  return channels.filter(
    (channel) =>
      (where.state === "" || dead(channel) === (where.state === "dead")) &&
      asked.every(({ by, least }) => measured(facts, by, channel) >= least),
  );
}

/** Channels found by a query, by how well a class name among their pictures fits it. */
export interface Found {
  readonly query: string;
  readonly matches: Matches;
  /** Whether the query names a channel instead of a class. */
  readonly numeric: boolean;
}

/**
 * The channels whose number is the query, or whose pictures' class names fit it. A number may be a channel or the name
 * of a class (digits): as a name it must be the whole one. "#12" is only the channel.
 */
export function findChannels(
  total: number,
  query: string,
  names: (channel: number) => readonly string[],
): Found {
  const wanted = query.trim();
  const digits = /^#?(\d+)$/.exec(wanted);
  if (!wanted) return { query: "", matches: { exact: range(total), word: [], part: [] }, numeric: false };
  if (!digits) return { query: wanted, matches: search(total, names, wanted), numeric: false };
  const fits = (channel: number): boolean =>
    channel === Number(digits[1]) || (!wanted.startsWith("#") && names(channel).includes(wanted));
  return { query: wanted, matches: { exact: range(total).filter(fits), word: [], part: [] }, numeric: true };
}

const range = (total: number): number[] => Array.from({ length: total }, (_, i) => i);

/** Found channels in the order they are shown: the best fits first, each tier sorted by itself. */
export const inOrder = (found: Found, arrange: (tier: readonly number[]) => number[]): number[] =>
  TIERS.flatMap((tier) => arrange(found.matches[tier]));
