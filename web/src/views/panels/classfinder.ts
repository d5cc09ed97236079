// "Which channels look at dogs?": every channel of the network that has a class among its best pictures, layer by layer.
import { type LazyCard, LazyCards } from "../../lib/cards";
import {
  type ChannelHit,
  type ClassMatches,
  channelsOf,
  classNames,
  completions,
  matchClasses,
} from "../../lib/classsearch";
import { Combobox } from "../../lib/combobox";
import { arrange, h, put, sizeCanvas } from "../../lib/dom";
import { count, percent, plural } from "../../lib/format";
import { empty, failed, hiddenTable, messageOf } from "../../lib/frame";
import { Loader } from "../../lib/loader";
import type { SearchedLayer } from "../../lib/overview";
import { insidePart } from "../../lib/patch";
import { Rows } from "../../lib/rows";
import { TIERS, type Tier } from "../../lib/search";
import { drawTile, fitTile, tileOf } from "../../lib/sheet";
import { numberList } from "../../lib/topkdata";
import type { NumberArray } from "../../source/source";
import { PATCHES, type RowsHost } from "./layerrows";

const MOST_OFFERED = 12;
const PICTURED = 8;
const FIRST = 40;
const NAMED = 6;
const SIDE = 56;
const TABLE_ROWS = 300;

interface Found {
  readonly layer: SearchedLayer;
  readonly hits: readonly ChannelHit[];
}

export interface Asked {
  readonly run: string;
  readonly layers: readonly SearchedLayer[];
  /** Whether the descriptions of all layers are here. */
  readonly all: boolean;
  readonly query: string;
  readonly tier: string | undefined;
}

/** The channels of one layer. */
class LayerHits implements LazyCard {
  readonly el = h("section", { class: "class-hits" });
  #made = "";
  #all = false;

  constructor(
    readonly name: string,
    private readonly finder: ClassFinder,
  ) {}

