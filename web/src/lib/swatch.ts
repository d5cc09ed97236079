// How a line looks, beside its name: a dot, or a piece of the dashed line, so that colour alone is not what tells lines apart.
import { s } from "./dom";
import { dot } from "./frame";

export interface LineLook {
  readonly colour: string;
  readonly dash: readonly number[];
}

export function swatch({ colour, dash }: LineLook): Element {
  if (!dash.length) return dot(colour);
  const line = s("path", {
    d: "M0 4h20",
    stroke: colour,
    "stroke-width": 2.4,
    "stroke-dasharray": dash.join(" "),
  });
  return s("svg", { class: "swatch", viewBox: "0 0 20 8", "aria-hidden": "true" }, line);
}
