// Asks for one thing at a time: a new question aborts the one before.
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
