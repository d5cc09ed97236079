// The feature maps that one picture causes in a layer: all channels as a grid, or one at full size beside the picture.
import { choose as chooseOf } from "../lib/catalog";
import { focusIsIn, h, isTyping, put } from "../lib/dom";
import { times } from "../lib/format";
import { failed, isAbort } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import { colourBar } from "../lib/legend";
import type { Loaded } from "../lib/loader";
import {
  type Box,
  type Clamp,
  numbered,
  ownScale,
  placeMap,
  type Scale,
  seenBox,
  sharedScale,
  sortMaps,
} from "../lib/maps";
import { fetchMaps, type MapsData, shownClamp } from "../lib/mapsdata";
import { layersOf, type MapsTag, mapsTags, splitTag, tagOfLayer } from "../lib/mapstags";
import { type About, mounting, RecordView } from "../lib/recordview";
import {
  boundedOf,
  type Change,
  changed,
  choiceOf,
  formatRoute,
  type Place,
  placeOf,
  toView,
} from "../lib/route";
import { PictureCache } from "../lib/sheet";
import type { RunInfo, Source } from "../source/source";
import { MapDetail } from "./panels/mapdetail";
import { mapAbout, mapHeading, mapTable } from "./panels/mapfacts";
import { MapInput } from "./panels/mapinput";
import { MapStrip } from "./panels/mapstrip";
import { mapTile, smallShare, tileHeight } from "./panels/maptile";
import { MapTools, SCALES, sortsOf } from "./panels/maptools";
import type { Mount, ViewState } from "./view";

const TILE = 84;
const CAPTION = 22;
const HOVER_OPACITY = 0.9;
const ABOUT: About<MapsData> = {
  kind: "maps",
  view: "Feature maps",
  explain: "The feature maps that one picture causes in a layer.",
  nothing: [
    "No feature maps yet",
    "Look into a network with the pictures of a folder:",
    "convscope inspect MODEL IMAGES -o RUN",
  ],
  fetch: fetchMaps,
};

