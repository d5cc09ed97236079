import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { exportedPlace, exportedText, isExported } from "../src/lib/exported";
import { type Blocks, fromBase64, gunzip, PageBlocks } from "../src/source/blocks";
import { InlineSource } from "../src/source/inline";
import type { Index, RecordMeta, Tensors } from "../src/source/source";

type Bytes = Uint8Array<ArrayBuffer>;

const copied = (bytes: ArrayLike<number>): Bytes => Uint8Array.from(bytes);
const json = (value: unknown): Bytes => copied(new TextEncoder().encode(JSON.stringify(value)));

/** A safetensors file, its header padded to eights as the library does. */
function tensors(arrays: Record<string, { dtype: string; shape: number[]; data: ArrayBufferView }>): Bytes {
  let at = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { dtype, shape, data }] of Object.entries(arrays)) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const text = JSON.stringify(header);
  const head = new TextEncoder().encode(text.padEnd(8 * Math.ceil(text.length / 8)));
  const out = new Uint8Array(8 + head.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(head.length), true);
  out.set(head, 8);
  let place = 8 + head.length;
  for (const { data } of Object.values(arrays)) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), place);
    place += data.byteLength;
  }
  return out;
}

/** Byte 0 of every number, then byte 1 of every number, and so on. */
const planes = (bytes: Bytes, width: number): Bytes =>
  copied(
    Array.from({ length: bytes.length }, (_, i) => {
      const count = bytes.length / width;
      return bytes[(i % count) * width + Math.floor(i / count)];
    }),
  );

const floats = (
  shape: number[],
  values: number[],
): { dtype: string; shape: number[]; data: Float32Array } => ({
  dtype: "F32",
  shape,
  data: Float32Array.from(values),
});
const doubles = (
  shape: number[],
  values: number[],
): { dtype: string; shape: number[]; data: Float64Array } => ({
  dtype: "F64",
  shape,
  data: Float64Array.from(values),
});

