import { afterEach, describe, expect, it, vi } from "vitest";
import {
  commonWindow,
  following,
  frameMeta,
  framesOver,
  matching,
  type Over,
  oversOf,
  upcoming,
} from "../src/lib/animation";
import { Apng, chunksOf, crc32 } from "../src/lib/apng";
import { shotsOf, spread } from "../src/lib/film";
import { captionHeight, fitted } from "../src/lib/filmcaption";
import { FrameStore } from "../src/lib/framestore";
import { Gif, hundredths, SharedPalette } from "../src/lib/gif";
import { Playback } from "../src/lib/playback";
import type { VolumeData } from "../src/lib/volumedata";
import { webm } from "../src/lib/webm";
import type { Json, RecordInfo, RecordMeta, RunInfo, Source } from "../src/source/source";

const info = (tag: string, step = 0): RecordInfo => ({
  id: `${tag}@${step}`,
  kind: "volume",
  tag,
  step,
  wall_time: 0,
  bytes: 100,
});
const runOf = (...records: RecordInfo[]): RunInfo => ({
  name: "run",
  last_wall_time: null,
  series: [],
  records,
  problems: [],
});
const metaOf = (meta: Record<string, Json>): RecordMeta => ({
  ...info(String(meta.layer)),
  meta,
  arrays: { voxels: { dtype: "U8", shape: [4, 2, 2] } },
  pictures: {},
});
const names = (frames: readonly { name: string }[]): string[] => frames.map(({ name }) => name);

describe("the frames of a series", () => {
  const run = runOf(
    info("conv1/cat.png", 0),
    info("conv1/cat.png", 5),
    info("conv1/dog.png", 0),
    info("conv2/cat.png", 5),
    info("conv10/cat.png", 5),
    { ...info("conv1/other", 5), kind: "maps" },
  );
  const base = { tag: "conv1/cat.png", step: 5, layer: "conv1" };

  it("are the pictures of a layer, at the step where there is one, else the last", () => {
    const frames = framesOver(run, base, "images");
    expect(names(frames)).toEqual(["cat.png", "dog.png"]);
    expect(frames.map(({ record }) => record.step)).toEqual([5, 0]);
  });

  it("are the steps of a tag and the layers of a picture", () => {
    expect(names(framesOver(run, base, "steps"))).toEqual(["step 0", "step 5"]);
    expect(names(framesOver(run, base, "layers"))).toEqual(["conv1", "conv2", "conv10"]);
  });

  it("are offered only where there are two, classes only where the record knows its class", () => {
    const cat = frameMeta(metaOf({ layer: "conv1", image: { label: "cat" } }));
    expect(oversOf(run, base, cat)).toEqual(["images", "classes", "steps", "layers"]);
    const alone = runOf(info("conv1"));
    expect(oversOf(alone, { tag: "conv1", step: 0, layer: "conv1" }, cat)).toEqual([]);
  });

  it("are of one source and one layer, one a class: its mean where there is one", () => {
    const frame = (tag: string, meta: Record<string, Json>) => ({
      record: info(tag),
      name: tag.slice(6),
      meta: frameMeta(metaOf({ layer: "conv1", source: "weight_gradients", ...meta })),
    });
    const cat = { class: 3, class_name: "cat", image: "a.png", images: 1, name: "a.png" };
    const mean = { class: 3, class_name: "cat", image: null, images: 4, name: "cat, 4 images" };
    const dog = { class: 5, class_name: "dog", image: "b.png", images: 1, name: "b.png" };
    const frames = [
      frame("conv1/a", { group: cat }),
      frame("conv1/b", { group: dog }),
      frame("conv1/mean", { group: mean }),
      frame("conv1/maps", { source: "activations", image: { label: "bird" } }),
      frame("conv1/x/y", { layer: "conv1/x", group: dog }),
    ];
    const of = (over: Over) => names(matching(frames, frames[0].meta, over));
    expect(of("images")).toEqual(["a.png", "b.png", "cat, 4 images"]);
    expect(of("classes")).toEqual(["cat", "dog"]);
    expect(matching(frames, frames[0].meta, "classes")[0].record.tag).toBe("conv1/mean");
  });

  it("have one scale: the union of their windows, about zero where one is", () => {
    expect(
      commonWindow(
        [
          [0, 4],
          [-1, 2],
        ],
        false,
      ),
    ).toEqual([-1, 4]);
    expect(
      commonWindow(
        [
          [-1, 1],
          [0, 3],
        ],
        true,
      ),
    ).toEqual([-3, 3]);
    expect(commonWindow([], false)).toBeNull();
    expect(frameMeta(metaOf({ layer: "a", window: [0, 2] })).window).toEqual([0, 2]);
    expect(frameMeta(metaOf({ layer: "a", window: [2, 0] })).window).toBeNull();
    expect(frameMeta(metaOf({ layer: "a", scaling: { by: "symmetric" } })).symmetric).toBe(true);
  });
});

