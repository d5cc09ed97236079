// The tiles of a top-k record as canvases: patches, projections and activation maps.
import { h, sizeCanvas } from "../../lib/dom";
import { isAbort } from "../../lib/frame";
import { drawTile, fitTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { TopKData } from "../../lib/topkdata";
import type { Address, Source } from "../../source/source";

/** One tile, and how large it is drawn. */
export interface TileOrder {
  /** Name of the sheet. */
  readonly name: string;
  readonly channel: number;
  readonly rank: number;
  /** Longer side in CSS pixels. */
  readonly side: number;
  readonly label: string;
}

export class Tiles {
  constructor(
    private readonly source: Source,
    readonly pictures: PictureCache,
  ) {}

  url = (data: TopKData, name: string, channel: number): Address =>
    this.source.pictureUrl(data.run, data.record.id, tileOf(data.record.pictures[name], channel, 0).file);

  /** Draw tiles of one channel onto a canvas when their sheet is here; `signal` aborted, they are not drawn any more. */
  paint(
    context: CanvasRenderingContext2D,
    data: TopKData,
    { name, channel }: Pick<TileOrder, "name" | "channel">,
    places: readonly Place[],
    signal: AbortSignal,
  ): Promise<void> {
    const sheet = data.record.pictures[name];
    return this.pictures.get(this.url(data, name, channel)).then(
      (picture) => {
        for (const { rank, x, y, width, height } of signal.aborted ? [] : places) {
          const part = data.part(channel, rank, name);
          drawTile(context, picture, tileOf(sheet, channel, rank), x, y, width, height, part);
        }
      },
      (error: unknown) => {
        if (!isAbort(error)) context.canvas.title = "This sheet could not be loaded";
      },
    );
  }

  /** The canvas of one tile; `drawn` is called when it is painted. */
  canvas(
    data: TopKData,
    { name, channel, rank, side, label }: TileOrder,
    signal: AbortSignal,
    drawn: () => void = () => undefined,
  ): HTMLCanvasElement {
    const canvas = h("canvas", { role: "img", "aria-label": label });
    const sheet = data.record.pictures[name];
    const { width, height } = fitTile(sheet?.tile ?? [1, 1], side);
    const context = sizeCanvas(canvas, width, height);
    if (sheet)
      this.paint(context, data, { name, channel }, [{ rank, x: 0, y: 0, width, height }], signal).then(drawn);
    return canvas;
  }
}

/** Where a tile is drawn, in CSS pixels of its canvas. */
export interface Place {
  readonly rank: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
