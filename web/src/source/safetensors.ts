// Reads safetensors: 8 bytes of header length, a JSON header, then the bytes of every array.
import { type NumberArray, SourceError, type Tensor, type Tensors } from "./source";

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const DECODERS: Readonly<Record<string, (bytes: ArrayBuffer) => NumberArray>> = {
  F64: (bytes) => new Float64Array(bytes),
  F32: (bytes) => new Float32Array(bytes),
  F16: (bytes) => halves(new Uint16Array(bytes)),
  I64: (bytes) => Float64Array.from(new BigInt64Array(bytes), Number),
  I32: (bytes) => new Int32Array(bytes),
  U8: (bytes) => new Uint8Array(bytes),
  BOOL: (bytes) => new Uint8Array(bytes),
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
  const data = decoder(buffer.slice(start + from, start + to));
  const size = entry.shape.reduce((product, n) => product * n, 1);
  if (data.length !== size) {
    throw new SourceError(`safetensors: array ${name} has ${data.length} numbers, its shape wants ${size}`);
  }
  return { shape: entry.shape, data };
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
