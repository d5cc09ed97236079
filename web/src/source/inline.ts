// The source of an exported page: all answers lie in the page, packed, and are unpacked when they are asked for.

import type { GraphAnswer } from "../lib/graphdef";
import { histogramsOf, imagesOf, scalarsOf } from "./answers";
import type { Blocks } from "./blocks";
import { parseSafetensors } from "./safetensors";
import {
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
} from "./source";

const FORMAT = 1;
const SERIES_WIDTH = 8;
/** So many blocks of numbers, of about a megabyte at most, stay unpacked. */
const KEPT = 48;

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
  readonly images: Readonly<Record<string, readonly number[]>>;
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

  imageUrl(run: string, tag: string, index: number): string {
    const block = own(own(this.#manifest?.runs, run)?.images, tag)?.[index];
    return block === undefined ? hatched(1, 1) : this.blocks.url(block);
  }

  /** Of what follows there is nothing in a file. */
  series(run: string, kind: string, tag: string): Promise<Tensors> {
    return notHere(`${kind} ${tag} of run ${run}`);
  }

  text(run: string, tag: string): Promise<LoggedText> {
    return notHere(`the text ${tag} of run ${run}`);
  }

  textUrl(): string {
    return "data:,";
  }

  audioUrl(): string {
    return "data:audio/wav,";
  }

  mesh(run: string, tag: string): Promise<Tensors> {
    return notHere(`the mesh ${tag} of run ${run}`);
  }

  hparams(): Promise<HParams> {
    return notHere("hyper-parameters");
  }

  layout(run: string): Promise<Layout> {
    return notHere(`the layout of run ${run}`);
  }

  graph(run: string): Promise<GraphAnswer> {
    return notHere(`the graph of run ${run}`);
  }

  async record(run: string, id: string, signal?: AbortSignal): Promise<RecordMeta> {
    const bytes = await this.#bytes((await this.#record(run, id)).record, 1);
    signal?.throwIfAborted();
    const record = JSON.parse(new TextDecoder().decode(bytes)) as RecordMeta;
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
  pictureUrl(run: string, id: string, file: string): string {
    const block = own(own(own(this.#manifest?.runs, run)?.records, id)?.pictures, file);
    if (block !== undefined) return this.blocks.url(block);
    const sheet = this.#sheets.get(key(run, id, file));
    if (!sheet) return hatched(1, 1);
    const [height, width] = sheet.tile.map((side) => side + 2 * sheet.gutter);
    return hatched(sheet.columns * width, sheet.rows * height);
  }

  async #open(): Promise<Manifest> {
    if (!this.#manifest) {
      const manifest = JSON.parse(new TextDecoder().decode(await this.#bytes(this.manifest, 1))) as Manifest;
      if (manifest.format !== FORMAT) throw new SourceError(`this page is of the format ${manifest.format}`);
      this.#manifest = manifest;
    }
    return this.#manifest;
  }

  async #record(run: string, id: string): Promise<RecordBlocks> {
    const record = own(own((await this.#open()).runs, run)?.records, id);
    if (!record) throw new SourceError(`no record ${id} of run ${run} in this file`);
    return record;
  }

  async #series(kind: string, run: string, tag: string, signal?: AbortSignal): Promise<Tensors> {
    const block = own(own(own((await this.#open()).runs, run)?.series, kind), tag);
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

const notHere = (what: string): Promise<never> =>
  Promise.reject(new SourceError(`${what} is not in this file; open the run with: convscope view`));

/** A picture of stripes: there is something, but not here. */
function hatched(width: number, height: number): string {
  const stripes =
    '<pattern id="p" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">' +
    '<path d="M0 0h8v8H0z" fill="#8882"/><path d="M0 0h2v8H0z" fill="#8886"/></pattern>';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${stripes}<path d="M0 0h${width}v${height}H0z" fill="url(#p)"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
