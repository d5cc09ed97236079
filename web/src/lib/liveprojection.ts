// What a projection that forms sends and takes: a stream of frames, each a length and JSON, a length and positions.
import type { Json, LiveFrame, LiveStatus } from "../source/source";
import { scaleToFit } from "./frames";

/** What the largest 16-bit position stands for is the end of its range. */
const HIGHEST = 65535;
/** No status is longer; a stream that says so is none of ours. */
const LONGEST = 1 << 16;
const MOST_BYTES = 6 << 20;

interface Told extends LiveStatus {
  /** (d, 2): what 0 and 65535 stand for, where positions follow. */
  readonly ranges?: readonly (readonly [low: number, high: number])[];
}

/** Positions as a map takes them (x, y and z of every point, scaled to fit) from those that were sent. */
export function positionsOf(data: Uint8Array, ranges: readonly (readonly number[])[]): Float32Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const dimensions = ranges.length;
  const raw = new Float32Array(data.byteLength >> 1);
  for (let i = 0; i < raw.length; i++) {
    const [low, high] = ranges[i % dimensions];
    raw[i] = low + (view.getUint16(2 * i, true) * (high - low)) / HIGHEST;
  }
  return scaleToFit(raw, dimensions);
}

/** Takes a stream piece by piece and gives the frames that are whole. */
export class FrameReader {
  #pieces: Uint8Array[] = [];
  #held = 0;
  #wanted = 4;

  push(piece: Uint8Array): LiveFrame[] {
    this.#pieces.push(piece);
    this.#held += piece.length;
    if (this.#held < this.#wanted) return []; // a large frame comes in many pieces, joined once
    let rest = joined(this.#pieces, this.#held);
    const frames: LiveFrame[] = [];
    while (rest.length >= this.#wanted) {
      this.#wanted = sizeOf(rest);
      if (rest.length < this.#wanted) break; // the next piece tells more
      frames.push(frameOf(rest));
      rest = rest.subarray(this.#wanted);
      this.#wanted = 4;
    }
    this.#pieces = [rest];
    this.#held = rest.length;
    return frames;
  }
}

/** Of the message that begins here how many bytes it has, as far as that can be told: at least so many are needed. */
function sizeOf(bytes: Uint8Array): number {
  const text = lengthAt(bytes, 0, LONGEST);
  return bytes.length < 8 + text ? 8 + text : 8 + text + lengthAt(bytes, 4 + text, MOST_BYTES);
}

function lengthAt(bytes: Uint8Array, at: number, most: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
  if (length > most) throw new Error("the server sent a projection that this page cannot read; reload it");
  return length;
}

function frameOf(bytes: Uint8Array): LiveFrame {
  const text = lengthAt(bytes, 0, LONGEST);
  const { ranges, ...status } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + text))) as Told;
  const data = bytes.subarray(8 + text, 8 + text + lengthAt(bytes, 4 + text, MOST_BYTES));
  return { ...status, points: ranges && data.length ? positionsOf(data, ranges) : null };
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Read a stream to its end and give every frame to `take`. */
export async function readFrames(
  stream: ReadableStream<Uint8Array>,
  take: (frame: LiveFrame) => void,
): Promise<void> {
  const reader = new FrameReader();
  const pieces = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) return;
      for (const frame of reader.push(value)) take(frame);
    }
  } finally {
    await pieces.cancel().catch(() => undefined);
  }
}

/** A body of JSON and the data that belongs to it: a 32-bit length, so much JSON, the data. */
export function message(told: Json | object, data: Float32Array | Uint32Array): Blob {
  const text = new TextEncoder().encode(JSON.stringify(told));
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, text.length, true);
  return new Blob([length.buffer, text, data as Float32Array<ArrayBuffer>], {
    type: "application/octet-stream",
  });
}

/** Of x, y and z of every point the first `dimensions`. */
export function flattened(points: Float32Array, dimensions: number): Float32Array {
  if (dimensions === 3) return points;
  const out = new Float32Array((points.length / 3) * dimensions);
  for (let i = 0; i < out.length; i++) out[i] = points[3 * Math.floor(i / dimensions) + (i % dimensions)];
  return out;
}
