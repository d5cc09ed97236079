// The card of one sound in one run: a player, its wave form, and what the file says of itself.
import { fromSeriesKey } from "../../lib/catalog";
import { h, put } from "../../lib/dom";
import { download, saveMenu } from "../../lib/download";
import { count, number, plural } from "../../lib/format";
import { dot, hiddenTable, isAbort, messageOf } from "../../lib/frame";
import { entryAt, offStep } from "../../lib/stepbar";
import type { NumberArray, Source, Tensors } from "../../source/source";
import { OwnStep } from "./ownstep";
import { clippedText, clock } from "./picturemath";
import type { PicturePool } from "./picturepool";
import { drawWave, type Wave, waveOf } from "./soundwave";

const WAVE_HEIGHT = 84;
const MOST_DECODED = 64 << 20; // bytes of samples, which take the same again while they are decoded
const BYTES_PER_SAMPLE = 4;

/** What cards need of the page. */
export interface SoundHost {
  readonly source: Source;
  readonly pool: PicturePool;
  readonly step: number | null;
  readonly own: Map<string, number>;
  colour(run: string): string | undefined;
  sounds(key: string): Promise<Tensors>;
  busy(work: Promise<void>): void;
}

interface Sound {
  readonly index: number;
  readonly step: number;
  readonly wallTime: number;
  readonly rate: number;
  readonly channels: number;
  readonly frames: number;
  readonly clipped: number;
}

function soundOf(sounds: Tensors, index: number): Sound {
  const at = (name: string): number => sounds[name]?.data[index] ?? 0;
  return {
    index,
    step: at("step"),
    wallTime: at("wall_time"),
    rate: at("rate"),
    channels: at("channels"),
    frames: at("frames"),
    clipped: at("clipped"),
  };
}

const stepsIn = (sounds: Tensors | undefined): NumberArray => sounds?.step?.data ?? new Float64Array();

export class SoundCard {
  readonly el: HTMLElement;
  readonly #run: string;
  readonly #tag: string;
  readonly #own: OwnStep;
  readonly #audio: HTMLAudioElement;
  readonly #canvas = h("canvas", { role: "img", "aria-label": "Not drawn yet" });
  readonly #head = h("div", { class: "wave-head", "aria-hidden": "true" });
  readonly #wave: HTMLElement;
  readonly #note = h("p", { class: "picture-note num" });
  readonly #time = h("p", { class: "picture-note num" });
  readonly #table = h("div", {});
  readonly #gone = new AbortController();
  readonly #observer = new ResizeObserver(() => this.#paint());
  #loading: AbortController | undefined;
  #sounds: Tensors | undefined;
  #sound: Sound | undefined;
  #drawn: Wave | undefined;
  #shown = "";

  constructor(
    readonly key: string,
    private readonly host: SoundHost,
  ) {
    const { run, tag } = fromSeriesKey(key);
    this.#run = run;
    this.#tag = tag;
    this.#own = new OwnStep(`${tag}, ${run}`, (index) => this.#leave(index));
    this.#audio = h("audio", { controls: true, preload: "none", "aria-label": `${tag}, ${run}` });
    this.#audio.addEventListener("timeupdate", () => this.#follow());
    this.#wave = h("div", { class: "wave", title: "Click to play from here" }, this.#canvas, this.#head);
    this.#wave.addEventListener("click", (event) => this.#seek(event));
    this.el = h(
      "article",
      { class: "card sound-card", "aria-label": `Sounds ${tag}, ${run}` },
      ...this.#parts(),
    );
    this.#observer.observe(this.#wave);
  }

