// The pages in the navigation: in groups, each with the letter that opens it after `g`.
import type { Index } from "../source/source";
import type { ViewEntry } from "../views/registry";
import { tagsOf } from "./catalog";

export interface PageGroup {
  readonly title: string;
  readonly views: readonly ViewEntry[];
}

const GROUPS: readonly (readonly [string, readonly string[]])[] = [
  ["Training", ["scalars", "histograms", "hparams", "text"]],
  ["Results", ["images", "audio", "mesh", "curves", "confusion"]],
  [
    "Network",
    [
      "network",
      "graph",
      "filters",
      "maps",
      "layer",
      "audit",
      "embedding",
      "gradients",
      "importance",
      "ablation",
      "volume",
    ],
  ],
];
const OTHER = "More";

const LETTERS: Readonly<Record<string, string>> = {
  scalars: "s",
  histograms: "h",
  hparams: "p",
  text: "t",
  images: "i",
  audio: "a",
  mesh: "o",
  curves: "r",
  confusion: "c",
  network: "n",
  graph: "g",
  filters: "f",
  maps: "m",
  layer: "l",
  audit: "d",
  embedding: "e",
  gradients: "w",
  importance: "k",
  ablation: "b",
  volume: "v",
};

/** `views` in groups; one that is in none comes last. */
export function pageGroups(views: readonly ViewEntry[]): PageGroup[] {
  const known = new Set(GROUPS.flatMap(([, names]) => names));
  const groups = GROUPS.map(([title, names]) => ({
    title,
    views: names.flatMap((name) => views.filter((view) => view.name === name)),
  }));
  groups.push({ title: OTHER, views: views.filter(({ name }) => !known.has(name)) });
  return groups.filter((group) => group.views.length);
}

export const letterOf = (view: string): string => LETTERS[view] ?? "";

/** The page that a letter opens after `g`. */
export const viewOfLetter = (letter: string, views: readonly ViewEntry[]): ViewEntry | undefined =>
  views.find(({ name }) => letterOf(name) === letter.toLowerCase() && letter !== "");

/** How many tags each view has, over all runs. */
export function tagCounts(index: Index, views: readonly ViewEntry[]): Map<string, number> {
  return new Map(
    views.map(({ name, kind }) => {
      const tags = new Set<string>();
      for (const run of index.runs) for (const tag of tagsOf(run, kind)) tags.add(tag);
      return [name, tags.size];
    }),
  );
}
