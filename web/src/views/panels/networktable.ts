// The architecture as a table, as papers print it: what each layer is, what it sees and what it costs.
import { h, put } from "../../lib/dom";
import { count, plural, times } from "../../lib/format";
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

/** A layer, and the pages about it. */
export interface TableRow {
  readonly layer: LayerRow;
  readonly pages: readonly PageLink[];
}

export class NetworkTable {
  readonly #scroll = h("div", {
    class: "table-scroll",
    tabindex: 0,
    role: "region",
    "aria-label": "Table of layers",
  });
  readonly #below = h("p", { class: "muted" });
  readonly el = h("div", { class: "network-rows" }, this.#scroll, this.#below);
  #made = "";

  constructor(private readonly choose: (layer: string) => void) {}

  /** Show these rows of so many layers; made anew only if they are others, so that place and focus stay. */
  show(rows: readonly TableRow[], of: number, chosen: string): void {
    const made = JSON.stringify(rows);
    if (made !== this.#made) {
      const focused = this.#scroll.contains(document.activeElement)
        ? document.activeElement?.closest("tr")?.dataset.layer
        : undefined;
      this.#make(rows);
      put(this.#below, `${plural(rows.length, "row")} of ${plural(of, "layer")}.`);
      if (focused) this.focus(focused);
    }
    this.#made = made;
    for (const row of this.#rows()) row.setAttribute("aria-current", String(row.dataset.layer === chosen));
  }

  reveal(layer: string): void {
    this.#row(layer)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  focus(layer: string): void {
    this.#row(layer)?.querySelector("button")?.focus();
  }

  #rows = (): readonly HTMLElement[] => [...this.#scroll.querySelectorAll<HTMLElement>("tr[data-layer]")];
  #row = (layer: string): HTMLElement | undefined => this.#rows().find((row) => row.dataset.layer === layer);

  #make(rows: readonly TableRow[]): void {
    put(
      this.#scroll,
      h(
        "table",
        { class: "network-table" },
        h("caption", { class: "visually-hidden" }, "Layers in the order in which they are executed"),
        h("thead", {}, h("tr", {}, ...HEAD.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, ...rows.map((row) => this.#line(row))),
      ),
    );
  }

  #line({ layer, pages }: TableRow): HTMLElement {
    const number = (...text: string[]): HTMLElement => h("td", { class: "num" }, ...text);
    const amount = (value: number): HTMLElement =>
      h("td", { class: "num", title: count(value) }, value ? amountOf(value) : "");
    return h(
      "tr",
      { "data-layer": layer.name },
      h(
        "th",
        { scope: "row" },
        h("button", { type: "button", onclick: () => this.choose(layer.name) }, layer.name),
      ),
      h("td", {}, layer.kind),
      number(layer.kernel.length && layer.kind.startsWith("Conv") ? count(layer.shape[0]) : ""),
      number(times(...layer.kernel)),
      number(sides(layer.stride)),
      number(sides(layer.padding)),
      number(times(...layer.shape)),
      h("td", { class: "num", title: layer.field.reason }, fieldText(layer)),
      amount(layer.parameters),
      amount(layer.macs),
      h("td", {}, ...pages.map(({ text, href }) => h("a", { href, class: "page-link" }, text))),
    );
  }
}

/** One number where both sides are alike. */
const sides = (pair: readonly number[]): string =>
  pair.length === 0 ? "" : pair.every((one) => one === pair[0]) ? count(pair[0]) : times(...pair);

/** "11 × 11, step 4", or why it is the whole image. */
export function fieldText({ field }: LayerRow): string {
  if (field.reason) return "whole image";
  return `${times(...field.size)}, step ${sides(field.stride)}`;
}
