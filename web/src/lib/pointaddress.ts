// What the address of the page of an embedding says, and how it is written.
import type { Detail } from "../gl/points";
import type { Metric } from "../source/source";
import type { SelectTool } from "../views/panels/pointlasso";
import type { TableOf } from "../views/panels/pointtable";
import { joinList, splitList } from "./catalog";
import type { LegendFilter } from "./pointcolours";
import { type Change, choiceOf, numberOf, type Route } from "./route";

export const DETAILS: readonly Detail[] = ["auto", "dots", "thumbnails", "density"];
export const TOOLS: readonly SelectTool[] = ["move", "lasso", "box"];

export interface PointAddress {
  readonly query: string;
  readonly tier: string | undefined;
  /** "class", "none", "distance", "column:NAME". */
  readonly colour: string;
  readonly log: boolean;
  readonly filter: LegendFilter;
  readonly metric: Metric;
  readonly k: 10 | 50;
  readonly detail: Detail;
  readonly tool: SelectTool;
  readonly table: TableOf | null;
  readonly by: string;
  readonly page: number;
  readonly sel: string;
  readonly cam: string;
  /** The iteration that is shown; null: the end. */
  readonly iteration: number | null;
  readonly class: string | undefined;
}

export function addressOf(route: Route): PointAddress {
  const { params } = route;
  const iteration = Number(params.it ?? Number.NaN);
  const tables: readonly TableOf[] = ["all", "matches", "selection"];
  return {
    query: params.q ?? "",
    tier: params.tier,
    colour: params.colour ?? "class",
    log: params.log === "1",
    filter: {
      off: new Set(splitList(params.off)),
      on: new Set(splitList(params.on)),
      range: rangeOf(params.range),
    },
    metric: params.metric === "l2" ? "euclidean" : "cosine",
    k: params.k === "50" ? 50 : 10,
    detail: choiceOf(route, "draw", DETAILS),
    tool: choiceOf(route, "tool", TOOLS),
    table: tables.find((one) => one === params.table) ?? null,
    by: params.by ?? "",
    page: Math.max(0, Math.floor(numberOf(route, "page", 0))),
    sel: params.sel ?? "",
    cam: params.cam ?? "",
    iteration: Number.isFinite(iteration) && params.it ? iteration : null,
    class: params.class,
  };
}

function rangeOf(text: string | undefined): [number, number] | null {
  const [low = Number.NaN, high = Number.NaN] = text ? text.split("..").map(Number) : [];
  return Number.isFinite(low) && Number.isFinite(high) && low <= high ? [low, high] : null;
}

export const filterChange = ({ off, on, range }: LegendFilter): Change => ({
  off: joinList(off),
  on: joinList(on),
  range: range ? range.map((value) => Number(value.toPrecision(6))).join("..") : null,
});

/** What leaves the filter of the legend with the colours that it belongs to. */
export const NO_FILTER_CHANGE: Change = { off: null, on: null, range: null, log: null };
