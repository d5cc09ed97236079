// How well a classifier tells each class from all others: precision against recall, and ROC.

import { segmented } from "../lib/controls";
import { type ClassCurve, type CurvesData, fetchCurves, meanOf } from "../lib/curvesdata";
import { h, isTyping, put } from "../lib/dom";
import { count, exact, number } from "../lib/format";
import { dot, hiddenTable } from "../lib/frame";
import { classColour } from "../lib/palette";
import { type About, mounting, RecordView } from "../lib/recordview";
import { choiceOf, placeOf } from "../lib/route";
import { Tooltip } from "../lib/tooltip";
import { type UnitBox, type UnitCurve, UnitPlot, type UnitPoint } from "../lib/unitplot";
import type { Source } from "../source/source";
import type { Mount, ViewState } from "./view";

const RANGES = ["full", "corner"] as const;
const CORNERS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

const ABOUT: About<CurvesData> = {
  kind: "curves",
  view: "PR and ROC",
  explain:
    "How well each class is told from all others at every threshold: what is found against how much of it is right (PR), and against what is taken wrongly (ROC). The areas are those of all scores.",
  nothing: [
    "No curves of classes yet",
    "Log them with SummaryWriter.add_pr_curves or add_roc_curves, or run the demonstration:",
    "convscope demo",
  ],
  fetch: fetchCurves,
};

