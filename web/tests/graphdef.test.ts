import { describe, expect, it } from "vitest";
import { type GraphNode, kindOf, layersOf, sourceOf } from "../src/lib/graphdef";

const node = (name: string, op: string, inputs: string[] = [], more: Partial<GraphNode> = {}): GraphNode => ({
  name,
  op,
  inputs,
  shapes: [],
  attributes: {},
  ...more,
});

describe("the graph of a log", () => {
  const nodes = [
    node("out", "Output", ["net/cat"]),
    node("net/cat", "aten::cat", ["net/list", "net/one"], { shapes: [[2, 8, 4, 4]] }),
    node("net/list", "prim::ListConstruct", ["net/a:0", "net/b:1"]),
    node("net/one", "prim::Constant"),
    node("net/a", "aten::_convolution", ["in", "net/w"], { shapes: [null, [2, 4, 4, 4]] }),
    node("net/b", "aten::relu_", ["^net/a"]),
    node("net/w", "Parameter", [], { attributes: { parameters: 108 } }),
    node("in", "Input"),
  ];

  it("comes in an order in which each node follows what it takes", () => {
    const names = layersOf(nodes, true).map(({ name }) => name);
    for (const { name, inputs } of nodes)
      for (const input of inputs) expect(names.indexOf(sourceOf(input))).toBeLessThan(names.indexOf(name));
    expect(names).toHaveLength(nodes.length);
  });

  it("reaches through lists and constants, and counts the weights with what takes them", () => {
    const layers = new Map(layersOf(nodes, false).map((layer) => [layer.name, layer]));
    expect([...layers.keys()].sort()).toEqual(["in", "net/a", "net/b", "net/cat", "out"]);
    expect([...(layers.get("net/cat")?.inputs ?? [])].sort()).toEqual(["net/a", "net/b"]);
    expect(layers.get("net/a")).toMatchObject({
      kind: "convolution",
      shape: [4, 4, 4],
      parameters: 108,
      inputs: ["in"],
    });
    expect(layers.get("net/b")).toMatchObject({ kind: "relu_", inputs: ["net/a"], parameters: 0 });
  });

  it("does not hang on a circle, nor on inputs that are nowhere", () => {
    const circle = [node("a", "x", ["b"]), node("b", "x", ["a", "gone"]), node("c", "x", ["c"])];
    expect(
      layersOf(circle, false)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["a", "b", "c"]);
  });

  it("survives a chain deeper than any stack", () => {
    const deep = Array.from({ length: 50_000 }, (_, i) =>
      node(`n${i}`, "x", i < 49_999 ? [`n${i + 1}`] : []),
    );
    expect(layersOf(deep, false)[0].name).toBe("n49999");
  });

  it("names operations without their library", () => {
    expect(["aten::_convolution", "MatMul", "prim::Constant", "_"].map(kindOf)).toEqual([
      "convolution",
      "MatMul",
      "Constant",
      "_",
    ]);
  });
});
