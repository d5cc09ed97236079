// Small controls of the tool bars: segmented choice, slider, toggle, select, step player. Plain elements, real labels.
import { h, put, reducedMotion, s } from "./dom";

export interface Control<T> {
  readonly el: HTMLElement;
  set(value: T): void;
}

export interface Option<T extends string> {
  readonly value: T;
  readonly text: string;
  readonly title?: string;
}

export function segmented<T extends string>(
  label: string,
  options: readonly Option<T>[],
  value: T,
  choose: (value: T) => void,
): Control<T> {
  const buttons = options.map((option) =>
    h("button", { type: "button", title: option.title, onclick: () => choose(option.value) }, option.text),
  );
  const mark = (chosen: T): void => {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(options[i].value === chosen));
    });
  };
  mark(value);
  const el = h(
    "div",
    { class: "control" },
    caption(label),
    h("div", { class: "segmented", role: "group", "aria-label": label }, ...buttons),
  );
  return { el, set: mark };
}

export interface Range {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export function slider(
  label: string,
  range: Range,
  value: number,
  input: (value: number) => void,
  text: (value: number) => string,
): Control<number> & { limit(range: Range): void } {
  const field = h("input", { type: "range", "aria-label": label, ...range, value });
  const output = h("output", { class: "num" }, text(value));
  const show = (next: number): void => {
    field.value = String(next);
    put(output, text(next));
    field.setAttribute("aria-valuetext", text(next));
    const [low, high] = [Number(field.min), Number(field.max)];
    field.style.setProperty("--fill", `${high > low ? (100 * (next - low)) / (high - low) : 0}%`);
  };
  field.addEventListener("input", () => {
    show(Number(field.value));
    input(Number(field.value));
  });
  show(value);
  const el = h("label", { class: "control slider" }, caption(label), field, output);
  const limit = (next: Range): void => {
    for (const [key, bound] of Object.entries(next)) field.setAttribute(key, String(bound));
  };
  return { el, set: show, limit };
}

export function toggle(
  label: string,
  value: boolean,
  change: (value: boolean) => void,
  title?: string,
): Control<boolean> {
  const box = h("input", { type: "checkbox", checked: value });
  box.addEventListener("change", () => change(box.checked));
  const el = h("label", { class: "control toggle", title }, box, h("span", {}, label));
  return {
    el,
    set: (next) => {
      box.checked = next;
    },
  };
}

export function select<T extends string>(
  label: string,
  options: readonly Option<T>[],
  value: T,
  choose: (value: T) => void,
): Control<T> {
  const field = h(
    "select",
    { "aria-label": label },
    ...options.map((option) => h("option", { value: option.value }, option.text)),
  );
  field.value = value;
  field.addEventListener("change", () => choose(field.value as T));
  const el = h("label", { class: "control" }, caption(label), field);
  return {
    el,
    set: (next) => {
      field.value = next;
    },
  };
}

const caption = (label: string): HTMLElement => h("span", { class: "caption" }, label);

/** A slider over recorded steps with a play button; `show` is called with the index of the step. */
export class Player {
  readonly el: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #slider: ReturnType<typeof slider>;
  readonly #interval: number;
  #steps: readonly number[] = [];
  #at = 0;
  #timer = 0;

  constructor(
    label: string,
    private readonly show: (index: number) => void,
    interval = 400,
  ) {
    this.#interval = interval;
    this.#button = h("button", { type: "button", class: "icon-button play", onclick: () => this.toggle() });
    this.#slider = slider(
      label,
      { min: 0, max: 0, step: 1 },
      0,
      (index) => this.#go(index),
      (index) => this.#text(index),
    );
    this.el = h("div", { class: "player" }, this.#button, this.#slider.el);
    this.#mark();
  }

  get playing(): boolean {
    return this.#timer !== 0;
  }

  /** The steps there are, and the index of the one that is shown. */
  update(steps: readonly number[], at: number): void {
    this.#steps = steps;
    this.#at = at;
    this.#slider.limit({ min: 0, max: Math.max(0, steps.length - 1), step: 1 });
    this.#slider.set(at);
    this.el.hidden = steps.length < 2;
  }

  move(by: number): void {
    this.#go(Math.max(0, Math.min(this.#steps.length - 1, this.#at + by)));
  }

  toggle(): void {
    if (this.playing) return this.stop();
    if (this.#at >= this.#steps.length - 1) this.#go(0);
    const interval = reducedMotion() ? 2 * this.#interval : this.#interval;
    this.#timer = window.setInterval(() => {
      if (this.#at >= this.#steps.length - 1) this.stop();
      else this.#go(this.#at + 1);
    }, interval);
    this.#mark();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#mark();
  }

  #go(index: number): void {
    this.#at = index;
    this.#slider.set(index);
    this.show(index);
  }

  #text(index: number): string {
    return this.#steps.length ? String(this.#steps[index] ?? "") : "";
  }

  #mark(): void {
    const path = this.playing ? "M5 3.5v9M11 3.5v9" : "M5 3.2v9.6l7.6-4.8z";
    this.#button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    put(
      this.#button,
      s(
        "svg",
        { viewBox: "0 0 16 16", "aria-hidden": "true", class: this.playing ? "stroke" : "solid" },
        s("path", { d: path }),
      ),
    );
  }
}
