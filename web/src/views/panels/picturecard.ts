// The card of one tag in one run: its picture at the step of all cards, or at one of its own.
import { fromSeriesKey } from "../../lib/catalog";
import { h, put } from "../../lib/dom";
import { download, saveMenu } from "../../lib/download";
import { count } from "../../lib/format";
import { dot, isAbort, messageOf } from "../../lib/frame";
import { entryAt, offStep } from "../../lib/stepbar";
import type { Images, Source } from "../../source/source";
import { OwnStep } from "./ownstep";
import { Picture, type PictureFile } from "./picture";
import { clippedText, clock, type Entry, fitScale, sizeText } from "./picturemath";
import type { PicturePool } from "./picturepool";

/** What cards and the large view need of the page. */
export interface PictureHost {
  readonly source: Source;
  readonly pool: PicturePool;
  /** The step of all cards; null: the latest of each. */
  readonly step: number | null;
  /** Entries that cards show although all others follow the slider of the page. */
  readonly own: Map<string, number>;
  /** The side of a picture on its card, in CSS pixels. */
  readonly side: number;
  colour(run: string): string | undefined;
  images(key: string): Promise<Images>;
  enlarge(key: string): void;
  /** Work that has to end before the page rests. */
  busy(work: Promise<void>): void;
}

export function entryOf(images: Images, index: number): Entry {
  return {
    index,
    step: images.step[index],
    wallTime: images.wallTime[index],
    height: images.size[2 * index],
    width: images.size[2 * index + 1],
    clipped: images.clipped?.[index] ?? 0,
  };
}

/** The bytes of an entry, fetched if they are not here. */
export async function fileOf(
  host: PictureHost,
  key: string,
  entry: Entry,
  signal: AbortSignal,
): Promise<PictureFile> {
  const { run, tag } = fromSeriesKey(key);
  const url = await host.source.imageUrl(run, tag, entry.index);
  signal.throwIfAborted();
  if (/^(blob|data):/.test(url)) return { blob: undefined, url };
  return { blob: await host.pool.get(`${url} ${entry.wallTime}`, url, signal), url };
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/gif": "gif",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/bmp": "bmp",
  "video/mp4": "mp4",
};

/** Save the file as it was logged. */
export async function saveOriginal(host: PictureHost, key: string, entry: Entry): Promise<void> {
  const { run, tag } = fromSeriesKey(key);
  const { blob, url } = await fileOf(host, key, entry, new AbortController().signal);
  const bytes = blob ?? (await (await fetch(url)).blob());
  download(`${run}-${tag}-${entry.step}.${EXTENSIONS[bytes.type] ?? "bin"}`, bytes);
}

export class PictureCard {
  readonly el: HTMLElement;
  readonly #run: string;
  readonly #tag: string;
  readonly #picture = new Picture();
  readonly #button: HTMLButtonElement;
  readonly #own: OwnStep;
  readonly #note = h("p", { class: "picture-note num" });
  readonly #time = h("p", { class: "picture-note num" });
  readonly #gone = new AbortController();
  #loading: AbortController | undefined;
  #images: Images | undefined;
  #entry: Entry | undefined;
  #shown = "";

