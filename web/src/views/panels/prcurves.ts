// TensorBoard's precision-recall curves of one tag: all shown runs in one chart, at any step, with the ROC of the same counts.
import { choose, EVALUATION, fromSeriesKey, seriesKey, seriesOf } from "../../lib/catalog";
import { segmented, toggle } from "../../lib/controls";
import { h, put, refill } from "../../lib/dom";
import { csv, download } from "../../lib/download";
import { count, exact, number } from "../../lib/format";
import { dot, Frame, failed, hiddenTable, isAbort } from "../../lib/frame";
import { averagePrecision, bestF1, f1Of, type PrCurve, prCurveOf, rocArea } from "../../lib/prcurve";
import { choiceOf } from "../../lib/route";
import { shownRuns } from "../../lib/runs";
import { GrowingTensors } from "../../lib/series";
import { entryAt, offStep, StepBar, stepOf } from "../../lib/stepbar";
import { stepKey } from "../../lib/stepkeys";
import { Tooltip } from "../../lib/tooltip";
import { type UnitCurve, UnitPlot, type UnitPoint } from "../../lib/unitplot";
import type { Source, Tensors } from "../../source/source";
import type { View, ViewState } from "../view";
import { SeriesStore } from "./pictureseries";
import { corner, gapOf, plotCard, RANGES, reading, said } from "./unitcard";

const EXPLAIN =
  "Precision against recall at every logged threshold, and the ROC of the same counts. Average precision (AP) is the sum over falling thresholds of each growth of recall times the precision there, without interpolation; AUC sums trapezoids of the ROC, from (0, 0) to (1, 1). Both know the logged thresholds only. Where nothing is predicted, precision is not defined.";
/** More lines than this nobody tells apart. */
const MOST_RUNS = 50;

interface Line {
  readonly run: string;
  readonly curve: PrCurve;
  readonly ap: number;
  readonly auc: number;
}

