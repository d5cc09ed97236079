// One row for each layer that was searched: what it is, a few pictures that excite it, how much of it is dead.
import { type LazyCard, LazyCards } from "../../lib/cards";
import { arrange, h, put, sizeCanvas } from "../../lib/dom";
import { count, plural, times } from "../../lib/format";
import { messageOf } from "../../lib/frame";
import { deadChannels, ruleText, type SearchedLayer, sampleChannels } from "../../lib/overview";
import { insidePart, WHOLE } from "../../lib/patch";
import { drawTile, fitTile, type PictureCache, tileOf } from "../../lib/sheet";
import { numberList } from "../../lib/topkdata";
import type { NumberArray, Source } from "../../source/source";

const TILES = 8;
const SIDE = 64;
/** How many sheets of a layer are loaded for its row. */
const SHEETS = 2;
export const PATCHES = "patch";

export interface RowsHost {
  readonly source: Source;
  readonly pictures: PictureCache;
  /** The latest description of a layer that is here. */
  layer(name: string): SearchedLayer | undefined;
  /** The address of a layer's page, or of one of its channels. */
  link(layer: string, channel?: number): string;
  /** Nothing is being fetched any more. */
  settled(): void;
}

interface Sample {
  readonly max: NumberArray;
  readonly positive: NumberArray;
  readonly image: NumberArray;
  readonly box: NumberArray;
}

class Row implements LazyCard {
  readonly el: HTMLElement;
  readonly #about = h("div", { class: "layer-row-about" });
  readonly #tiles = h("div", { class: "layer-row-tiles" });
  readonly #figures = h("div", { class: "layer-row-figures" });
  readonly #gone = new AbortController();
  #drawn = "";
  #sample: { readonly id: string; readonly arrays: Sample } | undefined;

  constructor(
    readonly name: string,
    private readonly rows: LayerRows,
  ) {
    this.el = h(
      "article",
      { class: "layer-row card", "aria-label": name, "data-testid": "layer-row" },
      this.#about,
      this.#tiles,
      this.#figures,
    );
    this.describe();
  }

  /** Say what is known of the layer without its numbers. */
  describe(): void {
    const layer = this.rows.host.layer(this.name);
    put(
      this.#about,
      h("h3", {}, h("a", { class: "mono", href: this.rows.host.link(this.name) }, this.name)),
      ...(layer ? aboutOf(layer) : [h("p", { class: "muted" }, "Loading …")]),
    );
  }

