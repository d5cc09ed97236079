// A map of the data set: points that the network places near each other, as thumbnails, with search and neighbours.
import { type Detail, PointsScene } from "../gl/points";
import { WebGLMissing } from "../gl/stage";
import { buildAtlas } from "../lib/atlas";
import { chooseRun, chooseTag, recordsOf, tagsOf } from "../lib/catalog";
import { type Control, Player, segmented, select } from "../lib/controls";
import { h, isTyping, put } from "../lib/dom";
import { count, plural } from "../lib/format";
import { empty, Frame, failed, isAbort, loading, messageOf } from "../lib/frame";
import { FrameStore, type ProjectionFrame } from "../lib/frames";
import { statesOf } from "../lib/highlight";
import { Loader } from "../lib/loader";
import { Motion } from "../lib/motion";
import { classRgb } from "../lib/palette";
import { type EmbeddingData, embeddingFacts, fetchEmbedding, methodName, origin } from "../lib/points";
import { choiceOf, numberOf } from "../lib/route";
import { bestTier, type Matches, search, TIERS, type Tier } from "../lib/search";
import { PictureCache } from "../lib/sheet";
import { Tooltip } from "../lib/tooltip";
import type { RecordInfo, RunInfo, Source } from "../source/source";
import { PointsPanel } from "./panels/points";
import type { Mount, View, ViewState } from "./view";

const DETAILS: readonly Detail[] = ["auto", "dots", "thumbnails"];
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
  readonly #detail: Control<Detail>;
  readonly #keys = (event: KeyboardEvent): void => this.#key(event);
  #controller = new AbortController();
  #run: RunInfo | undefined;
  #data: EmbeddingData | undefined;
  #scene: PointsScene | undefined;
  #frames: FrameStore | undefined;
  #records: readonly RecordInfo[] = [];
  #tags: readonly string[] = [];
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
    this.#detail = segmented<Detail>(
      "Draw",
      [
        { value: "auto", text: "Auto", title: "Dots far away, thumbnails near" },
        { value: "dots", text: "Dots" },
        { value: "thumbnails", text: "Thumbnails" },
      ],
      "auto",
      (v) => state.navigate({ draw: v === "auto" ? null : v }, true),
    );
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
    this.#run = chooseRun(index, "embedding", route.params.run);
    const tag = this.#run && chooseTag(this.#run, "embedding", route.params.tag);
    if (!this.#run || !tag) return this.#showEmpty();
    const record = recordsOf(this.#run, "embedding", tag).at(-1);
    if (!record) return;
    this.#tags = tagsOf(this.#run, "projection").filter((name) => name.startsWith(`${tag}/`));
    if (this.#loader.isNew(`${this.#run.name}/${record.id}`)) this.#load(this.#run, record);
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
  }

  #showEmpty(): void {
    this.#frame.head({ view: "Embedding", explain: EXPLAIN });
    put(this.#frame.tools);
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
    put(this.#frame.body, loading(record.tag));
    this.#loader.run(
      (signal) => fetchEmbedding(this.source, run.name, record.id, signal),
      (data) => {
        this.#data = data;
        this.#frames = new FrameStore(this.source, run.name, this.#controller.signal);
        this.#open(run, data);
      },
      (error) => put(this.#frame.body, failed(error)),
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
      if (error instanceof WebGLMissing) this.state.ready();
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
    const tag =
      this.#tags.find((name) => name === `${data.record.tag}/${route.params.proj}`) ??
      this.#tags.find((name) => name.endsWith("/tsne")) ??
      this.#tags[0];
    this.#records = tag && this.#run ? recordsOf(this.#run, "projection", tag) : [];
    this.#tools(data, tag);
    this.#scene?.setDetail(choiceOf(route, "draw", DETAILS));
    this.#detail.set(choiceOf(route, "draw", DETAILS));
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

  #tools(data: EmbeddingData, tag: string | undefined): void {
    const key = `${this.#tags.join()}|${tag}`;
    if (this.#frame.tools.dataset.key === key) return;
    this.#frame.tools.dataset.key = key;
    const options = this.#tags
      .map((name) => name.slice(data.record.tag.length + 1))
      .map((value) => ({ value, text: methodName(value) }));
    const chosen = tag?.slice(data.record.tag.length + 1) ?? "";
    const projection =
      options.length > 1
        ? select("Projection", options, chosen, (value) => this.state.navigate({ proj: value, step: null }))
        : null;
    const fit = h(
      "button",
      { type: "button", class: "button", onclick: () => this.#scene?.orbit.reset() },
      "Fit",
    );
    put(this.#frame.tools, projection?.el, this.#detail.el, this.#player.el, fit);
  }

  #colours(data: EmbeddingData, theme: ViewState["theme"]): void {
    if (this.#host.dataset.theme === theme && this.#painted === data.record.id) return;
    this.#host.dataset.theme = theme;
    this.#painted = data.record.id;
    const rgb = new Float32Array(3 * data.count);
    for (let i = 0; i < data.count; i++) rgb.set(classRgb(data.label[i], data.classes.length, theme), 3 * i);
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
    const chosen = numberOf(route, "point", -1);
    const label = route.params.class === undefined ? null : numberOf(route, "class", -1);
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
        if (!isAbort(error)) put(this.#badge, messageOf(error));
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
    const chosen = numberOf(this.state.route, "point", -1);
    if (tier) this.#scene?.focus(this.#matches[tier]);
    else if (chosen >= 0 && chosen < data.count)
      this.#scene?.focus([chosen, ...data.neighboursOf(chosen).map(({ index }) => index)]);
    this.state.ready();
  }

  /** Fetch the other frames one after the other, for the slider and the sparkline. */
  async #prefetch(): Promise<void> {
    if (this.#prefetched === this.#records.length || this.#fetching) return;
    this.#fetching = true;
    this.#prefetched = this.#records.length;
    const { signal } = this.#controller;
    const kl: number[] = [];
    for (const record of this.#records) {
      try {
        const frame = await this.#frames?.get(record);
        if (signal.aborted) return;
        if (typeof frame?.meta.kl === "number") kl.push(frame.meta.kl);
      } catch (error) {
        if (isAbort(error)) return;
      }
    }
    this.#fetching = false;
    this.#panel.divergence(kl);
  }

  #heading(data: EmbeddingData, record?: RecordInfo, frame?: ProjectionFrame): void {
    this.#frame.head({
      view: "Embedding",
      tag: data.record.tag,
      ...(this.#run ? { run: this.#run.name, colour: this.state.colours.get(this.#run.name) ?? "" } : {}),
      step: origin(record?.step ?? 0, frame?.meta ?? {}),
      explain: EXPLAIN,
      facts: embeddingFacts(data, frame?.meta ?? {}),
    });
  }

  #hover(event: PointerEvent): void {
    const [scene, data] = [this.#scene, this.#data];
    if (!scene || !data || scene.orbit.dragging) return this.#tooltip.hide();
    const box = scene.canvas.getBoundingClientRect();
    const i = scene.pick(event.clientX - box.left, event.clientY - box.top);
    this.#host.classList.toggle("over", i >= 0);
    if (i < 0) return this.#tooltip.hide();
    this.#tooltip.show(event.clientX, event.clientY, this.#panel.card(i, this.state.theme));
  }

  #click(event: MouseEvent): void {
    const [scene, data] = [this.#scene, this.#data];
    if (!scene || !data || event.detail === 0) return;
    const box = scene.canvas.getBoundingClientRect();
    const i = scene.pick(event.clientX - box.left, event.clientY - box.top);
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
