// The architecture as a table, as papers print it: what each layer is, what it sees and what it costs.
import { h } from "../../lib/dom";
import { count, times } from "../../lib/format";
import type { LayerRow } from "../../lib/network";
import { amountOf } from "./networkgraph";

/** A page about a layer. */
export interface PageLink {
  readonly text: string;
  readonly href: string;
}

const HEAD = [
  "layer",
  "kind",
  "filters",
  "kernel",
  "stride",
  "padding",
  "map",
  "receptive field",
  "parameters",
  "multiply-adds",
  "pages",
];

export function networkTable(
  layers: readonly LayerRow[],
  chosen: string,
  choose: (layer: string) => void,
  pages: (layer: string) => readonly PageLink[],
): HTMLElement {
  const row = (layer: LayerRow): HTMLElement =>
    h(
      "tr",
      { "aria-current": String(layer.name === chosen), "data-layer": layer.name },
      h(
        "th",
        { scope: "row" },
        h("button", { type: "button", onclick: () => choose(layer.name) }, layer.name),
      ),
      h("td", {}, layer.kind),
      h(
        "td",
        { class: "num" },
        layer.kernel.length && layer.kind.startsWith("Conv") ? count(layer.shape[0]) : "",
      ),
      h("td", { class: "num" }, times(...layer.kernel)),
      h("td", { class: "num" }, sides(layer.stride)),
      h("td", { class: "num" }, sides(layer.padding)),
      h("td", { class: "num" }, times(...layer.shape)),
      h("td", { class: "num", title: layer.field.reason }, fieldText(layer)),
      h(
        "td",
        { class: "num", title: count(layer.parameters) },
        layer.parameters ? amountOf(layer.parameters) : "",
      ),
      h("td", { class: "num", title: count(layer.macs) }, layer.macs ? amountOf(layer.macs) : ""),
      h("td", {}, ...pages(layer.name).map(({ text, href }) => h("a", { href, class: "page-link" }, text))),
    );
  return h(
    "div",
    { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Table of layers" },
    h(
      "table",
      { class: "network-table" },
      h("caption", { class: "visually-hidden" }, "Layers in the order in which they are executed"),
      h("thead", {}, h("tr", {}, ...HEAD.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...layers.map(row)),
    ),
  );
}

/** One number where both sides are alike. */
const sides = (pair: readonly number[]): string =>
  pair.length === 0 ? "" : pair.every((one) => one === pair[0]) ? count(pair[0]) : times(...pair);

/** "11 × 11, step 4", or why it is the whole image. */
export function fieldText({ field }: LayerRow): string {
  if (field.reason) return "whole image";
  return `${times(...field.size)}, step ${sides(field.stride)}`;
}
