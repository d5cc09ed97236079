// The card of one channel in the grid of a layer: its best patch, or nine patches, nine projections, and what they say together.
import { h, sizeCanvas } from "../../lib/dom";
import { percent } from "../../lib/format";
import { dot } from "../../lib/frame";
import type { Theme } from "../../lib/palette";
import { fitTile } from "../../lib/sheet";
import { type ChannelFacts, labelCounts, type Measure, measured } from "../../lib/topk";
import type { Rule, TopKData } from "../../lib/topkdata";
import { MEASURE_TITLES, measureText } from "../../lib/topkpage";
import type { Address } from "../../source/source";
import type { Place, Tiles } from "./channeltile";

export type Shown = "both" | "best" | "patches" | "projections";

/** What all cards of a page show. */
export interface CardStyle {
  readonly shown: Shown;
  readonly rule: Rule | undefined;
  /** The number that stands on a card. */
  readonly measure: Measure;
  readonly facts: ChannelFacts;
  /** Labels that were searched for. */
  readonly wanted: ReadonlySet<number>;
}

export interface CardLook {
  readonly width: number;
  readonly href: string;
  readonly theme: Theme;
  readonly signal: AbortSignal;
}

const MOST = 9;
const TILE_GAP = 2;
const PAIR_GAP = 8;
const PADDING = 10;
const BORDER = 1;
const CAPTION = 44;
const SMALL_PADDING = 3;
const SMALL_CAPTION = 18;

/** Narrowest card of each way to show channels, in pixels. */
export const NARROWEST: Readonly<Record<Shown, number>> = {
  best: 84,
  both: 296,
  patches: 164,
  projections: 164,
};
/** Between two cards. */
export const gapOf = (shown: Shown): number => (shown === "best" ? 6 : 12);

/** The sheets that are shown beside each other. */
function sheetsOf({ shown, rule }: Pick<CardStyle, "shown" | "rule">): string[] {
  const patches = shown === "projections" ? [] : ["patch"];
  const projections = rule && (shown === "both" || shown === "projections") ? [rule.name] : [];
  return [...patches, ...projections];
}

/** Tiles in a row of a card: 3 for the usual nine, 2 for four. */
const columnsFor = (k: number, shown: Shown): number =>
  shown === "best" ? 1 : Math.max(1, Math.ceil(Math.sqrt(Math.min(k, MOST))));

/** Side of a tile in a card `width` pixels wide. */
function tileSide(width: number, sheets: number, columns: number, shown: Shown): number {
  if (shown === "best") return Math.floor(width - 2 * SMALL_PADDING - 2 * BORDER);
  const gaps = (sheets - 1) * PAIR_GAP + sheets * (columns - 1) * TILE_GAP;
  return Math.floor((width - 2 * PADDING - 2 * BORDER - gaps) / (columns * sheets));
}

export function cardHeight(width: number, style: CardStyle, data: TopKData): number {
  const { shown } = style;
  const names = sheetsOf(style);
  const columns = columnsFor(data.k, shown);
  const side = tileSide(width, names.length, columns, shown);
  const heights = names.map((name) => fitTile(data.record.pictures[name]?.tile ?? [1, 1], side).height);
  if (shown === "best") return heights[0] + 2 * SMALL_PADDING + 2 * BORDER + SMALL_CAPTION;
  return columns * Math.max(...heights) + (columns - 1) * TILE_GAP + 2 * PADDING + CAPTION;
}

export class ChannelCards {
  constructor(
    private readonly tiles: Tiles,
    private readonly drawn: () => void,
  ) {}

  /** Load the sheets of these channels, so that cards built afterwards are drawn at once. */
  async preload(data: TopKData, channels: readonly number[], style: CardStyle): Promise<void> {
    const urls = new Set<Address>();
    for (const name of sheetsOf(style))
      for (const channel of data.record.pictures[name] ? channels : [])
        if (channel < data.channels) urls.add(this.tiles.url(data, name, channel));
    await Promise.allSettled([...urls].map((url) => this.tiles.pictures.get(url)));
  }

