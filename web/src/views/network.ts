// The architecture of a network: its graph with shapes, the paper's table, what a search has found in its layers.
import { joinList, NETWORK, recordsOf, splitList, tagsOf } from "../lib/catalog";
import { type Control, type Option, segmented, toggle } from "../lib/controls";
import { arrange, focusIsIn, h, isTyping, put } from "../lib/dom";
import { count, times } from "../lib/format";
import { failed } from "../lib/frame";
import { splitTag } from "../lib/mapstags";
import {
  boxesOf,
  fetchNetwork,
  isMain,
  type LayerRow,
  MOST_BOXES,
  modulesAround,
  modulesOfAll,
  type NetworkData,
  openedAtFirst,
  shut,
} from "../lib/network";
import { type About, mounting, RecordView } from "../lib/recordview";
import { choiceOf, formatRoute, toView } from "../lib/route";
import { isNarrow, withPanel } from "../lib/withpanel";
import type { Source } from "../source/source";
import { LayerInfo } from "./panels/layerinfo";
import { amountOf, NetworkGraph } from "./panels/networkgraph";
import { NetworkTable, type PageLink } from "./panels/networktable";
import { EXPLAIN_CLASSES, EXPLAIN_LAYERS, Searched } from "./panels/searched";
import type { Mount, ViewState } from "./view";

type Show = "graph" | "table" | "layers" | "classes";
const SEARCHED_SHOWS: readonly Option<Show>[] = [
  { value: "layers", text: "Layers", title: "What excites some channels of each layer most" },
  {
    value: "classes",
    text: "Classes",
    title: "Find the channels that have a class among their best pictures",
  },
];
const SHOWS: readonly Option<Show>[] = [
  { value: "graph", text: "Graph" },
  { value: "table", text: "Table" },
  ...SEARCHED_SHOWS,
];
const NONE = "-";

const ABOUT: About<NetworkData> = {
  kind: NETWORK,
  view: "Network",
  explain:
    "The layers in the order in which they are executed, with the shape each one gives and the pixels each position of it sees. A click on a closed module opens it.",
  nothing: [
    "No network yet",
    "Look into a network with the pictures of a folder:",
    "convscope demo",
    "convscope inspect MODEL IMAGES -o RUN",
  ],
  fetch: fetchNetwork,
};

