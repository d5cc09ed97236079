// A map of the data set: points that the network places near each other, as thumbnails, with search and neighbours.
import { PointsScene } from "../gl/points";
import { buildAtlas } from "../lib/atlas";
import { choose, projectionsOf, recordsOf } from "../lib/catalog";
import { Player } from "../lib/controls";
import { h, isTyping, put } from "../lib/dom";
import { count, plural } from "../lib/format";
import { empty, Frame, failed, isAbort, loading, messageOf } from "../lib/frame";
import { FrameStore, type ProjectionFrame } from "../lib/frames";
import { statesOf } from "../lib/highlight";
import { Loader } from "../lib/loader";
import { Motion } from "../lib/motion";
import { classRgb } from "../lib/palette";
import { classOf, type EmbeddingData, embeddingFacts, fetchEmbedding, origin } from "../lib/points";
import { choiceOf, numberOf, type Place, placeOf } from "../lib/route";
import { bestTier, type Matches, search, TIERS, type Tier } from "../lib/search";
import { PictureCache } from "../lib/sheet";
import { Tooltip } from "../lib/tooltip";
import type { RecordInfo, RunInfo, Source } from "../source/source";
import { PointsPanel } from "./panels/points";
import { DETAILS, PointTools } from "./panels/pointtools";
import type { Mount, View, ViewState } from "./view";

const EXPLAIN =
  "Every point is one picture; pictures that the layer describes alike lie close together. Distances within a group mean more than distances between groups.";
const NONE: Matches = { exact: [], word: [], part: [] };
const PLAY_MS = 140;
const MOVE_MS = 420;