  constructor(
    readonly key: string,
    private readonly host: PictureHost,
  ) {
    const { run, tag } = fromSeriesKey(key);
    this.#run = run;
    this.#tag = tag;
    this.#own = new OwnStep(`${tag}, ${run}`, (index) => this.#leave(index));
    this.#button = h(
      "button",
      {
        type: "button",
        class: "picture-button",
        "aria-label": `Enlarge ${tag}, ${run}`,
        onclick: () => host.enlarge(key),
      },
      this.#picture.el,
    );
    this.#button.style.height = `${host.side}px`;
    this.el = h(
      "article",
      { class: "card picture-card", "aria-label": `Pictures ${tag}, ${run}` },
      ...this.#parts(),
    );
  }

  #parts(): HTMLElement[] {
    const save = saveMenu(
      [{ label: "Original file", save: () => this.#save() }],
      `Save ${this.#tag}, ${this.#run}`,
    );
    return [
      h(
        "header",
        { class: "picture-head" },
        h("h3", { title: this.#tag }, this.#tag),
        save,
        h(
          "p",
          { class: "picture-run", title: this.#run },
          dot(this.host.colour(this.#run)),
          h("span", {}, this.#run),
        ),
      ),
      this.#button,
      h(
        "footer",
        { class: "picture-foot" },
        h("div", { class: "picture-line" }, this.#own.range, this.#picture.controls),
        this.#note,
        h("div", { class: "picture-line" }, this.#time, this.#own.note),
      ),
    ];
  }

  /** Fetch what is new, and show what is asked for. */
  refresh(): void {
    this.host.busy(this.#refresh().catch((error: unknown) => this.#fail(error)));
  }

  destroy(): void {
    this.#gone.abort();
    this.#loading?.abort();
    this.#picture.clear();
  }

  async #refresh(): Promise<void> {
    this.#images = await this.host.images(this.key);
    if (!this.#gone.signal.aborted) await this.#show();
  }

  async #show(): Promise<void> {
    const images = this.#images;
    if (!images?.step.length) return;
    const { own, step } = this.host;
    const last = images.step.length - 1;
    const apart = own.get(this.key);
    const entry = entryOf(images, Math.min(last, apart ?? entryAt(images.step, step)));
    this.#own.update(images.step.length, entry.index, entry.step, apart !== undefined);
    this.#say(entry, apart !== undefined);
    await this.#draw(images, entry);
  }

  #say(entry: Entry, apart: boolean): void {
    const off = apart ? "" : offStep(entry.step, this.host.step);
    const parts = [
      `step ${count(entry.step)}`,
      off && `(${off})`,
      sizeText(entry),
      clippedText(entry.clipped),
    ];
    put(this.#note, parts.filter(Boolean).join(" · "));
    put(this.#time, clock(entry.wallTime));
    this.#note.title =
      clippedText(entry.clipped) && "Numbers outside the range of a picture were cut off when it was logged";
  }

  async #draw(images: Images, entry: Entry): Promise<void> {
    const shown = `${entry.index} ${entry.wallTime}`;
    this.#entry = entry;
    this.#fit(entry);
    if (shown === this.#shown) return;
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    try {
      const file = await fileOf(this.host, this.key, entry, loading.signal);
      if (loading.signal.aborted) return;
      const alt = `${this.#tag} of ${this.#run} at step ${entry.step}, ${entry.width} by ${entry.height} pixels`;
      await this.#picture.show(file, [entry.height, entry.width], alt);
      this.#shown = shown;
      this.#fit(entry);
      for (const near of [entry.index + 1, entry.index - 1]) this.#prefetch(images, near, loading.signal);
    } catch (error) {
      if (!loading.signal.aborted) throw error;
    }
  }

  #prefetch(images: Images, index: number, signal: AbortSignal): void {
    if (index < 0 || index >= images.step.length) return;
    const url = this.host.source.imageUrl(this.#run, this.#tag, index);
    if (typeof url !== "string")
      url.catch(() => undefined); // it is on its way; who needs it asks again and is told
    else if (!/^(blob|data):/.test(url))
      this.host.pool.prefetch(`${url} ${images.wallTime[index]}`, url, signal);
  }

  /** As large as its place allows, in whole device pixels. */
  #fit(entry: Entry): void {
    const box: [number, number] = [this.host.side, this.#button.clientWidth || this.host.side];
    this.#picture.scale(fitScale([entry.height, entry.width], box, window.devicePixelRatio || 1));
  }

  #leave(index: number | undefined): void {
    if (index === undefined) this.host.own.delete(this.key);
    else this.host.own.set(this.key, index);
    this.host.busy(this.#show().catch((error: unknown) => this.#fail(error)));
  }

  async #save(): Promise<void> {
    if (this.#entry) await saveOriginal(this.host, this.key, this.#entry);
  }

  #fail(error: unknown): void {
    if (isAbort(error) || this.#gone.signal.aborted) return;
    this.#shown = "";
    this.#picture.clear();
    put(this.#picture.el, h("span", { class: "picture-failed", role: "alert" }, messageOf(error)));
  }
}