describe("the order in time", () => {
  const walk = (repeat: "loop" | "pingpong" | "once", length: number): number[] => {
    let now: { at: number; forward: boolean } | null = { at: 0, forward: true };
    const places = [];
    for (let i = 0; i < length && now; i++) {
      places.push(now.at);
      now = following(now.at, 3, repeat, now.forward);
    }
    return places;
  };

  it("goes round, there and back, or once", () => {
    expect(walk("loop", 7)).toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(walk("pingpong", 7)).toEqual([0, 1, 2, 1, 0, 1, 2]);
    expect(walk("once", 7)).toEqual([0, 1, 2]);
    expect(following(0, 1, "loop", true)).toBeNull();
  });

  it("knows what comes next, each once", () => {
    expect(upcoming(2, 4, "loop", true, 9)).toEqual([3, 0, 1]);
    expect(upcoming(2, 4, "pingpong", true, 2)).toEqual([3]);
    expect(upcoming(3, 4, "once", true, 2)).toEqual([]);
  });
});

describe("the playback", () => {
  afterEach(() => vi.useRealTimers());

  it("shows at the pace that is asked for and ends by itself", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const shown: [number, number][] = [];
    const ended: boolean[] = [];
    const start = performance.now();
    const playback = new Playback(
      async (at) => void shown.push([at, performance.now() - start]),
      (end) => ended.push(end),
    );
    Object.assign(playback, { count: 3, speed: 4, repeat: "once" });
    playback.play();
    await vi.advanceTimersByTimeAsync(2000);
    expect(shown).toEqual([
      [1, 250],
      [2, 500],
    ]);
    expect(playback.playing).toBe(false);
    expect(ended).toEqual([false, true]);
  });

  it("waits for a frame that is late and does not hurry after it", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const start = performance.now();
    const shown: number[] = [];
    const playback = new Playback(
      async (at) => {
        if (at === 1) await new Promise((resolve) => setTimeout(resolve, 900));
        shown.push(performance.now() - start);
      },
      () => undefined,
    );
    Object.assign(playback, { count: 9, speed: 10 });
    playback.play();
    await vi.advanceTimersByTimeAsync(1250);
    expect(shown).toEqual([1000, 1100, 1200]);
    playback.stop();
    await vi.advanceTimersByTimeAsync(1000);
    expect(shown.length).toBe(3);
  });
});

describe("the store of frames", () => {
  it("keeps what fits, the least recently shown goes first, and asks once", async () => {
    const asked: string[] = [];
    const fetch = async (_: Source, __: string, id: string): Promise<VolumeData> => {
      asked.push(id);
      return { volume: { data: new Uint8Array(100) } } as unknown as VolumeData;
    };
    const store = new FrameStore({} as Source, "run", 250, fetch);
    const [a, b, c] = ["a", "b", "c"].map((tag) => info(tag));
    await store.get(a);
    await store.get(b);
    await store.get(a);
    await store.get(c);
    expect(store.bytes).toBe(200);
    await store.get(a);
    expect(asked).toEqual(["a@0", "b@0", "c@0"]);
    await store.get(b);
    expect(asked.length).toBe(4);
  });

  it("takes all that a layer holds where a record tells no window", async () => {
    const metas: Record<string, RecordMeta> = {
      "a@0": metaOf({ layer: "a" }),
      "b@0": metaOf({ layer: "a", window: [0, 9] }),
    };
    const source = {
      record: async (_: string, id: string) => metas[id],
      arrays: async () => ({ scale: { shape: [2, 2], data: Float32Array.of(-1, 2, 0, 5) } }),
    } as unknown as Source;
    const told: number[] = [];
    const frames = [info("a"), info("b")].map((record) => ({ record, name: record.tag }));
    const known = await new FrameStore(source, "run").describe(frames, (done) => told.push(done));
    expect(known.map(({ meta }) => meta.window)).toEqual([
      [-1, 5],
      [0, 9],
    ]);
    expect(told).toEqual([1, 2]);
  });
});