export class PrCurvesView implements View {
  readonly #frame: Frame;
  readonly #controller = new AbortController();
  readonly #tooltip = new Tooltip();
  readonly #series: SeriesStore<Tensors, GrowingTensors>;
  readonly #bar = new StepBar((step) => this.state.navigate({ step }, true));
  readonly #legend = h("div", { class: "class-panel card" });
  readonly #table = h("div");
  readonly #pr = new UnitPlot({ x: "recall", y: "precision" }, (point, at) =>
    this.#point(point, at, this.#pr, this.#roc),
  );
  readonly #roc = new UnitPlot({ x: "false positive rate", y: "true positive rate" }, (point, at) =>
    this.#point(point, at, this.#roc, this.#pr),
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
    (value) => this.state.navigate({ range: value === "full" ? null : value }, true),
  );
  readonly #f1 = toggle(
    "F1 lines",
    true,
    (on) => this.state.navigate({ f1: on ? null : 0 }, true),
    "Lines on which the harmonic mean of precision and recall is the same",
  );
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  #lines: readonly Line[] = [];
  #chosen = "";
  #tag = "";
  #asked = 0;

  constructor(
    el: HTMLElement,
    source: Source,
    private state: ViewState,
  ) {
    this.#series = new SeriesStore(
      () => new GrowingTensors(),
      (key, start) => {
        const { run, tag } = fromSeriesKey(key);
        return source.series(run, "pr_curve", tag, start, this.#controller.signal);
      },
      (series) => series.all.step?.data ?? [],
    );
    this.#frame = new Frame(el);
    put(this.#frame.tools, this.#range.el, this.#f1.el, this.#bar.el);
    window.addEventListener("keydown", this.#keys);
  }

  update(state: ViewState): void {
    this.state = state;
    const { index, route } = state;
    const { run, tag, note } = choose(index, EVALUATION, route.params);
    this.#chosen = run?.name ?? "";
    this.#tag = tag ?? "";
    this.#series.learn(index, "pr_curve");
    this.#range.set(choiceOf(route, "range", RANGES));
    this.#f1.set(route.params.f1 !== "0");
    state.crumb("");
    void this.#load(note);
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#keys);
    this.#controller.abort();
    this.#bar.destroy();
    this.#pr.destroy();
    this.#roc.destroy();
    this.#tooltip.destroy();
  }

  /** The runs to compare: the chosen one first, then all others that are shown. */
  #runs(): string[] {
    const { index, route } = this.state;
    const shown = shownRuns(index, route.params).filter((run) => seriesOf(run, "pr_curve", this.#tag));
    const names = shown.map(({ name }) => name).filter((name) => name !== this.#chosen);
    return [this.#chosen, ...names];
  }

  async #load(note: string): Promise<void> {
    const asked = ++this.#asked;
    const runs = this.#runs();
    const step = stepOf(this.state.route);
    const keys = runs.slice(0, MOST_RUNS).map((run) => seriesKey(run, this.#tag));
    try {
      const all = await Promise.all(keys.map((key) => this.#series.reach(key)));
      if (asked !== this.#asked) return;
      this.#lines = all.flatMap((series, i) => lineOf(runs[i], series.all, step));
      this.#bar.update(this.#series.steps(keys), step);
      const more = runs.length - keys.length;
      this.#frame.note(
        note,
        more > 0 ? `The first ${MOST_RUNS} of ${count(runs.length)} runs are compared.` : "",
      );
      this.#paint();
    } catch (error) {
      if (asked === this.#asked && !isAbort(error)) put(this.#frame.body, failed(error));
    }
    if (asked === this.#asked) this.state.ready();
  }

  #paint(): void {
    const own = this.#lines.find(({ run }) => run === this.#chosen);
    this.#frame.head({
      view: "PR and ROC",
      explain: EXPLAIN,
      tag: this.#tag,
      run: this.#chosen,
      colour: this.state.colours.get(this.#chosen) ?? "",
      step: own ? `step ${count(own.curve.step)}` : "",
      facts: own
        ? [
            { name: "average precision", value: number(own.ap), title: exact(own.ap) },
            { name: "AUC", value: number(own.auc), title: exact(own.auc) },
            { name: "thresholds", value: count(own.curve.threshold.length) },
            { name: "runs", value: count(this.#lines.length) },
          ]
        : [],
    });
    this.#layout();
    this.#draw();
    this.#list();
    put(this.#table, own ? points(own) : null);
  }

  #layout(): void {
    if (this.#legend.isConnected) return;
    const table = { label: "CSV of all points", save: () => this.#save() };
    put(
      this.#frame.body,
      h(
        "div",
        { class: "class-layout" },
        plotCard("Precision and recall", this.#pr, () => this.#tag, table),
        plotCard("ROC", this.#roc, () => this.#tag, table),
        this.#legend,
      ),
      this.#table,
    );
  }

  #draw(): void {
    const look = this.#lines.map(({ run }) => ({
      name: run,
      colour: this.state.colours.get(run) ?? "",
      dash: this.state.dashes.get(run) ?? [],
      strong: this.#lines.length > 1 && run === this.#chosen,
      faint: false,
    }));
    const of = this.#lines.length === 1 ? this.#lines[0].run : `${this.#lines.length} runs`;
    const f1 = this.state.route.params.f1 !== "0";
    const whole = choiceOf(this.state.route, "range", RANGES) === "full";
    const curves = this.#lines.map(({ curve }) => curve);
    const pr = whole ? 1 : corner(curves.map((one) => gapOf(one.recall, one.precision, true)));
    const roc = whole ? 1 : corner(curves.map((one) => gapOf(one.recall, one.falsePositiveRate, false)));
    this.#pr.show(
      curves.map(
        ({ recall, precision }, i): UnitCurve => ({ ...look[i], x: recall, y: precision, steps: true }),
      ),
      { x: [1 - pr, 1], y: [1 - pr, 1] },
      `Precision against recall of ${this.#tag}, ${of}`,
      { f1 },
    );
    this.#roc.show(
      curves.map(
        ({ recall, falsePositiveRate }, i): UnitCurve => ({
          ...look[i],
          x: falsePositiveRate,
          y: recall,
          steps: false,
        }),
      ),
      { x: [0, roc], y: [1 - roc, 1] },
      `ROC of ${this.#tag}, ${of}`,
      { diagonal: true },
    );
  }

  #list(): void {
    const step = stepOf(this.state.route);
    const row = ({ run, curve, ap, auc }: Line): HTMLElement => {
      const best = bestF1(curve);
      const cells = [
        [count(curve.step), offStep(curve.step, step)],
        [area(ap), exact(ap)],
        [area(auc), exact(auc)],
        [
          best < 0 ? "–" : number(f1Of(curve.precision[best], curve.recall[best]), 3),
          best < 0 ? "" : `at threshold ${exact(curve.threshold[best])}`,
        ],
      ].map(([text, title]) => h("td", { class: "num", title }, text));
      const choosing = {
        type: "button",
        "aria-pressed": String(run === this.#chosen),
        onclick: () => this.#choose(run),
      };
      return h(
        "tr",
        { "aria-current": String(run === this.#chosen) },
        h("td", {}, h("button", choosing, dot(this.state.colours.get(run)), h("span", {}, run))),
        ...cells,
      );
    };
    const head = ["run", "step", "AP", "AUC", "best F1"].map((name) => h("th", { scope: "col" }, name));
    refill(
      this.#legend,
      h(
        "table",
        { class: "class-table" },
        h("caption", { class: "visually-hidden" }, `Areas under the curves of ${this.#tag}, run by run`),
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...this.#lines.map(row)),
      ),
    );
  }

  #choose(run: string): void {
    this.state.navigate({ run }, true);
  }

  #point(point: UnitPoint | null, at: { x: number; y: number }, here: UnitPlot, there: UnitPlot): void {
    const line = point && this.#lines[point.curve];
    there.mark(line ? point : null);
    if (!point || !line) {
      here.say("");
      return this.#tooltip.hide();
    }
    const rows = rowsAt(line.curve, point.index);
    here.say(said(line.run, rows));
    this.#tooltip.show(at.x, at.y, ...reading(line.run, rows));
  }

  #save(): void {
    const head = ["run", "step", "threshold", "recall", "precision", "false_positive_rate"];
    const rows = this.#lines.flatMap(({ run, curve }) =>
      Array.from(curve.threshold, (threshold, i) => [
        run,
        curve.step,
        threshold,
        curve.recall[i],
        curve.precision[i],
        curve.falsePositiveRate[i],
      ]),
    );
    download(`${this.#tag}-pr.csv`, csv(head, rows), "text/csv;charset=utf-8");
  }

  #key(event: KeyboardEvent): void {
    const by = stepKey(event);
    if (by) this.#bar.move(by);
  }
}

function lineOf(run: string, all: Tensors, step: number | null): Line[] {
  const at = entryAt(all.step?.data ?? [], step);
  if (at < 0) return [];
  const curve = prCurveOf(all, at);
  const ap = averagePrecision(curve.recall, curve.precision);
  return [{ run, curve, ap, auc: rocArea(curve.falsePositiveRate, curve.recall) }];
}

const area = (value: number): string => (Number.isFinite(value) ? value.toFixed(4) : "–");

/** What is read at a threshold; a share that is not defined says why. */
function rowsAt(curve: PrCurve, i: number): (readonly [string, string])[] {
  const { true_positives: tp, false_positives: fp, true_negatives: tn, false_negatives: fn } = curve.counts;
  const precision = curve.precision[i];
  return [
    ["threshold", exact(curve.threshold[i])],
    ["recall", number(curve.recall[i])],
    ["precision", Number.isNaN(precision) ? "not defined: nothing is predicted" : number(precision)],
    ["F1", number(f1Of(precision, curve.recall[i]))],
    ["false positive rate", number(curve.falsePositiveRate[i])],
    ["true positives", number(tp[i])],
    ["false positives", number(fp[i])],
    ["true negatives", number(tn[i])],
    ["false negatives", number(fn[i])],
  ];
}

function points({ run, curve }: Line): HTMLElement {
  const rows = Array.from(curve.threshold, (threshold, i) => [
    exact(threshold),
    number(curve.recall[i]),
    number(curve.precision[i]),
    number(curve.falsePositiveRate[i]),
  ]);
  return hiddenTable(`Curve of ${run}`, ["threshold", "recall", "precision", "false positive rate"], rows);
}
