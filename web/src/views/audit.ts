// A data set as a network sees it: the images that dominate its channels, and those that are nearly the same.
import { type AuditData, fetchAudit, type ImageSort, layerShares, orderImages } from "../lib/auditdata";
import { auditFacts, dominanceText, EXPLAIN_IMAGES, explainPairs } from "../lib/auditpage";
import { type Control, type Option, segmented } from "../lib/controls";
import { arrange, focusIsIn, h, isTyping, put } from "../lib/dom";
import { count } from "../lib/format";
import { empty, hiddenTable } from "../lib/frame";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import { type About, mounting, RecordView } from "../lib/recordview";
import { changed, choiceOf, formatRoute, toView } from "../lib/route";
import { PictureCache } from "../lib/sheet";
import { isNarrow, withPanel } from "../lib/withpanel";
import type { Source } from "../source/source";
import { cellHeight, Thumbnails } from "./panels/auditcell";
import { AuditImage } from "./panels/auditimage";
import { AuditPairs } from "./panels/auditpairs";
import type { Mount, ViewState } from "./view";

type Show = "images" | "pairs";
const SHOWS: readonly Option<Show>[] = [
  { value: "images", text: "Images" },
  { value: "pairs", text: "Near-duplicates" },
];
const SORTS: readonly Option<ImageSort>[] = [
  { value: "channels", text: "Channels", title: "Images among the best of most channels first" },
  { value: "first", text: "First", title: "Images that are the strongest of most channels first" },
  { value: "name", text: "Name" },
  { value: "class", text: "Class" },
];
const NARROWEST = 138;
const GAP = 10;
const TABLE_ROWS = 400;

const ABOUT: About<AuditData> = {
  kind: "audit",
  view: "Data set",
  explain: EXPLAIN_IMAGES,
  nothing: [
    "No data set searched yet",
    "Search a folder of pictures for what excites every channel of a network; which images dominate comes with it:",
    "convscope inspect MODEL IMAGES -o RUN",
    "convscope demo",
  ],
  fetch: fetchAudit,
};

