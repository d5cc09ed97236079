// The card of one channel in the grid of a layer: nine patches, nine projections, and what they say together.
import { h, sizeCanvas } from "../../lib/dom";
import { number, percent } from "../../lib/format";
import { dot, isAbort } from "../../lib/frame";
import type { Theme } from "../../lib/palette";
import { drawTile, fitTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { TopKData } from "../../lib/topkdata";
import type { Source } from "../../source/source";

export type Shown = "both" | "patches" | "projections";

const MOST = 9;
const TILE_GAP = 2;
const PAIR_GAP = 8;
const PADDING = 10;
const BORDER = 1;
const CAPTION = 44;

const PICTURES: Readonly<Record<Shown, readonly string[]>> = {
  both: ["patch", "projection"],
  patches: ["patch"],
  projections: ["projection"],
};

/** Tiles in a row of a card: 3 for the usual nine, 2 for four. */
const columnsFor = (k: number): number => Math.max(1, Math.ceil(Math.sqrt(Math.min(k, MOST))));

/** Side of a tile in a card `width` pixels wide. */
function tileSide(width: number, shown: Shown, columns: number): number {
  const pairs = PICTURES[shown].length;
  const gaps = (pairs - 1) * PAIR_GAP + pairs * (columns - 1) * TILE_GAP;
  return Math.floor((width - 2 * PADDING - 2 * BORDER - gaps) / (columns * pairs));
}

export function cardHeight(width: number, shown: Shown, data: TopKData | undefined): number {
  const columns = columnsFor(data?.k ?? MOST);
  const side = tileSide(width, shown, columns);
  const heights = PICTURES[shown].map(
    (name) => fitTile(data?.record.pictures[name]?.tile ?? [1, 1], side).height,
  );
  return columns * Math.max(...heights) + (columns - 1) * TILE_GAP + 2 * PADDING + CAPTION;
}

export class ChannelCards {
  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
    private readonly drawn: () => void,
  ) {}

  /** Load the sheets of these channels, so that cards built afterwards are drawn at once. */
  async preload(data: TopKData, run: string, channels: readonly number[], shown: Shown): Promise<void> {
    const urls = new Set<string>();
    for (const name of PICTURES[shown]) {
      const sheet = data.record.pictures[name];
      for (const channel of sheet ? channels : [])
        urls.add(this.#url(data, run, tileOf(sheet, channel, 0).file));
    }
    await Promise.allSettled([...urls].map((url) => this.pictures.get(url)));
  }

  card(data: TopKData, run: string, channel: number, shown: Shown, look: CardLook): HTMLElement {
    const side = tileSide(look.width, shown, columnsFor(data.k));
    const canvases = PICTURES[shown].map((name) => this.#canvas(data, run, name, channel, side, look.signal));
    const card = h(
      "a",
      {
        class: "channel-card",
        href: look.href,
        "data-testid": "channel",
        "aria-label": `channel ${channel}`,
      },
      h("div", { class: "channel-tiles" }, ...canvases),
      h("div", {}, title(data, channel, look.theme), numbers(data, channel)),
    );
    return h("div", { role: "listitem" }, card);
  }

  #url = (data: TopKData, run: string, file: string): string =>
    this.source.pictureUrl(run, data.record.id, file);

  #canvas(
    data: TopKData,
    run: string,
    name: string,
    channel: number,
    side: number,
    signal: AbortSignal,
  ): HTMLElement {
    const label = `${name === "patch" ? "patches" : "projections"} of channel ${channel}`;
    const canvas = h("canvas", { role: "img", "aria-label": label });
    const sheet = data.record.pictures[name];
    const { width, height } = fitTile(sheet?.tile ?? [1, 1], side);
    const columns = columnsFor(data.k);
    const gaps = (columns - 1) * TILE_GAP;
    const context = sizeCanvas(canvas, columns * width + gaps, columns * height + gaps);
    if (!sheet) return canvas;
    this.pictures.get(this.#url(data, run, tileOf(sheet, channel, 0).file)).then(
      (picture) => {
        if (signal.aborted) return;
        for (let rank = 0; rank < Math.min(data.k, MOST); rank++) {
          const x = (rank % columns) * (width + TILE_GAP);
          const y = Math.floor(rank / columns) * (height + TILE_GAP);
          const part = data.part(channel, rank, sheet);
          drawTile(context, picture, tileOf(sheet, channel, rank), x, y, width, height, part);
        }
        this.drawn();
      },
      (error: unknown) => {
        if (!isAbort(error)) canvas.title = "This sheet could not be loaded";
      },
    );
    return canvas;
  }
}

export interface CardLook {
  readonly width: number;
  readonly href: string;
  readonly theme: Theme;
  readonly signal: AbortSignal;
}

function title(data: TopKData, channel: number, theme: Theme): HTMLElement {
  const best = data.purity[channel];
  const shared =
    best.count > 1 &&
    h(
      "span",
      { class: "purity", title: `${best.count} of ${best.of} pictures` },
      dot(data.classColour(best.label, theme)),
      ` ${data.className(best.label)} · ${best.count}/${best.of}`,
    );
  return h("div", { class: "channel-caption" }, h("b", { class: "num" }, channel), shared);
}

function numbers(data: TopKData, channel: number): HTMLElement {
  const share = data.positive[channel];
  return h(
    "div",
    { class: "channel-caption num" },
    h("span", { class: "muted", title: "Largest activation" }, `max ${number(data.max[channel], 3)}`),
    h(
      "span",
      { class: "positive", title: "Share of positions above zero" },
      h("i", { style: { "--share": `${100 * share}%` } }),
      percent(share),
    ),
  );
}
