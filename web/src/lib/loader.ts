// Asks for one thing at a time: a new question aborts the one before.
import type { RecordInfo } from "../source/source";
import { isAbort } from "./frame";

export class Loader {
  #controller = new AbortController();
  #key = "";

  /** Whether `key` differs from the last one; remembers it. */
  isNew(key: string): boolean {
    if (key === this.#key) return false;
    this.#key = key;
    return true;
  }

  /** Run `work`; `done` or `failed` is called unless a later run or `stop` came first. */
  run<T>(
    work: (signal: AbortSignal) => Promise<T>,
    done: (value: T) => void,
    failed: (error: unknown) => void,
  ): void {
    this.#controller.abort();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    work(signal).then(
      (value) => {
        if (!signal.aborted) done(value);
      },
      (error: unknown) => {
        if (!signal.aborted && !isAbort(error)) {
          this.#key = "";
          failed(error);
        }
      },
    );
  }

  stop(): void {
    this.#controller.abort();
    this.#key = "";
  }
}

/** The data of a record together with where it came from, so that neither is shown without the other. */
export interface Loaded<T> {
  readonly run: string;
  readonly record: Pick<RecordInfo, "id" | "tag">;
  readonly data: T;
}

export interface LoadEvents<T> {
  /** Fetch the record; `before` is what stays on screen meanwhile. */
  readonly fetch: (signal: AbortSignal, before: Loaded<T> | undefined) => Promise<T>;
  /** Nothing may be shown until the answer is here. */
  readonly waiting: () => void;
  /** Draw `loaded`; `fresh`: it has just arrived, `replaced`: it follows another record of the same run and tag. */
  readonly paint: (loaded: Loaded<T>, fresh: boolean, replaced: boolean) => void;
  readonly failed: (error: unknown) => void;
}

/** Loads one record at a time; what was loaded stays while a later record of the same run and tag is on its way. */
export class RecordLoader<T> {
  readonly #loader = new Loader();
  #loaded: Loaded<T> | undefined;

  /** What may be on the page: of the run and tag that were asked for last. */
  get loaded(): Loaded<T> | undefined {
    return this.#loaded;
  }

  ask(run: string, record: Loaded<T>["record"], events: LoadEvents<T>): void {
    if (!this.#loader.isNew(`${run}/${record.id}`)) {
      if (this.#loaded) events.paint(this.#loaded, false, false);
      return;
    }
    if (this.#loaded?.run !== run || this.#loaded.record.tag !== record.tag) this.#loaded = undefined;
    const before = this.#loaded;
    if (!before) events.waiting();
    this.#loader.run(
      (signal) => events.fetch(signal, before),
      (data) => {
        this.#loaded = { run, record, data };
        events.paint(this.#loaded, true, before !== undefined);
      },
      (error) => {
        this.#loaded = undefined;
        events.failed(error);
      },
    );
  }

  stop(): void {
    this.#loader.stop();
    this.#loaded = undefined;
  }
}
