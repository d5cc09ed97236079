import { describe, expect, it } from "vitest";
import { MOST_SHOWN, Slots, slotShape } from "../src/gl/pointsatlas";
import { Density, sharesOf } from "../src/gl/pointsdensity";
import { inBox, inPolygon, nearest, placed, type Seen } from "../src/gl/pointspick";
import { type Sizing, shapeOf, shownOf } from "../src/gl/pointstiles";
import { DIM, HIDDEN, STRONG } from "../src/lib/highlight";
import { boxOf, type Cutter, type Decoded, ThumbStream } from "../src/lib/thumbstream";

/** Points given in pixels of a canvas of 100 × 50, all at depth 1. */
function seen(points: readonly (readonly [number, number])[], states: readonly number[] = []): Seen {
  const matrix = [0.02, 0, 0, 0, 0, -0.04, 0, 0, 0, 0, 0, 0, -1, 1, 0, 1];
  const positions = Float32Array.from(points.flatMap(([x, y]) => [x, y, 0]));
  return {
    positions,
    states: Uint8Array.from(points, (_, i) => states[i] ?? 0),
    matrix,
    width: 100,
    height: 50,
  };
}

describe("points on screen", () => {
  it("finds the nearest that is neither dimmed nor hidden", () => {
    const here = seen(
      [
        [10, 10],
        [12, 10],
        [13, 10],
        [60, 40],
      ],
      [0, DIM, HIDDEN],
    );
    expect(placed(here, 3)).toMatchObject({ x: expect.closeTo(60), y: expect.closeTo(40), w: 1 });
    expect(nearest(here, 12.5, 10, 8)).toBe(0);
    expect(nearest(here, 61, 41, 8)).toBe(3);
    expect(nearest(here, 80, 10, 8)).toBe(-1);
  });

  it("takes points inside a polygon by the even-odd rule, dimmed ones too", () => {
    const star = [50, 0, 80, 48, 5, 18, 95, 18, 20, 48]; // a pentagram: its middle is outside
    const here = seen(
      [
        [50, 25],
        [50, 8],
        [30, 20],
        [99, 45],
        [50, 9],
      ],
      [0, 0, DIM, 0, HIDDEN],
    );
    expect([...inPolygon(here, star)]).toEqual([1, 2]);
    expect([...inBox(here, 60, 30, 20, 5)]).toEqual([0, 1, 2]);
  });
});

describe("density", () => {
  it("counts points by pixel and mixes their colours by the logarithm", () => {
    const points = Array.from({ length: 10 }, () => [3.5, 2.5] as const);
    const here = seen(
      [...points, [7.5, 2.5], [9.5, 2.5], [11.5, 2.5], [-5, 2]],
      [...new Array(11).fill(0), HIDDEN, DIM],
    );
    const look = new Uint8Array(4 * 14);
    for (let i = 0; i < 14; i++) look.set(i % 2 ? [200, 0, 0, 0] : [0, 0, 100, 0], 4 * i);
    const density = new Density();
    density.draw(here, look, [255, 255, 255]);
    const pixel = (x: number): number[] => [...density.pixels.subarray(4 * (200 + x), 4 * (200 + x) + 4)];
    expect(density.most).toBe(10);
    expect(pixel(3)).toEqual([100, 0, 50, 255]); // the densest: the mean colour, unmixed
    expect(pixel(7)[0]).toBe(Math.floor(255 * (1 - sharesOf(10)[1]) + 0.5));
    expect(pixel(9)).toEqual([255, 255, 255, 255]);
    expect(pixel(11)[0]).toBeLessThan(255);
    density.draw(here, look, [255, 255, 255], 2);
    expect([density.width, density.height]).toEqual([50, 25]);
  });

  it("gives more points more colour, and one point alone all of it", () => {
    expect([...sharesOf(1)]).toEqual([0, 1]);
    const shares = sharesOf(1000);
    expect(shares[1000]).toBeCloseTo(1);
    for (let n = 1; n <= 1000; n++) expect(shares[n]).toBeGreaterThan(shares[n - 1]);
  });
});

const SIZING: Sizing = { scale: 100, size: 0.1, ratio: 1, smallest: 4, threshold: 11, least: 0, chosen: -1 };

describe("thumbnails that are shown", () => {
  it("grow out of dots with nearness, and what stands out is a picture at any distance", () => {
    const size = (w: number, strong = false, tile = true): number[] =>
      shapeOf(SIZING, w, strong, false, tile);
    expect(size(10)).toEqual([4, 0]);
    expect(size(0.5)).toEqual([20, 1]);
    expect(size(0.5, false, false)).toEqual([expect.closeTo(6.8), 0]);
    expect(size(10, true)).toEqual([26, 1]);
    const [middle, share] = size(0.9);
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(1);
    expect(middle).toBeLessThan((100 * 0.1) / 0.9);
  });

  it("are those on screen, what stands out first, and the same ones while there is no room for all", () => {
    const points = Array.from({ length: 5000 }, (_, i) => [i % 100, 25] as [number, number]);
    points[7] = [500, 25];
    const here = seen(
      points,
      Array.from({ length: 5000 }, (_, i) => (i === 9 ? HIDDEN : i === 4999 ? STRONG : 0)),
    );
    const near = { ...SIZING, scale: 1000 };
    const all = shownOf(here, near, Int32Array.of(4999), true, MOST_SHOWN);
    expect(all.length).toBe(4998);
    expect(shownOf(here, { ...near, scale: 1 }, Int32Array.of(4999), true, 100)).toEqual(Int32Array.of(4999));
    const few = shownOf(here, near, Int32Array.of(4999), true, 500);
    expect(few.length).toBeGreaterThan(400);
    expect(few.length).toBeLessThanOrEqual(500);
    expect(few).toContain(4999);
    expect(shownOf(here, near, Int32Array.of(4999), true, 500)).toEqual(few);
  });
});

