// Names of the three axes of the volume, as text beside the edges of the box that stand farthest out.
import { h, put } from "../lib/dom";

interface Point {
  readonly x: number;
  readonly y: number;
}

type Edge = readonly [number, number, number];

const ENDS = [-0.5, 0.5];
/** Middles of the edges of the box that run along channels, rows and columns. */
const EDGES: readonly (readonly Edge[])[] = [
  ENDS.flatMap((x) => ENDS.map((y): Edge => [x, y, 0])),
  ENDS.flatMap((x) => ENDS.map((z): Edge => [x, 0, z])),
  ENDS.flatMap((y) => ENDS.map((z): Edge => [0, y, z])),
];

export class AxisLabels {
  readonly elements = EDGES.map(() => h("span", { class: "axis-label num", "aria-hidden": "true" }));

  name(...texts: readonly string[]): void {
    texts.forEach((text, i) => {
      put(this.elements[i], text);
    });
  }

  /** Put the names where `project` says the edges are on the canvas. */
  place(project: (x: number, y: number, z: number) => Point): void {
    const centre = project(0, 0, 0);
    const distance = (at: Point): number => Math.hypot(at.x - centre.x, at.y - centre.y);
    EDGES.forEach((edges, i) => {
      const middles = edges.map((edge) => project(...edge));
      const at = middles.reduce((a, b) => (distance(b) > distance(a) + 1 ? b : a));
      const away = distance(at) || 1;
      const x = at.x + (30 * (at.x - centre.x)) / away;
      const y = at.y + (18 * (at.y - centre.y)) / away;
      this.elements[i].style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
    });
  }
}
