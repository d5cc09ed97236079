// Reads safetensors: 8 bytes of header length, a JSON header, then the bytes of every array.
import { type NumberArray, SourceError, type Tensor, type Tensors } from "./source";

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** What the bytes of an array of each type are as numbers, `length` of them from `start` on, copied only where they must. */
const DECODERS: Readonly<
  Record<
    string,
    readonly [bytes: number, (buffer: ArrayBuffer, start: number, length: number) => NumberArray]
  >
> = {
  F64: [8, (...part) => new Float64Array(...part)],
  F32: [4, (...part) => new Float32Array(...part)],
  F16: [2, (...part) => halves(new Uint16Array(...part))],
  I64: [8, (buffer, start, length) => whole(new Int32Array(buffer, start, 2 * length))],
  I32: [4, (...part) => new Int32Array(...part)],
  U8: [1, (...part) => new Uint8Array(...part)],
  BOOL: [1, (...part) => new Uint8Array(...part)],
};

/** Return the arrays in `buffer`; 64-bit integers become doubles, half floats become single ones. */
export function parseSafetensors(buffer: ArrayBuffer): Tensors {
  if (buffer.byteLength < 8) throw new SourceError(`safetensors: ${buffer.byteLength} bytes hold no header`);
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  if (length > buffer.byteLength - 8) {
    throw new SourceError(`safetensors: a header of ${length} bytes in an answer of ${buffer.byteLength}`);
  }
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length))) as Record<
    string,
    Entry
  >;
  const arrays: Record<string, Tensor> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name !== "__metadata__") arrays[name] = decode(name, entry, buffer, 8 + length);
  }
  return arrays;
}

function decode(name: string, entry: Entry, buffer: ArrayBuffer, start: number): Tensor {
  const decoder = DECODERS[entry.dtype];
  if (!decoder) throw new SourceError(`safetensors: array ${name} has the unknown type ${entry.dtype}`);
  const [from, to] = entry.data_offsets;
  if (start + to > buffer.byteLength) throw new SourceError(`safetensors: array ${name} is cut short`);
  const [bytes, numbers] = decoder;
  const size = entry.shape.reduce((product, n) => product * n, 1);
  if (to - from !== size * bytes) {
    throw new SourceError(
      `safetensors: array ${name} has ${(to - from) / bytes} numbers, its shape wants ${size}`,
    );
  }
  const aligned = (start + from) % bytes === 0;
  const data = aligned
    ? numbers(buffer, start + from, size)
    : numbers(buffer.slice(start + from, start + to), 0, size);
  return { shape: entry.shape, data };
}

/** 64-bit integers, which come as their low and their high half. */
function whole(halves: Int32Array): Float64Array {
  const numbers = new Float64Array(halves.length / 2);
  for (let i = 0; i < numbers.length; i++) numbers[i] = (halves[2 * i] >>> 0) + halves[2 * i + 1] * 2 ** 32;
  return numbers;
}

function halves(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, half);
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
