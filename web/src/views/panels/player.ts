// Plays a series of volumes: over images, classes, steps or layers, on one fixed scale; and saves it as a film.
import { following, REPEATS, upcoming } from "../../lib/animation";
import { reducedMotion } from "../../lib/dom";
import type { FilmLook, FilmOf, FilmScene, FilmStage, Shot } from "../../lib/film";
import { number, plural } from "../../lib/format";
import { isAbort, messageOf } from "../../lib/frame";
import { Playback } from "../../lib/playback";
import { type Change, choiceOf, type Route } from "../../lib/route";
import { Turntable } from "../../lib/turntable";
import type { VolumeData } from "../../lib/volumedata";
import { cameraText } from "../../lib/volumelook";
import type { Index, Source } from "../../source/source";
import { PlayerBar, SPEEDS, USUAL_SPEED } from "./playerbar";
import { FilmForm, type FilmReady } from "./playerfilm";
import { type Played, PlayerSeries } from "./playerseries";

export type { Played } from "./playerseries";

/** What the view gives the panel. */
export interface PlayerOptions {
  readonly source: Source;
  /** Change the address, without an entry in the history. */
  readonly set: (change: Change) => void;
  /** Draw what `played` says now, at once (no waiting for an animation frame): also called for each frame of a film. */
  readonly show: () => void;
  readonly scene: () => FilmScene | undefined;
  /** What is drawn now, for the numbers said and the caption burnt into films. */
  readonly look: () => FilmLook;
}

/** The record that the address names, and the page's state around it. */
export interface PlayerState {
  readonly index: Index;
  readonly route: Route;
  readonly run: string;
  readonly data: VolumeData;
  /** The order that the page shows the record in: that of all frames with as many channels. */
  readonly order: readonly number[];
  readonly orderName: string;
}

/** Frames that are fetched before they are shown. */
const AHEAD = 4;
/** Milliseconds between two changes of the address while it plays: browsers allow a few a second. */
const WRITE_EVERY = 1000;
const DEGREES = 180 / Math.PI;

