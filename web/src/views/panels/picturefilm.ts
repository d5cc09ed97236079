// A picture that moves: played on a canvas frame by frame where the browser decodes frames, else started and stopped.
import { context2d, h, put, reducedMotion, s } from "../../lib/dom";

const SHORTEST_MS = 20;

/** The frames of a moving picture, decoded one at a time. */
interface Frames {
  readonly count: number;
  /** Draw a frame and say for how many milliseconds it is shown. */
  draw(index: number): Promise<number>;
  close(): void;
}

/** `undefined` where the browser cannot decode single frames of this kind (or the page is not on a secure address). */
async function framesOf(blob: Blob, canvas: HTMLCanvasElement): Promise<Frames | undefined> {
  if (typeof ImageDecoder === "undefined" || !(await ImageDecoder.isTypeSupported(blob.type)))
    return undefined;
  const decoder = new ImageDecoder({
    data: await blob.arrayBuffer(),
    type: blob.type,
    preferAnimation: true,
  });
  await decoder.tracks.ready;
  await decoder.completed;
  const track = decoder.tracks.selectedTrack;
  return {
    count: track?.frameCount ?? 1,
    async draw(index) {
      const { image } = await decoder.decode({ frameIndex: index });
      canvas.width = image.displayWidth;
      canvas.height = image.displayHeight;
      context2d(canvas).drawImage(image, 0, 0);
      const shown = (image.duration ?? 100_000) / 1000;
      image.close();
      return Math.max(SHORTEST_MS, shown);
    },
    close: () => decoder.close(),
  };
}

export class Film {
  /** Buttons and the number of the frame. */
  readonly controls: HTMLElement;
  readonly #canvas = h("canvas", { role: "img" });
  readonly #play = h("button", { type: "button", class: "icon-button play", onclick: () => this.toggle() });
  readonly #note = h("span", { class: "num film-note" });
  readonly #image: HTMLImageElement;
  #frames: Frames | undefined;
  #index = 0;
  #playing = !reducedMotion();
  #timer = 0;
  #gone = false;

  /** `image` shows the film where its frames cannot be decoded; `stage` holds what is shown. */
  constructor(
    private readonly stage: HTMLElement,
    image: HTMLImageElement,
  ) {
    this.#image = image;
    this.controls = h("div", { class: "film", role: "group", "aria-label": "Film" }, this.#play, this.#note);
  }

  async open(blob: Blob): Promise<void> {
    this.#canvas.setAttribute("aria-label", this.#image.alt);
    const frames = await framesOf(blob, this.#canvas).catch(() => undefined);
    if (this.#gone) return frames?.close();
    this.#frames = frames;
    if (frames) await this.#openFrames(frames);
    else await this.#openWhole();
    this.#mark();
  }

  toggle(): void {
    this.#playing = !this.#playing;
    clearTimeout(this.#timer);
    if (!this.#frames) this.#swap();
    else if (this.#playing) void this.#show(this.#index + 1);
    this.#mark();
  }

  destroy(): void {
    this.#gone = true;
    clearTimeout(this.#timer);
    this.#frames?.close();
    this.controls.remove();
  }

  async #openFrames(frames: Frames): Promise<void> {
    put(this.stage, this.#canvas);
    const step = (label: string, text: string, by: number): HTMLElement =>
      h(
        "button",
        {
          type: "button",
          class: "icon-button",
          "aria-label": label,
          title: label,
          onclick: () => this.#step(by),
        },
        text,
      );
    put(this.controls, this.#play, step("Previous frame", "‹", -1), step("Next frame", "›", 1), this.#note);
    if (frames.count < 2) this.controls.hidden = true;
    await this.#show(0);
  }

  /** The browser plays the file by itself; what stands still is its first frame. */
  async #openWhole(): Promise<void> {
    await this.#image.decode();
    this.#canvas.width = this.#image.naturalWidth;
    this.#canvas.height = this.#image.naturalHeight;
    context2d(this.#canvas).drawImage(this.#image, 0, 0);
    this.#swap();
  }

  #swap(): void {
    put(this.stage, this.#playing ? this.#image : this.#canvas);
  }

  #step(by: number): void {
    this.#playing = false;
    clearTimeout(this.#timer);
    this.#mark();
    void this.#show(this.#index + by);
  }

  async #show(index: number): Promise<void> {
    const frames = this.#frames;
    if (!frames || this.#gone) return;
    this.#index = (index + frames.count) % frames.count;
    try {
      const shown = await frames.draw(this.#index);
      put(this.#note, `${this.#index + 1} / ${frames.count}`);
      this.#note.title = `frame ${this.#index + 1} of ${frames.count}`;
      if (this.#playing && frames.count > 1 && !this.#gone)
        this.#timer = window.setTimeout(() => void this.#show(this.#index + 1), shown);
    } catch {
      if (!this.#gone) put(this.#note, `frame ${this.#index + 1} is damaged`);
    }
  }

  #mark(): void {
    const path = this.#playing ? "M5 3.5v9M11 3.5v9" : "M5 3.2v9.6l7.6-4.8z";
    this.#play.setAttribute("aria-label", this.#playing ? "Pause the film" : "Play the film");
    const kind = this.#playing ? "stroke" : "solid";
    put(
      this.#play,
      s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: kind }, s("path", { d: path })),
    );
  }
}
