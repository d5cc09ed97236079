// The selected points: how many, of which classes, which channels tell them from the rest, and where that leads.
import { channelPages } from "../../lib/channelpages";
import { h, put, refill } from "../../lib/dom";
import { count, number, percent } from "../../lib/format";
import { hiddenTable } from "../../lib/frame";
import type { Nearest } from "../../lib/nearest";
import { classCounts, type EmbeddingData } from "../../lib/points";
import { forgetPoints, keepPoints, MOST_POINTS, pointSets } from "../../lib/pointsets";
import { formatRoute, toView } from "../../lib/route";
import { mapped, type Selection } from "../../lib/selection";
import type { Metric, SelectionAnswer } from "../../source/source";
import type { ViewState } from "../view";
import { type PointCards, sampled } from "./pointcard";

interface Actions {
  readonly focus: (points: ArrayLike<number>) => void;
  readonly saveTable: () => void;
  readonly saveNumbers: () => void;
}

const CLASSES = 8;
const [MORE, LESS] = [8, 4];
const PICTURES = 12;
/** A selection that is still being drawn or stepped through is not asked about. */
const WAIT_MS = 150;

export class PointSelection {
  readonly el = h("section", { class: "block", "aria-label": "Selection", "aria-live": "polite" });
  readonly #channels = h("div", { class: "points-channels" });
  readonly #sets = h("ul", { class: "saved-views" });
  readonly #name = h("input", {
    type: "text",
    maxlength: 60,
    placeholder: "Name of this selection",
    "aria-label": "Name of this selection",
  });
  #controller = new AbortController();
  #state: ViewState | undefined;
  #timer = 0;

  constructor(
    private readonly cards: PointCards,
    private readonly on: Actions,
  ) {}

  show(data: EmbeddingData, selection: Selection, nearest: Nearest, state: ViewState, metric: Metric): void {
    this.#state = state;
    this.#stop();
    const points = selection.indices();
    this.el.hidden = !points.length && !pointSets(state.index.logdir).length;
    if (this.el.hidden) return put(this.el);
    if (!points.length) {
      refill(this.el, h("h3", {}, "Saved selections"), this.#sets);
      return this.#fillSets(data, selection);
    }
    put(this.#channels, h("p", { class: "loading" }, "Comparing the channels …"));
    refill(
      this.el,
      h(
        "div",
        { class: "panel-head" },
        h("h3", { "data-testid": "selected" }, `${count(points.length)} selected`),
        this.#link("Clear", () => selection.clear()),
      ),
      bars(data, points, state),
      h("div", { class: "strip-thumbs" }, ...sampled(points, PICTURES).map((i) => this.cards.jump(i, 40))),
      this.#buttons(points),
      this.#channels,
      this.#form(data, selection),
      this.#sets,
    );
    this.#fillSets(data, selection);
    const { signal } = this.#controller;
    this.#timer = window.setTimeout(() => void this.#ask(data, points, nearest, metric, signal), WAIT_MS);
  }

  destroy(): void {
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
    this.#controller = new AbortController();
  }

  #buttons(points: Int32Array): HTMLElement {
    const button = (text: string, title: string, act: () => void): HTMLElement =>
      h("button", { type: "button", class: "button", title, onclick: act }, text);
    return h(
      "div",
      { class: "points-buttons" },
      button("Zoom", "Zoom to the selection", () => this.on.focus(points)),
      button("CSV", "Save the selected points with all their columns", this.on.saveTable),
      button("JSON", "Save the numbers of the selected points and of their pictures", this.on.saveNumbers),
    );
  }

  async #ask(
    data: EmbeddingData,
    points: Int32Array,
    nearest: Nearest,
    metric: Metric,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const channels = await nearest.selection(points, metric, signal);
      if (signal.aborted || !this.#state) return;
      put(this.#channels, ...channelRows(data, channels, this.#state));
    } catch (error) {
      if (!signal.aborted)
        put(
          this.#channels,
          h("p", { class: "muted" }, error instanceof Error ? error.message : String(error)),
        );
    }
  }

  #form(data: EmbeddingData, selection: Selection): HTMLElement {
    return h(
      "form",
      {
        class: "saved-form",
        onsubmit: (event: SubmitEvent) => {
          event.preventDefault();
          const logdir = this.#state?.index.logdir ?? "";
          if (selection.size > MOST_POINTS) {
            put(
              this.#sets,
              h("li", { class: "notice" }, `More than ${count(MOST_POINTS)} points: save them as a file.`),
            );
            return;
          }
          const name = this.#name.value.trim() || `Selection ${pointSets(logdir).length + 1}`;
          const index = Array.from(selection.indices(), (i) => data.index[i]);
          keepPoints(logdir, { name, index });
          this.#name.value = "";
          this.#fillSets(data, selection);
        },
      },
      this.#name,
      h("button", { type: "submit", class: "button" }, "Keep"),
    );
  }

  #fillSets(data: EmbeddingData, selection: Selection): void {
    const logdir = this.#state?.index.logdir ?? "";
    const rows = pointSets(logdir).map(({ name, index }) =>
      h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: "link-button",
            onclick: () => selection.change(mapped(Array.from(index.keys()), index, data.index)),
          },
          name,
        ),
        h("span", { class: "muted num" }, count(index.length)),
        h(
          "button",
          {
            type: "button",
            class: "link-button",
            "aria-label": `Forget ${name}`,
            onclick: () => {
              forgetPoints(logdir, name);
              this.#fillSets(data, selection);
            },
          },
          "×",
        ),
      ),
    );
    refill(this.#sets, ...rows);
  }

  #link = (text: string, act: () => void): HTMLElement =>
    h("button", { type: "button", class: "link-button", onclick: act }, text);
}

