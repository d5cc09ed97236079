// The source of an exported page: all answers lie in the page, packed, and are unpacked when they are asked for.

import type { GraphAnswer } from "../lib/graphdef";
import { histogramsOf, imagesOf, scalarsOf } from "./answers";
import type { Blocks } from "./blocks";
import { parseSafetensors } from "./safetensors";
import {
  type Address,
  type Histograms,
  type HParams,
  type Images,
  type Index,
  type Layout,
  type LoggedText,
  type RecordMeta,
  type Scalars,
  type Sheet,
  type Source,
  SourceError,
  type Tensor,
  type Tensors,
  type TensorsKind,
} from "./source";

const FORMAT = 2;
const SERIES_WIDTH = 8;
/** So many blocks of numbers, of about a megabyte at most, stay unpacked. */
const KEPT = 48;
const MESH_WIDTH = 4;
/** Of a text so many bytes are shown, as from a server. */
const MOST_TEXT = 1 << 20;
/** What could not be packed has this number. */
const MISSING = -1;

/** Rows a block, bytes a number, and the blocks. */
type ArrayBlocks = readonly [rows: number, width: number, blocks: readonly number[]];

interface RecordBlocks {
  readonly record: number;
  readonly arrays: Readonly<Record<string, ArrayBlocks>>;
  readonly pictures: Readonly<Record<string, number>>;
}

interface RunBlocks {
  readonly records: Readonly<Record<string, RecordBlocks>>;
  readonly series: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly media: {
    readonly [K in "image" | "audio" | "text"]?: Readonly<Record<string, readonly number[]>>;
  } & { readonly mesh?: Readonly<Record<string, readonly (readonly number[])[]>> };
  readonly hparams?: number;
  readonly layout?: number;
  readonly graphs?: readonly number[];
}

interface Manifest {
  readonly format: number;
  readonly index: Index;
  readonly runs: Readonly<Record<string, RunBlocks>>;
}

/** A value of a table whose keys are anything, "constructor" too. */
const own = <T>(table: Readonly<Record<string, T>> | undefined, key: string): T | undefined =>
  table && Object.hasOwn(table, key) ? table[key] : undefined;

export class InlineSource implements Source {
  #manifest: Manifest | undefined;
  readonly #recent = new Map<number, Promise<Uint8Array<ArrayBuffer>>>();
  readonly #sheets = new Map<string, Sheet>();
  readonly #texts = new Map<string, Promise<string>>();

  /** `manifest`: the block that says what the others are. */
  constructor(
    private readonly blocks: Blocks,
    private readonly manifest: number,
  ) {}

  async index(signal?: AbortSignal): Promise<Index> {
    const { index } = await this.#open();
    signal?.throwIfAborted();
    return index;
  }

  /** A file never changes. */
  watch(_changed: (version: number) => void, connected: (yes: boolean) => void): () => void {
    connected(true);
    return () => undefined;
  }

