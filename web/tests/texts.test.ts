// Which texts a card shows, and where a word stands in them; meshes as they are drawn.
import { describe, expect, it } from "vitest";
import { isTangled } from "../src/lib/markdownlimits";
import { placesOf } from "../src/lib/marks";
import { extents, joinedBox, meshOf, meshSummary, placeOfBox } from "../src/lib/meshdata";
import { entriesAt } from "../src/views/panels/textstore";

const column = (...data: number[]) => ({ shape: [data.length], data: Float64Array.from(data) });

describe("the entries of a text card", () => {
  const all = { step: column(0, 10, 20, 30), wall_time: column(1, 2, 3, 4), bytes: column(5, 6, 7, 8) };
  const steps = (step: number | null, most: number) => entriesAt(all, step, most).map((entry) => entry.step);

  it("are the last ones at or before the step, the newest first", () => {
    expect(steps(null, 1)).toEqual([30]);
    expect(steps(25, 1)).toEqual([20]);
    expect(steps(20, 2)).toEqual([20, 10]);
    expect(steps(null, 9)).toEqual([30, 20, 10, 0]);
    expect(entriesAt(all, 10, 1)[0]).toEqual({ index: 1, step: 10, wallTime: 2, bytes: 6 });
  });

  it("are the first one where all are later, and none of an empty series", () => {
    expect(steps(-1, 3)).toEqual([0]);
    expect(entriesAt({}, null, 3)).toEqual([]);
  });
});

describe("a word in a text", () => {
  it("is found whatever its case, not overlapping, and not without end", () => {
    expect(placesOf("Loss loss LOSS", "loss")).toEqual([0, 5, 10]);
    expect(placesOf("aaaa", "aa")).toEqual([0, 2]);
    expect(placesOf("aaaa", "a", 2)).toEqual([0, 1]);
    expect(placesOf("text", "")).toEqual([]);
    // The lower case of İ is two characters long: places are those of the text as it is written.
    expect(placesOf("İ loss", "loss")).toEqual([2]);
  });
});

describe("a text that would keep the parser busy for minutes", () => {
  it("is a long word of many signs, not a long word or many signs", () => {
    expect(isTangled("_a_b".repeat(50_000))).toBe(true);
    expect(isTangled("a".repeat(200_000))).toBe(false);
    expect(isTangled("some_name **bold** ".repeat(5_000))).toBe(false);
  });
});

describe("a mesh", () => {
  const mesh = (vertices: number[], faces: number[] = [], colours: number[] = []) =>
    meshOf({
      vertices: { shape: [vertices.length / 3, 3], data: Float32Array.from(vertices) },
      faces: { shape: [faces.length / 3, 3], data: Int32Array.from(faces) },
      colours: { shape: [colours.length / 3, 3], data: Uint8Array.from(colours) },
    });

  it("keeps what can be drawn and counts what cannot", () => {
    const data = mesh([0, 0, 0, 1, 0, 0, 0, 2, 0, Number.NaN, 0, 0], [0, 1, 2, 0, 1, 3, 0, 1, 9, -1, 0, 1]);
    expect([...data.triangles]).toEqual([0, 1, 2]);
    expect([...data.points]).toEqual([0, 1, 2]);
    expect([data.lost, data.broken]).toEqual([1, 3]);
    expect(data.box).toEqual({ low: [0, 0, 0], high: [1, 2, 0] });
    expect(meshSummary(data)).toBe(
      "4 vertices · 1 triangle · 1 not finite, left out · 3 triangles of missing vertices left out",
    );
    expect(extents(data.box)[1]).toEqual(["y", "0", "2"]);
  });

  it("has colours in linear light, one a vertex", () => {
    const colours = mesh([0, 0, 0, 1, 1, 1], [], [0, 128, 255, 255, 0, 10]).colours;
    expect(colours?.[0]).toBe(0);
    expect(colours?.[1]).toBeCloseTo(0.21586, 5);
    expect(colours?.[2]).toBe(1);
    expect(mesh([0, 0, 0], [], []).colours).toBeUndefined();
  });

  it("may be empty or a single point", () => {
    expect(mesh([]).box).toBeUndefined();
    expect(placeOfBox(undefined)).toEqual({ centre: [0, 0, 0], scale: 1 });
    expect(placeOfBox(mesh([2, 3, 4]).box)).toEqual({ centre: [2, 3, 4], scale: 1 });
  });

  it("shares one scale with the others of its tag", () => {
    const both = joinedBox(mesh([0, 0, 0, 1, 1, 1]).box, mesh([-3, 0, 0]).box);
    expect(both).toEqual({ low: [-3, 0, 0], high: [1, 1, 1] });
    const { centre, scale } = placeOfBox(both);
    expect(centre).toEqual([-1, 0.5, 0.5]);
    expect(scale).toBeCloseTo(2 / Math.hypot(4, 1, 1), 12);
  });
});
