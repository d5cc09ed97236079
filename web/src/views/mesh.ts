// Logged meshes and clouds of points: the runs of a tag side by side under one camera, any step of them.

import { DRAWINGS, type Drawing, type MeshLook, MeshPainter } from "../gl/mesh";
import { LazyCards } from "../lib/cards";
import { fromSeriesKey, seriesKey } from "../lib/catalog";
import { segmented, slider } from "../lib/controls";
import { h, put } from "../lib/dom";
import { count } from "../lib/format";
import { empty, Frame } from "../lib/frame";
import { type Box, joinedBox } from "../lib/meshdata";
import { boundedOf, choiceOf } from "../lib/route";
import { shownRuns } from "../lib/runs";
import { GrowingTensors } from "../lib/series";
import { StepBar, stepOf } from "../lib/stepbar";
import { stepKey } from "../lib/stepkeys";
import type { Source, Tensors } from "../source/source";
import { MeshCard, type MeshCardHost } from "./panels/meshcard";
import { type TagRow, tagRows } from "./panels/picturemath";
import { SeriesStore } from "./panels/pictureseries";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Meshes and clouds of points logged during training. All runs of a tag share one scale and one camera: drag to turn, shift-drag to move, scroll to zoom.";
const TEXTS: Readonly<Record<Drawing, string>> = {
  surface: "Surface",
  wireframe: "Wireframe",
  points: "Points",
};
const SIZE = 3;
const PAGE = 60;

