// How much the projections say, layer by layer: the median of a figure of proof with its quartiles, a line for each rule.

import {
  type DepthPoint,
  depthPoints,
  everyOf,
  fallsBelow,
  MEASURES,
  type MeasureText,
  spanOf,
  stretches,
} from "../../lib/depth";
import { h, put, s } from "../../lib/dom";
import { number } from "../../lib/format";
import { dot, hiddenTable } from "../../lib/frame";
import { rulesOf, ruleText, type SearchedLayer } from "../../lib/overview";
import { categorical, type Theme } from "../../lib/palette";
import { Tooltip } from "../../lib/tooltip";

const HEIGHT = 216;
const MARGIN = { left: 34, right: 14, top: 10, bottom: 28 } as const;
const NAME_WIDTH = 84;
const NAME_LENGTH = 13;
/** Below this a projection is nearly that of any other channel. */
const UNSPECIFIC = 0.1;

interface Line {
  readonly rule: string;
  readonly colour: string;
  readonly main: readonly DepthPoint[];
  readonly beside: readonly DepthPoint[];
}

export class DepthCurve {
  readonly #plot = h("div", { class: "depth-plot" });
  readonly #below = h("div");
  readonly el = h("section", { class: "depth card", "aria-label": "Figures of proof over the layers" });
  readonly #observer = new ResizeObserver(() => this.#draw());
  readonly #tooltip = new Tooltip();
  #layers: readonly SearchedLayer[] = [];
  #lines: readonly Line[] = [];
  #measure: MeasureText = MEASURES[0];
  #key = "";

  constructor() {
    this.#observer.observe(this.#plot);
    this.#plot.addEventListener("pointermove", (event) => this.#point(event));
    this.#plot.addEventListener("pointerleave", () => this.#leave());
  }

