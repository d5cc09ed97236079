// The tool bar of feature maps: layer, values, scale, order, overlay.
import { type Control, type Option, segmented, select, slider } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { percent } from "../../lib/format";
import type { MapsData } from "../../lib/mapsdata";

export const SCALES = ["layer", "own"] as const;

const SORTS: readonly Option<string>[] = [
  { value: "index", text: "Index" },
  { value: "mean", text: "Mean", title: "Largest mean first" },
  { value: "max", text: "Max", title: "Largest value first" },
  { value: "sparsity", text: "Sparsity", title: "Channels that are rarely above zero first" },
];
const ORDERS: Readonly<Record<string, Option<string>>> = {
  pca: { value: "pca", text: "PCA", title: "By the first principal component: like maps stand together" },
};

/** What maps can be sorted by: their numbers, and the orders that were recorded with them. */
export const sortsOf = (data: MapsData): Option<string>[] => [
  ...SORTS,
  ...[...data.orders.keys()].map((value) => ORDERS[value] ?? { value, text: value }),
];

export interface ToolState {
  readonly layers: readonly string[];
  readonly layer: string;
  readonly sorts: readonly Option<string>[];
  readonly sort: string;
  readonly scale: (typeof SCALES)[number];
  /** The non-linearity whose output can be shown, empty if there is none. */
  readonly nonlinearity: string;
  readonly after: boolean;
  readonly overlay: number;
  /** Whether one map is shown alone. */
  readonly one: boolean;
}

/** Called with the value for the address, null for the usual one. */
type Change = (value: string | number | null) => void;

export interface ToolEvents {
  readonly layer: (layer: string) => void;
  readonly sort: Change;
  readonly scale: Change;
  readonly after: Change;
  readonly overlay: Change;
}

export class MapTools {
  readonly el = h("div", { class: "map-tools" });
  readonly #scale: Control<(typeof SCALES)[number]>;
  readonly #overlay: ReturnType<typeof slider>;
  #layer: Control<string> | undefined;
  #values: Control<"before" | "after"> | undefined;
  #sort: Control<string> | undefined;
  #made = "";

  constructor(private readonly on: ToolEvents) {
    this.#scale = segmented(
      "Scale",
      [
        { value: "layer", text: "Layer", title: "One scale for all maps: pale maps are weak" },
        { value: "own", text: "Each", title: "Every map stretched to its own range" },
      ],
      "layer",
      (value) => on.scale(value === "layer" ? null : value),
    );
    const range = { min: 0, max: 1, step: 0.05 };
    this.#overlay = slider("Overlay", range, 0, (value) => on.overlay(value || null), percent);
  }

  show(state: ToolState): void {
    const key = JSON.stringify([state.layers, state.sorts, state.nonlinearity, state.one]);
    if (key !== this.#made) this.#make(state);
    this.#made = key;
    this.#layer?.set(state.layer);
    this.#values?.set(state.after ? "after" : "before");
    this.#scale.set(state.scale);
    this.#sort?.set(state.sort);
    this.#overlay.set(state.overlay);
  }

  /** Give the choice of layers the focus. */
  focus(): void {
    this.#layer?.el.querySelector("select")?.focus();
  }

  /** The controls that depend on what is recorded. */
  #make({ layers, layer, sorts, nonlinearity, one }: ToolState): void {
    const names = layers.map((value) => ({ value, text: value }));
    this.#layer = select("Layer", names, layer, this.on.layer);
    this.#values = segmented<"before" | "after">(
      "Values",
      [
        { value: "before", text: "Before", title: "What the layer itself puts out" },
        { value: "after", text: `After ${nonlinearity}`, title: "What its non-linearity makes of it" },
      ],
      "before",
      (value) => this.on.after(value === "after" ? 1 : null),
    );
    this.#sort = segmented("Sort", sorts, "index", (value) => this.on.sort(value === "index" ? null : value));
    put(
      this.el,
      this.#layer.el,
      nonlinearity && this.#values.el,
      this.#scale.el,
      one ? this.#overlay.el : this.#sort.el,
    );
  }
}
