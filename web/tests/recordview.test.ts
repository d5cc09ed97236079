import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { chooseRecord, mounting, RecordView } from "../src/lib/recordview";
import type { Index, RecordInfo, Source } from "../src/source/source";
import type { View, ViewState } from "../src/views/view";

/** As much of an element as the frame and the player of a view need. */
class FakeNode {
  text = "";
  children: FakeNode[] = [];
  readonly style = { setProperty: () => undefined };
  append = (...children: FakeNode[]): number => this.children.push(...children);
  replaceChildren = (...children: FakeNode[]): void => {
    this.children = children;
  };
  setAttribute = (): void => undefined;
  addEventListener = (): void => undefined;
  get textContent(): string {
    return this.text + this.children.map((child) => child.textContent).join(" ");
  }
}

const node = (text = ""): FakeNode => Object.assign(new FakeNode(), { text });
const listeners = new Set<(event: KeyboardEvent) => void>();
const body = node();
vi.stubGlobal("Node", FakeNode);
vi.stubGlobal("document", {
  body,
  createElement: () => node(),
  createElementNS: () => node(),
  createTextNode: node,
});
vi.stubGlobal("window", {
  addEventListener: (_: string, keys: (event: KeyboardEvent) => void) => listeners.add(keys),
  removeEventListener: (_: string, keys: (event: KeyboardEvent) => void) => listeners.delete(keys),
});
afterAll(() => vi.unstubAllGlobals());

const record = (id: string, step: number, tag = "conv1"): RecordInfo => ({
  id,
  kind: "filters",
  tag,
  step,
  wall_time: 0,
  bytes: 1,
});
const indexOf = (...records: RecordInfo[]): Index => ({
  logdir: "",
  version: 0,
  runs: [{ name: "a", last_wall_time: null, series: [], records, problems: [] }],
});
const INDEX = indexOf(record("1", 0), record("2", 10), record("3", 20), record("4", 5, "conv2"));

describe("the record of an address", () => {
  const at = (params: Record<string, string>): unknown[] => {
    const choice = chooseRecord(INDEX, "filters", { view: "filters", params });
    return [choice?.records[choice.at].id, choice?.records.length, choice?.note];
  };

  it("is that of the step, the last one if the step is not here", () => {
    expect(at({ step: "10" })).toEqual(["2", 3, ""]);
    expect(at({ step: "0" })).toEqual(["1", 3, ""]);
    expect(at({})).toEqual(["3", 3, ""]);
    expect(at({ step: "11" })).toEqual(["3", 3, ""]);
    expect(at({ step: "soon" })).toEqual(["3", 3, ""]);
  });

  it("is of the tag, and says what is shown in the place of one that is not here", () => {
    expect(at({ tag: "conv2", step: "10" })).toEqual(["4", 1, ""]);
    expect(at({ tag: "conv9" })).toEqual(["3", 3, "No “conv9” in a; showing conv1."]);
  });

  it("is none where no run has its kind", () => {
    expect(chooseRecord(INDEX, "volume", { view: "volume", params: {} })).toBeUndefined();
    expect(chooseRecord(indexOf(), "filters", { view: "filters", params: {} })).toBeUndefined();
  });
});

describe("a view of one record", () => {
  let said: string[] = [];
  const answers = new Map<string, { give(data: string): void; refuse(error: Error): void }>();

  class Fake extends RecordView<string> {
    readonly #painted = "painted";

    constructor(el: HTMLElement, source: Source, state: ViewState) {
      super(el, source, state, {
        kind: "filters",
        view: "Filters",
        explain: "What it is.",
        nothing: ["Nothing here", "Make it so:", "convscope demo"],
        fetch: (_, run, id) =>
          new Promise((give, refuse) => {
            said.push(`fetch ${run}/${id}`);
            answers.set(id, { give, refuse });
          }),
      });
    }

    protected paint(data: string, run: string): void {
      said.push(`${this.#painted} ${run} ${data}`);
    }

    protected key(event: KeyboardEvent): void {
      this.stepKey(event);
    }
  }

  const el = node();
  const stateOf = (index: Index, params: Record<string, string> = {}): ViewState => ({
    index,
    route: { view: "filters", params },
    theme: "light",
    colours: new Map(),
    dashes: new Map(),
    navigate: (change, replace) => said.push(`go ${JSON.stringify(change)}${replace ? " replace" : ""}`),
    link: () => "",
    crumb: (part) => said.push(`crumb ${part}`),
    ready: () => said.push("ready"),
  });
  const open = (state: ViewState): View =>
    mounting(Fake)(el as unknown as HTMLElement, {} as unknown as Source, state);
  const take = async (): Promise<string[]> => {
    await new Promise((resolve) => setTimeout(resolve));
    return said.splice(0);
  };
  const press = (key: string): void => {
    const event = { key, target: body, preventDefault: () => undefined } as unknown as KeyboardEvent;
    for (const listener of listeners) listener(event);
  };

  beforeEach(() => {
    said = [];
    answers.clear();
    listeners.clear();
  });

  it("waits, paints and is ready once; later states are only painted", async () => {
    const view = open(stateOf(INDEX));
    expect(await take()).toEqual(["crumb ", "fetch a/3"]);
    expect(el.textContent).toContain("Loading conv1 …");
    answers.get("3")?.give("three");
    expect(await take()).toEqual(["painted a three", "ready"]);
    view.update(stateOf(INDEX));
    expect(await take()).toEqual(["painted a three"]);
    view.update(stateOf(INDEX, { step: "10" }));
    expect(await take()).toEqual(["fetch a/2"]);
    answers.get("2")?.give("two");
    expect(await take()).toEqual(["painted a two", "ready"]);
    view.destroy();
  });

  it("says what would be here and is ready", async () => {
    open(stateOf(indexOf())).destroy();
    expect(await take()).toEqual(["crumb ", "ready"]);
    expect(el.textContent).toContain("Nothing here Make it so: convscope demo");
  });

  it("says why a record could not be loaded", async () => {
    const view = open(stateOf(INDEX));
    answers.get("3")?.refuse(new Error("no such file"));
    expect(await take()).toEqual(["crumb ", "fetch a/3", "ready"]);
    expect(el.textContent).toContain("no such file");
    view.destroy();
  });

  it("goes through the steps by keys without filling the history", async () => {
    const view = open(stateOf(INDEX, { step: "10" }));
    await take();
    press("ArrowLeft");
    press("ArrowRight");
    expect(await take()).toEqual(['go {"step":0} replace', 'go {"step":10} replace']);
    view.destroy();
  });

  it("hears no key and takes no answer once it is destroyed", async () => {
    open(stateOf(INDEX)).destroy();
    await take();
    answers.get("3")?.give("three");
    press("ArrowLeft");
    expect([await take(), listeners.size]).toEqual([[], 0]);
  });
});
