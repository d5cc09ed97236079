// One slider over the steps of all cards of a page: without a step in the address every card shows its latest one.
import { h, put, reducedMotion, s } from "./dom";
import { count } from "./format";
import { numberOf, type Route } from "./route";

const INTERVAL_MS = 400;
const PLAY = "M5 3.2v9.6l7.6-4.8z";
const PAUSE = "M5 3.5v9M11 3.5v9";
const BACK = "M10 3.5 5.5 8l4.5 4.5";
const FORTH = "M6 3.5 10.5 8 6 12.5";

/** The step that the address asks for; null: the latest, whatever it is. */
export function stepOf(route: Route): number | null {
  const step = numberOf(route, "step", Number.NaN);
  return Number.isNaN(step) ? null : step;
}

/** All steps of several series, each once, in order. */
export function unionOfSteps(series: Iterable<ArrayLike<number>>): number[] {
  const all = new Set<number>();
  for (const steps of series) for (let i = 0; i < steps.length; i++) all.add(steps[i]);
  return [...all].sort((a, b) => a - b);
}

/** The number of the last entry at or before `step` (null: of the last); the first one if all are later, -1 if none is. */
export function entryAt(steps: ArrayLike<number>, step: number | null): number {
  if (step === null || !steps.length) return steps.length - 1;
  let best = -1;
  for (let i = 0; i < steps.length; i++)
    if (steps[i] <= step && (best < 0 || steps[i] >= steps[best])) best = i;
  if (best >= 0) return best;
  best = 0;
  for (let i = 1; i < steps.length; i++) if (steps[i] < steps[best]) best = i;
  return best;
}

/** What a card says of an entry that is of another step than all are asked for; empty where it is of that one. */
export function offStep(shown: number, step: number | null): string {
  if (step === null || shown === step) return "";
  return shown < step ? `nothing at ${count(step)}` : `nothing before ${count(shown)}`;
}

export class StepBar {
  readonly el: HTMLElement;
  readonly #play: HTMLButtonElement;
  readonly #back: HTMLButtonElement;
  readonly #forth: HTMLButtonElement;
  readonly #latest: HTMLButtonElement;
  readonly #range = h("input", { type: "range", "aria-label": "Step of all cards", min: 0, max: 0, step: 1 });
  readonly #output = h("output", { class: "num" });
  #steps: readonly number[] = [];
  #current: number | null = null;
  #timer = 0;

  /** `onStep` is called with the step that all cards shall show, null for the latest of each. */
  constructor(private readonly onStep: (step: number | null) => void) {
    this.#play = button("Play all steps", PLAY, () => this.#toggle());
    this.#back = button("Previous step", BACK, () => this.move(-1));
    this.#forth = button("Next step", FORTH, () => this.move(1));
    this.#latest = h(
      "button",
      {
        type: "button",
        class: "button step-latest",
        title: "Show the latest step of every card and follow it",
        onclick: () => this.#go(null),
      },
      "Latest",
    );
    this.#range.addEventListener("input", () => {
      this.#stop();
      this.#go(this.#steps[Number(this.#range.value)] ?? null);
    });
    this.el = h(
      "div",
      { class: "step-bar", role: "group", "aria-label": "Step" },
      h("span", { class: "caption" }, "Step"),
      this.#play,
      this.#back,
      this.#range,
      this.#forth,
      this.#output,
      this.#latest,
    );
    this.update([], null);
  }

  /** The steps there are, in order, and the one that is asked for. */
  update(steps: readonly number[], current: number | null): void {
    this.#steps = steps;
    this.#current = current;
    this.el.hidden = steps.length < 2 && current === null;
    this.#mark();
  }

  /** Go `by` steps on. */
  move(by: number): void {
    const at = Math.max(0, Math.min(this.#steps.length - 1, this.#at + by));
    if (this.#steps.length) this.#go(this.#steps[at]);
  }

  destroy(): void {
    this.#stop();
  }

  /** The place of the step that is asked for, or of the last one before it. */
  get #at(): number {
    return Math.max(0, entryAt(this.#steps, this.#current));
  }

  #go(step: number | null): void {
    this.#current = step;
    this.#mark();
    this.onStep(step);
  }

  #mark(): void {
    const last = Math.max(0, this.#steps.length - 1);
    const at = this.#at;
    const shown = this.#current ?? this.#steps[last];
    const text = shown === undefined ? "" : count(shown);
    this.#range.max = String(last);
    this.#range.value = String(at);
    this.#range.style.setProperty("--fill", `${last ? (100 * at) / last : 100}%`);
    this.#range.setAttribute("aria-valuetext", this.#current === null ? `${text}, the latest` : text);
    put(this.#output, this.#current === null ? `${text} · latest` : text);
    this.#latest.setAttribute("aria-pressed", String(this.#current === null));
    this.#back.disabled = at === 0;
    this.#forth.disabled = at === last;
  }

  #toggle(): void {
    if (this.#timer) return this.#stop();
    if (this.#at >= this.#steps.length - 1) this.#go(this.#steps[0] ?? null);
    const interval = reducedMotion() ? 2 * INTERVAL_MS : INTERVAL_MS;
    this.#timer = window.setInterval(() => {
      if (this.#at >= this.#steps.length - 1) this.#stop();
      else this.move(1);
    }, interval);
    this.#draw(PAUSE, "Pause");
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#draw(PLAY, "Play all steps");
  }

  #draw(path: string, label: string): void {
    this.#play.setAttribute("aria-label", label);
    put(this.#play, icon(path));
  }
}

function button(label: string, path: string, click: () => void): HTMLButtonElement {
  const props = { type: "button", class: "icon-button play", "aria-label": label, onclick: click };
  return h("button", props, icon(path));
}

function icon(path: string): SVGElement {
  const kind = path === PLAY ? "solid" : "stroke";
  return s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: kind }, s("path", { d: path }));
}
