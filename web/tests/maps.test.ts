import { describe, expect, it } from "vitest";
import {
  bytePixels,
  clipBox,
  fieldBox,
  layerEnds,
  numbered,
  ownScale,
  placeMap,
  seenBox,
  sharedScale,
  shownRange,
  sortMaps,
  strongest,
  UNCHANGED,
  valuePixels,
} from "../src/lib/maps";
import { pictureText } from "../src/lib/mapsdata";
import { layersOf, listedTags, splitTag, tagOfLayer } from "../src/lib/mapstags";
import type { RunInfo } from "../src/source/source";

const RELU = { low: 0, high: Number.POSITIVE_INFINITY };
const RELU6 = { low: 0, high: 6 };
const range = new Float32Array([-2, 1, 0, 8, -1, -0.5]);
const conv1 = { size: [11, 11], stride: [4, 4], start: [-2, -2], reason: "" };
const whole = { size: [224, 224], stride: [0, 0], start: [0, 0], reason: "adaptive pooling to 1 × 1" };

describe("the scale of maps", () => {
  it("is symmetric about zero where values are negative, and runs from the least where none is", () => {
    expect(sharedScale(range, UNCHANGED)).toEqual({ low: -8, high: 8, signed: true });
    expect(sharedScale(new Float32Array([0, 1, 0, 3]), UNCHANGED)).toEqual({
      low: 0,
      high: 3,
      signed: false,
    });
    expect(sharedScale(new Float32Array([5, 9]), UNCHANGED)).toEqual({ low: 5, high: 9, signed: false });
  });

  it("knows what a ReLU leaves", () => {
    expect(shownRange(range, 2, RELU)).toEqual([0, 0]);
    expect(shownRange(range, 1, RELU6)).toEqual([0, 6]);
    expect(layerEnds(range, UNCHANGED)).toEqual([-2, 8]);
    expect(sharedScale(range, RELU)).toEqual({ low: 0, high: 8, signed: false });
  });

  it("clips the strongest 2 % of many channels, which would make the others pale", () => {
    const many = Float32Array.from({ length: 200 }, (_, i) =>
      i % 2 ? (i === 199 ? 1000 : 1 + i / 1000) : 0,
    );
    expect(sharedScale(many, UNCHANGED).high).toBeCloseTo(1.195);
  });

  it("of one channel means the same by its colours", () => {
    expect(ownScale(range, 0, UNCHANGED, true)).toEqual({ low: -2, high: 2, signed: true });
    expect(ownScale(range, 1, UNCHANGED, true)).toEqual({ low: -8, high: 8, signed: true });
    expect(ownScale(range, 1, RELU, false)).toEqual({ low: 0, high: 8, signed: false });
  });
});

describe("the pixels of maps", () => {
  const scale = { low: -2, high: 2, signed: true };
  const at = (pixels: Uint8ClampedArray, p: number): number[] => [...pixels.slice(4 * p, 4 * p + 4)];

  it("have grey at zero, leave NaN clear, and are the same from bytes as from values", () => {
    const pixels = valuePixels([0, Number.NaN, 2, -2, Number.POSITIVE_INFINITY], UNCHANGED, scale);
    const [r, g, b, a] = at(pixels, 0);
    expect(Math.max(r, g, b) - Math.min(r, g, b)).toBeLessThan(10);
    expect(a).toBe(255);
    expect(at(pixels, 1)).toEqual([0, 0, 0, 0]);
    expect(at(pixels, 4)).toEqual(at(pixels, 2));
    const bytes = bytePixels(new Uint8Array([0, 255]), [-2, 2], UNCHANGED, scale);
    expect(at(bytes, 0)).toEqual(at(pixels, 3));
    expect(at(bytes, 1)).toEqual(at(pixels, 2));
  });

  it("over a picture are as opaque as values are strong", () => {
    const alphas = (values: number[], one: typeof scale): number[] =>
      values.map((_, p) => valuePixels(values, UNCHANGED, one, "by strength")[4 * p + 3]);
    expect(alphas([0, 0.5, -2, 9], scale)).toEqual([0, 128, 255, 255]);
    expect(alphas([5, 6, 9], { low: 5, high: 9, signed: false })).toEqual([0, 128, 255]);
    expect(alphas([0, 0], { low: 0, high: 0, signed: false })).toEqual([0, 0]);
  });

  it("show a map after its ReLU", () => {
    const after = valuePixels([-2, 1], RELU, { low: 0, high: 1, signed: false });
    expect(at(after, 0)).toEqual([0, 0, 4, 255]);
    expect(at(after, 1)).toEqual([252, 255, 164, 255]);
  });
});

