// The feature maps of one picture stacked to a volume, or side by side as tiles.
import { AxisLabels } from "../gl/axes";
import { type Mode, VolumeScene } from "../gl/volume";
import { COLOUR_MAPS, type ColourMap, table } from "../lib/colour";
import { type Control, segmented, select, slider } from "../lib/controls";
import { h, isTyping, put } from "../lib/dom";
import { count, number, times } from "../lib/format";
import { failed } from "../lib/frame";
import { VirtualGrid } from "../lib/grid";
import { colourBar } from "../lib/legend";
import type { Loaded } from "../lib/loader";
import { type About, mounting, RecordView } from "../lib/recordview";
import { boundedOf, choiceOf, type Place, placeOf } from "../lib/route";
import { PictureCache } from "../lib/sheet";
import { fetchVolume, type VolumeData } from "../lib/volumedata";
import { arrange, layerRange, shrink, type Voxels } from "../lib/voxels";
import type { Source } from "../source/source";
import { mapCell } from "./panels/mapcell";
import { VolumePanel } from "./panels/volume";
import type { Mount, ViewState } from "./view";

const SHOWS = ["volume", "maps"] as const;
const MODES: readonly Mode[] = ["composite", "maximum"];
const SCALES = ["layer", "each"] as const;
const LEVELS = { threshold: 0.1, opacity: 0.5 } as const;
const TILE = 92;
const CAPTION = 20;

const ABOUT: About<VolumeData> = {
  kind: "volume",
  view: "Volume",
  explain:
    "The feature maps that one picture causes in a layer, stacked by channel. Bright voxels are strong activations; the framed plane is the channel shown beside.",
  nothing: [
    "No volume yet",
    "Record a layer's feature maps for a picture:",
    "convscope demo",
    "convscope inspect MODEL IMAGES -o RUN",
  ],
  fetch: fetchVolume,
};