  /** Draw one figure of all layers, in order; the section is hidden where none has it. `tools` stand in its head. */
  show(layers: readonly SearchedLayer[], measure: MeasureText, theme: Theme, tools: HTMLElement): void {
    const key = JSON.stringify([layers.map(({ record }) => record.id), measure.value, theme]);
    if (key === this.#key) return;
    this.#key = key;
    this.#layers = layers;
    this.#measure = measure;
    this.#lines = rulesOf(layers).map((rule, i) => ({
      rule,
      colour: categorical(i, theme),
      main: depthPoints(layers, rule, measure.names[0]),
      beside: depthPoints(layers, rule, measure.names[1]),
    }));
    this.el.hidden = !layers.some(({ proof }) => Object.keys(proof).length);
    if (this.el.hidden) return;
    if (!this.#plot.isConnected || !this.el.contains(tools))
      put(
        this.el,
        h("div", { class: "depth-head" }, h("h3", {}, "What the pictures prove"), tools),
        this.#plot,
        this.#below,
      );
    put(this.#below, this.#legend(), h("p", { class: "muted" }, this.#text()), this.#table());
    this.#draw();
  }

  destroy(): void {
    this.#observer.disconnect();
    this.#tooltip.destroy();
  }

  /** What the figure is, and from which layer on the pictures stop being about the channel. */
  #text(): string {
    if (this.#measure.value !== "specificity") return this.#measure.explain;
    const found = this.#lines.flatMap(({ rule, main }) => {
      const at = fallsBelow(main, UNSPECIFIC);
      return at === undefined ? [] : [`${ruleText(rule)} from ${this.#layers[at].name} on`];
    });
    const says = found.length ? ` Half of the channels lie below ${UNSPECIFIC}: ${found.join("; ")}.` : "";
    return this.#measure.explain + says;
  }

  #legend(): HTMLElement {
    const [main, beside] = this.#measure.legend;
    const kinds = beside
      ? [`line and band: ${main}`, `dashed: ${beside}`]
      : ["line: median", "band: quartiles over the channels"];
    return h(
      "p",
      { class: "depth-legend" },
      ...this.#lines.map(({ rule, colour }) => h("span", {}, dot(colour), ruleText(rule))),
      ...kinds.map((text) => h("span", { class: "muted" }, text)),
    );
  }

  #table(): HTMLElement {
    const { names, legend } = this.#measure;
    const rows = this.#layers.flatMap((layer) =>
      this.#lines.flatMap(({ rule }) =>
        names.flatMap((name, i) => {
          const band = name === undefined ? undefined : layer.proof[rule]?.[name];
          return band
            ? [[layer.name, ruleText(rule), legend[i] ?? "", ...band.map((one) => number(one, 3))]]
            : [];
        }),
      ),
    );
    const head = ["layer", "rule", "figure", "lower quartile", "median", "upper quartile"];
    return hiddenTable(`${this.#measure.text} over the layers`, head, rows);
  }

  get #width(): number {
    return this.#plot.clientWidth;
  }

  #x(at: number): number {
    const room = this.#width - MARGIN.left - MARGIN.right;
    return MARGIN.left + (room * (at + 0.5)) / Math.max(1, this.#layers.length);
  }

  #draw(): void {
    const width = this.#width;
    if (!width) return;
    const [low, high] = spanOf(this.#lines.flatMap(({ main, beside }) => [...main, ...beside]));
    const y = (value: number): number =>
      MARGIN.top + ((HEIGHT - MARGIN.top - MARGIN.bottom) * (high - value)) / (high - low);
    const label = `${this.#measure.text}: median and quartiles of ${this.#layers.length} layers, a line for each rule; the table below has the numbers`;
    put(
      this.#plot,
      s(
        "svg",
        { width, height: HEIGHT, role: "img", "aria-label": label },
        ...this.#grid(low, high, y),
        ...this.#lines.flatMap((line) => this.#line(line, y)),
        s("line", { class: "guide", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" }),
      ),
    );
  }

  #grid(low: number, high: number, y: (value: number) => number): SVGElement[] {
    const right = this.#width - MARGIN.right;
    const step = high - low > 1.5 ? 0.5 : 0.25;
    const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
    const every = everyOf(this.#layers.length, right - MARGIN.left, NAME_WIDTH);
    return [
      ...ticks.flatMap((value) => [
        s("line", {
          class: value === 0 ? "zero" : "grid",
          x1: MARGIN.left,
          x2: right,
          y1: y(value),
          y2: y(value),
        }),
        s("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value, 3)),
      ]),
      ...this.#layers.flatMap(({ name }, at) =>
        at % every
          ? []
          : [s("text", { x: this.#x(at), y: HEIGHT - 8, "text-anchor": "middle" }, shortName(name))],
      ),
    ];
  }

  #line({ colour, main, beside }: Line, y: (value: number) => number): SVGElement[] {
    const at = ({ at: layer }: DepthPoint, value: number): string =>
      `${this.#x(layer).toFixed(1)} ${y(value).toFixed(1)}`;
    const path = (points: readonly string[]): string => (points.length ? `M${points.join("L")}` : "");
    const bands = stretches(main).map((part) =>
      s("path", {
        class: "band",
        fill: colour,
        d: `${path([...part.map((one) => at(one, one.band[2])), ...[...part].reverse().map((one) => at(one, one.band[0]))])}Z`,
      }),
    );
    const medians = (points: readonly DepthPoint[], kind: string): SVGElement[] =>
      stretches(points).map((part) =>
        s("path", { class: kind, stroke: colour, d: path(part.map((one) => at(one, one.band[1]))) }),
      );
    const marks = main.map((one) =>
      s("circle", { cx: this.#x(one.at), cy: y(one.band[1]), r: 3, fill: colour }),
    );
    return [...bands, ...medians(beside, "beside"), ...medians(main, "median"), ...marks];
  }

  #point(event: PointerEvent): void {
    if (!this.#layers.length) return;
    const left = event.clientX - this.#plot.getBoundingClientRect().left;
    const room = this.#width - MARGIN.left - MARGIN.right;
    const at = Math.floor(((left - MARGIN.left) * this.#layers.length) / room);
    const layer = this.#layers[Math.max(0, Math.min(this.#layers.length - 1, at))];
    const place = this.#layers.indexOf(layer);
    const guide = this.#plot.querySelector(".guide");
    for (const name of ["x1", "x2"]) guide?.setAttribute(name, String(this.#x(place)));
    guide?.setAttribute("visibility", "visible");
    const value = (band: readonly number[] | undefined): string =>
      band ? `${number(band[1], 3)} (${number(band[0], 3)} to ${number(band[2], 3)})` : "–";
    const rows = this.#lines.map(({ rule, colour }) =>
      h(
        "tr",
        {},
        h("td", {}, dot(colour), ruleText(rule)),
        ...this.#measure.names.map((name) =>
          h("td", { class: "num" }, value(layer.proof[rule]?.[name ?? ""])),
        ),
      ),
    );
    this.#tooltip.show(
      event.clientX,
      event.clientY,
      h("h4", { class: "mono" }, layer.name),
      h("table", {}, ...rows),
    );
  }

  #leave(): void {
    this.#plot.querySelector(".guide")?.setAttribute("visibility", "hidden");
    this.#tooltip.hide();
  }
}

/** The end of a long name tells layers apart. */
const shortName = (name: string): string =>
  name.length > NAME_LENGTH ? `…${name.slice(1 - NAME_LENGTH)}` : name;