describe("slots", () => {
  it("fit a texture of bounded size", () => {
    for (const [count, tile] of [
      [1, 48],
      [2304, 48],
      [100_000, 48],
      [1_000_000, 200],
      [50, 224],
    ]) {
      const { side, columns } = slotShape(count, tile);
      expect(side % 8).toBe(0);
      expect(side * columns).toBeLessThanOrEqual(4096);
      expect(columns ** 2).toBeGreaterThanOrEqual(Math.min(count, MOST_SHOWN));
    }
    expect(slotShape(2304, 48)).toEqual({ side: 48, columns: 48 });
  });

  it("are given to others only when they are not seen", () => {
    const slots = new Slots(10, 2);
    const [a, b] = [slots.claim(4, 1), slots.claim(5, 1)];
    expect(slots.claim(6, 1)).toBe(-1);
    expect(slots.of(4, 2)).toBe(a);
    expect(slots.claim(6, 2)).toBe(b);
    expect(slots.of(5, 2)).toBe(-1);
    expect(slots.of(4, 2)).toBe(a);
  });
});

describe("ThumbStream", () => {
  const sheet = {
    tile: [4, 4],
    gutter: 1,
    columns: 2,
    rows: 2,
    total_rows: 6,
    channels: 3,
    codec: "png",
  } as const;
  const files = ["a", "b", "c"];
  const slot = { pixels: new Uint8ClampedArray(64), box: [0, 0, 4, 4] as const };

  function stream(pictures: (url: string, signal?: AbortSignal) => Promise<HTMLImageElement>) {
    const [asked, got, told, closed]: [string[], number[], string[], number[]] = [[], [], [], []];
    const cutter: Cutter = {
      decode: async () => ({ close: () => closed.push(1) }) as unknown as Decoded,
      cut: (_, points) => points.map(() => slot),
    };
    const get = (url: string, signal?: AbortSignal) => {
      asked.push(url);
      return pictures(url, signal);
    };
    const thumbnails = {
      sheet: { ...sheet, files },
      url: (file: string) => file,
      pictures: { get },
      sizes: Uint8Array.from({ length: 24 }, (_, i) => (i >> 1 === 11 ? 0 : 4)),
      failed: (message: string) => told.push(message),
    };
    let finished = () => {};
    const done = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const made = new ThumbStream(
      thumbnails,
      cutter,
      (point) => got.push(point),
      () => finished(),
    );
    return { made, asked, got, told, closed, done };
  }

  it("loads the sheets of what is wanted, the most urgent first, and lets go of them", async () => {
    const { made, asked, got, closed, done } = stream(async () => ({}) as HTMLImageElement);
    made.want(Int32Array.of(9, 8, 1));
    expect(asked).toEqual(["c", "a"]);
    await done;
    await expect.poll(() => got).toEqual([9, 8, 1]);
    await expect.poll(() => closed.length).toBe(2);
    expect(made.has(11)).toBe(false);
    expect(made.has(10)).toBe(true);
  });

  it("gives up what is no longer on screen", () => {
    const signals: (AbortSignal | undefined)[] = [];
    const { made, asked } = stream((_, signal) => {
      signals.push(signal);
      return new Promise(() => {});
    });
    made.want(Int32Array.of(0, 4));
    made.want(Int32Array.of(4, 8));
    expect(asked).toEqual(["a", "b", "c"]);
    expect(signals.map((one) => one?.aborted)).toEqual([true, false, false]);
    made.stop();
    expect(signals.every((one) => one?.aborted)).toBe(true);
  });

  it("says once that sheets cannot be loaded, and does not ask again", async () => {
    const { made, asked, told } = stream(async () => Promise.reject(new Error("gone")));
    made.want(Int32Array.of(0, 4));
    await expect.poll(() => told).toEqual(["gone"]);
    await expect.poll(() => made.has(4)).toBe(false);
    made.want(Int32Array.of(0, 4));
    expect(asked).toEqual(["a", "b"]);
  });
});

describe("boxOf", () => {
  it("finds a centred picture in its tile, also when that is shrunk", () => {
    const sheet = { tile: [48, 48] } as never;
    expect(boxOf({ sheet }, 0, 48)).toEqual([0, 0, 48, 48]);
    expect(boxOf({ sheet, sizes: Uint8Array.of(48, 24) }, 0, 48)).toEqual([12, 0, 24, 48]);
    expect(boxOf({ sheet, sizes: Uint8Array.of(48, 24) }, 0, 24)).toEqual([6, 0, 12, 24]);
  });
});
