// The files of a site: which are loaded and how often, what is said where one is missing, and whose a run is.
import { describe, expect, it } from "vitest";
import { DataFiles, FileBlocks } from "../src/source/fileblocks";
import { SiteSource } from "../src/source/site";

const name = (digit: string): string => digit.repeat(32);
/** JSON without compression: what is not gzip is taken as it is. */
const block = (value: unknown): readonly [string, string] => [
  "application/json",
  btoa(JSON.stringify(value)),
];

/** Files by their names, and the paths that were asked for. */
function hosted(files: Record<string, readonly (readonly [string, string])[]>): {
  files: DataFiles;
  asked: string[];
} {
  const asked: string[] = [];
  const data = new DataFiles(async (path) => {
    asked.push(path);
    const found = /data\/(..)\/(\1.{30})\.js/.exec(path)?.[2] ?? "";
    if (files[found]) globalThis.convscopeData(found, files[found]);
  });
  return { files: data, asked };
}

const table = {
  files: [name("b")],
  blocks: [
    [0, 1],
    [0, 0],
    [7, 0],
  ],
};

describe("blocks in files", () => {
  const site = { [name("a")]: [block(table)], [name("b")]: [block("first"), block("second")] };

  it("takes blocks that share a file from one load of it", async () => {
    const { files, asked } = hosted(site);
    const blocks = new FileBlocks(files, name("a"));
    const texts = await Promise.all([0, 1].map(async (n) => new TextDecoder().decode(await blocks.bytes(n))));
    expect(texts).toEqual(['"second"', '"first"']);
    expect(asked).toEqual([`data/aa/${name("a")}.js`, `data/bb/${name("b")}.js`]);
  });

  it.each([2, 3, -1])("says that block %i is not there", async (number) => {
    await expect(new FileBlocks(hosted(site).files, name("a")).bytes(number)).rejects.toThrow("has no block");
  });

  it("asks again for a file that has not come, and says that it is damaged", async () => {
    const { files, asked } = hosted({});
    const blocks = new FileBlocks(files, name("a"));
    await expect(blocks.bytes(0)).rejects.toThrow("is damaged");
    await expect(blocks.url(0)).rejects.toThrow("is damaged");
    expect(asked.length).toBe(2);
  });
});

describe("a site of several exports", () => {
  const told = { run: "net", values: { rate: 0.1 }, metrics: {}, status: "", started: null, ended: null };
  const run = { records: {}, series: {}, media: {}, hparams: 1 };
  const index = { logdir: "net", version: 1, runs: [{ name: "net" }] };
  const part = (letter: string): Record<string, readonly (readonly [string, string])[]> => ({
    [name(letter)]: [
      block({
        files: [name(letter.toUpperCase())],
        blocks: [
          [0, 0],
          [0, 1],
        ],
      }),
    ],
    [name(letter.toUpperCase())]: [block({ format: 2, index, runs: { net: run } }), block(told)],
  });
  const entry = (letter: string, shown: string): object => ({
    table: name(letter),
    manifest: 0,
    runs: { [shown]: "net" },
  });
  const pages = {
    net: [
      "net",
      {
        conv: [
          "conv",
          [
            [0, 3],
            [7, 8],
          ],
        ],
      },
    ],
    constructor: ["x", {}],
  };
  const all = {
    format: 1,
    index: { logdir: "2 networks", version: 1, runs: [] },
    entries: [entry("d", "net"), entry("e", "other/net")],
    pages,
  };

  it("asks each export for what is its own, under the names that the site has", async () => {
    const { files, asked } = hosted({ [name("c")]: [block(all)], ...part("d"), ...part("e") });
    const source = new SiteSource(files, name("c"));
    expect((await source.index()).logdir).toBe("2 networks");
    expect(asked.length).toBe(1);
    expect((await source.hparams()).runs.map((one) => one.run)).toEqual(["net", "other/net"]);
    expect(await source.layout("other/net")).toEqual({ categories: [] });
    await expect(source.layout("none")).rejects.toThrow("no run none in this site");
  });

  it.each([
    ["net", undefined, undefined, "net/"],
    ["net", "conv", undefined, "net/conv/"],
    ["net", "conv", 2, "net/conv/2.html"],
    ["net", "conv", 3, undefined],
    ["net", "conv", 7, "net/conv/7.html"],
    ["net", "toString", 1, undefined],
    ["none", undefined, undefined, undefined],
  ])("hands on the page of %s %s %s", async (...[net, layer, channel, page]) => {
    const source = new SiteSource(hosted({ [name("c")]: [block(all)] }).files, name("c"));
    await source.index();
    expect(source.page(net, layer, channel)).toBe(page);
  });

  it("does not open what another version has written", async () => {
    const { files } = hosted({ [name("c")]: [block({ ...all, format: 9 })] });
    await expect(new SiteSource(files, name("c")).index()).rejects.toThrow("of the format 9");
  });
});
