// Two classes against each other: a dot a filter, how much the rankings agree, and the filters that matter to only one of both.
import { h, put } from "../../lib/dom";
import { number } from "../../lib/format";
import { type Apart, apartOf, type ImportanceData } from "../../lib/importancedata";
import { fallsMost, ranks } from "../../lib/ranks";
import { spearman } from "../../lib/spearman";
import type { Tooltip } from "../../lib/tooltip";
import type { NumberArray } from "../../source/source";
import { dotLines, RankScatter } from "./rankscatter";

const MOST = 5;

export interface Compared {
  readonly data: ImportanceData;
  /** What the measure is called. */
  readonly name: string;
  readonly one: NumberArray;
  readonly other: NumberArray;
  readonly names: readonly [string, string];
  readonly chosen: number;
}

export class ImportanceCompare {
  readonly el = h("section", { class: "importance-compare", "aria-label": "Comparison", hidden: true });
  readonly #scatter: RankScatter;
  readonly #said = h("p");
  readonly #lists = h("div", { class: "apart-lists" });

  constructor(
    tooltip: Tooltip,
    private readonly open: (filter: number) => void,
  ) {
    this.#scatter = new RankScatter(tooltip, open);
    put(this.el, this.#scatter.el, h("div", { class: "apart" }, this.#said, this.#lists));
  }

  hide(): void {
    this.el.hidden = true;
  }

  destroy(): void {
    this.#scatter.destroy();
  }

  /** Spearman's rank correlation. */
  correlation(one: NumberArray, other: NumberArray): number {
    const rows = Array.from(one.keys());
    return spearman(Array.from(one), Array.from(other), rows).rho;
  }

  show({ data, name, one, other, names, chosen }: Compared): void {
    this.el.hidden = false;
    const rho = this.correlation(one, other);
    this.#scatter.show({
      label: `${name} of ${one.length} filters for ${names[0]} (across) and ${names[1]} (up); Spearman's ρ ${number(rho, 3)}`,
      x: one,
      y: other,
      names,
      chosen,
      lines: (o) => dotLines(`filter ${o}`, names, one[o], other[o]),
    });
    put(
      this.#said,
      h("b", {}, `Spearman's ρ = ${number(rho, 3)}`),
      ` ${agreement(rho)} On the dashed line a filter has the same ${name} for both.`,
    );
    const [here, there] = [ranks(one), ranks(other)];
    put(
      this.#lists,
      this.#list(
        `Matter to ${names[0]}, less to ${names[1]}`,
        apartOf(fallsMost(here, there, MOST), one, other),
        data,
      ),
      this.#list(
        `Matter to ${names[1]}, less to ${names[0]}`,
        apartOf(fallsMost(there, here, MOST), other, one),
        data,
      ),
    );
  }

  #list(title: string, found: readonly Apart[], data: ImportanceData): HTMLElement {
    const items = found.map(({ filter, here, there }) =>
      h(
        "li",
        {},
        h("button", { type: "button", class: "link", onclick: () => this.open(filter) }, `filter ${filter}`),
        h("span", { class: "num muted" }, ` rank ${here}, there ${there} of ${data.filters}`),
      ),
    );
    return h(
      "section",
      {},
      h("h3", {}, title),
      items.length ? h("ol", {}, ...items) : h("p", { class: "muted" }, "None: the rankings are the same."),
    );
  }
}

/** How much two rankings agree, in a sentence. */
export function agreement(rho: number): string {
  if (Number.isNaN(rho)) return "One of both is the same for all filters.";
  if (rho >= 0.9) return "Both classes use nearly the same filters.";
  if (rho >= 0.5) return "Both classes use mostly the same filters.";
  if (rho > -0.2) return "Which filters matter to one says little about the other.";
  return "What matters to one tends not to matter to the other.";
}
