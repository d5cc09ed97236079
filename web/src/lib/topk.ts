// What the nine best pictures of a channel say together.
import type { NumberArray } from "../source/source";

export interface Purity {
  /** Class that most of the pictures have, -1 if no picture has a label. */
  readonly label: number;
  readonly count: number;
  readonly of: number;
}

/** The most frequent label among the k pictures of a channel; ties go to the one ranked first. */
export function purity(labels: ArrayLike<number>, channel: number, k: number): Purity {
  const counts = new Map<number, number>();
  let of = 0;
  for (let rank = 0; rank < k; rank++) {
    const label = labels[channel * k + rank];
    if (label < 0) continue;
    of++;
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  let best: Purity = { label: -1, count: 0, of };
  for (const [label, n] of counts) if (n > best.count) best = { label, count: n, of };
  return best;
}

export type ChannelSort = "index" | "max" | "sparsity" | "purity";

export interface ChannelFacts {
  readonly max: NumberArray;
  readonly positive: NumberArray;
  readonly purity: readonly Purity[];
}

/** Channel numbers in the wanted order; ties keep the order of the layer. */
export function sortChannels(channels: readonly number[], by: ChannelSort, facts: ChannelFacts): number[] {
  const key: Record<ChannelSort, (channel: number) => number> = {
    index: (channel) => channel,
    max: (channel) => -facts.max[channel],
    sparsity: (channel) => facts.positive[channel],
    purity: (channel) => -facts.purity[channel].count,
  };
  return [...channels].sort((a, b) => key[by](a) - key[by](b) || a - b);
}

/** Channels whose number is the query or whose pictures' class names contain it. */
export function filterChannels(
  total: number,
  query: string,
  names: (channel: number) => readonly string[],
): number[] {
  const channels = Array.from({ length: total }, (_, channel) => channel);
  const wanted = query.trim().toLocaleLowerCase();
  if (!wanted) return channels;
  if (/^#\d+$/.test(wanted)) return channels.filter((channel) => channel === Number(wanted.slice(1)));
  // A number may be a channel or the name of a class (digits); as a name it must be the whole one.
  const numeric = /^\d+$/.test(wanted);
  const fits = (name: string): boolean =>
    numeric ? name === wanted : name.toLocaleLowerCase().includes(wanted);
  return channels.filter((channel) => (numeric && channel === Number(wanted)) || names(channel).some(fits));
}
