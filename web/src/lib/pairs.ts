// Which embeddings can stand beside one that is shown, and how the address names them: "run|tag|projection".
import type { Index, RecordInfo, RunInfo } from "../source/source";
import { projectionsOf, recordsOf, tagsOf } from "./catalog";
import { count, plural } from "./format";
import { type EmbeddingData, methodName } from "./points";

export interface Pair {
  readonly run: RunInfo;
  readonly tag: string;
  /** The last part of the projection's tag. */
  readonly name: string;
  /** What it is called among those of its run. */
  readonly text: string;
  /** The parts of the projection of one of the tag's embeddings. */
  readonly parts: (embedding: RecordInfo) => readonly RecordInfo[];
}

const escaped = (text: string): string => text.replaceAll("%", "%25").replaceAll("|", "%7C");

export const pairText = ({ run, tag, name }: Pick<Pair, "run" | "tag" | "name">): string =>
  [run.name, tag, name].map(escaped).join("|");

/** All projections of all embeddings but the one that is shown; those of the same run first. */
export function pairsOf(
  index: Index,
  run: RunInfo,
  shown: { readonly tag: string },
  projection: RecordInfo | undefined,
): Pair[] {
  const runs = [run, ...index.runs.filter((one) => one.name !== run.name)];
  return runs.flatMap((one) =>
    tagsOf(one, "embedding").flatMap((tag) =>
      namesOf(one, tag)
        .filter((name) => one !== run || tag !== shown.tag || `${tag}/${name}` !== projection?.tag)
        .map((name) => ({
          run: one,
          tag,
          name,
          text: `${tag} · ${methodName(name)}`,
          parts: (embedding: RecordInfo) => projectionsOf(one, embedding).get(`${tag}/${name}`) ?? [],
        })),
    ),
  );
}

function namesOf(run: RunInfo, tag: string): string[] {
  const names = new Set<string>();
  for (const record of recordsOf(run, "embedding", tag))
    for (const one of projectionsOf(run, record).keys()) names.add(one.slice(tag.length + 1));
  return [...names];
}

/** The one that the address names; without a projection the first of that embedding. */
export function chosenPair(pairs: readonly Pair[], text: string | undefined): Pair | undefined {
  if (!text) return undefined;
  return (
    pairs.find((pair) => pairText(pair) === text) ??
    pairs.find((pair) => pairText(pair).startsWith(`${text}|`))
  );
}

/** The record of the step that the first map shows, else the last one before it. */
export function stepOf(pair: Pair, step: number): RecordInfo {
  const records = recordsOf(pair.run, "embedding", pair.tag).filter((one) => pair.parts(one).length);
  return records.findLast((one) => one.step <= step) ?? records[0];
}

/** How far two data sets have the same pictures, as a sentence. */
export function differing(first: EmbeddingData, second: EmbeddingData, common: number): string {
  if (first.dataset && second.dataset && first.dataset !== second.dataset)
    return `The data sets differ (${first.dataset}, ${second.dataset}); points of one number are linked: ${count(common)}.`;
  if (common === first.count && common === second.count) return `${plural(common, "picture")} in both.`;
  if (!common) return "No picture is in both; nothing is linked.";
  return `${count(common)} pictures are in both, of ${count(first.count)} and ${count(second.count)}; the others are not linked.`;
}

/** Points by their numbers in the other embedding; those that it does not have are left out. */
export function translated(points: ArrayLike<number>, place: Int32Array): Int32Array {
  const found: number[] = [];
  for (let k = 0; k < points.length; k++) if (place[points[k]] >= 0) found.push(place[points[k]]);
  return Int32Array.from(found);
}
