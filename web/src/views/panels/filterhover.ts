// What a pointer on a filter shows: its numbers and the feature map that it makes of a picture.
import { context2d, h } from "../../lib/dom";
import { type FilterData, flagsOf } from "../../lib/filterdata";
import { type ChannelMap, fetchMap, type MapPicture, mapPixels } from "../../lib/filtermaps";
import { number, percent } from "../../lib/format";
import { isAbort } from "../../lib/frame";
import { Tooltip } from "../../lib/tooltip";
import type { Source } from "../../source/source";

const WAIT = 140;
const SIDE = 168;

/** A feature map as a canvas of `side` pixels at most, with its range in words. */
export function mapFigure(map: ChannelMap, channel: number, picture: string, side: number): HTMLElement {
  const canvas = h("canvas", {
    width: map.width,
    height: map.height,
    class: "pixelated map-tile",
    role: "img",
    "aria-label": `feature map ${channel} of ${picture}`,
  });
  context2d(canvas).putImageData(new ImageData(mapPixels(map), map.width, map.height), 0, 0);
  const scale = side / Math.max(map.width, map.height);
  canvas.style.width = `${Math.round(map.width * scale)}px`;
  canvas.style.height = `${Math.round(map.height * scale)}px`;
  return h(
    "figure",
    { class: "map-figure" },
    canvas,
    h("figcaption", { class: "num muted" }, `${number(map.low, 3)} … ${number(map.high, 3)} · ${picture}`),
  );
}

/** The numbers of a filter in one line. */
export function numbersOf(data: FilterData, o: number, largest: number): string {
  const share = data.norm[o] / largest;
  const parts = [`L2 norm ${number(data.norm[o])} (${percent(share)} of the largest)`];
  const smoothness = data.smoothness?.[o] ?? Number.NaN;
  if (!Number.isNaN(smoothness)) parts.push(`smoothness ${number(smoothness, 3)}`);
  return [...parts, ...flagsOf(data, o)].join(" · ");
}

export class FilterHover {
  readonly #tooltip = new Tooltip();
  #controller = new AbortController();
  #timer = 0;

  constructor(private readonly source: Source) {}

  /** Show filter `o` beside `el` after a moment; the map of `picture` comes when it is here. */
  show(el: HTMLElement, data: FilterData, o: number, largest: number, picture: MapPicture | undefined): void {
    this.hide();
    const { signal } = this.#controller;
    const say = (...more: HTMLElement[]): void => {
      if (signal.aborted || !el.isConnected) return;
      const { right, top } = el.getBoundingClientRect();
      const words = h("p", { class: "num" }, numbersOf(data, o, largest));
      this.#tooltip.show(right, top, h("h4", {}, `Filter ${o}`), words, ...more);
    };
    this.#timer = window.setTimeout(() => {
      say();
      if (!picture) return;
      fetchMap(this.source, data.run, picture, data.layer, o, signal).then(
        (map) => map && say(mapFigure(map, o, picture.name, SIDE)),
        (error: unknown) => {
          if (!isAbort(error)) say(h("p", { class: "muted" }, "Its feature map could not be loaded."));
        },
      );
    }, WAIT);
  }

  hide(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#tooltip.hide();
  }

  destroy(): void {
    this.hide();
    this.#tooltip.destroy();
  }
}
