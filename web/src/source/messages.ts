// The source of a page that can only pass messages, as in a notebook: numbers come as bytes, and only when asked for.
import type { GraphAnswer } from "../lib/graphdef";
import { histogramsOf, imagesOf, scalarsOf } from "./answers";
import type { Line } from "./line";
import { type Changes, MergedIndex } from "./merge";
import { parseSafetensors } from "./safetensors";
import {
  type Address,
  type Histograms,
  type HParams,
  type Images,
  type Index,
  type Json,
  type Layout,
  type LoggedText,
  type RecordMeta,
  type Scalars,
  type Source,
  SourceError,
  type Tensors,
  type TensorsKind,
} from "./source";

/** So many pictures and sounds have an address at a time; the one that was asked for longest ago loses it. */
const ADDRESSES = 512;

type Fields = Readonly<Record<string, Json>>;

export class MessageSource implements Source {
  readonly #known = new MergedIndex();
  readonly #addresses = new Map<string, Promise<string>>();

  constructor(private readonly line: Line) {}

  async index(signal?: AbortSignal): Promise<Index> {
    const { since } = this.#known;
    return this.#known.take(await this.#value<Changes>({ ask: "changes", since }, signal), since);
  }

  watch(changed: (version: number) => void, connected: (yes: boolean) => void): () => void {
    connected(true);
    return this.line.watch(changed);
  }

  async scalars(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Scalars> {
    return scalarsOf(await this.#series("scalar", run, tag, start, signal));
  }

  async histograms(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Histograms> {
    return histogramsOf(await this.#series("histogram", run, tag, start, signal));
  }

  async images(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Images> {
    return imagesOf(await this.#series("image", run, tag, start, signal));
  }

  imageUrl(run: string, tag: string, index: number): Address {
    return this.#address({ ask: "image", run, tag, index });
  }

  series(run: string, kind: TensorsKind, tag: string, start: number, signal?: AbortSignal): Promise<Tensors> {
    return this.#series(kind, run, tag, start, signal);
  }

  async text(run: string, tag: string, index: number, signal?: AbortSignal): Promise<LoggedText> {
    const { value, data } = await this.line.ask({ ask: "text", run, tag, index }, signal);
    return { text: new TextDecoder().decode(data), bytes: (value as { bytes: number }).bytes };
  }

  textUrl(run: string, tag: string, index: number): Address {
    return this.#address({ ask: "text", run, tag, index, whole: 1 });
  }

  audioUrl(run: string, tag: string, index: number): Address {
    return this.#address({ ask: "audio", run, tag, index });
  }

  mesh(run: string, tag: string, index: number, item: number, signal?: AbortSignal): Promise<Tensors> {
    return this.#tensors({ ask: "mesh", run, tag, index, item }, signal);
  }

  hparams(signal?: AbortSignal): Promise<HParams> {
    return this.#value({ ask: "hparams" }, signal);
  }

  layout(run: string, signal?: AbortSignal): Promise<Layout> {
    return this.#value({ ask: "layout", run }, signal);
  }

  graph(run: string, index: number, signal?: AbortSignal): Promise<GraphAnswer> {
    return this.#value({ ask: "graph", run, index }, signal);
  }

  record(run: string, id: string, signal?: AbortSignal): Promise<RecordMeta> {
    return this.#value({ ask: "record", run, record: id }, signal);
  }

  arrays(
    run: string,
    id: string,
    names: readonly string[],
    signal?: AbortSignal,
    rows?: readonly [start: number, stop: number],
  ): Promise<Tensors> {
    const part = rows ? { rows: [...rows] } : {};
    return this.#tensors({ ask: "arrays", run, record: id, names: [...names], ...part }, signal);
  }

  pictureUrl(run: string, id: string, file: string): Address {
    return this.#address({ ask: "picture", run, record: id, file });
  }

  async #value<T>(fields: Fields, signal?: AbortSignal): Promise<T> {
    return (await this.line.ask(fields, signal)).value as T;
  }

  async #tensors(fields: Fields, signal?: AbortSignal): Promise<Tensors> {
    const { data } = await this.line.ask(fields, signal);
    if (!data) throw new SourceError(`the answer to ${fields.ask} has no numbers`);
    return parseSafetensors(data);
  }

  #series(kind: string, run: string, tag: string, start: number, signal?: AbortSignal): Promise<Tensors> {
    return this.#tensors({ ask: "series", run, kind, tag, start }, signal);
  }

  #address(fields: Fields): Promise<string> {
    const key = JSON.stringify(fields);
    const address = this.#addresses.get(key) ?? this.#made(key, fields);
    this.#addresses.delete(key);
    this.#addresses.set(key, address);
    if (this.#addresses.size > ADDRESSES) this.#forget();
    return address;
  }

  #made(key: string, fields: Fields): Promise<string> {
    const made = this.line.ask(fields).then(({ value, data }) => {
      const { type } = value as { type: string };
      return URL.createObjectURL(new Blob(data ? [data] : [], { type }));
    });
    made.catch(() => this.#addresses.delete(key));
    return made;
  }

  #forget(): void {
    for (const [key, address] of this.#addresses) {
      this.#addresses.delete(key);
      address.then((url) => URL.revokeObjectURL(url)).catch(() => undefined);
      return;
    }
  }
}
