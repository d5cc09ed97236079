import { describe, expect, it } from "vitest";
import { rangeIndex, rgb, signedIndex, table } from "../src/lib/colour";
import { categorical, classColour } from "../src/lib/palette";
import { insidePart, WHOLE } from "../src/lib/patch";
import { tileOf } from "../src/lib/sheet";

const sheet = {
  tile: [5, 7] as const,
  gutter: 2,
  columns: 9,
  rows: 16,
  total_rows: 40,
  channels: 3,
  codec: "webp",
  files: ["patch/000.webp", "patch/001.webp", "patch/002.webp"],
};

describe("tileOf", () => {
  it("finds the file and the pixels of a tile", () => {
    expect(tileOf(sheet, 0, 0)).toEqual({ file: "patch/000.webp", x: 2, y: 2, width: 7, height: 5 });
    expect(tileOf(sheet, 17, 3)).toEqual({
      file: "patch/001.webp",
      x: 3 * 11 + 2,
      y: 9 + 2,
      width: 7,
      height: 5,
    });
    expect(tileOf(sheet, 39, 8).file).toBe("patch/002.webp");
  });
});

describe("insidePart", () => {
  it("cuts what lies outside the picture", () => {
    expect(insidePart([-2, 0, 8, 10], 0, [28, 28], [10, 10])).toEqual({
      x: 0,
      y: 0.2,
      width: 1,
      height: 0.8,
    });
    expect(insidePart([0, 23, 10, 33], 0, [28, 28], [10, 10])).toEqual({ x: 0, y: 0, width: 0.5, height: 1 });
  });

  it("cuts tiles that are shrunk in the same shares", () => {
    const cut = { x: 0.75, y: 0, width: 0.25, height: 1 };
    expect(insidePart([0, -150, 200, 50], 0, [224, 224], [96, 96])).toEqual(cut);
    expect(insidePart([0, -150, 200, 50], 0, [224, 224], [96, 96], true)).toEqual(WHOLE);
    expect(insidePart([0, 0, 0, 0], 0, [224, 224], [96, 96])).toEqual(WHOLE);
  });

  it("leaves out pixels of a shrunk tile that are mixed with what lies outside", () => {
    const cut = insidePart([-66, 98, 97, 261], 0, [224, 224], [96, 96]);
    expect([96 * cut.x, 96 * cut.y]).toEqual([0, 39]); // 66 of 163 pixels are 38.9 of 96
    expect([96 * cut.width, 96 * cut.height]).toEqual([74, 57]); // 126 of 163 are 74.2
    const thin = insidePart([-162, 0, 1, 163], 0, [224, 224], [96, 96]);
    expect(96 * thin.height).toBeCloseTo(96 / 163); // no whole pixel: all there is
  });

  it("keeps tiles that are not the box, and boxes that are wholly inside", () => {
    expect(insidePart([-60, -60, 100, 100], 0, [28, 28], [28, 28])).toEqual(WHOLE);
    expect(insidePart([1, 1, 11, 11], 0, [28, 28], [10, 10])).toEqual(WHOLE);
  });
});

describe("colours", () => {
  it("has neutral grey at the zero of the diverging map", () => {
    const [r, g, b] = table("diverging").subarray(3 * 128, 3 * 129);
    expect(Math.max(r, g, b) - Math.min(r, g, b)).toBeLessThan(10);
    expect(signedIndex(0, 3)).toBe(128);
    expect(signedIndex(3, 3)).toBe(255);
    expect(signedIndex(-3, 3)).toBe(1);
    expect(signedIndex(99, 0)).toBe(128);
  });

  it("clips a range and survives NaN", () => {
    expect([
      rangeIndex(-1, 0, 1),
      rangeIndex(0.5, 0, 1),
      rangeIndex(2, 0, 1),
      rangeIndex(Number.NaN, 0, 1),
    ]).toEqual([0, 128, 255, 0]);
  });

  it("grows monotonically brighter in every sequential map", () => {
    for (const name of ["viridis", "magma", "inferno", "grey"] as const) {
      const colours = table(name);
      const light = (i: number): number =>
        0.2126 * colours[3 * i] + 0.7152 * colours[3 * i + 1] + 0.0722 * colours[3 * i + 2];
      for (let i = 16; i < 256; i += 8) expect(light(i)).toBeGreaterThan(light(i - 16));
    }
  });

  it("keeps categories readable on both surfaces", () => {
    const linear = (c: number): number =>
      c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = (hex: string): number => {
      const [r, g, b] = rgb(hex).map(linear);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a: string, b: string): number => {
      const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
      return (x + 0.05) / (y + 0.05);
    };
    for (let i = -1; i < 12; i++) {
      // Cards are white, the side bar is the darkest light surface.
      for (const surface of ["#ffffff", "#efede9"])
        expect(ratio(categorical(i, "light"), surface)).toBeGreaterThan(3);
      expect(ratio(categorical(i, "dark"), "#141b24")).toBeGreaterThan(i < 0 ? 3 : 4.5);
    }
  });

  it("gives no colour where there are more classes than colours", () => {
    expect(classColour(3, 1000, "light")).toBe(classColour(700, 1000, "light"));
    expect(classColour(3, 10, "light")).not.toBe(classColour(4, 10, "light"));
  });
});
