// What both pages of PR and ROC curves share: the card of a plot with its downloads, the corner that is shown, the reading.
import { h } from "../../lib/dom";
import { download, pngOf, type SaveItem, saveMenu } from "../../lib/download";
import type { UnitPlot } from "../../lib/unitplot";
import { unitSvg } from "../../lib/unitsvg";
import type { NumberArray } from "../../source/source";

export const RANGES = ["full", "corner"] as const;
const CORNERS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** A card with a plot and a menu that saves it; `name` begins the names of the files. */
export function plotCard(
  title: string,
  plot: UnitPlot,
  name: () => string,
  ...more: SaveItem[]
): HTMLElement {
  const file = (): string => `${name()}-${title === "ROC" ? "roc" : "pr"}`;
  const svg = (): string => unitSvg({ title: `${name()} · ${title}`, ...plot.names, ...plot.shown });
  const menu = saveMenu(
    [
      { label: "PNG", save: async () => download(`${file()}.png`, await pngOf(plot.canvas)) },
      { label: "SVG", save: () => download(`${file()}.svg`, svg(), "image/svg+xml") },
      ...more,
    ],
    `Save ${title}`,
  );
  return h(
    "article",
    { class: "card", "aria-label": title },
    h("header", { class: "card-head" }, h("h3", {}, title), menu),
    plot.el,
  );
}

/** How far a curve stays from the perfect corner: at its best point, the larger of its two faults. */
export function gapOf(recall: NumberArray, other: NumberArray, precision: boolean): number {
  let least = 1;
  for (let i = 0; i < recall.length; i++) {
    const fault = precision ? 1 - other[i] : other[i];
    const larger = Math.max(1 - recall[i], fault);
    if (larger < least) least = larger;
  }
  return least;
}

/** The side of a corner that holds the bend of all curves. */
export const corner = (gaps: readonly number[]): number =>
  CORNERS.find((side) => side >= 2 * Math.max(...gaps)) ?? 1;

type Rows = readonly (readonly [name: string, value: string])[];

/** A tooltip of names and values. */
export const reading = (title: string, rows: Rows): HTMLElement[] => [
  h("h4", {}, title),
  h(
    "table",
    { class: "num" },
    h(
      "tbody",
      {},
      ...rows.map(([name, value]) =>
        h("tr", {}, h("td", { class: "muted" }, name), h("td", { class: "strong" }, value)),
      ),
    ),
  ),
];

/** The same in a sentence. */
export const said = (title: string, rows: Rows): string =>
  `${title}: ${rows.map(([name, value]) => `${name} ${value}`).join(", ")}`;