  async scalars(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Scalars> {
    return scalarsOf(from(await this.#series("scalar", run, tag, signal), start));
  }

  async histograms(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Histograms> {
    const all = histogramsOf(await this.#series("histogram", run, tag, signal));
    const first = all.offset[Math.min(start, all.offset.length - 1)];
    return {
      step: all.step.subarray(start),
      wallTime: all.wallTime.subarray(start),
      stats: all.stats.subarray(5 * start),
      offset: all.offset.subarray(start).map((end) => end - first),
      limit: all.limit.subarray(first),
      count: all.count.subarray(first),
      special: all.special.subarray(3 * start),
    };
  }

  async images(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Images> {
    return imagesOf(from(await this.#series("image", run, tag, signal), start));
  }

  imageUrl(run: string, tag: string, index: number): Address {
    const block = this.#medium(run, "image", tag, index);
    return block === undefined ? hatched(1, 1) : this.blocks.url(block);
  }

  async series(
    run: string,
    kind: TensorsKind,
    tag: string,
    start: number,
    signal?: AbortSignal,
  ): Promise<Tensors> {
    if (kind !== "moments" || own((await this.#run(run)).series.moments, tag) !== undefined)
      return from(await this.#series(kind, run, tag, signal), start);
    const { step, wall_time, stats, special } = await this.#series("histogram", run, tag, signal);
    return from({ step, wall_time, stats, special }, start);
  }

  async text(run: string, tag: string, index: number, signal?: AbortSignal): Promise<LoggedText> {
    const bytes = await this.#whole(run, tag, index);
    signal?.throwIfAborted();
    // As a stream: a letter that the cut has halved is left out.
    const text = new TextDecoder().decode(bytes.subarray(0, MOST_TEXT), { stream: bytes.length > MOST_TEXT });
    return { text, bytes: bytes.length };
  }

  textUrl(run: string, tag: string, index: number): Address {
    const place = key(run, tag, String(index));
    const known = this.#texts.get(place);
    if (known) return known;
    const url = this.#whole(run, tag, index).then((bytes) =>
      URL.createObjectURL(new Blob([bytes], { type: "text/plain;charset=utf-8" })),
    );
    this.#texts.set(place, url);
    url.catch(() => this.#texts.delete(place));
    return url;
  }

  audioUrl(run: string, tag: string, index: number): Address {
    const block = this.#medium(run, "audio", tag, index);
    return block === undefined ? missing(`sound ${index} of ${tag}`, run) : this.blocks.url(block);
  }

  async mesh(run: string, tag: string, index: number, item: number, signal?: AbortSignal): Promise<Tensors> {
    const block = own((await this.#run(run)).media.mesh, tag)?.[index]?.[item];
    if (block === undefined || block === MISSING) return missing(`mesh ${index} of ${tag}`, run);
    const bytes = await this.#bytes(block, MESH_WIDTH);
    signal?.throwIfAborted();
    return parseSafetensors(bytes.buffer);
  }

  async hparams(signal?: AbortSignal): Promise<HParams> {
    const { index, runs } = await this.#open();
    const blocks = index.runs.flatMap(({ name }) => own(runs, name)?.hparams ?? []);
    return {
      runs: await Promise.all(blocks.map((block) => this.#json<HParams["runs"][number]>(block, signal))),
    };
  }

  async layout(run: string, signal?: AbortSignal): Promise<Layout> {
    const { layout } = await this.#run(run);
    return layout === undefined ? { categories: [] } : this.#json<Layout>(layout, signal);
  }

  async graph(run: string, index: number, signal?: AbortSignal): Promise<GraphAnswer> {
    const block = (await this.#run(run)).graphs?.[index];
    return block === undefined || block === MISSING
      ? missing(`graph ${index}`, run)
      : this.#json<GraphAnswer>(block, signal);
  }

  async record(run: string, id: string, signal?: AbortSignal): Promise<RecordMeta> {
    const record = await this.#json<RecordMeta>((await this.#record(run, id)).record, signal);
    for (const sheet of Object.values(record.pictures))
      for (const file of sheet.files) this.#sheets.set(key(run, id, file), sheet);
    return record;
  }

  async arrays(
    run: string,
    id: string,
    names: readonly string[],
    signal?: AbortSignal,
    rows?: readonly [start: number, stop: number],
  ): Promise<Tensors> {
    const { arrays } = await this.#record(run, id);
    const found = names.map(async (name): Promise<[string, Tensor]> => {
      const packed = own(arrays, name);
      if (!packed) throw new SourceError(`no array ${name} of record ${id} in this file`);
      return [name, await this.#array(packed, rows)];
    });
    const answer = Object.fromEntries(await Promise.all(found));
    signal?.throwIfAborted();
    return answer;
  }

  /** The address of a sheet; of one that was left out a hatched sheet in its place. */
  pictureUrl(run: string, id: string, file: string): Address {
    const block = own(own(own(this.#manifest?.runs, run)?.records, id)?.pictures, file);
    if (block !== undefined) return this.blocks.url(block);
    const sheet = this.#sheets.get(key(run, id, file));
    if (!sheet) return hatched(1, 1);
    const [height, width] = sheet.tile.map((side) => side + 2 * sheet.gutter);
    return hatched(sheet.columns * width, sheet.rows * height);
  }

  async #open(): Promise<Manifest> {
    if (!this.#manifest) {
      const manifest = await this.#json<Manifest>(this.manifest);
      if (manifest.format !== FORMAT) throw new SourceError(`this page is of the format ${manifest.format}`);
      this.#manifest = manifest;
    }
    return this.#manifest;
  }

  async #run(name: string): Promise<RunBlocks> {
    const run = own((await this.#open()).runs, name);
    if (!run) throw new SourceError(`no run ${name} in this file`);
    return run;
  }

  /** The block of a picture, sound or text; undefined where it is not there. */
  #medium(run: string, kind: "image" | "audio" | "text", tag: string, index: number): number | undefined {
    const block = own(own(this.#manifest?.runs, run)?.media[kind], tag)?.[index];
    return block === MISSING ? undefined : block;
  }

  async #whole(run: string, tag: string, index: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.#open();
    const block = this.#medium(run, "text", tag, index);
    return block === undefined ? missing(`text ${index} of ${tag}`, run) : this.#bytes(block, 1);
  }

  async #json<T>(block: number, signal?: AbortSignal): Promise<T> {
    const bytes = await this.#bytes(block, 1);
    signal?.throwIfAborted();
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  }

  async #record(run: string, id: string): Promise<RecordBlocks> {
    const record = own((await this.#run(run)).records, id);
    if (!record) throw new SourceError(`no record ${id} of run ${run} in this file`);
    return record;
  }

  async #series(kind: string, run: string, tag: string, signal?: AbortSignal): Promise<Tensors> {
    const block = own(own((await this.#run(run)).series, kind), tag);
    if (block === undefined) throw new SourceError(`no ${kind} ${tag} of run ${run} in this file`);
    const bytes = await this.#bytes(block, SERIES_WIDTH);
    signal?.throwIfAborted();
    return parseSafetensors(bytes.buffer);
  }

  async #array([rows, width, blocks]: ArrayBlocks, wanted?: readonly [number, number]): Promise<Tensor> {
    const many = wanted && blocks.length > 1;
    const first = many ? Math.min(Math.floor(wanted[0] / rows), blocks.length - 1) : 0;
    const last = many ? Math.max(Math.ceil(wanted[1] / rows), first + 1) : blocks.length;
    const pieces = blocks.slice(first, last).map(async (block) => {
      const [tensor] = Object.values(parseSafetensors((await this.#bytes(block, width)).buffer));
      return tensor;
    });
    const tensor = joined(await Promise.all(pieces));
    return wanted ? part(tensor, wanted[0] - first * rows, wanted[1] - first * rows) : tensor;
  }

  #bytes(block: number, width: number): Promise<Uint8Array<ArrayBuffer>> {
    const known = this.#recent.get(block);
    const bytes = known ?? this.blocks.bytes(block).then((packed) => gathered(packed, width));
    this.#recent.delete(block);
    this.#recent.set(block, bytes);
    if (!known) bytes.catch(() => this.#recent.delete(block));
    if (this.#recent.size > KEPT) this.#recent.delete(this.#recent.keys().next().value ?? -1);
    return bytes;
  }
}

const key = (run: string, id: string, file: string): string => JSON.stringify([run, id, file]);

/** The bytes of numbers whose first bytes stand together, then their second ones, and so on. */
function gathered(planes: Uint8Array<ArrayBuffer>, width: number): Uint8Array<ArrayBuffer> {
  if (width === 1 || planes.length % width) return planes;
  const count = planes.length / width;
  const bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < width; plane++)
    for (let i = 0; i < count; i++) bytes[i * width + plane] = planes[plane * count + i];
  return bytes;
}

/** Some rows of an array. */
function part({ shape, data }: Tensor, start: number, stop: number): Tensor {
  const last = Math.min(stop, shape[0]);
  const first = Math.min(start, last);
  const per = data.length / Math.max(1, shape[0]);
  return { shape: [last - first, ...shape.slice(1)], data: data.subarray(first * per, last * per) };
}

/** All points of a series from a number on. */
const from = (arrays: Tensors, start: number): Tensors =>
  start
    ? Object.fromEntries(
        Object.entries(arrays).map(([name, one]) => [name, part(one, start, Number.POSITIVE_INFINITY)]),
      )
    : arrays;

/** Arrays under each other. */
function joined(pieces: readonly Tensor[]): Tensor {
  if (pieces.length === 1) return pieces[0];
  const data = pieces[0].data.slice(0, 0);
  const Numbers = data.constructor as new (length: number) => Tensor["data"];
  const all = new Numbers(pieces.reduce((length, piece) => length + piece.data.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece.data, at);
    at += piece.data.length;
  }
  const rows = pieces.reduce((sum, { shape }) => sum + shape[0], 0);
  return { shape: [rows, ...pieces[0].shape.slice(1)], data: all };
}

const missing = (what: string, run: string): Promise<never> =>
  Promise.reject(new SourceError(`${what} of run ${run} is not in this file: it could not be read`));

/** A picture of stripes: there is something, but not here. */
function hatched(width: number, height: number): string {
  const stripes =
    '<pattern id="p" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">' +
    '<path d="M0 0h8v8H0z" fill="#8882"/><path d="M0 0h2v8H0z" fill="#8886"/></pattern>';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${stripes}<path d="M0 0h${width}v${height}H0z" fill="url(#p)"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
