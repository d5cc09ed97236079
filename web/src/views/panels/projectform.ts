// What a projection is to be made with: method, perplexity, exaggeration, iterations, seed, dimensions, metric, start.
import { segmented, select, slider } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { methodName } from "../../lib/points";
import type { Json, RecordMeta } from "../../source/source";

export interface Asked {
  readonly method: string;
  readonly parameters: Readonly<Record<string, Json>>;
  /** Whether it starts from what is shown. */
  readonly warm: boolean;
}

type Start = "anew" | "shown";
type Dimensions = "2" | "3";
type Pair = readonly [from: string, to: string];

const MOST_PERPLEXITY = 100;
const LISTED_CLASSES = 1000;

/** What may change while a projection forms. */
const CHANGING = new Set(["perplexity", "exaggeration", "iterations"]);

export class ProjectForm {
  readonly el: HTMLFormElement;
  readonly #fields = h("div", { class: "live-fields" });
  readonly #submit = h("button", { type: "submit", class: "button primary" }, "Start");
  #record: RecordMeta | undefined;
  #methods: readonly string[] = [];
  #method = "tsne";
  #numbers: Record<string, number> = {
    perplexity: 30,
    exaggeration: 1,
    iterations: 750,
    seed: 0,
    neighbours: 15,
  };
  #dimensions: Dimensions = "2";
  #metric = "euclidean";
  #start: Start = "anew";
  #pairs: Pair[] = [];
  readonly #touched = new Set<string>();

  constructor(
    start: () => void,
    private readonly changed: () => void,
  ) {
    const submit = (event: Event): void => {
      event.preventDefault();
      start();
    };
    this.el = h("form", { class: "live-form", onsubmit: submit }, this.#fields, this.#submit);
  }

  set name(text: string) {
    if (this.#submit.textContent !== text) put(this.#submit, text);
    this.#submit.classList.toggle("primary", text === "Start");
  }

  open(record: RecordMeta, methods: readonly string[]): void {
    this.#record = record;
    this.#methods = methods;
    if (!methods.includes(this.#method))
      this.#method = methods.includes("tsne") ? "tsne" : (methods[0] ?? "tsne");
    this.#submit.disabled = !methods.length;
    const names = this.#classes();
    this.#pairs = [
      [names[0] ?? "", names[1] ?? ""],
      [names[2] ?? names[0] ?? "", names[3] ?? names[1] ?? ""],
    ];
    this.#numbers.perplexity = Math.min(this.#numbers.perplexity, this.#mostPerplexity());
    this.#draw();
  }

  asked(): Asked {
    this.#touched.clear();
    const method = this.#method;
    const metric = this.#metric;
    const { perplexity, exaggeration, iterations, seed, neighbours } = this.#numbers;
    const common = { dimensions: Number(this.#dimensions), seed, metric };
    const own: Record<string, Record<string, Json>> = {
      pca: common,
      tsne: { ...common, perplexity, exaggeration, iterations },
      umap: { ...common, neighbours },
      axes: { axes: this.#pairs.map((pair) => [...pair]), metric },
    };
    return { method, parameters: own[method] ?? common, warm: method === "tsne" && this.#start === "shown" };
  }

  /** What has changed, of what may change while it runs, since this was asked last or it was started. */
  changes(): Readonly<Record<string, number>> {
    const changed = [...this.#touched].map((name) => [name, this.#numbers[name]]);
    this.#touched.clear();
    return Object.fromEntries(changed);
  }

  #count(): number {
    return Number(this.#record?.arrays.vector?.shape[0] ?? 0);
  }

  #mostPerplexity(): number {
    return Math.max(2, Math.min(MOST_PERPLEXITY, Math.floor((this.#count() - 1) / 3)));
  }

  #classes(): string[] {
    const names = this.#record?.meta.label_names;
    return Array.isArray(names) ? names.slice(0, LISTED_CLASSES).map(String) : [];
  }

  #draw(): void {
    const method = select(
      "Method",
      this.#methods.map((value) => ({ value, text: methodName(value) })),
      this.#method,
      (value) => {
        this.#method = value;
        this.#draw();
        this.el.querySelector("select")?.focus();
      },
    );
    const own: Record<string, () => (HTMLElement | null)[]> = {
      tsne: () => [
        this.#perplexity(),
        this.#exaggeration(),
        this.#number("Iterations", "iterations", 1, 100_000),
      ],
      umap: () => [this.#number("Neighbours", "neighbours", 2, 1000)],
      axes: () => this.#pairs.map((_, i) => this.#axis(i)),
    };
    const fields = own[this.#method]?.() ?? [];
    const axes = this.#method === "axes";
    put(
      this.#fields,
      method.el,
      ...fields,
      axes ? null : this.#number("Seed", "seed", 0, 4_294_967_295),
      axes ? null : this.#flat(),
      this.#metrics(),
      this.#method === "tsne" ? this.#from() : null,
    );
  }

  #perplexity(): HTMLElement {
    const range = { min: 2, max: this.#mostPerplexity(), step: 1 };
    return slider("Perplexity", range, this.#numbers.perplexity, (n) => this.#set("perplexity", n), String)
      .el;
  }

  #exaggeration(): HTMLElement {
    const range = { min: 1, max: 12, step: 0.5 };
    const text = (n: number): string => `×${n}`;
    return slider(
      "Exaggeration",
      range,
      this.#numbers.exaggeration,
      (n) => this.#set("exaggeration", n),
      text,
    ).el;
  }

  #number(label: string, name: string, min: number, max: number): HTMLElement {
    const field = h("input", {
      ...{ type: "number", class: "live-number num", "aria-label": label, required: true },
      ...{ min, max, step: 1, value: this.#numbers[name] },
    });
    field.addEventListener("change", () => {
      if (field.checkValidity()) this.#set(name, field.valueAsNumber);
    });
    return h("label", { class: "control" }, h("span", { class: "caption" }, label), field);
  }

  #set(name: string, value: number): void {
    this.#numbers = { ...this.#numbers, [name]: value };
    if (!CHANGING.has(name)) return;
    this.#touched.add(name);
    this.changed();
  }

  #flat(): HTMLElement {
    const control = segmented<Dimensions>(
      "Space",
      [
        { value: "2", text: "2-D" },
        { value: "3", text: "3-D" },
      ],
      this.#dimensions,
      (value) => {
        this.#dimensions = value;
        control.set(value);
      },
    );
    return control.el;
  }

  #metrics(): HTMLElement {
    const options = [
      { value: "euclidean", text: "Euclidean" },
      { value: "cosine", text: "Cosine" },
    ];
    return select("Metric", options, this.#metric, (value) => {
      this.#metric = value;
    }).el;
  }

  #from(): HTMLElement {
    const control = segmented<Start>(
      "From",
      [
        { value: "anew", text: "PCA", title: "Start from the first principal components" },
        {
          value: "shown",
          text: "What is shown",
          title: "Start from the map as it is, without early exaggeration",
        },
      ],
      this.#start,
      (value) => {
        this.#start = value;
        control.set(value);
      },
    );
    return control.el;
  }

  /** An axis from one class to another. */
  #axis(i: number): HTMLElement {
    const names = this.#classes().map((value) => ({ value, text: value }));
    const axis = "xyz"[i];
    const choose = (end: 0 | 1) => (value: string) => {
      const [from, to] = this.#pairs[i];
      this.#pairs[i] = end ? [from, value] : [value, to];
    };
    const [from, to] = this.#pairs[i];
    return h(
      "div",
      { class: "live-axis", role: "group", "aria-label": `Axis ${axis}` },
      select(`${axis} +`, names, from, choose(0)).el,
      select(`${axis} −`, names, to, choose(1)).el,
    );
  }
}
