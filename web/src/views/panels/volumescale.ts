// The scale of a volume in numbers: which share of the values it spans, its ends, and what lies beyond them.
import { type Control, select } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { number, percent } from "../../lib/format";
import { colourBar } from "../../lib/legend";
import type { Change } from "../../lib/route";
import type { VolumeData } from "../../lib/volumedata";
import type { VolumeLook } from "../../lib/volumelook";
import { clipped, scaleOf } from "../../lib/voxels";

const CLIPS = ["recorded", "0", "0.1", "1", "5", "own"] as const;
type ClipName = (typeof CLIPS)[number];

export class VolumeScale {
  readonly #bar = h("div");
  readonly #percent: Control<ClipName>;
  readonly #low = h("input", { type: "number", step: "any", "aria-label": "Lower end of the scale" });
  readonly #high = h("input", { type: "number", step: "any", "aria-label": "Upper end of the scale" });
  readonly #ends = h(
    "div",
    { class: "window-ends num" },
    h("span", { class: "caption" }, "from"),
    this.#low,
    h("span", { class: "caption" }, "to"),
    this.#high,
  );
  readonly #about = h("p", { class: "muted num", "data-testid": "scale" });
  readonly el: HTMLElement;
  #signed = false;
  #shown = "";

  constructor(private readonly set: (change: Change) => void) {
    this.#percent = select<ClipName>(
      "Spans",
      [
        { value: "recorded", text: "as recorded" },
        { value: "0", text: "all values" },
        { value: "0.1", text: "0.1 – 99.9 %" },
        { value: "1", text: "1 – 99 %" },
        { value: "5", text: "5 – 95 %" },
        { value: "own", text: "these numbers" },
      ],
      "recorded",
      (value) => this.#span(value),
    );
    this.#low.addEventListener("change", () => this.#given(true));
    this.#high.addEventListener("change", () => this.#given(false));
    this.el = h(
      "section",
      { class: "block", "aria-label": "Scale" },
      h("h3", {}, "Scale"),
      this.#bar,
      this.#percent.el,
      this.#ends,
      this.#about,
    );
  }

  show(data: VolumeData, look: VolumeLook, channel: number, clip: string | undefined, fixed: string): void {
    const { shown, map } = look;
    const scale = scaleOf(data.volume, channel, shown);
    const key = JSON.stringify([data.record.id, scale, shown.own, map, clip, fixed, look.percentiles]);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#signed = scale.signed;
    put(this.#bar, colourBar(map, scale.low, scale.high, shown.own ? "channel" : "all channels"));
    this.#percent.el.hidden = this.#ends.hidden = shown.own || fixed !== "";
    const name = look.percentiles ? (clip ?? "recorded") : "own";
    this.#percent.set(CLIPS.find((one) => one === name) ?? "own");
    this.#low.value = String(Number(scale.low.toPrecision(5)));
    this.#high.value = String(Number(scale.high.toPrecision(5)));
    put(this.#about, this.#text(data, look, fixed));
  }

  #text(data: VolumeData, look: VolumeLook, fixed: string): string {
    const { shown, percentiles } = look;
    if (fixed) return fixed;
    if (shown.own) return "Each channel from its smallest to its largest value: channels cannot be compared.";
    const { low, high } = shown.scale;
    const [below, above] = clipped(data.volume, data.counts, shown);
    const spans = percentiles
      ? `percentiles ${number(percentiles[0])} to ${number(percentiles[1])} of all values`
      : "given in numbers";
    const share = (part: number): string => (part > 0 && part < 0.0005 ? "< 0.1 %" : percent(part));
    const centre = look.by === "symmetric" ? ", zero in the middle" : "";
    return `${number(low)} to ${number(high)}${centre} (${spans}); ${share(below)} of the values lie below and are drawn as its lower end, ${share(above)} above.`;
  }

  #span(value: ClipName): void {
    if (value === "own") this.#given(false);
    else this.set({ win: null, iso: null, clip: value === "recorded" ? null : value });
  }

  /** The numbers of the two fields; a scale about zero has one of them. */
  #given(lower: boolean): void {
    let [low, high] = [Number(this.#low.value), Number(this.#high.value)];
    if (this.#signed) {
      high = Math.abs(lower ? low : high);
      low = -high;
    }
    if (Number.isFinite(low) && Number.isFinite(high) && low < high)
      this.set({ win: `${low},${high}`, clip: null, iso: null });
    else this.#shown = "";
  }
}
