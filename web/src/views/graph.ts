// The graph that a program logged: TensorFlow's nodes, in boxes for their scopes.
import { chooseRun, joinList, seriesOf, splitList } from "../lib/catalog";
import { Player, toggle } from "../lib/controls";
import { h, isTyping, put, refill } from "../lib/dom";
import { count, plural, times } from "../lib/format";
import { empty, Frame, facts, failed, loading } from "../lib/frame";
import { type Attribute, type GraphAnswer, type GraphNode, layersOf, sourceOf } from "../lib/graphdef";
import { Loader } from "../lib/loader";
import {
  boxesOf,
  type LayerRow,
  MOST_BOXES,
  modulesAround,
  modulesOfAll,
  openedAtFirst,
  shut,
} from "../lib/network";
import { placeOf } from "../lib/route";
import { withPanel } from "../lib/withpanel";
import type { Source } from "../source/source";
import { amountOf, NetworkGraph } from "./panels/networkgraph";
import type { Mount, View, ViewState } from "./view";

const NONE = "-";
const LONGEST = 400;
const EXPLAIN =
  "The operations that were recorded, in boxes for the modules they belong to; a click opens a module. Shapes are of one image. Weights and constants are counted with what takes them, and drawn when all nodes are.";

class GraphView implements View {
  readonly #frame: Frame;
  readonly #loader = new Loader();
  readonly #gone = new AbortController();
  readonly #main = h("div", { class: "network-main" });
  readonly #panel = h("aside", { class: "panel", "aria-label": "Chosen node", hidden: true });
  readonly #graph = new NetworkGraph({
    choose: (node) => this.state.navigate({ node }),
    open: (module) => this.#open(module),
  });
  readonly #all = toggle("All nodes", false, (yes) =>
    this.state.navigate({ all: yes ? 1 : null, open: null }),
  );
  readonly #openAll = h(
    "button",
    { type: "button", class: "button", onclick: () => this.#openEverything() },
    "Open all",
  );
  readonly #closeAll = h(
    "button",
    { type: "button", class: "button", onclick: () => this.state.navigate({ open: NONE, node: null }) },
    "Close all",
  );
  readonly #player = new Player("Graph", (number) =>
    this.state.navigate({ graph: number, node: null }, true),
  );
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  #answer: GraphAnswer | undefined;
  #layers: LayerRow[] = [];
  #drawn = "";

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#frame = new Frame(el);
    put(this.#frame.tools, this.#all.el, this.#openAll, this.#closeAll, this.#player.el);
    document.addEventListener("keydown", this.#keys);
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const run = chooseRun(state.index, "graph", state.route.params.run);
    const series = run && seriesOf(run, "graph", "graph");
    if (!run || !series) return this.#showEmpty();
    const place = placeOf(state.route, "graph", series.count, "graph");
    const number = place.at >= 0 ? place.at : series.count - 1;
    this.#frame.note(place.note);
    const key = JSON.stringify([run.name, number, series.last_wall_time]);
    if (!this.#loader.isNew(key)) return this.#paint(run.name, key);
    this.#answer = undefined;
    put(this.#frame.body, loading("the graph"));
    this.#loader.run(
      (signal) => this.source.graph(run.name, number, signal),
      (answer) => {
        this.#answer = answer;
        this.#player.update(
          Array.from({ length: answer.count }, (_, i) => i),
          number,
        );
        this.#paint(run.name, key);
      },
      (error) => {
        put(this.#frame.body, failed(error));
        this.state.ready();
      },
    );
  }

  destroy(): void {
    this.#gone.abort();
    this.#loader.stop();
    this.#player.stop();
    document.removeEventListener("keydown", this.#keys);
  }

  #showEmpty(): void {
    this.#frame.head({ view: "Graph", explain: EXPLAIN });
    put(
      this.#frame.body,
      empty(
        "No graph yet",
        "Log one with SummaryWriter.add_graph. The layers of a network with receptive fields are on the page Network:",
        "writer.add_graph(network, images)",
      ),
    );
    this.state.ready();
  }

  #paint(run: string, key: string): void {
    const answer = this.#answer;
    if (!answer) return;
    const { params } = this.state.route;
    const all = params.all === "1";
    this.#all.set(all);
    const drawn = `${key} ${all}`;
    if (drawn !== this.#drawn) this.#layers = layersOf(answer.nodes, all);
    this.#drawn = drawn;
    const chosen = this.#layers.find(({ name }) => name === params.node);
    const parameters = answer.nodes.reduce((sum, node) => sum + (Number(node.attributes.parameters) || 0), 0);
    this.#frame.head({
      view: "Graph",
      run,
      colour: this.state.colours.get(run) ?? "var(--faint)",
      step: `step ${count(answer.step)}`,
      explain: EXPLAIN,
      facts: [
        { name: "nodes", value: count(answer.nodes.length) },
        { name: "drawn", value: count(this.#layers.length) },
        ...(parameters
          ? [{ name: "parameters", value: amountOf(parameters), title: count(parameters) }]
          : []),
      ],
    });
    this.state.crumb(chosen?.name ?? "");
    if (params.node && !chosen) this.#frame.note(`No node “${params.node}” in this graph.`);
    if (!this.#main.isConnected) put(this.#frame.body, withPanel(this.#main, this.#panel, this.#gone.signal));
    this.#showPanel(chosen, answer.nodes);
    this.#draw(drawn, chosen);
  }

  #draw(id: string, chosen: LayerRow | undefined): void {
    const open = this.#opened();
    for (const module of chosen ? modulesAround(this.#layers, chosen.name) : []) open.add(module);
    if (this.#graph.el.parentElement !== this.#main) put(this.#main, this.#graph.el);
    const boxes = boxesOf(this.#layers, open).length;
    if (boxes > MOST_BOXES) {
      put(
        this.#main,
        empty("Too many boxes", `${count(boxes)} boxes cannot be read in one drawing; close some modules.`),
      );
      this.state.ready();
      return;
    }
    const data = { record: { id }, layers: this.#layers, input: [] };
    this.#graph.show(data, open, chosen?.name ?? "", this.#found()).then(
      (drawn) => {
        if (drawn && chosen) this.#graph.reveal(chosen.name);
        this.state.ready();
      },
      (error: unknown) => {
        put(this.#main, failed(error));
        this.state.ready();
      },
    );
  }

  #opened(): Set<string> {
    const { open } = this.state.route.params;
    return open === undefined ? openedAtFirst(this.#layers) : new Set(splitList(open));
  }

  #found(): ReadonlySet<string> | null {
    const wanted = (this.state.route.params.q ?? "").trim().toLocaleLowerCase();
    if (!wanted) return null;
    const fits = ({ name, kind }: LayerRow): boolean =>
      `${name}\n${kind}`.toLocaleLowerCase().includes(wanted);
    return new Set(this.#layers.filter(fits).map(({ name }) => name));
  }

  #open(module: string): void {
    this.#graph.focusNext(module);
    this.state.navigate({ open: joinList(this.#opened().add(module)) });
  }

  #close(module: string): void {
    this.#graph.focusNext(module);
    this.state.navigate({ open: joinList(shut(this.#opened(), module)) || NONE, node: null });
  }

  #openEverything(): void {
    const open = new Set(modulesOfAll(this.#layers).keys());
    const boxes = boxesOf(this.#layers, open).length;
    if (boxes > MOST_BOXES)
      this.#frame.note(`${count(boxes)} boxes are too many to be read; open modules one by one.`);
    else this.state.navigate({ open: joinList(open) || null });
  }

  #showPanel(chosen: LayerRow | undefined, nodes: readonly GraphNode[]): void {
    const node = chosen && nodes.find(({ name }) => name === chosen.name);
    this.#panel.hidden = !node;
    if (!chosen || !node) return put(this.#panel);
    const takers = nodes.filter(({ inputs }) => inputs.some((input) => sourceOf(input) === node.name));
    const known = new Set(this.#layers.map(({ name }) => name));
    const links = (title: string, names: readonly string[]): HTMLElement | null =>
      names.length
        ? h("p", { class: "layer-links" }, h("b", {}, title), ...names.map((name) => this.#link(name, known)))
        : null;
    const shapes = node.shapes.map((shape) =>
      shape ? (shape.length ? times(...shape) : "one number") : "unknown",
    );
    const modules = modulesAround(this.#layers, node.name);
    refill(
      this.#panel,
      h(
        "header",
        { class: "panel-head" },
        h("h2", { class: "mono" }, node.name),
        h(
          "button",
          { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => this.#leave() },
          "×",
        ),
      ),
      facts([
        { name: "operation", value: node.op },
        ...(shapes.length ? [{ name: plural(shapes.length, "result"), value: shapes.join(", ") }] : []),
        ...(chosen.parameters ? [{ name: "parameters", value: count(chosen.parameters) }] : []),
        ...Object.entries(node.attributes).map(([name, value]) => ({ name, value: textOf(value) })),
      ]),
      links("takes ", [...new Set(node.inputs.map(sourceOf))]),
      links(
        "goes to ",
        takers.map(({ name }) => name),
      ),
      modules.length
        ? h(
            "p",
            { class: "layer-links" },
            h("b", {}, "in "),
            ...modules.map((module) =>
              h(
                "button",
                { type: "button", class: "button", onclick: () => this.#close(module) },
                `Close ${module}`,
              ),
            ),
          )
        : null,
    );
  }

  #link(name: string, known: ReadonlySet<string>): HTMLElement {
    if (!known.has(name)) return h("span", { class: "mono" }, name);
    return h("a", { href: this.state.link({ node: name }), class: "mono" }, name);
  }

  #leave(): void {
    const { node } = this.state.route.params;
    this.state.navigate({ node: null });
    if (node) this.#graph.focus(node);
  }

  #key(event: KeyboardEvent): void {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && this.state.route.params.node) return this.#leave();
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (by && this.#graph.step(by)) event.preventDefault();
  }
}

const textOf = (value: Attribute): string => {
  const text = Array.isArray(value) ? value.join(", ") : String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
};

export const mount: Mount = (el, source, state) => new GraphView(el, source, state);
