// The form that saves an animation or a turn as a file: what of, which format, size and length; progress; cancel.
import { type Control, type Option, select } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { download, safeName } from "../../lib/download";
import { type FilmOf, type FilmStage, MOST_SHOTS, makeFilm, type Shot, shotsOf } from "../../lib/film";
import { type FilmFormat, WRITINGS } from "../../lib/filmwriters";
import { count, plural } from "../../lib/format";
import { isAbort, messageOf } from "../../lib/frame";

export interface FilmReady {
  readonly stage: FilmStage;
  /** The places of the frames in the order they play. */
  readonly series: readonly number[];
  /** Put everything back. */
  readonly end: () => void;
}

export interface FilmHost {
  begin(of: FilmOf): Promise<FilmReady>;
  /** What a file is named after: run, tag, what it is over. */
  name(of: FilmOf): string;
}

const SIZES = ["480×360", "640×480", "960×720", "1280×720", "1920×1080"] as const;
type Size = (typeof SIZES)[number];
const OF: readonly Option<FilmOf>[] = [
  { value: "frames", text: "the frames" },
  { value: "turn", text: "one turn" },
  { value: "both", text: "the frames, turning" },
];
const RATES = ["10", "15", "25"] as const;
const sizeText = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
const SECONDS = { least: 0.5, most: 120, turn: 6 } as const;

interface Chosen {
  readonly of: FilmOf;
  readonly format: FilmFormat;
  readonly size: Size;
  readonly rate: (typeof RATES)[number];
}

