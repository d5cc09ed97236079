import { describe, expect, it, vi } from "vitest";
import { Loader } from "../src/hosts/loader";

type Register = Parameters<Loader["register"]>;
type Script = [needs: Register[1], declare: Register[2]];

/** A loader whose host has these chunks, and what it was asked for. */
function hosted(scripts: Record<string, Script>): { loader: Loader; asked: string[] } {
  const asked: string[] = [];
  const loader: Loader = new Loader(async (name) => {
    asked.push(name);
    await Promise.resolve();
    if (!scripts[name]) throw new Error(`no ${name}`);
    loader.register(name, ...scripts[name]);
  });
  return { loader, asked };
}

describe("the loader of chunks", () => {
  vi.stubGlobal("document", { baseURI: "file:///page.html" });

  it("brings a chunk once, after what it needs, and tells it the exports", async () => {
    const ran: string[] = [];
    const leaf: Script = [
      [],
      (put) => ({
        execute: () => {
          ran.push("leaf");
          put("one", 1);
        },
      }),
    ];
    const middle = (name: string): Script => {
      let one: unknown;
      const execute = (
        put: Register[2] extends (put: infer P, ...rest: never[]) => unknown ? P : never,
      ): void => {
        ran.push(name);
        put({ two: (one as number) + 1 });
      };
      const setters = [
        (names: Record<string, unknown>): void => {
          one = names.one;
        },
      ];
      return [["./leaf.js"], (put) => ({ setters, execute: () => execute(put) })];
    };
    const top: Script = [
      ["./a.js", "./b.js"],
      (put) => ({ setters: [null, (names) => put("got", names.two)], execute: () => ran.push("top") }),
    ];
    const { loader, asked } = hosted({
      "leaf.js": leaf,
      "a.js": middle("a"),
      "b.js": middle("b"),
      "top.js": top,
    });
    const [first, second] = await Promise.all([loader.import("./top.js"), loader.import("./a.js")]);
    expect(first.got).toBe(2);
    expect(second.two).toBe(2);
    expect(ran).toEqual(["leaf", "a", "b", "top"]);
    expect([...asked].sort()).toEqual(["a.js", "b.js", "leaf.js", "top.js"]);
  });

  it("keeps what is exported up to date, also in a circle", async () => {
    let seen: unknown;
    const { loader } = hosted({
      "a.js": [
        ["b.js"],
        (put) => {
          put("name", () => "a");
          return { setters: [undefined], execute: () => put("late", 5) };
        },
      ],
      "b.js": [
        ["a.js"],
        () => ({
          setters: [
            (names) => {
              seen = names.late ?? (names.name as () => string)?.();
            },
          ],
          execute: () => expect(seen).toBe("a"),
        }),
      ],
    });
    await loader.import("a.js");
    expect(seen).toBe(5);
  });

  it("imports later what is asked for later", async () => {
    const { loader, asked } = hosted({
      "a.js": [[], (put, context) => ({ execute: () => put("later", () => context.import("./deep/b.js")) })],
      "b.js": [[], (put) => ({ execute: () => put("mount", 7) })],
    });
    const { later } = await loader.import("a.js");
    expect(asked).toEqual(["a.js"]);
    expect((await (later as () => Promise<Record<string, unknown>>)()).mount).toBe(7);
  });

  it("asks again for a chunk that did not come, and fails as often as one that failed", async () => {
    const scripts: Record<string, Script> = {
      "bad.js": [
        [],
        () => ({
          execute: () => {
            throw new Error("broken");
          },
        }),
      ],
    };
    const { loader, asked } = hosted(scripts);
    await expect(loader.import("a.js")).rejects.toThrow("no a.js");
    scripts["a.js"] = [[], (put) => ({ execute: () => put("here", true) })];
    expect(await loader.import("a.js")).toEqual({ here: true });
    expect(asked).toEqual(["a.js", "a.js"]);
    for (let n = 0; n < 2; n++) await expect(loader.import("bad.js")).rejects.toThrow("broken");
    const silent = new Loader(() => Promise.resolve());
    await expect(silent.import("none.js")).rejects.toThrow("did not come: none.js");
  });
});
