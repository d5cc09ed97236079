// One channel on a page of its own: its pictures, one of them large if it is open, and what the channel does beside them.
import { focusIsIn, h, put } from "../../lib/dom";
import { count, number } from "../../lib/format";
import { failed, hiddenTable, isAbort } from "../../lib/frame";
import type { Theme } from "../../lib/palette";
import { fetchImages, NO_IMAGES, type SearchImages } from "../../lib/searchimages";
import { ranksOf, type TopKData } from "../../lib/topkdata";
import { type ChannelDetail, fetchDetail } from "../../lib/topkdetail";
import type { RecordInfo, Source } from "../../source/source";
import { channelHits, type HitsLook } from "./channelhits";
import { LargeHit, type LargeLinks } from "./channellarge";
import { ChannelFilter, similarChannels } from "./channellinks";
import { pictureClasses, reports, scores, selectivity, statistics } from "./channelside";
import type { Tiles } from "./channeltile";

/** What is shown of a channel, and where its links lead. */
export interface Chosen {
  readonly data: TopKData;
  readonly channel: number;
  /** Rank of the picture that is open, -1 if none is. */
  readonly open: number;
  readonly theme: Theme;
  readonly audit: RecordInfo | undefined;
  readonly filters: RecordInfo | undefined;
  readonly links: ChannelLinks;
}

export interface ChannelLinks {
  readonly previous: string | null;
  readonly next: string | null;
  readonly back: string;
  readonly filter: string;
  readonly channel: (channel: number) => string;
  /** The address at which a rank is open; of none for -1. */
  readonly open: (rank: number) => string;
  readonly audit: (image: number) => string;
}

export class ChannelPanel {
  readonly el = h("article", { class: "channel", "data-testid": "channel-panel" });
  readonly #large: LargeHit;
  readonly #filter: ChannelFilter;
  readonly #slot = h("div", { class: "large-slot" });
  readonly #columns = h("div", { class: "channel-columns" });
  readonly #head = h("div", { class: "channel-nav" });
  readonly #table = h("div");
  #key = "";
  #opened = "";
  #controller = new AbortController();
  #awaited = false;
  #audit: { readonly id: string; readonly images: Promise<SearchImages> } | undefined;

