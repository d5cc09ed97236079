// Which class was taken for which: a heat map of counts with names, and how well each class is recognised.

import {
  accuracy,
  type ConfusionData,
  classOrder,
  columnSums,
  f1Scores,
  fetchConfusion,
  type Mistake,
  mistakes,
  ORDERS,
  type Order,
  precisions,
  recalls,
  reordered,
  rowSums,
  SHARES,
  type Share,
} from "../lib/confusion";
import { segmented, select } from "../lib/controls";
import { h, isTyping, put, refill } from "../lib/dom";
import { csv, download, pngOf, saveMenu } from "../lib/download";
import { count, number } from "../lib/format";
import { hiddenTable } from "../lib/frame";
import { type Cell, HeatMap } from "../lib/heatmap";
import { type About, mounting, RecordView } from "../lib/recordview";
import { choiceOf } from "../lib/route";
import { Tooltip } from "../lib/tooltip";
import type { Source } from "../source/source";
import type { Mount, ViewState } from "./view";

const MOST_LISTED = 8;
const MOST_ON_DEMAND = 100;
const MOST_IN_TABLE = 40;
const ORDER_TEXTS: Readonly<Record<Order, string>> = {
  logged: "as logged",
  name: "name",
  examples: "most examples",
  recall: "worst recall",
  precision: "worst precision",
  mistakes: "most mistakes",
};
const SHARE_TEXTS: Readonly<Record<Share, [text: string, title: string]>> = {
  none: ["Counts", "How often"],
  row: ["Row", "Shares of each true class, so that rare classes count as much as frequent ones"],
  column: ["Column", "Shares of what was taken for each class: how far a prediction can be trusted"],
};

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
  readonly #share = segmented<Share>(
    "Share of",
    SHARES.map((value) => ({ value, text: SHARE_TEXTS[value][0], title: SHARE_TEXTS[value][1] })),
    "none",
    (share) => this.set({ norm: share === "none" ? null : share }),
  );
  readonly #order = select<Order>(
    "Order",
    ORDERS.map((value) => ({ value, text: ORDER_TEXTS[value] })),
    "logged",
    (order) => this.set({ sort: order === "logged" ? null : order }),
  );
  readonly #save = saveMenu(
    [
      { label: "PNG", save: async () => download(`${this.#name}.png`, await pngOf(this.#map.canvas)) },
      { label: "CSV of the counts", save: () => this.#saveCounts() },
    ],
    "Save the confusion matrix",
  );
  /** As it is drawn: its classes are in the chosen order. */
  #drawn: ConfusionData | undefined;
  #all = false;

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
  }

  override destroy(): void {
    super.destroy();
    this.#map.destroy();
    this.#tooltip.destroy();
  }

  protected paint(logged: ConfusionData, run: string): void {
    const { route } = this.state;
    const share = choiceOf(route, "norm", SHARES);
    const order = choiceOf(route, "sort", ORDERS);
    const data = reordered(logged, classOrder(logged, order));
    this.#drawn = data;
    this.note();
    this.#share.set(share);
    this.#order.set(order);
    if (!this.#share.el.isConnected)
      put(this.frame.tools, this.#share.el, this.#order.el, this.player.el, this.#save);
    this.#head(data, run);
    if (!this.#panel.isConnected)
      put(
        this.frame.body,
        h("div", { class: "confusion-layout" }, h("div", { class: "card" }, this.#map.el), this.#panel),
        this.#table,
      );
    this.#map.show(data, share, (this.state.route.params.q ?? "").toLocaleLowerCase());
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
    const [right, sure, sums, f1] = [recalls(data), precisions(data), rowSums(data), f1Scores(data)];
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
        h("td", { class: "num" }, shareOf(f1[c])),
      ),
    );
    const head = ["class", "examples", "recall", "precision", "F1"].map((name) =>
      h("th", { scope: "col" }, name),
    );
    const most = this.#all ? MOST_ON_DEMAND : MOST_LISTED;
    const listed = mistakes(data, MOST_ON_DEMAND).filter(
      ({ truth, predicted }) => shown.includes(truth) || shown.includes(predicted),
    );
    const found = listed.slice(0, most).map((one) => this.#mistake(data, one, sums[one.truth]));
    refill(
      this.#panel,
      h(
        "table",
        { class: "class-table" },
        h("caption", { class: "visually-hidden" }, "How well each class is recognised"),
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...rows),
      ),
      found.length
        ? h(
            "section",
            {},
            h("h3", {}, "Most frequent mistakes"),
            h("ol", { class: "mistakes" }, ...found),
            listed.length > MOST_LISTED && this.#more(data, listed.length),
          )
        : null,
    );
  }

  /** One kind of mistake; pointing at it frames its cell. */
  #mistake(data: ConfusionData, { truth, predicted, count: times }: Mistake, examples: number): HTMLElement {
    const cell = { row: truth, column: predicted };
    const name = `${data.names[truth]} → ${data.names[predicted]}`;
    const marks = {
      onpointerenter: () => this.#map.mark(cell),
      onpointerleave: () => this.#map.mark(null),
      onfocus: () => this.#map.mark(cell),
      onblur: () => this.#map.mark(null),
    };
    const title = `${shareOf(times / examples)} of ${data.names[truth]}`;
    return h(
      "li",
      {},
      h("button", { type: "button", title, ...marks }, name),
      h("b", { class: "num" }, count(times)),
    );
  }

  #more(data: ConfusionData, listed: number): HTMLElement {
    const flip = (): void => {
      this.#all = !this.#all;
      this.#list(data);
    };
    const text = this.#all ? "Show fewer" : `Show ${count(listed)}`;
    return h("button", { type: "button", class: "button more-mistakes", onclick: flip }, text);
  }

  get #name(): string {
    return `${this.loaded?.run ?? ""}-${this.loaded?.record.tag ?? ""}`;
  }

  #saveCounts(): void {
    if (!this.#drawn) return;
    const { names, counts } = this.#drawn;
    const rows = names.map((name, r) => [name, ...counts.subarray(r * names.length, (r + 1) * names.length)]);
    download(`${this.#name}.csv`, csv(["true class", ...names], rows), "text/csv;charset=utf-8");
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
    const data = this.#drawn;
    if (!cell || !data) {
      this.#map.say("");
      return this.#tooltip.hide();
    }
    const { names, counts } = data;
    const times = counts[cell.row * names.length + cell.column];
    const [row, column] = [rowSums(data)[cell.row], columnSums(data)[cell.column]];
    const title = `${names[cell.row]} taken for ${names[cell.column]}`;
    const often = `${count(times)} of ${count(row)} (${shareOf(times / row)})`;
    const trusted = `${shareOf(times / column)} of what was taken for ${names[cell.column]}`;
    this.#map.say(`${title}: ${often}; ${trusted}`);
    this.#tooltip.show(
      at.x,
      at.y,
      h("h4", {}, title),
      h("p", { class: "num" }, often),
      h("p", { class: "num muted" }, trusted),
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