const RUN = "</script>";
const INDEX = {
  logdir: "net",
  version: 1,
  runs: [{ name: RUN }, { name: "plain" }],
} as unknown as Index;
const SHEET = { tile: [4, 6], gutter: 2, columns: 3, rows: 5, total_rows: 9, channels: 3, codec: "webp" };
const RECORD = {
  id: "7-topk",
  kind: "topk",
  pictures: { patch: { ...SHEET, files: ["patch/0.webp", "patch/1.webp"] } },
};
const long = (start: number, rows: number): Bytes => {
  const values = Array.from({ length: 2 * rows }, (_, i) => 2 * start + i);
  return planes(tensors({ long: floats([rows, 2], values) }), 4);
};
const curve = tensors({
  step: doubles([3], [1, 2, 3]),
  wall_time: doubles([3], [10, 20, 30]),
  value: doubles([3], [0.5, 0.25, 0.125]),
});
const histogram = tensors({
  step: doubles([2], [1, 2]),
  wall_time: doubles([2], [10, 20]),
  stats: doubles([2, 5], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
  offset: { dtype: "I32", shape: [3], data: Int32Array.of(0, 2, 5) },
  limit: doubles([5], [1, 2, 3, 4, 5]),
  count: doubles([5], [5, 4, 3, 2, 1]),
  special: doubles([2, 3], [1, 0, 2, 0, 3, 0]),
});
const sounds = tensors({ step: doubles([2], [1, 2]), rate: doubles([2], [8000, 16000]) });
const triangle = tensors({ vertices: floats([3, 3], [0, 0, 0, 1, 0, 0, 0, 1, 0]) });
const LETTER = new TextEncoder().encode("ü");
/** A text whose first megabyte ends within a letter. */
const longText = copied([...new Uint8Array((1 << 20) - 1).fill(97), ...LETTER, ...LETTER]);
const GRAPH = { nodes: [{ name: "conv" }] };
const LAYOUT = { categories: [{ title: "a", charts: [] }] };
const MANIFEST = {
  format: 2,
  index: INDEX,
  runs: {
    [RUN]: {
      records: {
        "7-topk": {
          record: 1,
          arrays: { value: [2, 4, [2]], long: [3, 4, [3, 4, 5]], constructor: [1, 4, [6]], one: [0, 4, [9]] },
          pictures: { "patch/1.webp": 50 },
        },
      },
      series: { scalar: { loss: 7 }, histogram: { weights: 8 }, image: {}, audio: { tone: 10 } },
      media: {
        image: { seen: [51, 52] },
        audio: { tone: [53, -1] },
        text: { notes: [11, -1] },
        mesh: { body: [[12], [-1]] },
      },
      hparams: 13,
      layout: 14,
      graphs: [15, -1],
    },
    plain: { records: {}, series: { moments: { weights: 8 } }, media: {} },
  },
};

class FakeBlocks implements Blocks {
  readonly asked: number[] = [];
  constructor(readonly all: ReadonlyMap<number, Bytes>) {}
  async bytes(block: number): Promise<Bytes> {
    this.asked.push(block);
    const bytes = this.all.get(block);
    if (!bytes) throw new Error(`no block ${block}`);
    return bytes;
  }
  url = (block: number): string => `blob:${block}`;
}

describe("InlineSource", () => {
  let blocks: FakeBlocks;
  let source: InlineSource;
  const build = (manifest: unknown): InlineSource => {
    blocks = new FakeBlocks(
      new Map([
        [0, json(manifest)],
        [1, json(RECORD)],
        [2, planes(tensors({ value: floats([2, 2], [1, -2, 3, Number.NaN]) }), 4)],
        [3, long(0, 3)],
        [4, long(3, 3)],
        [5, long(6, 1)],
        [6, planes(tensors({ constructor: floats([1], [9]) }), 4)],
        [7, planes(curve, 8)],
        [8, histogram.length % 8 ? histogram : planes(histogram, 8)],
        [9, planes(tensors({ one: floats([], [42]) }), 4)],
        [10, planes(sounds, 8)],
        [11, longText],
        [12, planes(triangle, 4)],
        [13, json({ run: RUN, values: { lr: 0.1 } })],
        [14, json(LAYOUT)],
        [15, json(GRAPH)],
      ]),
    );
    return new InlineSource(blocks, 0);
  };
  beforeEach(() => {
    source = build(MANIFEST);
  });

  it("answers with the index and never changes", async () => {
    expect(await source.index()).toEqual(INDEX);
    const said: unknown[] = [];
    source.watch(
      (version) => said.push(version),
      (yes) => said.push(yes),
    )();
    expect(said).toEqual([true]);
  });

  it("unpacks only the arrays that are asked for, and each block once", async () => {
    const answer: Tensors = await source.arrays(RUN, "7-topk", ["value", "constructor"]);
    const [value, odd] = Object.values(answer);
    expect([...value.data]).toEqual([1, -2, 3, Number.NaN]);
    expect(value.shape).toEqual([2, 2]);
    expect([...odd.data]).toEqual([9]);
    await source.arrays(RUN, "7-topk", ["value"]);
    expect(blocks.asked).toEqual([0, 2, 6]);
    expect([...(await source.arrays(RUN, "7-topk", ["one"])).one.data]).toEqual([42]);
  });

  it("unpacks only the rows that are asked for", async () => {
    const all = (await source.arrays(RUN, "7-topk", ["long"])).long;
    expect(all.shape).toEqual([7, 2]);
    expect([...all.data]).toEqual(Array.from({ length: 14 }, (_, i) => i));
    for (let start = 0; start < 7; start++)
      for (let stop = start; stop < 9; stop++) {
        const part = (await source.arrays(RUN, "7-topk", ["long"], undefined, [start, stop])).long;
        expect(part.shape).toEqual([Math.min(stop, 7) - start, 2]);
        expect([...part.data]).toEqual([...all.data.slice(2 * start, 2 * stop)]);
      }
    source = build(MANIFEST);
    await source.arrays(RUN, "7-topk", ["long"], undefined, [4, 6]);
    expect(blocks.asked).toEqual([0, 4]);
    const { value } = await source.arrays(RUN, "7-topk", ["value"], undefined, [1, 2]);
    expect([...value.data]).toEqual([3, Number.NaN]);
  });

  it("answers with the points from a number on", async () => {
    const scalars = await source.scalars(RUN, "loss", 1);
    expect([...scalars.step]).toEqual([2, 3]);
    expect([...scalars.wallTime]).toEqual([20, 30]);
    expect([...scalars.value]).toEqual([0.25, 0.125]);
    const whole = await source.histograms(RUN, "weights", 0);
    expect([...whole.offset]).toEqual([0, 2, 5]);
    const rest = await source.histograms(RUN, "weights", 1);
    expect([...rest.offset]).toEqual([0, 3]);
    expect([...rest.limit]).toEqual([3, 4, 5]);
    expect([...rest.count]).toEqual([3, 2, 1]);
    expect([...rest.stats]).toEqual([5, 6, 7, 8, 9]);
    expect([...rest.special]).toEqual([0, 3, 0]);
    expect([...rest.step]).toEqual([2]);
    expect([...(await source.histograms(RUN, "weights", 2)).limit]).toEqual([]);
  });

  it("gives pictures an address, and hatches those that were left out at their size", async () => {
    const record = (await source.record(RUN, "7-topk")) as RecordMeta;
    expect(record.kind).toBe("topk");
    expect(source.pictureUrl(RUN, "7-topk", "patch/1.webp")).toBe("blob:50");
    const gone = decodeURIComponent(await source.pictureUrl(RUN, "7-topk", "patch/0.webp"));
    expect(gone).toContain('width="30" height="40"');
    expect(decodeURIComponent(await source.pictureUrl(RUN, "7-topk", "constructor"))).toContain('width="1"');
    expect(source.imageUrl(RUN, "seen", 1)).toBe("blob:52");
    expect(source.imageUrl(RUN, "seen", 2)).toMatch(/^data:image\/svg/);
  });

  it("says what is not in the file", async () => {
    await expect(source.record(RUN, "constructor")).rejects.toThrow(
      /no record constructor of run <\/script>/,
    );
    await expect(source.record("toString", "7-topk")).rejects.toThrow(/run toString in this file/);
    await expect(source.arrays(RUN, "7-topk", ["toString"])).rejects.toThrow(/no array toString of record/);
    await expect(source.scalars(RUN, "accuracy", 0)).rejects.toThrow(/no scalar accuracy/);
    await expect(source.text(RUN, "toString", 0)).rejects.toThrow(
      /text 0 of toString of run <.script> is not/,
    );
    await expect(source.textUrl(RUN, "notes", 1)).rejects.toThrow(/text 1 of notes/);
    await expect(source.mesh(RUN, "body", 1, 0)).rejects.toThrow(/mesh 1 of body/);
    await expect(source.mesh(RUN, "body", 0, 7)).rejects.toThrow(/mesh 0 of body/);
    await expect(source.graph(RUN, 1)).rejects.toThrow(/graph 1 of run/);
    await expect(source.graph("plain", 0)).rejects.toThrow(/graph 0 of run plain/);
    await expect(source.audioUrl(RUN, "tone", 1)).rejects.toThrow(/sound 1 of tone/);
    await expect(build({ ...MANIFEST, format: 1 }).index()).rejects.toThrow(/format 1/);
  });

  it("answers what training has logged, as a server does", async () => {
    await source.index();
    const later = await source.series(RUN, "audio", "tone", 1);
    expect([...later.rate.data]).toEqual([16000]);
    expect(source.audioUrl(RUN, "tone", 0)).toBe("blob:53");
    const { vertices } = await source.mesh(RUN, "body", 0, 0);
    expect(vertices.shape).toEqual([3, 3]);
    expect([...vertices.data]).toEqual([0, 0, 0, 1, 0, 0, 0, 1, 0]);
    expect(await source.hparams()).toEqual({ runs: [{ run: RUN, values: { lr: 0.1 } }] });
    expect(await source.layout(RUN)).toEqual(LAYOUT);
    expect(await source.layout("plain")).toEqual({ categories: [] });
    expect(await source.graph(RUN, 0)).toEqual(GRAPH);
  });

  it("has the moments of histograms, whether they were packed or not", async () => {
    const of = async (run: string, start: number): Promise<number[]> => [
      ...(await source.series(run, "moments", "weights", start)).stats.data,
    ];
    expect(await of(RUN, 1)).toEqual([5, 6, 7, 8, 9]);
    expect(await of("plain", 1)).toEqual([5, 6, 7, 8, 9]);
    expect(Object.keys(await source.series(RUN, "moments", "weights", 0))).toEqual([
      "step",
      "wall_time",
      "stats",
      "special",
    ]);
  });

  it("shows the first megabyte of a text, without the letter that the cut has halved", async () => {
    const { text, bytes } = await source.text(RUN, "notes", 0);
    expect(bytes).toBe((1 << 20) + 3);
    expect(text).toBe("a".repeat((1 << 20) - 1));
    const url = await source.textUrl(RUN, "notes", 0);
    expect(await (await fetch(url)).text()).toBe(`${text}üü`);
    expect(await source.textUrl(RUN, "notes", 0)).toBe(url);
  });

  it("ends with the question", async () => {
    const gone = AbortSignal.abort();
    await expect(source.index(gone)).rejects.toThrow(/aborted/);
    await expect(source.arrays(RUN, "7-topk", ["value"], gone)).rejects.toThrow(/aborted/);
  });

  it("asks again for a block that could not be unpacked", async () => {
    const broken = new FakeBlocks(new Map());
    const again = new InlineSource(broken, 0);
    await expect(again.index()).rejects.toThrow(/no block 0/);
    (broken.all as Map<number, Bytes>).set(0, json(MANIFEST));
    expect(await again.index()).toEqual(INDEX);
  });
});

/** A document of which some has been read, as far as PageBlocks looks at it. */
class FakePage extends EventTarget {
  readyState: DocumentReadyState = "loading";
  body = {};
  readonly elements = new Map<string, { type: string; text: string; nextSibling: object | null }>();
  getElementById = (id: string): unknown => this.elements.get(id) ?? null;
  put(id: string, text: string, nextSibling: object | null = {}): void {
    this.elements.set(id, { type: "image/webp", text, nextSibling });
    for (const grow of grown) grow();
  }
  end(): void {
    this.readyState = "interactive";
    this.dispatchEvent(new Event("readystatechange"));
  }
}
const grown = new Set<() => void>();
class FakeObserver {
  constructor(private readonly grow: () => void) {}
  observe = (): unknown => grown.add(this.grow);
  disconnect = (): unknown => grown.delete(this.grow);
}

describe("PageBlocks", () => {
  let page: FakePage;
  let blocks: PageBlocks;
  const soon = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  beforeEach(() => {
    vi.stubGlobal("MutationObserver", FakeObserver);
    page = new FakePage();
    blocks = new PageBlocks(page as unknown as Document);
  });
  afterEach(() => vi.unstubAllGlobals());

  it("waits for a block until all of it has been read", async () => {
    page.put("block-1", btoa("whole"));
    page.put("block-2", btoa("ha"), null);
    expect([...(await blocks.bytes(1))]).toEqual([..."whole"].map((letter) => letter.charCodeAt(0)));
    const got = vi.fn();
    const asked = blocks.bytes(2).then(got);
    await soon();
    expect(got).not.toHaveBeenCalled();
    page.put("block-2", btoa("half"));
    page.put("block-3", "");
    await asked;
    expect(got.mock.calls[0][0]).toHaveLength(4);
    expect(grown.size).toBe(0);
  });

  it("has the last block when the page has ended, and then says what is missing", async () => {
    page.put("block-1", btoa("last"), null);
    const [last, none] = [blocks.bytes(1), blocks.bytes(7)];
    page.end();
    expect(await last).toHaveLength(4);
    await expect(none).rejects.toThrow("no block 7; it may be cut off");
    await expect(blocks.url(7)).rejects.toThrow("no block 7");
  });

  it("gives a block one address, at once where it is there", async () => {
    page.put("block-1", btoa("picture"));
    const here = blocks.url(1);
    expect(here).toMatch(/^blob:/);
    expect(blocks.url(1)).toBe(here);
    const coming = blocks.url(2);
    expect(blocks.url(2)).toBe(coming);
    page.put("block-2", btoa("later"));
    expect(await (await fetch(await coming)).text()).toBe("later");
  });

  it("forgets the addresses that were asked for longest ago", async () => {
    const revoked: string[] = [];
    vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => revoked.push(url));
    for (let n = 0; n <= 513; n++) page.put(`block-${n}`, "");
    const first = await blocks.url(0);
    const second = await blocks.url(1);
    for (let n = 2; n < 512; n++) blocks.url(n);
    blocks.url(0);
    blocks.url(512);
    expect(revoked).toEqual([second]);
    expect(blocks.url(0)).toBe(first);
    vi.restoreAllMocks();
  });
});

