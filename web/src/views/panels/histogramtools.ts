// The tool bar of the histograms, and what the address says of them.
import { type Control, type Option, segmented, toggle } from "../../lib/controls";
import { BASIS, PLAIN } from "../../lib/distribution";
import { h } from "../../lib/dom";
import { THRESHOLDS, type Thresholds } from "../../lib/gradients";
import { type Change, choiceOf, numberOf, type Route } from "../../lib/route";
import type { XAxis } from "../../lib/series";
import { stepOf } from "../../lib/stepbar";
import type { CardOptions, Mode } from "./histogramcard";

const MODES: readonly Option<Mode>[] = [
  { value: "ridges", text: "Ridges", title: "A ridge a step, the newest in front" },
  { value: "heat", text: "Heat map", title: "Counts as colours, time from left to right" },
  { value: "bands", text: "Quantiles", title: "The median within bands of quantiles" },
  { value: "compare", text: "Runs", title: "Medians of all shown runs in one figure, with the central 68 %" },
];
const AXES: readonly Option<XAxis>[] = [
  { value: "step", text: "Step" },
  { value: "relative", text: "Relative", title: "Time since the first histogram" },
  { value: "wall", text: "Wall", title: "Time of day" },
];
type Bands = "plain" | "tensorboard";
const BANDS: readonly Option<Bands>[] = [
  { value: "plain", text: "5–95 %", title: "Quantiles at 5, 16, 50, 84 and 95 %" },
  {
    value: "tensorboard",
    text: "TensorBoard's",
    title: "Min, 6.68, 15.87, 30.85, 50, 69.15, 84.13, 93.32 %, max",
  },
];

const values = <T extends string>(options: readonly Option<T>[]): T[] => options.map(({ value }) => value);

/** The options that the address asks for. */
export function optionsOf(route: Route, dark: boolean): CardOptions {
  return {
    mode: choiceOf(route, "mode", values(MODES)),
    axis: choiceOf(route, "x", values(AXES)),
    shares: choiceOf(route, "bands", values(BANDS)) === "plain" ? PLAIN : BASIS,
    logCounts: route.params.logn === "1",
    logValues: route.params.logv === "1",
    step: stepOf(route),
    dark,
  };
}

/** The thresholds of the marks; what is no number, or below zero, is as if it were not there. */
export function thresholdsOf(route: Route): Thresholds {
  const of = (key: keyof Thresholds): number => {
    const value = numberOf(route, key, THRESHOLDS[key]);
    return value >= 0 ? value : THRESHOLDS[key];
  };
  return { vanish: of("vanish"), floor: of("floor"), explode: of("explode") };
}

export class HistogramTools {
  readonly el: HTMLElement;
  readonly #mode: Control<Mode>;
  readonly #axis: Control<XAxis>;
  readonly #bands: Control<Bands>;
  readonly #logCounts: Control<boolean>;
  readonly #logValues: Control<boolean>;

  constructor(change: (change: Change) => void) {
    const choice = (key: string, first: string) => (value: string) =>
      change({ [key]: value === first ? null : value });
    this.#mode = segmented("Figure", MODES, "ridges", choice("mode", "ridges"));
    this.#axis = segmented("Time", AXES, "step", choice("x", "step"));
    this.#bands = segmented("Bands", BANDS, "plain", choice("bands", "plain"));
    const on = (key: string) => (yes: boolean) => change({ [key]: yes ? 1 : null });
    this.#logCounts = toggle("Log counts", false, on("logn"), "Counts on a logarithmic axis");
    this.#logValues = toggle(
      "Log values",
      false,
      on("logv"),
      "Values on an axis that is even up to a tenth of the usual RMS and logarithmic beyond, on both sides of zero",
    );
    const controls = [this.#mode, this.#axis, this.#bands, this.#logCounts, this.#logValues];
    this.el = h("div", { class: "histogram-tools" }, ...controls.map(({ el }) => el));
  }

  set({ mode, axis, shares, logCounts, logValues }: CardOptions): void {
    this.#mode.set(mode);
    this.#axis.set(axis);
    this.#bands.set(shares === PLAIN ? "plain" : "tensorboard");
    this.#logCounts.set(logCounts);
    this.#logValues.set(logValues);
    this.#bands.el.hidden = mode !== "bands";
    this.#logCounts.el.hidden = mode === "compare";
  }
}
