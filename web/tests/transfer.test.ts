import { describe, expect, it } from "vitest";
import { table } from "../src/lib/colour";
import {
  addPoint,
  formatTransfer,
  movePoint,
  opacityAt,
  PRESETS,
  parseTransfer,
  preset,
  removePoint,
  transferTable,
} from "../src/lib/transfer";

describe("transfer functions", () => {
  it("come back from their short form, by name or by points", () => {
    for (const signed of [false, true])
      for (const name of PRESETS) {
        const points = preset(name, signed);
        expect(formatTransfer(points, signed)).toBe(name);
        expect(parseTransfer(name, signed)).toEqual(points);
      }
    const own = parseTransfer("1:1,0:0.25,0.5:0", false);
    expect(own).toEqual([
      { at: 0, opacity: 0.25 },
      { at: 0.5, opacity: 0 },
      { at: 1, opacity: 1 },
    ]);
    expect(formatTransfer(own ?? [], false)).toBe("0:0.25,0.5:0,1:1");
  });

  it.each(["0:0", "0:0,2:1", "0:0,1:-1", "0:0,1:NaN", "a:b,1:1", ":,1:1", "0:0:0,1:1", "0:0,".repeat(40)])(
    "%s is none",
    (text) => expect(parseTransfer(text, false)).toBeUndefined(),
  );

  it("are straight between points and level beyond them", () => {
    const points = [
      { at: 0.2, opacity: 0.5 },
      { at: 0.6, opacity: 1 },
    ];
    expect([0, 0.2, 0.4, 0.6, 1].map((at) => opacityAt(points, at))).toEqual([0.5, 0.5, 0.75, 1, 1]);
  });

  it("keep points in order and the ends at the ends", () => {
    const ramp = preset("ramp", false);
    const { points, number } = addPoint(ramp, 0.5, 0.3);
    expect(number).toBe(2);
    expect(movePoint(points, 2, 0.05, 0.3)[2].at).toBe(0.1);
    expect(movePoint(points, 2, 9, 2)[2]).toEqual({ at: 1, opacity: 1 });
    expect(movePoint(points, 0, 0.7, 0.2)[0]).toEqual({ at: 0, opacity: 0.2 });
    expect(removePoint(points, 2)).toEqual(ramp);
    expect(removePoint(points, 0)).toBe(points);
    expect(removePoint(points, 3)).toBe(points);
  });

  it("take no more than two dozen points", () => {
    let points = preset("ramp", false);
    for (let i = 0; i < 40; i++) points = addPoint(points, i / 40, 0.5).points;
    expect(points.length).toBe(24);
  });

  it("leave zero clear on signed scales", () => {
    for (const name of PRESETS) {
      const rgba = transferTable(preset(name, true), table("diverging"));
      expect([rgba[4 * 127 + 3], rgba[4 * 128 + 3]]).toEqual([0, 0]);
    }
  });

  it("become colours with their opacity", () => {
    const rgba = transferTable(
      [
        { at: 0, opacity: 0 },
        { at: 1, opacity: 1 },
      ],
      table("grey"),
    );
    expect([...rgba.subarray(0, 4)]).toEqual([0, 0, 0, 0]);
    expect([...rgba.subarray(4 * 51, 4 * 52)]).toEqual([51, 51, 51, 51]);
    expect([...rgba.subarray(4 * 255)]).toEqual([255, 255, 255, 255]);
  });
});