describe("blocks", () => {
  it("are base64 of gzip", async () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 256);
    const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
    const text = btoa(String.fromCharCode(...new Uint8Array(await new Response(packed).arrayBuffer())));
    expect(await gunzip(fromBase64(text))).toEqual(bytes);
    expect(fromBase64("")).toEqual(new Uint8Array());
    await expect(gunzip(Uint8Array.of(1, 2, 3))).rejects.toThrow();
  });
});

describe("an exported page", () => {
  it("says of what, as of when and by which version it is", () => {
    const about = { version: "0.1.0", wall_time: 1795252800, limited: false };
    expect(exportedText(INDEX, about)).toBe("net · 21 Nov 2026, 09:20 UTC · convscope 0.1.0");
    expect(exportedText(INDEX, { ...about, wall_time: null, version: "" })).toBe("net · convscope");
  });

  it("knows which channels it has", () => {
    const record = (meta: RecordMeta["meta"]): RecordMeta => ({ meta }) as RecordMeta;
    const some = record({ exported_channels: [3, 33] });
    expect([0, 3, 33].filter(isExported(some))).toEqual([3, 33]);
    expect([0, 3, 33].filter(isExported(record({})))).toEqual([0, 3, 33]);
    expect(exportedPlace(some, { at: 33, note: "" })).toEqual({ at: 33, note: "" });
    expect(exportedPlace(some, { at: 4, note: "" })).toEqual({
      at: -1,
      note: "Channel 4 is not in this file.",
    });
    expect(exportedPlace(some, { at: -1, note: "why" })).toEqual({ at: -1, note: "why" });
  });
});
