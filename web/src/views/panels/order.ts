// Why the channels are stacked as they are: the orders there are, what explains each, and one image line of all channels.
import { type Control, select } from "../../lib/controls";
import { h, put, s } from "../../lib/dom";
import { count, number, percent } from "../../lib/format";
import { facts } from "../../lib/frame";
import { type OrderData, type OrderRow, permutationOf, shownOrder } from "../../lib/order";
import {
  clustersOf,
  clusterText,
  componentOf,
  dendrogramOf,
  orderFacts,
  orderName,
  parameterText,
  triedOf,
  varianceOf,
} from "../../lib/orderfigures";
import { OrderLine } from "./orderline";

export class OrderPanel {
  readonly el = h("section", { class: "order-panel block", "aria-label": "Order of the channels" });
  readonly #line = new OrderLine();
  readonly #chooser = h("div");
  readonly #sentence = h("p", { class: "order-sentence", "data-testid": "order-sentence" });
  readonly #figures = h("div", { class: "order-figures" });
  #select: Control<string> | undefined;
  #names = "";
  #key = "";
  #maps: OrderData["maps"] | undefined;
  #choose: (name: string) => void = () => {};

  constructor() {
    put(this.el, h("h3", {}, "Order"), this.#chooser, this.#sentence, this.#figures, this.#line.el);
  }

  /** Show the orders of a record; `choose` is called with the name of the one that is wanted. */
  show(data: OrderData, choose: (name: string) => void): void {
    this.#choose = choose;
    this.#options(data);
    this.#select?.set(data.current);
    const key = `${data.current} ${document.documentElement.dataset.theme}`;
    if (key === this.#key && data.maps === this.#maps) return;
    this.#key = key;
    this.#maps = data.maps;
    const order = shownOrder(data);
    put(this.#sentence, order.sentence);
    this.#sentence.hidden = !order.sentence;
    put(this.#figures, ...figuresOf(order, permutationOf(data, order.name)));
    this.#line.show(data);
  }

  destroy(): void {
    this.#line.destroy();
  }

  #options({ orders }: OrderData): void {
    const names = JSON.stringify(orders.map(({ name }) => name));
    if (names === this.#names) return;
    this.#names = names;
    const options = orders.map(({ name }) => ({ value: name, text: orderName(name) }));
    this.#select = select("Stacked by", options, orders[0].name, (name) => this.#choose(name));
    put(this.#chooser, this.#select.el);
  }
}

function figuresOf(order: OrderRow, permutation: readonly number[]): (Node | null)[] {
  const told = orderFacts(order);
  return [
    clusterBars(order),
    varianceBars(order),
    dendrogram(order, permutation),
    told.length ? facts(told) : null,
    h("p", { class: "muted num" }, inWords(order, permutation)),
  ];
}

/** A table whose last column is a bar; `zero` and `value` are shares of the bar's width. */
function bars(
  caption: string,
  head: readonly string[],
  rows: readonly { cells: readonly string[]; from: number; to: number; strong?: boolean }[],
): HTMLElement {
  const bar = (from: number, to: number): HTMLElement =>
    h("i", {
      style: { left: `${100 * Math.min(from, to)}%`, width: `${100 * Math.abs(to - from)}%` },
    });
  return h(
    "table",
    { class: "order-bars num" },
    h("caption", {}, caption),
    h(
      "thead",
      {},
      h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)), h("td", { "aria-hidden": "true" })),
    ),
    h(
      "tbody",
      {},
      ...rows.map(({ cells, from, to, strong }) =>
        h(
          "tr",
          { class: strong ? "strong" : null },
          ...cells.map((cell) => h("td", {}, cell)),
          h("td", { class: "bar", "aria-hidden": "true" }, bar(from, to)),
        ),
      ),
    ),
  );
}

function clusterBars(order: OrderRow): HTMLElement | null {
  const clusters = clustersOf(order);
  if (!clusters.length) return null;
  // Silhouettes are from -1 to 1; the scale begins at 0 where none is negative.
  const least = Math.min(0, ...clusters.map(({ silhouette }) => silhouette || 0));
  const share = (value: number): number => (value - least) / (1 - least);
  const tried = triedOf(order);
  const table = bars(
    "Silhouette of each cluster, in the order of the stack",
    ["cluster", "maps", "silhouette"],
    clusters.map(({ size, silhouette }, i) => ({
      cells: [String(i + 1), count(size), Number.isNaN(silhouette) ? "–" : number(silhouette, 2)],
      from: share(0),
      to: share(Number.isNaN(silhouette) ? 0 : silhouette),
    })),
  );
  table.title = clusters.map((cluster, i) => `cluster ${i + 1}: ${clusterText(cluster)}`).join("\n");
  const text = tried.map(([k, value]) => `${k}: ${number(value, 2)}`).join(" · ");
  return h(
    "div",
    {},
    table,
    tried.length
      ? h("p", { class: "muted num" }, `Number of clusters chosen by mean silhouette: ${text}`)
      : null,
  );
}

function varianceBars(order: OrderRow): HTMLElement | null {
  const shares = varianceOf(order);
  if (!shares.length) return null;
  const most = Math.max(...shares) || 1;
  return bars(
    `Explained variance, ${shares.length === 1 ? "the component" : `the first ${shares.length} components`}`,
    ["component", "variance"],
    shares.map((share, i) => ({
      cells: [String(i + 1), percent(share)],
      from: 0,
      to: share / most,
      strong: i + 1 === componentOf(order),
    })),
  );
}

function dendrogram(order: OrderRow, permutation: readonly number[]): HTMLElement | null {
  const tree = dendrogramOf(order, permutation);
  if (!tree) return null;
  const label = `Dendrogram of ${count(tree.leaves)} maps in the order of the stack; the topmost merge is at ${number(tree.top)}`;
  return h(
    "figure",
    { class: "order-tree" },
    s(
      "svg",
      {
        role: "img",
        "aria-label": label,
        viewBox: `0 -0.02 ${tree.leaves} 1.04`,
        preserveAspectRatio: "none",
      },
      s("path", { d: tree.path }),
    ),
    h(
      "figcaption",
      { class: "muted num" },
      `Distance at which maps join, from 0 (below) to ${number(tree.top, 3)}; places 0 to ${tree.leaves - 1} from left to right`,
    ),
  );
}

const SHOWN = 4;

/** Which channels are at both ends, and what the method was told. */
function inWords(order: OrderRow, permutation: readonly number[]): string {
  const few =
    permutation.length <= 2 * SHOWN
      ? permutation.join(", ")
      : `${permutation.slice(0, SHOWN).join(", ")} … ${permutation.slice(-SHOWN).join(", ")}`;
  const told = parameterText(order);
  return `Channels from first to last: ${few}.${told ? ` Parameters: ${told}.` : ""}`;
}