  #parts(): HTMLElement[] {
    const name = `Save ${this.#tag}, ${this.#run}`;
    const save = saveMenu([{ label: "Original file", save: () => this.#save() }], name);
    const colour = this.host.colour(this.#run);
    return [
      h(
        "header",
        { class: "picture-head" },
        h("h3", { title: this.#tag }, this.#tag),
        save,
        h("p", { class: "picture-run", title: this.#run }, dot(colour), h("span", {}, this.#run)),
      ),
      this.#wave,
      this.#table,
      this.#audio,
      h(
        "footer",
        { class: "picture-foot" },
        h("div", { class: "picture-line" }, this.#own.range),
        this.#note,
        h("div", { class: "picture-line" }, this.#time, this.#own.note),
      ),
    ];
  }

  refresh(): void {
    this.host.busy(this.#refresh().catch((error: unknown) => this.#fail(error)));
  }

  destroy(): void {
    this.#gone.abort();
    this.#loading?.abort();
    this.#observer.disconnect();
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load();
  }

  async #refresh(): Promise<void> {
    this.#sounds = await this.host.sounds(this.key);
    if (!this.#gone.signal.aborted) await this.#show();
  }

  async #show(): Promise<void> {
    const steps = stepsIn(this.#sounds);
    if (!this.#sounds || !steps.length) return;
    const apart = this.host.own.get(this.key);
    const index = Math.min(steps.length - 1, apart ?? entryAt(steps, this.host.step));
    const sound = soundOf(this.#sounds, index);
    this.#own.update(steps.length, index, sound.step, apart !== undefined);
    this.#say(sound, apart !== undefined);
    this.#sound = sound;
    const shown = `${index} ${sound.wallTime}`;
    if (shown === this.#shown) return this.#paint();
    this.#shown = shown;
    const url = await this.host.source.audioUrl(this.#run, this.#tag, index);
    if (this.#gone.signal.aborted || shown !== this.#shown) return;
    this.#audio.src = url;
    this.#head.style.left = "0";
    await this.#decode(sound);
  }

  #say(sound: Sound, apart: boolean): void {
    const off = apart ? "" : offStep(sound.step, this.host.step);
    const seconds = number(sound.frames / Math.max(1, sound.rate));
    const facts = [`${seconds} s`, `${count(sound.rate)} Hz`, plural(sound.channels, "channel")];
    const parts = [`step ${count(sound.step)}`, off && `(${off})`, clippedText(sound.clipped)];
    put(
      this.#note,
      parts.filter(Boolean).join(" · "),
      h("span", { class: "sound-facts" }, facts.join(" · ")),
    );
    put(this.#time, clock(sound.wallTime));
  }

  async #decode(sound: Sound): Promise<void> {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    if (sound.frames * sound.channels * BYTES_PER_SAMPLE > MOST_DECODED)
      return this.#withoutWave("too long to be drawn; it can be played");
    try {
      const url = await this.host.source.audioUrl(this.#run, this.#tag, sound.index);
      const blob = await this.host.pool.get(`${url} ${sound.wallTime}`, url, loading.signal);
      const wave = await waveOf(blob, sound.rate);
      if (loading.signal.aborted) return;
      this.#drawn = wave;
      put(this.#wave, this.#canvas, this.#head);
      this.#describe(wave, sound);
      this.#paint();
    } catch (error) {
      if (loading.signal.aborted || isAbort(error)) return;
      const undecodable = error instanceof DOMException;
      this.#withoutWave(
        undecodable ? "this sound cannot be decoded: its bytes are damaged" : messageOf(error),
      );
    }
  }

  #describe(wave: Wave, sound: Sound): void {
    const loudest = Math.max(...wave.high, ...wave.low.map((value) => -value));
    const said = `Wave form of ${this.#tag}, ${this.#run}, step ${sound.step}: largest amplitude ${number(loudest)}`;
    this.#canvas.setAttribute("aria-label", said);
    const rows = wave.rms.map((loud, i) => [
      String(i + 1),
      number(wave.low[i]),
      number(wave.high[i]),
      number(loud),
    ]);
    const head = ["channel", "least sample", "greatest sample", "root mean square"];
    put(this.#table, hiddenTable(`${this.#tag}, ${this.#run}`, head, rows));
  }

  #withoutWave(why: string): void {
    this.#drawn = undefined;
    put(this.#table);
    put(this.#wave, h("p", { class: "wave-none" }, why));
  }

  #paint(): void {
    if (this.#drawn && this.#wave.clientWidth)
      drawWave(this.#canvas, this.#drawn, this.#wave.clientWidth, WAVE_HEIGHT);
  }

  get #seconds(): number {
    return this.#sound ? this.#sound.frames / Math.max(1, this.#sound.rate) : 0;
  }

  #follow(): void {
    if (this.#seconds)
      this.#head.style.left = `${Math.min(100, (100 * this.#audio.currentTime) / this.#seconds)}%`;
  }

  #seek(event: MouseEvent): void {
    const box = this.#wave.getBoundingClientRect();
    this.#audio.currentTime = (this.#seconds * (event.clientX - box.left)) / box.width;
    void this.#audio.play().catch((error: unknown) => this.#fail(error));
  }

  #leave(index: number | undefined): void {
    if (index === undefined) this.host.own.delete(this.key);
    else this.host.own.set(this.key, index);
    this.host.busy(this.#show().catch((error: unknown) => this.#fail(error)));
  }

  async #save(): Promise<void> {
    if (!this.#sound) return;
    const { index, step, wallTime } = this.#sound;
    const url = await this.host.source.audioUrl(this.#run, this.#tag, index);
    const blob = await this.host.pool.get(`${url} ${wallTime}`, url, this.#gone.signal);
    const kind = /wav/.test(blob.type) ? "wav" : (blob.type.split("/")[1] ?? "bin").replace(/^x-/, "");
    download(`${this.#run}-${this.#tag}-${step}.${kind}`, blob);
  }

  #fail(error: unknown): void {
    if (isAbort(error) || this.#gone.signal.aborted) return;
    this.#shown = "";
    put(this.#note, h("span", { class: "picture-failed", role: "alert" }, messageOf(error)));
  }
}
