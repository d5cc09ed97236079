// What the page of a layer says about itself in words: heading, facts, what was found.
import { count, number, percent, plural, times } from "./format";
import type { Fact } from "./frame";
import { ruleText } from "./overview";
import { TIERS, type Tier, tierOf } from "./search";
import { type Found, type Measure, measured } from "./topk";
import type { Rule, TopKData } from "./topkdata";

export const MEASURE_TITLES: Readonly<Record<Measure, readonly [text: string, title: string]>> = {
  strength: ["Strength", "Largest activation first"],
  sparsity: ["Sparsity", "Rarely active channels first"],
  purity: ["Purity", "Channels whose pictures share a class first"],
  selectivity: ["Selectivity", "Channels that answer to one class more than to all others first"],
  specificity: ["Specificity", "Channels whose projection is least like that of another channel first"],
};

/** A channel's measure as it is printed. */
export function measureText(facts: TopKFacts, by: Measure, channel: number): string {
  const value = measured(facts, by, channel);
  if (Number.isNaN(value)) return "–";
  if (by === "sparsity" || by === "purity") return percent(value);
  return number(value, by === "strength" ? 3 : 2);
}

type TopKFacts = Parameters<typeof measured>[0];

/** The numbers that qualify a layer's page. */
export function topkFacts(data: TopKData, rule: Rule | undefined): Fact[] {
  const { field, seen, total, complete, score } = data;
  const facts: Fact[] = [
    { name: "channels", value: count(data.channels) },
    {
      name: "receptive field",
      value: field.reason ? "whole image" : `${times(...field.size)} px`,
      title: field.reason || `stride ${times(...field.stride)} px`,
    },
    {
      name: "images seen",
      value: complete ? count(seen) : `${count(seen)} of ${count(total)}`,
      title: data.dataset,
    },
    { name: "network", value: data.network },
  ];
  if (score) facts.push({ name: "score", value: score, title: "What of a map an image is ranked by" });
  const spread = rule?.summary.get("specificity");
  if (spread?.length === 3)
    facts.push({
      name: "specificity",
      value: `${number(spread[1], 2)} (${number(spread[0], 2)} … ${number(spread[2], 2)})`,
      title:
        "1 − cosine with the projection of another channel at the same place: median and quartiles of the layer",
    });
  if (rule) facts.push(...wayFacts(data));
  if (rule?.report)
    facts.push({
      name: ruleText(rule.name),
      value: rule.report,
      title: "How the projection treated every non-linearity",
    });
  return facts;
}

const MODES: Readonly<Record<string, string>> = {
  single: "The projections start from the strongest activation alone",
  map: "The projections start from the channel's whole map",
};
const LRN: Readonly<Record<string, string>> = {
  constant: "On the way back the denominator of local response normalisation is held constant",
  gradient: "Local response normalisation is passed by its derivative",
  identity: "Local response normalisation is passed unchanged",
};

/** What was set for the projections of every rule. */
export function wayFacts({ mode, lrn }: Pick<TopKData, "mode" | "lrn">): Fact[] {
  return [
    { name: "mode", value: mode, title: MODES[mode] ?? "" },
    { name: "LRN", value: lrn, title: LRN[lrn] ?? "" },
  ].filter(({ value }) => value);
}

/** Why no channel of a layer is on its page. */
export function nothingText({ record, k }: Pick<TopKData, "record" | "k">, typed: string): string {
  const query = typed.trim();
  if (/^#?\d+$/.test(query)) return `No channel ${query} of ${record.tag} meets the conditions.`;
  return query
    ? `No channel of ${record.tag} that meets the conditions has a picture of “${query}” among its ${k}.`
    : `No channel of ${record.tag} meets the conditions.`;
}

/** What the page of a layer, or of one channel, shows. */
export function explainTopK(data: TopKData, one: boolean): string {
  const cut = data.wholeImage ? "" : one ? ", cut to its receptive field" : ", cut to the part it sees";
  const patches = one
    ? `The ${data.k} pictures that excite this channel most${cut}.`
    : `Each card is one channel: the ${data.k} pictures that excite it most${cut}.`;
  const contrast = one ? "" : ", each at full contrast of its own";
  return data.rules.length
    ? `${patches} The projections show what in this image reached the channel${contrast}.`
    : patches;
}

/** What a selectivity (b − r) / (b + r) says of the best class's mean b and the mean r of the others. */
export function selectivityText(value: number): string {
  if (!(value < 1)) return "only one class excites it";
  const times = (1 + value) / (1 - value);
  return `its best class excites it ${number(times, 3)} times as much as the others do on average`;
}

const NAMED = 3;
const FITS: Readonly<Record<Tier, string>> = {
  exact: "of that class",
  word: "where it is a word of the name",
  part: "where it is part of a word",
};

/** How many channels a query found, and in which sense. */
export function foundSentence(found: Found, classes: readonly string[]): string {
  const { query, matches, numeric } = found;
  if (!query) return "";
  const tiers = TIERS.filter((tier) => matches[tier].length);
  if (numeric || !tiers.length) return "";
  const parts = tiers.map((tier) => {
    const names = classes.filter((name) => tierOf(name, query) === tier);
    const more = names.length > NAMED ? ", …" : "";
    const which = tier === "exact" ? "" : ` (${names.slice(0, NAMED).join("; ")}${more})`;
    return `${count(matches[tier].length)} ${FITS[tier]}${which}`;
  });
  const all = tiers.reduce((sum, tier) => sum + matches[tier].length, 0);
  const detail = tiers.length > 1 || tiers[0] !== "exact" ? `: ${parts.join(", ")}` : "";
  return `“${query}” is among the pictures of ${plural(all, "channel")}${detail}.`;
}
