import { describe, expect, it } from "vitest";
import { layerOf, mapsRoute, picturesOf, pictureTag, tagFor } from "../src/lib/live";
import type { Index, LiveInfo, Looked } from "../src/source/source";

const file = (name: string, type: string, size = 4): File => new File([new Uint8Array(size)], name, { type });

describe("what is handed in", () => {
  it("is taken with its media type", () => {
    const { pictures, problem } = picturesOf([file("a.jpg", "image/jpeg"), file("b.ppm", "")], 100);
    expect(pictures.map(({ type }) => type)).toEqual(["image/jpeg", "image/x-unknown"]);
    expect(problem).toBe("");
  });

  it("is refused in a sentence, and does not keep the others back", () => {
    const refused = (one: File): string => picturesOf([one, file("good.png", "image/png")], 3 << 20).problem;
    expect(refused(file("notes.pdf", "application/pdf"))).toContain("“notes.pdf” is not a picture");
    expect(refused(file("notes", ""))).toContain("not a picture");
    expect(refused(file("empty.png", "image/png", 0))).toContain("empty");
    expect(refused(file("large.png", "image/png", (3 << 20) + 1))).toContain("larger than the 3 MB");
    expect(
      picturesOf([file("x.pdf", "application/pdf"), file("good.png", "image/png")], 9).pictures,
    ).toHaveLength(1);
  });
});

describe("where a picture is shown", () => {
  const tags = ["conv1", "conv2"].map((layer) => ({ layer, tag: `${layer} @ cats/a @ b.png` }));
  const looked: Looked = {
    run: "live: net",
    picture: "cats/a @ b.png",
    layer: "conv1",
    tags,
    predictions: [],
    seconds: 0,
  };
  const live: LiveInfo = {
    model: "net",
    run: "live: net",
    input_shape: [3, 8, 8],
    layer: "conv1",
    pictures: ["a", "b"],
    most_bytes: 1,
  };
  const record = (tag: string) => ({ id: tag, kind: "maps", tag, step: 0, wall_time: 0, bytes: 0 });
  const run = { name: "live: net", last_wall_time: null, series: [], problems: [] };
  const index: Index = {
    logdir: "",
    version: 1,
    runs: [{ ...run, records: [record("conv1 @ a"), record("conv2 @ a"), record("conv1 @ b")] }],
  };

  it("is the layer that is looked at, if the network has it", () => {
    expect(layerOf("conv2 @ dog.png")).toBe("conv2");
    expect(layerOf("conv2")).toBe("conv2");
    expect(tagFor(looked, "conv2")).toBe("conv2 @ cats/a @ b.png");
    expect(tagFor(looked, "train/loss")).toBe("conv1 @ cats/a @ b.png");
    expect(tagFor({ ...looked, tags: [] }, "conv1")).toBe("");
  });

  it("is the same layer for a picture that is kept", () => {
    expect(pictureTag(index, live, "conv2 @ b", "a")).toBe("conv2 @ a");
    expect(pictureTag(index, live, "conv9", "a")).toBe("conv1 @ a");
    expect(pictureTag(index, live, undefined, "a")).toBe("conv1 @ a");
  });

  it("keeps the page as it is set while the layer stays", () => {
    const route = { view: "maps", params: { run: "old", tag: "conv1 @ a", ch: "3", pos: "1,1", hide: "x" } };
    expect(mapsRoute(route, "live: net", "conv1 @ b").params).toEqual({
      run: "live: net",
      tag: "conv1 @ b",
      ch: "3",
      hide: "x",
    });
    expect(mapsRoute(route, "live: net", "conv2 @ b").params.ch).toBeUndefined();
    expect(mapsRoute({ ...route, view: "filters" }, "live: net", "conv1 @ b")).toEqual({
      view: "maps",
      params: { run: "live: net", tag: "conv1 @ b", hide: "x" },
    });
  });
});
