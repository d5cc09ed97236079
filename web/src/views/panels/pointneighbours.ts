// The chosen point: its card and its nearest neighbours in the layer's own space, as a strip of pictures.
import { segmented } from "../../lib/controls";
import { h, put, refill } from "../../lib/dom";
import { count, number } from "../../lib/format";
import { hiddenTable } from "../../lib/frame";
import type { NearestAnswer } from "../../lib/nearest";
import type { EmbeddingData } from "../../lib/points";
import type { Change } from "../../lib/route";
import type { Metric } from "../../source/source";
import type { PointCards } from "./pointcard";

export interface NeighbourState {
  readonly chosen: number;
  readonly metric: Metric;
  readonly k: number;
  /** Undefined while they are on their way. */
  readonly answer: NearestAnswer | undefined;
  readonly problem: string;
}

interface Actions {
  readonly navigate: (change: Change, replace?: boolean) => void;
  readonly focus: (points: ArrayLike<number>) => void;
  readonly select: (points: ArrayLike<number>) => void;
}

export const FEW = 10;
export const MANY = 50;

export class PointNeighbours {
  readonly el = h("section", { class: "block", "aria-label": "Chosen point", hidden: true });
  readonly #head = h("div", {});
  readonly #body = h("div", { class: "points-near", "aria-live": "polite" });
  readonly #metric;
  readonly #many;
  #key = "";

  constructor(
    private readonly cards: PointCards,
    private readonly on: Actions,
  ) {
    this.#metric = segmented<Metric>(
      "Distance",
      [
        { value: "cosine", text: "Cosine", title: "1 − cosine of the angle between the vectors" },
        { value: "euclidean", text: "Euclidean", title: "Length of the difference of the vectors" },
      ],
      "cosine",
      (metric) => on.navigate({ metric: metric === "cosine" ? null : "l2" }, true),
    );
    this.#many = segmented<"10" | "50">(
      "Neighbours",
      [
        { value: "10", text: "10" },
        { value: "50", text: "50" },
      ],
      "10",
      (k) => on.navigate({ k: k === "10" ? null : k }, true),
    );
    put(
      this.el,
      this.#head,
      h("div", { class: "points-choices" }, this.#metric.el, this.#many.el),
      this.#body,
    );
  }

  show(data: EmbeddingData, state: NeighbourState, look: string): void {
    const { chosen, metric, k, answer, problem } = state;
    this.el.hidden = chosen < 0;
    const texts = data.columns.filter((column) => column.type === "text" && column.rows).length;
    const key = `${data.record.id}/${chosen}/${metric}/${k}/${answer ? answer.from : ""}/${problem}/${look}/${texts}`;
    if (chosen < 0 || key === this.#key) return;
    this.#key = key;
    this.#metric.set(metric);
    this.#many.set(k === MANY ? "50" : "10");
    refill(
      this.#head,
      h(
        "div",
        { class: "panel-head" },
        h("h3", {}, "Chosen point"),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": "Close the chosen point",
            onclick: () => this.on.navigate({ point: null }),
          },
          "×",
        ),
      ),
      this.cards.card(chosen),
    );
    if (problem) return put(this.#body, h("p", { class: "notice" }, problem));
    if (!answer) return put(this.#body, h("p", { class: "loading" }, "Looking for its neighbours …"));
    refill(this.#body, ...this.#near(data, chosen, answer, metric));
  }

  #near(data: EmbeddingData, chosen: number, answer: NearestAnswer, metric: Metric): (HTMLElement | null)[] {
    const { index, distance } = answer;
    if (!index.length) return [h("p", { class: "muted" }, "No neighbours were stored with this embedding.")];
    const same = index.filter((i) => data.label[i] === data.label[chosen]).length;
    const labelled = data.label[chosen] >= 0;
    const button = (text: string, act: () => void): HTMLElement =>
      h("button", { type: "button", class: "button", onclick: act }, text);
    return [
      h(
        "p",
        { class: "muted" },
        sentence(answer, metric, labelled ? `; ${same} of ${index.length} share its class` : ""),
      ),
      h(
        "div",
        { class: "strip-thumbs points-strip", "data-testid": "neighbours" },
        ...index.map((i, k) =>
          this.cards.jump(
            i,
            44,
            `${data.nameOf(i)} · distance ${number(distance[k], 3)}`,
            number(distance[k], 2),
          ),
        ),
      ),
      h(
        "div",
        { class: "points-buttons" },
        button("Zoom to neighbours", () => this.on.focus([chosen, ...index])),
        button("Select them", () => this.on.select([chosen, ...index])),
      ),
      hiddenTable(
        "Nearest neighbours",
        ["class", "point", "image", "distance"],
        index.map((i, k) => [
          data.className(data.label[i]),
          count(i),
          count(data.index[i]),
          number(distance[k]),
        ]),
      ),
    ];
  }
}

function sentence({ from, exact }: NearestAnswer, metric: Metric, share: string): string {
  const stored = "The 10 nearest by cosine, as stored with the embedding (its vectors are not here)";
  if (from === "stored") return `${stored}${share}.`;
  const nearly = exact ? "" : ", approximately";
  const how = metric === "cosine" ? "by cosine" : "by Euclidean distance";
  return `Nearest in the layer’s own space ${how}${nearly}${share}.`;
}
