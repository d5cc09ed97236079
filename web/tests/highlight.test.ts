import { describe, expect, it } from "vitest";
import { DIM, NORMAL, SOFT, STRONG, statesOf } from "../src/lib/highlight";

const labels = [0, 1, 0, 2];
const none = { matches: null, label: null, near: null };

describe("statesOf", () => {
  it("shows all points alike by default", () => {
    expect([...statesOf(labels, none)]).toEqual([NORMAL, NORMAL, NORMAL, NORMAL]);
  });

  it("brings matches forward and dims the rest", () => {
    expect([...statesOf(labels, { ...none, matches: new Set([1]) })]).toEqual([DIM, STRONG, DIM, DIM]);
    expect([...statesOf(labels, { ...none, matches: new Set() })]).toEqual([DIM, DIM, DIM, DIM]);
  });

  it("isolates a class", () => {
    expect([...statesOf(labels, { ...none, label: 0 })]).toEqual([NORMAL, DIM, NORMAL, DIM]);
  });

  it("puts all but the neighbours of the chosen point into the background", () => {
    expect([...statesOf(labels, { ...none, near: new Set([3]) })]).toEqual([SOFT, SOFT, SOFT, STRONG]);
  });

  it("shows neighbours even where the search left them out", () => {
    const both = { matches: new Set([0]), label: null, near: new Set([3]) };
    expect([...statesOf(labels, both)]).toEqual([STRONG, DIM, DIM, STRONG]);
  });
});
