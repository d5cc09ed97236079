// A volume: feature maps or gradients stacked by channel, in 3-D, as linked slices, as tiles and as a table.
import { focusIsIn, h, isTyping, put } from "../lib/dom";
import { saveMenu } from "../lib/download";
import type { FilmLook } from "../lib/film";
import { VirtualGrid } from "../lib/grid";
import type { Loaded } from "../lib/loader";
import { orderData, permutationOf } from "../lib/order";
import { type About, mounting, RecordView } from "../lib/recordview";
import { type Change, changed, choiceOf, formatRoute } from "../lib/route";
import { PictureCache } from "../lib/sheet";
import { transferTable } from "../lib/transfer";
import { fetchVolume, type VolumeData } from "../lib/volumedata";
import {
  cameraOf,
  clipOf,
  clipText,
  lookOf,
  MODES,
  type Position,
  planeChange,
  planesOf,
  positionOf,
  SHOWS,
  type Show,
  type VolumeLook,
} from "../lib/volumelook";
import { arrange, inPieces, type Voxels } from "../lib/voxels";
import type { Source } from "../source/source";
import { mapCell } from "./panels/mapcell";
import { PlayerPanel } from "./panels/player";
import { VolumePanel } from "./panels/volume";
import { elsewhere, fixedText, volumeHeading } from "./panels/volumefacts";
import { saveItems } from "./panels/volumesave";
import { type At, VolumeSlices } from "./panels/volumeslices";
import { VolumeStage } from "./panels/volumestage";
import { VolumeTable } from "./panels/volumetable";
import { VolumeTools } from "./panels/volumetools";
import type { Mount, ViewState } from "./view";

const TILE = 92;
const CAPTION = 20;
/** Voxels that are arranged before the page breathes again. */
const AT_ONCE = 500_000;
const ZERO = 128 / 255;

const ABOUT: About<VolumeData> = {
  kind: "volume",
  view: "Volume",
  explain:
    "The feature maps that one picture causes in a layer, stacked by channel. Bright voxels are strong activations; below it is cut through the chosen voxel.",
  nothing: [
    "No volume yet",
    "Record a layer's feature maps for a picture:",
    "convscope demo",
    "convscope inspect MODEL IMAGES -o RUN",
  ],
  fetch: fetchVolume,
};

/** What is drawn: the record of the address, or a frame of the film that plays. */
interface Drawn {
  readonly data: VolumeData;
  readonly order: readonly number[];
  readonly orderName: string;
  readonly look: VolumeLook;
  readonly at: Position;
  readonly fixed: string;
}

