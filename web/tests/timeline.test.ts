import { describe, expect, it } from "vitest";
import { aligned, procrustes } from "../src/lib/procrustes";
import { agreement, type Layout, matched, Timeline } from "../src/lib/timeline";

function noise(n: number, flat: boolean, seed = 1): Float32Array {
  let state = seed;
  const next = (): number => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647 - 0.5;
  };
  return Float32Array.from({ length: 3 * n }, (_, i) => (flat && i % 3 === 2 ? 0 : next() * (1 + (i % 3))));
}

/** Turned by `angle` about z, then mirrored, grown and shifted. */
function turned(points: Float32Array, angle: number, mirror: boolean, scale: number): Float32Array {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const out = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 3) {
    const [x, y, z] = [mirror ? -points[i] : points[i], points[i + 1], points[i + 2]];
    out.set([scale * (c * x - s * y) + 3, scale * (s * x + c * y) - 2, scale * z], i);
  }
  return out;
}

const all = (n: number): Int32Array => Int32Array.from({ length: n }, (_, i) => i);
const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));

describe("procrustes", () => {
  for (const flat of [true, false])
    for (const mirror of [true, false])
      it(`undoes a turn${mirror ? " and a reflection" : ""} in ${flat ? 2 : 3} dimensions`, () => {
        const target = noise(50, flat);
        const points = turned(target, 2.1, mirror, 0.4);
        const way = procrustes(points, target, all(50));
        expect(way.distance).toBeLessThan(1e-6);
        expect(apart(aligned(points, way), target)).toBeLessThan(1e-4);
        expect(procrustes(points, target, all(50), false).scale).toBe(1);
      });

  it("uses common points only, and gives up on fewer than three", () => {
    const target = noise(20, true);
    const points = turned(target, 0.7, false, 1);
    points.set([90, 90, 0], 0); // not in the target: of no weight
    const place = all(20);
    place[0] = -1;
    const way = procrustes(points, target, place);
    expect(way.distance).toBeLessThan(1e-6);
    expect(
      aligned(points, way)
        .slice(3)
        .every((value, i) => Math.abs(value - target[i + 3]) < 1e-4),
    ).toBe(true);
    expect(procrustes(points, target, place.fill(-1, 2)).distance).toBe(0);
    expect(procrustes(new Float32Array(60), target, all(20)).distance).toBe(1);
  });

  it("says how unlike two layouts are", () => {
    expect(procrustes(noise(500, true, 3), noise(500, true, 77), all(500)).distance).toBeGreaterThan(0.9);
  });

  it("turns points that lie on a line", () => {
    const line = Float32Array.from({ length: 30 }, (_, i) => (i % 3 === 0 ? i : 0));
    const way = procrustes(turned(line, 1, false, 1), line, all(10));
    expect(way.distance).toBeLessThan(1e-9);
    expect(apart(aligned(turned(line, 1, false, 1), way), line)).toBeLessThan(1e-4);
  });
});

describe("a timeline", () => {
  const first = noise(40, true);
  const layouts: Layout[] = [
    { step: 0, index: all(40), points: turned(first, 1, true, 1), flat: true },
    { step: 10, index: all(40), points: first, flat: true },
  ];

  it("stands still where only the layout was turned, and not where it is not aligned", () => {
    const still = new Timeline(layouts, all(40), true);
    expect(still.moved()[0]).toBeLessThan(1e-4);
    expect(apart(still.at(0.5).points, first)).toBeLessThan(1e-4);
    expect(new Timeline(layouts, all(40), false).moved()[0]).toBeGreaterThan(1);
  });

  it("leaves the last step where it was recorded", () => {
    const { points, presence, flat } = new Timeline(layouts, all(40), true).at(1);
    expect(points).toEqual(first);
    expect([presence, flat]).toEqual([null, true]);
  });

  it("fades points that come and go, where their only place is", () => {
    const less: Layout = { step: 20, index: [5, 1, 2, 3, 99], points: first.slice(0, 15), flat: true };
    const film = new Timeline([layouts[1], less], all(40), false);
    const { points, presence } = film.at(0.25);
    expect(presence?.[1]).toBe(1);
    expect(presence?.[7]).toBeCloseTo(0.75);
    expect(Array.from(points.slice(21, 24))).toEqual(Array.from(first.slice(21, 24)));
    // Picture 5 is the first point of the later layout.
    expect(points[15]).toBeCloseTo(0.75 * first[15] + 0.25 * first[0], 5);
    expect(film.trail(7)).toHaveLength(1);
    expect(film.trail(7)[0]).toHaveLength(1);
    expect(film.trail(5)[0]).toHaveLength(2);
    const open = new Timeline([layouts[1], less], [99, 5], false);
    expect(Array.from(open.at(0).presence ?? [])).toEqual([0, 1]);
    expect(open.moved([0])).toEqual([0]);
  });

  it("matches by index, the first of several", () => {
    expect(Array.from(matched([4, 7, 9], [9, 4, 4]))).toEqual([1, -1, 0]);
  });
});

describe("the agreement of two embeddings", () => {
  it("is the share of common neighbours, numbered by picture", () => {
    // Points 0..3 here are 3..0 there.
    const place = [3, 2, 1, 0];
    const ours = [1, 2, 0, 2, 0, 3, 1, 2];
    const same = [1, 2, 3, 0, 3, 1, 2, 1]; // the same sets, in the numbers of the second
    expect(agreement(ours, same, 2, place)).toEqual({ share: 1, points: 4 });
    const other = [1, 2, 3, 0, 3, 1, 2, 0]; // point 3 there has 2 and 0 in place of 2 and 1
    expect(agreement(ours, other, 2, place).share).toBeCloseTo(7 / 8);
    expect(agreement(ours, other, 2, place, [0]).share).toBe(0.5);
    expect(agreement(ours, other, 2, [-1, -1, -1, -1])).toEqual({ share: 0, points: 0 });
  });
});
