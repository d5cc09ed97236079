// Pictures of one tag over the whole page: one run, all runs beside each other, or two of them on top of each other.
import { fromSeriesKey, seriesKey } from "../../lib/catalog";
import { type Control, segmented, select, slider } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { count, percent } from "../../lib/format";
import { dot, isAbort, messageOf } from "../../lib/frame";
import { choiceOf, numberOf } from "../../lib/route";
import { entryAt, offStep, StepBar, stepOf, unionOfSteps } from "../../lib/stepbar";
import type { Images } from "../../source/source";
import type { ViewState } from "../view";
import { entryOf, fileOf, type PictureHost, saveOriginal } from "./picturecard";
import {
  clippedText,
  clock,
  type Entry,
  FIT,
  formatZoom,
  parseZoom,
  sizeText,
  type Zoom,
} from "./picturemath";
import { type Blend, type Layer, PicturePane } from "./picturepane";
import { LightTools } from "./picturetools";

const MOST_PANES = 12;
const WRITE_MS = 250;
const MODES = ["one", "all", "swipe", "diff"] as const;
type Mode = (typeof MODES)[number];
const CLOSED = { pic: null, of: null, cmp: null, with: null, bstep: null, z: null };

interface Shown {
  readonly key: string;
  readonly images: Images;
  readonly entry: Entry;
}

export class PictureLarge {
  readonly #dialog: HTMLDialogElement;
  readonly #title = h("h2", {});
  readonly #panes = h("div", { class: "panes" });
  readonly #bar: StepBar;
  readonly #mode: Control<Mode>;
  readonly #slots: Readonly<Record<"run" | "with" | "other", HTMLElement>>;
  readonly #light: LightTools;
  readonly #size = h("output", { class: "num zoom-size" });
  readonly #swipe: HTMLInputElement;
  readonly #byKey = new Map<string, PicturePane>();
  #runs: readonly string[] = [];
  #shown: readonly Shown[] = [];
  #turn = 0;
  #writing = 0;
  #loading = new AbortController();

