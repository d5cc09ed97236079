// The tool bar of the curves: smoothing, axes, what is cut off, the tooltip, groups.
import { type Option, segmented, select, slider, toggle } from "../../lib/controls";
import { h } from "../../lib/dom";
import { boundedOf, type Change, choiceOf, type Route } from "../../lib/route";
import type { CurveOptions, Range } from "../../lib/scene";
import type { XAxis } from "../../lib/series";
import { ORDERS, type TipOrder } from "./scalartip";

const AXES: readonly XAxis[] = ["step", "relative", "wall"];
const AXIS_OPTIONS: readonly Option<XAxis>[] = [
  { value: "step", text: "Step" },
  { value: "relative", text: "Relative", title: "Time since the first point" },
  { value: "wall", text: "Wall", title: "Time of day" },
];
const ORDER_OPTIONS: readonly Option<TipOrder>[] = [
  { value: "run", text: "as the runs" },
  { value: "high", text: "highest first" },
  { value: "low", text: "lowest first" },
  { value: "near", text: "nearest first" },
];
const SMOOTHING = 0.6;
const STRONGEST = 0.999;
const CLIP_TITLE = "The y axis ends at the 5th and the 95th percentile of the points";

/** The options of all charts that are in the address. */
export function optionsOf(route: Route): CurveOptions {
  const { params } = route;
  return {
    smoothing: boundedOf(route, "smooth", SMOOTHING, 0, STRONGEST),
    axis: choiceOf(route, "x", AXES),
    logX: params.logx === "1",
    logY: params.log === "1",
    clip: params.clip === "1",
    zoom: zoomOf(params.zoom),
  };
}

export const tipOrder = (route: Route): TipOrder => choiceOf(route, "sort", ORDERS);

/** The range in `zoom=a:b`; null if it is none. */
export function zoomOf(text: string | undefined): Range | null {
  const [a, b, rest] = (text ?? "").split(":").map(Number);
  return text && rest === undefined && Number.isFinite(a) && Number.isFinite(b) && a < b ? [a, b] : null;
}

/** A range as the address has it: short, but fine enough for seconds since 1970. */
export function zoomText(range: Range | null): string | null {
  if (!range) return null;
  const digits = Math.ceil(Math.log10(Math.max(...range.map(Math.abs)) / (range[1] - range[0]))) + 5;
  const short = range.map((value) => Number(value.toPrecision(Math.max(5, Math.min(17, digits)))));
  return short.join(":");
}

export interface ToolEvents {
  readonly navigate: (change: Change, replace?: boolean) => void;
  readonly openAll: (open: boolean) => void;
}

export class ScalarTools {
  readonly elements: readonly HTMLElement[];
  readonly #smoothing;
  readonly #axis;
  readonly #logX;
  readonly #logY;
  readonly #clip;
  readonly #order;
  readonly #park;
  readonly #unzoom;
  readonly #groups;

  constructor({ navigate, openAll }: ToolEvents) {
    const flag = (label: string, key: string, value: string, title?: string) =>
      toggle(label, false, (on) => navigate({ [key]: on ? value : null }, true), title);
    this.#smoothing = slider(
      "Smoothing",
      { min: 0, max: 0.99, step: 0.01 },
      SMOOTHING,
      (value) => navigate({ smooth: value }, true),
      (value) => value.toFixed(2),
    );
    this.#axis = segmented<XAxis>("Axis", AXIS_OPTIONS, "step", (value) =>
      navigate({ x: value === "step" ? null : value, zoom: null }, true),
    );
    this.#logX = flag("Log x", "logx", "1");
    this.#logY = flag("Log y", "log", "1");
    this.#clip = flag("Clip outliers", "clip", "1", CLIP_TITLE);
    this.#order = select<TipOrder>("Tooltip", ORDER_OPTIONS, "run", (value) =>
      navigate({ sort: value === "run" ? null : value }, true),
    );
    this.#park = flag("Park tooltip", "tip", "park", "Values at the cursor stand still below the charts");
    this.#unzoom = h(
      "button",
      { type: "button", class: "button", hidden: true, onclick: () => navigate({ zoom: null }) },
      "Whole range",
    );
    const all = (text: string, open: boolean): HTMLElement =>
      h("button", { type: "button", class: "button", onclick: () => openAll(open) }, text);
    this.#groups = h("div", { class: "group-tools" }, all("Open all", true), all("Close all", false));
    const controls = [
      this.#smoothing,
      this.#axis,
      this.#logX,
      this.#logY,
      this.#clip,
      this.#order,
      this.#park,
    ];
    this.elements = [...controls.map(({ el }) => el), this.#groups, this.#unzoom];
  }

  update(route: Route, groups: number): void {
    const options = optionsOf(route);
    this.#smoothing.set(options.smoothing);
    this.#axis.set(options.axis);
    this.#logX.set(options.logX);
    this.#logY.set(options.logY);
    this.#clip.set(options.clip);
    this.#order.set(tipOrder(route));
    this.#park.set(route.params.tip === "park");
    this.#unzoom.hidden = !options.zoom;
    this.#groups.hidden = groups < 2;
  }
}
