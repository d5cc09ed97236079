// The card of one mesh or cloud of points of one run, at a step.
import { MeshScene } from "../../gl/mesh";
import { Orbit } from "../../gl/orbit";
import type { LazyCard } from "../../lib/cards";
import { h, put } from "../../lib/dom";
import { csv, download, pngOf, saveMenu } from "../../lib/download";
import { count } from "../../lib/format";
import { dot, hiddenTable, messageOf } from "../../lib/frame";
import { type Box, extents, type MeshData, meshOf, meshSummary } from "../../lib/meshdata";
import { entryAt, offStep } from "../../lib/stepbar";
import type { Tensors } from "../../source/source";
import { clock } from "./picturemath";

export const HOME = { distance: 2.7, yaw: 0.6, pitch: 0.4 } as const;

export interface MeshCardHost {
  readonly step: number | null;
  /** The entries of a series; `known` steps move the slider. */
  entries(key: string): Promise<Tensors>;
  /** Which mesh of a batch is shown. */
  readonly item: number;
  mesh(run: string, tag: string, index: number): Promise<Tensors>;
  /** A series has batches of so many meshes. */
  batch(size: number): void;
  colourOf(run: string): string;
  /** The box around all of a tag that was seen. */
  boxOf(tag: string): Box | undefined;
  grow(tag: string, box: Box | undefined): void;
  paint(card: MeshCard): void;
  /** Another card was turned: all look from there. */
  turned(by: MeshCard): void;
}

export class MeshCard implements LazyCard {
  readonly el: HTMLElement;
  readonly canvas = h("canvas", { role: "img" });
  readonly scene = new MeshScene();
  readonly orbit: Orbit;
  data: MeshData | undefined;
  readonly #host = h("div", { class: "mesh-host", tabindex: 0, role: "group" }, this.canvas);
  readonly #dot = h("span");
  readonly #note = h("p", { class: "curve-note num" });
  readonly #about = h("p", { class: "curve-note num mesh-about" });
  readonly #table = h("div");
  readonly #observer = new ResizeObserver(() => this.#fit());
  #shown = "";

  constructor(
    readonly key: string,
    readonly run: string,
    readonly tag: string,
    private readonly host: MeshCardHost,
  ) {
    this.#host.setAttribute(
      "aria-label",
      `${tag}, ${run}: drag or arrow keys turn, plus and minus zoom, 0 resets`,
    );
    this.orbit = new Orbit(this.#host, () => host.turned(this), HOME);
    const items = [
      { label: "PNG", save: async () => download(`${run}-${tag}.png`, await pngOf(this.canvas)) },
      { label: "CSV of the vertices", save: () => this.#saveVertices() },
    ];
    this.el = h(
      "article",
      { class: "card mesh-card", "aria-label": `Mesh ${tag}, ${run}` },
      h(
        "header",
        { class: "card-head" },
        h("h3", { title: run }, this.#dot, run),
        this.#note,
        saveMenu(items, `Save ${tag} of ${run}`),
      ),
      this.#host,
      this.#about,
      this.#table,
    );
    this.#observer.observe(this.#host);
  }

  async refresh(): Promise<void> {
    put(this.#dot, dot(this.host.colourOf(this.run)));
    const { step: steps, wall_time: times, batch } = await this.host.entries(this.key);
    const { step, item } = this.host;
    const index = entryAt(steps?.data ?? [], step);
    if (index < 0) return;
    this.host.batch(batch.data[index]);
    const shown = `${index}/${steps.data[index]}/${times.data[index]}/${item}`;
    if (shown !== this.#shown) {
      const data = meshOf(await this.host.mesh(this.run, this.tag, index));
      if (step !== this.host.step || item !== this.host.item) return;
      this.#shown = shown;
      this.#take(data, steps.data[index], times.data[index]);
    }
    put(this.#note, this.#text(steps.data[index], times.data[index]));
    this.host.paint(this);
  }

  fail(error: unknown): void {
    this.#shown = "";
    put(this.#about, messageOf(error));
  }

  destroy(): void {
    this.#observer.disconnect();
    this.orbit.destroy();
    this.scene.destroy();
  }

  #take(data: MeshData, step: number, time: number): void {
    this.data = data;
    const summary = meshSummary(data);
    put(this.#about, summary);
    put(this.#note, this.#text(step, time));
    this.canvas.setAttribute("aria-label", `${this.tag} of ${this.run} at step ${step}: ${summary}`);
    put(
      this.#table,
      hiddenTable(`Extent of ${this.tag}, ${this.run}`, ["axis", "from", "to"], extents(data.box)),
    );
    this.host.grow(this.tag, data.box);
  }

  #text(step: number, time: number): string {
    return [`step ${count(step)}`, offStep(step, this.host.step), clock(time)].filter(Boolean).join(" · ");
  }

  #fit(): void {
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (!width || !height) return;
    this.orbit.resize(width, height);
    if (this.data) this.host.paint(this);
  }

  #saveVertices(): void {
    const { positions } = this.data ?? { positions: new Float32Array() };
    const rows = Array.from({ length: positions.length / 3 }, (_, i) => [
      ...positions.subarray(3 * i, 3 * i + 3),
    ]);
    download(`${this.run}-${this.tag}.csv`, csv(["x", "y", "z"], rows), "text/csv;charset=utf-8");
  }
}
