// Pictures for a network that is attached: what a drop, a paste or a file dialog hands over, and where to show it.
import type { Index, LiveInfo, Looked } from "../source/source";
import { mapsTags, splitTag, tagOfLayer } from "./mapstags";
import { changed, type Route, toView } from "./route";

/** What the operating system calls a file it does not know; the server looks into the file itself. */
const UNKNOWN = "image/x-unknown";
const NAMED_AS_PICTURE = /\.(jpe?g|png|webp|bmp|gif|tiff?|p[pgb]m)$/i;

export interface Picture {
  readonly file: File;
  readonly type: string;
}

/** What can be handed to the network, and why the rest cannot. */
export interface Given {
  readonly pictures: readonly Picture[];
  readonly problem: string;
}

/** Sort out files: pictures that are not too large, and one sentence about the first that is none. */
export function picturesOf(files: Iterable<File>, most: number): Given {
  const pictures: Picture[] = [];
  let problem = "";
  for (const file of files) {
    const reason = whyNot(file, most);
    problem ||= reason;
    if (!reason) pictures.push({ file, type: file.type || UNKNOWN });
  }
  return { pictures, problem };
}

function whyNot(file: File, most: number): string {
  const picture = file.type ? file.type.startsWith("image/") : NAMED_AS_PICTURE.test(file.name);
  if (!picture) return `“${file.name}” is not a picture; drop a JPEG, PNG or WebP file.`;
  if (file.size === 0) return `“${file.name}” is empty.`;
  if (file.size > most) return `“${file.name}” is larger than the ${most >> 20} MB that are accepted.`;
  return "";
}

/** Whether something that is dragged or pasted brings files. */
export const bringsFiles = (transfer: DataTransfer | null): transfer is DataTransfer =>
  transfer?.types.includes("Files") ?? false;

/** The layer that a tag of any view is of: feature maps are tagged `LAYER @ PICTURE`, filters by their layer. */
export const layerOf = (tag: string | undefined): string => splitTag(tag ?? "").layer;

/** The tag of a picture's feature maps in a layer; in the first one if the network has no such layer. */
export function tagFor(looked: Looked, layer: string): string {
  const named = (name: string): string | undefined => looked.tags.find((one) => one.layer === name)?.tag;
  return named(layer) ?? named(looked.layer) ?? "";
}

/** The tag of a kept picture: in the layer that `tag` is of, or in the first one if its run has no such layer. */
export function pictureTag(index: Index, live: LiveInfo, tag: string | undefined, picture: string): string {
  const run = index.runs.find(({ name }) => name === live.run);
  const tags = (run ? mapsTags(run) : []).filter((one) => one.picture === picture);
  return tagOfLayer(tags, layerOf(tag)) ?? tagOfLayer(tags, live.layer) ?? "";
}

/** Where feature maps are shown: on the page as it is set, if it is there and stays with its layer. */
export function mapsRoute(route: Route, run: string, tag: string): Route {
  const stays = route.view === "maps" && layerOf(route.params.tag) === layerOf(tag);
  return stays ? changed(route, { run, tag, step: null, pos: null }) : toView(route, "maps", { run, tag });
}

/** What stands below the button, in a sentence. */
export const hint = (live: LiveInfo): string =>
  `Drop or paste one anywhere. ${live.model} sees ${live.input_shape.slice(1).join(" × ")} pixels; nothing is stored.`;
