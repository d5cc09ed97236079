import { describe, expect, it } from "vitest";
import { FrameReader, flattened, message, positionsOf, readFrames } from "../src/lib/liveprojection";
import type { LiveFrame } from "../src/source/source";

const STATUS = {
  ...{ number: 3, state: "running", iteration: 10, iterations: 20, kl: 1.5, seconds: 0.2 },
  ...{ dimensions: 2, error: "", kept: "" },
};

/** A message as the server packs it. */
function packed(told: object, values: readonly number[] = []): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(told));
  const out = new Uint8Array(8 + text.length + 2 * values.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, text.length, true);
  out.set(text, 4);
  view.setUint32(4 + text.length, 2 * values.length, true);
  values.forEach((value, i) => {
    view.setUint16(8 + text.length + 2 * i, value, true);
  });
  return out;
}

const RANGES = [
  [-2, 2],
  [5, 5],
];
const POINTS = packed({ ...STATUS, ranges: RANGES }, [0, 0, 65535, 0]);

describe("FrameReader", () => {
  it("gives the frames of a stream wherever it is cut", () => {
    const stream = Uint8Array.from([...POINTS, ...packed({ ...STATUS, state: "paused" }), ...POINTS]);
    for (let cut = 1; cut < stream.length; cut++) {
      const reader = new FrameReader();
      const frames = [
        ...reader.push(stream.slice(0, cut)),
        ...reader.push(stream.slice(cut, cut + 1)),
        ...reader.push(stream.slice(cut + 1)),
      ];
      expect(frames.map(({ state, points }) => [state, points?.length ?? 0])).toEqual([
        ["running", 6],
        ["paused", 0],
        ["running", 6],
      ]);
    }
  });

  it("refuses lengths that no server of ours sends", () => {
    const wild = Uint8Array.from([255, 255, 255, 255, 0, 0, 0, 0]);
    expect(() => new FrameReader().push(wild)).toThrow("cannot read");
    const long = packed(STATUS);
    new DataView(long.buffer).setUint32(long.length - 4, 2 ** 31, true);
    expect(() => new FrameReader().push(long)).toThrow("cannot read");
  });
});

describe("readFrames", () => {
  it("reads to the end", async () => {
    const taken: LiveFrame[] = [];
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of POINTS) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    await readFrames(stream, (frame) => taken.push(frame));
    expect(taken.map(({ iteration, kl }) => [iteration, kl])).toEqual([[10, 1.5]]);
  });
});

describe("positions", () => {
  it("are centred and scaled, flat ones with z at 0, equal ones at 0", () => {
    const data = new Uint8Array(Uint16Array.from([0, 0, 65535, 0]).buffer);
    const points = positionsOf(data, RANGES);
    expect([...points].map((one) => one + 0)).toEqual([-1, 0, 0, 1, 0, 0]);
  });

  it("are sent without z where they lie in a plane", async () => {
    const points = Float32Array.of(1, 2, 0, 3, 4, 0);
    expect([...flattened(points, 2)]).toEqual([1, 2, 3, 4]);
    expect(flattened(points, 3)).toBe(points);
    const body = message({ a: 1 }, flattened(points, 2));
    expect(body.type).toBe("application/octet-stream");
    const bytes = await body.arrayBuffer();
    const size = new DataView(bytes).getUint32(0, true);
    expect(new TextDecoder().decode(bytes.slice(4, 4 + size))).toBe('{"a":1}');
    expect([...new Float32Array(bytes.slice(4 + size))]).toEqual([1, 2, 3, 4]);
  });
});
