// What the address says of a volume's look: its scale, colours, opacity, place, planes, clipping box and camera.
import type { Window } from "./animation";
import { type ColourMap, table } from "./colour";
import type { Scale } from "./maps";
import { boundedOf, type Change, choiceOf, type Place, placeOf, type Route } from "./route";
import { parseTransfer, preset, type Transfer } from "./transfer";
import { SCALES, type ScaleBy, type VolumeData } from "./volumedata";
import { quantiles, type Shown } from "./voxels";

export const SHOWS = ["volume", "slices", "maps", "table"] as const;
export type Show = (typeof SHOWS)[number];
export const MODES = ["composite", "iso", "maximum", "slices"] as const;
export type VolumeMode = (typeof MODES)[number];
export const MAPS: readonly (ColourMap | "diverging")[] = [
  "inferno",
  "viridis",
  "magma",
  "grey",
  "diverging",
];
export type MapName = ColourMap | "diverging";
/** x: of a column, y: of a row, z: of a channel. */
export type PlaneName = "x" | "y" | "z";
/** First and last voxel of channels (places), rows and columns. */
export type ClipBox = readonly [number, number, number, number, number, number];

export interface Camera {
  readonly yaw: number;
  readonly pitch: number;
  readonly distance: number;
  readonly target: readonly [number, number, number];
}
export const HOME: Camera = { yaw: 0.62, pitch: 0.36, distance: 2.75, target: [0, 0, 0] };

export const OPACITY = 0.5;
const THRESHOLD = 0.1;

/** What a volume is drawn with. */
export interface VolumeLook {
  readonly by: ScaleBy;
  readonly shown: Shown;
  readonly map: MapName;
  /** RGB of the 256 colours. */
  readonly colours: Uint8Array;
  readonly transfer: Transfer;
  readonly opacity: number;
  readonly mode: VolumeMode;
  /** Where the surface is: a value (of either sign on a signed scale), or a share of each channel's scale where each has its own. */
  readonly iso: number;
  /** Between which it may be. */
  readonly isoEnds: readonly [number, number];
  /** That as a share of the scale; of a signed one as a share of its larger end. */
  readonly isoShare: number;
  /** In percent of the values: what the scale leaves out at its ends; null where the window is given in numbers. */
  readonly percentiles: readonly [number, number] | null;
}

/** The look of a record; `window`: the one scale of all frames of a film. */
export function lookOf(route: Route, data: VolumeData, window: Window | null = null): VolumeLook {
  const asked = SCALES.find((name) => name === route.params.scale) ?? data.by;
  const usual: MapName = data.signed && asked !== "layer" ? "diverging" : "inferno";
  const map = choiceOf(route, "map", [usual, ...MAPS.filter((name) => name !== usual)]);
  const diverging = map === "diverging";
  const by = diverging && asked === "layer" ? "symmetric" : asked;
  const percentiles = percentilesOf(route, data);
  const given = window ?? windowOf(route);
  const [low, high] = given ?? endsOf(data, by, asked === data.by, percentiles);
  const most = Math.max(Math.abs(low), Math.abs(high));
  const centred = diverging || (by === "symmetric" && !given);
  const scale: Scale = {
    low: centred ? -most : low,
    high: centred ? most : high,
    signed: diverging,
  };
  const own = by === "each" && !given;
  const isoEnds: readonly [number, number] = own ? [0, 1] : [diverging ? 0 : scale.low, scale.high];
  const iso = boundedOf(route, "iso", (isoEnds[0] + isoEnds[1]) / 2, isoEnds[0], isoEnds[1]);
  return {
    by,
    shown: { own, scale },
    map,
    colours: table(map),
    transfer: transferOf(route, diverging),
    opacity: boundedOf(route, "opacity", OPACITY, 0.02, 1),
    mode: choiceOf(route, "mode", MODES),
    iso,
    isoEnds,
    isoShare: isoEnds[1] > isoEnds[0] ? (iso - isoEnds[0]) / (isoEnds[1] - isoEnds[0]) : 0.5,
    percentiles: given || own ? null : percentiles,
  };
}

/** `tf`; of older addresses `threshold`, below which nothing is drawn. */
export function transferOf(route: Route, signed: boolean): Transfer {
  const threshold = boundedOf(route, "threshold", THRESHOLD, 0, 0.95);
  return parseTransfer(route.params.tf, signed) ?? preset("ramp", signed, threshold);
}

/** `clip=1`: one percent of the values at each end, or what the record says. */
function percentilesOf(route: Route, data: VolumeData): readonly [number, number] {
  if (route.params.clip === undefined) return data.percentiles;
  const share = boundedOf(route, "clip", 0, 0, 49);
  return [share, 100 - share];
}

