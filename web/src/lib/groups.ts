// What gradients and importance are taken over: one image, the mean of several, or a class; with what was predicted there.
import type { Json } from "../source/source";

import { plural } from "./format";
import { amount, objectOf, text } from "./topkdata";

export interface Group {
  readonly name: string;
  /** Number of the class whose logit it is of, which need not be that of the image; -1 where it stands for all. */
  readonly label: number;
  readonly className: string;
  readonly images: number;
  /** File name of its one image; empty for a mean. */
  readonly image: string;
  readonly predicted: string;
  readonly verdict: Verdict;
}

/** Whether the network named the image rightly; nothing where that is not known or not asked. */
export type Verdict = "right" | "wrong" | "";

/** The groups a record tells of; those it does not tell of are called by their number. */
export function groupsOf(value: Json | undefined, count: number): Group[] {
  const known = Array.isArray(value) ? value : [];
  return Array.from({ length: count }, (_, g) => groupOf(objectOf(known[g] as Json | undefined), g));
}

function groupOf(one: Readonly<Record<string, Json>>, at: number): Group {
  const { correct } = one;
  return {
    name: text(one.name) || `group ${at}`,
    label: typeof one.class === "number" ? one.class : -1,
    className: text(one.class_name),
    images: amount(one.images),
    image: text(one.image),
    predicted:
      text(one.predicted_name) || (typeof one.predicted === "number" ? `class ${one.predicted}` : ""),
    verdict: typeof correct === "boolean" ? (correct ? "right" : "wrong") : "",
  };
}

/** A group for a list: "dog.jpg · Persian cat · predicted wrong". */
export function groupText({ name, className, verdict }: Group): string {
  const parts = [name, className === name ? "" : className, verdict && `predicted ${verdict}`];
  return parts.filter(Boolean).join(" · ");
}

/** What it is taken over, in words. */
export function groupSize({ images, image }: Group): string {
  if (image) return `one image, ${image}`;
  return images > 0 ? (images === 1 ? "one image" : `mean over ${plural(images, "image")}`) : "";
}

/** What the network said of its image, in a sentence; empty where that is not known. */
export function predictionText({ className, predicted, verdict }: Group): string {
  if (!verdict) return predicted ? `Predicted: ${predicted}.` : "";
  if (verdict === "right") return `Predicted right: ${predicted || className}.`;
  return `Predicted wrong: ${predicted || "another class"}.`;
}

/** Places of the groups whose name or class has the text; all of them for none. */
export function groupsNamed(groups: readonly Group[], query: string): number[] {
  const wanted = query.trim().toLocaleLowerCase();
  const has = ({ name, className, predicted }: Group): boolean =>
    [name, className, predicted].some((one) => one.toLocaleLowerCase().includes(wanted));
  return groups.flatMap((group, at) => (has(group) ? [at] : []));
}
