// Animated PNG from PNG pictures of one size (PNG specification, third edition, 11.3.2): their exact colours, no palette.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
/** What a picture must share with the first to be a frame of the same file: size, depth, colour type. */
const HEADER_BYTES = 13;
/** Zero: played again and again. */
const PLAYS = 0;

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** CRC-32 of bytes, as PNG has it. */
export function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

interface Chunk {
  readonly name: string;
  readonly data: Uint8Array;
}

/** The chunks of a PNG file. */
export function chunksOf(png: Uint8Array): Chunk[] {
  if (SIGNATURE.some((byte, i) => png[i] !== byte)) throw new Error("a frame is not a PNG picture");
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const chunks: Chunk[] = [];
  for (let at = SIGNATURE.length; at + 12 <= png.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > png.length) throw new Error("a PNG picture ends too early");
    const name = String.fromCharCode(...png.subarray(at + 4, at + 8));
    chunks.push({ name, data: png.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

function chunk(name: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(12 + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = name.charCodeAt(i);
  let at = 8;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  view.setUint32(at, crc32(bytes.subarray(4, at)));
  return bytes;
}

const uint32 = (...values: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(4 * values.length);
  values.forEach((value, i) => {
    new DataView(bytes.buffer).setUint32(4 * i, value);
  });
  return bytes;
};

/** Puts PNG pictures together as they come. */
export class Apng {
  readonly #parts: Uint8Array[] = [];
  #header: Uint8Array | undefined;
  #sequence = 0;
  #frames = 0;

  /** Add a frame, shown for `milliseconds`. */
  add(png: Uint8Array, milliseconds: number): void {
    const chunks = chunksOf(png);
    const header = chunks.find(({ name }) => name === "IHDR")?.data;
    const data = chunks.filter(({ name }) => name === "IDAT").map((one) => one.data);
    if (!header || header.length !== HEADER_BYTES || !data.length)
      throw new Error("a frame is not a whole PNG picture");
    this.#header ??= header.slice();
    if (this.#header.some((byte, i) => byte !== header[i]))
      throw new Error("the frames of an animated PNG must have one size and one form of pixels");
    this.#parts.push(this.#control(header, milliseconds));
    // The first frame is the picture that programs without animation show.
    for (const part of data)
      this.#parts.push(this.#frames ? chunk("fdAT", uint32(this.#sequence++), part) : chunk("IDAT", part));
    this.#frames++;
  }

  /** The file; it plays for ever. */
  finish(): Blob {
    if (!this.#header) throw new Error("a film needs at least one frame");
    const head = [chunk("IHDR", this.#header), chunk("acTL", uint32(this.#frames, PLAYS))];
    const parts = [Uint8Array.from(SIGNATURE), ...head, ...this.#parts, chunk("IEND")];
    return new Blob(parts as Uint8Array<ArrayBuffer>[], { type: "image/png" });
  }

  /** The frame covers the whole picture and replaces what was there. */
  #control(header: Uint8Array, milliseconds: number): Uint8Array {
    const size = header.subarray(0, 8);
    const delay = Math.max(1, Math.min(65_535, Math.round(milliseconds)));
    const rest = Uint8Array.of(delay >> 8, delay & 255, 1000 >> 8, 1000 & 255, 0, 0);
    return chunk("fcTL", uint32(this.#sequence++), size, uint32(0, 0), rest);
  }
}
