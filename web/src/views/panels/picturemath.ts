// What the pages of pictures and sounds compute: rows of tags, sizes on screen, zoom, and what kind of picture some bytes are.
import { count, times } from "../../lib/format";
import type { RunInfo, SeriesInfo } from "../../source/source";

/** The runs that have a tag. */
export interface TagRow {
  readonly tag: string;
  readonly runs: readonly string[];
}

/** The tags of a kind that contain `wanted`, in order of first appearance, each with the runs that have it. */
export function tagRows(runs: readonly RunInfo[], kind: SeriesInfo["kind"], wanted: string): TagRow[] {
  const part = wanted.toLocaleLowerCase();
  const rows = new Map<string, string[]>();
  for (const run of runs) {
    for (const series of run.series) {
      if (series.kind !== kind || !series.tag.toLocaleLowerCase().includes(part)) continue;
      const row = rows.get(series.tag);
      if (row) row.push(run.name);
      else rows.set(series.tag, [run.name]);
    }
  }
  return [...rows].map(([tag, names]) => ({ tag, runs: names }));
}

/** CSS pixels for one pixel of the picture, so that it fits a box: whole device pixels where it is enlarged. */
export function fitScale(
  [height, width]: readonly [number, number],
  [boxHeight, boxWidth]: readonly [number, number],
  ratio: number,
): number {
  const fit = Math.min(boxHeight / Math.max(1, height), boxWidth / Math.max(1, width));
  const device = fit * ratio;
  return device >= 1 ? Math.floor(device) / ratio : fit;
}

/** `scale`: CSS pixels for a pixel of the picture, 0: as fits; `x`, `y`: what is in the middle, as shares of the picture. */
export interface Zoom {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export const FIT: Zoom = { scale: 0, x: 0.5, y: 0.5 };
const LEAST = 1 / 32;
const MOST = 128;
const LADDER = [1 / 16, 1 / 8, 1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/** The next whole enlargement (in device pixels) above or below. */
export function nextScale(scale: number, up: boolean, ratio: number): number {
  const device = scale * ratio;
  const found = up
    ? LADDER.find((step) => step > device * 1.001)
    : LADDER.findLast((step) => step < device * 0.999);
  return (found ?? device) / ratio;
}

/** Zoom to `scale` so that what is `dx`, `dy` CSS pixels off the middle stays there. */
export function zoomAt(
  zoom: Zoom,
  scale: number,
  [dx, dy]: readonly [number, number],
  [height, width]: readonly [number, number],
): Zoom {
  const next = Math.max(LEAST, Math.min(MOST, scale));
  const move = 1 / zoom.scale - 1 / next;
  return { scale: next, x: inside(zoom.x + (dx * move) / width), y: inside(zoom.y + (dy * move) / height) };
}

/** Move the picture by some CSS pixels. */
export function pan(zoom: Zoom, dx: number, dy: number, [height, width]: readonly [number, number]): Zoom {
  return {
    ...zoom,
    x: inside(zoom.x - dx / zoom.scale / width),
    y: inside(zoom.y - dy / zoom.scale / height),
  };
}

const inside = (share: number): number => Math.max(0, Math.min(1, share));

/** As the address has it: "8,0.5,0.25". */
export function formatZoom({ scale, x, y }: Zoom): string {
  return scale > 0 ? [scale, x, y].map((part) => Number(part.toFixed(3))).join(",") : "";
}

export function parseZoom(text: string | undefined): Zoom {
  const parts = (text ?? "").split(",").map(Number);
  if (parts.length !== 3 || !parts.every(Number.isFinite) || parts[0] <= 0) return FIT;
  return { scale: Math.max(LEAST, Math.min(MOST, parts[0])), x: inside(parts[1]), y: inside(parts[2]) };
}

export type Nature = "still" | "moving" | "video";

const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to));

/** What the bytes of a picture's file are: a still picture, one that may move (GIF, APNG, WebP), or a video. */
export function natureOf(bytes: Uint8Array): Nature {
  if (ascii(bytes, 4, 8) === "ftyp") return "video";
  if (ascii(bytes, 0, 4) === "GIF8") return gifMoves(bytes) ? "moving" : "still";
  if (ascii(bytes, 1, 4) === "PNG") return pngMoves(bytes) ? "moving" : "still";
  const webp = ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 12, 16) === "VP8X";
  return webp && (bytes[20] & 2) !== 0 ? "moving" : "still";
}

/** APNG has the chunk acTL before the first pixels. */
function pngMoves(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = ascii(bytes, at + 4, at + 8);
    if (name === "acTL") return true;
    if (name === "IDAT") return false;
  }
  return false;
}

/** A GIF with a second picture in it. */
function gifMoves(bytes: Uint8Array): boolean {
  const table = (flags: number): number => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  let at = 13 + table(bytes[10]);
  let pictures = 0;
  while (at < bytes.length && bytes[at] !== 0x3b) {
    if (bytes[at] === 0x2c) {
      if (++pictures === 2) return true;
      at += 11 + table(bytes[at + 9]);
    } else at += 2;
    while (at < bytes.length && bytes[at] !== 0) at += bytes[at] + 1;
    at++;
  }
  return false;
}

/** Local date and time of a wall time in seconds; empty where there is none. */
export function clock(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (!Number.isFinite(seconds) || Number.isNaN(date.getTime())) return "";
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

export interface Entry {
  /** Number of the entry in its series. */
  readonly index: number;
  readonly step: number;
  readonly wallTime: number;
  readonly height: number;
  readonly width: number;
  /** Numbers outside the range that were clipped. */
  readonly clipped: number;
}

/** "28 × 28 px". */
export const sizeText = ({ height, width }: Entry): string => `${times(height, width)} px`;

/** What is said of numbers that were clipped; empty if none was. */
export const clippedText = (clipped: number): string =>
  clipped > 0 ? `${count(clipped)} ${clipped === 1 ? "value" : "values"} clipped` : "";
