// Which channels of a network have pictures of a class among those that excite them most.
import { bestTier, type Matches, search, TIERS, type Tier } from "./search";

export interface ClassMatches {
  /** The classes that are meant: those of one tier. */
  readonly labels: readonly number[];
  readonly tier: Tier | null;
  /** What every tier has. */
  readonly all: Matches;
}

export interface ChannelHit {
  readonly channel: number;
  /** How many of its pictures are of the class. */
  readonly count: number;
  /** The place of the best one of them. */
  readonly first: number;
}

/** The classes that a text means: the one of exactly this name, or those of `wanted` tier, or of the best there is. */
export function matchClasses(
  names: readonly string[],
  query: string,
  wanted: Tier | undefined = undefined,
): ClassMatches {
  const all = search(names.length, (label) => [names[label]], query);
  if (!query.trim()) return { labels: [], tier: null, all };
  const whole = names.flatMap((name, label) => (name === query.trim() ? [label] : []));
  if (whole.length && !wanted) return { labels: whole, tier: "exact", all };
  const tier = TIERS.find((one) => one === wanted && all[one].length) ?? bestTier(all);
  return { labels: tier ? all[tier] : [], tier, all };
}

/** The names to offer for what is typed so far, whole words first. */
export function completions(names: readonly string[], query: string, most: number): string[] {
  if (!query.trim()) return [];
  const { exact, word, part } = search(names.length, (label) => [names[label]], query);
  const starts = (label: number): number => (isStart(names[label], query) ? 0 : 1);
  const parts = [...part].sort((a, b) => starts(a) - starts(b) || a - b);
  return [...new Set([...exact, ...word, ...parts].map((label) => names[label]))].slice(0, most);
}

const isStart = (name: string, query: string): boolean =>
  name
    .toLocaleLowerCase()
    .split(/[\s,;]+/)
    .some((word) => word.startsWith(query.trim().toLocaleLowerCase()));

/** The channels with a picture of one of `labels` among their k, those with most first; of equals the one where it ranks higher. */
export function channelsOf(label: ArrayLike<number>, k: number, labels: ReadonlySet<number>): ChannelHit[] {
  const hits: ChannelHit[] = [];
  for (let channel = 0; channel * k < label.length; channel++) {
    const ranks = Array.from({ length: k }, (_, rank) => rank).filter((rank) =>
      labels.has(label[channel * k + rank]),
    );
    if (ranks.length) hits.push({ channel, count: ranks.length, first: ranks[0] });
  }
  return hits.sort((a, b) => b.count - a.count || a.first - b.first || a.channel - b.channel);
}

/** The class names of all layers together; those of the layer that knows most. */
export const classNames = (layers: readonly { readonly classes: readonly string[] }[]): readonly string[] =>
  layers.reduce<readonly string[]>(
    (most, { classes }) => (classes.length > most.length ? classes : most),
    [],
  );
