// The bar of the player: play, steps, scrubbing, what it goes over, speed, what comes after the end, one scale or many.
import { OVERS, type Over, REPEATS, type Repeat } from "../../lib/animation";
import { type Control, segmented, select, slider } from "../../lib/controls";
import { arrange, h, put, s } from "../../lib/dom";

export interface BarEvents {
  readonly play: () => void;
  readonly step: (by: number) => void;
  readonly scrub: (at: number) => void;
  readonly turn: () => void;
  readonly over: (over: Over) => void;
  readonly speed: (speed: string) => void;
  readonly repeat: (repeat: string) => void;
  readonly own: (own: boolean) => void;
}

export interface BarState {
  readonly overs: readonly Over[];
  readonly over: Over;
  readonly names: readonly string[];
  readonly at: number;
  readonly playing: boolean;
  readonly turning: boolean;
  /** Whether the volume itself is shown, which can be turned and filmed. */
  readonly solid: boolean;
  readonly speed: string;
  readonly repeat: Repeat;
  readonly own: boolean;
  /** The scale and the order, in numbers; or what went wrong. */
  readonly notes: readonly string[];
  readonly problem: string;
}

export const SPEEDS = ["0.5", "1", "2", "4", "8", "15", "30"] as const;
export const USUAL_SPEED = "2";

const OVER_TEXT: Readonly<Record<Over, string>> = {
  images: "images",
  classes: "classes",
  steps: "steps",
  layers: "layers",
};
const REPEAT_TEXT: Readonly<Record<Repeat, string>> = {
  loop: "again and again",
  pingpong: "there and back",
  once: "once",
};
/** Milliseconds between two names that a screen reader is told while it plays. */
const SAY_EVERY = 2000;

const iconButton = (label: string, path: string, click: () => void): HTMLButtonElement =>
  h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, onclick: click },
    s(
      "svg",
      { viewBox: "0 0 16 16", "aria-hidden": "true", class: "stroke" },
      s("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": "1.8" }),
    ),
  );

export class PlayerBar {
  readonly el = h("section", { class: "volume-player", "aria-label": "Animation" });
  readonly #play: HTMLButtonElement;
  readonly #steps: readonly HTMLElement[];
  readonly #place: ReturnType<typeof slider>;
  readonly #name = h("span", { class: "player-name", "data-testid": "frame-name" });
  readonly #over: Control<Over>;
  readonly #speed: Control<string>;
  readonly #repeat: Control<Repeat>;
  readonly #own: Control<"one" | "own">;
  readonly #turn: HTMLButtonElement;
  readonly #filmButton: HTMLButtonElement;
  readonly #notes = h("p", { class: "player-notes num", "data-testid": "player-notes" });
  readonly #problem = h("p", { class: "player-problem", role: "alert" });
  readonly #said = h("p", { class: "visually-hidden", "aria-live": "polite" });
  readonly #filmPlace = h("div");
  readonly #transport = h("div", { class: "player-row" });
  readonly #options = h("div", { class: "player-row" });
  #names: readonly string[] = [];
  #sayAt = 0;
  #saying = 0;

