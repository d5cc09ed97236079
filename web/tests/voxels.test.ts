import { describe, expect, it } from "vitest";
import type { Scale } from "../src/lib/maps";
import { npyOf, nrrdOf } from "../src/lib/volumefiles";
import {
  cameraOf,
  cameraText,
  clipOf,
  clipText,
  HOME,
  planeChange,
  planesOf,
  positionOf,
  windowOf,
} from "../src/lib/volumelook";
import {
  arrange,
  byteOf,
  clipped,
  colourValue,
  countBytes,
  histogram,
  inPieces,
  lookup,
  quantiles,
  sliceOf,
  toBytes,
  type VolumeArrays,
} from "../src/lib/voxels";

const volume: VolumeArrays = {
  data: Uint8Array.from({ length: 2 * 3 * 4 }, (_, i) => i * 11),
  channels: 2,
  height: 3,
  width: 4,
  scale: Float32Array.of(-1, 1, 0, 2),
};
const counts = countBytes(volume);
const signed: Scale = { low: -2, high: 2, signed: true };
const layer: Scale = { low: -1, high: 2, signed: false };

describe("scales of a volume", () => {
  it("put zero in the middle where they are signed", () => {
    expect([-2, 0, 2].map((value) => byteOf(value, signed))).toEqual([1, 128, 255]);
    for (const byte of [1, 64, 128, 200, 255]) expect(byteOf(colourValue(byte, signed), signed)).toBe(byte);
    expect(colourValue(128, signed)).toBe(0);
  });

  it("count every voxel once, clipped ones at the ends", () => {
    for (const scale of [signed, layer, { low: 0, high: 0.5, signed: false }])
      for (const own of [false, true]) {
        const bins = histogram(volume, counts, { own, scale });
        expect(bins.reduce((a, b) => a + b)).toBeCloseTo(24, 9);
      }
    expect(clipped(volume, counts, { own: false, scale: layer })).toEqual([0, 0]);
    const [below, above] = clipped(volume, counts, { own: false, scale: { low: 0, high: 1, signed: false } });
    const values = [...volume.data].map((byte, p) => (p < 12 ? -1 : 0) + (byte * 2) / 255);
    expect(below).toBeCloseTo(values.filter((value) => value < -0.004).length / 24, 9);
    expect(above).toBeCloseTo(values.filter((value) => value > 1.004).length / 24, 9);
  });

  it("end at percentiles", () => {
    const [low, high] = quantiles(volume, counts, [0, 1]);
    expect(low).toBe(-1);
    expect(high).toBeCloseTo((2 * 253) / 255, 2);
  });

  it("arrange the same in pieces as at once", () => {
    const shown = { own: false, scale: layer };
    const whole = arrange(volume, [1, 0], shown).data;
    const bytes = new Uint8Array(24);
    arrange(volume, [1, 0], shown, bytes, 0, 1);
    arrange(volume, [1, 0], shown, bytes, 1, 2);
    expect([...bytes]).toEqual([...whole]);
    expect(lookup(volume, 0, shown)[255]).toBe(byteOf(1, layer));
  });

  it("make bytes of half floats on each channel's scale", () => {
    const values = Float32Array.of(-1, 0, 1, 0, 1, 2);
    expect([...toBytes(values, Float32Array.of(-1, 1, 0, 2))]).toEqual([0, 128, 255, 0, 128, 255]);
  });
});

describe("slices", () => {
  it("cut through places, rows and columns", () => {
    const at = (c: number, y: number, x: number): number => volume.data[(c * 3 + y) * 4 + x];
    const map = sliceOf(volume, "channel", 1);
    expect([map.height, map.width, map.data[1 * 4 + 2]]).toEqual([3, 4, at(1, 1, 2)]);
    const row = sliceOf(volume, "row", 2);
    expect([row.height, row.width, row.data[1 * 4 + 3]]).toEqual([2, 4, at(1, 2, 3)]);
    const column = sliceOf(volume, "column", 3);
    expect([column.height, column.width, column.data[1 * 3 + 0]]).toEqual([2, 3, at(1, 0, 3)]);
  });
});

