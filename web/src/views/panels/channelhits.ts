// The pictures that excite a channel most, best first: each with its patch, its projections, its map and its proof figures.

import { h } from "../../lib/dom";
import { count, number } from "../../lib/format";
import { dot } from "../../lib/frame";
import { ruleText } from "../../lib/overview";
import type { Theme } from "../../lib/palette";
import { proofOf, proofReadings } from "../../lib/proof";
import type { SearchImages } from "../../lib/searchimages";
import { ranksOf, type TopKData } from "../../lib/topkdata";
import type { ChannelDetail } from "../../lib/topkdetail";
import type { Tiles } from "./channeltile";

const TILE = 108;

/** What the pictures of a channel are drawn with. */
export interface HitsLook {
  readonly data: TopKData;
  readonly channel: number;
  readonly detail: ChannelDetail;
  readonly images: SearchImages;
  readonly theme: Theme;
  /** The rank that is open, -1 if none is. */
  readonly open: number;
  /** The address at which a rank is open. */
  readonly href: (rank: number) => string;
  readonly signal: AbortSignal;
  readonly drawn: () => void;
}

/** What an image is called. */
export const imageName = (images: SearchImages, image: number): string =>
  images.name(image) || `image ${count(image)}`;

/** The sheets of a record that show a hit, with what each is called. */
export function hitSheets({ record, rules }: TopKData): { name: string; title: string }[] {
  return [
    { name: "patch", title: "patch" },
    ...rules.map(({ name }) => ({ name, title: ruleText(name) })),
    ...("map" in record.pictures ? [{ name: "map", title: "activation map" }] : []),
  ];
}

export function channelHits(tiles: Tiles, look: HitsLook): HTMLElement {
  const { data, channel } = look;
  const tileCount = hitSheets(data).length;
  return h(
    "ol",
    {
      class: "hits",
      "aria-label": `Pictures of channel ${channel}`,
      style: { "--tiles": String(tileCount) },
    },
    ...ranksOf(data, channel).map((rank) => hit(tiles, look, rank)),
  );
}

function hit(tiles: Tiles, look: HitsLook, rank: number): HTMLElement {
  const { data, channel, signal, drawn } = look;
  const pictures = hitSheets(data).map(({ name, title }) => {
    const label = `${title} of picture ${rank + 1}`;
    const canvas = tiles.canvas(data, { name, channel, rank, side: TILE, label }, signal, drawn);
    return h(
      "figure",
      { class: name === "map" ? "hit-tile map" : "hit-tile" },
      canvas,
      h("figcaption", { class: "num" }, h("span", {}, title), under(look, name, rank)),
    );
  });
  return h(
    "li",
    { class: "hit", "data-testid": "hit" },
    h(
      "a",
      {
        class: "hit-link",
        href: look.href(rank),
        "aria-label": `Open picture ${rank + 1}`,
        "aria-current": rank === look.open ? "true" : undefined,
      },
      title(look, rank),
      h("div", { class: "hit-pictures" }, ...pictures),
    ),
    h("p", { class: "hit-facts num" }, where(look, rank)),
  );
}

function title({ data, channel, detail, images, theme }: HitsLook, rank: number): HTMLElement {
  const label = data.label?.[channel * data.k + rank] ?? -1;
  return h(
    "div",
    { class: "hit-title" },
    h("span", { class: "rank num" }, rank + 1),
    label >= 0
      ? h("b", {}, dot(data.classColour(label, theme)), data.className(label))
      : h("b", {}, imageName(images, detail.image[rank])),
    h("span", { class: "num strong", title: "Score" }, number(detail.value[rank])),
  );
}

/** The scale of a picture, and the figure that says most about it. */
function under({ data, channel, detail }: HitsLook, name: string, rank: number): HTMLElement | null {
  if (name === "map") {
    const white = detail.mapScale?.[rank];
    return white === undefined
      ? null
      : h("span", { class: "muted", title: "Black is 0 or less, white is this" }, `0 … ${number(white, 3)}`);
  }
  const scale = detail.scale.get(name)?.[rank];
  if (scale === undefined) return null;
  const names = data.proofNames;
  const values = detail.proof.get(name)?.subarray(rank * names.length, (rank + 1) * names.length);
  const specific = proofReadings(proofOf(names, values)).find((one) => one.name === "specificity");
  return h(
    "span",
    { class: "muted" },
    h("span", { title: `The |value| drawn at full contrast, channel ${channel}` }, `±${number(scale, 2)}`),
    specific
      ? h("span", { title: `specificity ${specific.value}: ${specific.says}` }, ` · sp ${specific.value}`)
      : null,
  );
}

/** What of the title is not said yet: name and number of the image, and the position. */
function where({ data, channel, detail, images }: HitsLook, rank: number): string {
  const image = detail.image[rank];
  const labelled = (data.label?.[channel * data.k + rank] ?? -1) >= 0;
  const known = images.name(image) !== "";
  return [
    ...(labelled ? [imageName(images, image)] : []),
    ...(known ? [`image ${count(image)}`] : []),
    `row ${detail.position[2 * rank]}, column ${detail.position[2 * rank + 1]}`,
  ].join(" · ");
}