  card(data: TopKData, channel: number, style: CardStyle, look: CardLook): HTMLElement {
    const { shown } = style;
    const sheets = sheetsOf(style);
    const columns = columnsFor(data.k, shown);
    const side = tileSide(look.width, sheets.length, columns, shown);
    const canvases = sheets.map((name) => this.#canvas(data, name, channel, side, columns, look.signal));
    const caption =
      shown === "best"
        ? [small(data, channel, style)]
        : [title(data, channel, style, look.theme), numbers(channel, style)];
    const card = h(
      "a",
      {
        class: `channel-card${shown === "best" ? " best" : ""}`,
        href: look.href,
        "data-testid": "channel",
        "data-channel": channel,
        "aria-label": `channel ${channel}`,
      },
      h("div", { class: "channel-tiles" }, ...canvases),
      h("div", {}, ...caption),
    );
    return h("div", { role: "listitem" }, card);
  }

  #canvas(
    data: TopKData,
    name: string,
    channel: number,
    side: number,
    columns: number,
    signal: AbortSignal,
  ): HTMLElement {
    const what = name === "patch" ? (columns > 1 ? "patches" : "best patch") : "projections";
    const canvas = h("canvas", { role: "img", "aria-label": `${what} of channel ${channel}` });
    const sheet = data.record.pictures[name];
    const { width, height } = fitTile(sheet?.tile ?? [1, 1], side);
    const gaps = (columns - 1) * TILE_GAP;
    const context = sizeCanvas(canvas, columns * width + gaps, columns * height + gaps);
    if (!sheet) return canvas;
    const shown = Math.min(data.k, columns > 1 ? MOST : 1);
    const places: Place[] = Array.from({ length: shown }, (_, rank) => ({
      rank,
      x: (rank % columns) * (width + TILE_GAP),
      y: Math.floor(rank / columns) * (height + TILE_GAP),
      width,
      height,
    }));
    this.tiles.paint(context, data, { name, channel }, places, signal).then(this.drawn);
    return canvas;
  }
}

const isDead = ({ positive }: ChannelFacts, channel: number): boolean => !(positive[channel] > 0);

const deadFlag = (): HTMLElement =>
  h("b", { class: "flag dead", title: "Never above 0 at any position of any image" }, "dead");

function small(data: TopKData, channel: number, style: CardStyle): HTMLElement {
  const text = measureText(style.facts, style.measure, channel);
  return h(
    "div",
    { class: "channel-caption num" },
    h("b", {}, channel),
    isDead(style.facts, channel)
      ? deadFlag()
      : h("span", { class: "muted", title: titleOf(style.measure, data, channel) }, text),
  );
}

const titleOf = (by: Measure, data: TopKData, channel: number): string =>
  [MEASURE_TITLES[by][0].toLowerCase(), data.classText(channel)].filter(Boolean).join(" · ");

function title(data: TopKData, channel: number, style: CardStyle, theme: Theme): HTMLElement {
  return h(
    "div",
    { class: "channel-caption" },
    h("b", { class: "num" }, channel),
    searched(data, channel, style.wanted, theme) ?? shared(data, channel, theme),
  );
}

/** The class that was searched for, of all pictures of the channel. */
function searched(
  data: TopKData,
  channel: number,
  wanted: ReadonlySet<number>,
  theme: Theme,
): HTMLElement | null {
  if (!data.label || !wanted.size) return null;
  const counts = [...labelCounts(data.label, channel, data.k)].filter(([label]) => wanted.has(label));
  const found = counts.reduce((sum, [, n]) => sum + n, 0);
  return found ? classCount(data, counts[0][0], found, data.purity[channel].of, theme) : null;
}

function shared(data: TopKData, channel: number, theme: Theme): HTMLElement | null {
  const { label, count, of } = data.purity[channel];
  return count > 1 ? classCount(data, label, count, of, theme) : null;
}

function classCount(data: TopKData, label: number, n: number, of: number, theme: Theme): HTMLElement {
  return h(
    "span",
    { class: "purity", title: `${n} of ${of} pictures` },
    dot(data.classColour(label, theme)),
    ` ${data.className(label)} · ${n}/${of}`,
  );
}

function numbers(channel: number, { facts, measure }: CardStyle): HTMLElement {
  const share = 1 - measured(facts, "sparsity", channel);
  const by = measure === "sparsity" ? "strength" : measure;
  const name = by === "strength" ? "max" : MEASURE_TITLES[by][0].toLowerCase();
  return h(
    "div",
    { class: "channel-caption num" },
    isDead(facts, channel)
      ? deadFlag()
      : h(
          "span",
          { class: "muted", title: MEASURE_TITLES[by][1] },
          `${name} ${measureText(facts, by, channel)}`,
        ),
    h(
      "span",
      { class: "positive", title: "Share of positions above zero" },
      h("i", { style: { "--share": `${100 * share}%` } }),
      percent(share),
    ),
  );
}