describe("work in pieces", () => {
  it("is done at once where it is little, and covers everything once", async () => {
    const seen: number[] = [];
    const work = (from: number, to: number): void => {
      for (let i = from; i < to; i++) seen.push(i);
    };
    const { signal } = new AbortController();
    expect(inPieces(10, 3, work, signal)).toBeUndefined();
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("stops when it is given up", async () => {
    const controller = new AbortController();
    const slow = (): void => {
      const end = performance.now() + 15;
      while (performance.now() < end);
    };
    const later = inPieces(100, 1, slow, controller.signal);
    controller.abort(new Error("given up"));
    await expect(later).rejects.toThrow("given up");
  });
});

describe("the address of a volume", () => {
  const route = (params: Record<string, string>) => ({ view: "volume", params });

  it("keeps a camera, and leaves out the first one", () => {
    expect(cameraText(HOME)).toBeNull();
    const cam = cameraText({ yaw: 7, pitch: -0.5, distance: 2, target: [0, 0, 0] }) ?? "";
    expect(cam).toBe("0.72,-0.5,2");
    expect(cameraText(cameraOf(route({ cam })))).toBe(cam);
    expect(cameraText({ ...HOME, target: [0.1, 0, -0.2] })).toBe("0.62,0.36,2.75,0.1,0,-0.2");
    for (const wrong of ["", "1,2", "a,b,c", "1,2,3,4"]) expect(cameraOf(route({ cam: wrong }))).toBe(HOME);
  });

  it("keeps a clipping box within the volume", () => {
    const sides = [4, 5, 6] as const;
    expect(clipOf(route({ box: "1-2,0-99,3-3" }), sides)).toEqual([1, 2, 0, 4, 3, 3]);
    expect(clipOf(route({ box: "3-1,x,9-9" }), sides)).toEqual([0, 3, 0, 4, 0, 5]);
    expect(clipText([0, 3, 0, 4, 0, 5], sides)).toBeNull();
    expect(clipText([0, 3, 1, 4, 0, 5], sides)).toBe("0-3,1-4,0-5");
  });

  it("keeps a place, planes and a window", () => {
    expect(positionOf(route({ ch: "2", pos: "1,3" }), 3, 2, 4)).toEqual({
      place: 2,
      row: 1,
      column: 3,
      note: "",
    });
    expect(positionOf(route({ pos: "7,0" }), 3, 2, 4).note).toContain("No position “7,0”");
    expect([...planesOf(route({}), "composite")]).toEqual([]);
    expect([...planesOf(route({}), "slices")]).toEqual(["x", "y", "z"]);
    expect(planeChange(route({}), "slices", "y", false)).toEqual({ planes: "xz" });
    expect(planeChange(route({ planes: "xz" }), "slices", "y", true)).toEqual({ planes: null });
    expect(planeChange(route({ planes: "z" }), "slices", "z", false)).toEqual({ planes: "none" });
    expect(windowOf(route({ win: "-1.5,2" }))).toEqual([-1.5, 2]);
    for (const win of ["2,1", "1", "a,b", ",1", "1,Infinity"]) expect(windowOf(route({ win }))).toBeNull();
  });
});

describe("files", () => {
  it("are NPY as NumPy reads it, and NRRD with the fastest axis first", async () => {
    const values = Float32Array.from({ length: 24 }, (_, i) => i / 7);
    const npy = new Uint8Array(await npyOf(values, [2, 3, 4]).arrayBuffer());
    const header = npy[8] + 256 * npy[9];
    expect((10 + header) % 64).toBe(0);
    expect(new TextDecoder().decode(npy.subarray(10, 10 + header))).toContain("'shape': (2, 3, 4)");
    expect([...new Float32Array(npy.buffer.slice(10 + header))]).toEqual([...values]);
    const nrrd = new TextDecoder("latin1").decode(await nrrdOf(values, [2, 3, 4]).arrayBuffer());
    expect(nrrd.slice(0, nrrd.indexOf("\n\n"))).toContain("sizes: 4 3 2");
    expect(nrrd.length - nrrd.indexOf("\n\n") - 2).toBe(96);
  });
});