class CurvesView extends RecordView<CurvesData> {
  readonly #tooltip = new Tooltip();
  readonly #legend = h("div", { class: "class-panel card" });
  readonly #table = h("div");
  readonly #pr = new UnitPlot({ x: "recall", y: "precision" }, (point, at) => this.#point(point, at));
  readonly #roc = new UnitPlot({ x: "false positive rate", y: "true positive rate" }, (point, at) =>
    this.#point(point, at),
  );
  readonly #range = segmented(
    "Range",
    [
      { value: "full", text: "All" },
      {
        value: "corner",
        text: "Corner",
        title: "The corner of a perfect classifier, as large as the curves need",
      },
    ],
    "full",
    (value) => this.set({ range: value === "full" ? null : value }),
  );
  #shown: readonly number[] = [];

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
  }

  override destroy(): void {
    super.destroy();
    this.#pr.destroy();
    this.#roc.destroy();
    this.#tooltip.destroy();
  }

  protected paint(data: CurvesData, run: string): void {
    const { route } = this.state;
    const { at, note } = placeOf(route, "class", data.classes.length, "class");
    const wanted = (route.params.q ?? "").toLocaleLowerCase();
    this.#shown = [...data.classes.keys()].filter((c) =>
      data.classes[c].name.toLocaleLowerCase().includes(wanted),
    );
    this.note(note);
    this.state.crumb(at < 0 ? "" : data.classes[at].name);
    this.#range.set(choiceOf(route, "range", RANGES));
    if (!this.#range.el.isConnected) put(this.frame.tools, this.#range.el, this.player.el);
    this.#head(data, run);
    this.#layout();
    this.#draw(data, at);
    this.#list(data, at);
  }

  #head({ record, classes }: CurvesData, run: string): void {
    const without = classes.filter(({ support }) => support === 0).length;
    this.head(run, {
      tag: record.tag,
      step: `step ${count(record.step)}`,
      facts: [
        { name: "classes", value: count(classes.length) },
        {
          name: "mean average precision",
          value: number(meanOf(classes.map((one) => one.averagePrecision))),
          title: "Of the classes that occur",
        },
        { name: "mean AUC", value: number(meanOf(classes.map((one) => one.auc))) },
        ...(without ? [{ name: "without examples", value: count(without) }] : []),
      ],
    });
  }

  #layout(): void {
    if (this.#legend.isConnected) return;
    const card = (title: string, plot: UnitPlot): HTMLElement =>
      h(
        "article",
        { class: "card", "aria-label": title },
        h("header", { class: "card-head" }, h("h3", {}, title)),
        plot.el,
      );
    put(
      this.frame.body,
      h(
        "div",
        { class: "class-layout" },
        card("Precision and recall", this.#pr),
        card("ROC", this.#roc),
        this.#legend,
      ),
      this.#table,
    );
  }

  #draw(data: CurvesData, chosen: number): void {
    const curves = (x: "truePositiveRate" | "falsePositiveRate", y: "precision" | "truePositiveRate") =>
      this.#shown.map(
        (c): UnitCurve => ({
          name: data.classes[c].name,
          colour: this.#colour(c, data, chosen),
          x: data.classes[c][x],
          y: data.classes[c][y],
          steps: y === "precision",
          strong: c === chosen,
          faint: chosen >= 0 && c !== chosen,
        }),
      );
    const names =
      this.#shown.length === 1 ? data.classes[this.#shown[0]].name : `${this.#shown.length} classes`;
    const all = this.#shown.map((c) => data.classes[c]);
    const whole = choiceOf(this.state.route, "range", RANGES) === "full";
    const pr = whole ? 1 : corner(all.map((one) => gap(one, true)));
    const roc = whole ? 1 : corner(all.map((one) => gap(one, false)));
    const prBox: UnitBox = { x: [1 - pr, 1], y: [1 - pr, 1] };
    const rocBox: UnitBox = { x: [0, roc], y: [1 - roc, 1] };
    this.#pr.show(
      curves("truePositiveRate", "precision"),
      prBox,
      `Precision against recall of ${names}`,
      false,
    );
    this.#roc.show(curves("falsePositiveRate", "truePositiveRate"), rocBox, `ROC of ${names}`, true);
  }

  #colour(c: number, data: CurvesData, chosen: number): string {
    // With more classes than colours only the chosen one has a colour of its own.
    return c === chosen && data.classes.length > 12
      ? classColour(0, 1, this.state.theme)
      : classColour(c, data.classes.length, this.state.theme);
  }

  #list(data: CurvesData, chosen: number): void {
    const row = (c: number): HTMLElement => {
      const { name, support, averagePrecision, auc } = data.classes[c];
      const button = h(
        "button",
        { type: "button", "aria-pressed": String(c === chosen), onclick: () => this.#choose(c, chosen) },
        dot(this.#colour(c, data, chosen)),
        h("span", {}, name),
      );
      const cells = [averagePrecision, auc].map((area) =>
        h("td", { class: "num", title: exact(area) }, Number.isFinite(area) ? area.toFixed(4) : "–"),
      );
      return h(
        "tr",
        { "aria-current": String(c === chosen) },
        h("td", {}, button),
        h("td", { class: "num" }, number(support)),
        ...cells,
      );
    };
    const head = ["class", "examples", "AP", "AUC"].map((name) => h("th", { scope: "col" }, name));
    put(
      this.#legend,
      h(
        "table",
        { class: "class-table" },
        h("caption", { class: "visually-hidden" }, "Areas under the curves of each class"),
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...this.#shown.map(row)),
      ),
    );
    const shown = chosen >= 0 ? data.classes[chosen] : undefined;
    put(this.#table, shown ? points(shown) : null);
  }

  #choose(c: number, chosen: number): void {
    this.set({ class: c === chosen ? null : c });
  }

  #point(point: UnitPoint | null, at: { x: number; y: number }): void {
    const data = this.loaded?.data;
    const one = point && data?.classes[this.#shown[point.curve]];
    if (!point || !one) return this.#tooltip.hide();
    const { index } = point;
    const rows = [
      ["threshold", exact(one.threshold[index])],
      ["recall", number(one.truePositiveRate[index])],
      ["precision", number(one.precision[index])],
      ["false positive rate", number(one.falsePositiveRate[index])],
    ].map(([name, value]) =>
      h("tr", {}, h("td", { class: "muted" }, name), h("td", { class: "strong" }, value)),
    );
    this.#tooltip.show(
      at.x,
      at.y,
      h("h4", {}, one.name),
      h("table", { class: "num" }, h("tbody", {}, ...rows)),
    );
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (isTyping(event) || !data || event.target instanceof HTMLInputElement) return;
    if (event.key === "Escape") return this.set({ class: null });
    this.stepKey(event);
  }
}

/** How far a curve stays from the perfect corner: at its best point, the larger of its two faults. */
function gap(one: ClassCurve, precision: boolean): number {
  let least = 1;
  for (let i = 0; i < one.truePositiveRate.length; i++) {
    const other = precision ? 1 - one.precision[i] : one.falsePositiveRate[i];
    least = Math.min(least, Math.max(1 - one.truePositiveRate[i], other));
  }
  return least;
}

/** The side of a corner that holds the bend of all curves. */
const corner = (gaps: readonly number[]): number =>
  CORNERS.find((side) => side >= 2 * Math.max(...gaps)) ?? 1;

function points(one: ClassCurve): HTMLElement {
  const rows = Array.from(one.threshold, (threshold, i) => [
    exact(threshold),
    number(one.truePositiveRate[i]),
    number(one.precision[i]),
    number(one.falsePositiveRate[i]),
  ]);
  return hiddenTable(
    `Curves of ${one.name}`,
    ["threshold", "recall", "precision", "false positive rate"],
    rows,
  );
}

export const mount: Mount = mounting(CurvesView);
