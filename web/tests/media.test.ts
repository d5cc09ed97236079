import { describe, expect, it } from "vitest";
import { entryAt, offStep, stepOf, unionOfSteps } from "../src/lib/stepbar";
import type { RunInfo } from "../src/source/source";
import {
  FIT,
  fitScale,
  formatZoom,
  natureOf,
  nextScale,
  pan,
  parseZoom,
  tagRows,
  zoomAt,
} from "../src/views/panels/picturemath";
import { PicturePool } from "../src/views/panels/picturepool";
import { filterOf } from "../src/views/panels/picturetools";
import { peaksOf, rms } from "../src/views/panels/soundwave";

const route = (params: Record<string, string>) => ({ view: "images", params });

describe("the slider over all steps", () => {
  it("has every step of every series once", () => {
    expect(unionOfSteps([[0, 10, 20], [5, 10], []])).toEqual([0, 5, 10, 20]);
  });

  it("finds the last entry at or before a step", () => {
    expect(entryAt([0, 10, 20], 15)).toBe(1);
    expect(entryAt([0, 10, 20], 10)).toBe(1);
    expect(entryAt([0, 10, 20], null)).toBe(2);
    expect(entryAt([10, 20], 5)).toBe(0);
    expect(entryAt([], 5)).toBe(-1);
  });

  it("takes the later of two entries of one step, and copes with steps that go back", () => {
    expect(entryAt([0, 10, 10, 20], 10)).toBe(2);
    expect(entryAt([0, 10, 20, 5, 15], 12)).toBe(1);
  });

  it("says where a card shows another step", () => {
    expect(offStep(10, 15)).toBe("nothing at 15");
    expect(offStep(10, 5)).toBe("nothing before 10");
    expect([offStep(10, 10), offStep(10, null)]).toEqual(["", ""]);
  });

  it("reads the address", () => {
    expect(stepOf(route({ step: "20" }))).toBe(20);
    expect([stepOf(route({})), stepOf(route({ step: "last" }))]).toEqual([null, null]);
  });
});

describe("tagRows", () => {
  const run = (name: string, ...tags: string[]): RunInfo =>
    ({ name, series: tags.map((tag) => ({ kind: "image", tag, count: 1 })) }) as unknown as RunInfo;

  it("lists the runs of every tag that contains what is searched for", () => {
    const runs = [run("a", "x/1", "y"), run("b", "X/2", "x/1")];
    expect(tagRows(runs, "image", "x/")).toEqual([
      { tag: "x/1", runs: ["a", "b"] },
      { tag: "X/2", runs: ["b"] },
    ]);
    expect(tagRows(runs, "audio", "")).toEqual([]);
  });
});

describe("zoom", () => {
  it("enlarges by whole device pixels and shrinks as far as needed", () => {
    expect(fitScale([8, 8], [224, 260], 1)).toBe(28);
    expect(fitScale([9, 9], [224, 260], 1)).toBe(24);
    expect(fitScale([100, 100], [150, 150], 2)).toBe(1.5);
    expect(fitScale([480, 640], [224, 320], 1)).toBeCloseTo(0.4667, 3);
  });

  it("keeps what is under the pointer where it is", () => {
    const before = { scale: 2, x: 0.5, y: 0.5 };
    const after = zoomAt(before, 8, [40, -20], [100, 200]);
    const under = (zoom: typeof before) => [zoom.x * 200 + 40 / zoom.scale, zoom.y * 100 - 20 / zoom.scale];
    under(after).forEach((place, i) => {
      expect(place).toBeCloseTo(under(before)[i]);
    });
  });

  it("moves with the hand and never loses the picture", () => {
    expect(pan({ scale: 4, x: 0.5, y: 0.5 }, 40, 0, [10, 100])).toEqual({ scale: 4, x: 0.4, y: 0.5 });
    expect(pan({ scale: 4, x: 0.5, y: 0.5 }, 4000, -4000, [10, 100])).toEqual({ scale: 4, x: 0, y: 1 });
  });

  it("goes to whole enlargements", () => {
    expect([nextScale(2.4, true, 1), nextScale(2.4, false, 1), nextScale(1, false, 1)]).toEqual([3, 2, 0.5]);
    expect(nextScale(0.5, true, 2)).toBe(1);
  });

  it("is written into the address and read from it", () => {
    const zoom = { scale: 8, x: 0.25, y: 0.5 };
    expect(parseZoom(formatZoom(zoom))).toEqual(zoom);
    expect([parseZoom("x"), parseZoom("0,1,1"), parseZoom(undefined)]).toEqual([FIT, FIT, FIT]);
    expect(formatZoom(FIT)).toBe("");
  });
});

