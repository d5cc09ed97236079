// What views of one record share: choosing it by run, tag and step, loading it, and what stands in its place meanwhile.
import type { Index, RecordInfo, Source } from "../source/source";
import type { Mount, View, ViewState } from "../views/view";
import { choose, recordsOf } from "./catalog";
import { Player } from "./controls";
import { put } from "./dom";
import { empty, Frame, failed, type Heading, loading } from "./frame";
import { type Loaded, RecordLoader } from "./loader";
import { type Change, numberOf, type Route } from "./route";

/** What is the same on every page of a view. */
export interface About<T> {
  /** Kind of result it shows. */
  readonly kind: string;
  /** Its title. */
  readonly view: string;
  readonly explain: string;
  /** Title, text and commands while there is no such result. */
  readonly nothing: readonly [title: string, text: string, ...commands: string[]];
  readonly fetch: (source: Source, run: string, id: string, signal: AbortSignal) => Promise<T>;
  /** Milliseconds a step while playing. */
  readonly pace?: number;
}

export interface RecordChoice {
  readonly run: string;
  /** All steps of the tag. */
  readonly records: readonly RecordInfo[];
  /** The place among them of the step in the address; of the last one if it names none. */
  readonly at: number;
  /** What the address names but is not here; empty if all is as asked. */
  readonly note: string;
}

/** The record that an address names, undefined if no run has one of `kind`. */
export function chooseRecord(index: Index, kind: string, route: Route): RecordChoice | undefined {
  const { run, tag, note } = choose(index, kind, route.params);
  if (!run || !tag) return undefined;
  const records = recordsOf(run, kind, tag);
  const step = numberOf(route, "step", Number.POSITIVE_INFINITY);
  const found = records.findIndex((record) => record.step === step);
  return { run: run.name, records, at: found >= 0 ? found : records.length - 1, note };
}

export abstract class RecordView<T> implements View {
  protected readonly frame: Frame;
  /** Goes through the steps; a view puts it among its tools. */
  protected readonly player: Player;
  readonly #loader = new RecordLoader<T>();
  readonly #keys = (event: KeyboardEvent): void => this.key(event);
  #records: readonly RecordInfo[] = [];
  #note = "";

  /** The fields of a subclass are not there yet: `mounting` calls the first `update`. */
  constructor(
    el: HTMLElement,
    protected readonly source: Source,
    protected state: ViewState,
    private readonly about: About<T>,
  ) {
    this.frame = new Frame(el);
    this.player = new Player("Step", (at) => this.set({ step: this.#records[at]?.step }), about.pace ?? 500);
    window.addEventListener("keydown", this.#keys);
  }

  /** Draw the data for the state. */
  protected abstract paint(data: T, run: string): void;
  protected abstract key(event: KeyboardEvent): void;

  update(state: ViewState): void {
    this.state = state;
    const choice = chooseRecord(state.index, this.about.kind, state.route);
    if (!choice) return this.#empty();
    const { run, records, at, note } = choice;
    this.#note = note;
    this.#records = records;
    this.player.update(
      records.map(({ step }) => step),
      at,
    );
    this.#load(run, records[at]);
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#keys);
    this.#loader.stop();
    this.player.stop();
  }

  /** What may be on the page. */
  protected get loaded(): Loaded<T> | undefined {
    return this.#loader.loaded;
  }

  /** Change the address without an entry in the history. */
  protected set(change: Change): void {
    this.state.navigate(change, true);
  }

  /** Say what the address asks for and is not here, about the record first. */
  protected note(...texts: readonly string[]): void {
    this.frame.note(this.#note, ...texts);
  }

  protected head(run: string, heading: Partial<Heading>): void {
    const { view, explain } = this.about;
    this.frame.head({ view, run, colour: this.state.colours.get(run) ?? "", explain, ...heading });
  }

  /** Fetch a record; `replaces`: another one of its run and tag stays on screen meanwhile. */
  protected fetch(run: string, id: string, signal: AbortSignal, _replaces: boolean): Promise<T> {
    return this.about.fetch(this.source, run, id, signal);
  }

  /** Paint what is loaded; `fresh`: it has just arrived, `_replaced`: in place of another of the same run and tag. */
  protected present({ data, run }: Loaded<T>, fresh: boolean, _replaced: boolean): void {
    this.paint(data, run);
    if (fresh) this.state.ready();
  }

  /** The keys of the steps: the space bar plays, arrows go one on or back. */
  protected stepKey(event: KeyboardEvent): void {
    if (event.key === " " && event.target === document.body) {
      event.preventDefault();
      return this.player.toggle();
    }
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) this.player.move(by);
  }

  #load(run: string, record: RecordInfo): void {
    this.#loader.ask(run, record, {
      fetch: (signal, before) => this.fetch(run, record.id, signal, before !== undefined),
      waiting: () => {
        this.note();
        this.head(run, { tag: record.tag });
        put(this.frame.tools);
        put(this.frame.body, loading(record.tag));
        this.state.crumb("");
      },
      paint: (loaded, fresh, replaced) => this.present(loaded, fresh, replaced),
      failed: (error) => {
        put(this.frame.body, failed(error));
        this.state.ready();
      },
    });
  }

  #empty(): void {
    const { view, explain, nothing } = this.about;
    this.#loader.stop();
    this.state.crumb("");
    this.frame.note();
    this.frame.head({ view, explain });
    put(this.frame.tools);
    put(this.frame.body, empty(...nothing));
    this.state.ready();
  }
}

/** The `mount` of a view of records. */
export function mounting(Type: new (...args: Parameters<Mount>) => View): Mount {
  return (el, source, state) => {
    const view = new Type(el, source, state);
    view.update(state);
    return view;
  };
}