  async refresh(): Promise<void> {
    const layer = this.rows.host.layer(this.name);
    if (!layer) return;
    const key = JSON.stringify([
      layer.record.id,
      this.rows.run,
      this.rows.picture,
      this.rows.host.link(this.name, 0),
    ]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    try {
      const sample = await this.#fetch(layer);
      if (key !== this.#drawn) return;
      this.describe();
      put(this.#figures, ...figuresOf(layer, sample.positive));
      await this.#draw(layer, sample, key);
    } catch (error) {
      if (key === this.#drawn) this.#drawn = "";
      throw error;
    }
  }

  fail(error: unknown): void {
    put(this.#tiles, h("p", { class: "muted" }, messageOf(error)));
  }

  destroy(): void {
    this.#gone.abort();
  }

  async #fetch(layer: SearchedLayer): Promise<Sample> {
    const { id } = layer.record;
    if (this.#sample?.id === id) return this.#sample.arrays;
    const { source } = this.rows.host;
    const { signal } = this.#gone;
    const limit = limitOf(layer);
    const [whole, some] = await Promise.all([
      source.arrays(this.rows.run, id, ["max", "positive"], signal),
      source.arrays(this.rows.run, id, ["image", "box"], signal, [0, limit]),
    ]);
    const arrays = {
      max: whole.max.data,
      positive: whole.positive.data,
      image: some.image.data,
      box: some.box.data,
    };
    this.#sample = { id, arrays };
    return arrays;
  }

  async #draw(layer: SearchedLayer, sample: Sample, key: string): Promise<void> {
    const { picture, host, run } = this.rows;
    const sheet = layer.record.pictures[picture];
    if (!sheet) {
      const what = picture === PATCHES ? "pictures" : `${ruleText(picture)} projections`;
      return put(
        this.#tiles,
        h("p", { class: "muted" }, `No ${what} of this layer${layer.complete ? "" : " yet"}.`),
      );
    }
    const best = Array.from({ length: limitOf(layer) }, (_, channel) => sample.image[channel * layer.k]);
    const channels = sampleChannels(sample.max, best, limitOf(layer), TILES);
    const { width, height } = fitTile(sheet.tile, SIDE);
    const tiles = channels.map((channel) => ({ channel, canvas: h("canvas") }));
    const contexts = tiles.map(({ canvas }) => sizeCanvas(canvas, width, height));
    const files = channels.map((channel) =>
      host.source.pictureUrl(run, layer.record.id, tileOf(sheet, channel, 0).file),
    );
    const pictures = await Promise.all(files.map((file) => host.pictures.get(file)));
    if (key !== this.#drawn) return;
    const input = numberList(layer.record.meta.input_size);
    channels.forEach((channel, i) => {
      const at = 4 * channel * layer.k;
      const part =
        layer.record.meta.whole_image === true ? WHOLE : insidePart(sample.box, at, input, sheet.tile);
      drawTile(contexts[i], pictures[i], tileOf(sheet, channel, 0), 0, 0, width, height, part);
    });
    const focused = this.#tiles.contains(document.activeElement)
      ? document.activeElement?.getAttribute("aria-label")
      : null;
    const what = picture === PATCHES ? "strongest patch" : `${ruleText(picture)} projection`;
    put(
      this.#tiles,
      ...tiles.map(({ channel, canvas }) =>
        h(
          "a",
          {
            href: host.link(this.name, channel),
            title: `channel ${channel}`,
            "aria-label": `channel ${channel} of ${this.name}: ${what}`,
          },
          canvas,
        ),
      ),
    );
    if (!tiles.length) put(this.#tiles, h("p", { class: "muted" }, "Nothing excites the first channels."));
    for (const link of this.#tiles.querySelectorAll("a"))
      if (focused && link.getAttribute("aria-label") === focused) link.focus({ preventScroll: true });
  }
}

export class LayerRows {
  readonly el = h("div", { class: "layer-rows", role: "feed", "aria-label": "Searched layers" });
  readonly #cards = new LazyCards<Row>(() => this.host.settled());
  #known = "";
  run = "";
  picture = PATCHES;

  constructor(readonly host: RowsHost) {}

  /** Show rows for these layers; a row draws itself when it comes into view. */
  show(run: string, layers: readonly string[], picture: string): void {
    this.run = run;
    this.picture = picture;
    const rows = this.#cards.keep(
      layers.map((layer) => `${run}\n${layer}`),
      (key) => new Row(key.slice(run.length + 1), this),
    );
    arrange(
      this.el,
      rows.map(({ el }) => el),
    );
    const known = JSON.stringify(layers.map((layer) => this.host.layer(layer)?.record.id));
    if (known !== this.#known) for (const row of rows) row.describe();
    this.#known = known;
    this.#cards.refresh();
  }

  destroy(): void {
    this.#cards.destroy();
  }
}

/** How many channels have their pictures in the first sheets. */
const limitOf = ({ record, channels }: SearchedLayer): number =>
  Math.min(channels, (record.pictures.patch?.rows ?? TILES) * SHEETS);

function aboutOf(layer: SearchedLayer): HTMLElement[] {
  const { field, seen, total, complete } = layer;
  const images = complete ? plural(seen, "image") : `${count(seen)} of ${count(total)} images`;
  const sees = field.reason ? "whole image" : field.size.length ? `${times(...field.size)} px` : "";
  return [
    h("p", { class: "muted" }, layer.kind),
    h("p", { class: "num" }, plural(layer.channels, "channel")),
    h("p", { class: "num", title: field.reason || "receptive field" }, `sees ${sees || "an unknown field"}`),
    h("p", { class: complete ? "num muted" : "num searching" }, images),
  ];
}

function figuresOf(layer: SearchedLayer, positive: NumberArray): HTMLElement[] {
  const dead = deadChannels(positive);
  const so = layer.complete ? "" : " so far";
  const health = h(
    "p",
    { title: `Channels that were above 0 at no position of any image${so}` },
    h("span", { class: dead ? "flag dead num" : "num" }, `${count(dead)} dead`),
    so,
  );
  const medians = Object.entries(layer.proof).flatMap(([rule, figures]) =>
    figures.specificity ? [{ rule, median: figures.specificity[1] }] : [],
  );
  const rows = medians.map(({ rule, median }) =>
    h(
      "div",
      {},
      h("dt", {}, ruleText(rule)),
      h("dd", { class: "num" }, median.toFixed(2)),
      h(
        "i",
        { class: "strip", "aria-hidden": "true" },
        h("i", { style: { width: `${100 * Math.max(0, Math.min(1, median))}%` } }),
      ),
    ),
  );
  const title = "Median over the channels: near 0 the projections say nothing about the channel";
  return [
    health,
    ...(rows.length
      ? [
          h("p", { class: "muted", title }, "median specificity"),
          h("dl", { class: "medians", title }, ...rows),
        ]
      : []),
  ];
}
