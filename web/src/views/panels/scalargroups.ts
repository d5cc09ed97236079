// Which groups of cards there are: pinned ones, custom charts, then tags by what stands before the last slash.
import { groupTags, joinList, splitList } from "../../lib/catalog";
import type { Params } from "../../lib/runs";
import { patternOf } from "../../lib/runs";
import type { Layout } from "../../source/source";
import type { Group } from "./scalarsections";
import { type ChartSpec, customSpec, tagSpec, tagsOfChart } from "./scalarspec";

const ALL = "*";

/** Tags that contain the text, or that the regular expression finds. */
export function matchingTags(tags: readonly string[], text: string): readonly string[] {
  if (!text) return tags;
  const part = text.toLocaleLowerCase();
  const { regex } = patternOf(text);
  return tags.filter((tag) => tag.toLocaleLowerCase().includes(part) || regex?.test(tag));
}

export interface GroupParts {
  /** Tags that pass the filter. */
  readonly tags: readonly string[];
  /** All there are: pins need not pass it. */
  readonly known: ReadonlySet<string>;
  readonly layouts: readonly Layout[];
  readonly params: Params;
}

export function groupsOf({ tags, known, layouts, params }: GroupParts): Group[] {
  const isOpen = openGroups(params);
  const group = (key: string, name: string, specs: readonly ChartSpec[]): Group => ({
    key,
    name,
    specs,
    open: isOpen(key),
  });
  const pins = splitList(params.pins).filter((tag) => known.has(tag));
  const groups = [
    group(
      "pinned",
      "Pinned",
      pins.map((tag) => tagSpec(tag, true)),
    ),
    ...customGroups(layouts, [...known]).map(([title, specs]) =>
      group(`custom:${title}`, `Custom charts · ${title}`, specs),
    ),
    ...[...groupTags(tags)].map(([name, members]) =>
      group(
        `/${name}`,
        name || "General",
        members.map((tag) => tagSpec(tag)),
      ),
    ),
  ];
  return groups.filter(({ specs }) => specs.length > 0);
}

/** Charts of all runs by the title of their category, each once; those without a curve are left out. */
function customGroups(layouts: readonly Layout[], tags: readonly string[]): [string, ChartSpec[]][] {
  const groups = new Map<string, Map<string, ChartSpec>>();
  for (const { title, charts } of layouts.flatMap((layout) => layout.categories)) {
    const specs = groups.get(title) ?? new Map<string, ChartSpec>();
    groups.set(title, specs);
    for (const chart of charts) {
      const spec = customSpec(title, chart);
      if (tagsOfChart(chart, tags).length) specs.set(spec.key, spec);
    }
  }
  return [...groups].map(([title, specs]) => [title, [...specs.values()]]);
}

/** Which groups are open: all but those in `closed`; with `closed=*` only those in `open`. */
function openGroups(params: Params): (key: string) => boolean {
  if (params.closed === ALL) {
    const open = new Set(splitList(params.open));
    return (key) => open.has(key);
  }
  const closed = new Set(splitList(params.closed));
  return (key) => !closed.has(key);
}

export interface OpenChange {
  readonly closed: string | null;
  readonly open: string | null;
}

export const openAll = (open: boolean): OpenChange => ({ closed: open ? null : ALL, open: null });

/** The change of the address that opens or closes a group. */
export function toggledGroup(params: Params, key: string): OpenChange {
  const list = params.closed === ALL ? "open" : "closed";
  const names = toggled(params[list], key);
  return list === "open" ? { closed: ALL, open: names } : { closed: names, open: null };
}

/** A list of the address with a name put in, or taken out if it is there; null if none is left. */
export function toggled(list: string | undefined, name: string): string | null {
  const names = splitList(list);
  return joinList(names.includes(name) ? names.filter((one) => one !== name) : [...names, name]) || null;
}
