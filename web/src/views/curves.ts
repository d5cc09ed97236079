// How well a classifier tells each class from all others: precision against recall, and ROC.

import { choose, EVALUATION, recordsOf } from "../lib/catalog";
import { segmented, toggle } from "../lib/controls";
import { type ClassCurve, type CurvesData, fetchCurves, meanOf } from "../lib/curvesdata";
import { h, isTyping, put, refill } from "../lib/dom";
import { csv, download } from "../lib/download";
import { count, exact, number } from "../lib/format";
import { dot, hiddenTable } from "../lib/frame";
import { classColour } from "../lib/palette";
import { f1Of } from "../lib/prcurve";
import { type About, RecordView } from "../lib/recordview";
import { choiceOf, placeOf } from "../lib/route";
import { Tooltip } from "../lib/tooltip";
import { type UnitBox, type UnitCurve, UnitPlot, type UnitPoint } from "../lib/unitplot";
import type { Source } from "../source/source";
import { type ClassRun, CurveRuns } from "./panels/curveruns";
import { PrCurvesView } from "./panels/prcurves";
import { corner, gapOf, plotCard, RANGES, reading, said } from "./panels/unitcard";
import type { Mount, View, ViewState } from "./view";

const ABOUT: About<CurvesData> = {
  kind: EVALUATION,
  view: "PR and ROC",
  explain:
    "How well each class is told from all others at every threshold: what is found against how much of it is right (PR), and against what is taken wrongly (ROC). Average precision (AP) is the sum of each growth of recall times the precision there, without interpolation; AUC the area below the ROC; both of all scores, whatever points are drawn.",
  nothing: [
    "No curves of classes yet",
    "Log them with SummaryWriter.add_pr_curves, add_roc_curves or add_pr_curve, or run the demonstration:",
    "convscope demo",
  ],
  fetch: fetchCurves,
};

