import { describe, expect, it } from "vitest";
import { layOut } from "../src/lib/graphlayout";
import {
  boxesOf,
  familyOf,
  isMain,
  type LayerRow,
  modulesAround,
  modulesOf,
  openedAtFirst,
  shut,
  wiresOf,
} from "../src/lib/network";

const layer = (name: string, inputs: readonly string[], kind = "Conv2d"): LayerRow => ({
  name,
  kind,
  shape: [8, 4, 4],
  field: { size: [3, 3], stride: [1, 1], start: [-1, -1], reason: "" },
  parameters: 0,
  macs: 0,
  inputs,
  nonlinearity: "",
  kernel: [3, 3],
  stride: [1, 1],
  padding: [1, 1],
  dilation: [1, 1],
  groups: 1,
});

const RESIDUAL = [
  layer("conv1", [""]),
  layer("layer1.0.conv1", ["conv1"]),
  layer("layer1.0.conv2", ["layer1.0.conv1"]),
  layer("layer1.0.add", ["layer1.0.conv2", "conv1"], "Add"),
  layer("layer1.1.conv1", ["layer1.0.add"]),
  layer("layer1.1.add", ["layer1.1.conv1", "layer1.0.add"], "Add"),
  layer("head.fc", ["layer1.1.add"], "Linear"),
];

describe("the boxes of a network", () => {
  it("knows the modules a layer is in", () => {
    expect(modulesOf("layer1.0.conv1")).toEqual(["layer1", "layer1.0"]);
    expect(modulesOf("inception_3a/1x1")).toEqual(["inception_3a"]);
    expect(modulesOf("relu:2")).toEqual([]);
  });

  it("has one box for a closed module, and none for a module of a single layer", () => {
    const boxes = boxesOf(RESIDUAL, new Set());
    expect(boxes.map(({ id, open }) => [id, open])).toEqual([
      ["conv1", true],
      ["layer1", false],
      ["head.fc", true],
    ]);
    expect(boxes[1].layers).toHaveLength(5);
    expect(wiresOf(RESIDUAL, new Set())).toEqual([
      { from: "", to: "conv1" },
      { from: "conv1", to: "layer1" },
      { from: "layer1", to: "head.fc" },
    ]);
  });

  it("shows what is inside of opened modules, with the connections past them", () => {
    const open = new Set(["layer1", "layer1.0"]);
    expect(boxesOf(RESIDUAL, open).map(({ id }) => id)).toEqual([
      "conv1",
      "layer1.0.conv1",
      "layer1.0.conv2",
      "layer1.0.add",
      "layer1.1",
      "head.fc",
    ]);
    expect(wiresOf(RESIDUAL, open)).toContainEqual({ from: "conv1", to: "layer1.0.add" });
    expect(wiresOf(RESIDUAL, open)).toContainEqual({ from: "layer1.0.add", to: "layer1.1" });
  });

  it("is one box where a layer has the name of a module, until that is opened", () => {
    const odd = [layer("d.a", [""]), layer("d.a/b", ["d.a"]), layer("d.a/c", ["d.a/b"])];
    const ids = (...open: string[]): [string, boolean][] =>
      boxesOf(odd, new Set(open)).map((box) => [box.id, box.open]);
    expect(ids("d")).toEqual([["d.a", false]]);
    expect(ids("d", "d.a")).toEqual([
      ["d.a", true],
      ["d.a/b", true],
      ["d.a/c", true],
    ]);
  });

  it("knows what is open around a layer, and closes a module with all that is in it", () => {
    expect(modulesAround(RESIDUAL, "layer1.0.conv1")).toEqual(["layer1", "layer1.0"]);
    expect(modulesAround(RESIDUAL, "head.fc")).toEqual([]);
    expect(shut(new Set(["layer1", "layer1.0", "layer10"]), "layer1")).toEqual(["layer10"]);
  });

  it("opens as many levels at first as can be overlooked", () => {
    expect([...openedAtFirst(RESIDUAL)].sort()).toEqual(["layer1", "layer1.0", "layer1.1"]);
    const deep = Array.from({ length: 60 }, (_, i) => layer(`a.${i % 6}.b${i}`, [""]));
    expect([...openedAtFirst(deep)]).toEqual(["a"]);
  });

  it("lays every box out below what it takes", () => {
    const sizes = new Map(
      ["", ...RESIDUAL.map(({ name }) => name)].map((id) => [id, { width: 90, height: 40 }]),
    );
    const wires = wiresOf(RESIDUAL, openedAtFirst(RESIDUAL));
    const drawn = layOut(sizes, wires);
    for (const { from, to } of wires) {
      const [above, below] = [drawn.boxes.get(from), drawn.boxes.get(to)];
      expect(below?.y).toBeGreaterThanOrEqual((above?.y ?? 0) + 40);
    }
    expect(drawn.wires).toHaveLength(wires.length);
    expect(drawn.wires.every((points) => points.length > 1)).toBe(true);
  });

  it("tells the sorts of layers apart", () => {
    const kinds = [
      "Conv2d",
      "BatchNorm2d",
      "ReLU",
      "GELU",
      "MaxPool2d",
      "Linear",
      "Cat",
      "Flatten",
      "Softmax",
    ];
    expect(kinds.map(familyOf)).toEqual([
      "conv",
      "norm",
      "act",
      "act",
      "pool",
      "linear",
      "merge",
      "other",
      "act",
    ]);
    expect(isMain(RESIDUAL[0])).toBe(true);
    expect(isMain(layer("relu", [], "ReLU"))).toBe(false);
  });
});