  async refresh(): Promise<void> {
    const found = this.finder.found.find(({ layer }) => layer.name === this.name);
    if (!found) return;
    const key = JSON.stringify([found, this.#all, this.finder.host.link(this.name, 0)]);
    if (key === this.#made) return;
    this.#made = key;
    const focused = this.el.contains(document.activeElement)
      ? document.activeElement?.getAttribute("aria-label")
      : null;
    const canvases = this.#make(found);
    const again = [...this.el.querySelectorAll<HTMLElement>("a, button")];
    if (focused)
      again.find((one) => one.getAttribute("aria-label") === focused)?.focus({ preventScroll: true });
    await this.#draw(found, canvases, key);
  }

  fail(error: unknown): void {
    this.el.append(h("p", { class: "muted" }, messageOf(error)));
  }

  destroy(): void {
    this.#made = "";
  }

  #make({ layer, hits }: Found): HTMLCanvasElement[] {
    const shown = hits.slice(0, this.#all ? hits.length : FIRST);
    const sheet = layer.record.pictures[PATCHES];
    const canvases = shown.slice(0, sheet ? PICTURED : 0).map(() => h("canvas"));
    const chips = shown.map((hit, i) => this.#chip(layer, hit, canvases[i]));
    const rest = hits.length - shown.length;
    const more = h(
      "button",
      {
        type: "button",
        class: "button",
        onclick: () => {
          this.#all = true;
          void this.refresh().catch((error: unknown) => this.fail(error));
        },
      },
      `Show ${count(rest)} more`,
    );
    put(
      this.el,
      h("h3", {}, h("a", { class: "mono", href: this.finder.host.link(this.name) }, this.name)),
      h(
        "p",
        { class: "num muted" },
        `${count(hits.length)} of ${plural(layer.channels, "channel")} (${percent(hits.length / layer.channels)})`,
      ),
      h("div", { class: "class-chips" }, ...chips, rest > 0 && more),
    );
    return canvases;
  }

  #chip(layer: SearchedLayer, { channel, count: of, first }: ChannelHit, canvas?: HTMLElement): HTMLElement {
    const share = h("i", { class: "strip" }, h("i", { style: { width: `${(100 * of) / layer.k}%` } }));
    const label = `channel ${channel} of ${this.name}: ${of} of ${layer.k}, the best at place ${first + 1}`;
    return h(
      "a",
      {
        class: "class-chip",
        href: this.finder.host.link(this.name, channel),
        "aria-label": label,
        title: label,
      },
      canvas,
      h("span", { class: "num" }, h("b", {}, channel), h("span", { class: "muted" }, `${of}/${layer.k}`)),
      share,
    );
  }

  async #draw({ layer, hits }: Found, canvases: readonly HTMLCanvasElement[], key: string): Promise<void> {
    const sheet = layer.record.pictures[PATCHES];
    if (!sheet) return;
    const { width, height } = fitTile(sheet.tile, SIDE);
    const contexts = canvases.map((canvas) => sizeCanvas(canvas, width, height));
    const { source, pictures } = this.finder.host;
    const { record, k } = layer;
    const boxes = Rows.from(source, this.finder.run, record.id, "box", 4 * k);
    const whole = record.meta.whole_image === true;
    const draw = async (context: CanvasRenderingContext2D, { channel, first }: ChannelHit): Promise<void> => {
      const tile = tileOf(sheet, channel, first);
      const box = whole ? [] : await boxes.want(channel);
      const part = insidePart(box, 4 * first, numberList(record.meta.input_size), sheet.tile, whole);
      const picture = await pictures.get(source.pictureUrl(this.finder.run, layer.record.id, tile.file));
      if (key === this.#made) drawTile(context, picture, tile, 0, 0, width, height, part);
    };
    await Promise.all(contexts.map((context, i) => draw(context, hits[i])));
  }
}

export class ClassFinder {
  readonly #field: Combobox;
  readonly #status = h("p", { role: "status", class: "class-status" });
  readonly #tiers = h("div", { class: "class-tiers" });
  readonly #hits = h("div", { class: "class-results" });
  readonly #table = h("div");
  readonly el: HTMLElement;
  readonly #cards = new LazyCards<LayerHits>(() => this.host.settled());
  readonly #loader = new Loader();
  readonly #labels = new Map<string, NumberArray>();
  #names: readonly string[] = [];
  found: readonly Found[] = [];
  run = "";

  /** `choose` gets the class that is looked for, and one of the ways in which its name may match. */
  constructor(
    readonly host: RowsHost,
    private readonly choose: (query: string, tier: Tier | null) => void,
  ) {
    this.#field = new Combobox(
      "Find channels whose top images contain a class",
      "Class, such as dog",
      (text) => completions(this.#names, text, MOST_OFFERED),
      (text) => this.choose(text, null),
    );
    this.el = h("section", { class: "class-finder", "aria-label": "Class search" });
  }

  show(asked: Asked): void {
    const labelled = asked.layers.filter((layer) => layer.labelled);
    this.run = asked.run;
    this.#names = classNames(labelled);
    this.#field.set(asked.query);
    if (asked.all && !labelled.length) return this.#unlabelled();
    if (!this.#hits.isConnected || !this.el.contains(this.#hits))
      put(this.el, this.#field.el, this.#status, this.#tiers, this.#hits, this.#table);
    const wanted = TIERS.find((tier) => tier === asked.tier);
    const matches = matchClasses(this.#names, asked.query, wanted);
    this.#showTiers(asked.query, matches);
    if (!matches.labels.length) return this.#none(asked);
    const key = JSON.stringify([asked.run, labelled.map(({ record }) => record.id)]);
    if (!this.#loader.isNew(key)) return this.#count(asked, labelled, matches);
    if (!this.found.length) put(this.#status, `Searching ${plural(labelled.length, "layer")} …`);
    this.#loader.run(
      (signal) => this.#fetch(asked.run, labelled, signal),
      () => this.#again(),
      (error) => put(this.#hits, failed(error)),
    );
    this.#again = () => this.#count(asked, labelled, matches);
  }

  destroy(): void {
    this.#loader.stop();
    this.#cards.destroy();
  }

  /** What to do with the labels once they are here: the question may have changed meanwhile. */
  #again: () => void = () => undefined;

  async #fetch(run: string, layers: readonly SearchedLayer[], signal: AbortSignal): Promise<void> {
    const ids = layers.map(({ record }) => `${run}\n${record.id}`);
    for (const id of this.#labels.keys()) if (!ids.includes(id)) this.#labels.delete(id);
    for (const [i, { record }] of layers.entries()) {
      if (this.#labels.has(ids[i])) continue;
      const { label } = await this.host.source.arrays(run, record.id, ["label"], signal);
      this.#labels.set(ids[i], label.data);
    }
  }

  #count(asked: Asked, layers: readonly SearchedLayer[], { labels }: ClassMatches): void {
    const wanted = new Set(labels);
    const complete = layers.every(({ record }) => this.#labels.has(`${asked.run}\n${record.id}`));
    this.#again = () =>
      this.#count(asked, layers, { labels, tier: null, all: { exact: [], word: [], part: [] } });
    if (!complete) return;
    const all = layers.map((layer) => {
      const label = this.#labels.get(`${asked.run}\n${layer.record.id}`) ?? [];
      return { layer, hits: channelsOf(label, layer.k, wanted) };
    });
    this.found = all.filter(({ hits }) => hits.length);
    this.#say(labels);
    this.#list();
    this.host.settled();
  }

  #say(labels: readonly number[]): void {
    const channels = this.found.reduce((sum, { hits }) => sum + hits.length, 0);
    const names = labels.slice(0, NAMED).map((label) => `“${this.#names[label]}”`);
    const rest = labels.length - names.length;
    const whose = `${names.join(", ")}${rest > 0 ? ` and ${plural(rest, "more class", "more classes")}` : ""}`;
    const best = this.found
      .flatMap(({ layer, hits }) => hits.map((hit) => ({ layer, hit })))
      .sort((a, b) => b.hit.count / b.layer.k - a.hit.count / a.layer.k)[0];
    const most = best
      ? ` The most: channel ${best.hit.channel} of ${best.layer.name}, ${best.hit.count} of ${best.layer.k}.`
      : "";
    const says = channels
      ? `${plural(channels, "channel")} in ${plural(this.found.length, "layer")} ${channels === 1 ? "has" : "have"} a picture of ${whose} among the best.`
      : `No channel has a picture of ${whose} among its best.`;
    const text = says + most;
    if (this.#status.textContent !== text) put(this.#status, text);
  }

  #list(): void {
    const names = this.found.map(({ layer }) => layer.name);
    const cards = this.#cards.keep(
      names.map((name) => `${this.run}\n${name}`),
      (key) => new LayerHits(key.slice(this.run.length + 1), this),
    );
    arrange(
      this.#hits,
      cards.map(({ el }) => el),
    );
    this.#cards.refresh();
    const rows = this.found.flatMap(({ layer, hits }) =>
      hits.map(({ channel, count: of }) => [layer.name, channel, `${of} of ${layer.k}`]),
    );
    put(
      this.#table,
      hiddenTable(
        "Channels with pictures of the class",
        ["layer", "channel", "pictures"],
        rows.slice(0, TABLE_ROWS),
      ),
    );
  }

  #none({ query, all }: Asked): void {
    const many = this.#names.length;
    const text = !query
      ? `Type the name of a class${many ? ` (${plural(many, "class", "classes")})` : ""}: every channel that has it among its best pictures is found.`
      : all
        ? `No class “${query}” among the ${plural(many, "class", "classes")}.`
        : "Loading the layers …";
    if (this.#status.textContent !== text) put(this.#status, text);
    this.found = [];
    this.#again = () => undefined;
    put(this.#hits);
    put(this.#table);
    if (all) this.host.settled();
  }

  #unlabelled(): void {
    const text =
      "The search knows the class of no picture. Search a folder that has one folder for each class:";
    put(this.el, empty("No classes", text, "convscope inspect MODEL IMAGES -o RUN"));
    this.host.settled();
  }

  /** The other ways in which the text is part of a class name, so that "dog" never silently means "hot dog". */
  #showTiers(query: string, { tier, all }: ClassMatches): void {
    const names: Readonly<Record<Tier, string>> = {
      exact: "whole name",
      word: "whole word",
      part: "part of a word",
    };
    const there = TIERS.filter((one) => all[one].length);
    const buttons = there.map((one) =>
      h(
        "button",
        {
          type: "button",
          class: "button",
          "aria-pressed": String(one === tier),
          onclick: () => this.choose(query, one),
        },
        `${names[one]} · ${plural(all[one].length, "class", "classes")}`,
      ),
    );
    put(this.#tiers, ...(there.length > 1 ? buttons : []));
  }
}
