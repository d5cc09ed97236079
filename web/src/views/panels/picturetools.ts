// The tools of the page of pictures: how large, how bright, in which order.
import { type Control, segmented, slider } from "../../lib/controls";
import { h } from "../../lib/dom";
import { boundedOf, type Route } from "../../lib/route";
import type { ViewState } from "../view";
import { type CardLayout, layoutOf } from "./steppage";

const SIZE = { min: 64, max: 640, step: 16 };
const USUAL_SIZE = 224;
const LIGHT = { min: 0, max: 400, step: 5 };
const USUAL = 100;

export const sizeOf = (route: Route): number => boundedOf(route, "size", USUAL_SIZE, SIZE.min, SIZE.max);

const brightOf = (route: Route): number => boundedOf(route, "bright", USUAL, LIGHT.min, LIGHT.max);
const contrastOf = (route: Route): number => boundedOf(route, "contrast", USUAL, LIGHT.min, LIGHT.max);

/** The CSS filter for what the address asks for. */
export function filterOf(route: Route): string {
  const [bright, contrast] = [brightOf(route), contrastOf(route)];
  return bright === USUAL && contrast === USUAL ? "none" : `brightness(${bright}%) contrast(${contrast}%)`;
}

/** Sliders of brightness and contrast, and the way back. */
export class LightTools {
  readonly el: HTMLElement;
  readonly #bright: Control<number>;
  readonly #contrast: Control<number>;
  readonly #reset: HTMLButtonElement;

  constructor(private readonly state: () => ViewState) {
    const text = (value: number): string => `${value} %`;
    this.#bright = slider("Brightness", LIGHT, USUAL, (value) => this.#set("bright", value), text);
    this.#contrast = slider("Contrast", LIGHT, USUAL, (value) => this.#set("contrast", value), text);
    const reset = (): void => this.state().navigate({ bright: null, contrast: null });
    this.#reset = h("button", { type: "button", class: "button", onclick: reset }, "Reset light");
    this.el = h("div", { class: "light-tools" }, this.#bright.el, this.#contrast.el, this.#reset);
  }

  update(route: Route): void {
    this.#bright.set(brightOf(route));
    this.#contrast.set(contrastOf(route));
    this.#reset.disabled = filterOf(route) === "none";
  }

  #set(key: string, value: number): void {
    this.state().navigate({ [key]: value === USUAL ? null : value }, true);
  }
}

/** Whether cards stand one after the other, or the runs of a tag beside each other. */
export function layoutTool(state: () => ViewState): Control<CardLayout> {
  return segmented<CardLayout>(
    "Order",
    [
      { value: "cards", text: "Cards" },
      { value: "runs", text: "Runs side by side", title: "One row a tag, its runs beside each other" },
    ],
    "cards",
    (by) => state().navigate({ by: by === "cards" ? null : by }),
  );
}

export class PictureTools {
  readonly parts: readonly HTMLElement[];
  readonly #layout: Control<CardLayout>;
  readonly #size: Control<number>;
  readonly #light: LightTools;

  constructor(private readonly state: () => ViewState) {
    this.#layout = layoutTool(state);
    this.#size = slider(
      "Size",
      SIZE,
      USUAL_SIZE,
      (size) => this.state().navigate({ size: size === USUAL_SIZE ? null : size }, true),
      (size) => `${size} px`,
    );
    this.#light = new LightTools(state);
    this.parts = [this.#layout.el, this.#size.el, this.#light.el];
  }

  update(route: Route): void {
    this.#layout.set(layoutOf(route));
    this.#size.set(sizeOf(route));
    this.#light.update(route);
  }
}
