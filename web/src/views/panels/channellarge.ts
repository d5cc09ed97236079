// One hit large: the whole image with what the channel saw of it, its activation map, and every rule with its proof figures.

import { type Child, context2d, h, put } from "../../lib/dom";
import { count, number } from "../../lib/format";
import { type Fact, facts } from "../../lib/frame";
import { boxText, centreOf, hitBox, patchBox, placeSmallMap, shares } from "../../lib/hitplace";
import { colourBar, greyBar } from "../../lib/legend";
import { bytePixels, clipBox, UNCHANGED } from "../../lib/maps";
import { ruleText } from "../../lib/overview";
import { proofOf, proofReadings, type Reading, recomputedReading } from "../../lib/proof";
import type { Thumbnail } from "../../lib/searchimages";
import { drawTile, tileOf } from "../../lib/sheet";
import type { Rule, TopKData } from "../../lib/topkdata";
import type { Source } from "../../source/source";
import { type HitsLook, imageName } from "./channelhits";
import type { Tiles } from "./channeltile";

const LARGE = 240;

/** Where an opened hit leads. */
export interface LargeLinks {
  readonly close: string;
  readonly previous: string | null;
  readonly next: string | null;
  /** The page of the image: which channels it dominates. */
  readonly audit: string | null;
}

export class LargeHit {
  readonly el = h("section", {
    class: "large",
    "aria-label": "Opened picture",
    "data-testid": "large",
    tabindex: -1,
  });

  constructor(
    private readonly source: Source,
    private readonly tiles: Tiles,
  ) {}

  show(look: HitsLook, links: LargeLinks): void {
    const { data, detail, open: rank, images } = look;
    const thumbnail = images.thumbnail(detail.image[rank]);
    put(
      this.el,
      heading(look, links),
      h(
        "div",
        { class: "large-stages" },
        this.#image(look, thumbnail),
        "map" in data.record.pictures ? this.#map(look, thumbnail) : null,
        facts(hitFacts(look)),
      ),
      data.rules.length ? this.#projections(look) : null,
    );
  }

  /** The whole image, with the field at full sharpness and framed, and the position in its middle. */
  #image(look: HitsLook, thumbnail: Thumbnail | undefined): HTMLElement {
    const { data, channel, open: rank } = look;
    const size = data.inputSize;
    const box = hitBox(data, channel, rank);
    const frame = h("div", {
      class: "large-field",
      "data-testid": "hit-field",
      "data-box": Object.values(clipBox(box, size)).join(","),
      style: shares(clipBox(box, size), size),
    });
    const centre = h("div", { class: "large-centre", style: shares(centreOf(box, size), size) });
    const label = `Whole image of picture ${rank + 1}; the channel saw ${boxText(box, size)}`;
    const sees = data.field.reason
      ? `It sees the whole image: ${data.field.reason}.`
      : `It sees ${boxText(box, size)}.`;
    return h(
      "figure",
      { class: "large-stage" },
      h(
        "div",
        { class: "stage-box", role: "img", "aria-label": label, style: { "aspect-ratio": aspect(size) } },
        this.#whole(look, thumbnail),
        this.#patch(look),
        frame,
        data.wholeImage ? null : centre,
      ),
      h(
        "figcaption",
        { class: "muted" },
        sees,
        thumbnail || data.wholeImage ? null : " The rest of the image is not recorded.",
      ),
    );
  }

  #whole({ data, signal }: HitsLook, thumbnail: Thumbnail | undefined): HTMLElement | null {
    if (!thumbnail) return null;
    const tile = tileOf(thumbnail.sheet, thumbnail.row, thumbnail.column);
    const canvas = h("canvas", { class: "stage-whole", width: tile.width, height: tile.height });
    const url = this.source.pictureUrl(data.run, thumbnail.id, tile.file);
    this.tiles.pictures.get(url).then(
      (picture) => {
        if (!signal.aborted) drawTile(context2d(canvas), picture, tile, 0, 0, tile.width, tile.height);
      },
      () => {
        canvas.title = "The image could not be loaded";
      },
    );
    return canvas;
  }

  #patch(look: HitsLook): HTMLElement {
    const { data, channel, open: rank, signal, drawn } = look;
    const canvas = this.tiles.canvas(
      data,
      { name: "patch", channel, rank, side: LARGE, label: `patch of picture ${rank + 1} in its place` },
      signal,
      drawn,
    );
    canvas.className = "stage-patch";
    canvas.removeAttribute("style");
    Object.assign(canvas.style, shares(patchBox(data, channel, rank), data.inputSize));
    return canvas;
  }

  #map(look: HitsLook, thumbnail: Thumbnail | undefined): HTMLElement {
    const { data, open: rank, detail } = look;
    const [height, width] = data.record.pictures.map.tile;
    const over = h("canvas", {
      class: "stage-map",
      width,
      height,
      "data-testid": "hit-map",
      style: shares(placeSmallMap(data, [height, width]), data.inputSize),
    });
    this.#paintMap(over, look);
    const white = detail.mapScale?.[rank];
    return h(
      "figure",
      { class: "large-stage" },
      h(
        "div",
        {
          class: "stage-box dim",
          role: "img",
          "aria-label": `Activation map of picture ${rank + 1} over its image`,
          style: { "aspect-ratio": aspect(data.inputSize) },
        },
        this.#whole(look, thumbnail),
        data.wholeImage ? this.#patch(look) : null,
        over,
      ),
      h(
        "figcaption",
        { class: "muted" },
        "Where in this image the channel answers.",
        white === undefined ? null : colourBar("inferno", 0, white, "activation"),
      ),
    );
  }

  #paintMap(over: HTMLCanvasElement, { data, channel, open: rank, signal, detail }: HitsLook): void {
    const sheet = data.record.pictures.map;
    const tile = tileOf(sheet, channel, rank);
    this.tiles.pictures.get(this.tiles.url(data, "map", channel)).then(
      (picture) => {
        if (signal.aborted) return;
        const copy = new OffscreenCanvas(tile.width, tile.height).getContext("2d");
        if (!copy) return;
        copy.drawImage(picture, tile.x, tile.y, tile.width, tile.height, 0, 0, tile.width, tile.height);
        const { data: rgba } = copy.getImageData(0, 0, tile.width, tile.height);
        const bytes = Uint8Array.from({ length: tile.width * tile.height }, (_, p) => rgba[4 * p]);
        const high = detail.mapScale?.[rank] || 1;
        const scale = { low: 0, high, signed: false };
        const pixels = bytePixels(bytes, [0, high], UNCHANGED, scale, "by strength");
        context2d(over).putImageData(new ImageData(pixels, tile.width, tile.height), 0, 0);
      },
      () => {
        over.title = "The map could not be loaded";
      },
    );
  }

  #projections(look: HitsLook): HTMLElement {
    const { data } = look;
    return h(
      "section",
      { class: "large-rules", "aria-label": "Projections" },
      h("h3", {}, "What in this image reached the channel"),
      h("div", { class: "large-rows" }, ...data.rules.map((rule) => this.#rule(look, rule))),
    );
  }

  #rule(look: HitsLook, rule: Rule): HTMLElement {
    const { data, channel, open: rank, detail, signal, drawn } = look;
    const title = ruleText(rule.name);
    const label = `${title} of picture ${rank + 1}, large`;
    const canvas = this.tiles.canvas(
      data,
      { name: rule.name, channel, rank, side: LARGE, label },
      signal,
      drawn,
    );
    const scale = detail.scale.get(rule.name)?.[rank];
    return h(
      "figure",
      { class: "large-rule" },
      canvas,
      h(
        "figcaption",
        {},
        h("h4", {}, title),
        scale === undefined ? null : greyBar(scale, "contrast"),
        readings(ruleReadings(data, look, rule)),
      ),
    );
  }
}