export class FilmForm {
  readonly el = h("div", { class: "film-form", hidden: true });
  readonly #of: Control<FilmOf>;
  readonly #format: Control<FilmFormat>;
  readonly #size: Control<Size>;
  readonly #rate: Control<(typeof RATES)[number]>;
  readonly #seconds = h("input", { type: "number", min: SECONDS.least, max: SECONDS.most, step: 0.5 });
  readonly #make = h(
    "button",
    { type: "button", class: "button", onclick: () => void this.#start() },
    "Save film",
  );
  readonly #cancel = h(
    "button",
    { type: "button", class: "button", hidden: true, onclick: () => this.cancel() },
    "Cancel",
  );
  readonly #bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Film" });
  readonly #status = h("p", { class: "film-status num", role: "status" });
  readonly #note = h("span", { class: "muted film-note" });
  #chosen: Chosen = { of: "frames", format: "gif", size: "640×480", rate: "15" };
  #frames = 0;
  #speed = 2;
  #typed = false;
  #controller: AbortController | undefined;

  constructor(private readonly host: FilmHost) {
    const choose =
      <K extends keyof Chosen>(key: K) =>
      (value: Chosen[K]): void => {
        this.#chosen = { ...this.#chosen, [key]: value };
        // Turns and series have their own usual lengths.
        if (key === "of") this.#typed = false;
        this.#mark();
      };
    const plain = <T extends string>(values: readonly T[]): Option<T>[] =>
      values.map((value) => ({ value, text: value }));
    const formats = WRITINGS.filter((one) => one.available()).map(({ format, text }) => ({
      value: format,
      text,
    }));
    this.#of = select("Film of", OF, "frames", choose("of"));
    this.#format = select("Format", formats, "gif", choose("format"));
    this.#size = select("Pixels", plain(SIZES), "640×480", choose("size"));
    this.#rate = select("Frames/s", plain(RATES), "15", choose("rate"));
    this.#seconds.addEventListener("input", () => {
      this.#typed = true;
      this.#mark();
    });
    const seconds = h(
      "label",
      { class: "control" },
      h("span", { class: "caption" }, "Seconds"),
      this.#seconds,
    );
    put(
      this.el,
      h(
        "div",
        { class: "film-fields", role: "group", "aria-label": "Film" },
        this.#of.el,
        this.#format.el,
        this.#size.el,
        seconds,
        this.#rate.el,
        this.#make,
        this.#cancel,
        this.#bar,
      ),
      this.#note,
      this.#status,
    );
    this.#mark();
  }

  get busy(): boolean {
    return this.#controller !== undefined;
  }

  /** How many frames the series has (0: none), and how many a second are played. */
  update(frames: number, speed: number): void {
    if (frames === this.#frames && speed === this.#speed) return;
    this.#frames = frames;
    this.#speed = speed;
    this.#mark();
  }

  cancel(): void {
    this.#controller?.abort();
  }

  #mark(): void {
    const still = this.#frames < 2;
    const { format } = this.#chosen;
    const of = this.#subject;
    this.#of.set(of);
    for (const option of this.#of.el.querySelectorAll("option"))
      option.disabled = still && option.value !== "turn";
    this.#rate.el.hidden = of === "frames";
    if (!this.#typed) this.#seconds.value = String(this.#usual());
    const shots = this.#shots(Array.from({ length: this.#frames }, (_, i) => i)).length;
    const { note } = WRITINGS.find((one) => one.format === format) ?? WRITINGS[0];
    put(this.#note, `${plural(shots, "picture")}, ${note}.`);
  }

  /** Where there is one volume only, it can only be turned. */
  get #subject(): FilmOf {
    return this.#frames < 2 ? "turn" : this.#chosen.of;
  }

  #usual(): number {
    if (this.#subject !== "frames") return SECONDS.turn;
    const played = Math.round((2 * this.#frames) / this.#speed) / 2;
    return Math.max(SECONDS.least, Math.min(SECONDS.most, played));
  }

  #length(): number {
    const value = this.#seconds.valueAsNumber;
    return Number.isFinite(value) ? Math.max(SECONDS.least, Math.min(SECONDS.most, value)) : this.#usual();
  }

  #shots(series: readonly number[]): Shot[] {
    const { rate } = this.#chosen;
    return shotsOf(this.#subject, series, Math.min(MOST_SHOTS, this.#length() * Number(rate)));
  }

  async #start(): Promise<void> {
    if (this.busy) return;
    const controller = new AbortController();
    this.#controller = controller;
    this.#busy(true);
    let end: (() => void) | undefined;
    try {
      const ready = await this.host.begin(this.#subject);
      end = ready.end;
      await this.#film(ready.stage, ready.series, controller.signal);
    } catch (error) {
      put(this.#status, isAbort(error) ? "Cancelled; nothing was saved." : `No film: ${messageOf(error)}`);
    } finally {
      end?.();
      this.#controller = undefined;
      this.#busy(false);
    }
  }

  async #film(stage: FilmStage, series: readonly number[], signal: AbortSignal): Promise<void> {
    const { format, size } = this.#chosen;
    const writing = WRITINGS.find((one) => one.format === format) ?? WRITINGS[0];
    const shots = this.#shots(series);
    const [width, height] = size.split("×").map(Number);
    const perSecond = shots.length / this.#length();
    const plan = { width, height, perSecond, count: shots.length };
    const file = await makeFilm(writing, plan, shots, stage, signal, ({ done, total, text }) => {
      this.#bar.value = done / total;
      put(this.#status, `${text} …`);
    });
    const name = safeName(`${this.host.name(this.#subject)}.${writing.extension}`);
    download(name, file);
    put(
      this.#status,
      `Saved ${name}: ${sizeText(file.size)}, ${plural(shots.length, "picture")} of ${count(width)} × ${count(height)} pixels.`,
    );
  }

  #busy(yes: boolean): void {
    this.#make.disabled = yes;
    this.#cancel.hidden = this.#bar.hidden = !yes;
    this.#bar.value = 0;
    for (const field of this.el.querySelectorAll<HTMLSelectElement | HTMLInputElement>("select, input"))
      field.disabled = yes;
    if (yes) put(this.#status, "Getting ready …");
    // The button that had the focus is gone.
    (yes ? this.#cancel : this.#make).focus({ preventScroll: true });
  }
}