class EmbeddingView implements View {
  readonly #frame: Frame;
  readonly #loader = new Loader();
  readonly #pictures = new PictureCache();
  readonly #tooltip = new Tooltip();
  readonly #motion = new Motion();
  readonly #host = h("div", {
    class: "scene",
    tabindex: 0,
    role: "application",
    "aria-label": "Map of points: drag to move, wheel to zoom, click a point",
  });
  readonly #badge = h("p", { class: "scene-badge num", "data-testid": "points" });
  readonly #panel: PointsPanel;
  readonly #player: Player;
  readonly #tools: PointTools;
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  #controller = new AbortController();
  #run: RunInfo | undefined;
  #note = "";
  #data: EmbeddingData | undefined;
  #scene: PointsScene | undefined;
  #frames: FrameStore | undefined;
  #records: readonly RecordInfo[] = [];
  #projections: ReadonlyMap<string, readonly RecordInfo[]> = new Map();
  #shown = "";
  #current: ProjectionFrame | undefined;
  #matches: Matches = NONE;
  #query = "";
  #painted = "";
  #prefetched = 0;
  #fetching = false;

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#frame = new Frame(el);
    this.#player = new Player("Iteration", (at) => this.#seek(at), PLAY_MS);
    this.#tools = new PointTools(this.#frame.tools, this.#player.el, {
      navigate: (change, replace) => this.state.navigate(change, replace),
      fit: () => this.#scene?.orbit.reset(),
    });
    this.#panel = new PointsPanel(source, this.#pictures, {
      navigate: (change) => this.state.navigate(change, true),
      focus: (indices) => this.#scene?.focus(indices),
    });
    this.#host.addEventListener("pointermove", (event) => this.#hover(event));
    this.#host.addEventListener("pointerleave", () => this.#tooltip.hide());
    this.#host.addEventListener("click", (event) => this.#click(event));
    window.addEventListener("keydown", this.#keys);
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    const { route, index } = state;
    const { run, tag, note } = choose(index, "embedding", route.params);
    this.#run = run;
    this.#note = note;
    const record = run && tag ? recordsOf(run, "embedding", tag).at(-1) : undefined;
    if (!run || !record) return this.#showEmpty();
    this.#projections = projectionsOf(run, record);
    if (this.#loader.isNew(`${run.name}/${record.id}`)) this.#load(run, record);
    else if (this.#data) this.#paint(this.#data);
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#keys);
    this.#clear();
    this.#loader.stop();
    this.#tooltip.destroy();
    this.#pictures.clear();
  }

  #clear(): void {
    this.#motion.stop();
    this.#player.stop();
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#scene?.destroy();
    this.#scene = undefined;
    this.#data = undefined;
    this.#shown = "";
    this.#painted = "";
    this.#query = "";
    this.#matches = NONE;
    this.#current = undefined;
    this.#prefetched = 0;
    this.#fetching = false;
    this.state.crumb("");
  }

  #showEmpty(): void {
    this.#clear();
    this.#loader.stop();
    this.#frame.note();
    this.#frame.head({ view: "Embedding", explain: EXPLAIN });
    this.#tools.hide();
    put(
      this.#frame.body,
      empty(
        "No embedding yet",
        "Embed a data set by one of a network's layers:",
        "convscope demo",
        "convscope embed MODEL IMAGES --layer LAYER -o RUN",
      ),
    );
    this.state.ready();
  }

  #load(run: RunInfo, record: RecordInfo): void {
    this.#clear();
    this.#frame.note(this.#note);
    this.#frame.head({ view: "Embedding", tag: record.tag, ...this.#origin(), explain: EXPLAIN });
    this.#tools.hide();
    put(this.#frame.body, loading(record.tag));
    this.#loader.run(
      (signal) => fetchEmbedding(this.source, run.name, record.id, signal),
      (data) => {
        this.#data = data;
        this.#frames = new FrameStore(this.source, run.name, data.count, this.#controller.signal);
        this.#open(run, data);
      },
      (error) => {
        put(this.#frame.body, failed(error));
        this.state.ready();
      },
    );
  }

  #open(run: RunInfo, data: EmbeddingData): void {
    put(this.#host, this.#badge);
    put(this.#frame.body, h("div", { class: "scene-layout" }, this.#host, this.#panel.el));
    try {
      this.#scene = new PointsScene(
        this.#host,
        data.count,
        `${count(data.count)} points of ${data.record.tag}`,
        () => undefined,
      );
    } catch (error) {
      put(this.#host, failed(error));
      this.state.ready();
      return;
    }
    const { signal } = this.#controller;
    const sheet = data.record.pictures.thumbnail;
    if (sheet) {
      buildAtlas(
        sheet,
        data.count,
        this.#pictures,
        (file) => this.source.pictureUrl(run.name, data.record.id, file),
        signal,
        (atlas) => this.#scene?.setAtlas(atlas),
      ).catch((error: unknown) => {
        if (!isAbort(error)) put(this.#badge, `Thumbnails: ${messageOf(error)}`);
      });
    }
    this.#panel.open(data, run.name);
    this.#paint(data);
  }

  #paint(data: EmbeddingData): void {
    const { route, theme } = this.state;
    const tags = [...this.#projections.keys()];
    const wanted = [`${data.record.tag}/${route.params.proj}`, `${data.record.tag}/tsne`, tags[0]];
    const tag = wanted.find((name) => tags.includes(name));
    this.#records = this.#projections.get(tag ?? "") ?? [];
    const detail = choiceOf(route, "draw", DETAILS);
    this.#scene?.setDetail(detail);
    this.#tools.show(data.record.tag, tags, tag, detail);
    this.#colours(data, theme);
    this.#find(data);
    this.#highlight(data);
    this.#step();
    if (!this.#records.length) {
      this.#heading(data);
      put(this.#badge, "No projection recorded yet: it appears here as soon as the first frame is written.");
      this.state.ready();
    }
  }

  #colours(data: EmbeddingData, theme: ViewState["theme"]): void {
    if (this.#host.dataset.theme === theme && this.#painted === data.record.id) return;
    this.#host.dataset.theme = theme;
    this.#painted = data.record.id;
    const rgb = Float32Array.from(
      Array.from(data.label, (one) => classRgb(one, data.classes.length, theme)).flat(),
    );
    // The theme attribute is on the document by the time this runs; the style is read from the scene itself.
    requestAnimationFrame(() =>
      this.#scene?.setColours(
        rgb,
        getComputedStyle(this.#host).backgroundColor,
        getComputedStyle(this.#host).color,
      ),
    );
  }

  #find(data: EmbeddingData): void {
    const query = this.state.route.params.q ?? "";
    if (query === this.#query) return;
    this.#query = query;
    this.#matches = query.trim() ? search(data.count, (i) => data.texts(i), query) : NONE;
    const tier = bestTier(this.#matches);
    if (tier) this.#scene?.focus(this.#matches[tier]);
    else if (!query) this.#scene?.orbit.reset();
  }

  #tier(): Tier | null {
    const wanted = TIERS.find((tier) => tier === this.state.route.params.tier);
    return wanted && this.#matches[wanted].length ? wanted : bestTier(this.#matches);
  }

  #highlight(data: EmbeddingData): void {
    const { route } = this.state;
    const tier = this.#query.trim() ? this.#tier() : null;
    const { at: chosen, note } = this.#point(data);
    const { label, note: unknown } = classOf(data, route.params.class);
    this.#frame.note(this.#note, note, unknown);
    this.state.crumb(chosen < 0 ? "" : `point ${chosen}`);
    const matches = this.#query.trim() ? new Set(tier ? this.#matches[tier] : []) : null;
    const near = chosen < 0 ? null : new Set(data.neighboursOf(chosen).map(({ index }) => index));
    this.#scene?.setStates(statesOf(data.label, { matches, label, near }));
    this.#scene?.setChosen(chosen);
    this.#panel.show({
      matches: this.#matches,
      query: this.#query,
      tier,
      chosen,
      label,
      theme: this.state.theme,
    });
  }

  #point = (data: EmbeddingData): Place => placeOf(this.state.route, "point", data.count, "point");

  /** Show the frame of the address, the newest if it names none. */
  #step(): void {
    if (!this.#records.length || !this.#frames) return;
    const wanted = numberOf(this.state.route, "step", Number.POSITIVE_INFINITY);
    const found = this.#records.findIndex((record) => record.step === wanted);
    const at = found >= 0 ? found : this.#records.length - 1;
    const steps = this.#records.map(({ step }) => step);
    if (!this.#player.playing) this.#player.update(steps, at);
    this.#showFrame(this.#records[at]);
  }

  #seek(at: number): void {
    const last = at === this.#records.length - 1;
    this.state.navigate({ step: last ? null : this.#records[at]?.step }, true);
  }

  #showFrame(record: RecordInfo): void {
    if (record.id === this.#shown || !this.#frames) return;
    this.#shown = record.id;
    this.#frames.get(record).then(
      (frame) => {
        if (this.#shown === record.id && this.#data) this.#moveTo(frame, record, this.#data);
      },
      (error: unknown) => {
        if (isAbort(error) || this.#shown !== record.id) return;
        put(this.#badge, messageOf(error));
        this.state.ready();
      },
    );
  }

  #moveTo(frame: ProjectionFrame, record: RecordInfo, data: EmbeddingData): void {
    const scene = this.#scene;
    if (!scene) return;
    const first = !this.#current;
    this.#current = frame;
    scene.setFlat(frame.flat, frame.points);
    this.#heading(data, record, frame);
    void this.#prefetch();
    put(this.#badge, `${plural(data.count, "point")}`);
    const span = first ? 0 : this.#player.playing ? PLAY_MS : MOVE_MS;
    this.#motion.start(scene.positions, frame.points, span, this.#player.playing, () => scene.moved());
    if (first) this.#first(data);
  }

  #first(data: EmbeddingData): void {
    const tier = this.#tier();
    const { at: chosen } = this.#point(data);
    if (tier) this.#scene?.focus(this.#matches[tier]);
    else if (chosen >= 0)
      this.#scene?.focus([chosen, ...data.neighboursOf(chosen).map(({ index }) => index)]);
    this.state.ready();
  }

  /** Fetch the other frames one after the other, for the slider and the sparkline. */
  async #prefetch(): Promise<void> {
    if (this.#prefetched === this.#records.length || this.#fetching) return;
    this.#fetching = true;
    this.#prefetched = this.#records.length;
    const { signal } = this.#controller;
    const kl = (await this.#frames?.divergence(this.#records)) ?? [];
    if (signal.aborted) return;
    this.#fetching = false;
    this.#panel.divergence(kl);
  }

  #origin(): { run: string; colour: string } {
    const run = this.#run?.name ?? "";
    return { run, colour: this.state.colours.get(run) ?? "" };
  }

  #heading(data: EmbeddingData, record?: RecordInfo, frame?: ProjectionFrame): void {
    this.#frame.head({
      view: "Embedding",
      tag: data.record.tag,
      ...this.#origin(),
      step: origin(record?.step ?? 0, frame?.meta ?? {}),
      explain: EXPLAIN,
      facts: embeddingFacts(data, frame?.meta ?? {}),
    });
  }

  /** The point under the pointer, -1 if there is none. */
  #pick(event: MouseEvent): number {
    const box = this.#scene?.canvas.getBoundingClientRect();
    return box && this.#data
      ? (this.#scene?.pick(event.clientX - box.left, event.clientY - box.top) ?? -1)
      : -1;
  }

  #hover(event: PointerEvent): void {
    const i = this.#scene?.orbit.dragging ? -1 : this.#pick(event);
    this.#host.classList.toggle("over", i >= 0);
    if (i < 0) return this.#tooltip.hide();
    this.#tooltip.show(event.clientX, event.clientY, this.#panel.card(i, this.state.theme));
  }

  #click(event: MouseEvent): void {
    const i = event.detail === 0 ? -1 : this.#pick(event);
    if (i >= 0) this.state.navigate({ point: i });
  }

  #key(event: KeyboardEvent): void {
    if (isTyping(event)) return;
    if (event.key === "Escape" && this.state.route.params.point !== undefined)
      this.state.navigate({ point: null });
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && event.target === document.body) this.#player.move(by);
    if (event.key === " " && (event.target === document.body || event.target === this.#host)) {
      event.preventDefault();
      this.#player.toggle();
    }
  }
}

export const mount: Mount = (el, source, state) => new EmbeddingView(el, source, state);
