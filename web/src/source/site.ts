// The source of a site: several exports under one index, each asked for the runs that are its own.

import type { GraphAnswer } from "../lib/graphdef";
import { type DataFiles, FileBlocks } from "./fileblocks";
import { InlineSource } from "./inline";
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
  type Source,
  SourceError,
  type Tensors,
  type TensorsKind,
} from "./source";

const FORMAT = 1;

/** The folder of a layer's pages, and its channels that have one: from a first one up to another. */
type LayerPages = readonly [folder: string, ranges: readonly (readonly [number, number])[]];

/** The folder of a run's pages, and what there is in it by tag. */
type RunPages = readonly [folder: string, layers: Readonly<Record<string, LayerPages>>];

interface SiteIndex {
  readonly format: number;
  readonly index: Index;
  readonly entries: readonly {
    /** The file that says where the blocks are. */
    readonly table: string;
    /** The block that says what the others are. */
    readonly manifest: number;
    /** What the entry calls each run, by the name that the site has for it. */
    readonly runs: Readonly<Record<string, string>>;
  }[];
  readonly pages: Readonly<Record<string, RunPages>>;
}

interface Entry {
  readonly source: InlineSource;
  readonly runs: Readonly<Record<string, string>>;
}

interface Place {
  readonly source: InlineSource;
  readonly run: string;
}

export class SiteSource implements Source {
  readonly #places = new Map<string, Place>();
  readonly #pages = new Map<string, RunPages>();
  #entries: readonly Entry[] = [];
  #opened: Promise<Index> | undefined;

  /** `name`: the file of blocks that says what there is. */
  constructor(
    private readonly files: DataFiles,
    private readonly name: string,
  ) {}

  async index(signal?: AbortSignal): Promise<Index> {
    this.#opened ??= this.#open();
    this.#opened.catch(() => {
      this.#opened = undefined;
    });
    const index = await this.#opened;
    signal?.throwIfAborted();
    return index;
  }

  /** The page of a run, of its layer, or of a channel of that, relative to the front page. */
  page(run: string, layer?: string, channel?: number): string | undefined {
    const [folder, layers] = this.#pages.get(run) ?? [];
    if (!folder || !layers) return undefined;
    if (layer === undefined) return `${folder}/`;
    const [inside, ranges] = Object.hasOwn(layers, layer) ? layers[layer] : [];
    if (!inside || !ranges) return undefined;
    if (channel === undefined) return `${folder}/${inside}/`;
    const here = ranges.some(([first, end]) => channel >= first && channel < end);
    return here ? `${folder}/${inside}/${channel}.html` : undefined;
  }

  /** A site never changes. */
  watch(_changed: (version: number) => void, connected: (yes: boolean) => void): () => void {
    connected(true);
    return () => undefined;
  }

  async scalars(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Scalars> {
    const at = this.#at(run);
    return at.source.scalars(at.run, tag, start, signal);
  }

  async histograms(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Histograms> {
    const at = this.#at(run);
    return at.source.histograms(at.run, tag, start, signal);
  }

  async images(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Images> {
    const at = this.#at(run);
    return at.source.images(at.run, tag, start, signal);
  }

  imageUrl(run: string, tag: string, index: number): Address {
    const at = this.#at(run);
    return at.source.imageUrl(at.run, tag, index);
  }

  async series(
    run: string,
    kind: TensorsKind,
    tag: string,
    start: number,
    signal?: AbortSignal,
  ): Promise<Tensors> {
    const at = this.#at(run);
    return at.source.series(at.run, kind, tag, start, signal);
  }

  async text(run: string, tag: string, index: number, signal?: AbortSignal): Promise<LoggedText> {
    const at = this.#at(run);
    return at.source.text(at.run, tag, index, signal);
  }

  textUrl(run: string, tag: string, index: number): Address {
    const at = this.#at(run);
    return at.source.textUrl(at.run, tag, index);
  }

  audioUrl(run: string, tag: string, index: number): Address {
    const at = this.#at(run);
    return at.source.audioUrl(at.run, tag, index);
  }

  async mesh(run: string, tag: string, index: number, item: number, signal?: AbortSignal): Promise<Tensors> {
    const at = this.#at(run);
    return at.source.mesh(at.run, tag, index, item, signal);
  }

  async hparams(signal?: AbortSignal): Promise<HParams> {
    const answers = this.#entries.map(async ({ source, runs }) => {
      const shown = new Map(Object.entries(runs).map(([name, own]) => [own, name]));
      const { runs: told } = await source.hparams(signal);
      return told.map((one) => ({ ...one, run: shown.get(one.run) ?? one.run }));
    });
    return { runs: (await Promise.all(answers)).flat() };
  }

  async layout(run: string, signal?: AbortSignal): Promise<Layout> {
    const at = this.#at(run);
    return at.source.layout(at.run, signal);
  }

  async graph(run: string, index: number, signal?: AbortSignal): Promise<GraphAnswer> {
    const at = this.#at(run);
    return at.source.graph(at.run, index, signal);
  }

  async record(run: string, id: string, signal?: AbortSignal): Promise<RecordMeta> {
    const at = this.#at(run);
    return at.source.record(at.run, id, signal);
  }

  async arrays(
    run: string,
    id: string,
    names: readonly string[],
    signal?: AbortSignal,
    rows?: readonly [start: number, stop: number],
  ): Promise<Tensors> {
    const at = this.#at(run);
    return at.source.arrays(at.run, id, names, signal, rows);
  }

  pictureUrl(run: string, id: string, file: string): Address {
    const at = this.#at(run);
    return at.source.pictureUrl(at.run, id, file);
  }

  async #open(): Promise<Index> {
    const { format, index, entries, pages } = await this.files.json<SiteIndex>(this.name);
    if (format !== FORMAT) throw new SourceError(`this site is of the format ${format}; export it again`);
    this.#entries = entries.map(({ table, manifest, runs }) => ({
      source: new InlineSource(new FileBlocks(this.files, table), manifest),
      runs,
    }));
    for (const { source, runs } of this.#entries)
      for (const [name, run] of Object.entries(runs)) this.#places.set(name, { source, run });
    for (const [name, at] of Object.entries(pages)) this.#pages.set(name, at);
    return index;
  }

  #at(run: string): Place {
    const place = this.#places.get(run);
    if (!place) throw new SourceError(`no run ${run} in this site`);
    return place;
  }
}
