import { describe, expect, it } from "vitest";
import { parseSafetensors } from "../src/source/safetensors";

function file(header: unknown, bytes: Uint8Array): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + bytes.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(bytes, 8 + text.length);
  return out.buffer;
}

const one = (dtype: string, shape: number[], data: ArrayBufferView): ArrayBuffer => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return file({ a: { dtype, shape, data_offsets: [0, bytes.length] } }, bytes);
};

describe("parseSafetensors", () => {
  it("reads numbers of every kind the server sends", () => {
    expect([...parseSafetensors(one("F32", [2], Float32Array.of(1.5, -2))).a.data]).toEqual([1.5, -2]);
    expect([...parseSafetensors(one("F64", [1], Float64Array.of(Math.PI))).a.data]).toEqual([Math.PI]);
    expect([...parseSafetensors(one("I64", [2], BigInt64Array.of(-1n, 2n ** 40n))).a.data]).toEqual([
      -1,
      2 ** 40,
    ]);
    expect([...parseSafetensors(one("I32", [1], Int32Array.of(-7))).a.data]).toEqual([-7]);
    expect([...parseSafetensors(one("U8", [1, 3], Uint8Array.of(0, 128, 255))).a.data]).toEqual([
      0, 128, 255,
    ]);
  });

  it("decodes half floats: normal, subnormal, infinite, NaN", () => {
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00, 0x3555);
    const { data } = parseSafetensors(one("F16", [6], bits)).a;
    expect(data[0]).toBe(1);
    expect(data[1]).toBe(-2);
    expect(data[2]).toBeCloseTo(2 ** -24, 12);
    expect(data[3]).toBe(Number.POSITIVE_INFINITY);
    expect(data[4]).toBeNaN();
    expect(data[5]).toBeCloseTo(1 / 3, 3);
  });

  it("reads arrays that lie at odd places", () => {
    const bytes = new Uint8Array(9);
    bytes.set(new Uint8Array(Float64Array.of(42).buffer), 1);
    const header = {
      a: { dtype: "U8", shape: [1], data_offsets: [0, 1] },
      b: { dtype: "F64", shape: [1], data_offsets: [1, 9] },
    };
    expect(parseSafetensors(file(header, bytes)).b.data[0]).toBe(42);
  });

  it("ignores metadata", () => {
    expect(parseSafetensors(file({ __metadata__: { format: "pt" } }, new Uint8Array()))).toEqual({});
  });

  it("refuses what is damaged and says why", () => {
    expect(() => parseSafetensors(new ArrayBuffer(3))).toThrow(/3 bytes/);
    expect(() => parseSafetensors(one("Q4", [1], Uint8Array.of(1)))).toThrow(/Q4/);
    expect(() => parseSafetensors(one("F32", [3], Float32Array.of(1, 2)))).toThrow(/2 numbers/);
    expect(() => parseSafetensors(one("F32", [2], Float32Array.of(1, 2)).slice(0, -1))).toThrow(/cut short/);
    const lying = one("U8", [1], Uint8Array.of(1));
    new DataView(lying).setBigUint64(0, 2n ** 40n, true);
    expect(() => parseSafetensors(lying)).toThrow(/header of/);
  });
});
