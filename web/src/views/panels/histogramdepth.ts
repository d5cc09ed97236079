// Gradients over depth: the root mean square of every layer's gradient at one step, and which vanish or explode there.
import { h, put, sizeCanvas } from "../../lib/dom";
import { csv, download, pngOf, saveMenu } from "../../lib/download";
import { count, number, plural } from "../../lib/format";
import { dot, hiddenTable } from "../../lib/frame";
import {
  EARLIER,
  kindOf,
  type Layer,
  type Mark,
  SIGN,
  THRESHOLDS,
  type Thresholds,
} from "../../lib/gradients";
import { entryAt } from "../../lib/stepbar";
import type { Tooltip } from "../../lib/tooltip";
import { type Style, styleOf } from "./histogramfigure";

const HEIGHT = 190;
const LEFT = 46;
const RIGHT = 14;
const TOP = 20;
const BOTTOM = HEIGHT - 26;
const KEYS = ["vanish", "floor", "explode"] as const;

/** A run's gradients in order, and their marks by tag. */
export interface DepthRun {
  readonly run: string;
  readonly colour: string;
  readonly layers: readonly Layer[];
  readonly marks: ReadonlyMap<string, readonly Mark[]>;
}

interface Point {
  readonly tag: string;
  readonly at: number;
  readonly step: number;
  readonly rms: number;
  readonly broken: number;
  readonly mark: Mark;
}

interface Line {
  readonly run: string;
  readonly colour: string;
  readonly points: readonly Point[];
}

export interface DepthEvents {
  readonly thresholds: (change: Partial<Record<keyof Thresholds, number | null>>) => void;
  readonly chosen: (tag: string) => void;
}

export class DepthStrip {
  readonly el: HTMLElement;
  readonly #canvas = h("canvas", { role: "img", tabindex: 0 });
  readonly #summary = h("p", { class: "depth-found", role: "status" });
  readonly #table = h("div");
  readonly #fields: readonly HTMLInputElement[];
  readonly #observer = new ResizeObserver(() => this.#draw());
  #lines: readonly Line[] = [];
  #tags: readonly string[] = [];
  #span: [number, number] = [-6, 0];
  #read = -1;