describe("the order of maps", () => {
  const data = {
    range,
    mean: new Float32Array([0.1, 0.3, -0.7]),
    meanAfter: new Float32Array([0.4, 0.3, 0]),
    positive: new Float32Array([0.5, 0.2, 0]),
    orders: new Map([["pca", new Int32Array([2, 0, 1])]]),
  };

  it("is by index, mean, max, sparsity, or as recorded", () => {
    expect(sortMaps(data, "index", UNCHANGED)).toEqual([0, 1, 2]);
    expect(sortMaps(data, "mean", UNCHANGED)).toEqual([1, 0, 2]);
    expect(sortMaps(data, "mean", RELU)).toEqual([0, 1, 2]);
    expect(sortMaps(data, "max", UNCHANGED)).toEqual([1, 0, 2]);
    expect(sortMaps(data, "sparsity", UNCHANGED)).toEqual([2, 1, 0]);
    expect(sortMaps(data, "pca", UNCHANGED)).toEqual([2, 0, 1]);
    expect(sortMaps(data, "no such order", UNCHANGED)).toEqual([0, 1, 2]);
  });

  it("is searched by the digits of the number", () => {
    expect(numbered([3, 12, 1, 31], " 1 ")).toEqual([12, 1]);
    expect(numbered([3, 12], "cat")).toEqual([3, 12]);
  });

  it("finds the strongest position, whatever is not a number", () => {
    expect(strongest([1, 5, 5, 2])).toBe(1);
    expect(strongest([Number.NaN, -3, -1])).toBe(2);
    expect(strongest([])).toBe(0);
  });
});

describe("positions on the picture", () => {
  it("see what the receptive field says, cut at the border", () => {
    expect(fieldBox(conv1, [0, 1], [224, 224])).toEqual({ y0: -2, x0: 2, y1: 9, x1: 13 });
    expect(clipBox(fieldBox(conv1, [0, 1], [224, 224]), [224, 224])).toEqual({ y0: 0, x0: 2, y1: 9, x1: 13 });
    expect(clipBox(fieldBox(conv1, [60, 60], [224, 224]), [224, 224])).toEqual({
      y0: 224,
      x0: 224,
      y1: 224,
      x1: 224,
    });
    expect(fieldBox(whole, [0, 0], [224, 200])).toEqual({ y0: 0, x0: 0, y1: 224, x1: 200 });
  });

  it("see nothing of the pixels that windows left out, as the box of the layer says", () => {
    const field = { size: [63, 63], stride: [7, 7], start: [-28, -28], reason: "", extent: [0, 0, 126, 126] };
    expect(seenBox(field, [17, 17], [128, 128])).toEqual({ y0: 91, x0: 91, y1: 126, x1: 126 });
    expect(seenBox(field, [0, 2], [128, 128])).toEqual({ y0: 0, x0: 0, y1: 35, x1: 49 });
    expect(seenBox(conv1, [60, 0], [224, 224])).toEqual({ y0: 224, x0: 0, y1: 224, x1: 9 });
    expect(seenBox(whole, [0, 0], [224, 200])).toEqual({ y0: 0, x0: 0, y1: 224, x1: 200 });
  });

  it("lie around the centre of their fields, a stride wide", () => {
    const { y0, x0, y1, x1 } = placeMap(conv1, [55, 55], [224, 224]);
    expect([y0, x0, y1, x1]).toEqual([1.5, 1.5, 221.5, 221.5]);
    for (const row of [0, 7, 54]) {
      const box = fieldBox(conv1, [row, 0], [224, 224]);
      expect(y0 + (row + 0.5) * ((y1 - y0) / 55)).toBe((box.y0 + box.y1) / 2);
    }
    expect(placeMap(whole, [1, 1], [224, 224])).toEqual({ y0: 0, x0: 0, y1: 224, x1: 224 });
  });
});

describe("the tags of maps", () => {
  const tags = ["/conv/1 @ dogs/a.jpg", "/conv/1 @ b @ c.jpg", "conv2:2 @ dogs/a.jpg", "alone"];
  const parts = tags.map(splitTag);
  const run = {
    name: "a",
    last_wall_time: null,
    series: [],
    problems: [],
    records: tags.map((tag, i) => ({ id: String(i), kind: "maps", tag, step: 0, wall_time: 0, bytes: 1 })),
  } satisfies RunInfo;

  it("come apart at the first separator, whatever else is in them", () => {
    expect(parts.map(({ layer, picture }) => [layer, picture])).toEqual([
      ["/conv/1", "dogs/a.jpg"],
      ["/conv/1", "b @ c.jpg"],
      ["conv2:2", "dogs/a.jpg"],
      ["alone", ""],
    ]);
    expect(layersOf(parts)).toEqual(["/conv/1", "conv2:2", "alone"]);
  });

  it("lead from a layer to the same picture in another", () => {
    expect(tagOfLayer(parts, "conv2:2", "dogs/a.jpg")).toBe("conv2:2 @ dogs/a.jpg");
    expect(tagOfLayer(parts, "conv2:2", "not here.jpg")).toBe("conv2:2 @ dogs/a.jpg");
    expect(tagOfLayer(parts, "no layer")).toBeUndefined();
  });

  it("are listed once a layer, of the picture that is shown", () => {
    expect(listedTags(run, "maps", "/conv/1 @ b @ c.jpg")).toEqual([
      { tag: "/conv/1 @ b @ c.jpg", text: "/conv/1" },
      { tag: "conv2:2 @ dogs/a.jpg", text: "conv2:2" },
      { tag: "alone", text: "alone" },
    ]);
    expect(listedTags({ ...run, records: [{ ...run.records[0], kind: "filters" }] }, "filters")).toEqual([
      { tag: tags[0], text: tags[0] },
    ]);
  });

  it("and pictures are named without saying things twice", () => {
    expect(pictureText({ index: 3, name: "a.jpg", label: "dog" })).toBe("a.jpg · dog");
    expect(pictureText({ name: "dog", label: "dog" })).toBe("dog");
    expect(pictureText(null)).toBe("");
  });
});