  constructor(
    el: HTMLElement,
    private readonly host: PictureHost,
    private readonly state: () => ViewState,
  ) {
    this.#bar = new StepBar((step) => this.#step(step));
    this.#mode = segmented<Mode>("Show", MODE_OPTIONS, "one", (mode) => this.#choose(mode));
    const slot = (): HTMLElement => h("span", { class: "control-slot" });
    this.#slots = { run: slot(), with: slot(), other: slot() };
    this.#light = new LightTools(state);
    this.#swipe = h("input", {
      type: "range",
      min: 0,
      max: 100,
      value: 50,
      "aria-label": "Where the second picture begins",
    });
    this.#swipe.addEventListener("input", () =>
      this.#panes.style.setProperty("--swipe", `${this.#swipe.value}%`),
    );
    this.#dialog = h(
      "dialog",
      { class: "picture-large", "aria-label": "Enlarged pictures" },
      ...this.#parts(),
    );
    this.#dialog.addEventListener("close", () => this.#closed());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    el.append(this.#dialog);
  }

  /** Show what the address asks for: the tag in one or all of `runs`, which have it. */
  update(runs: readonly string[]): void {
    const { pic } = this.state().route.params;
    if (!pic) return this.#hide();
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#runs = runs;
    put(this.#title, pic);
    this.#tools();
    this.host.busy(this.#show(pic));
  }

  destroy(): void {
    clearTimeout(this.#writing);
    this.#hide();
    this.#bar.destroy();
    this.#dialog.remove();
  }

  get #chosen(): Mode {
    const { route } = this.state();
    const blend = choiceOf(route, "cmp", ["", "swipe", "diff"] as const);
    return blend || (this.#runs.length > 1 && !this.#runs.includes(route.params.of ?? "") ? "all" : "one");
  }

  #parts(): HTMLElement[] {
    const action = (text: string, label: string, act: () => void): HTMLElement =>
      h("button", { type: "button", class: "button", "aria-label": label, title: label, onclick: act }, text);
    const first = (): PicturePane | undefined => [...this.#byKey.values()][0];
    const zoom = (next: (pane: PicturePane) => Zoom): void => {
      const pane = first();
      if (pane) this.#zoom(next(pane));
    };
    const zooms = h(
      "div",
      { class: "zoom-tools", role: "group", "aria-label": "Zoom" },
      action("−", "Zoom out", () => zoom((pane) => pane.step(false))),
      this.#size,
      action("+", "Zoom in", () => zoom((pane) => pane.step(true))),
      action("1:1", "True pixels: one of the picture is one of the screen", () =>
        zoom((pane) => pane.trueSize()),
      ),
      action("Fit", "Fit to the page", () => zoom(() => FIT)),
    );
    const save = action("Save original", "Save the original files", () => void this.#save());
    const close = h(
      "button",
      {
        type: "button",
        class: "icon-button large-close",
        "aria-label": "Close",
        onclick: () => this.#dialog.close(),
      },
      "×",
    );
    return [
      h("header", { class: "large-head" }, this.#title, close),
      h(
        "div",
        { class: "large-tools" },
        this.#bar.el,
        zooms,
        this.#mode.el,
        this.#slots.run,
        this.#slots.with,
        this.#slots.other,
        this.#swipe,
        this.#light.el,
        save,
      ),
      this.#panes,
    ];
  }

  #tools(): void {
    const { route } = this.state();
    const mode = this.#chosen;
    this.#mode.set(mode);
    this.#light.update(route);
    this.#swipe.hidden = mode !== "swipe";
    const runs = this.#runs.map((run) => ({ value: run, text: run }));
    const change = (key: string) => (run: string) => this.state().navigate({ [key]: run });
    const of = mode === "all" || runs.length < 2 ? [] : [select("Run", runs, this.#first, change("of")).el];
    const other =
      mode !== "swipe" && mode !== "diff" ? [] : [select("Over", runs, this.#second, change("with")).el];
    putIfNew(this.#slots.run, `${mode} ${this.#first} ${this.#runs.join()}`, of);
    putIfNew(this.#slots.with, `${mode} ${this.#second} ${this.#runs.join()}`, other);
  }

  /** The run that is shown where only one is. */
  get #first(): string {
    const { of } = this.state().route.params;
    return this.#runs.find((run) => run === of) ?? this.#runs[0] ?? "";
  }

  /** The run that is compared with it; its own other steps where there is no other run. */
  get #second(): string {
    const { with: wanted } = this.state().route.params;
    return (
      this.#runs.find((run) => run === wanted) ?? this.#runs.find((run) => run !== this.#first) ?? this.#first
    );
  }

  async #show(tag: string): Promise<void> {
    const turn = ++this.#turn;
    this.#loading.abort();
    this.#loading = new AbortController();
    const mode = this.#chosen;
    const names = mode === "all" ? this.#runs.slice(0, MOST_PANES) : [this.#first];
    if (!this.#runs.length)
      return put(this.#panes, h("p", { class: "loading" }, `No run that is shown has pictures “${tag}”.`));
    try {
      const shown = await Promise.all(names.map((run) => this.#ask(seriesKey(run, tag))));
      if (turn !== this.#turn) return;
      this.#shown = shown.filter(({ images }) => images.step.length > 0);
      this.#bar.update(
        unionOfSteps(this.#shown.map(({ images }) => images.step)),
        stepOf(this.state().route),
      );
      await this.#draw(mode, turn);
    } catch (error) {
      if (!isAbort(error) && turn === this.#turn)
        put(this.#panes, h("p", { class: "picture-failed", role: "alert" }, messageOf(error)));
    }
  }

  async #ask(key: string, own = this.host.own.get(key), step = this.host.step): Promise<Shown> {
    const images = await this.host.images(key);
    const index = Math.min(images.step.length - 1, own ?? entryAt(images.step, step));
    return { key, images, entry: entryOf(images, Math.max(0, index)) };
  }

  async #draw(mode: Mode, turn: number): Promise<void> {
    for (const [key, pane] of this.#byKey) {
      if (this.#shown.some((one) => one.key === key)) continue;
      pane.destroy();
      this.#byKey.delete(key);
    }
    const panes = this.#shown.map(({ key }) => this.#pane(key));
    const els = panes.map(({ el }) => el);
    if (els.length !== this.#panes.children.length || els.some((el, i) => this.#panes.children[i] !== el))
      put(this.#panes, ...els);
    this.#panes.style.setProperty("--panes", String(columnsOf(els.length)));
    const blend = mode === "swipe" || mode === "diff" ? mode : undefined;
    const over = blend && this.#shown.length ? await this.#over(this.#shown[0]) : undefined;
    this.#otherStep(over);
    if (!this.#writing) this.#place(parseZoom(this.state().route.params.z));
    await Promise.all(
      this.#shown.map((one, i) => this.#fill(panes[i], over ? [one, over] : [one], blend, turn)),
    );
    this.#place(this.#writing ? this.#current : parseZoom(this.state().route.params.z));
  }

  #current: Zoom = FIT;

  #pane(key: string): PicturePane {
    const pane = this.#byKey.get(key) ?? new PicturePane((zoom) => this.#zoom(zoom));
    this.#byKey.set(key, pane);
    return pane;
  }

  /** What lies on top: the other run at the same step, or the same run at another one. */
  async #over(below: Shown): Promise<Shown> {
    const { route } = this.state();
    const { tag } = fromSeriesKey(below.key);
    const same = this.#second === this.#first;
    const other = numberOf(route, "bstep", Number.NaN);
    const step = Number.isNaN(other) ? (same ? below.images.step[0] : below.entry.step) : other;
    const key = seriesKey(this.#second, tag);
    const { images } = await this.#ask(key);
    return { key, images, entry: entryOf(images, Math.max(0, entryAt(images.step, step))) };
  }

  #otherStep(over: Shown | undefined): void {
    const sign = over ? `${over.key} ${over.entry.index} ${over.images.step.length}` : "";
    const steps = over?.images.step ?? [];
    const go = (index: number): void => this.state().navigate({ bstep: steps[index] }, true);
    const range = { min: 0, max: Math.max(0, steps.length - 1), step: 1 };
    const held =
      this.#slots.other.contains(document.activeElement) && this.#slots.other.dataset.of === over?.key;
    if (held) return; // it is being moved
    this.#slots.other.dataset.of = over?.key ?? "";
    const parts = over
      ? [slider("Step of the upper", range, over.entry.index, go, (index) => count(steps[index] ?? 0)).el]
      : [];
    putIfNew(this.#slots.other, sign, parts);
  }

  async #fill(
    pane: PicturePane,
    shown: readonly Shown[],
    blend: Blend | undefined,
    turn: number,
  ): Promise<void> {
    try {
      const layers = await Promise.all(shown.map((one) => this.#layer(one)));
      if (turn !== this.#turn) return;
      await pane.show(layers, blend, ...shown.map((one) => this.#caption(one)));
    } catch (error) {
      if (!isAbort(error) && turn === this.#turn) pane.fail(messageOf(error));
    }
  }

  async #layer({ key, entry }: Shown): Promise<Layer> {
    const { run, tag } = fromSeriesKey(key);
    const file = await fileOf(this.host, key, entry, this.#loading.signal);
    return {
      file,
      entry,
      alt: `${tag} of ${run} at step ${entry.step}, ${entry.width} by ${entry.height} pixels`,
    };
  }

  #caption({ key, entry }: Shown): HTMLElement {
    const { run } = fromSeriesKey(key);
    const off = this.host.own.has(key) ? "own step of its card" : offStep(entry.step, this.host.step);
    const parts = [
      `step ${count(entry.step)}`,
      off && `(${off})`,
      sizeText(entry),
      clock(entry.wallTime),
      clippedText(entry.clipped),
    ];
    return h(
      "p",
      {},
      dot(this.host.colour(run)),
      h("b", {}, run),
      h("span", { class: "num" }, parts.filter(Boolean).join(" · ")),
    );
  }

  #choose(mode: Mode): void {
    const blend = mode === "swipe" || mode === "diff" ? mode : null;
    this.state().navigate({ of: mode === "all" ? null : this.#first, cmp: blend, with: null, bstep: null });
  }

  #step(step: number | null): void {
    for (const { key } of this.#shown) this.host.own.delete(key);
    this.state().navigate({ step }, true);
  }

  /** Zoom all panes alike; the address follows when the hand rests. */
  #zoom(zoom: Zoom): void {
    this.#place(zoom);
    clearTimeout(this.#writing);
    this.#writing = window.setTimeout(() => {
      this.#writing = 0;
      this.state().navigate({ z: formatZoom(zoom) || null }, true);
    }, WRITE_MS);
  }

  #place(zoom: Zoom): void {
    this.#current = zoom;
    for (const pane of this.#byKey.values()) pane.place(zoom);
    const scale = [...this.#byKey.values()][0]?.zoom.scale ?? 1;
    put(this.#size, percent(scale * (window.devicePixelRatio || 1)));
  }

  async #save(): Promise<void> {
    for (const { key, entry } of this.#shown) await saveOriginal(this.host, key, entry);
  }

  #key(event: KeyboardEvent): void {
    const by = { ",": -1, ".": 1 }[event.key];
    if (by) this.#bar.move(by);
    event.stopPropagation(); // what lies below is not meant
  }

  #hide(): void {
    this.#turn++;
    this.#loading.abort();
    clearTimeout(this.#writing);
    this.#writing = 0;
    for (const pane of this.#byKey.values()) pane.destroy();
    this.#byKey.clear();
    this.#shown = [];
    put(this.#panes);
    if (this.#dialog.open) this.#dialog.close();
  }

  #closed(): void {
    if (this.state().route.params.pic) this.state().navigate(CLOSED);
  }
}

const MODE_OPTIONS = [
  { value: "one", text: "One run" },
  { value: "all", text: "All runs", title: "Side by side, zoomed alike" },
  { value: "swipe", text: "Swipe", title: "Two pictures on top of each other, with an edge to move" },
  {
    value: "diff",
    text: "Difference",
    title: "How far the colours of two pictures are apart; more light shows more",
  },
] as const;

/** Panes in a row. */
const columnsOf = (panes: number): number => (panes <= 3 ? Math.max(1, panes) : Math.ceil(Math.sqrt(panes)));

/** Replace what a slot holds only if it is to be something else, so that what is in use stays. */
function putIfNew(slot: HTMLElement, sign: string, parts: readonly HTMLElement[]): void {
  if (slot.dataset.sign === sign) return;
  slot.dataset.sign = sign;
  put(slot, ...parts);
}
