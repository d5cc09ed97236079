// Which class was taken for which: a heat map of counts with names, and how well each class is recognised.

import {
  accuracy,
  type ConfusionData,
  columnSums,
  fetchConfusion,
  mistakes,
  precisions,
  recalls,
  rowSums,
} from "../lib/confusion";
import { toggle } from "../lib/controls";
import { h, isTyping, put } from "../lib/dom";
import { count, number } from "../lib/format";
import { hiddenTable } from "../lib/frame";
import { type Cell, HeatMap } from "../lib/heatmap";
import { type About, mounting, RecordView } from "../lib/recordview";
import { Tooltip } from "../lib/tooltip";
import type { Source } from "../source/source";
import type { Mount, ViewState } from "./view";

const MOST_LISTED = 8;
const MOST_IN_TABLE = 40;

const ABOUT: About<ConfusionData> = {
  kind: "confusion_matrix",
  view: "Confusion",
  explain:
    "Rows are true classes, columns what they were taken for. Right answers are on the diagonal, in one colour; mistakes have another, up to the most frequent one.",
  nothing: [
    "No confusion matrix yet",
    "Log one with SummaryWriter.add_confusion_matrix, or run the demonstration:",
    "convscope demo",
  ],
  fetch: fetchConfusion,
};

class ConfusionView extends RecordView<ConfusionData> {
  readonly #tooltip = new Tooltip();
  readonly #map = new HeatMap((cell, at) => this.#point(cell, at));
  readonly #panel = h("div", { class: "class-panel card" });
  readonly #table = h("div");
  readonly #rows = toggle(
    "Share of the row",
    false,
    (on) => this.set({ norm: on ? 1 : null }),
    "Colours and numbers are shares of each true class, so that rare classes count as much as frequent ones",
  );

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
  }

  override destroy(): void {
    super.destroy();
    this.#map.destroy();
    this.#tooltip.destroy();
  }

  protected paint(data: ConfusionData, run: string): void {
    const byRow = this.state.route.params.norm === "1";
    this.note();
    this.#rows.set(byRow);
    if (!this.#rows.el.isConnected) put(this.frame.tools, this.#rows.el, this.player.el);
    this.#head(data, run);
    if (!this.#panel.isConnected)
      put(
        this.frame.body,
        h("div", { class: "confusion-layout" }, h("div", { class: "card" }, this.#map.el), this.#panel),
        this.#table,
      );
    this.#map.show(data, byRow, (this.state.route.params.q ?? "").toLocaleLowerCase());
    this.#list(data);
    put(this.#table, this.#hidden(data));
  }

  #head(data: ConfusionData, run: string): void {
    const total = data.counts.reduce((sum, value) => sum + value, 0);
    const share = accuracy(data);
    this.head(run, {
      tag: data.record.tag,
      step: `step ${count(data.record.step)}`,
      facts: [
        { name: "accuracy", value: number(share), title: "The share that was named rightly" },
        { name: "mistakes", value: count(Math.round(total - share * total || 0)) },
        { name: "examples", value: count(total) },
        { name: "classes", value: count(data.names.length) },
      ],
    });
  }

  #list(data: ConfusionData): void {
    const [right, sure, sums] = [recalls(data), precisions(data), rowSums(data)];
    const wanted = (this.state.route.params.q ?? "").toLocaleLowerCase();
    const shown = [...data.names.keys()].filter((c) => data.names[c].toLocaleLowerCase().includes(wanted));
    const rows = shown.map((c) =>
      h(
        "tr",
        {},
        h("td", {}, data.names[c]),
        h("td", { class: "num" }, count(sums[c])),
        h("td", { class: "num share" }, bar(right[c]), h("span", {}, shareOf(right[c]))),
        h("td", { class: "num" }, shareOf(sure[c])),
      ),
    );
    const head = ["class", "examples", "accuracy", "precision"].map((name) =>
      h("th", { scope: "col" }, name),
    );
    const found = mistakes(data, MOST_LISTED).map(({ truth, predicted, count: times }) =>
      h("li", {}, `${data.names[truth]} → ${data.names[predicted]}`, h("b", { class: "num" }, count(times))),
    );
    put(
      this.#panel,
      h(
        "table",
        { class: "class-table" },
        h("caption", { class: "visually-hidden" }, "How well each class is recognised"),
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...rows),
      ),
      found.length
        ? h("section", {}, h("h3", {}, "Most frequent mistakes"), h("ol", { class: "mistakes" }, ...found))
        : null,
    );
  }

  #hidden(data: ConfusionData): HTMLElement {
    const { names, counts } = data;
    if (names.length > MOST_IN_TABLE) {
      const rows = mistakes(data, 200).map((one) => [
        names[one.truth],
        names[one.predicted],
        count(one.count),
      ]);
      return hiddenTable("The most frequent mistakes", ["true class", "taken for", "times"], rows);
    }
    const rows = names.map((name, r) => [name, ...names.map((_, c) => count(counts[r * names.length + c]))]);
    return hiddenTable("Confusion matrix", ["true class", ...names.map((name) => `taken for ${name}`)], rows);
  }

  #point(cell: Cell | null, at: { x: number; y: number }): void {
    const data = this.loaded?.data;
    if (!cell || !data) return this.#tooltip.hide();
    const { names, counts } = data;
    const times = counts[cell.row * names.length + cell.column];
    const [row, column] = [rowSums(data)[cell.row], columnSums(data)[cell.column]];
    this.#tooltip.show(
      at.x,
      at.y,
      h("h4", {}, `${names[cell.row]} taken for ${names[cell.column]}`),
      h("p", { class: "num" }, `${count(times)} of ${count(row)} (${shareOf(times / row)})`),
      h(
        "p",
        { class: "num muted" },
        `${shareOf(times / column)} of what was taken for ${names[cell.column]}`,
      ),
    );
  }

  protected key(event: KeyboardEvent): void {
    if (isTyping(event) || event.target instanceof HTMLInputElement || event.defaultPrevented) return;
    this.stepKey(event);
  }
}

const shareOf = (share: number): string => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : "–");

const bar = (share: number): HTMLElement =>
  h(
    "span",
    { class: "share-bar", "aria-hidden": "true" },
    h("i", { style: { width: `${100 * (Number.isFinite(share) ? share : 0)}%` } }),
  );

export const mount: Mount = mounting(ConfusionView);
