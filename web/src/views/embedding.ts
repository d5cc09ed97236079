// A map of the data set: points that the network places near each other, as thumbnails, searched, selected and compared.
import { choose, projectionsOf, recordsOf } from "../lib/catalog";
import { h, put } from "../lib/dom";
import { Frame, failed, loading } from "../lib/frame";
import type { Emphasis } from "../lib/highlight";
import { Loader } from "../lib/loader";
import { Nearest } from "../lib/nearest";
import { addressOf, filterChange, type PointAddress } from "../lib/pointaddress";
import { PointQuestions } from "../lib/pointquestions";
import { classOf, type EmbeddingData, fetchEmbedding, loadTexts } from "../lib/points";
import { holdLarge, largeSelection } from "../lib/pointsets";
import { formatRoute, placeOf } from "../lib/route";
import { Selection, type SelectMode, selectionOf, selectionText } from "../lib/selection";
import { PictureCache } from "../lib/sheet";
import { Tooltip } from "../lib/tooltip";
import type { RecordInfo, RunInfo, Source } from "../source/source";
import { PointCamera } from "./panels/pointcamera";
import { EXPLAIN, headingOf, noEmbedding, originOf, type ShownFrame } from "./panels/pointhead";
import { PointKeys } from "./panels/pointkeys";
import { PointMap } from "./panels/pointmap";
import { PointReplay } from "./panels/pointreplay";
import { PointsPanel } from "./panels/points";
import { PointSave } from "./panels/pointsave";
import { type Asked, measured, type OpenEmbedding, PointScreen } from "./panels/pointscreen";
import { LivePanel } from "./panels/pointslive";
import { PointsPair } from "./panels/pointspair";
import { PointsTime } from "./panels/pointstime";
import { PointTable } from "./panels/pointtable";
import { PointTools } from "./panels/pointtools";
import type { Mount, View, ViewState } from "./view";

class EmbeddingView implements View {
  readonly #frame: Frame;
  readonly #loader = new Loader();
  readonly #pictures = new PictureCache();
  readonly #tooltip = new Tooltip();
  readonly #stage = h("div", { class: "points-stage" });
  readonly #map: PointMap;
  readonly #camera: PointCamera;
  readonly #replay: PointReplay;
  readonly #panel: PointsPanel;
  readonly #live: LivePanel;
  readonly #time: PointsTime;
  readonly #pair: PointsPair;
  readonly #table: PointTable;
  readonly #tools: PointTools;
  readonly #save: PointSave;
  readonly #screen: PointScreen;
  readonly #keys: PointKeys;
  #open: OpenEmbedding | undefined;
  #note = "";
  #address: PointAddress;
  #projections: ReadonlyMap<string, readonly RecordInfo[]> = new Map();
  #parts: readonly RecordInfo[] = [];
  #chosen = -1;
  #sel = "";

