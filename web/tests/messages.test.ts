// Questions over a line: answers in any order, errors as sentences, nothing kept of what nobody waits for.
import { afterEach, describe, expect, it, vi } from "vitest";
import { PortLine } from "../src/source/line";
import { MessageSource } from "../src/source/messages";
import type { Json } from "../src/source/source";

type Question = Record<string, Json> & { id?: number; ask?: string };

/** A line whose other end is in the hands of the test. */
function open(): { line: PortLine; asked: Question[]; answer: (message: object) => void } {
  const asked: Question[] = [];
  const listeners: ((event: MessageEvent) => void)[] = [];
  const port = {
    addEventListener: (_: string, listener: (event: MessageEvent) => void) => listeners.push(listener),
    start: () => undefined,
    postMessage: (question: Question) => asked.push(question),
  };
  return {
    line: new PortLine(port as unknown as MessagePort),
    asked,
    answer: (data) => {
      for (const listener of listeners) listener({ data } as MessageEvent);
    },
  };
}

/** A safetensors file with one array of whole numbers. */
function tensors(name: string, numbers: readonly number[]): ArrayBuffer {
  const data = new Int32Array(numbers);
  const header = { [name]: { dtype: "I32", shape: [data.length], data_offsets: [0, data.byteLength] } };
  const text = new TextEncoder().encode(JSON.stringify(header).padEnd(128));
  const file = new Uint8Array(8 + text.length + data.byteLength);
  new DataView(file.buffer).setUint32(0, text.length, true);
  file.set(text, 8);
  file.set(new Uint8Array(data.buffer), 8 + text.length);
  return file.buffer;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a line", () => {
  it("gives each question its own answer, in whatever order they come", async () => {
    const { line, asked, answer } = open();
    const [first, second] = [line.ask({ ask: "a" }), line.ask({ ask: "b" })];
    answer({ id: asked[1].id, value: "second" });
    answer({ id: asked[1].id, value: "again" });
    answer({ id: asked[0].id, value: "first" });
    answer({ id: 999, value: "nobody's" });
    answer({});
    expect([(await first).value, (await second).value]).toEqual(["first", "second"]);
  });

  it("fails with the sentence that was answered, and when it is given up", async () => {
    const { line, asked, answer } = open();
    const wrong = line.ask({ ask: "a" });
    answer({ id: asked[0].id, error: "no run 'x'; there are: y" });
    await expect(wrong).rejects.toThrow("no run 'x'; there are: y");
    const controller = new AbortController();
    const given = line.ask({ ask: "b" }, controller.signal);
    controller.abort();
    await expect(given).rejects.toThrow("abort");
    answer({ id: asked[1].id, value: 1 });
    await expect(line.ask({ ask: "c" }, controller.signal)).rejects.toThrow("abort");
    expect(asked.length).toBe(2);
  });

  it("watches while somebody wants the news", () => {
    const { line, asked, answer } = open();
    const heard: number[] = [];
    const [stop, stopToo] = [line.watch((version) => heard.push(version)), line.watch(() => undefined)];
    answer({ version: 3 });
    stop();
    answer({ version: 4 });
    stopToo();
    expect(heard).toEqual([3]);
    expect(asked).toEqual([{ watch: true }, { watch: false }]);
  });
});

describe("the source of messages", () => {
  it("asks for rows, and reads the bytes that come", async () => {
    const { line, asked, answer } = open();
    const arrays = new MessageSource(line).arrays("r", "1", ["order"], undefined, [4, 7]);
    expect(asked[0]).toMatchObject({ ask: "arrays", run: "r", record: "1", names: ["order"], rows: [4, 7] });
    answer({ id: asked[0].id, value: null, data: tensors("order", [4, 5, 6]) });
    expect(Array.from((await arrays).order.data)).toEqual([4, 5, 6]);
    const empty = new MessageSource(line).mesh("r", "t", 0, 0);
    answer({ id: asked[1].id, value: null });
    await expect(empty).rejects.toThrow("has no numbers");
  });

  it("asks for a picture once, and again after a failure", async () => {
    const made: Blob[] = [];
    vi.stubGlobal("URL", { createObjectURL: (blob: Blob) => `blob:${made.push(blob)}` });
    const { line, asked, answer } = open();
    const source = new MessageSource(line);
    const failed = source.pictureUrl("r", "1", "a.webp");
    answer({ id: asked[0].id, error: "gone" });
    await expect(failed).rejects.toThrow("gone");
    const [one, two] = [source.pictureUrl("r", "1", "a.webp"), source.pictureUrl("r", "1", "a.webp")];
    expect(asked.length).toBe(2);
    answer({ id: asked[1].id, value: { type: "image/webp" }, data: new ArrayBuffer(3) });
    expect([await one, await two]).toEqual(["blob:1", "blob:1"]);
    expect([made[0].type, made[0].size]).toEqual(["image/webp", 3]);
  });

  it("takes the index by increments", async () => {
    const { line, asked, answer } = open();
    const source = new MessageSource(line);
    const run = { name: "r", last_wall_time: null, series: {}, records: [], problems: [] };
    const first = source.index();
    answer({ id: asked[0].id, value: { logdir: "d", version: 5, whole: true, names: ["r"], runs: [run] } });
    expect((await first).runs.map(({ name }) => name)).toEqual(["r"]);
    const second = source.index();
    expect(asked[1]).toMatchObject({ ask: "changes", since: 5 });
    answer({ id: asked[1].id, value: { logdir: "d", version: 6, whole: false, runs: [] } });
    expect((await second).version).toBe(6);
  });
});