const aspect = ([height, width]: readonly number[]): string => `${width || 1} / ${height || 1}`;

function heading({ data, detail, open: rank, images }: HitsLook, links: LargeLinks): HTMLElement {
  const step = (text: string, label: string, href: string | null): HTMLElement =>
    href
      ? h("a", { class: "button", href, "aria-label": label }, text)
      : h("span", { class: "button off", "aria-hidden": "true" }, text);
  return h(
    "header",
    { class: "large-head" },
    h(
      "h3",
      { class: "num" },
      h("span", { class: "rank" }, `${rank + 1} of ${data.k}`),
      imageName(images, detail.image[rank]),
    ),
    links.audit && h("a", { class: "button", href: links.audit }, "Channels that this image dominates"),
    h(
      "div",
      { class: "pair" },
      step("‹", "Previous picture", links.previous),
      step("›", "Next picture", links.next),
      h("a", { class: "button", href: links.close, "aria-label": "Close the picture" }, "×"),
    ),
  );
}

function hitFacts({ data, channel, open: rank, detail }: HitsLook): Fact[] {
  const label = data.label?.[channel * data.k + rank] ?? -1;
  const again = recomputedReading(detail.activation[rank], detail.recomputed?.[rank]);
  return [
    ...(label >= 0 ? [{ name: "class", value: data.className(label) }] : []),
    { name: "image", value: count(detail.image[rank]) },
    {
      name: "score",
      value: number(detail.value[rank]),
      title: data.score ? `${data.score} over the map` : "",
    },
    ...(detail.activation === detail.value
      ? []
      : [{ name: "activation", value: number(detail.activation[rank]), title: "The largest of the map" }]),
    { name: "position", value: `row ${detail.position[2 * rank]}, column ${detail.position[2 * rank + 1]}` },
    ...(again ? [{ name: "recomputed", value: `${again.value}, ${again.says}` }] : []),
  ];
}

function ruleReadings(data: TopKData, { open: rank, detail }: HitsLook, rule: Rule): Reading[] {
  const names = data.proofNames;
  const values = detail.proof.get(rule.name)?.subarray(rank * names.length, (rank + 1) * names.length);
  return proofReadings(proofOf(names, values));
}

function readings(list: readonly Reading[]): Child {
  if (!list.length) return h("p", { class: "muted" }, "Its proof figures were not computed.");
  return h(
    "dl",
    { class: "readings" },
    ...list.map(({ name, value, says }) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, h("b", { class: "num" }, value), ` ${says}`)),
    ),
  );
}
