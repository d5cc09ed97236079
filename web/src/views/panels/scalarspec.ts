// What stands on a card of curves: one tag over the runs, or the lines and margins of a custom chart.
import { type RunGroup, runDash } from "../../lib/runs";
import type { Trace, TraceSource } from "../../lib/traces";
import type { LayoutChart } from "../../source/source";
import type { SeriesStore, TagRuns } from "./scalarstore";

/** A series that a chart needs, and how many points of it are known to be there. */
export interface Wanted {
  readonly run: string;
  readonly tag: string;
  readonly count: number;
}

/** What the charts are made from; the same for all of them. */
export interface Material {
  readonly store: SeriesStore;
  readonly tags: TagRuns;
  /** The shown runs, each in its group; a group of several runs is drawn as its mean. */
  readonly groups: readonly RunGroup[];
  readonly colours: ReadonlyMap<string, string>;
  readonly dashes: ReadonlyMap<string, readonly number[]>;
  /** Colours that tell tags apart where a single run is shown. */
  readonly colourOf: (place: number) => string;
}

export interface ChartSpec {
  /** Tells it from all other cards of the page. */
  readonly key: string;
  /** As the address and the name of a file have it. */
  readonly name: string;
  /** The short form above the chart. */
  readonly title: string;
  /** Whether it can be pinned: it is the chart of one tag. */
  readonly tag: string | null;
  wanted(material: Material): Wanted[];
  traces(material: Material): Trace[];
}

/** The chart of a tag; among the pinned ones it has its whole name. */
export function tagSpec(tag: string, pinned = false): ChartSpec {
  return {
    key: `${pinned ? "pin" : "tag"}\n${tag}`,
    name: tag,
    title: pinned ? tag : tag.slice(tag.lastIndexOf("/") + 1) || tag,
    tag,
    wanted: (material) => wantedOf(material, [tag]),
    traces: (material) =>
      material.groups.flatMap((group): Trace[] => {
        const runs = group.runs.filter(({ name }) => material.tags.get(tag)?.has(name));
        if (!runs.length) return [];
        const [{ name }] = runs;
        const look = lookOf(material, name);
        const sources = runs.map((run) => sourceOf(material, run.name, tag));
        const alone = sources.length === 1;
        return [{ kind: alone ? "run" : "mean", name: alone ? name : group.name, ...look, sources }];
      }),
  };
}

export function customSpec(category: string, chart: LayoutChart): ChartSpec {
  const name = `${category}: ${chart.title}`;
  const shown = (material: Material): string[] => tagsOfChart(chart, [...material.tags.keys()]);
  return {
    key: `custom\n${name}\n${JSON.stringify(chart)}`,
    name,
    title: chart.title,
    tag: null,
    wanted: (material) => wantedOf(material, shown(material)),
    traces: (material) =>
      chart.kind === "margin" ? margins(chart, material) : lines(shown(material), material),
  };
}

/** The tags of a custom chart, in the order of its expressions, each once. */
export function tagsOfChart(chart: LayoutChart, tags: readonly string[]): string[] {
  const margins = (chart.margins ?? []).flatMap(({ value, lower, upper }) => [value, lower, upper]);
  if (chart.kind === "margin") return [...new Set(margins)].filter((tag) => tags.includes(tag));
  return [...new Set(chart.tags.flatMap((text) => tags.filter(beginning(text))))];
}

/** As TensorBoard reads them: the expression holds from the beginning of a tag; one that is none is a plain beginning. */
function beginning(text: string): (tag: string) => boolean {
  try {
    const regex = new RegExp(`^(?:${text})`);
    return (tag) => regex.test(tag);
  } catch {
    return (tag) => tag.startsWith(text);
  }
}

function wantedOf({ groups, tags }: Material, wanted: readonly string[]): Wanted[] {
  return groups.flatMap(({ runs }) =>
    runs.flatMap(({ name }) =>
      wanted.flatMap((tag) => {
        const count = tags.get(tag)?.get(name);
        return count === undefined ? [] : [{ run: name, tag, count }];
      }),
    ),
  );
}

const runsOf = ({ groups }: Material): string[] => groups.flatMap(({ runs }) => runs.map(({ name }) => name));

function lookOf({ colours, dashes }: Material, run: string): Pick<Trace, "colour" | "dash"> {
  return { colour: colours.get(run) ?? "#888888", dash: dashes.get(run) ?? [] };
}

/** How a line of a chart of several tags looks: by its run, or by its tag where there is a single run. */
function lookIn(
  material: Material,
  run: string,
  place: number,
  single: boolean,
): Pick<Trace, "colour" | "dash"> {
  if (single) return { colour: material.colourOf(place), dash: [] };
  return { ...lookOf(material, run), dash: runDash(12 * place) };
}

function sourceOf({ store }: Material, run: string, tag: string): TraceSource {
  return { run, tag, series: store.get(run, tag) };
}

function lines(tags: readonly string[], material: Material): Trace[] {
  const single = runsOf(material).length === 1;
  return runsOf(material).flatMap((run) =>
    tags.flatMap((tag, i): Trace[] => {
      if (!material.tags.get(tag)?.has(run)) return [];
      const name = single ? tag : `${run} · ${tag}`;
      const sources = [sourceOf(material, run, tag)];
      return [{ kind: "run", name, ...lookIn(material, run, i, single), sources }];
    }),
  );
}

function margins(chart: LayoutChart, material: Material): Trace[] {
  const single = runsOf(material).length === 1;
  return runsOf(material).flatMap((run) =>
    (chart.margins ?? []).flatMap(({ value, lower, upper }, i): Trace[] => {
      const tags = [value, lower, upper];
      if (!tags.every((tag) => material.tags.get(tag)?.has(run))) return [];
      const name = single ? value : `${run} · ${value}`;
      const sources = tags.map((tag) => sourceOf(material, run, tag));
      return [{ kind: "margin", name, ...lookIn(material, run, i, single), sources }];
    }),
  );
}
