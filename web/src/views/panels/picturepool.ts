// Fetches pictures: a few at a time, what is on screen first, the least recently used forgotten.

const MOST_BYTES = 48 << 20;
const PARALLEL = 6;

interface Job {
  readonly key: string;
  readonly url: string;
  /** How many still want it; none: it is dropped before it is asked for. */
  wanted: number;
  readonly promise: Promise<Blob>;
  readonly resolve: (blob: Blob) => void;
  readonly reject: (error: unknown) => void;
}

export type Fetch = (url: string, signal: AbortSignal) => Promise<Blob>;

async function fetched(url: string, signal: AbortSignal): Promise<Blob> {
  const response = await fetch(url, { signal });
  if (!response.ok)
    throw new Error(`this picture could not be loaded (the server answered ${response.status})`);
  return response.blob();
}

export class PicturePool {
  readonly #blobs = new Map<string, Blob>();
  readonly #jobs = new Map<string, Job>();
  readonly #running = new Set<Job>();
  readonly #controller = new AbortController();
  #queue: Job[] = [];
  #spare: Job[] = [];
  #bytes = 0;

  constructor(
    private readonly fetch: Fetch = fetched,
    private readonly most = MOST_BYTES,
  ) {}

  /** How many bytes are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The bytes behind `url`. `key` names them: the same address may have other bytes when a run begins anew. */
  get(key: string, url: string, signal: AbortSignal): Promise<Blob> {
    return this.#ask(key, url, signal, false);
  }

  /** Fetch it when there is nothing more urgent to do. */
  prefetch(key: string, url: string, signal: AbortSignal): void {
    if (this.#blobs.has(key) || this.#jobs.has(key)) return;
    this.#ask(key, url, signal, true).catch(() => {}); // whoever needs it asks again and is told
  }

  destroy(): void {
    this.#controller.abort();
    for (const job of this.#jobs.values()) job.reject(aborted());
    this.#jobs.clear();
    this.#queue = [];
    this.#spare = [];
    this.#blobs.clear();
    this.#bytes = 0;
  }

  #ask(key: string, url: string, signal: AbortSignal, spare: boolean): Promise<Blob> {
    const known = this.#blobs.get(key);
    if (known) {
      this.#keep(key, known);
      return Promise.resolve(known);
    }
    const job = this.#jobs.get(key) ?? this.#make(key, url);
    job.wanted++;
    if (!spare) this.#spare = this.#spare.filter((other) => other !== job);
    const queue = spare ? this.#spare : this.#queue;
    if (!queue.includes(job) && !this.#running.has(job)) queue.push(job);
    signal.addEventListener("abort", () => job.wanted--, { once: true });
    this.#next();
    return job.promise;
  }

  #make(key: string, url: string): Job {
    let resolve!: Job["resolve"];
    let reject!: Job["reject"];
    const promise = new Promise<Blob>((done, failed) => {
      resolve = done;
      reject = failed;
    });
    const job = { key, url, wanted: 0, promise, resolve, reject };
    this.#jobs.set(key, job);
    return job;
  }

  #next(): void {
    while (this.#running.size < PARALLEL) {
      const job = this.#queue.shift() ?? this.#spare.shift();
      if (!job) return;
      if (job.wanted > 0) void this.#run(job);
      else this.#drop(job);
    }
  }

  #drop(job: Job): void {
    this.#jobs.delete(job.key);
    job.promise.catch(() => {});
    job.reject(aborted());
  }

  async #run(job: Job): Promise<void> {
    this.#running.add(job);
    try {
      const blob = await this.fetch(job.url, this.#controller.signal);
      if (this.#controller.signal.aborted) throw aborted();
      this.#keep(job.key, blob);
      job.resolve(blob);
    } catch (error) {
      job.promise.catch(() => {});
      job.reject(error);
    } finally {
      this.#running.delete(job);
      this.#jobs.delete(job.key);
      this.#next();
    }
  }

  #keep(key: string, blob: Blob): void {
    if (!this.#blobs.delete(key)) this.#bytes += blob.size;
    this.#blobs.set(key, blob);
    for (const [oldest, old] of this.#blobs) {
      if (this.#bytes <= this.most || oldest === key) break;
      this.#blobs.delete(oldest);
      this.#bytes -= old.size;
    }
  }
}

const aborted = (): DOMException => new DOMException("it is not on screen any more", "AbortError");
