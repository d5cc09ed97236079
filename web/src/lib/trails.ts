// The ways of a few points over training steps, drawn over the map as lines from step to step.
import { s } from "./dom";

type Place = readonly [number, number, number];
type Project = (x: number, y: number, z: number) => readonly [number, number] | null;

export class TrailLayer {
  readonly #svg = s("svg", { class: "points-trails", "aria-hidden": "true" });
  #project: Project = () => null;
  #trails: readonly (readonly (readonly Place[])[])[] = [];
  #drawn = "";

  /** Draw over `host`, whose places `project` puts on the screen. */
  attach(host: HTMLElement, project: Project): void {
    this.#project = project;
    if (this.#svg.parentElement !== host) host.append(this.#svg);
  }

  /** The ways of the points: each is runs of places without a gap. */
  set(trails: readonly (readonly (readonly Place[])[])[]): void {
    this.#trails = trails;
    this.draw();
  }

  draw(): void {
    const parts: SVGElement[] = [];
    let text = "";
    for (const runs of this.#trails)
      for (const run of runs) {
        const places = run.map((place) => this.#project(...place)).filter((at) => at !== null);
        const points = places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
        text += `${points};`;
        parts.push(s("polyline", { points }));
        places.forEach(([cx, cy], k) => {
          const last = k === places.length - 1;
          parts.push(s("circle", { cx, cy, r: last ? 3.5 : 2, class: last ? "end" : "" }));
        });
      }
    if (text === this.#drawn) return;
    this.#drawn = text;
    this.#svg.replaceChildren(...parts);
  }

  detach(): void {
    this.#svg.remove();
    this.#trails = [];
  }
}
