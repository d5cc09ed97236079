// The series that an address asks for: its frames as the index knows them, then with their meta data and one scale.
import {
  type Base,
  commonWindow,
  type FrameMeta,
  frameMeta,
  framesOver,
  type KnownFrame,
  matching,
  type Over,
  oversOf,
  type SeriesFrame,
  type Window,
} from "../../lib/animation";
import { FrameStore } from "../../lib/framestore";
import { choiceOf } from "../../lib/route";
import type { VolumeData } from "../../lib/volumedata";
import type { Source } from "../../source/source";
import type { PlayerState } from "./player";

/** The frame to draw instead of the record. */
export interface Played {
  readonly data: VolumeData;
  readonly order: readonly number[];
  /** Whether `order` is that of the record the page is opened at, not the frame's own. */
  readonly sharedOrder: boolean;
  /** The one scale of all frames; null: each frame is drawn on its own. */
  readonly window: Window | null;
  readonly name: string;
  readonly at: number;
  readonly count: number;
}

interface Opened {
  readonly frames: readonly KnownFrame[];
  readonly window: Window | null;
}

export class PlayerSeries {
  over: Over = "images";
  /** What it can be animated over; empty where there is one volume only. */
  overs: readonly Over[] = [];
  /** Another one for another series. */
  key = "";
  /** Whether the last change of the key was only that frames have come or gone. */
  grown = false;
  #kind = "";
  #store: FrameStore | undefined;
  #run = "";
  #state: PlayerState | undefined;
  #base: { readonly place: Base; readonly meta: FrameMeta } | undefined;
  #candidates: readonly SeriesFrame[] = [];
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;

  constructor(private readonly source: Source) {}

  /** Frames as far as they are known. */
  get frames(): readonly SeriesFrame[] {
    return this.#opened?.frames ?? this.#candidates;
  }

  /** The place of the record that the page is opened at. */
  get home(): number {
    const id = this.#state?.data.record.id;
    return Math.max(
      0,
      this.frames.findIndex(({ record }) => record.id === id),
    );
  }

  destroy(): void {
    this.#store?.destroy();
  }

  /** Learn the state; nothing is fetched. */
  update(state: PlayerState): void {
    const { index, run: name, data, route } = state;
    if (this.#run !== name || !this.#store) {
      this.#store?.destroy();
      this.#store = new FrameStore(this.source, name);
      this.#run = name;
    }
    this.#state = state;
    const run = index.runs.find((one) => one.name === name);
    if (!run) return;
    const meta = frameMeta(data.record);
    const layer = meta.layer || data.layer;
    this.#base = { place: { tag: data.record.tag, step: data.record.step, layer }, meta: { ...meta, layer } };
    this.overs = oversOf(run, this.#base.place, meta);
    this.over = choiceOf(route, "over", this.overs.length ? this.overs : ["images"]);
    this.#candidates = framesOver(run, this.#base.place, this.over === "classes" ? "images" : this.over);
    const own = route.params.framescale === "own" ? "own" : "one";
    const ids = this.#candidates.map(({ record }) => record.id).join();
    const kind = [name, data.record.id, this.over, own].join("\n");
    const key = `${kind}\n${ids}`;
    if (key === this.key) return;
    this.grown = kind === this.#kind;
    this.#kind = kind;
    this.key = key;
    this.#opening = this.#opened = undefined;
  }

  /** Read the meta data of all frames, once; `told` says how many are read. */
  open(told: (done: number, total: number) => void): Promise<Opened> {
    if (this.#opening) return this.#opening;
    const { key } = this;
    const opening = this.#open(told);
    this.#opening = opening;
    opening.then(
      (opened) => {
        if (key === this.key) this.#opened = opened;
      },
      () => {
        if (key === this.key) this.#opening = undefined;
      },
    );
    return opening;
  }

  /** The frame at a place, moved into the series if it lies outside. */
  async load(wanted: number, told: (done: number, total: number) => void): Promise<Played> {
    const { frames, window } = await this.open(told);
    const at = Math.max(0, Math.min(frames.length - 1, wanted));
    const base = this.#state;
    if (!base || !this.#store || !frames.length) throw new Error("there are no frames to play");
    const { record, name } = frames[at];
    // What is on the page is not fetched again.
    const data = record.id === base.data.record.id ? base.data : await this.#store.get(record);
    const sharedOrder = this.over !== "layers" && data.volume.channels === base.order.length;
    const order = sharedOrder ? base.order : data.order;
    return { data, order, sharedOrder, window, name, at, count: frames.length };
  }

  prefetch(places: readonly number[]): void {
    const records = places.map((at) => this.frames[at]?.record).filter((one) => one !== undefined);
    this.#store?.prefetch(records, this.#state?.data.volume.data.byteLength ?? 0);
  }

  async #open(told: (done: number, total: number) => void): Promise<Opened> {
    const [candidates, base, store, over] = [this.#candidates, this.#base, this.#store, this.over];
    if (!base || !store) throw new Error("there are no frames to play");
    const own = this.#state?.route.params.framescale === "own";
    const described = await store.describe(candidates, (done) => told(done, candidates.length));
    const frames = matching(described, base.meta, over);
    const windows = frames.map(({ meta }) => meta.window).filter((one) => one !== null);
    const symmetric = frames.some(({ meta }) => meta.symmetric);
    return { frames, window: own ? null : commonWindow(windows, symmetric) };
  }
}
