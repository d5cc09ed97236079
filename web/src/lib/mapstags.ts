// The tags of feature maps: `LAYER @ PICTURE`, taken apart at the first separator, so that both may hold slashes.
import type { RunInfo } from "../source/source";
import { tagsOf } from "./catalog";

const SEPARATOR = " @ ";

/** A tag in its two parts; one without a separator is a layer of an unnamed picture. */
export interface MapsTag {
  readonly tag: string;
  readonly layer: string;
  readonly picture: string;
}

export function splitTag(tag: string): MapsTag {
  const at = tag.indexOf(SEPARATOR);
  return at < 0
    ? { tag, layer: tag, picture: "" }
    : { tag, layer: tag.slice(0, at), picture: tag.slice(at + SEPARATOR.length) };
}

/** The layers and pictures a run has feature maps of. */
export const mapsTags = (run: RunInfo): MapsTag[] => tagsOf(run, "maps").map(splitTag);

/** The layers, each once, in the order in which they were recorded. */
export const layersOf = (tags: readonly MapsTag[]): string[] => [...new Set(tags.map(({ layer }) => layer))];

/** The tag of a layer's maps: those of `picture`, or else of the first picture it has; undefined if it has none. */
export function tagOfLayer(tags: readonly MapsTag[], layer: string, picture = ""): string | undefined {
  const own = tags.filter((one) => one.layer === layer);
  return (own.find((one) => one.picture === picture) ?? own[0])?.tag;
}

/** What the menu lists of a run: a layer's maps once, of the picture that is shown; of other kinds every tag. */
export function listedTags(
  run: RunInfo,
  kind: string,
  shown = "",
): { readonly tag: string; readonly text: string }[] {
  const tags = tagsOf(run, kind);
  if (kind !== "maps") return tags.map((tag) => ({ tag, text: tag }));
  const parts = tags.map(splitTag);
  const { picture } = splitTag(shown);
  return layersOf(parts).map((layer) => ({ tag: tagOfLayer(parts, layer, picture) ?? layer, text: layer }));
}
