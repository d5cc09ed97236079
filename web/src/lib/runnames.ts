// Sets of run names in the address: names joined by commas, `begin*` for all that begin so, `*` for all.
import { joinList, splitList } from "./catalog";

/** As many names are written one by one; of more, those that begin alike become one entry. */
const WRITTEN_OUT = 6;

/** The runs of `names` that an entry of the address names. */
export function namesIn(text: string | undefined, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  if (!text) return found;
  const known = new Set(names);
  const begins: string[] = [];
  for (const entry of text.split(",")) {
    if (entry.endsWith("*")) begins.push(splitList(entry.slice(0, -1))[0] ?? "");
    else for (const name of splitList(entry)) if (known.has(name)) found.add(name);
  }
  if (begins.length)
    for (const name of names) if (begins.some((begin) => name.startsWith(begin))) found.add(name);
  return found;
}

/** `chosen` of `names` as the shorter of the two: which are shown, which are hidden; both empty if all are shown. */
export function encodeNames(
  names: readonly string[],
  chosen: ReadonlySet<string>,
): { only: string; hide: string } {
  const shown = names.filter((name) => chosen.has(name));
  const hidden = names.filter((name) => !chosen.has(name));
  if (!hidden.length) return { only: "", hide: "" };
  if (!shown.length) return { only: "", hide: "*" };
  const only = written(shown, hidden);
  const hide = written(hidden, shown);
  return hide.length <= only.length ? { only: "", hide } : { only, hide: "" };
}

/** `inside` as entries, none of which names one of `outside`. */
function written(inside: readonly string[], outside: readonly string[]): string {
  if (inside.length <= WRITTEN_OUT) return inside.map(one).join(",");
  const members = new Set(inside);
  const sorted = [...inside, ...outside].sort();
  return entries(sorted, members, 0, sorted.length, 0).join(",");
}

const one = (name: string): string => joinList([name]).replaceAll("*", "%2A");

/** Entries for the members in a stretch of sorted names that all begin with the same `depth` characters. */
function entries(
  sorted: readonly string[],
  members: ReadonlySet<string>,
  start: number,
  stop: number,
  depth: number,
): string[] {
  const own = sorted.slice(start, stop);
  const inside = own.filter((name) => members.has(name));
  if (!inside.length) return [];
  if (inside.length === 1) return [one(inside[0])];
  if (inside.length === own.length && depth > 0) return [`${one(own[0].slice(0, common(own)))}*`];
  const found: string[] = [];
  for (let at = start; at < stop; ) {
    let next = at + 1;
    while (next < stop && sorted[next][depth] === sorted[at][depth]) next++;
    if (sorted[at].length <= depth) {
      if (members.has(sorted[at])) found.push(one(sorted[at]));
      at++;
    } else {
      found.push(...entries(sorted, members, at, next, depth + 1));
      at = next;
    }
  }
  return found;
}

/** How many characters sorted names have in common at their begin. */
function common(sorted: readonly string[]): number {
  const [first, last] = [sorted[0], sorted[sorted.length - 1]];
  let n = 0;
  while (n < first.length && first[n] === last[n]) n++;
  return n;
}
