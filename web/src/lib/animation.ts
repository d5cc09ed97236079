// Series of volumes to play: which records are its frames, the one scale and the order they share, and the place in time.
import type { Json, RecordInfo, RecordMeta, RunInfo } from "../source/source";
import { recordsOf, tagsOf } from "./catalog";

/** What changes from one frame to the next. */
export type Over = "images" | "classes" | "steps" | "layers";
export const OVERS: readonly Over[] = ["images", "classes", "steps", "layers"];

/** What happens at the last frame. */
export type Repeat = "loop" | "pingpong" | "once";
export const REPEATS: readonly Repeat[] = ["loop", "pingpong", "once"];

export interface SeriesFrame {
  readonly record: RecordInfo;
  /** What is said of it while it plays: the picture, the class, the step, the layer. */
  readonly name: string;
}

/** What the meta data of a record say of it as a frame. */
export interface FrameMeta {
  readonly layer: string;
  /** "activations", "weight_gradients" …: only volumes of the same source are frames of one series. */
  readonly source: string;
  /** Its name if the meta data tell a better one than the tag. */
  readonly name: string;
  /** The class it belongs to; empty if none is known. */
  readonly className: string;
  /** Whether it stands for the class: the mean over several images. */
  readonly mean: boolean;
  /** The values at the ends of its scale; null where the record does not tell. */
  readonly window: Window | null;
  /** Whether its scale is symmetric about zero. */
  readonly symmetric: boolean;
  readonly channels: number;
}

export type Window = readonly [low: number, high: number];

type Fields = Readonly<Record<string, Json>>;

const fieldsOf = (value: Json | undefined): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const textOf = (value: Json | undefined): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "";

/** Read what a record says of itself as a frame. */
export function frameMeta({ meta, arrays }: RecordMeta): FrameMeta {
  const [group, image, frame] = [fieldsOf(meta.group), fieldsOf(meta.image), fieldsOf(meta.frame)];
  const scaling = fieldsOf(meta.scaling);
  const many = typeof group.images === "number" && group.images > 1;
  return {
    layer: textOf(meta.layer),
    source: textOf(meta.source) || "activations",
    name: textOf(frame.name) || textOf(group.name),
    className: textOf(group.class_name) || textOf(image.label),
    mean: many || (group.class !== undefined && !group.image && !image.name),
    window: windowOf(meta.window) ?? windowOf(scaling.window),
    symmetric: scaling.by === "symmetric",
    channels: arrays.voxels?.shape[0] ?? 0,
  };
}

function windowOf(value: Json | undefined): Window | null {
  if (!Array.isArray(value) || value.length !== 2) return null;
  const [low, high] = value as readonly Json[];
  return typeof low === "number" && typeof high === "number" && high >= low ? [low, high] : null;
}

/** The record that a series starts from. */
export interface Base {
  readonly tag: string;
  readonly step: number;
  readonly layer: string;
}

/** What stands after the layer in a tag ("conv1/cat.png" → "cat.png"); empty if the tag does not begin with it. */
const restOf = (tag: string, layer: string): string =>
  layer && tag.startsWith(`${layer}/`) ? tag.slice(layer.length + 1) : "";

/** The frames of a series, from the index alone. Classes are chosen among the images once their meta data are read. */
export function framesOver(run: RunInfo, base: Base, over: Over): SeriesFrame[] {
  if (over === "steps")
    return recordsOf(run, "volume", base.tag).map((record) => ({ record, name: `step ${record.step}` }));
  const rest = restOf(base.tag, base.layer);
  if (!rest) return own(run, base);
  const named = tagsOf(run, "volume").map((tag): [tag: string, name: string] => {
    if (over === "layers") return [tag, tag.endsWith(`/${rest}`) ? tag.slice(0, -rest.length - 1) : ""];
    return [tag, restOf(tag, base.layer)];
  });
  return named
    .filter(([, name]) => name)
    .map(([tag, name]) => ({ record: atStep(recordsOf(run, "volume", tag), base.step), name }));
}

const own = (run: RunInfo, base: Base): SeriesFrame[] => {
  const records = recordsOf(run, "volume", base.tag);
  return records.length ? [{ record: atStep(records, base.step), name: base.tag }] : [];
};

/** The record of that step; the last one if there is none. */
function atStep(records: readonly RecordInfo[], step: number): RecordInfo {
  return records.find((record) => record.step === step) ?? records[records.length - 1];
}

/** What a base can be animated over: all that has at least two frames. */
export function oversOf(run: RunInfo, base: Base, meta: FrameMeta): Over[] {
  return OVERS.filter((over) =>
    over === "classes"
      ? meta.className !== "" && framesOver(run, base, "images").length > 1
      : framesOver(run, base, over).length > 1,
  );
}

export interface KnownFrame extends SeriesFrame {
  readonly meta: FrameMeta;
}

/** Leave out what only looked like a frame: volumes of another source, tags that a longer path has mixed up. */
export function matching(frames: readonly KnownFrame[], base: FrameMeta, over: Over): KnownFrame[] {
  const same = frames.filter(
    ({ meta, name }) => meta.source === base.source && meta.layer === (over === "layers" ? name : base.layer),
  );
  const named = same.map((frame) => ({ ...frame, name: nameOf(frame, over) }));
  return over === "classes" ? perClass(named) : named;
}

function nameOf({ meta, name }: KnownFrame, over: Over): string {
  if (over === "classes") return meta.className;
  return over === "images" ? meta.name || name : name;
}

/** One frame a class: the mean over its images where there is one, else its first image. */
function perClass(frames: readonly KnownFrame[]): KnownFrame[] {
  const chosen = new Map<string, KnownFrame>();
  for (const frame of frames) {
    const known = chosen.get(frame.name);
    if (frame.name && (!known || (frame.meta.mean && !known.meta.mean))) chosen.set(frame.name, frame);
  }
  return [...chosen.values()];
}

/** The one scale of all frames: from the smallest low end to the largest high one; about zero if one of them is. */
export function commonWindow(windows: readonly Window[], symmetric: boolean): Window | null {
  if (!windows.length) return null;
  const low = Math.min(...windows.map(([end]) => end));
  const high = Math.max(...windows.map(([, end]) => end));
  const most = Math.max(Math.abs(low), Math.abs(high));
  return symmetric ? [-most, most] : [low, high];
}

/** The place after `at`, and whether it goes forward from there; null where a film that plays once is over. */
export function following(
  at: number,
  count: number,
  repeat: Repeat,
  forward: boolean,
): { at: number; forward: boolean } | null {
  if (count < 2) return null;
  const next = at + (forward ? 1 : -1);
  if (next >= 0 && next < count) return { at: next, forward };
  if (repeat === "once") return null;
  if (repeat === "loop") return { at: (next + count) % count, forward };
  return { at: forward ? count - 2 : 1, forward: !forward };
}

/** The places that play next, nearest first: what is worth fetching before it is shown. */
export function upcoming(
  at: number,
  count: number,
  repeat: Repeat,
  forward: boolean,
  most: number,
): number[] {
  const places: number[] = [];
  let now: { at: number; forward: boolean } | null = { at, forward };
  while (places.length < most) {
    now = following(now.at, count, repeat, now.forward);
    if (!now || now.at === at || places.includes(now.at)) break;
    places.push(now.at);
  }
  return places;
}