// A PNG of one colour type, made and read without any of the code under test

async function through(
  stream: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>]);
  return new Uint8Array(await new Response(blob.stream().pipeThrough(stream)).arrayBuffer());
}

function bitwiseCrc(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const odd = (c ^ (byte >> bit)) & 1;
      c = (c >>> 1) ^ (odd ? 0xedb88320 : 0);
    }
  return ~c >>> 0;
}

async function pngOf(width: number, height: number, grey: readonly number[]): Promise<Uint8Array> {
  const rows = Uint8Array.from(
    Array.from({ length: height }, (_, y) => [0, ...grey.slice(y * width, (y + 1) * width)]).flat(),
  );
  const packed = await through(new CompressionStream("deflate"), rows);
  const chunk = (name: string, data: Uint8Array): number[] => {
    const body = [...new TextEncoder().encode(name), ...data];
    const sum = bitwiseCrc(Uint8Array.from(body));
    const big = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
    return [...big(data.length), ...body, ...big(sum)];
  };
  const head = Uint8Array.of(0, 0, 0, width, 0, 0, 0, height, 8, 0, 0, 0, 0);
  // Two data chunks, as browsers write large pictures.
  return Uint8Array.from([
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...chunk("IHDR", head),
    ...chunk("IDAT", packed.subarray(0, 5)),
    ...chunk("IDAT", packed.subarray(5)),
    ...chunk("IEND", new Uint8Array()),
  ]);
}

describe("an animated PNG", () => {
  const pixels = [
    [0, 50, 100, 150, 200, 250],
    [9, 8, 7, 6, 5, 4],
    [1, 1, 2, 3, 5, 8],
  ];

  it("holds the frames, their order, their delays and right check sums", async () => {
    const apng = new Apng();
    for (const grey of pixels) apng.add(await pngOf(3, 2, grey), 250);
    const bytes = new Uint8Array(await apng.finish().arrayBuffer());
    const view = new DataView(bytes.buffer);
    const chunks = chunksOf(bytes);
    expect(chunks.map(({ name }) => name)).toEqual([
      "IHDR",
      "acTL",
      ...["fcTL", "IDAT", "IDAT"],
      ...["fcTL", "fdAT", "fdAT"],
      ...["fcTL", "fdAT", "fdAT"],
      "IEND",
    ]);
    for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) {
      const end = at + 8 + view.getUint32(at);
      expect(view.getUint32(end)).toBe(bitwiseCrc(bytes.subarray(at + 4, end)));
    }
    const numbers = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.length);
    expect(numbers(chunks[1].data).getUint32(0)).toBe(3);
    const numbered = chunks.filter(({ name }) => name === "fcTL" || name === "fdAT");
    expect(numbered.map(({ data }) => numbers(data).getUint32(0))).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const controls = chunks.filter(({ name }) => name === "fcTL").map(({ data }) => numbers(data));
    expect(controls.map((one) => one.getUint16(20) / one.getUint16(22))).toEqual([0.25, 0.25, 0.25]);
    const second = chunks.filter(({ name }) => name === "fdAT").slice(0, 2);
    const packed = Uint8Array.from(second.flatMap(({ data }) => [...data.subarray(4)]));
    expect([...(await through(new DecompressionStream("deflate"), packed))]).toEqual([
      0, 9, 8, 7, 0, 6, 5, 4,
    ]);
  });

  it("refuses frames of another size and what is no PNG", async () => {
    const apng = new Apng();
    apng.add(await pngOf(3, 2, pixels[0]), 100);
    const wide = await pngOf(2, 3, pixels[1]);
    expect(() => apng.add(wide, 100)).toThrow("one size");
    expect(() => apng.add(Uint8Array.of(1, 2, 3), 100)).toThrow("not a PNG");
    expect(() => apng.add(wide.subarray(0, 45), 100)).toThrow("ends too early");
    expect(() => new Apng().finish()).toThrow("at least one frame");
  });

  it("sums as the specification says", () => {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });
});

