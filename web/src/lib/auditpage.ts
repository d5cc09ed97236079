// What the page of a data set says about itself in words.
import type { AuditData } from "./auditdata";
import { dominance } from "./auditdata";
import { count, number, percent, plural } from "./format";
import type { Fact } from "./frame";

const STRONGEST = 12;

/** "These 12 images fill 9 % of all 3,600 top-9 places, 4 times what they would if all images were alike." */
export function dominanceText(data: AuditData): string {
  const found = dominance(data, STRONGEST);
  if (!found?.images) return "";
  const { images, share, even, without } = found;
  const which =
    images === 1 ? "The image that dominates most fills" : `The ${images} images that dominate most fill`;
  const ratio = share / even;
  const compared =
    ratio >= 1.5
      ? `, ${ratio < 10 ? ratio.toFixed(1) : count(Math.round(ratio))} times their share of the data set`
      : "";
  const rest = without
    ? ` ${plural(without, "image")} of ${count(data.total)} ${without === 1 ? "is" : "are"} among the best of no channel.`
    : "";
  const places = `${count(data.places)} top-${data.k} places`;
  const of = data.among > data.count ? `the ${places} of ${count(data.count)} images` : `all ${places}`;
  return `${which} ${percent(share)} of ${of}${compared}.${rest}`;
}

export const EXPLAIN_IMAGES =
  "The images that are among the best of some channel, those that dominate most channels first. A few bright or odd images that fill many places say more about the data set than about the network.";

/** What near-duplicates are, and what to do about them. */
export function explainPairs({ threshold }: Pick<AuditData, "threshold">): string {
  const from = threshold
    ? `, with a likeness of ${number(threshold, 3)} or more where 1 is the same picture`
    : "";
  return `Images among the best of the channels that are nearly the same${from}. Twins count twice, and one in the training set gives the other away; where their classes differ, a label is likely wrong.`;
}

export function auditFacts(data: AuditData): Fact[] {
  return [
    { name: "images", value: count(data.total), title: data.dataset },
    { name: "among the best of a channel", value: count(data.among) },
    { name: "layers", value: count(data.layers.length) },
    { name: "near-duplicates", value: plural(data.pairs, "pair") },
  ];
}
