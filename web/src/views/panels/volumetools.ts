// The tool bar of the volume page: what is shown, how, on which scale and in which colours.
import { type Control, segmented, select, slider } from "../../lib/controls";
import { arrange, h } from "../../lib/dom";
import { number, percent } from "../../lib/format";
import type { Change } from "../../lib/route";
import type { ScaleBy, VolumeData } from "../../lib/volumedata";
import {
  MAPS,
  type MapName,
  OPACITY,
  type Show,
  type VolumeLook,
  type VolumeMode,
} from "../../lib/volumelook";

const ISO_STEPS = 500;

export class VolumeTools {
  readonly el = h("div", { class: "volume-tools" });
  readonly #show: Control<Show>;
  readonly #mode: Control<VolumeMode>;
  readonly #scale: Control<ScaleBy>;
  readonly #map: Control<MapName>;
  readonly #opacity: ReturnType<typeof slider>;
  readonly #iso: ReturnType<typeof slider>;
  #own = false;
  #signed = false;
  #by: ScaleBy = "layer";

  constructor(set: (change: Change) => void) {
    this.#show = segmented<Show>(
      "Show",
      [
        { value: "volume", text: "Volume" },
        { value: "slices", text: "Slices", title: "Three orthogonal slices, without 3-D" },
        { value: "maps", text: "All maps" },
        { value: "table", text: "Table" },
      ],
      "volume",
      (value) => set({ show: value === "volume" ? null : value }),
    );
    this.#mode = segmented<VolumeMode>(
      "Mode",
      [
        { value: "composite", text: "Composite", title: "Opacity as the curve beside has it" },
        { value: "iso", text: "Surface", title: "Where the value is a given one" },
        { value: "maximum", text: "Maximum", title: "Only the strongest value along the ray" },
        { value: "slices", text: "Planes", title: "Three orthogonal planes" },
      ],
      "composite",
      (value) => set({ mode: value === "composite" ? null : value, planes: null }),
    );
    this.#scale = segmented<ScaleBy>(
      "Scale",
      [
        { value: "layer", text: "Layer", title: "One scale for all channels" },
        { value: "each", text: "Each", title: "Every channel stretched to its own range" },
        { value: "symmetric", text: "Symmetric", title: "One scale for all channels, zero in its middle" },
      ],
      "layer",
      // A shape, a window and a surface are of one scale; they mean nothing on another.
      (value) => set({ scale: value === this.#by ? null : value, win: null, iso: null, tf: null, map: null }),
    );
    this.#map = select<MapName>(
      "Colours",
      MAPS.map((value) => ({ value, text: value === "diverging" ? "blue – red about 0" : value })),
      "inferno",
      (value) => set({ map: value, tf: null, iso: null }),
    );
    this.#opacity = slider(
      "Density",
      { min: 0.02, max: 1, step: 0.02 },
      OPACITY,
      (v) => set({ opacity: v === OPACITY ? null : v }),
      (value) => value.toFixed(2),
    );
    this.#iso = slider(
      "Surface at",
      { min: 0, max: 1, step: 0.002 },
      0.5,
      (value) => set({ iso: Number(value.toPrecision(4)) }),
      (value) => (this.#own ? percent(value) : `${this.#signed ? "±" : ""}${number(value, 3)}`),
    );
  }

  show(show: Show, look: VolumeLook, data: VolumeData): void {
    this.#own = look.shown.own;
    this.#signed = look.shown.scale.signed;
    this.#by = data.by;
    this.#show.set(show);
    this.#mode.set(look.mode);
    this.#scale.set(look.by);
    this.#map.set(look.map);
    this.#opacity.set(look.opacity);
    const [min, max] = look.isoEnds;
    this.#iso.limit({ min, max, step: (max - min) / ISO_STEPS || 1 });
    this.#iso.set(look.iso);
    const mode = look.mode === "iso" ? [this.#iso] : look.mode === "composite" ? [this.#opacity] : [];
    const controls =
      show === "volume"
        ? [this.#mode, this.#scale, this.#map, ...mode]
        : show === "table"
          ? []
          : [this.#scale, this.#map];
    arrange(
      this.el,
      [this.#show, ...controls].map(({ el }) => el),
    );
  }
}
