// Questions about the index: which runs, tags and records there are for a view.
import type { Index, RecordInfo, RunInfo, SeriesInfo } from "../source/source";

const RECORD_KINDS = new Set(["filters", "topk", "embedding", "projection", "volume"]);

/** Tags of one kind in a run, in order of first appearance. */
export function tagsOf(run: RunInfo, kind: string): string[] {
  const entries: readonly { kind: string; tag: string }[] = RECORD_KINDS.has(kind) ? run.records : run.series;
  return [...new Set(entries.filter((entry) => entry.kind === kind).map((entry) => entry.tag))];
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

/** Records of a tag by step; of several at the same step the last written counts. */
export function recordsOf(run: RunInfo, kind: string, tag: string): RecordInfo[] {
  const bySteps = new Map<number, RecordInfo>();
  for (const record of run.records) {
    if (record.kind === kind && record.tag === tag) bySteps.set(record.step, record);
  }
  return [...bySteps.values()].sort((a, b) => a.step - b.step);
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

/** A list in the address: names joined by commas, commas inside names doubled by encoding. */
export function splitList(text: string | undefined): string[] {
  return text ? text.split(",").map(decodeURIComponent) : [];
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