class MapsView extends RecordView<MapsData> {
  readonly #pictures = new PictureCache();
  readonly #input: MapInput;
  readonly #strip: MapStrip;
  readonly #grid: VirtualGrid;
  readonly #detail: MapDetail;
  readonly #scroller: HTMLElement;
  readonly #about = h("div", { class: "map-about" });
  readonly #main = h("div", { class: "maps-main" });
  readonly #layout: HTMLElement;
  readonly #bar: MapTools;
  readonly #table = h("div");
  readonly #legend = h("div");
  #drawn = "";
  #scroll = 0;
  #opened = -1;
  /** The scale that all channels share. */
  #shared: Scale = { low: 0, high: 1, signed: false };
  /** Whether a layer was just chosen in the tool bar, which gets the focus back. */
  #chosen = false;

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    const set = (key: string) => (value: string | number | null) => this.set({ [key]: value });
    this.#bar = new MapTools({
      layer: (layer) => {
        this.#chosen = true;
        this.#toLayer(() => layer);
      },
      sort: set("sort"),
      scale: set("scale"),
      after: set("after"),
      overlay: set("overlay"),
    });
    this.#scroller = scrollerOf(el);
    this.#grid = new VirtualGrid(this.#scroller, {
      label: "Feature maps",
      minimum: TILE,
      rowHeight: (width) => (this.loaded ? tileHeight(this.loaded.data, width) : width) + CAPTION,
      gap: 10,
      cell: (channel, signal, width) => this.#cell(channel, signal, width),
      unseen: () => this.loaded && this.state.ready(), // on a small screen they are all further down
    });
    this.#input = new MapInput(source, this.#pictures);
    this.#strip = new MapStrip(source, this.#pictures);
    this.#detail = new MapDetail({
      pin: (row, column) => this.set({ pos: `${row},${column}` }),
      look: (row, column) => this.#frame(row, column),
      drawn: (pixels) => this.#lay(pixels),
    });
    const side = h(
      "aside",
      { class: "maps-side", "aria-label": "Input picture" },
      this.#input.el,
      this.#about,
    );
    this.#layout = h("div", { class: "maps-layout" }, side, this.#main, this.#strip.el);
  }

  override destroy(): void {
    super.destroy();
    this.#grid.destroy();
    this.#strip.destroy();
    this.#pictures.clear();
  }

  protected override async fetch(
    run: string,
    id: string,
    signal: AbortSignal,
    replaces: boolean,
  ): Promise<MapsData> {
    const data = await super.fetch(run, id, signal, replaces);
    if (!replaces) return data;
    // While steps are played, what is on screen stays until its successor can be drawn.
    const { at } = this.#channel(data);
    if (at >= 0) await data.values(at);
    else
      await Promise.all(this.#grid.visible.map((channel) => data.bytes(channel, this.#after(data), signal)));
    return data;
  }

  protected override present({ data, run }: Loaded<MapsData>, fresh: boolean, replaced: boolean): void {
    if (fresh && !replaced) this.#scroller.scrollTo(0, 0);
    this.paint(data, run);
  }

  protected paint(data: MapsData, run: string): void {
    this.#shared = sharedScale(data.range, this.#clamp(data));
    const { at: channel, note } = this.#channel(data);
    this.note(note, channel < 0 ? "" : this.#pinned(data).note);
    this.state.crumb(channel < 0 ? "" : `channel ${channel}`);
    this.#head(data, run, channel);
    this.#tools(data, run, channel >= 0);
    if (!this.#layout.isConnected) put(this.frame.body, this.#layout, this.#table);
    this.#layout.classList.toggle("one", channel >= 0);
    this.#input.open(data, run);
    put(this.#about, ...mapAbout(data));
    const { layer } = this.#here(data);
    const pictures = this.#tags(run)
      .filter((one) => one.layer === layer)
      .flatMap((one) => {
        const record = this.#run(run)?.records.findLast(
          ({ kind, tag }) => kind === "maps" && tag === one.tag,
        );
        return record
          ? [{ ...one, id: record.id, href: this.#link({ run, tag: one.tag, step: null, pos: null }) }]
          : [];
      });
    this.#strip.show(run, pictures, data.record.tag);
    if (channel >= 0) this.#paintOne(data, run, channel);
    else this.#paintAll(data, run);
  }

  #paintOne(data: MapsData, run: string, channel: number): void {
    const follow = focusIsIn(this.#grid.el);
    if (this.#grid.el.isConnected) this.#scroll = this.#scroller.scrollTop;
    this.#opened = channel;
    if (!this.#detail.el.isConnected) {
      put(this.#main, this.#detail.el);
      this.#scroller.scrollTo(0, 0);
      if (follow) this.#detail.el.focus({ preventScroll: true });
    }
    const order = this.#order(data);
    const place = order.indexOf(channel);
    const to = (ch: number | undefined): string | null => (ch === undefined ? null : this.#link({ ch }));
    const look = {
      scale: this.#scaleOf(data, channel),
      after: this.#clamp(data),
      own: this.#own(),
      pinned: this.#pinned(data).at,
    };
    this.#detail.show(data, channel, look, {
      back: this.#link({ ch: null, pos: null }),
      previous: place < 0 ? null : to(order[place - 1]),
      next: to(order[place + 1]),
      more: this.#elsewhere(data, run, channel),
    });
  }

  #paintAll(data: MapsData, run: string): void {
    const { route } = this.state;
    const returning = this.#detail.el.isConnected;
    const follow = returning && focusIsIn(this.#detail.el);
    this.#input.field();
    this.#input.overlay();
    const { sort, scale, after, q } = route.params;
    const key = JSON.stringify([run, data.record.id, sort, scale, after, q]);
    if (!this.#grid.el.isConnected) put(this.#main, this.#grid.el);
    if (key !== this.#drawn || returning) {
      this.#drawn = key;
      const order = this.#order(data);
      this.#grid.show(order);
      put(this.#table, mapTable(data, order));
      if (!order.length) this.state.ready();
    }
    if (returning) this.#scroller.scrollTo(0, this.#scroll);
    if (follow) this.#grid.focus(this.#opened);
  }

  #cell(channel: number, signal: AbortSignal, width: number): HTMLElement {
    const data = this.loaded?.data;
    if (!data) return h("div");
    const after = this.#clamp(data);
    const look = {
      scale: this.#scaleOf(data, channel),
      after,
      own: this.#own(),
      href: this.#link({ ch: channel }),
      width,
      signal,
    };
    return mapTile(data, channel, data.bytes(channel, this.#after(data), signal), look, {
      open: () => this.state.navigate({ ch: channel, pos: null }),
      point: (pixels) => this.#point(data, pixels),
      drawn: () => this.state.ready(),
      failed: (error) => {
        if (isAbort(error) || signal.aborted) return;
        put(this.#main, failed(error));
        this.state.ready();
      },
    });
  }

  /** Lay the small map that is pointed at over the picture. */
  #point(data: MapsData, pixels?: Uint8ClampedArray<ArrayBuffer>): void {
    const [y, x] = smallShare(data);
    const { y0, x0, y1, x1 } = this.#placed(data);
    const place = { y0, x0, y1: y0 + (y1 - y0) * y, x1: x0 + (x1 - x0) * x };
    this.#input.overlay(
      pixels && { pixels, size: data.small, place, opacity: this.#opacity() || HOVER_OPACITY },
    );
  }

  /** Lay the large map over the picture. */
  #lay(pixels: Uint8ClampedArray<ArrayBuffer>): void {
    const data = this.loaded?.data;
    if (!data || this.#channel(data).at < 0) return;
    const opacity = this.#opacity();
    const size = [data.height, data.width];
    this.#input.overlay(opacity > 0 ? { pixels, size, place: this.#placed(data), opacity } : undefined);
    this.state.ready();
  }

  #frame(row: number, column: number): void {
    const data = this.loaded?.data;
    const known = data && (data.field.reason || data.field.size.length > 1);
    this.#input.field(known ? seenBox(data.field, [row, column], data.inputSize) : undefined);
  }

  #placed = (data: MapsData): Box => placeMap(data.field, [data.height, data.width], data.inputSize);
  #opacity = (): number => boundedOf(this.state.route, "overlay", 0, 0, 1);
  #own = (): boolean => choiceOf(this.state.route, "scale", SCALES) === "own";
  #after = (data: MapsData): boolean => this.state.route.params.after === "1" && data.after !== null;
  #clamp = (data: MapsData): Clamp => shownClamp(data, this.#after(data));
  #channel = (data: MapsData): Place => placeOf(this.state.route, "ch", data.channels, "channel");
  #link = (change: Change): string => formatRoute(changed(this.state.route, change));
  #run = (run: string): RunInfo | undefined => this.state.index.runs.find(({ name }) => name === run);
  #here = (data: MapsData): MapsTag => splitTag(data.record.tag);

  #tags(run: string): MapsTag[] {
    const found = this.#run(run);
    return found ? mapsTags(found) : [];
  }

  #scaleOf(data: MapsData, channel: number): Scale {
    const shared = this.#shared;
    return this.#own() ? ownScale(data.range, channel, this.#clamp(data), shared.signed) : shared;
  }

  #sort = (data: MapsData): string =>
    choiceOf(
      this.state.route,
      "sort",
      sortsOf(data).map(({ value }) => value),
    );

  #order(data: MapsData): readonly number[] {
    return numbered(sortMaps(data, this.#sort(data), this.#clamp(data)), this.state.route.params.q ?? "");
  }

  /** Row and column of the address, as far as there is such a position. */
  #pinned({ height, width }: MapsData): { at: readonly [number, number] | undefined; note: string } {
    const text = this.state.route.params.pos;
    if (text === undefined) return { at: undefined, note: "" };
    const found = /^(\d+),(\d+)$/.exec(text);
    const [row, column] = found ? [Number(found[1]), Number(found[2])] : [-1, -1];
    if (row >= 0 && row < height && column < width) return { at: [row, column], note: "" };
    return {
      at: undefined,
      note: `No position “${text}” here; the maps are ${times(height, width)}, from 0,0.`,
    };
  }

  #tools(data: MapsData, run: string, one: boolean): void {
    const { route } = this.state;
    const { low, high, signed } = this.#shared;
    this.#bar.show({
      layers: layersOf(this.#tags(run)),
      layer: this.#here(data).layer,
      sorts: sortsOf(data),
      sort: this.#sort(data),
      scale: choiceOf(route, "scale", SCALES),
      nonlinearity: data.after ? data.nonlinearity : "",
      after: route.params.after === "1",
      overlay: this.#opacity(),
      one,
    });
    const legend = colourBar(signed ? "diverging" : "inferno", low, high, "layer");
    put(this.#legend, this.#own() || one ? null : legend);
    // Replacing a control while it is dragged would end the drag.
    if (!this.#bar.el.isConnected) put(this.frame.tools, this.#bar.el, this.player.el, this.#legend);
    if (this.#chosen) this.#bar.focus();
    this.#chosen = false;
  }

  /** Go to a layer: of the same picture, if it is recorded there. Works while another one is on its way. */
  #toLayer(choose: (layers: readonly string[], at: number) => string | undefined): void {
    const { run, tag } = chooseOf(this.state.index, "maps", this.state.route.params);
    if (!run || !tag) return;
    const [tags, here] = [mapsTags(run), splitTag(tag)];
    const layers = layersOf(tags);
    const layer = choose(layers, layers.indexOf(here.layer));
    if (layer === undefined) return;
    const change = { tag: tagOfLayer(tags, layer, here.picture), ch: null, pos: null, step: null };
    this.state.navigate({ ...change, run: run.name });
  }

  #head(data: MapsData, run: string, channel: number): void {
    this.head(run, mapHeading(data, channel, this.#clamp(data)));
  }

  /** The other pages of this run about a channel. */
  #elsewhere(data: MapsData, run: string, channel: number): [string, string][] {
    const records = this.#run(run)?.records ?? [];
    const has = (kind: string): boolean => records.some((one) => one.kind === kind && one.tag === data.layer);
    const to = (view: string): string =>
      formatRoute(toView(this.state.route, view, { run, tag: data.layer, ch: channel }));
    const pages: [string, string, string][] = [
      ["filters", "filters", "Its filter"],
      ["topk", "layer", "Its strongest pictures"],
    ];
    return pages.filter(([kind]) => has(kind)).map(([, view, text]) => [text, to(view)]);
  }

  protected key(event: KeyboardEvent): void {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const layer = { "[": -1, "]": 1 }[event.key];
    if (layer) return this.#toLayer((layers, at) => layers[at + layer]);
    const data = this.loaded?.data;
    if (!data) return;
    const { at: channel } = this.#channel(data);
    if (channel < 0) {
      if (event.target === document.body) this.stepKey(event);
      return;
    }
    if (event.key === "Escape") return this.state.navigate({ ch: null, pos: null });
    const arrow = ARROWS[event.key];
    if (!arrow || event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    if (!event.shiftKey) return this.#detail.move(arrow[0], arrow[1]);
    const order = this.#order(data);
    const next = order[order.indexOf(channel) + arrow[0] + arrow[1]];
    if (next !== undefined) this.set({ ch: next, pos: this.state.route.params.pos });
  }
}

const ARROWS: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

export const mount: Mount = mounting(MapsView);
