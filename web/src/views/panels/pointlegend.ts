// The legend of a map's colours: counts, and a filter. Groups are switched on and off, numbers are brushed.
import { gradient } from "../../lib/colour";
import { h, put, refill, s } from "../../lib/dom";
import { count, number, plural } from "../../lib/format";
import { dot } from "../../lib/frame";
import {
  type CategoryLegend,
  type Group,
  isShown,
  type Legend,
  type LegendFilter,
  type NumberLegend,
  scaleOf,
  valueAt,
} from "../../lib/pointcolours";

interface Actions {
  readonly filter: (filter: LegendFilter) => void;
  readonly log: (yes: boolean) => void;
  /** Select the points that the filter leaves. */
  readonly select: () => void;
}

const LISTED = 60;
/** Of more groups the list can be searched. */
const SEARCHED = 12;
const [WIDTH, HEIGHT] = [240, 44];

export class PointLegend {
  readonly el = h("section", { class: "block", "aria-label": "Legend" });
  readonly #list = h("ul", { class: "legend points-legend" });
  readonly #more = h("p", { class: "muted" });
  readonly #field = h("input", {
    type: "search",
    class: "legend-search",
    placeholder: "Find in the legend",
    "aria-label": "Find in the legend",
    oninput: () => this.#fill(),
  });
  #legend: Legend = { kind: "none", title: "" };
  #filter: LegendFilter = { off: new Set(), on: new Set(), range: null };
  #built: Legend | undefined;

  constructor(private readonly on: Actions) {}

  show(legend: Legend, filter: LegendFilter): void {
    this.#legend = legend;
    this.#filter = filter;
    this.el.hidden = legend.kind === "none" && !legend.title;
    if (legend.kind === "categories") this.#categories(legend);
    else if (legend.kind === "numbers") this.#numbers(legend);
    else put(this.el, h("p", { class: "muted" }, legend.title));
    this.#built = legend;
  }

  #categories(legend: CategoryLegend): void {
    const { groups } = legend;
    const changed = groups.filter(({ key }) => !isShown(this.#filter, key)).length;
    if (this.#built !== legend) this.#field.value = "";
    refill(
      this.el,
      h(
        "div",
        { class: "panel-head" },
        h(
          "h3",
          {},
          h("bdi", {}, legend.title),
          h("small", { class: "muted num" }, ` ${count(groups.length)}`),
        ),
        changed
          ? this.#link("Show all", () => this.on.filter({ off: new Set(), on: new Set(), range: null }))
          : null,
      ),
      groups.length > SEARCHED ? this.#field : null,
      this.#list,
      this.#more,
      changed ? this.#link("Select what is shown", this.on.select) : null,
    );
    this.#fill();
  }

  #fill(): void {
    const { groups, others } = this.#legend as CategoryLegend;
    const wanted = this.#field.value.trim().toLowerCase();
    const found = wanted ? groups.filter(({ text }) => text.toLowerCase().includes(wanted)) : groups;
    refill(this.#list, ...found.slice(0, LISTED).map((group) => this.#row(group)));
    const notes = [
      found.length > LISTED ? `and ${count(found.length - LISTED)} more: find them by name.` : "",
      others && !wanted ? greyed(others, groups.length) : "",
      wanted && !found.length ? "No such entry." : "",
    ];
    put(this.#more, notes.filter(Boolean).join(" "));
    this.#more.hidden = !this.#more.textContent;
  }

  #row(group: Group): HTMLElement {
    const shown = isShown(this.#filter, group.key);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: shown ? "" : "off",
          "aria-pressed": String(shown),
          title: shown ? `Hide ${group.text}` : `Show ${group.text}`,
          onclick: () => this.#toggle(group.key, shown),
        },
        dot(group.colour),
        h("span", {}, h("bdi", {}, group.text)),
        h("b", { class: "num" }, count(group.count)),
      ),
      h(
        "button",
        {
          type: "button",
          class: "only",
          "aria-label": `Only ${group.text}`,
          onclick: () => this.on.filter({ off: new Set(), on: new Set([group.key]), range: null }),
        },
        "only",
      ),
    );
  }

  #toggle(key: string, shown: boolean): void {
    const { off, on } = this.#filter;
    const next = { off: new Set(off), on: new Set(on), range: null };
    // Where only some are on they are listed, else those that are off.
    if (on.size) next.on[shown ? "delete" : "add"](key);
    else next.off[shown ? "add" : "delete"](key);
    this.on.filter(next);
  }

  #numbers(legend: NumberLegend): void {
    const { range } = this.#filter;
    refill(
      this.el,
      h(
        "div",
        { class: "panel-head" },
        h("h3", {}, h("bdi", {}, legend.title)),
        range ? this.#link("Show all", () => this.#range(null)) : null,
      ),
      this.#histogram(legend),
      h("div", { class: "ramp", style: { background: gradient(legend.map) }, "aria-hidden": "true" }),
      h(
        "div",
        { class: "bar-ends num" },
        h("span", {}, number(legend.low, 4)),
        h("span", {}, number(legend.high, 4)),
      ),
      legend.missing
        ? h("p", { class: "muted" }, `${plural(legend.missing, "point")} without a value, grey.`)
        : null,
      this.#bounds(legend),
      legend.spansDecades ? this.#log(legend) : null,
      range ? this.#link("Select what is shown", this.on.select) : null,
    );
  }

  /** Bars that are brushed with the pointer; the fields below do the same by keyboard. */
  #histogram(legend: NumberLegend): SVGElement {
    const most = Math.max(1, ...legend.bins);
    const wide = WIDTH / legend.bins.length;
    const bars = Array.from(legend.bins, (n, i) => {
      const tall = n ? Math.max(1, (HEIGHT * n) / most) : 0;
      return s("rect", { x: i * wide, y: HEIGHT - tall, width: wide - 0.6, height: tall });
    });
    const brush = s("rect", { class: "brush", y: 0, height: HEIGHT, x: 0, width: 0 });
    const share = scaleOf(legend.low, legend.high, legend.log);
    const mark = (a: number, b: number): void => {
      brush.setAttribute("x", String(WIDTH * Math.min(a, b)));
      brush.setAttribute("width", String(WIDTH * Math.abs(b - a)));
    };
    const { range } = this.#filter;
    if (range) mark(share(range[0]), share(range[1]));
    const svg = s(
      "svg",
      {
        class: "points-histogram",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `Histogram of ${legend.title}: drag to show a range only`,
      },
      ...bars,
      brush,
    );
    let from = Number.NaN;
    const at = (event: PointerEvent): number => {
      const box = svg.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    svg.addEventListener("pointerdown", (event) => {
      from = at(event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      if (!Number.isNaN(from)) mark(from, at(event));
    });
    svg.addEventListener("pointerup", (event) => {
      const [a, b] = [Math.min(from, at(event)), Math.max(from, at(event))];
      from = Number.NaN;
      this.#range(b - a < 0.01 ? null : [valueAt(legend, a), valueAt(legend, b)]);
    });
    return svg;
  }

  #bounds(legend: NumberLegend): HTMLElement {
    const range = this.#filter.range ?? [legend.low, legend.high];
    const field = (end: 0 | 1, label: string): HTMLElement => {
      const input = h("input", {
        type: "number",
        step: "any",
        value: Number(range[end].toPrecision(5)),
        "aria-label": `${label} of ${legend.title}`,
      });
      input.addEventListener("change", () => {
        const value = input.valueAsNumber;
        if (!Number.isFinite(value)) return this.#range(null);
        this.#range(end ? [Math.min(range[0], value), value] : [value, Math.max(range[1], value)]);
      });
      return input;
    };
    return h("div", { class: "points-bounds" }, field(0, "Least"), h("span", {}, "to"), field(1, "Greatest"));
  }

  #log(legend: NumberLegend): HTMLElement {
    const box = h("input", { type: "checkbox", checked: legend.log });
    box.addEventListener("change", () => this.on.log(box.checked));
    return h("label", { class: "control toggle" }, box, h("span", {}, "Logarithmic"));
  }

  #range(range: readonly [number, number] | null): void {
    this.on.filter({ off: new Set(), on: new Set(), range });
  }

  #link = (text: string, act: () => void): HTMLElement =>
    h("button", { type: "button", class: "link-button", onclick: act }, text);
}

const greyed = (others: number, all: number): string =>
  others >= all - 1
    ? "They are too many, of one size, for colours that tell them apart."
    : `The largest have a colour of their own, ${plural(others, "other")} are grey.`;
