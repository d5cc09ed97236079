import { describe, expect, it } from "vitest";
import { changed, choiceOf, formatRoute, numberOf, parseRoute, toView } from "../src/lib/route";

describe("the address", () => {
  it("survives a round trip with awkward names", () => {
    const route = { view: "layer", params: { run: "a b/ü,%&=#?", tag: "block1/conv", ch: "12" } };
    expect(parseRoute(formatRoute(route), "scalars")).toEqual(route);
  });

  it("is short and readable", () => {
    const route = { view: "layer", params: { run: "mnist/lr-0.1", tag: "features.3" } };
    expect(formatRoute(route)).toBe("#/layer?run=mnist/lr-0.1&tag=features.3");
  });

  it("falls back where it says nothing", () => {
    expect(parseRoute("", "scalars")).toEqual({ view: "scalars", params: {} });
    expect(parseRoute("#/", "images").view).toBe("images");
  });

  it("changes and removes keys", () => {
    const route = changed({ view: "layer", params: { run: "a", ch: "1" } }, { ch: null, sort: "max" });
    expect(route.params).toEqual({ run: "a", sort: "max" });
  });

  it("carries only the runs to another view", () => {
    expect(toView({ view: "layer", params: { run: "a", ch: "1" } }, "volume").params).toEqual({ run: "a" });
  });

  it("reads numbers and choices defensively", () => {
    const route = { view: "x", params: { ch: "seven", sort: "evil" } };
    expect(numberOf(route, "ch", -1)).toBe(-1);
    expect(choiceOf(route, "sort", ["index", "max"])).toBe("index");
  });
});