class VolumeView extends RecordView<VolumeData> {
  readonly #pictures = new PictureCache();
  readonly #stage: VolumeStage;
  readonly #slices: VolumeSlices;
  readonly #panel: VolumePanel;
  readonly #player: PlayerPanel;
  readonly #bar: VolumeTools;
  readonly #table = new VolumeTable();
  readonly #grid: VirtualGrid;
  readonly #gridHost = h("div", { class: "scene-grid", "data-scroller": "" });
  readonly #note = h("p", { class: "scene-note", role: "status", "data-testid": "no-scene" });
  readonly #main = h("div", { class: "volume-main" });
  readonly #layout: HTMLElement;
  readonly #reset = h(
    "button",
    { type: "button", class: "button", onclick: () => this.#home() },
    "Reset view",
  );
  readonly #save: HTMLElement;
  #drawn: Drawn | undefined;
  #voxels: Voxels | undefined;
  #arranged = "";
  #gridKey = "";
  #lookKey = "";
  #transfer: Uint8Array = new Uint8Array(4 * 256);
  #arranging = new AbortController();

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    const set = (change: Change): void => this.set(change);
    this.#bar = new VolumeTools(set);
    this.#stage = new VolumeStage({
      pick: (at) => this.#go(at),
      point: (at) => this.#point(at),
      camera: (cam) => this.set({ cam }),
    });
    this.#slices = new VolumeSlices({
      go: (at) => this.#go(at),
      point: (at) => this.#point(at),
      plane: (name, on) => this.set(planeChange(this.state.route, this.#mode(), name, on)),
    });
    this.#panel = new VolumePanel(source, this.#pictures, {
      set,
      address: (name) => formatRoute(changed(this.state.route, { name })),
    });
    this.#player = new PlayerPanel({
      source,
      set,
      show: () => this.#draw(),
      // Films are made of what is drawn: in other views the scene stands still.
      scene: () => (this.#stage.el.isConnected ? this.#stage.scene : undefined),
      look: () => this.#filmLook(),
    });
    this.#save = saveMenu(
      saveItems({
        shown: () => this.#drawn,
        scene: () => this.#stage.scene,
        slices: () => this.#slices,
      }),
      "Save the volume",
    );
    this.#grid = new VirtualGrid(this.#gridHost, {
      label: "Feature maps",
      minimum: TILE,
      rowHeight: (width) => this.#mapHeight(width) + CAPTION,
      gap: 12,
      cell: (place, _, width) => this.#cell(place, width),
    });
    this.#layout = h("div", { class: "volume-layout" }, this.#main, this.#panel.el);
  }

  override destroy(): void {
    super.destroy();
    this.#arranging.abort();
    this.#player.destroy();
    this.#grid.destroy();
    this.#stage.destroy();
    this.#panel.destroy();
    this.#pictures.clear();
  }

  /** A view that was saved has its name in the address until something else is seen. */
  protected override set(change: Change): void {
    super.set({ name: null, ...change });
  }

  protected override present({ data, run }: Loaded<VolumeData>, fresh: boolean): void {
    if (fresh) this.#arranged = "";
    this.paint(data, run);
    // Two frames: the first draws, the second is after it reached the screen.
    if (fresh) requestAnimationFrame(() => requestAnimationFrame(() => this.state.ready()));
  }

  protected paint(data: VolumeData, run: string): void {
    const { route } = this.state;
    const orders = orderData(data.record, data.orders, data.maps, route.params.order);
    const order = permutationOf(orders, orders.current);
    const { order: asked } = route.params;
    const unknown =
      asked && asked !== orders.current ? `No order “${asked}” here; showing ${orders.current}.` : "";
    this.#player.update({ index: this.state.index, route, run, data, order, orderName: orders.current });
    this.note(positionOf(route, order.length, data.volume.height, data.volume.width).note, unknown);
    if (!this.#layout.isConnected) put(this.frame.body, this.#layout);
    if (!this.#bar.el.isConnected)
      put(this.frame.tools, this.#bar.el, this.player.el, this.#reset, this.#save);
    this.#draw();
  }

  /** Draw the record of the address, or the frame that is played: at once where it is a frame or small. */
  #draw(): void {
    const loaded = this.loaded?.data;
    if (!loaded) return;
    const { route } = this.state;
    const played = this.#player.played;
    const data = played?.data ?? loaded;
    const orders = orderData(loaded.record, loaded.orders, loaded.maps, route.params.order);
    const order = played?.order ?? permutationOf(orders, orders.current);
    const orderName = data === loaded || played?.sharedOrder ? orders.current : data.orderName;
    const look = lookOf(route, data, played?.window ?? null);
    const { height, width } = data.volume;
    const at = positionOf(route, order.length, height, width);
    this.#drawn = {
      data,
      order,
      look,
      at,
      fixed: played?.window ? fixedText(played.window, played.count) : "",
      orderName,
    };
    this.head(data.run, volumeHeading(data, orderName, ABOUT.explain));
    this.state.crumb(route.params.ch === undefined ? "" : `channel ${order[at.place]}`);
    this.#arrange(played !== undefined);
  }

  #arrange(now: boolean): void {
    if (!this.#drawn) return;
    const { data, order, look } = this.#drawn;
    const key = JSON.stringify([data.run, data.record.id, order, look.shown]);
    if (key === this.#arranged) return this.#show();
    this.#arranging.abort();
    this.#arranging = new AbortController();
    this.#arranged = key;
    const { signal } = this.#arranging;
    const { height, width } = data.volume;
    const bytes = new Uint8Array(order.length * height * width);
    const atOnce = now ? order.length : Math.ceil(AT_ONCE / Math.max(1, height * width));
    const work = (from: number, to: number): void => {
      arrange(data.volume, order, look.shown, bytes, from, to);
    };
    const done = (): void => {
      this.#voxels = { data: bytes, channels: order.length, height, width };
      this.#show();
    };
    const later = inPieces(order.length, atOnce, work, signal);
    if (!later) return done();
    this.#layout.setAttribute("aria-busy", "true");
    later.then(done, () => undefined); // given up: another arrangement is wanted
  }

  #show(): void {
    const [drawn, voxels] = [this.#drawn, this.#voxels];
    if (!drawn || !voxels) return;
    const { data, order, look, at } = drawn;
    const { route } = this.state;
    this.#layout.removeAttribute("aria-busy");
    const show = choiceOf(route, "show", SHOWS);
    const scene = show === "volume" && this.#openScene();
    this.#bar.show(show, look, data);
    this.#reset.hidden = !scene;
    this.#lay(show, scene);
    if (scene) this.#paintScene(voxels, drawn);
    if (show === "volume" || show === "slices")
      this.#slices.show({
        voxels,
        at: [at.place, at.row, at.column],
        colours: look.colours,
        channel: order[at.place],
        planes: planesOf(route, look.mode),
        scene,
      });
    if (show === "maps") this.#paintMaps(order, at.place);
    if (show === "table")
      this.#table.show(data, order, at.place, (place, row, column) => this.#go([place, row, column]));
    this.#panel.show({
      data,
      order,
      voxels,
      look,
      at,
      route,
      scene,
      logdir: this.state.index.logdir,
      hash: formatRoute(route),
      links: elsewhere(this.state, data, order[at.place], at),
      fixed: drawn.fixed,
    });
  }

  #openScene(): boolean {
    if (!this.#stage.el.isConnected) this.#lay("volume", true);
    return this.#stage.open();
  }

  /** What stands where, for what is shown. */
  #lay(show: Show, scene: boolean): void {
    const parts: Readonly<Record<Show, readonly HTMLElement[]>> = {
      volume: [scene ? this.#stage.el : this.#note, this.#player.el, this.#slices.el],
      slices: [this.#player.el, this.#slices.el],
      maps: [this.#gridHost],
      table: [this.#table.el],
    };
    const wanted = parts[show];
    this.#main.dataset.show = scene || show !== "volume" ? show : "slices";
    if (!scene && show === "volume")
      put(this.#note, this.#stage.problem, " Slices, maps and the table work without it.");
    const { children } = this.#main;
    if (children.length !== wanted.length || wanted.some((el, i) => children[i] !== el))
      put(this.#main, ...wanted);
    if (show === "maps" && !this.#grid.el.isConnected) put(this.#gridHost, this.#grid.el);
  }

  #paintScene(voxels: Voxels, { data, look, at }: Drawn): void {
    const { route, theme } = this.state;
    const key = JSON.stringify([look.transfer, look.map]);
    if (key !== this.#lookKey) this.#transfer = transferTable(look.transfer, look.colours);
    this.#lookKey = key;
    const planes = planesOf(route, look.mode);
    const sides = [voxels.channels, voxels.height, voxels.width] as const;
    const clip = clipOf(route, sides);
    const of = (name: "x" | "y" | "z", value: number): Record<string, number> =>
      planes.has(name) ? { [name]: value } : {};
    this.#stage.show({
      voxels,
      spacing: data.spacing,
      look: {
        mode: look.mode,
        transfer: this.#transfer,
        opacity: look.opacity,
        iso: look.isoShare,
        signed: look.shown.scale.signed,
        zero: ZERO,
      },
      slices: { ...of("x", at.column), ...of("y", at.row), ...of("z", at.place) },
      clip: clipText(clip, sides) ? clip : null,
      camera: cameraOf(route),
      theme,
    });
  }

  #filmLook(): FilmLook {
    const drawn = this.#drawn;
    if (!drawn) return { map: "inferno", window: [0, 1], text: "" };
    const { data, look, orderName } = drawn;
    return {
      map: look.map,
      window: look.shown.own ? null : [look.shown.scale.low, look.shown.scale.high],
      text: `${data.layer} · ${look.mode} · order: ${orderName}`,
    };
  }

  #mode = (): VolumeLook["mode"] => choiceOf(this.state.route, "mode", MODES);

  #go([place, row, column]: At): void {
    this.set({ ch: place, pos: `${row},${column}` });
  }

  #point(at: At | undefined): void {
    const order = this.#drawn?.order;
    this.#panel.reading.point(at && order && [order[at[0]], at[1], at[2]]);
  }

  #home(): void {
    this.#stage.reset();
    this.set({ cam: null });
  }

  #paintMaps(order: readonly number[], place: number): void {
    const wanted = (this.state.route.params.q ?? "").trim();
    const all = Array.from(order.keys());
    const shown = /^\d+$/.test(wanted) ? all.filter((one) => String(order[one]).startsWith(wanted)) : all;
    const key = JSON.stringify([this.#arranged, this.#drawn?.look.map, wanted]);
    if (key !== this.#gridKey || !this.#grid.el.childElementCount) {
      this.#gridKey = key;
      this.#grid.show(shown);
    }
    for (const cell of this.#grid.el.querySelectorAll<HTMLElement>("[data-place]"))
      cell.setAttribute("aria-current", String(Number(cell.dataset.place) === place));
  }

  #mapHeight = (width: number): number =>
    Math.min(3 * width, (width * (this.#voxels?.height ?? 1)) / (this.#voxels?.width ?? 1));

  #cell(place: number, width: number): HTMLElement {
    const [drawn, voxels] = [this.#drawn, this.#voxels];
    if (!drawn || !voxels || place >= voxels.channels) return h("div");
    const { data, order, look } = drawn;
    const size = [width, this.#mapHeight(width)] as const;
    return mapCell(data, voxels, [place, order[place]], look.colours, size, {
      see: () => this.set({ ch: place }),
      read: (channel, row, column) => this.#panel.reading.point([channel, row, column]),
    });
  }

  protected key(event: KeyboardEvent): void {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const drawn = this.#drawn;
    if (!this.loaded || !drawn || event.target instanceof HTMLInputElement) return;
    if (this.#player.key(event)) return;
    if (event.key === "m") {
      const mode = MODES[(MODES.indexOf(this.#mode()) + 1) % MODES.length];
      return this.set({ mode: mode === MODES[0] ? null : mode, planes: null });
    }
    const plane = (["x", "y", "z"] as const).find((name) => name === event.key);
    if (plane) {
      const on = !planesOf(this.state.route, this.#mode()).has(plane);
      return this.set(planeChange(this.state.route, this.#mode(), plane, on));
    }
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (
      !by ||
      event.target === this.#stage.el ||
      !(focusIsIn(this.#layout) || event.target === document.body)
    )
      return;
    const place = drawn.at.place + by;
    if (place >= 0 && place < drawn.order.length) this.set({ ch: place });
  }
}

export const mount: Mount = mounting(VolumeView);
