// Text search in three tiers, so that "dog" never silently matches "hot dog" or "dogfish".

export type Tier = "exact" | "word" | "part";

export interface Matches {
  readonly exact: readonly number[];
  readonly word: readonly number[];
  readonly part: readonly number[];
}

export const TIERS: readonly Tier[] = ["exact", "word", "part"];

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them.
const ASCII = /^[\x00-\x7f]*$/;

/** Text without case and accents. */
export const fold = (text: string): string =>
  ASCII.test(text)
    ? text.toLowerCase().trim()
    : text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "").trim();

export const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** The tier in which `text` matches `query`: a whole name (names are split at commas), a whole word of it (an underscore is a letter), a part of a word. */
export function tierOf(text: string, query: string): Tier | null {
  const wanted = fold(query);
  const folded = fold(text);
  if (!wanted || !folded.includes(wanted)) return null;
  if (folded.split(/[,;]/).some((name) => name.trim() === wanted)) return "exact";
  const word = new RegExp(`(?<![\\p{L}\\p{N}_])${escaped(wanted)}(?![\\p{L}\\p{N}_])`, "u");
  return word.test(folded) ? "word" : "part";
}

/** Sort items 0…n-1 into tiers; an item with several texts counts once, in its best tier. */
export function search(n: number, texts: (item: number) => readonly string[], query: string): Matches {
  const found: Record<Tier, number[]> = { exact: [], word: [], part: [] };
  const known = new Map<string, Tier | null>();
  for (let item = 0; item < n; item++) {
    const tiers = texts(item).map((text) => {
      let tier = known.get(text);
      if (tier === undefined) {
        tier = tierOf(text, query);
        known.set(text, tier);
      }
      return tier;
    });
    const best = TIERS.find((tier) => tiers.includes(tier));
    if (best) found[best].push(item);
  }
  return found;
}

/** The best tier that matched anything. */
export function bestTier(matches: Matches): Tier | null {
  return TIERS.find((tier) => matches[tier].length > 0) ?? null;
}