  constructor(
    private readonly tooltip: Tooltip,
    private readonly events: DepthEvents,
  ) {
    this.#fields = KEYS.map((key) => this.#field(key));
    const save = saveMenu(
      [
        {
          label: "PNG of the figure",
          save: async () => download("gradients.png", await pngOf(this.#canvas)),
        },
        {
          label: "CSV of this step",
          save: () => download("gradients.csv", this.#csv(), "text/csv;charset=utf-8"),
        },
      ],
      "Save the gradients over depth",
    );
    this.el = h(
      "section",
      { class: "card gradient-depth", "aria-label": "Gradients over depth", hidden: true },
      h("header", { class: "card-head" }, h("h2", {}, "Gradients over depth"), this.#summary, save),
      this.#sentence(),
      h("div", { class: "ridge-host" }, this.#canvas),
      this.#table,
    );
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.#canvas.addEventListener("pointerleave", () => this.#leave());
    this.#canvas.addEventListener("blur", () => this.#leave());
    this.#canvas.addEventListener("click", () => this.#choose());
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#observer.observe(this.el);
  }

  /** Show the gradients of some runs at a step (null: the last of each); `pending` layers are still on their way. */
  show(runs: readonly DepthRun[], step: number | null, thresholds: Thresholds, pending: number): void {
    this.#tags = [...new Set(runs.flatMap(({ layers }) => layers.map(({ tag }) => tag)))];
    const places = new Map(this.#tags.map((tag, at) => [tag, at]));
    this.#lines = runs.map(({ run, colour, layers, marks }) => ({
      run,
      colour,
      points: layers.flatMap((layer) => pointOf(layer, marks, step, places.get(layer.tag) ?? 0)),
    }));
    this.#span = decadesOf(runs);
    KEYS.forEach((key, k) => {
      if (document.activeElement !== this.#fields[k]) this.#fields[k].value = numeral(thresholds[key]);
    });
    this.#describe(step, pending);
    this.#draw();
  }

  destroy(): void {
    this.#observer.disconnect();
  }

  /** The definition, with its three numbers to be changed. */
  #sentence(): HTMLElement {
    const [vanish, floor, explode] = this.#fields;
    return h(
      "p",
      { class: "gradient-rule" },
      "Tags with “grad” in their name, in the order of logging; RMS is the root mean square of a gradient's finite values. A gradient ",
      h("b", { class: "vanishing" }, `${SIGN.vanishing} vanishes`),
      " where its RMS is at most ",
      vanish,
      " of the largest at that step among the run's gradients of its kind (weights, biases, others) that do not explode, or at most ",
      floor,
      "; it ",
      h("b", { class: "exploding" }, `${SIGN.exploding} explodes`),
      " where it has NaN or infinite values, or its RMS is over ",
      explode,
      ` times the median of its last ${EARLIER[1]} steps (from the ${EARLIER[0] + 1}th step on).`,
    );
  }

  #field(key: keyof Thresholds): HTMLInputElement {
    const labels = {
      vanish: "Vanishing: share of the largest RMS",
      floor: "Vanishing: smallest RMS",
      explode: "Exploding: times the median RMS",
    };
    const field = h("input", {
      type: "text",
      inputmode: "decimal",
      class: "num threshold",
      "aria-label": labels[key],
      title: `${labels[key]}; ${numeral(THRESHOLDS[key])} unless changed, 0 switches it off`,
    });
    field.addEventListener("change", () => {
      const value = Number(field.value.trim() || THRESHOLDS[key]);
      const good = Number.isFinite(value) && value >= 0;
      field.setAttribute("aria-invalid", String(!good));
      if (good) this.events.thresholds({ [key]: value === THRESHOLDS[key] ? null : value });
    });
    return field;
  }

  #describe(step: number | null, pending: number): void {
    const points = this.#lines.flatMap((line) => line.points);
    const of = (mark: Mark): number => points.filter((point) => point.mark === mark).length;
    const when = step === null ? "at the last step" : `at step ${count(step)}`;
    const text = pending
      ? `reading ${plural(pending, "more gradient")} …`
      : `${SIGN.vanishing} ${count(of("vanishing"))} vanishing, ${SIGN.exploding} ${count(of("exploding"))} exploding of ${plural(points.length, "gradient")} ${when}`;
    if (this.#summary.textContent !== text) put(this.#summary, text);
    this.#canvas.setAttribute(
      "aria-label",
      `RMS of ${plural(this.#tags.length, "gradient")} over depth ${when}, logarithmic; ${text}. Left and right go from layer to layer, Enter shows the histograms of one.`,
    );
    const rows = this.#lines.flatMap(({ run, points: own }) =>
      own.map((point) => [
        point.tag,
        run,
        count(point.step),
        number(point.rms),
        count(point.broken),
        point.mark,
      ]),
    );
    const head = ["gradient", "run", "step", "RMS", "NaN or infinite", "mark"];
    put(this.#table, hiddenTable(`Gradients over depth ${when}`, head, rows));
  }

  #x(at: number): number {
    return LEFT + ((this.#width - LEFT - RIGHT) * (at + 0.5)) / Math.max(1, this.#tags.length);
  }

  /** Zeros stand on the lower edge, what has no finite value on the upper. */
  #y({ rms }: Pick<Point, "rms">): number {
    const [low, high] = this.#span;
    if (Number.isNaN(rms)) return TOP;
    if (rms === 0) return BOTTOM;
    return BOTTOM - ((BOTTOM - TOP) * (Math.log10(rms) - low)) / (high - low);
  }

  get #width(): number {
    return this.#canvas.parentElement?.clientWidth ?? 0;
  }