  constructor(film: HTMLElement, on: BarEvents) {
    this.#play = h("button", { type: "button", class: "icon-button play", onclick: on.play });
    this.#steps = [
      iconButton("Previous frame", "M10 3.5 5.5 8l4.5 4.5", () => on.step(-1)),
      iconButton("Next frame", "M6 3.5 10.5 8 6 12.5", () => on.step(1)),
    ];
    this.#place = slider("Frame", { min: 0, max: 0, step: 1 }, 0, on.scrub, (at) => this.#text(at));
    // Told to screen readers by `#say`, not at every frame.
    this.#place.el.querySelector("output")?.setAttribute("aria-live", "off");
    const plain = <T extends string>(
      values: readonly T[],
      text: (value: T) => string,
    ): { value: T; text: string }[] => values.map((value) => ({ value, text: text(value) }));
    this.#over = select(
      "Over",
      plain(OVERS, (over) => OVER_TEXT[over]),
      "images",
      on.over,
    );
    this.#speed = select(
      "Speed",
      plain<string>(SPEEDS, (speed) => `${speed}/s`),
      USUAL_SPEED,
      on.speed,
    );
    this.#repeat = select(
      "Play",
      plain(REPEATS, (repeat) => REPEAT_TEXT[repeat]),
      "loop",
      on.repeat,
    );
    this.#own = segmented(
      "Frames' scale",
      [
        {
          value: "one",
          text: "One for all",
          title: "From the smallest to the largest end of all frames' scales",
        },
        {
          value: "own",
          text: "Each its own",
          title: "The same colour stands for other values in other frames",
        },
      ],
      "one",
      (value) => on.own(value === "own"),
    );
    this.#turn = h("button", { type: "button", class: "button", onclick: on.turn });
    this.#filmButton = h(
      "button",
      {
        type: "button",
        class: "button",
        "aria-expanded": "false",
        onclick: () => {
          film.hidden = !film.hidden;
          this.#filmButton.setAttribute("aria-expanded", String(!film.hidden));
        },
      },
      "Film …",
    );
    put(this.#filmPlace, film);
    put(this.el, this.#transport, this.#options, this.#notes, this.#problem, this.#filmPlace, this.#said);
  }

  destroy(): void {
    clearTimeout(this.#saying);
  }

  update(state: BarState): void {
    const plays = state.overs.length > 0;
    const playing = plays ? [this.#play, ...this.#steps, this.#place.el, this.#name] : [];
    arrange(this.#transport, [...playing, ...(state.solid ? [this.#turn, this.#filmButton] : [])]);
    arrange(this.#options, plays ? [this.#over.el, this.#speed.el, this.#repeat.el, this.#own.el] : []);
    this.#filmPlace.hidden = !state.solid;
    this.el.hidden = !plays && !state.solid;
    this.#options.hidden = !plays;
    this.#names = state.names;
    this.#place.limit({ min: 0, max: Math.max(0, state.names.length - 1), step: 1 });
    this.#place.set(state.at);
    for (const option of this.#over.el.querySelectorAll("option"))
      option.hidden = option.disabled = !state.overs.includes(option.value as Over);
    this.#over.set(state.over);
    this.#speed.set(state.speed);
    this.#repeat.set(state.repeat);
    this.#own.set(state.own ? "own" : "one");
    put(this.#turn, state.turning ? "Stop turning" : "Turn");
    this.#mark(state.playing);
    const name = plays ? (state.names[state.at] ?? "") : "";
    if (this.#name.textContent !== name) put(this.#name, name);
    this.#name.title = name;
    if (plays && state.notes.length) this.#say(`${this.#text(state.at)}: ${name}`, state.playing);
    const notes = state.notes.join(" ");
    if (this.#notes.textContent !== notes) put(this.#notes, notes);
    if (this.#problem.textContent !== state.problem) put(this.#problem, state.problem);
  }

  #text = (at: number): string => (this.#names.length ? `${at + 1} / ${this.#names.length}` : "");

  /** Names that follow each other quickly are told at intervals only. */
  #say(text: string, playing: boolean): void {
    if (this.#said.textContent === text) return;
    clearTimeout(this.#saying);
    const wait = playing ? Math.max(0, this.#sayAt + SAY_EVERY - performance.now()) : 0;
    this.#saying = window.setTimeout(() => {
      this.#sayAt = performance.now();
      put(this.#said, text);
    }, wait);
  }

  #mark(playing: boolean): void {
    const label = playing ? "Pause frames" : "Play frames";
    if (this.#play.getAttribute("aria-label") === label) return;
    this.#play.setAttribute("aria-label", label);
    const path = playing ? "M5 3.5v9M11 3.5v9" : "M5 3.2v9.6l7.6-4.8z";
    const kind = playing ? "stroke" : "solid";
    put(
      this.#play,
      s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: kind }, s("path", { d: path })),
    );
  }
}