// A reader of GIF: blocks, palette, LZW

interface ReadGif {
  readonly palette: readonly number[];
  readonly frames: readonly { delay: number; index: readonly number[]; ownColours: boolean }[];
  readonly loops: number | undefined;
}

function readGif(bytes: Uint8Array): ReadGif {
  expect(new TextDecoder().decode(bytes.subarray(0, 6))).toBe("GIF89a");
  const size = 2 << (bytes[10] & 7);
  const palette = [...bytes.subarray(13, 13 + 3 * size)];
  const frames: { delay: number; index: readonly number[]; ownColours: boolean }[] = [];
  let [at, delay, loops] = [13 + 3 * size, 0, undefined as number | undefined];
  const blocks = (from: number): [number[], number] => {
    const data: number[] = [];
    let here = from;
    for (; bytes[here]; here += bytes[here] + 1)
      data.push(...bytes.subarray(here + 1, here + 1 + bytes[here]));
    return [data, here + 1];
  };
  while (bytes[at] !== 0x3b) {
    if (bytes[at] === 0x21) {
      const [data, end] = blocks(at + 2);
      if (bytes[at + 1] === 0xf9) delay = data[1] | (data[2] << 8);
      else loops = data[12] | (data[13] << 8);
      at = end;
    } else {
      expect(bytes[at]).toBe(0x2c);
      const [data, end] = blocks(at + 11);
      frames.push({ delay, index: unpack(data, bytes[at + 10]), ownColours: bytes[at + 9] > 127 });
      at = end;
    }
  }
  return { palette, frames, loops };
}

function unpack(data: readonly number[], least: number): number[] {
  const [clear, end] = [1 << least, (1 << least) + 1];
  let [width, bit] = [least + 1, 0];
  let words: number[][] = [];
  let before: number[] | undefined;
  const out: number[] = [];
  for (;;) {
    let code = 0;
    for (let i = 0; i < width; i++, bit++) code |= ((data[bit >> 3] >> (bit & 7)) & 1) << i;
    if (code === end) return out;
    if (code === clear) {
      words = Array.from({ length: clear + 2 }, (_, i) => [i]);
      [width, before] = [least + 1, undefined];
      continue;
    }
    const word = words[code] ?? [...(before ?? []), (before ?? [])[0]];
    out.push(...word);
    if (before && words.length < 4096) words.push([...before, word[0]]);
    if (words.length === 1 << width && width < 12) width++;
    before = word;
  }
}

describe("a GIF", () => {
  const frame = (...colours: number[]): Uint8ClampedArray =>
    Uint8ClampedArray.from(colours.flatMap((rgb) => [rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255]));

  it("has the frames' pixels, the palette once, delays and an endless loop", () => {
    const frames = [
      frame(0x000000, 0xff0000, 0x00ff00, 0x0000ff),
      frame(0x0000ff, 0x00ff00, 0xff0000, 0x102030),
    ];
    const palette = new SharedPalette();
    for (const pixels of frames) palette.learn(pixels);
    palette.settle();
    const gif = new Gif(palette, 2, 2);
    frames.forEach((pixels, i) => {
      gif.add(pixels, [33, 34][i]);
    });
    return gif
      .finish()
      .arrayBuffer()
      .then((buffer) => {
        const read = readGif(new Uint8Array(buffer));
        expect(read.loops).toBe(0);
        expect(read.frames.map(({ delay }) => delay)).toEqual([33, 34]);
        expect(read.frames.map(({ ownColours }) => ownColours)).toEqual([false, false]);
        const shown = read.frames.map(({ index }) => index.map((i) => read.palette.slice(3 * i, 3 * i + 3)));
        expect(shown[0]).toEqual([
          [0, 0, 0],
          [255, 0, 0],
          [0, 255, 0],
          [0, 0, 255],
        ]);
        expect(shown[1]).toEqual([
          [0, 0, 255],
          [0, 255, 0],
          [255, 0, 0],
          [16, 32, 48],
        ]);
      });
  });

  it("gives a colour the same entry in every frame, whatever stands beside it", () => {
    const ramp = Array.from({ length: 1200 }, (_, i) => (i * 13_999) & 0xffffff);
    const palette = new SharedPalette();
    palette.learn(frame(...ramp));
    palette.settle();
    expect(palette.colours.length).toBeLessThanOrEqual(256);
    const first = palette.apply(frame(...ramp));
    const back = palette.apply(frame(...[...ramp].reverse()));
    expect([...back].reverse()).toEqual([...first]);
    const off = (rgb: number, i: number): number =>
      Math.hypot(...[16, 8, 0].map((shift, c) => ((rgb >> shift) & 255) - palette.colours[i][c]));
    const nearest = ramp.map((rgb) => Math.min(...palette.colours.map((_, i) => off(rgb, i))));
    expect(ramp.filter((rgb, i) => off(rgb, first[i]) > nearest[i] + 1e-9)).toEqual([]);
  });

  it("makes up for rounded delays", () => {
    expect(hundredths(6, 12)).toEqual([8, 9, 8, 8, 9, 8]);
    expect(hundredths(24, 24).reduce((sum, one) => sum + one)).toBe(100);
  });
});