class CurvesView extends RecordView<CurvesData> {
  readonly #tooltip = new Tooltip();
  readonly #legend = h("div", { class: "class-panel card" });
  readonly #table = h("div");
  readonly #pr = new UnitPlot({ x: "recall", y: "precision" }, (point, at) =>
    this.#point(point, at, this.#pr, this.#roc),
  );
  readonly #roc = new UnitPlot({ x: "false positive rate", y: "true positive rate" }, (point, at) =>
    this.#point(point, at, this.#roc, this.#pr),
  );
  readonly #runs: CurveRuns;
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
  readonly #f1 = toggle(
    "F1 lines",
    true,
    (on) => this.set({ f1: on ? null : 0 }),
    "Lines on which the harmonic mean of precision and recall is the same",
  );
  #shown: readonly number[] = [];
  /** The lines that are drawn, in their order, with what they are of. */
  #lines: readonly ClassRun[] = [];

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#runs = new CurveRuns(source, () => {
      const { loaded } = this;
      if (loaded) this.paint(loaded.data, loaded.run);
    });
  }

  override destroy(): void {
    super.destroy();
    this.#runs.stop();
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
    this.#f1.set(route.params.f1 !== "0");
    if (!this.#range.el.isConnected) put(this.frame.tools, this.#range.el, this.#f1.el, this.player.el);
    this.#head(data, run);
    this.#layout(data, run);
    const others = at < 0 ? [] : this.#runs.of(this.state, run, data.record, data.classes[at].name);
    this.#draw(data, run, at, others);
    this.#list(data, at, run, others);
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

  #layout({ record }: CurvesData, run: string): void {
    if (this.#legend.isConnected) return;
    const table = { label: "CSV of all points", save: () => this.#save() };
    const name = (): string => `${this.loaded?.run ?? run}-${this.loaded?.record.tag ?? record.tag}`;
    put(
      this.frame.body,
      h(
        "div",
        { class: "class-layout" },
        plotCard("Precision and recall", this.#pr, name, table),
        plotCard("ROC", this.#roc, name, table),
        this.#legend,
      ),
      this.#table,
    );
  }

  #draw(data: CurvesData, run: string, chosen: number, others: readonly ClassRun[]): void {
    const own = this.#shown.map(
      (c): ClassRun => ({
        run,
        one: data.classes[c],
        colour:
          others.length && c === chosen ? (this.state.colours.get(run) ?? "") : this.#colour(c, data, chosen),
        strong: c === chosen,
        faint: chosen >= 0 && c !== chosen,
      }),
    );
    this.#lines = [...own, ...others];
    const curves = (x: "truePositiveRate" | "falsePositiveRate", y: "precision" | "truePositiveRate") =>
      this.#lines.map(
        ({ run: of, one, ...look }): UnitCurve => ({
          name: of === run ? one.name : `${one.name}, ${of}`,
          x: one[x],
          y: one[y],
          steps: y === "precision",
          ...look,
        }),
      );
    const names =
      this.#shown.length === 1 ? data.classes[this.#shown[0]].name : `${this.#shown.length} classes`;
    const of = others.length ? `${names}, and of ${others.length} more runs` : names;
    const whole = choiceOf(this.state.route, "range", RANGES) === "full";
    const all = this.#lines.map(({ one }) => one);
    const pr = whole ? 1 : corner(all.map((one) => gapOf(one.truePositiveRate, one.precision, true)));
    const roc = whole
      ? 1
      : corner(all.map((one) => gapOf(one.truePositiveRate, one.falsePositiveRate, false)));
    const prBox: UnitBox = { x: [1 - pr, 1], y: [1 - pr, 1] };
    const rocBox: UnitBox = { x: [0, roc], y: [1 - roc, 1] };
    this.#pr.show(curves("truePositiveRate", "precision"), prBox, `Precision against recall of ${of}`, {
      f1: this.state.route.params.f1 !== "0",
    });
    this.#roc.show(curves("falsePositiveRate", "truePositiveRate"), rocBox, `ROC of ${of}`, {
      diagonal: true,
    });
  }

  #colour(c: number, data: CurvesData, chosen: number): string {
    // With more classes than colours only the chosen one has a colour of its own.
    return c === chosen && data.classes.length > 12
      ? classColour(0, 1, this.state.theme)
      : classColour(c, data.classes.length, this.state.theme);
  }

  #list(data: CurvesData, chosen: number, run: string, others: readonly ClassRun[]): void {
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
    refill(
      this.#legend,
      h(
        "table",
        { class: "class-table" },
        h("caption", { class: "visually-hidden" }, "Areas under the curves of each class"),
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...this.#shown.map(row)),
      ),
      others.length ? this.#compared(data.classes[chosen], run, others) : null,
    );
    const shown = chosen >= 0 ? data.classes[chosen] : undefined;
    put(this.#table, shown ? points(shown) : null);
  }

  /** The chosen class in the other runs that are shown. */
  #compared(own: ClassCurve, run: string, others: readonly ClassRun[]): HTMLElement {
    const colour = this.state.colours.get(run) ?? "";
    const rows = [{ run, one: own, colour, strong: true, faint: false }, ...others].map((other) =>
      h(
        "tr",
        { "aria-current": String(other.run === run) },
        h("td", {}, dot(other.colour), " ", other.run),
        ...[other.one.averagePrecision, other.one.auc].map((area) =>
          h("td", { class: "num", title: exact(area) }, Number.isFinite(area) ? area.toFixed(4) : "–"),
        ),
      ),
    );
    const head = ["run", "AP", "AUC"].map((name) => h("th", { scope: "col" }, name));
    return h(
      "section",
      {},
      h("h3", {}, `${own.name} in all shown runs`),
      h(
        "table",
        { class: "class-table", "aria-label": `${own.name} in all shown runs` },
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...rows),
      ),
    );
  }

  #choose(c: number, chosen: number): void {
    this.set({ class: c === chosen ? null : c });
  }

  #point(point: UnitPoint | null, at: { x: number; y: number }, here: UnitPlot, there: UnitPlot): void {
    const line = point && this.#lines[point.curve];
    there.mark(line ? point : null);
    if (!point || !line) {
      here.say("");
      return this.#tooltip.hide();
    }
    const { index } = point;
    const { one, run } = line;
    const rows: (readonly [string, string])[] = [
      ["threshold", exact(one.threshold[index])],
      ["recall", number(one.truePositiveRate[index])],
      ["precision", number(one.precision[index])],
      ["F1", number(f1Of(one.precision[index], one.truePositiveRate[index]))],
      ["false positive rate", number(one.falsePositiveRate[index])],
    ];
    const title = run === this.loaded?.run ? one.name : `${one.name} · ${run}`;
    here.say(said(title, rows));
    this.#tooltip.show(at.x, at.y, ...reading(title, rows));
  }

  #save(): void {
    const rows = this.#lines.flatMap(({ one, run }) =>
      Array.from(one.threshold, (threshold, i) => [
        run,
        one.name,
        threshold,
        one.truePositiveRate[i],
        one.precision[i],
        one.falsePositiveRate[i],
      ]),
    );
    const head = ["run", "class", "threshold", "recall", "precision", "false_positive_rate"];
    download(`${this.loaded?.run}-${this.loaded?.record.tag}.csv`, csv(head, rows), "text/csv;charset=utf-8");
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (isTyping(event) || !data || event.target instanceof HTMLInputElement) return;
    if (event.key === "Escape") return this.set({ class: null });
    this.stepKey(event);
  }
}

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

/** Records of curves are shown class by class, TensorBoard's curves run by run. */
class Evaluations implements View {
  #view: View | undefined;
  #ofRecords: boolean | undefined;

  constructor(
    private readonly el: HTMLElement,
    private readonly source: Source,
    state: ViewState,
  ) {
    this.update(state);
  }

  update(state: ViewState): void {
    const { run, tag } = choose(state.index, EVALUATION, state.route.params);
    const ofRecords = !run || !tag || recordsOf(run, EVALUATION, tag).length > 0;
    if (ofRecords !== this.#ofRecords) {
      this.#view?.destroy();
      this.#ofRecords = ofRecords;
      this.#view = new (ofRecords ? CurvesView : PrCurvesView)(this.el, this.source, state);
    }
    this.#view?.update(state);
  }

  destroy(): void {
    this.#view?.destroy();
  }
}

export const mount: Mount = (el, source, state) => new Evaluations(el, source, state);
