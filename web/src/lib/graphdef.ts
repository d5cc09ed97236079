// The graph of a log: the nodes that a program recorded, as the drawing of a network takes them.
import type { LayerRow, NetworkData } from "./network";

export type Attribute = string | number | boolean | null | readonly (string | number | boolean | null)[];

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly shapes: readonly (readonly number[] | null)[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A graph as the host gives it; `count`: how many graphs the run holds. */
export interface GraphAnswer {
  readonly step: number;
  readonly count: number;
  readonly nodes: readonly GraphNode[];
}

/** What a drawing needs. */
export type Drawable = Pick<NetworkData, "layers" | "input"> & { readonly record: { readonly id: string } };

/** Constants, lists of constants and stored weights: many, and not what one wants to see first. */
const SMALL =
  /(^|::)(Const(ant)?|GetAttr|ListConstruct|TupleConstruct|ListUnpack|TupleUnpack|Parameter|Buffer|Identity|NoOp)$/i;

export const isSmall = (node: GraphNode): boolean => SMALL.test(node.op);

/** The node an input names: without the number of the result, without the mark of an input that only waits. */
export const sourceOf = (input: string): string => input.replace(/^\^/, "").replace(/:\d+$/, "");

/** "aten::_convolution" → "convolution". */
export const kindOf = (op: string): string => op.slice(op.lastIndexOf(":") + 1).replace(/^_+/, "") || op;

/** The nodes as layers, in an order in which each comes after what it takes; small ones only if `all` are wanted. */
export function layersOf(nodes: readonly GraphNode[], all: boolean): LayerRow[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const shown = (node: GraphNode): boolean => all || !isSmall(node);
  return inOrder(nodes, byName)
    .filter(shown)
    .map((node) => {
      const near = reached(node, byName, shown);
      return {
        name: node.name,
        kind: kindOf(node.op),
        shape: (node.shapes.find((shape) => shape !== null) ?? []).slice(1),
        field: { size: [], stride: [], start: [], reason: "" },
        parameters: near.hidden.reduce((sum, one) => sum + (Number(one.attributes.parameters) || 0), 0),
        macs: 0,
        inputs: near.shown.map(({ name }) => name),
        nonlinearity: "",
        kernel: [],
        stride: [],
        padding: [],
        dilation: [],
        groups: 1,
      };
    });
}

/** What a node takes: the nearest nodes that are shown, and the hidden ones on the way to them. */
function reached(
  node: GraphNode,
  byName: ReadonlyMap<string, GraphNode>,
  isShown: (node: GraphNode) => boolean,
): { shown: GraphNode[]; hidden: GraphNode[] } {
  const seen = new Set<GraphNode>([node]);
  const shown: GraphNode[] = [];
  const hidden: GraphNode[] = [];
  const waiting = [node];
  for (let next = waiting.pop(); next; next = waiting.pop())
    for (const input of next.inputs) {
      const source = byName.get(sourceOf(input));
      if (!source || seen.has(source)) continue;
      seen.add(source);
      if (isShown(source)) shown.push(source);
      else {
        hidden.push(source);
        waiting.push(source);
      }
    }
  return { shown, hidden };
}

/** The nodes after what they take, as far as there are no circles; else as they are logged. */
function inOrder(nodes: readonly GraphNode[], byName: ReadonlyMap<string, GraphNode>): GraphNode[] {
  const done = new Set<GraphNode>();
  const order: GraphNode[] = [];
  for (const first of nodes) {
    const stack: [GraphNode, number][] = [[first, 0]];
    if (done.has(first)) continue;
    done.add(first);
    while (stack.length) {
      const top = stack[stack.length - 1];
      const input = top[0].inputs[top[1]++];
      if (input === undefined) {
        order.push(top[0]);
        stack.pop();
        continue;
      }
      const source = byName.get(sourceOf(input));
      if (source && !done.has(source)) {
        done.add(source);
        stack.push([source, 0]);
      }
    }
  }
  return order;
}
