// One feature map in the grid of all maps of a layer.
import { context2d, h } from "../../lib/dom";
import { number } from "../../lib/format";
import { cellUnder } from "../../lib/pointer";
import type { VolumeData } from "../../lib/volumedata";
import { mapPixels, type Voxels, valueAt } from "../../lib/voxels";

export interface MapActions {
  readonly see: () => void;
  /** The pointer is over a value. */
  readonly read: (channel: number, row: number, column: number, value: number) => void;
}

/** The map of a channel, at `place` of the stack, drawn `size` = (width, height) CSS pixels large. */
export function mapCell(
  data: VolumeData,
  voxels: Voxels,
  [place, channel]: readonly [place: number, channel: number],
  colours: Uint8Array,
  size: readonly [number, number],
  { see, read }: MapActions,
): HTMLElement {
  const high = number(data.volume.scale[2 * channel + 1], 3);
  const { width, height } = voxels;
  const canvas = h("canvas", { width, height, role: "img", "aria-label": `feature map ${channel}` });
  context2d(canvas).putImageData(mapPixels(voxels, place, colours), 0, 0);
  canvas.style.width = `${size[0]}px`;
  canvas.style.height = `${size[1]}px`;
  canvas.addEventListener("pointermove", (event) => {
    const [row, column] = cellUnder(event, canvas, height, width);
    read(channel, row, column, valueAt(data.volume, channel, row, column));
  });
  const caption = h(
    "span",
    { class: "filter-caption num" },
    h("span", {}, channel),
    h("span", { class: "muted" }, high),
  );
  const label = `channel ${channel}, largest ${number(data.volume.scale[2 * channel + 1])}`;
  const look = { type: "button", class: "map-cell", "data-place": place, "aria-label": label, onclick: see };
  return h("div", { role: "listitem" }, h("button", look, canvas, caption));
}
