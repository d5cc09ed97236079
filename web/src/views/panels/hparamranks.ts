// Spearman's rank correlation of each hyper-parameter with each metric, over the runs that pass the filters.
import { h, put } from "../../lib/dom";
import { count } from "../../lib/format";
import type { Column } from "../../lib/hparams";
import type { HActions, HState } from "../../lib/hparamstate";
import { type Correlation, isRankable, Ranked } from "../../lib/spearman";

const METRICS = 6;
const HPARAMS = 60;
const PAUSE_MS = 120;

const DEFINED =
  "Spearman's ρ: Pearson's correlation of the ranks over the n runs that pass the filters and have both values. Ties get their mean rank, false and true count as 0 and 1, infinities as the largest or smallest; NaN is left out, texts have no rank. Fewer than three runs, or a constant: –.";

export class HparamRanks {
  readonly #table = h("div", {
    class: "rank-scroll",
    tabindex: 0,
    role: "region",
    "aria-label": "Rank correlations",
  });
  readonly #note = h("p", { class: "muted" });
  readonly el = h("div", { class: "hparam-ranks" }, h("h3", {}, "Rank correlation"), this.#note, this.#table);
  #timer = 0;
  #known: { rows: readonly number[]; columns: readonly Column[]; marked: string } | undefined;

  constructor(private readonly actions: HActions) {}

  /** While a filter is dragged the numbers wait. */
  show(state: HState): void {
    clearTimeout(this.#timer);
    if (this.#known) this.#timer = window.setTimeout(() => this.#update(state), PAUSE_MS);
    else this.#update(state);
  }

  destroy(): void {
    clearTimeout(this.#timer);
  }

  #update(state: HState): void {
    const { rows } = state;
    const all = state.columns.filter(isRankable);
    const metrics = metricsOf(all, state.y);
    const hparams = all.filter(({ role }) => role === "hparam").slice(0, HPARAMS);
    const columns = [...hparams, ...metrics];
    const marked = `${state.x?.key}\n${state.y?.key}`;
    if (this.#known && sameAs(this.#known, rows, columns, marked)) return;
    this.#known = { rows: [...rows].sort((a, b) => a - b), columns, marked };
    const left = state.columns.filter(({ role }) => role === "hparam").length - hparams.length;
    put(
      this.#note,
      DEFINED,
      left > 0 && ` Without a rank or constant, and so not listed: ${count(left)} of the columns.`,
    );
    if (!hparams.length || !metrics.length) {
      put(this.#table, h("p", {}, "No two columns of numbers that differ between runs are shown."));
      return;
    }
    this.#draw(state, hparams, metrics);
  }

  #draw(state: HState, hparams: readonly Column[], metrics: readonly Column[]): void {
    const sorted = [...state.rows].sort((a, b) => a - b);
    const prepared = new Map([...hparams, ...metrics].map((one) => [one, new Ranked(one.cells, sorted)]));
    const between = (a: Column, b: Column): Correlation =>
      (prepared.get(a) as Ranked).with(prepared.get(b) as Ranked);
    const lines = hparams.map((hparam) => ({
      hparam,
      found: metrics.map((metric) => between(hparam, metric)),
    }));
    const strength = ({ found }: (typeof lines)[number]): number => Math.abs(found[0].rho) || 0;
    lines.sort((a, b) => strength(b) - strength(a));
    put(
      this.#table,
      h(
        "table",
        { class: "rank-table" },
        h(
          "caption",
          { class: "visually-hidden" },
          "Rank correlation ρ and number of runs n; strongest first",
        ),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "hyper-parameter"),
            ...metrics.map(({ name }) => h("th", { scope: "col", title: name }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          ...lines.map(({ hparam, found }) =>
            h(
              "tr",
              {},
              h("th", { scope: "row", title: hparam.name }, hparam.name),
              ...found.map((one, i) => this.#cell(state, hparam, metrics[i], one)),
            ),
          ),
        ),
      ),
    );
  }

  #cell(state: HState, x: Column, y: Column, { rho, n }: Correlation): HTMLElement {
    const text = Number.isNaN(rho) ? "–" : rho.toFixed(2).replace("-", "−");
    const tint = Number.isNaN(rho) ? 0 : Math.round(38 * Math.abs(rho));
    return h(
      "td",
      { style: { "--tint": `${tint}%`, "--sign": rho < 0 ? "var(--warn)" : "var(--accent)" } },
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(state.x === x && state.y === y),
          title: `Plot ${y.name} over ${x.name}`,
          onclick: () => this.actions.navigate({ x: x.key, y: y.key }),
        },
        h("b", { class: "num" }, text),
        h("span", { class: "num" }, `n ${count(n)}`),
      ),
    );
  }
}

/** The metric that is plotted first. */
function metricsOf(columns: readonly Column[], y: Column | undefined): Column[] {
  const metrics = columns.filter(({ role }) => role === "metric");
  return [...metrics.filter((one) => one === y), ...metrics.filter((one) => one !== y)].slice(0, METRICS);
}

function sameAs(
  known: { rows: readonly number[]; columns: readonly Column[]; marked: string },
  rows: readonly number[],
  columns: readonly Column[],
  marked: string,
): boolean {
  if (known.marked !== marked || known.rows.length !== rows.length || known.columns.length !== columns.length)
    return false;
  const before = new Set(known.rows);
  return columns.every((column, i) => column === known.columns[i]) && rows.every((row) => before.has(row));
}
