// Which other record of filters a page compares with: of any run, layer and step.
import type { Index, RecordInfo } from "../source/source";
import { recordsOf, runsWith, tagsOf } from "./catalog";
import type { Route } from "./route";

export interface Other {
  readonly run: string;
  readonly tag: string;
  readonly records: readonly RecordInfo[];
  /** The place among them of the step that is asked for; of the last one if it names none. */
  readonly at: number;
}

/** A run and a tag as one value of a list. */
export const otherKey = (run: string, tag: string): string => JSON.stringify([run, tag]);

/** All runs and tags that have filters, for a list; the first value is none. */
export function otherOptions(index: Index): { value: string; text: string }[] {
  const found = runsWith(index, "filters").flatMap((run) =>
    tagsOf(run, "filters").map((tag) => ({ value: otherKey(run.name, tag), text: `${run.name} · ${tag}` })),
  );
  return [{ value: "", text: "nothing" }, ...found];
}

/** What `with=RUN&layer=TAG&at=STEP` names, and what of it is not here. */
export function otherOf(index: Index, { params }: Route): { other: Other | undefined; note: string } {
  if (!params.with) return { other: undefined, note: "" };
  const run = runsWith(index, "filters").find(({ name }) => name === params.with);
  if (!run) return { other: undefined, note: `No filters of a run “${params.with}” to compare with.` };
  const tag = tagsOf(run, "filters").find((name) => name === params.layer);
  if (!tag) return { other: undefined, note: `No “${params.layer ?? ""}” in ${run.name} to compare with.` };
  const records = recordsOf(run, "filters", tag);
  const found = records.findIndex(({ step }) => String(step) === params.at);
  return { other: { run: run.name, tag, records, at: found < 0 ? records.length - 1 : found }, note: "" };
}

/** The address's keys for a value of the list. */
export function otherChange(value: string): Record<string, string | null> {
  if (!value) return { with: null, layer: null, at: null };
  const [run, tag] = JSON.parse(value) as [string, string];
  return { with: run, layer: tag, at: null };
}