export class PlayerPanel {
  /** A bar of controls, to be mounted under the scene. */
  readonly el: HTMLElement;
  readonly #bar: PlayerBar;
  readonly #film: FilmForm;
  readonly #series: PlayerSeries;
  readonly #playback = new Playback(
    (at) => this.#show(at),
    (ended) => this.#changed(ended),
  );
  readonly #turntable = new Turntable((rests) => {
    if (this.#gone) return;
    this.#mark();
    if (rests) this.options.set({ cam: cameraText(rests) });
  });
  #state: PlayerState | undefined;
  #played: Played | undefined;
  #base = "";
  #key = "";
  #asked = 0;
  /** Series and frame of the address that were followed: what differs comes from elsewhere. */
  #followed = "";
  #writtenAt = 0;
  #reading = "";
  #problem = "";
  #gone = false;

  constructor(private readonly options: PlayerOptions) {
    this.#series = new PlayerSeries(options.source);
    const set = (key: string, usual: string) => (value: string) =>
      options.set({ [key]: value === usual ? null : value });
    this.#film = new FilmForm({ begin: (of) => this.#begin(of), name: (of) => this.#fileName(of) });
    this.#bar = new PlayerBar(this.#film.el, {
      play: () => this.#toggle(),
      step: (by) => this.#step(by),
      scrub: (at) => this.#go(at),
      turn: () => this.#turntable.toggle(options.scene(), reducedMotion()),
      over: (over) => options.set({ over: over === this.#series.overs[0] ? null : over, frame: null }),
      speed: set("speed", USUAL_SPEED),
      repeat: set("repeat", REPEATS[0]),
      own: (own) => options.set({ framescale: own ? "own" : null }),
    });
    this.el = this.#bar.el;
  }

  /** The frame to draw; undefined: the record of the address as it is. */
  get played(): Played | undefined {
    return this.#played;
  }

  /** To be called whenever the view paints, before it draws; never calls `show` before it returns. */
  update(state: PlayerState): void {
    const { route, run, data } = state;
    const base = `${run}\n${data.record.id}`;
    const moved = this.#base !== "" && this.#base !== base;
    this.#base = base;
    this.#state = state;
    this.#series.update(state);
    this.#playback.speed = Number(choiceOf(route, "speed", [USUAL_SPEED, ...SPEEDS]));
    this.#playback.repeat = choiceOf(route, "repeat", REPEATS);
    if (moved) this.#leave();
    // A run that grows while it is played goes on playing.
    const goesOn = this.#key !== this.#series.key && this.#series.grown && this.#playback.playing;
    if (this.#key !== this.#series.key) this.#anew();
    if (moved && route.params.frame !== undefined) {
      // Another record was chosen: the frame in the address is one of the series before.
      queueMicrotask(() => this.options.set({ frame: null }));
    } else if (!this.#film.busy) this.#follow(route, goesOn);
    this.#mark();
    // The numbers that are said are those the view draws with: it draws after this.
    if (this.#played) queueMicrotask(() => this.#mark());
  }

  /** The keys of the player (space, comma, full stop); whether it was one of them. */
  key(event: KeyboardEvent): boolean {
    if (this.#series.overs.length === 0 || event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === " " && event.target === document.body) this.#toggle();
    else if (event.key === ",") this.#step(-1);
    else if (event.key === ".") this.#step(1);
    else return false;
    event.preventDefault();
    return true;
  }

  destroy(): void {
    this.#gone = true;
    this.#asked++;
    this.#film.cancel();
    this.#playback.stop();
    this.#turntable.stop();
    this.#bar.destroy();
    this.#series.destroy();
  }

  /** Another series: the place in it is that of the record. */
  #anew(): void {
    this.#key = this.#series.key;
    this.#playback.stop();
    this.#asked++;
    this.#problem = this.#reading = "";
    this.#playback.count = this.#series.frames.length;
    this.#playback.at = this.#series.home;
  }

  #leave(): void {
    this.#playback.stop();
    this.#asked++;
    this.#played = undefined;
    this.#reading = this.#problem = "";
    this.#playback.at = this.#series.home;
  }

  /** Go where the address says, if it says something else than before. */
  #follow({ params }: Route, goesOn: boolean): void {
    const active = params.frame !== undefined || params.over !== undefined;
    const wanted = active ? `${this.#key}\n${params.frame ?? ""}` : "";
    if (wanted === this.#followed) return;
    this.#followed = wanted;
    if (!active) return this.#leave();
    if (this.#series.overs.length === 0) return;
    this.#playback.stop();
    const last = Math.max(0, this.#series.frames.length - 1);
    const at = Number.parseInt(params.frame ?? "", 10);
    const play = goesOn ? (): void => this.#playback.play() : undefined;
    this.#quietly(Number.isFinite(at) ? Math.max(0, Math.min(last, at)) : undefined, play);
  }

  #write(at: number): void {
    const { params } = this.#state?.route ?? { params: {} as Route["params"] };
    this.#followed = `${this.#key}\n${at}`;
    this.#writtenAt = performance.now();
    // Without its step the address means the last record, which may be another one soon.
    const step = params.step ?? this.#state?.data.record.step ?? null;
    if (params.frame !== String(at)) this.options.set({ step, frame: at });
  }

  #toggle(): void {
    if (this.#film.busy) return;
    if (this.#playback.playing) {
      this.#playback.stop();
      return this.#write(this.#playback.at);
    }
    this.#write(this.#playback.at);
    // The first frame on the scale of all of them, then the others.
    this.#quietly(this.#playback.at, () => this.#playback.play());
  }

  #changed(ended: boolean): void {
    this.#mark();
    if (ended) this.#write(this.#playback.at);
  }

  #step(by: number): void {
    const count = this.#series.frames.length;
    const next = following(this.#playback.at, count, "loop", by > 0);
    if (next) this.#go(next.at);
  }

  /** Show a frame that the user asked for. */
  #go(at: number): void {
    if (this.#film.busy) return;
    this.#playback.stop();
    this.#write(at);
    this.#quietly(at);
  }

  /** Show a frame (the record's own for undefined), with what goes wrong told in the bar. */
  #quietly(at: number | undefined, then?: () => void): void {
    this.#show(at).then(then, () => undefined);
  }

  async #show(wanted: number | undefined): Promise<void> {
    const asked = ++this.#asked;
    const key = this.#key;
    const told = (done: number, total: number): void => {
      if (key !== this.#key) return;
      this.#reading = done < total ? `Reading the scales of ${plural(total, "frame")}: ${done} …` : "";
      this.#mark();
    };
    try {
      if (wanted === undefined) await this.#series.open(told);
      const played = await this.#series.load(wanted ?? this.#series.home, told);
      if (asked !== this.#asked) return;
      this.#problem = this.#reading = "";
      this.#played = played;
      this.#playback.count = played.count;
      this.#playback.at = played.at;
    } catch (error) {
      if (asked === this.#asked) this.#reading = "";
      if (asked === this.#asked && !isAbort(error))
        this.#problem = `This frame cannot be shown: ${messageOf(error)}`;
      this.#mark();
      throw error;
    }
    this.options.show();
    this.#mark();
    const { at, count, repeat, forward, playing } = this.#playback;
    this.#series.prefetch(upcoming(at, count, repeat, forward, AHEAD));
    if (playing && performance.now() - this.#writtenAt > WRITE_EVERY) this.#write(at);
    // No faster than the page draws.
    if (playing) await new Promise((resolve) => requestAnimationFrame(resolve));
  }

  #mark(): void {
    const { params } = this.#state?.route ?? { params: {} as Route["params"] };
    const frames = this.#series.frames;
    this.#film.update(this.#series.overs.length ? frames.length : 0, this.#playback.speed);
    this.#bar.update({
      overs: this.#series.overs,
      over: this.#series.over,
      names: frames.map(({ name }) => name),
      at: Math.min(this.#playback.at, Math.max(0, frames.length - 1)),
      playing: this.#playback.playing,
      turning: this.#turntable.turning,
      solid: (params.show ?? "volume") === "volume",
      speed: String(this.#playback.speed),
      repeat: this.#playback.repeat,
      own: params.framescale === "own",
      notes: this.#notes(),
      problem: this.#problem,
    });
  }

  /** What holds for all frames, in numbers. */
  #notes(): string[] {
    if (this.#reading) return [this.#reading];
    const played = this.#played;
    if (!played || !this.#state) return [];
    const [low, high] = (this.options.look().window ?? []).map((end) => number(end, 3));
    const scale = played.window
      ? `One scale for all ${plural(played.count, "frame")}: ${low} … ${high}.`
      : low === undefined
        ? "Each channel of each frame on its own scale."
        : `Each frame on its own scale; this one: ${low} … ${high}.`;
    const { data, orderName } = this.#state;
    const order = played.sharedOrder
      ? `All frames in the order of ${data.record.tag}${orderName ? ` (${orderName})` : ""}.`
      : "Each frame in its own order: the channels of different layers are different ones.";
    return [scale, order];
  }

  async #begin(of: FilmOf): Promise<FilmReady> {
    const scene = this.options.scene();
    if (!scene) throw new Error("the volume is not drawn: show it first");
    this.#playback.stop();
    this.#turntable.stop();
    const [camera, before] = [{ ...scene.camera }, this.#played];
    const series = of === "turn" ? [] : await this.#places();
    const stage: FilmStage = {
      place: async ({ frame, turn }) => {
        if (frame !== null && frame !== this.#played?.at) await this.#show(frame);
        if (frame !== null && frame !== this.#played?.at) throw new Error("the series has changed meanwhile");
        if (this.options.scene() !== scene) throw new Error("the volume is no longer on the page");
        scene.camera = { ...camera, yaw: camera.yaw + turn };
        return scene;
      },
      caption: (shot) => ({
        name: this.#played?.name ?? this.#state?.data.record.tag ?? "",
        place: this.#placeText(shot),
        look: this.options.look(),
        scale: this.#scaleText(),
      }),
    };
    const end = (): void => {
      if (this.#gone) return;
      scene.camera = camera;
      this.#asked++;
      this.#played = before;
      this.#playback.at = before?.at ?? this.#series.home;
      this.options.show();
      this.#mark();
    };
    return { stage, series, end };
  }

  /** The frames in the order they play. */
  async #places(): Promise<number[]> {
    const { frames } = await this.#series.open(() => undefined);
    const there = frames.map((_, at) => at);
    return this.#playback.repeat === "pingpong" ? [...there, ...there.slice(1, -1).reverse()] : there;
  }

  #placeText({ frame, turn }: Shot): string {
    const turned = turn > 0 ? `turned by ${Math.round(turn * DEGREES)}°` : "";
    const place =
      frame === null
        ? ""
        : `${frame + 1} of ${plural(this.#series.frames.length, "frame")}, over ${this.#series.over}`;
    return [place, turned].filter(Boolean).join(" · ");
  }

  #scaleText(): string {
    if (!this.options.look().window) return "each channel on its own scale";
    if (!this.#played) return "scale of this volume";
    return this.#played.window
      ? `one scale for all ${plural(this.#played.count, "frame")}`
      : "this frame's own scale";
  }

  #fileName(of: FilmOf): string {
    const { run = "", data } = this.#state ?? {};
    const tag = data?.record.tag ?? "volume";
    return [run.split("/").pop(), tag, of === "turn" ? "turn" : `over-${this.#series.over}`]
      .filter(Boolean)
      .join("-");
  }
}
