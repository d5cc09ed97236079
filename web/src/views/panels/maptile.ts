// One feature map in the grid of all channels of a layer.
import { context2d, h } from "../../lib/dom";
import { number } from "../../lib/format";
import { bytePixels, type Clamp, ownScale, type Scale, shownRange } from "../../lib/maps";
import type { MapsData } from "../../lib/mapsdata";
import type { NumberArray } from "../../source/source";

export interface TileLook {
  readonly scale: Scale;
  readonly after: Clamp;
  /** Whether the scale is the channel's own: then its ends stand below. */
  readonly own: boolean;
  readonly href: string;
  /** Width of the tile on screen. */
  readonly width: number;
  readonly signal: AbortSignal;
}

export interface TileEvents {
  readonly open: () => void;
  /** The map is pointed at, as pixels to be laid over the picture; none: no longer. */
  readonly point: (pixels?: Uint8ClampedArray<ArrayBuffer>) => void;
  readonly drawn: () => void;
  readonly failed: (error: unknown) => void;
}

export function mapTile(
  data: MapsData,
  channel: number,
  bytes: Promise<NumberArray>,
  look: TileLook,
  on: TileEvents,
): HTMLElement {
  const [height, width] = data.small;
  const canvas = h("canvas", { width, height, role: "img", "aria-label": `feature map ${channel}` });
  const whole = smallShare(data);
  canvas.style.width = `${100 * whole[1]}%`;
  canvas.style.height = `${100 * whole[0]}%`;
  const frame = h("span", { class: "map-frame" }, canvas);
  frame.style.height = `${tileHeight(data, look.width)}px`;
  const range = [data.range[2 * channel], data.range[2 * channel + 1]] as const;
  let here: NumberArray | undefined;
  bytes.then((row) => {
    if (look.signal.aborted) return;
    here = row;
    const pixels = new ImageData(bytePixels(row, range, look.after, look.scale), width, height);
    context2d(canvas).putImageData(pixels, 0, 0);
    on.drawn();
  }, on.failed);
  const point = (): void => {
    // On its own scale: what is laid over the picture says where, the tile itself says how much.
    const own = ownScale(data.range, channel, look.after, look.scale.signed);
    if (here) on.point(bytePixels(here, range, look.after, own, "by strength"));
  };
  const link = h(
    "a",
    {
      class: "map-cell",
      href: look.href,
      "data-channel": channel,
      "aria-label": `channel ${channel}, largest value ${number(shownRange(data.range, channel, look.after)[1])}`,
    },
    frame,
    caption(data, channel, look),
  );
  link.addEventListener("click", (event) => {
    event.preventDefault();
    on.open();
  });
  for (const name of ["pointerenter", "focus"]) link.addEventListener(name, point);
  for (const name of ["pointerleave", "blur"]) link.addEventListener(name, () => on.point());
  return h("div", { role: "listitem" }, link);
}

/** How much higher and wider the reduced map is than the map: its last squares may be cut. */
export const smallShare = ({ small, reduced, height, width }: MapsData): [number, number] => [
  (small[0] * reduced) / height,
  (small[1] * reduced) / width,
];

const TALLEST = 3;

export const tileHeight = ({ height, width }: MapsData, side: number): number =>
  Math.max(4, Math.min(TALLEST * side, (side * height) / width));

function caption(data: MapsData, channel: number, { scale, own, after }: TileLook): HTMLElement {
  const bad = data.notFinite?.[channel] ?? 0;
  const text = own
    ? scale.signed
      ? `±${number(scale.high, 2)}`
      : `${number(scale.low, 2)} … ${number(scale.high, 2)}`
    : number(shownRange(data.range, channel, after)[1], 3);
  const title = own ? "Full contrast of this map" : "Largest value of this map";
  return h(
    "span",
    { class: "filter-caption num" },
    h("span", {}, channel),
    bad
      ? h("b", { class: "flag dead", title: `${bad} values are NaN or infinite` }, "NaN")
      : h("span", { class: "muted", title }, text),
  );
}
