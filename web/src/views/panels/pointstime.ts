// The bar of the steps of an embedding: play, scrub, next and previous; points move from one training step to the next.
import { type Control, toggle } from "../../lib/controls";
import { h, put, reducedMotion, s } from "../../lib/dom";
import { count, number, plural } from "../../lib/format";
import { dot, hiddenTable, isAbort, messageOf } from "../../lib/frame";
import { HIDDEN, SOFT } from "../../lib/highlight";
import { LayoutStore, type Recorded, recordedSteps } from "../../lib/layouts";
import type { EmbeddingData } from "../../lib/points";
import type { Change } from "../../lib/route";
import { type Layout, Timeline } from "../../lib/timeline";
import { TrailLayer } from "../../lib/trails";
import type { RecordInfo, RunInfo, Source } from "../../source/source";
import type { PointMap } from "./pointmap";

export interface TimeActions {
  readonly navigate: (change: Change, replace?: boolean) => void;
}

/** What the page shows. */
export interface TimeShown {
  readonly run: RunInfo;
  /** The open embedding: that of one step. */
  readonly data: EmbeddingData;
  /** All records of its tag by step. */
  readonly embeddings: readonly RecordInfo[];
  /** The name of the projection shown: the last part of its tag. */
  readonly projection: string;
  readonly map: PointMap;
  /** The iteration that is replayed, null: the end of the projection. */
  readonly iteration: number | null;
}

const STEP_MS = 900;
/** More numbers than this are not held at once: then the steps are shown one by one. */
const MOST_NUMBERS = 24e6;
/** More points have no trails: they would hide each other. */
const MOST_TRAILS = 40;
const PLAY = "M5 3.2v9.6l7.6-4.8z";
const PAUSE = "M5 3.5v9M11 3.5v9";
const BACK = "M10 3.5 5.5 8l4.5 4.5";
const FORTH = "M6 3.5 10.5 8 6 12.5";

export class PointsTime {
  /** Hidden where there is one step only. */
  readonly el: HTMLElement;
  readonly #play = iconButton("Play the steps", PLAY, () => this.toggle());
  readonly #back = iconButton("Previous step", BACK, () => this.move(-1));
  readonly #forth = iconButton("Next step", FORTH, () => this.move(1));
  readonly #range = h("input", { type: "range", "aria-label": "Training step", min: 0, max: 0, step: "any" });
  readonly #output = h("output", { class: "num" });
  readonly #note = h("span", { class: "points-time-note", role: "status" });
  readonly #chart = h("div", { class: "points-time-chart" });
  readonly #aligned: Control<boolean>;
  readonly #store: LayoutStore;
  readonly #trails = new TrailLayer();
  #controller = new AbortController();
  #shown: TimeShown | undefined;
  #steps: readonly Recorded[] = [];
  #key = "";
  #layouts: readonly Layout[] = [];
  #film: Timeline | undefined;
  #isAligned = true;
  #time = 0;
  #playing = false;
  #raf = 0;
  #followed: readonly number[] = [];

