// Questions about the index: which runs, tags and records there are for a view.
import type { Index, RecordInfo, RunInfo, SeriesInfo } from "../source/source";

/** What the page of a network shows: its architecture, or only what was searched of its layers where it has none. */
export const NETWORK = "network";
/** What the page of PR and ROC curves shows: records of curves, and TensorBoard's series of PR curves. */
export const EVALUATION = "evaluation";
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
  "weight_gradients",
  "importance",
  "ablation",
  "volume",
  "curves",
  "confusion_matrix",
]);

/** What is asked of a run again and again; a run that has not changed is the same object in the next index. */
interface Table {
  readonly tags: Map<string, readonly string[]>;
  readonly series: Map<string, Map<string, SeriesInfo>>;
}
const tables = new WeakMap<RunInfo, Table>();
const everywhere = new WeakMap<Index, Map<string, readonly string[]>>();

function tableOf(run: RunInfo): Table {
  const known = tables.get(run);
  if (known) return known;
  const table: Table = { tags: new Map(), series: new Map() };
  for (const one of run.series) {
    const ofKind = table.series.get(one.kind) ?? new Map<string, SeriesInfo>();
    table.series.set(one.kind, ofKind);
    if (!ofKind.has(one.tag)) ofKind.set(one.tag, one);
  }
  tables.set(run, table);
  return table;
}

/** Tags of one kind in a run, in order of first appearance. */
export function tagsOf(run: RunInfo, kind: string): readonly string[] {
  if (kind === NETWORK) return networksOf(run);
  if (kind === EVALUATION) return evaluationsOf(run);
  const table = tableOf(run);
  const known = table.tags.get(kind);
  if (known) return known;
  const tags = RECORD_KINDS.has(kind)
    ? [...new Set(run.records.filter((entry) => entry.kind === kind).map((entry) => entry.tag))]
    : [...(table.series.get(kind)?.keys() ?? [])];
  table.tags.set(kind, tags);
  return tags;
}

/** Curves of a run; those of the classes of a record (`TAG/CLASS`) are shown by the record. */
function evaluationsOf(run: RunInfo): readonly string[] {
  const { tags } = tableOf(run);
  const known = tags.get(EVALUATION);
  if (known) return known;
  const records = tagsOf(run, "curves");
  const own = (tag: string): boolean => !records.some((one) => tag === one || tag.startsWith(`${one}/`));
  const all = [...records, ...tagsOf(run, "pr_curve").filter(own)];
  tags.set(EVALUATION, all);
  return all;
}

function networksOf(run: RunInfo): readonly string[] {
  const known = tagsOf(run, "architecture");
  return known.length || !run.records.some(({ kind }) => kind === "topk") ? known : [SEARCHED];
}

/** Tags of one kind in all runs. */
export function allTags(index: Index, kind: string): readonly string[] {
  const answers = everywhere.get(index) ?? new Map<string, readonly string[]>();
  everywhere.set(index, answers);
  const known = answers.get(kind);
  if (known) return known;
  const tags = new Set<string>();
  for (const run of index.runs) for (const tag of tagsOf(run, kind)) tags.add(tag);
  answers.set(kind, [...tags]);
  return answers.get(kind) ?? [];
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
  if (kind === EVALUATION) return recordsOf(run, "curves", tag);
  return bySteps(run.records.filter((record) => record.kind === kind && record.tag === tag));
}

function bySteps(records: readonly RecordInfo[]): RecordInfo[] {
  return [...new Map(records.map((record) => [record.step, record])).values()].sort(
    (a, b) => a.step - b.step,
  );
}

/** Records of the projections of one embedding by tag, each in the order in which they were written: those of its step, written after it and before the step was embedded anew. */
export function projectionsOf(run: RunInfo, embedding: RecordInfo): Map<string, RecordInfo[]> {
  const { tag: own, step } = embedding;
  const rest = run.records.slice(run.records.findIndex(({ id }) => id === embedding.id) + 1);
  const next = rest.findIndex((one) => one.kind === "embedding" && one.tag === own && one.step === step);
  const found = new Map<string, RecordInfo[]>();
  for (const record of next < 0 ? rest : rest.slice(0, next)) {
    const { kind, tag } = record;
    if (kind !== "projection" || record.step !== step) continue;
    if (tag.slice(0, tag.lastIndexOf("/")) !== own) continue;
    const known = found.get(tag);
    if (known) known.push(record);
    else found.set(tag, [record]);
  }
  return found;
}

export function seriesOf(run: RunInfo, kind: SeriesInfo["kind"], tag: string): SeriesInfo | undefined {
  return tableOf(run).series.get(kind)?.get(tag);
}

/** Tags grouped by what stands before the last slash; tags without one come first, under the empty name. */
export function groupTags(tags: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  const plain = tags.filter((tag) => !tag.includes("/"));
  if (plain.length) groups.set("", plain);
  for (const tag of tags) {
    if (!tag.includes("/")) continue;
    const prefix = tag.slice(0, tag.lastIndexOf("/"));
    const group = groups.get(prefix);
    if (group) group.push(tag);
    else groups.set(prefix, [tag]);
  }
  return groups;
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
