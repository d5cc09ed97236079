// Runs and their curves: where they are shown, and which runs have curves but no hyper-parameters.
import type { Index, RunInfo } from "../source/source";
import { joinList } from "./catalog";
import { formatRoute, type Route, toView } from "./route";

/** The address of the curves of some runs; a run below another comes with the curves of that one. */
export function curvesLink(route: Route, names: readonly string[], withCurves: ReadonlySet<string>): string {
  const all = names.flatMap((name) => {
    const parent = parentOf(name);
    return parent && withCurves.has(parent) ? [parent, name] : [name];
  });
  // An asterisk at the end stands for all that begin so.
  const only = joinList(new Set(all)).replaceAll("*", "%2A");
  return formatRoute(toView(route, "scalars", { only, hide: null, runs: null }));
}

/** The run in whose directory a run is: several writers log hyper-parameters to a run below that of the curves. */
export const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf("/")));

export const withScalars = (index: Index): Set<string> =>
  new Set(
    index.runs.filter(({ series }) => series.some(({ kind }) => kind === "scalar")).map(({ name }) => name),
  );

export interface Without {
  readonly name: string;
  /** How many runs below it have hyper-parameters. */
  readonly below: number;
}

/** Runs with curves that have no hyper-parameters of their own. */
export function runsWithout(runs: readonly RunInfo[], having: ReadonlySet<string>): Without[] {
  const below = new Map<string, number>();
  for (const name of having)
    for (let up = parentOf(name); up; up = parentOf(up)) below.set(up, (below.get(up) ?? 0) + 1);
  return runs
    .filter(({ name, series }) => !having.has(name) && series.some(({ kind }) => kind === "scalar"))
    .map(({ name }) => ({ name, below: below.get(name) ?? 0 }));
}