  constructor(
    source: Source,
    private readonly actions: TimeActions,
  ) {
    this.#store = new LayoutStore(source);
    this.#aligned = toggle(
      "Aligned",
      true,
      (on) => this.#align(on),
      "Each step is turned and mirrored onto the one after it, so that what has not changed stays where it is",
    );
    this.#range.addEventListener("input", () => this.#scrub(Number(this.#range.value)));
    this.#range.addEventListener("change", () => this.#land(Math.round(Number(this.#range.value))));
    this.#range.addEventListener("keydown", (event) => this.#rangeKey(event));
    this.el = h(
      "section",
      { class: "points-time", "aria-label": "Steps of the embedding", hidden: true },
      h("span", { class: "caption" }, "Training step"),
      this.#play,
      this.#back,
      this.#range,
      this.#forth,
      this.#output,
      this.#aligned.el,
      this.#chart,
      this.#note,
    );
  }

  /** Whether it moves the points just now; the page then leaves their places alone. */
  get playing(): boolean {
    return this.#playing;
  }

  show(shown: TimeShown): void {
    const { run, data, embeddings, projection, map } = shown;
    this.#shown = shown;
    const steps = recordedSteps(run, embeddings, projection);
    const here = steps.findIndex(({ embedding }) => embedding.id === data.record.id);
    this.el.hidden = steps.length < 2 || here < 0;
    const key = JSON.stringify([run.name, data.record.id, ...steps.map((one) => one.projection.id)]);
    if (key === this.#key) return;
    this.#key = key;
    this.stop();
    this.#controller.abort();
    this.#controller = new AbortController();
    const known = JSON.stringify(this.#steps) === JSON.stringify(steps);
    this.#steps = steps;
    this.#film = undefined;
    this.#time = Math.max(0, here);
    map.fit = null;
    put(this.#note);
    put(this.#chart);
    this.#trails.attach(map.el, (x, y, z) => placeOnScreen(map, x, y, z));
    this.#mark();
    if (this.el.hidden) return;
    if (known && this.#layouts.length === steps.length) this.#build(shown);
    else {
      this.#layouts = [];
      void this.#load(shown, key);
    }
  }

  /** Draw the ways of these points (numbers of the open embedding): the chosen one, the selected ones. */
  follow(points: readonly number[]): void {
    this.#followed = points;
    this.#measure();
    this.#trail();
  }

  /** The map was drawn: its camera may have moved. */
  drawn(): void {
    this.#trails.draw();
  }

  /** The next step, or with -1 the one before. */
  move(by: number): void {
    if (this.el.hidden) return;
    const at = Math.round(this.#time) + by;
    if (at < 0 || at >= this.#steps.length) return;
    this.#glide(at);
  }

  toggle(): void {
    if (this.#playing) return this.#land(Math.round(this.#time));
    if (!this.#film) return;
    if (this.#time >= this.#steps.length - 1) this.#put(0);
    this.#run(this.#steps.length - 1, STEP_MS * (reducedMotion() ? 2 : 1));
  }

  stop(): void {
    cancelAnimationFrame(this.#raf);
    this.#playing = false;
    this.#icon();
  }

  destroy(): void {
    this.stop();
    this.#controller.abort();
    this.#trails.detach();
    this.#store.clear();
  }

  async #load(shown: TimeShown, key: string): Promise<void> {
    const { signal } = this.#controller;
    if (3 * shown.data.count * this.#steps.length > MOST_NUMBERS) {
      put(
        this.#note,
        `${plural(shown.data.count, "point")} at ${this.#steps.length} steps are shown step by step.`,
      );
      this.#icon();
      return;
    }
    try {
      const layouts = await Promise.all(
        this.#steps.map((recorded) => this.#store.get(shown.run.name, recorded, signal)),
      );
      if (this.#key !== key) return;
      this.#layouts = layouts;
      this.#build(shown);
    } catch (error) {
      if (!isAbort(error) && this.#key === key) put(this.#note, messageOf(error));
    }
  }

  #build({ data, map }: TimeShown): void {
    const film = new Timeline(this.#layouts, data.index, this.#isAligned);
    this.#film = film;
    map.fit = (points, flat) => film.fitted(this.#here(), points, flat);
    map.refit();
    this.#icon();
    this.#measure();
    this.#trail();
  }

  /** The number of the step whose embedding is open. */
  #here(): number {
    return this.#steps.findIndex(({ embedding }) => embedding.id === this.#shown?.data.record.id);
  }

  #align(on: boolean): void {
    this.#isAligned = on;
    if (this.#shown && this.#layouts.length === this.#steps.length) this.#build(this.#shown);
  }

  #scrub(time: number): void {
    this.stop();
    if (this.#film) this.#put(time);
    else this.#time = time;
    this.#mark();
  }

  /** With the keyboard the slider goes from step to step. */
  #rangeKey(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    const to = { Home: 0, End: this.#steps.length - 1 }[event.key];
    if (by === undefined && to === undefined) return;
    event.preventDefault();
    if (to !== undefined) this.#glide(to);
    else this.move(by ?? 0);
  }

  /** Move to a step, smoothly where the positions are known. */
  #glide(to: number): void {
    this.stop();
    if (!this.#film || reducedMotion()) return this.#land(to);
    this.#run(to, STEP_MS / Math.max(1, Math.abs(to - this.#time)) / 2);
  }

  /** Let the film run from where it is to step number `to`. */
  #run(to: number, each: number): void {
    const from = this.#time;
    const start = performance.now();
    this.#playing = true;
    this.#icon();
    const tick = (now: number): void => {
      const gone = Math.max(0, now - start) / each;
      const time = from < to ? Math.min(to, from + gone) : Math.max(to, from - gone);
      this.#put(time);
      this.#mark();
      if (time === to) this.#land(to);
      else this.#raf = requestAnimationFrame(tick);
    };
    this.#raf = requestAnimationFrame(tick);
  }

  /** Show the film at a time. */
  #put(time: number): void {
    this.#time = time;
    const { map } = this.#shown ?? {};
    if (!map || !this.#film) return;
    const { points, flat, presence } = this.#film.at(time);
    map.place(points, flat, 0);
    if (presence) map.scene?.setStates(faded(map.states, presence));
  }

  /** Stay at a step: its embedding is opened. */
  #land(at: number): void {
    this.stop();
    this.#time = at;
    this.#mark();
    const step = this.#steps[at]?.embedding.step;
    if (at === this.#here()) {
      this.#put(at);
      this.#shown?.map.refit();
    }
    this.actions.navigate({ step: at === this.#steps.length - 1 ? null : step, it: null }, true);
  }

  #mark(): void {
    const last = Math.max(0, this.#steps.length - 1);
    const at = Math.round(this.#time);
    const step = this.#steps[at]?.embedding.step;
    this.#range.max = String(last);
    this.#range.value = String(this.#time);
    this.#range.style.setProperty("--fill", `${last ? (100 * this.#time) / last : 100}%`);
    const text = step === undefined ? "" : count(step);
    this.#range.setAttribute("aria-valuetext", text);
    put(this.#output, `${text}`, h("span", { class: "muted" }, ` · ${at + 1} of ${last + 1}`));
    this.#back.disabled = at <= 0;
    this.#forth.disabled = at >= last;
    this.#chart.style.setProperty("--at", String(last ? this.#time / last : 0));
  }

  #icon(): void {
    this.#play.disabled = !this.#film;
    this.#play.setAttribute("aria-label", this.#playing ? "Pause the steps" : "Play the steps");
    put(this.#play, icon(this.#playing ? PAUSE : PLAY, this.#playing ? "stroke" : "solid"));
  }

  #trail(): void {
    const film = this.#film;
    const few = this.#followed.length <= MOST_TRAILS ? this.#followed : [];
    this.#trails.set(film ? few.map((i) => film.trail(i)) : []);
  }

  /** The small chart: how far points move from step to step. */
  #measure(): void {
    const film = this.#film;
    if (!film) return put(this.#chart);
    const all = film.moved();
    const chosen = this.#followed.length ? film.moved(this.#followed) : undefined;
    put(this.#chart, ...chart(film.steps, all, chosen));
  }
}

/** Points that are not at this step are away, those that come or go pale. */
function faded(states: Uint8Array, presence: Float32Array): Uint8Array {
  const out = states.slice();
  for (let i = 0; i < out.length; i++)
    if (presence[i] < 0.5) out[i] = HIDDEN;
    else if (presence[i] < 1 && out[i] !== HIDDEN) out[i] = SOFT;
  return out;
}

/** Where a place of the map is on the screen, in CSS pixels of its canvas; null behind the camera. */
function placeOnScreen(map: PointMap, x: number, y: number, z: number): readonly [number, number] | null {
  const scene = map.scene;
  if (!scene) return null;
  const { camera } = scene.orbit;
  const { elements: m } = camera.projectionMatrix.clone().multiply(camera.matrixWorldInverse);
  const w = m[3] * x + m[7] * y + m[11] * z + m[15];
  if (w <= 0) return null;
  const { clientWidth: width, clientHeight: height } = scene.canvas;
  return [
    ((m[0] * x + m[4] * y + m[8] * z + m[12]) / w + 1) * 0.5 * width,
    (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * 0.5 * height,
  ];
}

const WIDTH = 160;
const HEIGHT = 30;

/** Bars: how far all points move to each step, on average; a line for those that are followed. */
function chart(
  steps: readonly number[],
  all: readonly number[],
  chosen: readonly number[] | undefined,
): Element[] {
  const most = Math.max(...all, ...(chosen ?? []), 1e-9);
  const each = WIDTH / Math.max(1, steps.length - 1);
  const y = (value: number): number => HEIGHT - 1 - (value / most) * (HEIGHT - 4);
  const bars = all.map((value, k) =>
    s(
      "rect",
      { x: k * each + 0.5, y: y(value), width: Math.max(1, each - 1), height: HEIGHT - y(value) },
      s("title", {}, `step ${count(steps[k])} to ${count(steps[k + 1])}: ${number(value, 3)}`),
    ),
  );
  const line = chosen?.map((value, k) => `${(k + 0.5) * each},${y(value)}`).join(" ");
  const label = `Mean distance moved from step to step, from ${number(all[0], 3)} to ${number(all.at(-1) ?? 0, 3)}`;
  return [
    h(
      "span",
      { class: "caption" },
      chosen ? "Moved: all, " : "Moved",
      chosen ? dot("var(--accent)") : null,
      chosen ? " followed" : null,
    ),
    s(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, preserveAspectRatio: "none" },
      ...bars,
      line && chosen && chosen.length > 1 ? s("polyline", { points: line }) : null,
      line && chosen?.length === 1 ? s("circle", { cx: each / 2, cy: y(chosen[0]), r: 2.5 }) : null,
    ),
    hiddenTable(
      "Mean distance moved",
      ["from step", "to step", "all points", ...(chosen ? ["followed points"] : [])],
      all.map((value, k) => [
        count(steps[k]),
        count(steps[k + 1]),
        number(value, 3),
        ...(chosen ? [number(chosen[k], 3)] : []),
      ]),
    ),
  ];
}

function icon(path: string, look: string): SVGSVGElement {
  return s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: look }, s("path", { d: path }));
}

function iconButton(label: string, path: string, onclick: () => void): HTMLButtonElement {
  return h(
    "button",
    { type: "button", class: "icon-button play", "aria-label": label, title: label, onclick },
    icon(path, path === PLAY ? "solid" : "stroke"),
  );
}
