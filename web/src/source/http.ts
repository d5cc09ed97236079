// The source behind `convscope view`: a local server with JSON for lists and safetensors for arrays.
import type { GraphAnswer } from "../lib/graphdef";
import { histogramsOf, imagesOf, scalarsOf } from "./answers";
import { embeddingPart } from "./computing";
import { type Changes, MergedIndex } from "./merge";
import { parseSafetensors } from "./safetensors";
import {
  type EmbeddingPart,
  type Histograms,
  type HParams,
  type Images,
  type Index,
  type Layout,
  type LivePart,
  type LoggedText,
  type Looked,
  type RecordMeta,
  type Scalars,
  type Source,
  SourceError,
  type Tensors,
  type TensorsKind,
} from "./source";

const RETRY_MS = 4000;
/** A page that nobody sees gives its stream back: a browser has six connections to a server, for all its pages. */
const HIDDEN_MS = 5000;

function address(path: string, query: Record<string, string | number>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) parameters.set(key, String(value));
  return `api/${path}?${parameters}`;
}

function get(url: string, signal?: AbortSignal): Promise<Response> {
  return answered(url, signal ? { signal } : {});
}

async function answered(url: string, request: RequestInit): Promise<Response> {
  const response = await fetch(url, request);
  if (response.ok) return response;
  throw new SourceError(await reason(response));
}

async function reason(response: Response): Promise<string> {
  try {
    const answer = (await response.json()) as { error?: unknown };
    if (typeof answer.error === "string") return answer.error;
  } catch {
    // Not our JSON (a proxy's page, an empty body): the status is all we know.
  }
  return `the server answered ${response.status} ${response.statusText}`;
}

/** A header that pages of others cannot send: the server acts for our page only. */
const OURS = { "X-Convscope-Live": "1" };

const LIVE: LivePart = {
  async look(picture, name, type, signal) {
    const request: RequestInit = {
      method: "POST",
      headers: { ...OURS, "Content-Type": type },
      body: picture,
    };
    const url = address("live/look", { name });
    return (await (await answered(url, signal ? { ...request, signal } : request)).json()) as Looked;
  },
  async forget(name) {
    await answered(address("live/pictures", name ? { name } : {}), { method: "DELETE", headers: OURS });
  },
};

export class HttpSource implements Source {
  readonly #embedding = embeddingPart({ address, answered, ours: OURS });
  readonly #known = new MergedIndex();
  readonly #hidden: () => boolean;
  #isReadOnly = false;

  /** `hidden` says whether nobody sees the page; whoever knows better than the document dispatches its "visibilitychange". */
  constructor(hidden: () => boolean = () => document.hidden) {
    this.#hidden = hidden;
  }

  /** Not where the server only shows; the index tells. */
  get live(): LivePart | undefined {
    return this.#isReadOnly ? undefined : LIVE;
  }

  get embedding(): EmbeddingPart | undefined {
    return this.#isReadOnly ? undefined : this.#embedding;
  }

  async index(signal?: AbortSignal): Promise<Index> {
    const { since } = this.#known;
    const changes = (await (await get(address("index", { since }), signal)).json()) as Changes;
    this.#isReadOnly = changes.read_only === true;
    return this.#known.take(changes, since);
  }

  watch(changed: (version: number) => void, connected: (yes: boolean) => void): () => void {
    let events: EventSource | undefined;
    let timer = 0;
    const open = (): void => {
      clearTimeout(timer);
      const opened = new EventSource("api/events");
      events = opened;
      opened.onopen = () => connected(true);
      opened.onmessage = (event: MessageEvent<string>) => {
        changed((JSON.parse(event.data) as { version: number }).version);
      };
      opened.onerror = () => {
        connected(false);
        // The browser reconnects by itself unless it gave up.
        if (opened.readyState === EventSource.CLOSED) timer = window.setTimeout(open, RETRY_MS);
      };
    };
    const close = (): void => {
      clearTimeout(timer);
      events?.close();
      events = undefined;
    };
    const seen = (): void => {
      clearTimeout(timer);
      if (this.#hidden()) timer = window.setTimeout(close, HIDDEN_MS);
      else if (!events || events.readyState === EventSource.CLOSED) open();
    };
    document.addEventListener("visibilitychange", seen);
    open();
    return () => {
      document.removeEventListener("visibilitychange", seen);
      close();
    };
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

  imageUrl(run: string, tag: string, index: number): string {
    return address("image", { run, tag, index });
  }

  series(run: string, kind: TensorsKind, tag: string, start: number, signal?: AbortSignal): Promise<Tensors> {
    return this.#series(kind, run, tag, start, signal);
  }

  async text(run: string, tag: string, index: number, signal?: AbortSignal): Promise<LoggedText> {
    const response = await get(address("text", { run, tag, index }), signal);
    return { text: await response.text(), bytes: Number(response.headers.get("x-bytes")) };
  }

  textUrl(run: string, tag: string, index: number): string {
    return address("text", { run, tag, index, whole: 1 });
  }

  audioUrl(run: string, tag: string, index: number): string {
    return address("audio", { run, tag, index });
  }

  async mesh(run: string, tag: string, index: number, item: number, signal?: AbortSignal): Promise<Tensors> {
    const response = await get(address("mesh", { run, tag, index, item }), signal);
    return parseSafetensors(await response.arrayBuffer());
  }

  async hparams(signal?: AbortSignal): Promise<HParams> {
    return (await (await get("api/hparams", signal)).json()) as HParams;
  }

  async layout(run: string, signal?: AbortSignal): Promise<Layout> {
    return (await (await get(address("layout", { run }), signal)).json()) as Layout;
  }

  async graph(run: string, index: number, signal?: AbortSignal): Promise<GraphAnswer> {
    return (await (await get(address("graph", { run, index }), signal)).json()) as GraphAnswer;
  }

  async record(run: string, id: string, signal?: AbortSignal): Promise<RecordMeta> {
    return (await (await get(address("record", { run, id }), signal)).json()) as RecordMeta;
  }

  async arrays(
    run: string,
    id: string,
    names: readonly string[],
    signal?: AbortSignal,
    rows?: readonly [start: number, stop: number],
  ): Promise<Tensors> {
    const part = rows ? { rows: rows.join(":") } : {};
    const response = await get(address("arrays", { run, id, names: names.join(","), ...part }), signal);
    return parseSafetensors(await response.arrayBuffer());
  }

  pictureUrl(run: string, id: string, file: string): string {
    return address("picture", { run, id, file });
  }

  async #series(
    kind: string,
    run: string,
    tag: string,
    start: number,
    signal?: AbortSignal,
  ): Promise<Tensors> {
    const response = await get(address("series", { run, kind, tag, start }), signal);
    return parseSafetensors(await response.arrayBuffer());
  }
}
