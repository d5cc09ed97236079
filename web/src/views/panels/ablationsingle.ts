// What a layer loses with only one of its filters zeroed: ranked bars, a grid, a table, overall or for one class.
import { type AblationData, baselineOf, classCurve } from "../../lib/ablationdata";
import { h, put } from "../../lib/dom";
import { number } from "../../lib/format";
import { usualColumns } from "../../lib/importancedata";
import { largestFirst, rangeOf, ranks } from "../../lib/ranks";
import type { Tooltip } from "../../lib/tooltip";
import { shareText } from "./ablationcurves";
import { BarStrip } from "./barstrip";
import { CellGrid, gridBar } from "./cellgrid";
import type { Column } from "./rowtable";

const HEIGHT = 96;

/** How much accuracy goes with each filter alone, overall or for class `k`; undefined while it is not here or was not measured. */
export function dropsOf(data: AblationData, k: number): Float64Array | undefined {
  if (!data.single) return undefined;
  if (k < 0) {
    const base = baselineOf(data);
    return Float64Array.from(data.single, (accuracy) => base - accuracy);
  }
  const start = data.removed.indexOf(0);
  const base = data.curves
    .map((_, q) => classCurve(data, q, k)?.[start] ?? Number.NaN)
    .find((y) => !Number.isNaN(y));
  const rows = Array.from({ length: data.filters }, (_, c) => data.singleClass?.have(c)?.[k]);
  if (base === undefined || rows.some((row) => row === undefined)) return undefined;
  return Float64Array.from(rows, (accuracy) => base - (accuracy ?? Number.NaN));
}

export interface SingleContent {
  readonly data: AblationData;
  readonly drops: Float64Array;
  /** Of what: "all classes", or a class. */
  readonly of: string;
  readonly chosen: number;
  readonly found: ReadonlySet<number>;
}

export class SingleAblation {
  readonly #strip: BarStrip;
  readonly #grid: CellGrid;
  readonly #head = h("header", { class: "row-table-head" });
  readonly el: HTMLElement;

  constructor(tooltip: Tooltip, open: (filter: number) => void) {
    this.#strip = new BarStrip(HEIGHT, tooltip, open);
    this.#grid = new CellGrid(tooltip, open);
    this.el = h(
      "section",
      { class: "study-stack", "aria-label": "Single filters" },
      this.#head,
      this.#strip.el,
      this.#grid.el,
    );
  }

  show({ data, drops, of, chosen, found }: SingleContent): void {
    const { low, high } = rangeOf(drops);
    const most = Math.max(Math.abs(low), Math.abs(high));
    const scale = { low: -most, high: most };
    const rank = ranks(drops);
    const measured = drops.filter((drop) => !Number.isNaN(drop)).length;
    const rest = measured < data.filters ? `, ${measured} of ${data.filters} measured` : "";
    put(
      this.#head,
      h("h3", {}, `One filter zeroed: accuracy lost, ${of}`),
      h(
        "span",
        { class: "muted num" },
        `${shareText(low, "accuracy")} … ${shareText(high, "accuracy")}${rest}`,
      ),
      gridBar(scale, "drop"),
    );
    this.#strip.show({
      label: `Accuracy lost with one filter zeroed, ${of}, the largest loss first`,
      values: drops,
      order: largestFirst(drops),
      names: ["drop"],
      chosen,
      item: (o) => `filter ${o}`,
    });
    this.#grid.show({
      label: `Accuracy lost with one filter zeroed, ${of}`,
      values: drops,
      order: Array.from(drops.keys()),
      columns: Math.min(usualColumns(data.filters), data.filters),
      scale,
      chosen,
      found,
      lines: (o) => [`filter ${o}`, `drop ${number(drops[o])}`, `rank ${rank[o]} of ${data.filters}`],
    });
  }

  destroy(): void {
    this.#strip.destroy();
    this.#grid.destroy();
  }
}

/** A row a filter: accuracy without it and how much is lost. */
export function singleColumns(
  data: AblationData,
  drops: Float64Array,
  href: (o: number) => string | undefined,
): Column[] {
  const rank = ranks(drops);
  return [
    {
      name: "filter",
      value: (o) => o,
      cell: (o) => {
        const to = href(o);
        return to ? h("a", { href: to }, o) : o;
      },
    },
    {
      name: "overall",
      title: "Accuracy with only this filter zeroed",
      value: (o) => data.single?.[o] ?? Number.NaN,
      cell: (o) => shareText(data.single?.[o] ?? Number.NaN, "accuracy"),
    },
    {
      name: "drop",
      title: "How much accuracy is lost",
      value: (o) => drops[o],
      cell: (o) => shareText(drops[o], "accuracy"),
    },
    { name: "rank", value: (o) => rank[o], cell: (o) => rank[o] },
  ];
}