  constructor(
    el: HTMLElement,
    private readonly source: Source,
    private state: ViewState,
  ) {
    this.#frame = new Frame(el);
    this.#address = addressOf(state.route);
    const navigate: ViewState["navigate"] = (change, replace) => this.state.navigate(change, replace);
    const focus = (points: ArrayLike<number>): void => this.#map.focus(points);
    this.#map = new PointMap(this.#stage, source, this.#pictures, {
      onPick: (point) => this.#pick(point),
      onHover: (point, x, y) => this.#hover(point, x, y),
      onSelect: (points, mode) => this.#select(points, mode),
      onCamera: (cam) => this.#camera.moved(cam),
      onDrawn: () => {
        this.#time.drawn();
        this.#pair.drawn();
      },
      onFrame: () => this.#framed(),
    });
    this.#camera = new PointCamera(this.#map, navigate);
    this.#replay = new PointReplay(this.#map, navigate, () => this.#framed());
    this.#live = new LivePanel(source, {
      place: (points, flat) => {
        this.#replay.stop();
        this.#map.place(points, flat, 0);
        this.#framed();
      },
      shown: () => this.#map.positions.slice(),
      kept: (tag) => this.state.navigate({ proj: tag.slice(tag.lastIndexOf("/") + 1), it: null }),
      left: () => this.update(this.state),
    });
    this.#panel = new PointsPanel(
      source,
      this.#pictures,
      {
        navigate,
        focus,
        select: (points) => this.#select(points, "replace"),
        selectShown: () =>
          this.#open && this.#select(this.#screen.left(this.#open, this.#asked()), "replace"),
        filter: (filter) => navigate(filterChange(filter), true),
        saveTable: () => void this.#save.selected(),
        saveNumbers: () => this.#save.numbers(),
        address: () => formatRoute(this.state.route),
        open: () => undefined, // one is there already
      },
      this.#live.el,
    );
    this.#save = new PointSave({
      data: () => this.#open?.data,
      map: this.#map,
      selection: () => this.#open?.selection,
      cards: this.#panel.cards,
      colours: () => this.#screen.spec(this.#open, this.#asked()),
      subtitle: () => originOf(this.#open?.data, this.#frameShown),
    });
    this.#time = new PointsTime(source, { navigate });
    this.#pair = new PointsPair(source, this.#pictures, {
      navigate,
      hover: (point, x, y) => this.#card(point, x, y),
      pick: (point) => this.#pick(point),
      select: (points, mode) => this.#select(points, mode),
    });
    this.#table = new PointTable(navigate);
    this.#screen = new PointScreen(this.#map, this.#panel, this.#table, (open, asked, emphasis) =>
      this.#stressed(open, asked, emphasis),
    );
    this.#tools = new PointTools(this.#frame.tools, this.#replay.player.el, [this.#pair.choice], {
      navigate,
      fit: () => this.#overview(),
      save: this.#save.items(),
    });
    this.#stage.append(this.#pair.el, this.#tools.pointer);
    this.#keys = new PointKeys(this.#map.el, {
      ready: () => this.#open !== undefined,
      escape: () => this.#escape(),
      frame: (by) => this.#replay.player.move(by),
      play: () => this.#replay.player.toggle(),
      match: (by) => this.#panel.found.step(by),
      tool: (tool) => this.#tools.toggleTool(tool),
      table: () => this.#tools.toggleTable(),
    });
    this.update(state);
  }

  update(state: ViewState): void {
    this.state = state;
    this.#address = addressOf(state.route);
    const { run, tag, note } = choose(state.index, "embedding", state.route.params);
    this.#note = note;
    const records = run && tag ? recordsOf(run, "embedding", tag) : [];
    const { step } = state.route.params;
    const record = records.find((one) => String(one.step) === step) ?? records.at(-1);
    if (!run || !record) return this.#showEmpty();
    if (step !== undefined && String(record.step) !== step)
      this.#note = `${note} No step ${step} of ${record.tag}; showing ${record.step}.`.trim();
    this.#projections = projectionsOf(run, record);
    if (this.#loader.isNew(`${run.name}/${record.id}`)) this.#load(run, record);
    else if (this.#open) this.#paint({ ...this.#open, run });
  }

  destroy(): void {
    this.#keys.destroy();
    this.#close();
    this.#loader.stop();
    this.#tooltip.destroy();
    this.#panel.destroy();
    this.#live.destroy();
    this.#time.destroy();
    this.#pair.destroy();
    this.#map.destroy();
    this.#pictures.clear();
  }

  #close(): void {
    this.#replay.stop();
    this.#time.stop();
    this.#tooltip.hide();
    this.#open?.questions.stop();
    this.#open?.controller.abort();
    this.#open = undefined;
    this.#chosen = -1;
    this.#screen.close();
    this.#sel = "";
    this.#camera.close();
    this.state.crumb("");
  }

  #showEmpty(): void {
    this.#close();
    this.#loader.stop();
    this.#frame.note();
    this.#frame.head({ view: "Embedding", explain: EXPLAIN });
    this.#tools.hide();
    put(this.#frame.body, noEmbedding());
    this.state.ready();
  }

  #load(run: RunInfo, record: RecordInfo): void {
    const stays = this.#stage.isConnected && this.#open?.run.name === run.name;
    const { view } = this.#map;
    this.#close();
    this.#camera.close(stays ? view : "");
    this.#frame.note(this.#note);
    // From step to step of one embedding the map stays, so that nothing flickers.
    if (!stays) {
      this.#frame.head({
        view: "Embedding",
        tag: record.tag,
        run: run.name,
        colour: this.#colourOf(run),
        explain: EXPLAIN,
      });
      this.#tools.hide();
      put(this.#frame.body, loading(record.tag));
    }
    this.#loader.run(
      (signal) => fetchEmbedding(this.source, run.name, record.id, signal),
      (data) => this.#opened(run, record, data),
      (error) => {
        put(this.#frame.body, failed(error));
        this.state.ready();
      },
    );
  }

  #opened(run: RunInfo, record: RecordInfo, data: EmbeddingData): void {
    const nearest = new Nearest(this.source, data);
    const open: OpenEmbedding = {
      run,
      record,
      data,
      nearest,
      selection: new Selection(data.count),
      questions: new PointQuestions(data, nearest),
      controller: new AbortController(),
      dimensions: new Map(),
    };
    this.#open = open;
    put(
      this.#frame.body,
      h("div", { class: "points-layout" }, this.#time.el, this.#stage, this.#panel.el, this.#table.el),
    );
    if (!this.#map.open(run, data)) return this.state.ready();
    this.#panel.cards.open(data);
    this.#live.open(run, data.record, this.state);
    open.selection.subscribe(() => this.#selected(open));
    this.#paint(open);
    if (!this.#sel) open.selection.change(largeSelection(data));
    const { signal } = open.controller;
    void measured(this.source, open, this.#projections).then(() => signal.aborted || this.#paint(open));
  }

  #paint(open: OpenEmbedding): void {
    const { data, questions } = open;
    const { route } = this.state;
    const address = this.#address;
    const { at, note } = placeOf(route, "point", data.count, "point");
    this.#frame.note(this.#note, note, classOf(data, address.class).note);
    this.state.crumb(at < 0 ? "" : `point ${at}`);
    this.#chosen = at;
    const tags = [...this.#projections.keys()];
    const wanted = [`${data.record.tag}/${route.params.proj}`, `${data.record.tag}/tsne`, tags[0]];
    const tag = wanted.find((name) => tags.includes(name));
    this.#parts = this.#projections.get(tag ?? "") ?? [];
    this.#map.setDetail(address.detail);
    this.#map.tool = address.tool;
    this.#tools.show({
      data,
      tags: new Map(tags.map((one) => [one, open.dimensions.get(one) ?? 0])),
      chosen: tag,
      address,
    });
    if (address.sel !== this.#sel) {
      this.#sel = address.sel;
      open.selection.change(selectionOf(address.sel, data.count));
    }
    // One that forms is shown until another one is asked for that is there.
    const { proj = "" } = route.params;
    if (!proj || tag === wanted[0]) this.#live.asked(`${proj}/${address.iteration}`);
    const still = this.#time.playing || this.#live.frame;
    const moved = still ? Promise.resolve() : this.#positions();
    const asked = questions.search(address.query).then((is) => is && this.#searched(open));
    void questions.neighbours(at, address.k, address.metric).then((is) => is && this.#shown(open));
    if (address.colour === "distance")
      void questions.far(at, address.metric).then((is) => is && this.#shown(open));
    this.#shown(open);
    this.#time.show({
      run: open.run,
      data,
      embeddings: recordsOf(open.run, "embedding", data.record.tag),
      projection: tag?.slice(tag.lastIndexOf("/") + 1) ?? "",
      map: this.#map,
      iteration: address.iteration,
    });
    this.#pair.show({
      index: this.state.index,
      run: open.run,
      data,
      parts: this.#parts,
      map: this.#map,
      pair: route.params.pair,
    });
    void Promise.allSettled([moved, asked]).then(() => this.#settled(open));
  }

  async #positions(): Promise<void> {
    if (this.#parts.length) return this.#replay.show(this.#parts, this.#address.iteration);
    this.#framed();
    this.#map.say("No projection recorded yet: it appears here as soon as the first frame is written.");
  }

  #settled(open: OpenEmbedding): void {
    if (open.controller.signal.aborted) return;
    const isFirst = this.#camera.settle(this.#address.cam, () => this.#screen.ledTo(open, this.#chosen));
    // Texts are long: they come when all else is there, for the cards.
    if (isFirst) void loadTexts(open.data).then((some) => some && this.#open === open && this.#shown(open));
    this.state.ready();
  }

  #overview(): void {
    if (this.#screen.matches.length || this.#chosen >= 0) this.#map.focus([]);
    else this.#camera.lead([]);
  }

  #searched(open: OpenEmbedding): void {
    this.#shown(open);
    if (this.#camera.isFirst) return;
    if (this.#screen.matches.length) this.#camera.lead(this.#screen.matches);
    else if (!open.questions.query.trim()) this.#overview();
  }

  /** Bring colours, emphasis and panels to what is known now. */
  #shown(open: OpenEmbedding): void {
    this.#screen.show(open, this.#asked());
  }

  #asked(): Asked {
    return { state: this.state, address: this.#address, chosen: this.#chosen };
  }

  #stressed({ selection }: OpenEmbedding, asked: Asked, emphasis: Emphasis): void {
    const spec = this.#screen.spec(this.#open, asked);
    this.#pair.look({ spec, emphasis, selection: selection.indices() });
    const few = selection.size && selection.size <= 50 ? Array.from(selection.indices()) : [];
    this.#time.follow(this.#chosen >= 0 ? [this.#chosen, ...few] : few);
  }

  #selected(open: OpenEmbedding): void {
    const text = selectionText(open.selection.indices());
    holdLarge(open.data, open.selection);
    this.#panel.selection.show(open.data, open.selection, open.nearest, this.state, this.#address.metric);
    if (text !== this.#sel) {
      this.#sel = text;
      this.state.navigate({ sel: text }, true);
    } else this.#shown(open);
  }

  #select(points: ArrayLike<number>, mode: SelectMode): void {
    this.#open?.selection.change(points, mode);
  }

  /** Another frame is shown, or it is known which there are. */
  #framed(): void {
    const open = this.#open;
    if (!open) return;
    const frame = this.#frameShown;
    this.#frame.head(headingOf(open.data, frame, this.#colourOf(open.run)));
    const { iterations, kl: course, at } = this.#replay;
    this.#panel.course.show(iterations, course, at, frame?.meta ?? {});
  }

  get #frameShown(): ShownFrame | undefined {
    return this.#live.frame ?? this.#map.frame;
  }

  #colourOf = (run: RunInfo): string => this.state.colours.get(run.name) ?? "";

  #hover(point: number, x: number, y: number): void {
    this.#pair.hover(point);
    this.#card(point, x, y);
  }

  #card(point: number, x: number, y: number): void {
    if (point < 0) return this.#tooltip.hide();
    this.#tooltip.show(x, y, this.#panel.cards.card(point));
  }

  #pick(point: number): void {
    if (point >= 0) this.state.navigate({ point });
  }

  /** One thing after the other: the tool, the selection, the chosen point. */
  #escape(): void {
    if (this.#address.tool !== "move") return this.state.navigate({ tool: null }, true);
    if (this.#open?.selection.size) return this.#open.selection.clear();
    if (this.#chosen >= 0) this.state.navigate({ point: null });
  }
}

export const mount: Mount = (el, source, state) => new EmbeddingView(el, source, state);
