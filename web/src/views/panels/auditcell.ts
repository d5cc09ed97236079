// One image of a data set: its thumbnail, what it is, how many channels it dominates, and where in the network.
import type { AuditData } from "../../lib/auditdata";
import { layerShares } from "../../lib/auditdata";
import { h, sizeCanvas } from "../../lib/dom";
import { count, percent, plural } from "../../lib/format";
import { isAbort } from "../../lib/frame";
import { drawTile, fitTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { Source } from "../../source/source";

export const THUMBNAIL = "thumbnail";
const PHOTO = 64;
const PADDING = 8;
const BORDER = 1;
const TEXT = 64;

export const cellHeight = (width: number, data: AuditData | undefined): number =>
  fitTile(data?.record.pictures[THUMBNAIL]?.tile ?? [1, 1], width - 2 * PADDING - 2 * BORDER).height +
  2 * PADDING +
  2 * BORDER +
  TEXT;

export class Thumbnails {
  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
    private readonly drawn: () => void,
  ) {}

  /** The picture of a row on a canvas that fits into a square of `side` pixels. */
  canvas(data: AuditData, run: string, row: number, side: number, signal: AbortSignal): HTMLCanvasElement {
    const canvas = h("canvas", { role: "img", "aria-label": data.nameOf(row) });
    const sheet = data.record.pictures[THUMBNAIL];
    const shown = fitTile(sheet?.tile ?? [1, 1], side);
    // A photograph is enlarged smoothly, by the browser; the pixels of a small picture stay squares.
    const photo = Math.max(...(sheet?.tile ?? [0])) >= PHOTO;
    const { width, height } =
      photo && sheet ? fitTile(sheet.tile, Math.min(side, Math.max(...sheet.tile))) : shown;
    const context = sizeCanvas(canvas, width, height);
    canvas.style.width = `${shown.width}px`;
    canvas.style.height = `${shown.height}px`;
    if (!sheet) return canvas;
    const tile = tileOf(sheet, Math.floor(row / sheet.columns), row % sheet.columns);
    this.pictures.get(this.source.pictureUrl(run, data.record.id, tile.file)).then(
      (picture) => {
        if (signal.aborted) return;
        drawTile(context, picture, tile, 0, 0, width, height);
        this.drawn();
      },
      (error: unknown) => {
        if (!isAbort(error)) canvas.title = "This sheet could not be loaded";
        this.drawn();
      },
    );
    return canvas;
  }

  cell(
    data: AuditData,
    run: string,
    row: number,
    look: { readonly width: number; readonly href: string; readonly chosen: boolean; readonly most: number },
    signal: AbortSignal,
  ): HTMLElement {
    const side = look.width - 2 * PADDING - 2 * BORDER;
    const label = `${data.nameOf(row)}${data.classOf(row) ? `, ${data.classOf(row)}` : ""}: ${dominates(data, row)}`;
    return h(
      "div",
      { role: "listitem" },
      h(
        "a",
        {
          class: "audit-cell",
          href: look.href,
          "aria-label": label,
          "aria-current": String(look.chosen),
          "data-testid": "audit-image",
        },
        this.canvas(data, run, row, side, signal),
        nameOf(data, row),
        h("span", { class: "audit-class muted", title: data.classOf(row) }, data.classOf(row) || "no class"),
        h(
          "span",
          { class: "audit-count" },
          h("span", { class: "num" }, plural(data.channels[row], "channel")),
          shareBars(data, row, look.most),
        ),
      ),
    );
  }
}

/** "among the best of 31 channels, first in 4". */
export function dominates(data: AuditData, row: number): string {
  const first = data.first[row] ? `, the very first in ${count(data.first[row])}` : "";
  return `among the best of ${plural(data.channels[row], "channel")}${first}`;
}

/** A bar for each layer: the share of its channels, up to `most`. */
export function shareBars(data: AuditData, row: number, most: number): HTMLElement {
  const shares = layerShares(data, row);
  const title = shares.map((share, layer) => `${data.layers[layer]}: ${percent(share)}`).join("\n");
  return h(
    "span",
    { class: "share-bars", title, "aria-hidden": "true" },
    ...shares.map((share) => h("i", { style: { height: `${most > 0 ? (100 * share) / most : 0}%` } })),
  );
}

/** The name of an image without its folders, which are often its class. */
export function nameOf(data: AuditData, row: number): HTMLElement {
  const name = data.nameOf(row);
  return h("b", { class: "audit-name", title: name }, name.slice(name.lastIndexOf("/") + 1));
}
