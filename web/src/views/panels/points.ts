// Beside the map: what the search found, the classes, the chosen point and its nearest neighbours.
import { h, put, s, sizeCanvas } from "../../lib/dom";
import { count, number, plural } from "../../lib/format";
import { dot, hiddenTable } from "../../lib/frame";
import { classColour, type Theme } from "../../lib/palette";
import type { EmbeddingData } from "../../lib/points";
import type { Change } from "../../lib/route";
import type { Matches, Tier } from "../../lib/search";
import { drawTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { Source } from "../../source/source";

export interface PanelState {
  readonly matches: Matches;
  readonly query: string;
  readonly tier: Tier | null;
  readonly chosen: number;
  readonly label: number | null;
  readonly theme: Theme;
}

interface Actions {
  readonly navigate: (change: Change) => void;
  readonly focus: (indices: readonly number[]) => void;
}

const TIER_NAMES: Readonly<Record<Tier, string>> = {
  exact: "whole name",
  word: "whole word",
  part: "part of a word",
};
const LISTED = 60;

export class PointsPanel {
  readonly el = h("aside", { class: "points-panel", "aria-label": "Search results, classes and neighbours" });
  readonly #found = h("section", { class: "block", "aria-live": "polite" });
  readonly #point = h("section", { class: "block" });
  readonly #classes = h("section", { class: "block" });
  readonly #kl = h("section", { class: "block" });
  #data: EmbeddingData | undefined;
  #run = "";

  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
    private readonly actions: Actions,
  ) {}

  open(data: EmbeddingData, run: string): void {
    this.#data = data;
    this.#run = run;
    put(this.#kl);
    put(this.el, this.#found, this.#point, this.#classes, this.#kl);
  }

  show(state: PanelState): void {
    if (!this.#data) return;
    this.#showFound(this.#data, state);
    this.#showPoint(this.#data, state);
    this.#showClasses(this.#data, state);
  }

  /** The course of the Kullback–Leibler divergence over the recorded frames. */
  divergence(values: readonly number[]): void {
    if (values.length < 3) return put(this.#kl);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const points = values.map(
      (value, i) => `${(i * 216) / (values.length - 1)},${36 - (32 * (value - low)) / (high - low || 1)}`,
    );
    put(
      this.#kl,
      h("h3", {}, "KL divergence"),
      s(
        "svg",
        {
          class: "spark",
          viewBox: "0 0 216 40",
          role: "img",
          "aria-label": `KL divergence from ${number(values[0])} to ${number(values[values.length - 1])}`,
        },
        s("polyline", { points: points.join(" ") }),
      ),
      h(
        "div",
        { class: "bar-ends num" },
        h("span", {}, number(values[0], 3)),
        h("span", {}, number(values[values.length - 1], 3)),
      ),
    );
  }

  /** The card of a point, for the pointer. */
  card(i: number, theme: Theme): HTMLElement {
    const data = this.#data;
    if (!data) return h("div");
    const columns = data.columns
      .slice(0, 4)
      .map((name) => h("p", { class: "muted" }, `${name}: ${data.column(name, i)}`));
    return h(
      "div",
      { class: "point-card" },
      this.#thumbnail(i, 96),
      h(
        "div",
        {},
        h(
          "h4",
          {},
          dot(classColour(data.label[i], data.classes.length, theme)),
          data.className(data.label[i]),
        ),
        h("p", { class: "num muted" }, `image ${count(data.index[i])}`),
        ...columns,
      ),
    );
  }

  #thumbnail(i: number, size: number): HTMLCanvasElement {
    const canvas = h("canvas", { role: "img", "aria-label": this.#data?.className(this.#data.label[i]) });
    const context = sizeCanvas(canvas, size, size);
    const sheet = this.#data?.record.pictures.thumbnail;
    if (!sheet || !this.#data) return canvas;
    const tile = tileOf(sheet, Math.floor(i / sheet.columns), i % sheet.columns);
    const scale = size / Math.max(tile.width, tile.height);
    const [width, height] = [tile.width * scale, tile.height * scale];
    this.pictures.get(this.source.pictureUrl(this.#run, this.#data.record.id, tile.file)).then(
      (picture) => drawTile(context, picture, tile, (size - width) / 2, (size - height) / 2, width, height),
      () => {
        canvas.title = "This thumbnail could not be loaded";
      },
    );
    return canvas;
  }

  #showFound(data: EmbeddingData, { matches, query, tier }: PanelState): void {
    this.#found.hidden = !query.trim();
    if (!query.trim()) return;
    const chips = (["exact", "word", "part"] as const).map((name) =>
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-pressed": String(name === tier),
          disabled: matches[name].length === 0,
          onclick: () => this.#useTier(name, matches),
        },
        TIER_NAMES[name],
        h("b", { class: "num" }, count(matches[name].length)),
      ),
    );
    const shown = tier ? matches[tier] : [];
    const names = [...new Set(shown.map((i) => data.className(data.label[i])))];
    put(
      this.#found,
      h("h3", {}, `“${query}”`),
      h("div", { class: "chips" }, ...chips),
      h(
        "p",
        { class: "muted", "data-testid": "matches" },
        shown.length
          ? `${plural(shown.length, "point")} of ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`
          : "Nothing matches.",
      ),
      shown.length
        ? h("div", { class: "strip-thumbs" }, ...shown.slice(0, 12).map((i) => this.#jump(i, 40)))
        : null,
      shown.length
        ? h(
            "button",
            { type: "button", class: "button", onclick: () => this.actions.focus(shown) },
            "Zoom to matches",
          )
        : null,
    );
  }

  #useTier(tier: Tier, matches: Matches): void {
    this.actions.navigate({ tier });
    this.actions.focus(matches[tier]);
  }

  #jump(i: number, size: number, title?: string): HTMLElement {
    const name = this.#data?.className(this.#data.label[i]) ?? "";
    return h(
      "button",
      {
        type: "button",
        class: "thumb",
        title: title ?? name,
        "aria-label": `${name}, point ${i}`,
        onclick: () => this.actions.navigate({ point: i }),
      },
      this.#thumbnail(i, size),
    );
  }

  #showPoint(data: EmbeddingData, { chosen, theme }: PanelState): void {
    this.#point.hidden = chosen < 0 || chosen >= data.count;
    if (this.#point.hidden) return;
    const key = `${data.record.id}/${chosen}/${theme}`;
    if (this.#point.dataset.key === key) return;
    this.#point.dataset.key = key;
    const near = data.neighboursOf(chosen);
    const same = near.filter(({ index }) => data.label[index] === data.label[chosen]).length;
    put(
      this.#point,
      h(
        "div",
        { class: "panel-head" },
        h("h3", {}, "Chosen point"),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": "Close",
            onclick: () => this.actions.navigate({ point: null }),
          },
          "×",
        ),
      ),
      this.card(chosen, theme),
      near.length
        ? h(
            "p",
            { class: "muted" },
            `Nearest in the layer’s own space; ${same} of ${near.length} share its class.`,
          )
        : null,
      h(
        "div",
        { class: "strip-thumbs" },
        ...near.map(({ index, distance }) =>
          this.#jump(index, 40, `${data.className(data.label[index])} · distance ${number(distance, 3)}`),
        ),
      ),
      h(
        "button",
        {
          type: "button",
          class: "button",
          onclick: () => this.actions.focus([chosen, ...near.map(({ index }) => index)]),
        },
        "Zoom to neighbours",
      ),
      hiddenTable(
        "Nearest neighbours",
        ["class", "image", "distance"],
        near.map(({ index, distance }) => [
          data.className(data.label[index]),
          count(data.index[index]),
          number(distance),
        ]),
      ),
    );
  }

  #showClasses(data: EmbeddingData, { label, theme }: PanelState): void {
    const key = `${data.record.id}/${label}/${theme}`;
    if (this.#classes.dataset.key === key) return;
    this.#classes.dataset.key = key;
    const counts = new Map<number, number>();
    for (const one of data.label) counts.set(one, (counts.get(one) ?? 0) + 1);
    const rows = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    const item = ([one, n]: [number, number]): HTMLElement =>
      h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            "aria-pressed": String(label === one),
            class: label !== null && label !== one ? "off" : "",
            onclick: () => this.actions.navigate({ class: label === one ? null : one }),
          },
          dot(classColour(one, data.classes.length, theme)),
          h("span", {}, data.className(one)),
          h("b", { class: "num" }, count(n)),
        ),
      );
    put(
      this.#classes,
      h("h3", {}, `Classes${label === null ? "" : " · one isolated"}`),
      h("ul", { class: "legend" }, ...rows.slice(0, LISTED).map(item)),
      rows.length > LISTED
        ? h("p", { class: "muted" }, `and ${rows.length - LISTED} more: search for them`)
        : null,
    );
  }
}