describe("natureOf", () => {
  const bytes = (...parts: (string | number[])[]) =>
    new Uint8Array(
      parts.flatMap((part) => (typeof part === "string" ? [...part].map((c) => c.charCodeAt(0)) : part)),
    );
  const png = bytes([137], "PNG", [13, 10, 26, 10], [0, 0, 0, 2], "tEXt", [1, 2], [0, 0, 0, 0]);
  const chunk = (name: string) => bytes([0, 0, 0, 0], name, [0, 0, 0, 0]);
  const join = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));
  const head = bytes("GIF89a", [1, 0, 1, 0, 0x80, 0, 0], [0, 0, 0, 255, 255, 255]);
  const frame = bytes([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0]);
  const control = bytes([0x21, 0xf9, 4, 0, 10, 0, 0, 0]);

  it("tells films from still pictures", () => {
    expect(natureOf(join(png, chunk("acTL"), chunk("IDAT")))).toBe("moving");
    expect(natureOf(join(png, chunk("IDAT"), chunk("acTL")))).toBe("still");
    expect(natureOf(join(head, control, frame, control, frame, bytes([0x3b])))).toBe("moving");
    expect(natureOf(join(head, control, frame, bytes([0x3b])))).toBe("still");
    expect(natureOf(bytes([0, 0, 0, 24], "ftypisom"))).toBe("video");
  });

  it("ends at damaged and empty files", () => {
    expect(natureOf(png.subarray(0, 14))).toBe("still");
    expect(natureOf(join(head, control).subarray(0, 22))).toBe("still");
    expect(natureOf(new Uint8Array())).toBe("still");
  });
});

describe("filterOf", () => {
  it("is none until somebody asks for more light", () => {
    expect(filterOf(route({}))).toBe("none");
    expect(filterOf(route({ bright: "150" }))).toBe("brightness(150%) contrast(100%)");
    expect(filterOf(route({ contrast: "9999" }))).toBe("brightness(100%) contrast(400%)");
  });
});

describe("PicturePool", () => {
  const staying = () => new AbortController().signal;
  /** Answers only when told to. */
  function controlled(size = 10) {
    const asked: string[] = [];
    const answers: (() => void)[] = [];
    const fetch = (url: string) => {
      asked.push(url);
      return new Promise<Blob>((resolve) => answers.push(() => resolve(new Blob([new Uint8Array(size)]))));
    };
    return { asked, answers, fetch };
  }

  it("asks for six at a time, once each, and for what is near only after them", async () => {
    const { asked, answers, fetch } = controlled();
    const pool = new PicturePool(fetch);
    pool.prefetch("near", "near", staying());
    const all = Array.from({ length: 8 }, (_, i) => pool.get(String(i), String(i), staying()));
    const again = pool.get("0", "0", staying());
    expect(asked).toEqual(["near", "0", "1", "2", "3", "4"]);
    pool.prefetch("later", "later", staying());
    while (asked.length < 10 || answers.length) {
      answers.shift()?.();
      await new Promise((resolve) => setTimeout(resolve));
      if (!answers.length) break;
    }
    expect(asked.slice(6)).toEqual(["5", "6", "7", "later"]);
    expect(await again).toBe(await all[0]);
  });

  it("does not ask for what nobody wants any more", async () => {
    const { asked, answers, fetch } = controlled();
    const pool = new PicturePool(fetch);
    for (let i = 0; i < 6; i++) void pool.get(String(i), String(i), staying());
    const gone = new AbortController();
    const dropped = pool.get("gone", "gone", gone.signal);
    gone.abort();
    for (const answer of answers) answer();
    await expect(dropped).rejects.toThrow("not on screen");
    expect(asked).not.toContain("gone");
  });

  it("keeps no more than it may, the least recently used going first", async () => {
    const asked: string[] = [];
    const pool = new PicturePool((url) => {
      asked.push(url);
      return Promise.resolve(new Blob([new Uint8Array(10)]));
    }, 25);
    for (const key of ["a", "b", "a", "c"]) await pool.get(key, key, staying());
    expect(pool.bytes).toBe(20);
    for (const key of ["a", "b"]) await pool.get(key, key, staying());
    expect(asked).toEqual(["a", "b", "c", "b"]);
  });

  it("asks anew after a failure", async () => {
    let calls = 0;
    const pool = new PicturePool(() =>
      calls++ ? Promise.resolve(new Blob(["x"])) : Promise.reject(new Error("no")),
    );
    await expect(pool.get("a", "a", staying())).rejects.toThrow("no");
    expect((await pool.get("a", "a", staying())).size).toBe(1);
  });
});

describe("the wave form", () => {
  it("keeps every peak", () => {
    const samples = new Float32Array(1000);
    samples[503] = -0.75;
    samples[999] = 0.5;
    const peaks = peaksOf(samples, 10);
    expect([peaks[10], peaks[19]]).toEqual([-0.75, 0.5]);
    expect([...peaks].filter((value) => value !== 0)).toHaveLength(2);
  });

  it("draws short and empty sounds", () => {
    expect([...peaksOf(new Float32Array([0.25, -0.5]), 4)]).toEqual([
      0.25, 0.25, 0.25, 0.25, -0.5, -0.5, -0.5, -0.5,
    ]);
    expect([...peaksOf(new Float32Array(), 2)]).toEqual([0, 0, 0, 0]);
  });

  it("says how loud it is", () => {
    expect(rms(new Float32Array([1, -1, 1, -1]))).toBe(1);
    expect(rms(new Float32Array())).toBe(0);
  });
});