  #draw(): void {
    if (this.#width < 60 || this.el.hidden) return;
    const context = sizeCanvas(this.#canvas, this.#width, HEIGHT);
    const style = styleOf(this.el);
    this.#paintAxes(context, style);
    for (const line of this.#lines) this.#paintLine(context, style, line);
    if (this.#read < 0) return;
    context.strokeStyle = style.colour("text");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(Math.round(this.#x(this.#read)) + 0.5, TOP);
    context.lineTo(Math.round(this.#x(this.#read)) + 0.5, BOTTOM);
    context.stroke();
  }

  #paintAxes(context: CanvasRenderingContext2D, style: Style): void {
    context.font = style.font;
    context.fillStyle = style.colour("muted");
    context.strokeStyle = style.colour("grid");
    context.lineWidth = 1;
    const [low, high] = this.#span;
    const every = Math.max(1, Math.ceil((high - low) / 6));
    context.textAlign = "right";
    for (let power = low; power <= high; power += every) {
      const y = Math.round(this.#y({ rms: 10 ** power })) + 0.5;
      context.fillText(numeral(10 ** power), LEFT - 6, y + 3.5);
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(this.#width - RIGHT, y);
      context.stroke();
    }
    const names = shortNames(this.#tags);
    const longest = Math.max(20, ...names.map((name) => context.measureText(name).width)) + 12;
    const step = Math.max(1, Math.ceil(longest / (this.#x(1) - this.#x(0))));
    names.forEach((name, at) => {
      if (at % step) return;
      const x = this.#x(at);
      const half = context.measureText(name).width / 2;
      context.textAlign = x + half > this.#width ? "right" : x - half < 0 ? "left" : "center";
      context.fillText(name, Math.min(this.#width, x), HEIGHT - 8);
    });
  }

  #paintLine(context: CanvasRenderingContext2D, style: Style, { colour, points }: Line): void {
    context.strokeStyle = colour;
    context.lineWidth = 1.2;
    context.beginPath();
    for (const point of points) context.lineTo(this.#x(point.at), this.#y(point));
    context.stroke();
    for (const point of points) {
      const [x, y] = [this.#x(point.at), this.#y(point)];
      context.fillStyle = point.rms > 0 ? colour : style.colour("card");
      context.strokeStyle = colour;
      context.beginPath();
      context.arc(x, y, 3, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
      if (!point.mark) continue;
      context.textAlign = "center";
      context.fillStyle = style.colour(point.mark === "vanishing" ? "warn" : "bad");
      context.fillText(point.broken ? "×" : SIGN[point.mark], x, y - 8);
    }
  }

  #move(event: PointerEvent): void {
    const left = event.clientX - this.#canvas.getBoundingClientRect().left;
    const at = Math.floor(((left - LEFT) * this.#tags.length) / (this.#width - LEFT - RIGHT));
    this.#point(Math.max(0, Math.min(this.#tags.length - 1, at)), event.clientX, event.clientY);
  }

  #point(at: number, x: number, y: number): void {
    if (!this.#tags.length) return;
    this.#read = at;
    this.#draw();
    const rows = this.#lines.flatMap((line) => {
      const point = line.points.find((one) => one.at === at);
      return point ? [this.#row(line, point)] : [];
    });
    const kind = kindOf(this.#tags[at]);
    const head = ["", "step", "RMS", `of largest (${kind})`, ""].map((text) =>
      h("th", { scope: "col" }, text),
    );
    this.tooltip.show(
      x,
      y,
      h("h4", { class: "mono" }, this.#tags[at]),
      h("table", { class: "num" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)),
    );
  }

  #row({ run, colour, points }: Line, point: Point): HTMLElement {
    const alike = points.filter(({ tag, mark }) => kindOf(tag) === kindOf(point.tag) && mark !== "exploding");
    const largest = Math.max(0, ...alike.map(({ rms }) => (rms > 0 ? rms : 0)));
    return h(
      "tr",
      {},
      h("td", {}, dot(colour), run),
      h("td", {}, count(point.step)),
      h("td", {}, number(point.rms)),
      h("td", {}, largest > 0 ? number(point.rms / largest, 3) : "–"),
      h(
        "td",
        { class: "strong" },
        point.broken ? `${point.mark}, ${count(point.broken)} not finite` : point.mark,
      ),
    );
  }

  #leave(): void {
    this.tooltip.hide();
    if (this.#read < 0) return;
    this.#read = -1;
    this.#draw();
  }

  #choose(): void {
    const tag = this.#tags[this.#read];
    if (tag) this.events.chosen(tag);
  }

  #key(event: KeyboardEvent): void {
    const last = this.#tags.length - 1;
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last }[event.key];
    if (event.key === "Enter") this.#choose();
    else if (event.key === "Escape" && this.#read >= 0) this.#leave();
    else if (by !== undefined) {
      const at = this.#read < 0 ? 0 : Math.max(0, Math.min(last, this.#read + by));
      const box = this.#canvas.getBoundingClientRect();
      this.#point(at, box.left + this.#x(at), box.top + TOP + 20);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #csv(): string {
    const rows = this.#lines.flatMap(({ run, points }) =>
      points.map(({ tag, step, rms, broken, mark }) => [tag, run, step, rms, broken, mark]),
    );
    return csv(["gradient", "run", "step", "rms", "not_finite", "mark"], rows);
  }
}

function pointOf(
  layer: Layer,
  marks: ReadonlyMap<string, readonly Mark[]>,
  step: number | null,
  at: number,
): Point[] {
  const entry = entryAt(layer.step, step);
  if (entry < 0) return [];
  const mark = marks.get(layer.tag)?.[entry] ?? "";
  return [
    { tag: layer.tag, at, step: layer.step[entry], rms: layer.rms[entry], broken: layer.broken[entry], mark },
  ];
}

/** The powers of ten between which all layers are at all steps: the axis stays while one goes from step to step. */
function decadesOf(runs: readonly DepthRun[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const { layers } of runs)
    for (const { rms } of layers)
      for (let i = 0; i < rms.length; i++)
        if (rms[i] > 0) [low, high] = [Math.min(low, rms[i]), Math.max(high, rms[i])];
  if (low > high) return [-6, 0];
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  return first === last ? [first - 1, last] : [first, last];
}

/** 0.0001 → "1e-4", 100 → "100". */
const numeral = (value: number): string =>
  value !== 0 && (value < 0.01 || value >= 1e5) ? value.toExponential().replace("+", "") : String(value);

/** Tags without what all of them begin and end with, at whole parts. */
export function shortNames(tags: readonly string[]): string[] {
  if (tags.length < 2) return [...tags];
  const parts = tags.map((tag) => tag.split(/(?<=[./])/));
  const shared = (at: (one: readonly string[]) => string | undefined): boolean =>
    new Set(parts.map(at)).size === 1 && parts.every((one) => one.length > 1);
  while (shared((one) => one[0])) for (const one of parts) one.shift();
  while (shared((one) => one[one.length - 1])) for (const one of parts) one.pop();
  return parts.map((one) => one.join("").replace(/[./]$/, ""));
}