/** The classes of the selection, each with a bar and the pages that know it. */
function bars(data: EmbeddingData, points: Int32Array, state: ViewState): HTMLElement {
  const counts = classCounts(data.label, points);
  const most = counts[0]?.[1] ?? 1;
  const rows = counts.slice(0, CLASSES).map(([label, n]) =>
    h(
      "li",
      { class: "class-bar" },
      h(
        "span",
        { class: "class-bar-name" },
        h("bdi", {}, data.className(label)),
        ...classLinks(data, label, state),
      ),
      h("b", { class: "num" }, `${count(n)} · ${percent(n / points.length)}`),
      h("span", {
        class: "class-bar-fill",
        style: { width: `${(100 * n) / most}%` },
        "aria-hidden": "true",
      }),
    ),
  );
  const more = counts.length - CLASSES;
  return h(
    "ul",
    { class: "class-bars", "aria-label": "Classes of the selection" },
    ...rows,
    more > 0 ? h("li", { class: "muted" }, `and ${count(more)} more classes`) : null,
  );
}

/** The pages of this run with a table of classes. */
const CLASS_PAGES: readonly (readonly [kind: string, view: string, text: string, key: string])[] = [
  ["confusion_matrix", "confusion", "confusion", "q"],
  ["topk", "network", "channels", "q"],
  ["ablation", "ablation", "ablation", "class"],
];

function classLinks(data: EmbeddingData, label: number, { index, route }: ViewState): HTMLElement[] {
  const name = data.classes[label];
  const records = index.runs.find((run) => run.name === data.run)?.records ?? [];
  if (!name) return [];
  return CLASS_PAGES.filter(([kind]) => records.some((one) => one.kind === kind)).map(([, view, text, key]) =>
    h(
      "a",
      {
        href: formatRoute(toView(route, view, { run: data.run, [key]: name })),
        "aria-label": `${name}: ${text}`,
      },
      text,
    ),
  );
}

function channelRows(
  data: EmbeddingData,
  channels: SelectionAnswer["channels"] | null,
  state: ViewState,
): (HTMLElement | null)[] {
  if (!channels)
    return [
      h(
        "p",
        { class: "muted" },
        "The vectors are not on this page: open the run with convscope view to compare channels.",
      ),
    ];
  if (!channels.length) return [h("p", { class: "muted" }, "No channel tells them from the rest.")];
  const most = Math.max(...channels.map(({ effect }) => Math.abs(effect)));
  const list = (label: string, wanted: (effect: number) => boolean, at: number): (HTMLElement | null)[] => {
    const some = channels.filter(({ effect }) => wanted(effect)).slice(0, at);
    const rows = some.map((one) => channelRow(data, one, most, state));
    const name = { class: "class-bars", "aria-label": label, "data-testid": "channels" };
    return rows.length ? [h("h4", {}, label), h("ul", name, ...rows)] : [];
  };
  const known = channelPages(state.index, state.route, data.run, data.layer, 0).length > 0;
  return [
    ...list("Channels that fire more for it", (effect) => effect > 0, MORE),
    ...list("Channels that fire less", (effect) => effect < 0, LESS),
    h("p", { class: "muted" }, "σ: standard deviations over all points."),
    known
      ? null
      : h(
          "p",
          { class: "muted" },
          `This run has no pages of the channels of ${data.layer}: convscope inspect makes them.`,
        ),
    hiddenTable(
      "Channels that tell the selection from the rest",
      ["channel", "mean of the selection", "mean of the rest", "difference in standard deviations"],
      channels.map(({ channel, mean, rest, effect }) => [
        channel,
        number(mean),
        number(rest),
        number(effect),
      ]),
    ),
  ];
}

function channelRow(
  data: EmbeddingData,
  one: SelectionAnswer["channels"][number],
  most: number,
  state: ViewState,
): HTMLElement {
  const pages = channelPages(state.index, state.route, data.run, data.layer, one.channel);
  const page = pages.find(({ href }) => href.startsWith("#/layer")) ?? pages[0];
  const name = `channel ${one.channel}`;
  return h(
    "li",
    {
      class: one.effect < 0 ? "class-bar less" : "class-bar",
      title: `mean ${number(one.mean, 3)} in the selection, ${number(one.rest, 3)} in the rest`,
    },
    h("span", { class: "class-bar-name" }, page ? h("a", { href: page.href, title: page.text }, name) : name),
    h("b", { class: "num" }, `${one.effect > 0 ? "+" : ""}${number(one.effect, 2)} σ`),
    h("span", {
      class: "class-bar-fill",
      style: { width: `${(100 * Math.abs(one.effect)) / most}%` },
      "aria-hidden": "true",
    }),
  );
}
