// A map of points as an SVG drawing: dots as they stand on the page, pictures up to a bound, legend and title.

import { rgb } from "./colour";
import { DIM, HIDDEN, SOFT, STRONG } from "./highlight";
import type { Legend } from "./pointcolours";

export interface SvgPoint {
  readonly x: number;
  readonly y: number;
  /** "#rrggbb". */
  readonly colour: string;
  readonly state: number;
  readonly title: string;
  /** A picture as a data address, drawn in place of the dot. */
  readonly picture?: string;
}

export interface SvgMap {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly subtitle: string;
  readonly background: string;
  readonly text: string;
  readonly points: Iterable<SvgPoint>;
  readonly legend: Legend;
}

const [TOP, RIGHT] = [52, 190];
const GROUPS = 16;
const PICTURE = 28;
const RADIUS: Readonly<Record<number, number>> = { [DIM]: 1.4, [SOFT]: 2.4, [STRONG]: 4 };
const OPACITY: Readonly<Record<number, number>> = { [DIM]: 0.25, [SOFT]: 0.45 };

const LETTERS: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
// Characters that XML does not know are left out.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones.
const BAD = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g;
export const escapeXml = (text: string): string =>
  text.replace(BAD, "").replace(/[&<>"]/g, (letter) => LETTERS[letter]);

export function pointsSvg(map: SvgMap): string {
  const [width, height] = [map.width + RIGHT, map.height + TOP];
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" fill="${map.text}">`,
    `<title>${escapeXml(map.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="${map.background}"/>`,
    `<text x="16" y="24" font-size="16" font-weight="600">${escapeXml(map.title)}</text>`,
    `<text x="16" y="42" font-size="11" opacity="0.7">${escapeXml(map.subtitle)}</text>`,
    `<g transform="translate(0 ${TOP})">`,
  ];
  for (const point of map.points) if (point.state !== HIDDEN) parts.push(drawn(point));
  parts.push("</g>", legendOf(map), "</svg>");
  return parts.join("\n");
}

function drawn({ x, y, colour, state, title, picture }: SvgPoint): string {
  const name = `<title>${escapeXml(title)}</title>`;
  if (picture) {
    const [left, top] = [(x - PICTURE / 2).toFixed(1), (y - PICTURE / 2).toFixed(1)];
    return `<g>${name}<image x="${left}" y="${top}" width="${PICTURE}" height="${PICTURE}" href="${picture}"/><rect x="${left}" y="${top}" width="${PICTURE}" height="${PICTURE}" fill="none" stroke="${colour}" rx="2"/></g>`;
  }
  const opacity = OPACITY[state] ? ` opacity="${OPACITY[state]}"` : "";
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${RADIUS[state] ?? 3}" fill="${colour}"${opacity}>${name}</circle>`;
}

function legendOf({ legend, width }: SvgMap): string {
  const left = width + 16;
  const heading =
    legend.kind === "none"
      ? ""
      : `<text x="${left}" y="${TOP + 12}" font-size="12" font-weight="600">${escapeXml(legend.title)}</text>`;
  if (legend.kind === "categories") {
    const rows = legend.groups.slice(0, GROUPS).map(({ text, colour, count }, i) => {
      const y = TOP + 32 + 18 * i;
      return `<circle cx="${left + 5}" cy="${y - 4}" r="5" fill="${colour}"/><text x="${left + 16}" y="${y}" font-size="11">${escapeXml(short(text))} <tspan opacity="0.6">${count}</tspan></text>`;
    });
    const more = legend.groups.length - GROUPS;
    const y = TOP + 32 + 18 * GROUPS;
    if (more > 0)
      rows.push(`<text x="${left}" y="${y}" font-size="11" opacity="0.7">and ${more} more</text>`);
    return heading + rows.join("");
  }
  if (legend.kind === "numbers") {
    const stops = ["440154", "3b528b", "21918c", "5ec962", "fde725"].map(
      (stop, i) => `<stop offset="${25 * i}%" stop-color="rgb(${rgb(stop).join(",")})"/>`,
    );
    return `${heading}<defs><linearGradient id="ramp">${stops.join("")}</linearGradient></defs><rect x="${left}" y="${TOP + 22}" width="150" height="10" fill="url(#ramp)"/><text x="${left}" y="${TOP + 48}" font-size="11">${legend.low.toPrecision(4)} … ${legend.high.toPrecision(4)}${legend.log ? ", logarithmic" : ""}</text>`;
  }
  return heading;
}

const short = (text: string): string => (text.length > 22 ? `${text.slice(0, 21)}…` : text);
