import { describe, expect, it } from "vitest";
import { complete, opacities, strength, tableOf } from "../src/gl/volumelook";
import { Pace } from "../src/gl/volumepace";
import { pickAlong, type Seen } from "../src/gl/volumepick";
import { cornersOf, extentOf, type Ray, strideOf, tickStep } from "../src/gl/volumespace";
import { boundsOf, halfValues, rangesOf, shrunk } from "../src/gl/volumetexture";
import type { Look, SceneVoxels } from "../src/gl/volumetypes";

const transfer = Uint8Array.from({ length: 1024 }, (_, i) => i >> 2);
const look = (more: Partial<Look>) => complete({ mode: "maximum", transfer, ...more });

/** Four channels of three rows and five columns, all 0 but for some voxels [channel, row, column, byte]. */
function volume(...voxels: readonly (readonly [number, number, number, number])[]): SceneVoxels {
  const data = new Uint8Array(4 * 3 * 5);
  for (const [channel, row, column, byte] of voxels) data[(channel * 3 + row) * 5 + column] = byte;
  return { data, channels: 4, height: 3, width: 5 };
}

const seen = (voxels: SceneVoxels, more: Partial<Look>, slices = {}): Seen => {
  const [low, high] = cornersOf(null, [5, 3, 4]);
  return { voxels, look: look({ sampling: "voxels", ...more }), extent: extentOf(voxels), low, high, slices };
};

/** Looks straight along the channels at the middle of a row and a column. */
const ray = (row: number, column: number): Ray => ({
  eye: [(column + 0.5) / 5, (row + 0.5) / 3, -1],
  along: [0, 0, 1],
});

describe("picking", () => {
  const two = volume([0, 2, 4, 90], [2, 2, 4, 200]);

  it("follows the rule of the picture", () => {
    expect(pickAlong(ray(2, 4), seen(two, {}))).toEqual({ channel: 2, row: 2, column: 4 });
    const iso = seen(two, { mode: "iso", iso: 0.3 });
    expect(pickAlong(ray(2, 4), iso)).toEqual({ channel: 0, row: 2, column: 4 });
    expect(pickAlong(ray(0, 0), seen(two, {}))).toBeNull();
    expect(pickAlong(ray(0, 0), seen(two, {}, { z: 3 }))).toEqual({ channel: 3, row: 0, column: 0 });
    const behind = seen(two, {}, { z: 1 });
    expect(pickAlong(ray(2, 4), behind)).toEqual({ channel: 0, row: 2, column: 4 });
    expect(pickAlong({ eye: [2, 2, -1], along: [0, 0, 1] }, seen(two, {}))).toBeNull();
  });

  it("of signed values finds the one farthest from zero", () => {
    const both = { ...volume(), data: new Uint8Array(60).fill(128) };
    both.data[(1 * 3 + 1) * 5 + 2] = 30;
    both.data[(3 * 3 + 1) * 5 + 2] = 200;
    expect(pickAlong(ray(1, 2), seen(both, { signed: true }))?.channel).toBe(1);
    expect(pickAlong(ray(1, 2), seen(both, {}))?.channel).toBe(3);
  });
});

describe("a look", () => {
  it("has strengths from zero, and hides what is weaker than the threshold", () => {
    expect(strength(look({ signed: true, zero: 0.25 }), 1)).toBe(1);
    expect(strength(look({ signed: true, zero: 0.25 }), 0)).toBeCloseTo(1 / 3);
    const alphas = opacities(look({ threshold: 0.5, opacity: 0.5 }));
    expect([alphas[127], alphas[200]]).toEqual([0, (200 / 255) * 0.5]);
  });

  it("is as opaque over a length however many samples that takes", () => {
    const through = (stride: number, count: number): number =>
      1 - (1 - tableOf(look({}), 1, stride)[4 * 100 + 3]) ** count;
    expect(through(0.01, 10)).toBeCloseTo(through(0.001, 100), 5);
  });
});

describe("a volume for the device", () => {
  it("keeps the strongest of the voxels that it joins", () => {
    const large = volume([0, 0, 0, 9], [1, 0, 1, 70], [3, 2, 4, 20]);
    const { voxels, reduced } = shrunk(large, 2, null);
    expect(reduced).toEqual({ channels: 2, rows: 2, columns: 3 });
    expect([voxels.channels, voxels.height, voxels.width]).toEqual([2, 2, 2]);
    expect([...voxels.data]).toEqual([70, 0, 0, 0, 0, 0, 0, 20]);
    expect([...shrunk(large, 2, 0.5).voxels.data].slice(1, 3)).toEqual([0, 0]);
    expect(shrunk(large, 5, null)).toEqual({ voxels: large, reduced: null });
  });

  it("never passes over a block in which something is to be seen", () => {
    const ranges = rangesOf(volume([3, 2, 4, 200]));
    const bound = (more: Partial<Look>): number => boundsOf(ranges, look(more)).data[0];
    expect(ranges.counts).toEqual([1, 1, 1]);
    expect([ranges.low[0], ranges.high[0]]).toEqual([0, 200]);
    expect(bound({ mode: "iso", iso: 0.8 })).toBe(0);
    expect(bound({ mode: "iso", iso: 0.7 })).toBe(255);
    expect(bound({})).toBe(200);
    expect(bound({ mode: "composite", threshold: 0.9 })).toBe(0);
    expect(bound({ mode: "composite", threshold: 0.7 })).toBe(255);
  });

  it("reads float16", () => {
    const half = halfValues();
    expect([half[0x3c00], half[0xc000], half[0x3555], half[1], half[0x7c00]]).toEqual([
      1,
      -2,
      0.333251953125,
      2 ** -24,
      Number.POSITIVE_INFINITY,
    ]);
  });
});

describe("space", () => {
  it("brings thin and deep stacks to a legible depth, but not where the spacing is known", () => {
    const thin = extentOf({ channels: 3, height: 30, width: 60 });
    expect([thin[0], thin[1], thin[2]].map((edge) => edge / thin[0])).toEqual([1, 0.5, 0.55]);
    const known = extentOf({ channels: 3, height: 30, width: 60, spacing: [2, 1, 1] });
    expect(known[2] / known[0]).toBeCloseTo(0.1);
    expect(strideOf([1, 1, 1], [10, 20, 40], 2)).toBeCloseTo(1 / 80);
  });

  it("clips in voxels and puts ticks at round places", () => {
    expect(cornersOf([1, 4, 0, 3, -5, 2], [5, 3, 4])).toEqual([
      [0.2, 0, 0],
      [0.8, 1, 0.5],
    ]);
    expect([tickStep(96, 5), tickStep(55, 3), tickStep(7, 9), tickStep(512, 4)]).toEqual([20, 20, 1, 200]);
  });
});

describe("the pace", () => {
  it("gets coarser on a slow device and fine again on a fast one", () => {
    const pace = new Pace();
    pace.learn(1e6, 1000);
    expect(pace.level(1e6, 45).share).toBe(0.25);
    expect(pace.pieces(1e6)).toBeGreaterThan(10);
    for (let frame = 0; frame < 12; frame++) pace.learn(1e6, 5);
    expect(pace.level(1e6, 45)).toEqual({ share: 1, samples: 1 });
    expect(pace.pieces(1e6)).toBe(1);
  });
});
