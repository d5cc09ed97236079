// Where the boxes of a directed graph go: layer below layer, with few crossings.
import { Graph, layout } from "@dagrejs/dagre";
import type { Wire } from "./network";

export interface Placed {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly boxes: ReadonlyMap<string, Placed>;
  /** Points of each connection, in the order they were given. */
  readonly wires: readonly (readonly { readonly x: number; readonly y: number }[])[];
}

/** The library takes a node of the empty name for none. */
const key = (id: string): string => `box ${id}`;

/** Lay a graph out from top to bottom; `sizes` are the boxes in the order of execution. */
export function layOut(
  sizes: ReadonlyMap<string, { width: number; height: number }>,
  wires: readonly Wire[],
): Drawn {
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 22, ranksep: 26, edgesep: 14, marginx: 12, marginy: 12 });
  for (const [id, size] of sizes) graph.setNode(key(id), { ...size });
  for (const { from, to } of wires) graph.setEdge(key(from), key(to), { weight: 1, minlen: 1 });
  layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  const boxes = new Map(
    [...sizes.keys()].map((id) => {
      const { x, y, width: w, height: h } = graph.node(key(id)) as Placed;
      return [id, { x: x - w / 2, y: y - h / 2, width: w, height: h }] as const;
    }),
  );
  const lines = wires.map(
    ({ from, to }) => graph.edge(key(from), key(to)).points as { x: number; y: number }[],
  );
  return { width, height, boxes, wires: lines };
}
