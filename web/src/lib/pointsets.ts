// Selections that one has named: kept in this browser, by the numbers of the pictures in their data set.
import type { EmbeddingData } from "./points";
import { recalled, remember } from "./remember";
import { MOST_IN_ADDRESS, mapped, type Selection } from "./selection";

export interface PointSet {
  readonly name: string;
  /** Numbers of the pictures, rising. */
  readonly index: readonly number[];
}

const KEY = "convscope-point-sets";
const MOST = 20;
const LONGEST = 60;
/** What browsers keep is small: larger selections are saved as files. */
export const MOST_POINTS = 20_000;

/** The sets of a logdir, oldest first. */
export function pointSets(logdir: string): PointSet[] {
  return all()[logdir] ?? [];
}

/** The sets with one more; one of the same name is replaced. */
export function keepPoints(logdir: string, set: PointSet): PointSet[] {
  const name = set.name.trim().slice(0, LONGEST);
  const others = pointSets(logdir).filter((one) => one.name !== name);
  return store(logdir, [...others, { name, index: set.index }].slice(-MOST));
}

export function forgetPoints(logdir: string, name: string): PointSet[] {
  return store(
    logdir,
    pointSets(logdir).filter((one) => one.name !== name),
  );
}

function store(logdir: string, sets: PointSet[]): PointSet[] {
  remember(KEY, JSON.stringify({ ...all(), [logdir]: sets }));
  return sets;
}

/** Of all logdirs; what somebody else has put there counts as nothing. */
function all(): Record<string, PointSet[]> {
  try {
    const found: unknown = JSON.parse(recalled(KEY) ?? "{}");
    const entries = Object.entries(found as Record<string, unknown>);
    return Object.fromEntries(entries.map(([logdir, sets]) => [logdir, listOf(sets)]));
  } catch {
    return {};
  }
}

function listOf(sets: unknown): PointSet[] {
  return Array.isArray(sets)
    ? sets.filter(
        (set) =>
          typeof set?.name === "string" &&
          Array.isArray(set?.index) &&
          set.index.every((one: unknown) => Number.isInteger(one)),
      )
    : [];
}

let large: { readonly place: string; readonly index: readonly number[] } | undefined;

const placeOf = ({ run, record }: EmbeddingData): string => JSON.stringify([run, record.tag]);

/** Hold a selection that no address can name while this page is open; a smaller one ends that. */
export function holdLarge(data: EmbeddingData, selection: Selection): void {
  const place = placeOf(data);
  if (selection.size > MOST_IN_ADDRESS)
    large = { place, index: Array.from(selection.indices(), (i) => data.index[i]) };
  else if (large?.place === place) large = undefined;
}

/** What is held for this embedding, at whatever step: its points. */
export function largeSelection(data: EmbeddingData): Int32Array {
  if (large?.place !== placeOf(data)) return new Int32Array();
  return mapped(Array.from(large.index.keys()), large.index, data.index);
}