class AuditView extends RecordView<AuditData> {
  readonly #grid: VirtualGrid;
  readonly #pictures = new PictureCache();
  readonly #thumbnails: Thumbnails;
  readonly #panel: AuditImage;
  readonly #pairs: AuditPairs;
  readonly #gone = new AbortController();
  readonly #main = h("div", { class: "audit-main" });
  readonly #says = h("p", { class: "audit-says" });
  readonly #table = h("div");
  readonly #show: Control<Show>;
  readonly #sort: Control<ImageSort>;
  #most = 0;
  /** The row that was last brought into sight. */
  #seen = -1;
  #drawn = "";

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#show = segmented("Show", SHOWS, "images", (value) =>
      this.set({ show: value === "images" ? null : value }),
    );
    this.#sort = segmented("Sort", SORTS, "channels", (value) =>
      this.set({ sort: value === "channels" ? null : value }),
    );
    this.#thumbnails = new Thumbnails(source, this.#pictures, () => this.state.ready());
    this.#grid = new VirtualGrid(scrollerOf(el), {
      label: "Images",
      minimum: NARROWEST,
      rowHeight: (width) => cellHeight(width, this.loaded?.data),
      gap: GAP,
      cell: (row, signal, width) => this.#cell(row, signal, width),
    });
    this.#panel = new AuditImage(source, this.#thumbnails, {
      close: () => this.#leave(),
      channel: (layer, channel) =>
        formatRoute(toView(this.state.route, "layer", { run: this.loaded?.run, tag: layer, ch: channel })),
      image: (row) => this.#href(row),
    });
    this.#pairs = new AuditPairs(this.#thumbnails, (row) => this.#href(row));
  }

  override destroy(): void {
    super.destroy();
    this.#gone.abort();
    this.#grid.destroy();
    this.#panel.destroy();
    this.#pairs.destroy();
    this.#pictures.clear();
  }

  protected paint(data: AuditData, run: string): void {
    const show = this.#shown();
    this.#show.set(show);
    this.#sort.set(this.#sorted());
    const { row, note } = this.#chosen(data);
    this.note(note);
    this.state.crumb(row < 0 ? "" : `image ${data.index[row]}`);
    this.head(run, {
      tag: data.network || data.record.tag,
      step: data.record.step ? `step ${count(data.record.step)}` : data.dataset,
      facts: auditFacts(data),
      ...(show === "pairs" ? { explain: explainPairs(data) } : {}),
    });
    const tools = [this.#show.el, ...(show === "images" ? [this.#sort.el] : []), this.player.el];
    arrange(this.frame.tools, tools);
    put(this.#says, show === "pairs" ? "" : dominanceText(data));
    if (!this.#main.isConnected)
      put(this.frame.body, this.#says, withPanel(this.#main, this.#panel.el, this.#gone.signal), this.#table);
    const found = this.state.index.runs.find(({ name }) => name === run);
    if (found) this.#panel.show(data, found, row);
    this.#reveal(row);
    const order = this.#order(data);
    if (show === "pairs") this.#paintPairs(data, run, order);
    else this.#paintGrid(data, run, order, row);
  }

  /** Where the panel stands above the images, what was asked for is out of sight. */
  #reveal(row: number): void {
    const fresh = row >= 0 && row !== this.#seen;
    this.#seen = row;
    if (fresh && isNarrow()) requestAnimationFrame(() => this.#panel.el.scrollIntoView({ block: "start" }));
  }

  #paintPairs(data: AuditData, run: string, order: readonly number[]): void {
    if (!this.#pairs.el.isConnected) put(this.#main, this.#pairs.el);
    put(this.#table);
    this.#drawn = "";
    this.#pairs.show(data, run, order);
    this.state.ready();
  }

  #paintGrid(data: AuditData, run: string, order: readonly number[], row: number): void {
    const { route } = this.state;
    if (!order.length) {
      const text = `No image that dominates a channel has “${route.params.q ?? ""}” in its name or class.`;
      put(this.#main, empty("No such image", text));
      put(this.#table);
      this.#drawn = "";
      return this.state.ready();
    }
    const key = JSON.stringify([run, data.record.id, this.#sorted(), route.params.q]);
    if (!this.#grid.el.isConnected) put(this.#main, this.#grid.el);
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#most = mostOf(data);
      this.#grid.show(order);
      this.#describe(data, order);
    }
    for (const cell of this.#grid.el.querySelectorAll<HTMLElement>("[data-row]"))
      cell.querySelector("a")?.setAttribute("aria-current", String(Number(cell.dataset.row) === row));
  }

  #describe(data: AuditData, order: readonly number[]): void {
    const rows = order
      .slice(0, TABLE_ROWS)
      .map((row) => [data.nameOf(row), data.classOf(row), count(data.channels[row]), count(data.first[row])]);
    const head = ["image", "class", "channels", "as the strongest"];
    put(this.#table, hiddenTable("Images by the channels they dominate", head, rows));
  }

  #cell(row: number, signal: AbortSignal, width: number): HTMLElement {
    const loaded = this.loaded;
    if (!loaded) return h("div");
    const chosen = this.#chosen(loaded.data).row === row;
    const look = { width, href: this.#href(row), chosen, most: this.#most };
    const cell = this.#thumbnails.cell(loaded.data, loaded.run, row, look, signal);
    cell.dataset.row = String(row);
    return cell;
  }

  #shown = (): Show =>
    choiceOf(
      this.state.route,
      "show",
      SHOWS.map(({ value }) => value),
    );

  #sorted = (): ImageSort =>
    choiceOf(
      this.state.route,
      "sort",
      SORTS.map(({ value }) => value),
    );

  #order = (data: AuditData): number[] => orderImages(data, this.#sorted(), this.state.route.params.q ?? "");

  /** The address of the image in a row. */
  #href(row: number): string {
    const data = this.loaded?.data;
    return formatRoute(changed(this.state.route, { image: data ? data.index[row] : null }));
  }

  /** The row of the image that the address names. */
  #chosen(data: AuditData): { readonly row: number; readonly note: string } {
    const { image } = this.state.route.params;
    if (image === undefined) return { row: -1, note: "" };
    const row = /^\d+$/.test(image) ? data.index.indexOf(Number(image)) : -1;
    if (row >= 0) return { row, note: "" };
    const known = /^\d+$/.test(image) && Number(image) < data.total;
    return {
      row,
      note: known
        ? `Image ${image} is among the best of no channel.`
        : `No image “${image}” here; there are ${count(data.total)}, numbered from 0.`,
    };
  }

  /** Leave the chosen image; its cell keeps the focus. */
  #leave(): void {
    const data = this.loaded?.data;
    const row = data ? this.#chosen(data).row : -1;
    const inside = focusIsIn(this.#panel.el);
    this.state.navigate({ image: null });
    if (inside && row >= 0 && this.#grid.el.isConnected) this.#grid.focus(row);
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    if (!data || isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const { row } = this.#chosen(data);
    if (row < 0) return this.stepKey(event);
    if (event.key === "Escape") return this.#leave();
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const order = this.#order(data);
    const next = order[order.indexOf(row) + by];
    if (next === undefined) return;
    event.preventDefault();
    this.set({ image: data.index[next] });
  }
}

/** The largest share of a layer that any image has: bars of all cells are drawn on its scale. */
const mostOf = (data: AuditData): number =>
  Array.from({ length: data.count }, (_, row) => Math.max(0, ...layerShares(data, row))).reduce(
    (most, share) => Math.max(most, share),
    0,
  );

export const mount: Mount = mounting(AuditView);