describe("a WebM file", () => {
  /** The children of an element with eight-byte lengths. */
  const read = (bytes: Uint8Array): [id: number, content: Uint8Array][] => {
    const found: [number, Uint8Array][] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = Math.clz32(bytes[at]) - 23;
      const id = bytes.subarray(at, at + length).reduce((sum, byte) => sum * 256 + byte, 0);
      const view = new DataView(bytes.buffer, bytes.byteOffset + at + length);
      const size = Number(view.getBigUint64(0) & 0xffffffffffffffn);
      found.push([id, bytes.subarray(at + length + 8, at + length + 8 + size)]);
      at += length + 8 + size;
    }
    return found;
  };

  it("has a head, one track and the frames at their times", () => {
    const frames = [0, 333.3, 666.7, 1000].map((time, i) => ({
      data: Uint8Array.of(i, i),
      time,
      key: i % 3 === 0,
    }));
    const file = webm({ codec: "V_VP9", width: 640, height: 480, duration: 1333 }, frames);
    const [[head], [segment, content]] = read(file);
    expect([head, segment]).toEqual([0x1a45dfa3, 0x18538067]);
    const [[, about], [, tracks], ...clusters] = read(content);
    const seconds = read(about).find(([id]) => id === 0x4489)?.[1] ?? new Uint8Array(8);
    expect(new DataView(seconds.buffer, seconds.byteOffset).getFloat64(0)).toBe(1333);
    const entry = new Map(read(read(tracks)[0][1]));
    expect(new TextDecoder().decode(entry.get(0x86))).toBe("V_VP9");
    expect(read(entry.get(0xe0) ?? file).map(([, size]) => 256 * size[0] + size[1])).toEqual([640, 480]);
    const times = clusters.map(([, cluster]) => {
      const [[, start], ...blocks] = read(cluster);
      const from = start.reduce((sum, byte) => sum * 256 + byte, 0);
      return blocks.map(([, block]) => [from + 256 * block[1] + block[2], block[3], block[4]]);
    });
    expect(times).toEqual([
      [
        [0, 128, 0],
        [333, 0, 1],
        [667, 0, 2],
      ],
      [[1000, 128, 3]],
    ]);
  });
});

describe("the shots of a film", () => {
  it("are the frames, a whole turn without its end, or both", () => {
    expect(shotsOf("frames", [0, 1, 0], 9).map(({ frame }) => frame)).toEqual([0, 1, 0]);
    const turn = shotsOf("turn", [], 4);
    expect(turn.map((shot) => shot.turn / Math.PI)).toEqual([0, 0.5, 1, 1.5]);
    expect(turn.every(({ frame }) => frame === null)).toBe(true);
    expect(shotsOf("both", [0, 1], 4).map(({ frame }) => frame)).toEqual([0, 0, 1, 1]);
  });

  it("are looked at from the first to the last", () => {
    expect(spread(3, 12)).toEqual([0, 1, 2]);
    expect(spread(101, 5)).toEqual([0, 25, 50, 75, 100]);
  });

  it("have a caption that is even and fits", () => {
    expect(captionHeight(480) % 2).toBe(0);
    const width = (text: string): number => 10 * text.length;
    expect(fitted(width, "short", 100)).toBe("short");
    expect(fitted(width, "a long name of a picture", 100)).toBe("a long na…");
  });
});