  constructor(
    private readonly source: Source,
    private readonly tiles: Tiles,
    private readonly ready: () => void,
  ) {
    this.#large = new LargeHit(source, tiles);
    this.#filter = new ChannelFilter(source);
    put(this.el, this.#head, this.#slot, this.#columns, this.#table);
  }

  /** Show a channel; what was shown stays until all of it is here. */
  show(chosen: Chosen): void {
    const { data, channel } = chosen;
    const key = JSON.stringify([
      data.run,
      data.record.id,
      channel,
      chosen.open,
      chosen.theme,
      chosen.links.back,
      chosen.audit?.id, // while a search runs these come after the channel's pictures
      chosen.filters?.id,
    ]);
    if (key === this.#key) return this.ready();
    this.#key = key;
    this.#controller.abort();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    this.el.setAttribute("aria-busy", "true");
    Promise.all([fetchDetail(this.source, data, channel, signal), this.#images(chosen)]).then(
      ([detail, images]) => {
        if (!signal.aborted) this.#draw(chosen, detail, images, signal);
      },
      (error: unknown) => {
        if (!signal.aborted && !isAbort(error)) this.#fail(chosen, error);
      },
    );
  }

  /** Forget what is shown: another page takes its place. */
  hide(): void {
    this.#controller.abort();
    this.#key = this.#opened = "";
  }

  /** Give the focus to the link with this label, else to the heading. */
  focus(label: string | null = null, preventScroll = true): void {
    this.#awaited = label === null && this.el.hasAttribute("aria-busy"); // the heading is still to come
    if (this.#awaited) return;
    const link = [...this.el.querySelectorAll<HTMLElement>("a[aria-label]")].find(
      (one) => label !== null && one.getAttribute("aria-label") === label,
    );
    (link ?? this.el.querySelector<HTMLElement>("h2"))?.focus({ preventScroll });
  }

  #fail(chosen: Chosen, error: unknown): void {
    this.#key = "";
    put(this.#head, ...navigation(chosen));
    put(this.#slot);
    put(this.#columns, failed(error));
    put(this.#table);
    this.el.removeAttribute("aria-busy");
    this.ready();
  }

  /** Names and whole pictures; a page without them is still of use. */
  async #images({ data, audit }: Chosen): Promise<SearchImages> {
    if (!audit) return NO_IMAGES;
    if (this.#audit?.id !== audit.id)
      this.#audit = { id: audit.id, images: fetchImages(this.source, data.run, audit.id) };
    return this.#audit.images.catch(() => {
      this.#audit = undefined;
      return NO_IMAGES;
    });
  }

  #draw(chosen: Chosen, detail: ChannelDetail, images: SearchImages, signal: AbortSignal): void {
    const { data, channel, theme, links } = chosen;
    const focused = this.el.contains(document.activeElement) ? document.activeElement : null;
    const ranks = ranksOf(data, channel);
    const open = ranks.includes(chosen.open) ? chosen.open : -1;
    const drawn = this.ready;
    const look: HitsLook = { data, channel, detail, images, theme, open, href: links.open, signal, drawn };
    put(this.#head, ...navigation(chosen));
    this.#open(look, chosen, ranks);
    put(
      this.#columns,
      channelHits(this.tiles, look),
      h(
        "div",
        { class: "channel-side" },
        scores(data, channel, detail),
        statistics(data, channel, detail),
        selectivity(data, channel, detail, theme),
        pictureClasses(data, channel, theme),
        similarChannels(this.tiles, data, detail, links.channel, signal),
        this.#filter.show(data.run, chosen.filters, data, channel, links.filter, signal),
        reports(data),
      ),
    );
    put(this.#table, table(look, ranks));
    this.el.removeAttribute("aria-busy");
    this.#refocus(focused, open);
    if (this.#awaited && focusIsIn(this.el)) this.focus();
    this.#awaited = false;
    if (!ranks.length) this.ready();
  }

  #open(look: HitsLook, { links, audit }: Chosen, ranks: readonly number[]): void {
    const { open, images } = look;
    if (open < 0) return put(this.#slot);
    const to = (rank: number): string | null => (ranks.includes(rank) ? links.open(rank) : null);
    const image = look.detail.image[open];
    const large: LargeLinks = {
      close: links.open(-1),
      previous: to(open - 1),
      next: to(open + 1),
      audit: audit && images.name(image) ? links.audit(image) : null,
    };
    this.#large.show(look, large);
    if (!this.#large.el.isConnected) put(this.#slot, this.#large.el);
  }

  /** Keep the focus where it was; a picture that was opened gets it, one that was closed gives it back. */
  #refocus(focused: Element | null, open: number): void {
    const before = this.#opened;
    this.#opened = open < 0 ? "" : String(open);
    const here = focused !== null || document.activeElement === document.body;
    if (!here) return;
    if (open >= 0 && before === "") {
      this.#large.el.focus({ preventScroll: true });
      this.el.scrollIntoView();
    } else if (open < 0 && before !== "") this.focus(`Open picture ${Number(before) + 1}`, false);
    else if (focused && !focused.isConnected) this.focus(focused.getAttribute("aria-label"));
  }
}

function navigation({ channel, links }: Chosen): HTMLElement[] {
  const step = (href: string | null, label: string, arrow: string): HTMLElement =>
    href
      ? h("a", { class: "button", href, "aria-label": label }, arrow)
      : h("span", { class: "button off", "aria-hidden": "true" }, arrow);
  return [
    h("a", { class: "button", href: links.back }, "← All channels"),
    h("h2", { class: "num", tabindex: -1 }, `Channel ${channel}`),
    h(
      "div",
      { class: "pair" },
      step(links.previous, "Previous channel", "←"),
      step(links.next, "Next channel", "→"),
    ),
  ];
}

function table({ data, channel, detail, images }: HitsLook, ranks: readonly number[]): HTMLElement {
  const rows = ranks.map((rank) => {
    const image = detail.image[rank];
    return [
      rank + 1,
      data.className(data.label?.[channel * data.k + rank] ?? -1),
      images.name(image) ? `${images.name(image)} (${image})` : count(image),
      number(detail.value[rank]),
      detail.position[2 * rank],
      detail.position[2 * rank + 1],
    ];
  });
  const head = ["rank", "class", "image", "score", "row", "column"];
  return hiddenTable(`The pictures of channel ${channel}`, head, rows);
}