function endsOf(
  data: VolumeData,
  by: ScaleBy,
  isRecorded: boolean,
  percentiles: readonly [number, number],
): readonly [number, number] {
  if (data.window && isRecorded && by !== "each" && percentiles === data.percentiles) return data.window;
  const [low, high] = quantiles(
    data.volume,
    data.counts,
    percentiles.map((percent) => percent / 100),
  );
  return [low, high];
}

/** `win=-2,3.5`: the ends of the scale as numbers. */
export function windowOf(route: Route): readonly [number, number] | null {
  const ends = (route.params.win ?? "").split(",").map((part) => Number(part || Number.NaN));
  return ends.length === 2 && ends.every(Number.isFinite) && ends[0] < ends[1] ? [ends[0], ends[1]] : null;
}

export interface Position {
  readonly place: number;
  readonly row: number;
  readonly column: number;
  /** What the address names but is not here; empty if all is as asked. */
  readonly note: string;
}

/** `ch` (its place in the stack) and `pos=row,column`; else the middle. */
export function positionOf(route: Route, places: number, height: number, width: number): Position {
  const { at, note }: Place = placeOf(route, "ch", places, "place");
  const text = route.params.pos;
  const found = /^(\d+),(\d+)$/.exec(text ?? "");
  const [row, column] = found ? [Number(found[1]), Number(found[2])] : [-1, -1];
  const inside = row >= 0 && row < height && column < width;
  const missing =
    text === undefined || inside
      ? ""
      : `No position “${text}” here; the maps are ${height} × ${width}, from 0,0.`;
  return {
    place: at < 0 ? Math.floor(places / 2) : at,
    row: inside ? row : Math.floor(height / 2),
    column: inside ? column : Math.floor(width / 2),
    note: [note, missing].filter(Boolean).join(" "),
  };
}

/** `planes=zy`; without it none, for they are opaque; in slices all three. */
export function planesOf(route: Route, mode: VolumeMode): ReadonlySet<PlaneName> {
  const usual = mode === "slices" ? "xyz" : "";
  const text = route.params.planes ?? usual;
  return new Set((["x", "y", "z"] as const).filter((name) => text.includes(name)));
}

/** The change of the address that shows or hides a plane. */
export function planeChange(route: Route, mode: VolumeMode, name: PlaneName, on: boolean): Change {
  const now = new Set(planesOf(route, mode));
  if (on) now.add(name);
  else now.delete(name);
  const text = [...now].sort().join("");
  const usual = mode === "slices" ? "xyz" : "";
  return { planes: text === usual ? null : text || "none" };
}

/** `box=0-95,10-54,0-54`: first and last place, row and column that are drawn. */
export function clipOf(route: Route, sides: readonly [number, number, number]): ClipBox {
  const parts = (route.params.box ?? "").split(",");
  const ends = sides.map((side, axis) => {
    const found = /^(\d+)-(\d+)$/.exec(parts[axis] ?? "");
    const [from, to] = found ? [Number(found[1]), Number(found[2])] : [0, side - 1];
    return from <= to && from < side ? [from, Math.min(to, side - 1)] : [0, side - 1];
  });
  return ends.flat() as unknown as ClipBox;
}

export function clipText(box: ClipBox, sides: readonly [number, number, number]): string | null {
  if (sides.every((side, axis) => box[2 * axis] === 0 && box[2 * axis + 1] === side - 1)) return null;
  return sides.map((_, axis) => `${box[2 * axis]}-${box[2 * axis + 1]}`).join(",");
}

/** `cam=0.62,0.36,2.75`: turned by, looked down by (radians), away by (the box is about 1 long); then, if moved, the target. */
export function cameraOf(route: Route): Camera {
  const parts = (route.params.cam ?? "").split(",").map((part) => Number(part || Number.NaN));
  if (![3, 6].includes(parts.length) || !parts.every(Number.isFinite)) return HOME;
  const within = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
  const [x = 0, y = 0, z = 0] = parts.slice(3).map((part) => within(part, -5, 5));
  return {
    yaw: parts[0],
    pitch: within(parts[1], -1.55, 1.55),
    distance: within(parts[2], 0.05, 20),
    target: [x, y, z],
  };
}

export function cameraText({ yaw, pitch, distance, target }: Camera): string | null {
  const turn = Math.atan2(Math.sin(yaw), Math.cos(yaw));
  const moved = target.some((part) => Math.abs(part) >= 0.005);
  const text = [turn, pitch, distance, ...(moved ? target : [])]
    .map((part) => Number(part.toFixed(2)))
    .join(",");
  return text === [HOME.yaw, HOME.pitch, HOME.distance].join(",") ? null : text;
}
