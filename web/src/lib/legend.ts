// A colour map with the numbers at its ends.
import { type ColourMap, gradient } from "./colour";
import { h } from "./dom";
import { number } from "./format";

/** The bar of a map from `low` to `high`; a diverging one names its zero. */
export function colourBar(
  map: ColourMap | "diverging",
  low: number,
  high: number,
  label: string,
): HTMLElement {
  const ends = map === "diverging" ? [low, 0, high] : [low, high];
  return h(
    "div",
    {
      class: "colour-bar",
      role: "img",
      "aria-label": `${label}: colours from ${number(low)} to ${number(high)}`,
    },
    h("span", { class: "caption" }, label),
    h(
      "div",
      {},
      h("i", { style: { background: gradient(map) } }),
      h("div", { class: "bar-ends num" }, ...ends.map((end) => h("span", {}, number(end, 3)))),
    ),
  );
}

/** The grey ramp of colour filters and projections: mid-grey is zero. */
export function greyBar(scale: number, label: string): HTMLElement {
  return h(
    "div",
    {
      class: "colour-bar",
      role: "img",
      "aria-label": `${label}: mid-grey is zero, black −${number(scale)}, white ${number(scale)}`,
    },
    h("span", { class: "caption" }, label),
    h(
      "div",
      {},
      h("i", { style: { background: "linear-gradient(90deg, #000, #808080, #fff)" } }),
      h("div", { class: "bar-ends num" }, ...[-scale, 0, scale].map((end) => h("span", {}, number(end, 3)))),
    ),
  );
}
