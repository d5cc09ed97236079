// Which runs are shown: a regex, runs hidden or chosen one by one, pins; and runs that are drawn as one group.
import type { Index, RunInfo, SeriesInfo } from "../source/source";
import { allTags, seriesKey, seriesOf, splitList } from "./catalog";
import { PALETTE } from "./palette";
import { encodeNames, namesIn } from "./runnames";

export type Params = Readonly<Record<string, string>>;

/** The value of `group` that groups runs by the folder they are in. */
export const BY_FOLDER = "/";

/** A regex as a person wrote it, and what is wrong with it ("" if nothing). */
export interface Pattern {
  readonly regex: RegExp | undefined;
  readonly problem: string;
}

const patterns = new Map<string, Pattern>();
const PATTERNS_KEPT = 64;

/** The regex in `text`, upper and lower case alike. */
export function patternOf(text: string | undefined): Pattern {
  if (!text) return { regex: undefined, problem: "" };
  const known = patterns.get(text);
  if (known) return known;
  const pattern = compiled(text);
  if (patterns.size >= PATTERNS_KEPT) patterns.clear();
  patterns.set(text, pattern);
  return pattern;
}

function compiled(text: string): Pattern {
  try {
    return { regex: new RegExp(text, "iu"), problem: "" };
  } catch {
    // Without the flag u a few more expressions are allowed, such as a needless backslash.
  }
  try {
    return { regex: new RegExp(text, "i"), problem: "" };
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^.*?\/[a-z]*: /su, "") : String(error);
    return { regex: undefined, problem: `“${text}” is no regular expression: ${why}.` };
  }
}

/** Whether the name of a run passes the filter; a wrong regex is searched for as plain text. */
function passes(text: string | undefined): (name: string) => boolean {
  if (!text) return () => true;
  const { regex } = patternOf(text);
  if (regex) return (name) => regex.test(name);
  const part = text.toLocaleLowerCase();
  return (name) => name.toLocaleLowerCase().includes(part);
}

/** Runs whose name passes the filter, pins first; hidden ones too. */
export function listedRuns(index: Index, params: Params): readonly RunInfo[] {
  return kept(index, `listed\n${params.runs ?? ""}\n${params.pin ?? ""}`, () => {
    const pass = passes(params.runs);
    const pins = new Set(splitList(params.pin));
    const runs = index.runs.filter(({ name }) => pass(name));
    return pins.size
      ? [...runs.filter(({ name }) => pins.has(name)), ...runs.filter(({ name }) => !pins.has(name))]
      : runs;
  });
}

/** Names of the runs that are not hidden, whether or not they pass the filter. */
export function chosenRuns(index: Index, params: Params): ReadonlySet<string> {
  const names = index.runs.map(({ name }) => name);
  if (params.only) return namesIn(params.only, names);
  const hidden = namesIn(params.hide, names);
  return new Set(names.filter((name) => !hidden.has(name)));
}

/** Runs that a view of many runs shows, in the order in which it shows them: pins first. */
export function shownRuns(index: Index, params: Params): readonly RunInfo[] {
  const key = `shown\n${params.runs ?? ""}\n${params.pin ?? ""}\n${params.only ?? ""}\n${params.hide ?? ""}`;
  return kept(index, key, () => {
    const chosen = chosenRuns(index, params);
    return listedRuns(index, params).filter(({ name }) => chosen.has(name));
  });
}

const answers = new WeakMap<Index, Map<string, readonly RunInfo[]>>();
const ANSWERS_KEPT = 16;

/** Every card of a view asks the same question of the same index. */
function kept(index: Index, key: string, ask: () => readonly RunInfo[]): readonly RunInfo[] {
  const known = answers.get(index) ?? new Map<string, readonly RunInfo[]>();
  answers.set(index, known);
  const answer = known.get(key) ?? ask();
  if (known.size >= ANSWERS_KEPT) known.clear();
  known.set(key, answer);
  return answer;
}

/** The change of the address after which exactly `chosen` are shown. */
export function choosing(index: Index, chosen: ReadonlySet<string>): { only: string; hide: string } {
  const names = index.runs.map(({ name }) => name);
  return encodeNames(names, chosen);
}

/** Runs that are drawn as one. */
export interface RunGroup {
  readonly name: string;
  readonly runs: readonly RunInfo[];
}

/** The shown runs in groups, in the order of their first run; without `group` in the address each is its own. */
export function runGroups(index: Index, params: Params): RunGroup[] {
  const nameOf = groupNames(params.group);
  const groups = new Map<string, RunInfo[]>();
  for (const run of shownRuns(index, params)) {
    const name = nameOf(run.name);
    const members = groups.get(name);
    if (members) members.push(run);
    else groups.set(name, [run]);
  }
  return [...groups].map(([name, runs]) => ({ name, runs }));
}

/** What a run's group is called: its folder, or what the regex captures (matches, if it captures nothing). */
export function groupNames(group: string | undefined): (name: string) => string {
  if (!group) return (name) => name;
  if (group === BY_FOLDER) return (name) => name.slice(0, name.lastIndexOf("/")) || name;
  const { regex } = patternOf(group);
  if (!regex) return (name) => name;
  return (name) => {
    const match = regex.exec(name);
    if (!match) return name;
    const captured = match.slice(1).filter((part) => part !== undefined);
    return (captured.length ? captured.join(" ") : match[0]) || name;
  };
}

const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

/** How often the palette was begun anew before the colour of a place in it. */
export const roundOf = (slot: number): number => Math.floor(Math.max(0, slot) / PALETTE.length);

/** The dash of a run's lines, in pixels: the colours start again after twelve runs, and it tells the rounds apart. */
export const runDash = (slot: number): readonly number[] => DASHES[roundOf(slot) % DASHES.length];

/** Each run's place in the palette: those that have one keep it when others come or go. */
export function runSlots(before: ReadonlyMap<string, number>, runs: readonly RunInfo[]): Map<string, number> {
  const slots = new Map<string, number>();
  const taken = new Set<number>();
  for (const { name } of runs) {
    const slot = before.get(name);
    if (slot === undefined) continue;
    slots.set(name, slot);
    taken.add(slot);
  }
  let free = 0;
  for (const { name } of runs) {
    if (slots.has(name)) continue;
    while (taken.has(free)) free++;
    slots.set(name, free);
    taken.add(free);
  }
  return slots;
}

/** The series of a kind that the shown runs have and whose tag contains `wanted`, tag by tag. */
export function shownSeries(
  index: Index,
  kind: SeriesInfo["kind"],
  params: Params,
  wanted: string,
): string[] {
  const part = wanted.toLocaleLowerCase();
  const runs = shownRuns(index, params);
  return allTags(index, kind)
    .filter((tag) => tag.toLocaleLowerCase().includes(part))
    .flatMap((tag) => runs.filter((run) => seriesOf(run, kind, tag)).map((run) => seriesKey(run.name, tag)));
}
