// Coded video frames as a WebM file (Matroska, RFC 9559), each with the time it is shown at: no clock takes part.

export interface CodedFrame {
  readonly data: Uint8Array;
  /** Milliseconds from the start. */
  readonly time: number;
  readonly key: boolean;
}

export interface WebmTrack {
  readonly codec: "V_VP8" | "V_VP9";
  readonly width: number;
  readonly height: number;
  /** Milliseconds in all. */
  readonly duration: number;
}

/** Times inside a cluster are 16-bit. */
const LONGEST_CLUSTER = 30_000;
const WRITER = "convscope";

type Content = Uint8Array | readonly Uint8Array[];

/** An element: its identity, its length as eight bytes, its content. */
function element(id: number, content: Content): Uint8Array {
  const parts = content instanceof Uint8Array ? [content] : content;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const name = unsigned(id);
  const bytes = new Uint8Array(name.length + 8 + length);
  bytes.set(name);
  new DataView(bytes.buffer).setBigUint64(name.length, BigInt(length) | (1n << 56n));
  let at = name.length + 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A number in as few bytes as it takes, the most significant first. */
function unsigned(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.unshift(rest % 256);
    rest = Math.floor(rest / 256);
  } while (rest > 0);
  return Uint8Array.from(bytes);
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function double(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

const header = (): Uint8Array =>
  element(0x1a45dfa3, [
    element(0x4286, unsigned(1)),
    element(0x42f7, unsigned(1)),
    element(0x42f2, unsigned(4)),
    element(0x42f3, unsigned(8)),
    element(0x4282, text("webm")),
    element(0x4287, unsigned(2)),
    element(0x4285, unsigned(2)),
  ]);

/** Times are in milliseconds: a million nanoseconds. */
const info = ({ duration }: WebmTrack): Uint8Array =>
  element(0x1549a966, [
    element(0x2ad7b1, unsigned(1_000_000)),
    element(0x4489, double(duration)),
    element(0x4d80, text(WRITER)),
    element(0x5741, text(WRITER)),
  ]);

const tracks = ({ codec, width, height }: WebmTrack): Uint8Array => {
  const size = element(0xe0, [element(0xb0, unsigned(width)), element(0xba, unsigned(height))]);
  const numbers = [0xd7, 0x73c5, 0x83].map((id) => element(id, unsigned(1)));
  return element(0x1654ae6b, element(0xae, [...numbers, element(0x86, text(codec)), size]));
};

function block({ data, time, key }: CodedFrame, start: number): Uint8Array {
  const head = new Uint8Array(4);
  head[0] = 0x81;
  new DataView(head.buffer).setInt16(1, time - start);
  head[3] = key ? 0x80 : 0;
  return element(0xa3, [head, data]);
}

/** Frames by cluster: each begins with one that needs no other. */
function clusters(frames: readonly CodedFrame[]): Uint8Array[] {
  const groups: CodedFrame[][] = [];
  for (const frame of frames) {
    const last = groups[groups.length - 1];
    if (!last || frame.key || frame.time - last[0].time > LONGEST_CLUSTER) groups.push([frame]);
    else last.push(frame);
  }
  return groups.map((group) => {
    const start = Math.round(group[0].time);
    const blocks = group.map((frame) => block({ ...frame, time: Math.round(frame.time) }, start));
    return element(0x1f43b675, [element(0xe7, unsigned(start)), ...blocks]);
  });
}

export function webm(track: WebmTrack, frames: readonly CodedFrame[]): Uint8Array {
  if (!frames.length) throw new Error("a film needs at least one frame");
  const segment = element(0x18538067, [info(track), tracks(track), ...clusters(frames)]);
  const head = header();
  const bytes = new Uint8Array(head.length + segment.length);
  bytes.set(head);
  bytes.set(segment, head.length);
  return bytes;
}
