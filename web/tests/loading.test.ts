import { describe, expect, it } from "vitest";
import { RecordLoader } from "../src/lib/loader";
import { Follower, GrowingHistograms, GrowingSeries } from "../src/lib/series";

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

describe("RecordLoader", () => {
  const said: string[] = [];
  const answers = new Map<string, (text: string) => void>();
  const ask = (loader: RecordLoader<string>, run: string, tag: string, id: string): void =>
    loader.ask(
      run,
      { tag, id },
      {
        fetch: () => new Promise<string>((resolve) => answers.set(id, resolve)),
        waiting: () => said.push("waiting"),
        paint: (loaded, fresh, replaced) =>
          said.push(`${loaded.run} ${loaded.data}${fresh ? " fresh" : ""}${replaced ? " replaced" : ""}`),
        failed: () => said.push("failed"),
      },
    );
  const take = async (): Promise<string[]> => {
    await settled();
    return said.splice(0);
  };

  it("never shows one run's data under another run's name", async () => {
    const loader = new RecordLoader<string>();
    ask(loader, "a", "conv1", "1");
    answers.get("1")?.("A");
    expect(await take()).toEqual(["waiting", "a A fresh"]);
    ask(loader, "b", "conv1", "2");
    ask(loader, "b", "conv1", "2");
    expect(loader.loaded).toBeUndefined();
    expect(await take()).toEqual(["waiting"]);
    answers.get("2")?.("B");
    expect(await take()).toEqual(["b B fresh"]);
  });

  it("keeps a record on screen until its successor of the same run and tag is here", async () => {
    const loader = new RecordLoader<string>();
    ask(loader, "a", "conv1", "3");
    answers.get("3")?.("old");
    await take();
    ask(loader, "a", "conv1", "4");
    ask(loader, "a", "conv1", "4");
    expect(await take()).toEqual(["a old"]);
    answers.get("4")?.("new");
    expect(await take()).toEqual(["a new fresh replaced"]);
  });

  it("drops answers that come after a later question", async () => {
    const loader = new RecordLoader<string>();
    ask(loader, "a", "conv1", "5");
    ask(loader, "b", "conv1", "6");
    answers.get("6")?.("B");
    answers.get("5")?.("A");
    expect(await take()).toEqual(["waiting", "waiting", "b B fresh"]);
  });
});

describe("series that grow", () => {
  const points = (...value: number[]) => ({
    step: Float64Array.from(value),
    wallTime: Float64Array.from(value),
    value: Float64Array.from(value),
  });

  it("asks only for what is not here, one question at a time", async () => {
    const starts: number[] = [];
    const series = new GrowingSeries();
    const source = [1, 2, 3, 4, 5];
    let there = 2;
    const follower = new Follower(series, async (start) => {
      starts.push(start);
      const part = points(...source.slice(start, there));
      await settled();
      return part;
    });
    const first = follower.reach(2);
    there = 5;
    await Promise.all([first, follower.reach(5), follower.reach(5)]);
    expect([starts, [...series.value]]).toEqual([[0, 2], source]);
    await follower.reach(5);
    expect(starts).toEqual([0, 2]);
    await follower.reach(9);
    expect(starts).toEqual([0, 2, 5]);
  });

  it("begins anew where a series became shorter", async () => {
    const series = new GrowingSeries();
    let source = [1, 2, 3];
    const follower = new Follower(series, async (start) => points(...source.slice(start)));
    await follower.reach(3);
    source = [9];
    await follower.reach(1);
    expect([...series.value]).toEqual([9]);
  });

  it("begins anew where the run is another one, and takes no late answer of the one before", async () => {
    const series = new GrowingSeries();
    let source = [1, 2, 3];
    const late: ((part: ReturnType<typeof points>) => void)[] = [];
    let hold = false;
    const follower = new Follower(series, (start) =>
      hold
        ? new Promise<ReturnType<typeof points>>((answer) => late.push(answer))
        : Promise.resolve(points(...source.slice(start))),
    );
    await follower.reach(2, 1);
    hold = true;
    const before = follower.reach(5, 1);
    hold = false;
    source = [7, 8, 9, 10];
    await follower.reach(4, 2);
    late[0](points(4, 5));
    await before;
    expect([...series.value]).toEqual(source);
  });

  it("joins the buckets of histograms", () => {
    const series = new GrowingHistograms();
    const part = {
      step: Float64Array.of(1),
      wallTime: Float64Array.of(1),
      stats: Float64Array.of(0, 1, 2, 3, 4),
      offset: Int32Array.of(0, 2),
      limit: Float64Array.of(1, 2),
      count: Float64Array.of(3, 4),
      special: Float64Array.of(1, 0, 2),
    };
    series.append(part);
    series.append(part);
    expect(series.length).toBe(2);
    expect([...series.all.offset]).toEqual([0, 2, 4]);
    expect([...series.all.limit]).toEqual([1, 2, 1, 2]);
    expect([...series.all.special]).toEqual([1, 0, 2, 1, 0, 2]);
  });
});