class NetworkView extends RecordView<NetworkData> {
  readonly #gone = new AbortController();
  readonly #graph = new NetworkGraph({
    choose: (layer) => this.#choose(layer),
    open: (module) => this.#open(module),
  });
  readonly #table = new NetworkTable((layer) => this.#choose(layer));
  readonly #info: LayerInfo;
  readonly #main = h("div", { class: "network-main" });
  readonly #searched: Searched;
  readonly #show: Control<Show>;
  /** The same without graph and table, for a run whose architecture is not recorded. */
  readonly #showSearched: Control<Show>;
  readonly #all: Control<boolean>;
  /** The layer that was last brought into sight. */
  #seen = "";
  readonly #closeAll = h(
    "button",
    { type: "button", class: "button", onclick: () => this.set({ open: NONE }) },
    "Close all",
  );
  readonly #openAll = h(
    "button",
    { type: "button", class: "button", onclick: () => this.#openEverything() },
    "Open all",
  );

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#show = segmented("Show", SHOWS, "graph", (value) =>
      this.set({ show: value === "graph" ? null : value }),
    );
    this.#showSearched = segmented("Show", SEARCHED_SHOWS, "layers", (value) =>
      this.set({ show: value === "layers" ? null : value }),
    );
    this.#searched = new Searched(source, {
      set: (change) => this.set(change),
      changed: () => this.update(this.state),
    });
    this.#all = toggle(
      "All layers",
      false,
      (yes) => this.set({ rows: yes ? "all" : null }),
      "Also normalisations, non-linearities and changes of shape",
    );
    this.#info = new LayerInfo({
      close: () => this.#leave(),
      linkOf: (layer) => this.state.link({ layer }),
      closeModule: (module) => this.#close(module),
    });
  }

  override destroy(): void {
    super.destroy();
    this.#gone.abort();
    this.#searched.destroy();
  }

  protected paint(data: NetworkData, run: string): void {
    const options = data.layers.length ? SHOWS : SEARCHED_SHOWS;
    const show = choiceOf(
      this.state.route,
      "show",
      options.map(({ value }) => value),
    );
    this.#show.set(show);
    this.#showSearched.set(show);
    if (show === "layers" || show === "classes") this.#paintSearched(data, run, show);
    else this.#paintArchitecture(data, run, show === "table");
  }

  #paintSearched(data: NetworkData, run: string, show: "layers" | "classes"): void {
    const found = this.state.index.runs.find(({ name }) => name === run);
    if (!found) return;
    const known = data.layers.length > 0;
    this.note();
    this.state.crumb("");
    const tools = show === "layers" ? [this.#searched.tools] : [];
    const controls = [(known ? this.#show : this.#showSearched).el, ...tools, this.player.el];
    arrange(this.frame.tools, controls);
    if (!this.#searched.el.isConnected) put(this.frame.body, this.#searched.el);
    this.#searched.show(show, {
      state: this.state,
      run: found,
      order: data.layers.map(({ name }) => name),
      step: data.record.step,
      fits: (name, kind) => this.#fits({ name, kind }),
    });
    const explain = show === "layers" ? EXPLAIN_LAYERS : EXPLAIN_CLASSES;
    this.head(run, { tag: data.network, explain, ...this.#searched.heading() });
  }

  #paintArchitecture(data: NetworkData, run: string, table: boolean): void {
    const { params } = this.state.route;
    const chosen = data.layers.find(({ name }) => name === params.layer);
    this.note(params.layer && !chosen ? `No layer “${params.layer}” in ${data.network}.` : "");
    this.state.crumb(chosen?.name ?? "");
    this.head(run, {
      tag: data.network,
      facts: [
        { name: "input", value: times(...data.input) },
        { name: "layers", value: count(data.layers.length) },
        { name: "parameters", value: amountOf(data.parameters), title: count(data.parameters) },
        { name: "multiply-adds", value: amountOf(data.macs), title: `${count(data.macs)} for one image` },
      ],
    });
    this.#all.set(params.rows === "all");
    arrange(this.frame.tools, [
      this.#show.el,
      ...(table ? [this.#all.el] : [this.#openAll, this.#closeAll]),
      this.player.el,
    ]);
    if (!this.#main.isConnected)
      put(this.frame.body, withPanel(this.#main, this.#info.el, this.#gone.signal));
    const takers = chosen ? data.layers.filter(({ inputs }) => inputs.includes(chosen.name)) : [];
    this.#info.show(chosen, {
      takers: takers.map(({ name }) => name),
      pages: chosen ? this.#pages(run, chosen.name) : [],
      modules: chosen && !table ? modulesAround(data.layers, chosen.name) : [],
    });
    if (table) this.#drawTable(data, run, chosen);
    else this.#drawGraph(data, chosen);
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (!data || isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#searched.el.isConnected) return this.stepKey(event);
    if (event.key === "Escape" && this.state.route.params.layer) return this.#leave();
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (!by) return this.stepKey(event);
    if (!this.state.route.params.layer) {
      if (this.#graph.step(by)) event.preventDefault();
      return;
    }
    event.preventDefault();
    const at = data.layers.findIndex(({ name }) => name === this.state.route.params.layer);
    const next = data.layers[Math.max(0, Math.min(data.layers.length - 1, at + by))];
    this.set({ layer: next.name });
  }

  #drawTable(data: NetworkData, run: string, chosen: LayerRow | undefined): void {
    const found = this.#found(data);
    const shown = data.layers.filter(
      (layer) =>
        (this.state.route.params.rows === "all" || isMain(layer) || layer === chosen) &&
        (!found || found.has(layer.name)),
    );
    const rows = shown.map((layer) => ({ layer, pages: this.#pages(run, layer.name) }));
    this.#table.show(rows, data.layers.length, chosen?.name ?? "");
    if (!this.#table.el.isConnected) put(this.#main, this.#table.el);
    if (chosen && this.#seen !== chosen.name) this.#table.reveal(chosen.name);
    this.#seen = chosen?.name ?? "";
  }

  #drawGraph(data: NetworkData, chosen: LayerRow | undefined): void {
    const open = this.#opened(data);
    for (const module of chosen ? modulesAround(data.layers, chosen.name) : []) open.add(module);
    if (this.#graph.el.parentElement !== this.#main) put(this.#main, this.#graph.el);
    this.#graph.show(data, open, chosen?.name ?? "", this.#found(data)).then(
      (drawn) => {
        if (!drawn) return;
        if (chosen && this.#seen !== chosen.name) this.#graph.reveal(chosen.name);
        this.#seen = chosen?.name ?? "";
      },
      (error: unknown) => {
        put(this.#main, failed(error));
        this.state.ready();
      },
    );
  }

  /** The layers whose name or kind has what is searched for; null if nothing is. */
  #found(data: NetworkData): ReadonlySet<string> | null {
    if (!(this.state.route.params.q ?? "").trim()) return null;
    return new Set(data.layers.filter((layer) => this.#fits(layer)).map(({ name }) => name));
  }

  #fits({ name, kind }: Pick<LayerRow, "name" | "kind">): boolean {
    const wanted = (this.state.route.params.q ?? "").trim().toLocaleLowerCase();
    return `${name}\n${kind}`.toLocaleLowerCase().includes(wanted);
  }

  #opened(data: NetworkData): Set<string> {
    const { open } = this.state.route.params;
    return open === undefined ? openedAtFirst(data.layers) : new Set(splitList(open));
  }

  #choose(layer: string): void {
    this.state.navigate({ layer });
    // Where the panel stands above the graph, what was asked for is out of sight.
    requestAnimationFrame(() => {
      if (isNarrow() && !this.#info.el.hidden) this.#info.el.scrollIntoView({ block: "start" });
    });
  }

  /** Leave the chosen layer; its box keeps the focus. */
  #leave(): void {
    const { layer } = this.state.route.params;
    const inside = focusIsIn(this.#info.el);
    this.state.navigate({ layer: null });
    if (inside && layer) (this.#table.el.isConnected ? this.#table : this.#graph).focus(layer);
  }

  #open(module: string): void {
    const data = this.loaded?.data;
    if (!data) return;
    const open = this.#opened(data).add(module);
    this.#graph.focusNext(module);
    this.state.navigate({ open: joinList(open) });
  }

  /** Close a module, and leave the layer that is chosen in it. */
  #close(module: string): void {
    const data = this.loaded?.data;
    if (!data) return;
    const open = shut(this.#opened(data), module);
    this.#graph.focusNext(module);
    this.state.navigate({ open: joinList(open) || NONE, layer: null });
  }

  #openEverything(): void {
    const data = this.loaded?.data;
    if (!data) return;
    const open = new Set(modulesOfAll(data.layers).keys());
    const boxes = boxesOf(data.layers, open).length;
    if (boxes > MOST_BOXES)
      this.note(`${count(boxes)} boxes are too many to be read; open modules one by one, or see the table.`);
    else this.set({ open: joinList(open) });
  }

  /** The pages of this run that show a layer. */
  #pages(run: string, layer: string): PageLink[] {
    const found = this.state.index.runs.find(({ name }) => name === run);
    if (!found) return [];
    const link = (text: string, view: string, tag: string): PageLink => ({
      text,
      href: formatRoute(toView(this.state.route, view, { run, tag })),
    });
    const maps = tagsOf(found, "maps").find((tag) => splitTag(tag).layer === layer);
    return [
      ...(recordsOf(found, "filters", layer).length ? [link("Filters", "filters", layer)] : []),
      ...(maps ? [link("Maps", "maps", maps)] : []),
      ...(recordsOf(found, "topk", layer).length ? [link("Top images", "layer", layer)] : []),
    ];
  }
}

export const mount: Mount = mounting(NetworkView);
