import { describe, expect, it } from "vitest";
import { DIM, HIDDEN, indicesWhere, NORMAL, SOFT, STRONG, statesOf } from "../src/lib/highlight";

const bits = (...values: number[]): Uint8Array => Uint8Array.from(values);
const states = (emphasis: Parameters<typeof statesOf>[1]): number[] => [...statesOf(4, emphasis)];

describe("statesOf", () => {
  it("shows all points alike by default", () => {
    expect(states({})).toEqual([NORMAL, NORMAL, NORMAL, NORMAL]);
  });

  it("brings matches forward and dims the rest", () => {
    expect(states({ matches: bits(0, 1, 0, 0) })).toEqual([DIM, STRONG, DIM, DIM]);
    expect(states({ matches: bits(0, 0, 0, 0) })).toEqual([DIM, DIM, DIM, DIM]);
  });

  it("hides what the legend filters out, whatever else is said of it", () => {
    const all = { matches: bits(1, 1, 0, 0), hidden: bits(1, 0, 0, 0), near: [0] };
    expect(states(all)).toEqual([HIDDEN, STRONG, DIM, DIM]);
  });

  it("shows what is both found and selected", () => {
    const both = { matches: bits(1, 1, 0, 0), selection: bits(0, 1, 1, 0) };
    expect(states(both)).toEqual([DIM, STRONG, DIM, DIM]);
  });

  it("puts all but the neighbours of the chosen point into the background", () => {
    expect(states({ near: [3] })).toEqual([SOFT, SOFT, SOFT, STRONG]);
  });

  it("shows neighbours even where the search left them out", () => {
    expect(states({ matches: bits(1, 0, 0, 0), near: [3] })).toEqual([STRONG, DIM, DIM, STRONG]);
  });

  it("leaves many matches the size they have", () => {
    expect(statesOf(1000, { matches: new Uint8Array(1000).fill(1) })[999]).toBe(NORMAL);
  });
});

it("lists the members of a set", () => {
  expect([...indicesWhere(bits(0, 1, 0, 1))]).toEqual([1, 3]);
});
