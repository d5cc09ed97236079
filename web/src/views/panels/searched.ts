// What the network page shows of a search: rows of layers, figures of proof over the depth, channels of a class.
import { segmented, select } from "../../lib/controls";
import { MEASURES, type Measure } from "../../lib/depth";
import { arrange, h, put } from "../../lib/dom";
import { count } from "../../lib/format";
import { empty, type Fact, type Heading } from "../../lib/frame";
import { type LayerRecord, layerRecords, ruleText, SearchedLayers } from "../../lib/overview";
import { type Change, choiceOf, formatRoute, toView } from "../../lib/route";
import { PictureCache } from "../../lib/sheet";
import type { RunInfo, Source } from "../../source/source";
import type { ViewState } from "../view";
import { ClassFinder } from "./classfinder";
import { DepthCurve } from "./depthcurve";
import { LayerRows, PATCHES, type RowsHost } from "./layerrows";

export const EXPLAIN_LAYERS =
  "A row for each layer that was searched, in the order of execution, with what excites some of its channels most. A picture leads to its channel, a name to all channels of the layer.";
export const EXPLAIN_CLASSES =
  "Every channel of the network that has pictures of a class among those that excite it most, layer by layer; those with most come first.";

export interface SearchedContext {
  readonly state: ViewState;
  readonly run: RunInfo;
  /** The layers of the network in the order of execution. */
  readonly order: readonly string[];
  readonly step: number;
  /** The layers a search in the top bar has found; null if nothing is searched. */
  readonly fits: (name: string, kind: string) => boolean;
}

export interface SearchedEvents {
  /** Change the address without an entry in the history. */
  set(change: Change): void;
  /** A layer has come: the page is to be painted again. */
  changed(): void;
}

export class Searched {
  readonly el = h("div", { class: "searched" });
  readonly #layers: SearchedLayers;
  readonly #pictures = new PictureCache();
  readonly #curve = new DepthCurve();
  readonly #rows: LayerRows;
  readonly #classes: ClassFinder;
  readonly #picture = h("div", { class: "control-slot" });
  readonly #problem = h("p", { class: "notice", role: "alert" });
  readonly #measure = segmented("Figure", MEASURES, "specificity", (value) =>
    this.on.set({ proof: value === "specificity" ? null : value }),
  );
  #options = "";
  #context: SearchedContext | undefined;
  #records: readonly LayerRecord[] = [];

  constructor(
    source: Source,
    private readonly on: SearchedEvents,
  ) {
    this.#layers = new SearchedLayers(source, () => this.on.changed());
    const host: RowsHost = {
      source,
      pictures: this.#pictures,
      layer: (name) => this.#context && this.#layers.get(this.#context.run.name, name),
      link: (layer, channel) => this.#link(layer, channel),
      settled: () => this.#settled(),
    };
    this.#rows = new LayerRows(host);
    this.#classes = new ClassFinder(host, (query, tier) => this.on.set({ class: query, tier }));
  }

  /** What belongs in the tool bar while the rows are shown. */
  get tools(): HTMLElement {
    return this.#picture;
  }

  destroy(): void {
    this.#layers.stop();
    this.#curve.destroy();
    this.#rows.destroy();
    this.#classes.destroy();
    this.#pictures.clear();
  }

  show(what: "layers" | "classes", context: SearchedContext): void {
    const { run, order, step } = context;
    this.#context = context;
    this.#records = layerRecords(run, order, step);
    if (!this.#records.length) return this.#nothing();
    this.#layers.want(run.name, this.#records, context.state.index);
    if (this.#problem.textContent !== this.#layers.problem) put(this.#problem, this.#layers.problem);
    if (what === "layers") this.#showRows(context);
    else this.#showClasses(context);
  }

  /** Facts and progress of the search, as far as it is known. */
  heading(): Pick<Heading, "facts"> & Partial<Pick<Heading, "progress">> {
    const here = this.#here;
    const done = here.reduce((sum, { seen }) => sum + seen, 0);
    const total = here.reduce((sum, one) => sum + one.total, 0);
    const images = here.reduce((most, { seen }) => Math.max(most, seen), 0);
    const facts: Fact[] = [
      { name: "searched layers", value: count(this.#records.length) },
      { name: "channels", value: count(here.reduce((sum, { channels }) => sum + channels, 0)) },
      { name: "images seen", value: count(images), title: here[0]?.dataset ?? "" },
    ];
    const running = here.some(({ complete }) => !complete);
    return { facts, ...(running ? { progress: { label: "Images searched", done, total } } : {}) };
  }

  get #here() {
    return this.#context ? this.#layers.all(this.#context.run.name, this.#records) : [];
  }

  #showRows({ state, run, fits }: SearchedContext): void {
    const here = this.#here;
    this.#offerPictures(
      here.flatMap(({ rules }) => rules),
      state.route.params.picture ?? PATCHES,
    );
    const measure = choiceOf<Measure>(
      state.route,
      "proof",
      MEASURES.map(({ value }) => value),
    );
    this.#measure.set(measure);
    this.#curve.show(
      here,
      MEASURES.find(({ value }) => value === measure) ?? MEASURES[0],
      state.theme,
      this.#measure.el,
    );
    const shown = this.#records.filter(({ layer }) =>
      fits(layer, this.#layers.get(run.name, layer)?.kind ?? ""),
    );
    arrange(this.el, [this.#problem, this.#curve.el, this.#rows.el]);
    this.#rows.show(
      run.name,
      shown.map(({ layer }) => layer),
      this.#pictureOf(here),
    );
    if (!shown.length) state.ready();
  }

  #showClasses({ state, run }: SearchedContext): void {
    const { params } = state.route;
    arrange(this.el, [this.#problem, this.#classes.el]);
    const here = this.#here;
    const all = here.length === this.#records.length || this.#layers.rests;
    this.#classes.show({ run: run.name, layers: here, all, query: params.class ?? "", tier: params.tier });
  }

  #nothing(): void {
    const text =
      "No layer of this run has been searched. Search a folder of pictures for what excites every channel:";
    put(
      this.el,
      empty("No searched layers", text, "convscope inspect MODEL IMAGES -o RUN", "convscope demo"),
    );
    put(this.#picture);
    this.#options = "";
    this.#context?.state.ready();
  }

  /** The pictures of the address, if there are such. */
  #pictureOf(here: readonly { readonly rules: readonly string[] }[]): string {
    const wanted = this.#context?.state.route.params.picture ?? PATCHES;
    return here.some(({ rules }) => rules.includes(wanted)) ? wanted : PATCHES;
  }

  #offerPictures(all: readonly string[], chosen: string): void {
    const rules = [...new Set(all)];
    const options = JSON.stringify([rules, chosen]);
    if (options === this.#options) return;
    this.#options = options;
    const choices = [PATCHES, ...rules].map((value) => ({
      value,
      text: value === PATCHES ? "Patches" : ruleText(value),
    }));
    const value = rules.includes(chosen) ? chosen : PATCHES;
    const focused = this.#picture.contains(document.activeElement);
    const control = select("Pictures", choices, value, (picture) =>
      this.on.set({ picture: picture === PATCHES ? null : picture }),
    );
    put(this.#picture, ...(rules.length ? [control.el] : []));
    if (focused) this.#picture.querySelector("select")?.focus();
  }

  #link(layer: string, channel?: number): string {
    if (!this.#context) return "";
    const { state, run } = this.#context;
    return formatRoute(toView(state.route, "layer", { run: run.name, tag: layer, ch: channel }));
  }

  #settled(): void {
    if (this.#layers.rests) this.#context?.state.ready();
  }
}
