// Where a channel leads: the channels most like it, and its filter.
import { h, put } from "../../lib/dom";
import { drawingOf, type FilterData, fetchFilters } from "../../lib/filterdata";
import type { Drawing } from "../../lib/filters";
import { number } from "../../lib/format";
import { isAbort } from "../../lib/frame";
import { whenSeen } from "../../lib/seen";
import type { TopKData } from "../../lib/topkdata";
import { type ChannelDetail, likest } from "../../lib/topkdetail";
import type { RecordInfo, Source } from "../../source/source";
import { block } from "./channelside";
import type { Tiles } from "./channeltile";
import { filterCanvas, paintFilter } from "./filtercell";

const CARD_TILE = 56;
/** Of more inputs only the strongest slice is drawn: a mosaic of them would be too small to see. */
const MOST_SLICES = 64;

/** Small cards of the channels whose scores go most with this one's. */
export function similarChannels(
  tiles: Tiles,
  data: TopKData,
  detail: ChannelDetail,
  href: (channel: number) => string,
  signal: AbortSignal,
): HTMLElement | null {
  const others = likest(data, detail);
  if (!others.length) return null;
  const cards = others.map(({ channel, likeness }) => {
    const slot = h("span", { class: "similar-tile", "aria-hidden": "true" });
    // Each is on another sheet: they are fetched when someone looks there.
    whenSeen(slot, signal, () => {
      const look = { name: "patch", channel, rank: 0, side: CARD_TILE, label: "" };
      put(slot, tiles.canvas(data, look, signal));
    });
    return h(
      "a",
      {
        class: "similar-card",
        href: href(channel),
        "aria-label": `channel ${channel}, correlation ${number(likeness, 2)}`,
        title: data.classText(channel) || null,
      },
      slot,
      h(
        "span",
        { class: "num" },
        h("b", {}, channel),
        h("span", { class: "muted" }, ` ${number(likeness, 2)}`),
      ),
    );
  });
  return block(
    "Most similar channels",
    h("div", { class: "similar" }, ...cards),
    h("p", { class: "muted" }, "By the correlation of their scores over the images."),
  );
}

/** The filter that makes a channel, drawn, with a link to its page. */
export class ChannelFilter {
  readonly #known = new Map<string, Promise<FilterData>>();

  constructor(private readonly source: Source) {}

  /** The block, empty until its weights are here; it vanishes if they are not the channel's. */
  show(
    run: string,
    record: RecordInfo | undefined,
    data: TopKData,
    channel: number,
    href: string,
    signal: AbortSignal,
  ): HTMLElement | null {
    if (!record) return null;
    const body = h("div", { class: "channel-filter" }, h("p", { class: "loading" }, "Loading its weights …"));
    const link = h("a", { class: "button", href }, "Its filter");
    const el = block("Filter", body, h("p", { class: "panel-links" }, link));
    this.#draw(body, run, record.id, data, channel, signal).then(
      (belongs) => {
        if (!belongs) el.remove();
      },
      (error: unknown) => {
        if (!signal.aborted && !isAbort(error)) put(body, "Its weights could not be loaded.");
      },
    );
    return el;
  }

  #filters(run: string, id: string): Promise<FilterData> {
    const key = `${run}/${id}`;
    const known = this.#known.get(key);
    if (known) return known;
    // Not of one channel's page: the next channel of the layer asks for the same.
    const asked = fetchFilters(this.source, run, id, new AbortController().signal);
    this.#known.clear();
    this.#known.set(key, asked);
    asked.catch(() => this.#known.delete(key));
    return asked;
  }

  async #draw(
    body: HTMLElement,
    run: string,
    id: string,
    data: TopKData,
    channel: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const filters = await this.#filters(run, id);
    if (filters.shape.out !== data.channels) return false;
    const row = await filters.weight.want(channel, signal);
    if (signal.aborted) return true;
    const drawing = drawn(filters, channel);
    const size = drawing.kind === "all" ? "filter-large" : "filter-large one";
    const canvas = filterCanvas(filters.shape, drawing, `filter ${channel}`, size);
    paintFilter(canvas, row, filters.shape, drawing, filters.largest[channel] || Number.MIN_VALUE);
    put(body, canvas, h("p", { class: "muted num" }, said(filters, drawing, channel)));
    return true;
  }
}

function drawn(filters: FilterData, channel: number): Drawing {
  if (filters.colours || filters.shape.input === 1) return drawingOf(filters, undefined);
  if (filters.shape.input <= MOST_SLICES) return { kind: "all" };
  return { kind: "slice", input: filters.strongest[channel] };
}

function said(filters: FilterData, drawing: Drawing, channel: number): string {
  const { height, width, input } = filters.shape;
  const which =
    drawing.kind === "slice" && input > 1
      ? `its strongest of ${input} slices, input ${drawing.input}`
      : drawing.kind === "all"
        ? `all ${input} slices`
        : `${height} × ${width}`;
  return `${which}; ±${number(filters.largest[channel], 3)}, L2 norm ${number(filters.norm[channel], 3)}`;
}
