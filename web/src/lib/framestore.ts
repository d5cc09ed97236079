// What a series needs of its records: their meta data for the one scale, and the voxels of the frames that play next.
import type { RecordInfo, Source } from "../source/source";
import { type FrameMeta, frameMeta, type KnownFrame, type SeriesFrame, type Window } from "./animation";
import { fetchVolume, type VolumeData } from "./volumedata";
import { layerRange } from "./voxels";

/** Bytes of voxels that are kept: the least recently shown frames go first. */
const KEPT_BYTES = 192 * 2 ** 20;
/** Meta data of so many records are read at a time. */
const AT_ONCE = 6;

interface Kept {
  readonly data: Promise<VolumeData>;
  bytes: number;
}

export class FrameStore {
  readonly #metas = new Map<string, FrameMeta>();
  readonly #kept = new Map<string, Kept>();
  readonly #gone = new AbortController();

  constructor(
    private readonly source: Source,
    private readonly run: string,
    private readonly limit = KEPT_BYTES,
    private readonly fetch: typeof fetchVolume = fetchVolume,
  ) {}

  /** Bytes of voxels that are held now. */
  get bytes(): number {
    return [...this.#kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  destroy(): void {
    this.#gone.abort();
    this.#kept.clear();
  }

  /** The frames with their meta data; `told` says how many are read. */
  async describe(frames: readonly SeriesFrame[], told: (done: number) => void): Promise<KnownFrame[]> {
    let [next, done] = [0, 0];
    const work = async (): Promise<void> => {
      while (next < frames.length) {
        await this.#describe(frames[next++].record);
        told(++done);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, frames.length) }, work));
    return frames.map((frame) => {
      const meta = this.#metas.get(frame.record.id);
      if (!meta) throw new Error(`nothing is known of ${frame.record.tag}`);
      return { ...frame, meta };
    });
  }

  /** The voxels of a record; asked for once while they are kept. */
  get(record: RecordInfo): Promise<VolumeData> {
    const known = this.#kept.get(record.id);
    if (known) {
      this.#kept.delete(record.id);
      this.#kept.set(record.id, known);
      return known.data;
    }
    const kept: Kept = {
      data: this.fetch(this.source, this.run, record.id, this.#gone.signal),
      bytes: record.bytes,
    };
    this.#kept.set(record.id, kept);
    kept.data.then(
      ({ volume }) => {
        kept.bytes = volume.data.byteLength;
        this.#forget(record.id);
      },
      () => this.#kept.delete(record.id),
    );
    return kept.data;
  }

  /** Fetch the frames that play next, as many as fit beside the one on screen. */
  prefetch(records: readonly RecordInfo[], frameBytes: number): void {
    const room = Math.max(1, Math.floor(this.limit / Math.max(1, frameBytes)) - 2);
    // Failures are told when the frame is shown.
    for (const record of records.slice(0, room)) this.get(record).catch(() => undefined);
  }

  async #describe({ id }: RecordInfo): Promise<void> {
    if (this.#metas.has(id)) return;
    const { signal } = this.#gone;
    const meta = frameMeta(await this.source.record(this.run, id, signal));
    this.#metas.set(id, meta.window ? meta : { ...meta, window: await this.#range(id) });
  }

  /** Records of older versions tell no window: then it is all that the layer holds. */
  async #range(id: string): Promise<Window> {
    const { scale } = await this.source.arrays(this.run, id, ["scale"], this.#gone.signal);
    const channels = scale.data.length / 2;
    return layerRange({ data: new Uint8Array(), channels, height: 0, width: 0, scale: scale.data });
  }

  #forget(keep: string): void {
    let bytes = this.bytes;
    for (const [id, one] of this.#kept) {
      if (bytes <= this.limit) return;
      if (id === keep) continue;
      this.#kept.delete(id);
      bytes -= one.bytes;
    }
  }
}