class VolumeView extends RecordView<VolumeData> {
  readonly #pictures = new PictureCache();
  readonly #host = h("div", {
    class: "scene night",
    tabindex: 0,
    role: "application",
    "aria-label": "Volume of feature maps: drag to turn, wheel to zoom",
  });
  readonly #labels = new AxisLabels();
  readonly #gridHost = h("div", { class: "scene-grid", "data-scroller": "" });
  readonly #main = h("div", { class: "scene-main" });
  readonly #panel: VolumePanel;
  readonly #grid: VirtualGrid;
  readonly #show: Control<(typeof SHOWS)[number]>;
  readonly #mode: Control<Mode>;
  readonly #scale: Control<(typeof SCALES)[number]>;
  readonly #colour: Control<ColourMap>;
  readonly #threshold: ReturnType<typeof slider>;
  readonly #opacity: ReturnType<typeof slider>;
  #scene: VolumeScene | undefined;
  #voxels: Voxels | undefined;
  #arranged = "";
  #gridKey = "";

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    const set = (key: string, usual: string) => (value: string) =>
      this.set({ [key]: value === usual ? null : value });
    this.#show = segmented(
      "Show",
      [
        { value: "volume", text: "Volume" },
        { value: "maps", text: "All maps" },
      ],
      "volume",
      set("show", "volume"),
    );
    this.#mode = segmented<Mode>(
      "Mode",
      [
        { value: "composite", text: "Composite" },
        { value: "maximum", text: "Maximum", title: "Only the strongest value along the ray" },
      ],
      "composite",
      set("mode", "composite"),
    );
    this.#scale = segmented(
      "Scale",
      [
        { value: "layer", text: "Layer", title: "One scale for all channels" },
        { value: "each", text: "Each", title: "Every channel stretched to its own range" },
      ],
      "layer",
      set("scale", "layer"),
    );
    this.#colour = select(
      "Colours",
      COLOUR_MAPS.map((value) => ({ value, text: value })),
      "inferno",
      set("map", "inferno"),
    );
    const share = (value: number): string => value.toFixed(2);
    this.#threshold = slider(
      "Threshold",
      { min: 0, max: 0.95, step: 0.01 },
      LEVELS.threshold,
      (v) => this.set({ threshold: v }),
      share,
    );
    this.#opacity = slider(
      "Opacity",
      { min: 0.02, max: 1, step: 0.02 },
      LEVELS.opacity,
      (v) => this.set({ opacity: v }),
      share,
    );
    const scene = { see: (place: number) => this.set({ ch: place }) };
    this.#panel = new VolumePanel(source, this.#pictures, scene.see);
    this.#grid = new VirtualGrid(this.#gridHost, {
      label: "Feature maps",
      minimum: TILE,
      rowHeight: (width) => this.#mapHeight(width) + CAPTION,
      gap: 12,
      cell: (place, _, width) => this.#cell(place, width),
    });
  }

  override destroy(): void {
    super.destroy();
    this.#grid.destroy();
    this.#scene?.destroy();
    this.#panel.destroy();
    this.#pictures.clear();
  }

  protected override present({ data, run }: Loaded<VolumeData>, fresh: boolean): void {
    if (!fresh) return this.paint(data, run);
    this.#arranged = "";
    this.#panel.open(data, run);
    this.paint(data, run);
    // Two frames: the first draws, the second is after it reached the screen.
    requestAnimationFrame(() => requestAnimationFrame(() => this.state.ready()));
  }

  #place = (data: VolumeData): Place => placeOf(this.state.route, "ch", data.order.length, "place");

  protected paint(data: VolumeData, run: string): void {
    const { route } = this.state;
    const { at, note } = this.#place(data);
    const place = Math.max(0, at);
    this.note(note);
    this.state.crumb(at < 0 ? "" : `channel ${data.order[at]}`);
    const show = choiceOf(route, "show", SHOWS);
    const scale = choiceOf(route, "scale", SCALES);
    this.#tools(show);
    this.#head(data, run);
    if (!this.#main.isConnected)
      put(this.frame.body, h("div", { class: "scene-layout" }, this.#main, this.#panel.el));
    put(this.#main, show === "volume" ? this.#host : this.#gridHost);
    if (show === "maps" && !this.#grid.el.isConnected) put(this.#gridHost, this.#grid.el);
    const arrangement = `${data.record.id}/${scale}`;
    const fresh = arrangement !== this.#arranged;
    if (fresh) this.#voxels = arrange(data.volume, data.order, scale === "layer" ? data.top : null);
    this.#arranged = arrangement;
    if (show === "volume") this.#paintVolume(data, place, fresh);
    else this.#paintMaps(data, place);
    if (this.#voxels) this.#panel.show(this.#voxels, place, this.#map(), this.#ends(data, place));
  }

  #tools(show: (typeof SHOWS)[number]): void {
    const { route } = this.state;
    this.#show.set(show);
    this.#mode.set(choiceOf(route, "mode", MODES));
    this.#scale.set(choiceOf(route, "scale", SCALES));
    this.#colour.set(this.#mapName());
    this.#threshold.set(this.#level("threshold"));
    this.#opacity.set(this.#level("opacity"));
    const controls =
      show === "volume"
        ? [this.#mode, this.#scale, this.#colour, this.#threshold, this.#opacity]
        : [this.#scale, this.#colour];
    const wanted = [this.#show, ...controls].map((control) => control.el);
    // Replacing a control while it is dragged would end the drag.
    if (
      wanted.some((el, i) => this.frame.tools.children[i] !== el) ||
      this.frame.tools.children.length !== wanted.length
    )
      put(this.frame.tools, ...wanted);
  }

  #level = (key: keyof typeof LEVELS): number => boundedOf(this.state.route, key, LEVELS[key], 0, 1);
  #mapName = (): ColourMap =>
    choiceOf(this.state.route, "map", ["inferno", ...COLOUR_MAPS.filter((name) => name !== "inferno")]);
  #map = (): Uint8Array => table(this.#mapName());

  #ends(data: VolumeData, place: number): HTMLElement {
    const channel = data.order[place];
    const own = choiceOf(this.state.route, "scale", SCALES) === "each";
    const [low, high] = own
      ? [data.volume.scale[2 * channel], data.volume.scale[2 * channel + 1]]
      : [layerRange(data.volume)[0], data.top];
    return colourBar(this.#mapName(), low, high, own ? "channel" : "layer");
  }

  #head(data: VolumeData, run: string): void {
    const { record, volume, picture } = data;
    const [low, high] = layerRange(volume);
    this.head(run, {
      tag: record.tag,
      step: picture,
      facts: [
        { name: "channels × rows × columns", value: times(volume.channels, volume.height, volume.width) },
        {
          name: "contrast up to",
          value: number(data.top, 3),
          title: "99.9 % of all values lie below; larger ones are drawn as this",
        },
        {
          name: "values",
          value: `${number(low, 3)} … ${number(high, 3)}`,
          title: "Drawn from 8-bit voxels with one scale per channel",
        },
        { name: "order", value: data.orderName },
        { name: "network", value: data.network },
      ],
    });
  }

  #paintVolume(data: VolumeData, place: number, fresh: boolean): void {
    const scene = this.#open();
    if (!scene || !this.#voxels) return;
    const { route, theme } = this.state;
    if (fresh) scene.setVoxels(shrink(this.#voxels, scene.largestSide));
    scene.setLook({
      mode: choiceOf(route, "mode", MODES),
      threshold: this.#level("threshold"),
      opacity: this.#level("opacity") ** 1.5,
      colours: this.#map(),
    });
    scene.setSlice(place, data.order.length);
    if (this.#host.dataset.theme !== theme) {
      this.#host.dataset.theme = theme;
      requestAnimationFrame(() => {
        const style = getComputedStyle(this.#host);
        scene.setColours(style.backgroundColor, theme === "dark" ? "#5b6b82" : "#66748a", "#a7acff");
      });
    }
    const { channels, height, width } = this.#voxels;
    this.#labels.name(`${count(channels)} channels`, `${height} rows`, `${width} columns`);
  }

  #open(): VolumeScene | undefined {
    if (this.#scene || this.#host.querySelector(".failed")) return this.#scene;
    put(this.#host, ...this.#labels.elements);
    try {
      this.#scene = new VolumeScene(this.#host, "Ray-marched volume of the feature maps", () =>
        this.#labels.place((x, y, z) => this.#scene?.project(x, y, z) ?? { x: 0, y: 0 }),
      );
    } catch (error) {
      put(this.#host, failed(error));
    }
    this.#arranged = "";
    if (this.#scene && this.#voxels) this.#scene.setVoxels(shrink(this.#voxels, this.#scene.largestSide));
    return this.#scene;
  }

  #paintMaps(data: VolumeData, place: number): void {
    const wanted = (this.state.route.params.q ?? "").trim();
    const all = Array.from(data.order.keys());
    const shown = /^\d+$/.test(wanted)
      ? all.filter((one) => String(data.order[one]).startsWith(wanted))
      : all;
    const key = JSON.stringify([this.#arranged, this.#mapName(), wanted]);
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
    const [data, voxels] = [this.loaded?.data, this.#voxels];
    if (!data || !voxels) return h("div");
    return mapCell(data, voxels, place, this.#map(), [width, this.#mapHeight(width)], {
      see: () => this.set({ ch: place }),
      read: (channel, row, column, value) => this.#panel.read(channel, row, column, value),
    });
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (isTyping(event) || !data || event.target === this.#host || event.target instanceof HTMLInputElement)
      return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const place = Math.max(0, this.#place(data).at) + by;
    if (place >= 0 && place < data.order.length) this.set({ ch: place });
  }
}

export const mount: Mount = mounting(VolumeView);
