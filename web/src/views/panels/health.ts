// What is wrong with the filters of a layer: a button for each flag that shows only its filters, and how it is judged.
import { h, put } from "../../lib/dom";
import type { FilterData } from "../../lib/filterdata";
import { count } from "../../lib/format";

const HINTS: Readonly<Record<string, string>> = {
  "not finite": "The training has broken down, or the file is damaged.",
  dead: "The filter has learned nothing; what is left of it is rounding noise, however it looks when stretched.",
  weak: "The filter hardly contributes to the next layer.",
  duplicate:
    "Another filter of the layer does the same, or the same with the sign flipped: one of them is spare.",
  noisy:
    "Neighbouring weights have as little to do with each other as in white noise: not trained long enough, or not regularised.",
  silent: "No picture of the data set made this channel positive: after a ReLU it is always zero.",
  saturated:
    "The non-linearity never switches this channel off, or always has it at its end: it is a constant or linear.",
};

export class HealthPanel {
  readonly el = h("section", { class: "health", "aria-label": "Health of the filters" });
  readonly #chips = h("div", {
    class: "flag-chips",
    role: "group",
    "aria-label": "Show only filters that are",
  });
  readonly #details = h("details");

  /** `choose` is called with the name of a flag, or with nothing; `opened` when the explanations are opened or closed. */
  constructor(
    private readonly choose: (flag: string) => void,
    opened: (open: boolean) => void,
  ) {
    this.#details.addEventListener("toggle", () => opened(this.#details.open));
    put(this.el, this.#chips, this.#details);
  }

  show(data: FilterData, chosen: string, open: boolean): void {
    const focused = this.#chips.contains(document.activeElement) ? document.activeElement?.textContent : null;
    const found = data.health.filter((flag) => flag.count > 0 || flag.name === chosen);
    put(
      this.#chips,
      found.length ? null : h("span", { class: "muted" }, "Nothing flagged."),
      ...found.map(({ name, count: n }) =>
        h(
          "button",
          {
            type: "button",
            class: `flag-chip ${name.replace(" ", "-")}`,
            "aria-pressed": String(name === chosen),
            title: HINTS[name] ?? "",
            onclick: () => this.choose(name === chosen ? "" : name),
          },
          name,
          h("b", { class: "num" }, count(n)),
        ),
      ),
    );
    for (const chip of this.#chips.querySelectorAll("button"))
      if (focused && chip.textContent === focused) chip.focus();
    this.#explain(data);
    this.#details.open = open;
  }

  #explain({ health, sentence, shape, groups }: FilterData): void {
    const rows = health.map(({ name, formula, count: n }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        h("td", { class: "num" }, count(n)),
        h("td", {}, formula, h("span", { class: "muted" }, ` ${HINTS[name] ?? ""}`)),
      ),
    );
    const missing = [
      Math.min(shape.height, shape.width) < 3 ? "Smoothness is a matter of kernels of 3 × 3 and more." : "",
      health.some(({ name }) => name === "silent")
        ? ""
        : "Silent and saturated need the activations over a data set; they were not recorded with these filters.",
      groups > 1
        ? `The layer has ${count(groups)} groups; filters of different groups read different inputs and are no duplicates.`
        : "",
    ];
    put(
      this.#details,
      h("summary", {}, "How this is judged"),
      sentence ? h("p", {}, sentence) : null,
      h(
        "table",
        { class: "health-table" },
        h(
          "thead",
          {},
          h("tr", {}, ...["flag", "filters", "when"].map((name) => h("th", { scope: "col" }, name))),
        ),
        h("tbody", {}, ...rows),
      ),
      h("p", { class: "muted" }, missing.filter(Boolean).join(" ")),
    );
  }
}
