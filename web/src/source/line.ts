// A line to whoever answers: questions with a number go out, answers with the same number come back, in any order.
import { type Json, SourceError } from "./source";

export interface Answered {
  readonly value: unknown;
  readonly data?: ArrayBuffer;
}

export interface Line {
  /** Ask; the answer is a value, bytes or both. Fails with the sentence that was answered. */
  ask(question: Readonly<Record<string, Json>>, signal?: AbortSignal): Promise<Answered>;
  /** Call back at every change of what is there; returns the way to stop. */
  watch(changed: (version: number) => void): () => void;
}

/** What comes over the line: an answer, or news. */
export interface Heard {
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: string;
  readonly data?: ArrayBuffer;
  /** There is something new: the number of what is there now. */
  readonly version?: number;
}

interface Waiting {
  readonly resolve: (answer: Answered) => void;
  readonly reject: (reason: unknown) => void;
}

/** A line over a port whose other end passes on what it is told. */
export class PortLine implements Line {
  readonly #waiting = new Map<number, Waiting>();
  readonly #watching = new Set<(version: number) => void>();
  #last = 0;

  constructor(private readonly port: MessagePort) {
    port.addEventListener("message", (event: MessageEvent<Heard>) => this.#hear(event.data));
    port.start();
  }

  ask(question: Readonly<Record<string, Json>>, signal?: AbortSignal): Promise<Answered> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const id = ++this.#last;
      const gone = (): void => {
        this.#waiting.delete(id);
        reject(signal?.reason);
      };
      const over = (): void => signal?.removeEventListener("abort", gone);
      this.#waiting.set(id, {
        resolve: (answer) => {
          over();
          resolve(answer);
        },
        reject: (reason) => {
          over();
          reject(reason);
        },
      });
      signal?.addEventListener("abort", gone, { once: true });
      this.port.postMessage({ ...question, id });
    });
  }

  watch(changed: (version: number) => void): () => void {
    if (!this.#watching.size) this.port.postMessage({ watch: true });
    this.#watching.add(changed);
    return () => {
      this.#watching.delete(changed);
      if (!this.#watching.size) this.port.postMessage({ watch: false });
    };
  }

  #hear({ id, value, error, data, version }: Heard): void {
    if (version !== undefined) for (const changed of this.#watching) changed(version);
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || !waiting) return; // nobody wants it any more
    this.#waiting.delete(id);
    if (error !== undefined) waiting.reject(new SourceError(error));
    else waiting.resolve(data ? { value, data } : { value });
  }
}