class MeshView implements View, MeshCardHost {
  step: number | null = null;
  item = 0;
  readonly #frame: Frame;
  readonly #controller = new AbortController();
  readonly #cards = new LazyCards<MeshCard>(() => this.state.ready());
  readonly #bar = new StepBar((step) => this.state.navigate({ step }, true));
  readonly #boxes = new Map<string, Box>();
  readonly #series: SeriesStore<Tensors, GrowingTensors>;
  readonly #dirty = new Set<MeshCard>();
  readonly #drawing = segmented(
    "Draw",
    DRAWINGS.map((value) => ({ value, text: TEXTS[value] })),
    "surface",
    (drawing) => this.state.navigate({ draw: drawing === "surface" ? null : drawing }, true),
  );
  readonly #size = slider(
    "Points",
    { min: 1, max: 12, step: 1 },
    SIZE,
    (size) => this.state.navigate({ size: size === SIZE ? null : size }, true),
    (size) => `${size} px`,
  );
  readonly #item = slider(
    "Mesh",
    { min: 0, max: 0, step: 1 },
    0,
    (item) => this.state.navigate({ item: item || null }, true),
    (item) => `${item + 1} of the batch`,
  );
  readonly #reset = h(
    "button",
    { type: "button", class: "button", onclick: () => this.#goHome() },
    "Reset view",
  );
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  #painter: MeshPainter | undefined;
  /** The card that was turned last. */
  #lead: MeshCard | undefined;
  #frameRequest = 0;
  #layout = "";
  #limit = PAGE;
  /** Meshes of the largest batch. */
  #largest = 1;
  #keysShown: readonly string[] = [];

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#series = new SeriesStore(
      () => new GrowingTensors(),
      (key, start) => {
        const { run, tag } = fromSeriesKey(key);
        return source.series(run, "mesh", tag, start, this.#controller.signal);
      },
      (series) => series.all.step?.data ?? [],
    );
    this.#frame = new Frame(el);
    put(this.#frame.tools, this.#drawing.el, this.#size.el, this.#item.el, this.#reset, this.#bar.el);
    window.addEventListener("keydown", this.#keys);
    this.update(state);
  }

  update(state: ViewState): void {
    const repaint = state.theme !== this.state.theme || state.route !== this.state.route;
    this.state = state;
    const { index, route } = state;
    this.step = stepOf(route);
    this.item = Math.trunc(boundedOf(route, "item", 0, 0, 1e6));
    this.#markItem();
    this.#series.learn(index, "mesh");
    this.#drawing.set(choiceOf(route, "draw", DRAWINGS));
    this.#size.set(boundedOf(route, "size", SIZE, 1, 12));
    const wanted = route.params.q ?? "";
    const rows = tagRows(shownRuns(index, route.params), "mesh", wanted);
    this.#frame.head({
      view: "Meshes",
      explain: EXPLAIN,
      facts: rows.length ? [{ name: "tags", value: count(rows.length) }] : [],
    });
    this.#frame.tools.hidden = !rows.length;
    this.#build(rows);
    if (!rows.length) this.#showEmpty(wanted);
    this.#cards.refresh();
    if (repaint) for (const card of this.#cards.visible) this.paint(card);
    this.#mark();
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#keys);
    this.#controller.abort();
    cancelAnimationFrame(this.#frameRequest);
    this.#cards.destroy();
    this.#bar.destroy();
    this.#painter?.destroy();
  }

  async entries(key: string): Promise<Tensors> {
    const series = await this.#series.reach(key);
    this.#mark();
    return series.all;
  }

  mesh(run: string, tag: string, index: number): Promise<Tensors> {
    return this.source.mesh(run, tag, index, this.item, this.#controller.signal);
  }

  batch(size: number): void {
    if (size <= this.#largest) return;
    this.#largest = size;
    this.#markItem();
  }

  #markItem(): void {
    this.#item.limit({ min: 0, max: Math.max(0, this.#largest - 1), step: 1 });
    this.#item.set(this.item);
    this.#item.el.hidden = this.#largest < 2;
  }

  colourOf(run: string): string {
    return this.state.colours.get(run) ?? "#888888";
  }

  boxOf(tag: string): Box | undefined {
    return this.#boxes.get(tag);
  }

  grow(tag: string, box: Box | undefined): void {
    const joined = joinedBox(this.#boxes.get(tag), box);
    if (!joined) return;
    this.#boxes.set(tag, joined);
    for (const card of this.#cards.visible) if (card.tag === tag) this.paint(card);
  }

  /** Draw a card with the next frame. */
  paint(card: MeshCard): void {
    this.#dirty.add(card);
    this.#frameRequest ||= requestAnimationFrame(() => this.#paintAll());
  }

  turned(by: MeshCard): void {
    this.#lead = by;
    for (const card of this.#cards.visible) this.paint(card);
  }

  #paintAll(): void {
    this.#frameRequest = 0;
    const cards = [...this.#dirty];
    this.#dirty.clear();
    for (const card of cards) {
      try {
        this.#paintOne(card);
      } catch (error) {
        card.fail(error);
      }
    }
  }

  #paintOne(card: MeshCard): void {
    if (!card.data || !card.el.isConnected) return;
    this.#painter ??= new MeshPainter(() => {
      for (const one of this.#cards.visible) this.paint(one);
    });
    // A card that came into sight later stands where the others do.
    if (this.#lead && this.#lead !== card) card.orbit.follow(this.#lead.orbit);
    const { route } = this.state;
    const background = getComputedStyle(card.el).getPropertyValue("--scene").trim();
    const look: MeshLook = {
      drawing: choiceOf(route, "draw", DRAWINGS),
      size: boundedOf(route, "size", SIZE, 1, 12),
      colour: this.colourOf(card.run),
      background,
    };
    card.scene.show(card.data, look, this.boxOf(card.tag));
    card.scene.lightFrom(card.orbit.camera);
    this.#painter.paint(card.canvas, card.scene.scene, card.orbit.camera, background);
  }

  #goHome(): void {
    this.#cards.visible[0]?.orbit.reset();
  }

  #mark(): void {
    this.#bar.update(this.#series.steps(this.#keysShown), this.step);
  }

  #showEmpty(wanted: string): void {
    const texts: [string, string, ...string[]] = wanted
      ? ["No mesh", `No tag of a shown run contains “${wanted}”.`]
      : [
          "No meshes yet",
          "Log triangles or clouds of points with SummaryWriter.add_mesh:",
          'writer.add_mesh("face", vertices, colors=colours, faces=triangles)',
        ];
    put(this.#frame.body, empty(...texts));
    this.state.ready();
  }

  #build(rows: readonly TagRow[]): void {
    const cut = limited(rows, this.#limit);
    const layout = JSON.stringify(cut);
    if (layout === this.#layout && this.#frame.body.querySelector(".mesh-row")) return;
    this.#layout = layout;
    this.#keysShown = cut.flatMap(({ tag, runs }) => runs.map((run) => seriesKey(run, tag)));
    const cards = this.#cards.keep(this.#keysShown, (key) => {
      const { run, tag } = fromSeriesKey(key);
      return new MeshCard(key, run, tag, this);
    });
    const sections = cut.map(({ tag }) =>
      h(
        "section",
        { class: "mesh-row", "aria-label": tag },
        h("h2", { class: "group-title" }, tag),
        h("div", { class: "card-grid" }, ...cards.filter((card) => card.tag === tag).map(({ el }) => el)),
      ),
    );
    put(this.#frame.body, ...sections, total(rows) > this.#keysShown.length && this.#more(total(rows)));
  }

  #more(all: number): HTMLElement {
    const more = (): void => {
      this.#limit += PAGE;
      this.update(this.state);
    };
    const text = `Show ${Math.min(PAGE, all - this.#keysShown.length)} more of ${count(all)}`;
    return h("button", { type: "button", class: "button text-more", onclick: more }, text);
  }

  #key(event: KeyboardEvent): void {
    const by = stepKey(event);
    if (by) this.#bar.move(by);
  }
}

const total = (rows: readonly TagRow[]): number => rows.reduce((sum, { runs }) => sum + runs.length, 0);

/** The first rows, with `most` cards at most. */
function limited(rows: readonly TagRow[], most: number): TagRow[] {
  let left = most;
  const cut: TagRow[] = [];
  for (const { tag, runs } of rows) {
    if (left <= 0) break;
    cut.push({ tag, runs: runs.slice(0, left) });
    left -= runs.length;
  }
  return cut;
}

export const mount: Mount = (el, source, state) => new MeshView(el, source, state);
