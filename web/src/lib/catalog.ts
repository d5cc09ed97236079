// Questions about the index: which runs, tags and records there are for a view.
import type { Index, RecordInfo, RunInfo, SeriesInfo } from "../source/source";

/** What the page of a network shows: its architecture, or only what was searched of its layers where it has none. */
export const NETWORK = "network";
/** The tag of a network that is known by its searched layers only. */
export const SEARCHED = "searched layers";

const RECORD_KINDS = new Set([
  "audit",
  "architecture",
  "filters",
  "maps",
  "topk",
  "embedding",
  "projection",
  "volume",
  "curves",
  "confusion_matrix",
]);

/** Tags of one kind in a run, in order of first appearance. */
export function tagsOf(run: RunInfo, kind: string): string[] {
  if (kind === NETWORK) return networksOf(run);
  const entries: readonly { kind: string; tag: string }[] = RECORD_KINDS.has(kind) ? run.records : run.series;
  return [...new Set(entries.filter((entry) => entry.kind === kind).map((entry) => entry.tag))];
}

function networksOf(run: RunInfo): string[] {
  const known = tagsOf(run, "architecture");
  return known.length || !run.records.some(({ kind }) => kind === "topk") ? known : [SEARCHED];
}

/** Tags of one kind in all runs. */
export function allTags(index: Index, kind: string): string[] {
  return [...new Set(index.runs.flatMap((run) => tagsOf(run, kind)))];
}

export const runsWith = (index: Index, kind: string): RunInfo[] =>
  index.runs.filter((run) => tagsOf(run, kind).length > 0);

/** The wanted run if it has such results, else the first that has. */
export function chooseRun(index: Index, kind: string, wanted: string | undefined): RunInfo | undefined {
  const runs = runsWith(index, kind);
  return runs.find((run) => run.name === wanted) ?? runs[0];
}

export function chooseTag(run: RunInfo, kind: string, wanted: string | undefined): string | undefined {
  const tags = tagsOf(run, kind);
  return tags.find((tag) => tag === wanted) ?? tags[0];
}

export interface Choice {
  readonly run: RunInfo | undefined;
  readonly tag: string | undefined;
  /** What the address names but is not here, and what is shown in its place; empty if all is as asked. */
  readonly note: string;
}

/** The run and the tag that a view of one run shows for an address. */
export function choose(index: Index, kind: string, params: Readonly<Record<string, string>>): Choice {
  const run = chooseRun(index, kind, params.run);
  const tag = run && chooseTag(run, kind, params.tag);
  const notes: string[] = [];
  if (run && params.run && params.run !== run.name) {
    const known = index.runs.some(({ name }) => name === params.run);
    notes.push(
      `${known ? `Nothing of run “${params.run}”` : `No run “${params.run}”`} here; showing ${run.name}.`,
    );
  }
  if (run && tag && params.tag && params.tag !== tag)
    notes.push(`No “${params.tag}” in ${run.name}; showing ${tag}.`);
  return { run, tag, note: notes.join(" ") };
}

/** Records of a tag by step; of several at the same step the last written counts. */
export function recordsOf(run: RunInfo, kind: string, tag: string): RecordInfo[] {
  if (kind === NETWORK) {
    const known = recordsOf(run, "architecture", tag);
    // Always the same layer speaks for a network that is only searched, while a running search records all anew.
    return known.length ? known : recordsOf(run, "topk", tagsOf(run, "topk")[0]);
  }
  return bySteps(run.records.filter((record) => record.kind === kind && record.tag === tag));
}

function bySteps(records: readonly RecordInfo[]): RecordInfo[] {
  return [...new Map(records.map((record) => [record.step, record])).values()].sort(
    (a, b) => a.step - b.step,
  );
}

/** Projections of one embedding record by tag: those written after it and before its tag was embedded anew. */
export function projectionsOf(run: RunInfo, embedding: RecordInfo): Map<string, RecordInfo[]> {
  const rest = run.records.slice(run.records.findIndex(({ id }) => id === embedding.id) + 1);
  const next = rest.findIndex(({ kind, tag }) => kind === "embedding" && tag === embedding.tag);
  const own = (next < 0 ? rest : rest.slice(0, next)).filter(
    ({ kind, tag }) => kind === "projection" && tag.slice(0, tag.lastIndexOf("/")) === embedding.tag,
  );
  const tags = [...new Set(own.map(({ tag }) => tag))];
  return new Map(tags.map((tag) => [tag, bySteps(own.filter((record) => record.tag === tag))]));
}

export function seriesOf(run: RunInfo, kind: SeriesInfo["kind"], tag: string): SeriesInfo | undefined {
  return run.series.find((series) => series.kind === kind && series.tag === tag);
}

/** Tags grouped by what stands before the last slash; tags without one come first, under the empty name. */
export function groupTags(tags: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  const plain = tags.filter((tag) => !tag.includes("/"));
  if (plain.length) groups.set("", plain);
  for (const tag of tags) {
    if (!tag.includes("/")) continue;
    const prefix = tag.slice(0, tag.lastIndexOf("/"));
    groups.set(prefix, [...(groups.get(prefix) ?? []), tag]);
  }
  return groups;
}

/** Runs that are shown where several can be: all but those in the comma-separated list `hidden`. */
export function shownRuns(index: Index, hidden: string | undefined): RunInfo[] {
  const names = new Set(splitList(hidden));
  return index.runs.filter((run) => !names.has(run.name));
}

/** A list in the address: names joined by commas, commas inside names percent-encoded. */
export function splitList(text: string | undefined): string[] {
  return text ? text.split(",").map(decoded) : [];
}

/** A hand-written address may hold a percent sign that encodes nothing: then the text is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function joinList(names: Iterable<string>): string {
  return [...names].map((name) => name.replaceAll("%", "%25").replaceAll(",", "%2C")).join(",");
}

/** One series of one run, as a key: the run's name and the tag, one a line. */
export const seriesKey = (run: string, tag: string): string => `${run}\n${tag}`;

export function fromSeriesKey(key: string): { run: string; tag: string } {
  const at = key.indexOf("\n");
  return { run: key.slice(0, at), tag: key.slice(at + 1) };
}

/** The series of a kind that the shown runs have and whose tag contains `wanted`, tag by tag. */
export function shownSeries(
  index: Index,
  kind: SeriesInfo["kind"],
  hide: string | undefined,
  wanted: string,
): string[] {
  const part = wanted.toLocaleLowerCase();
  const runs = shownRuns(index, hide);
  return allTags(index, kind)
    .filter((tag) => tag.toLocaleLowerCase().includes(part))
    .flatMap((tag) => runs.filter((run) => seriesOf(run, kind, tag)).map((run) => seriesKey(run.name, tag)));
}
