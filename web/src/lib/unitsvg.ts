// The same plot of shares as an SVG file, with a legend.
import { number } from "./format";
import { isoF1 } from "./prcurve";
import type { UnitBox, UnitCurve, UnitExtras } from "./unitplot";

const SIDE = 420;
const MARGIN = 54;
const LINE = 18;

/** Characters that mean something in XML, as text. */
const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`).replace(/[^\P{Cc}\t\n]/gu, "");

export interface UnitFigure {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly curves: readonly UnitCurve[];
  readonly box: UnitBox;
  readonly extras: UnitExtras;
}

/** Return the figure as the text of an SVG file. */
export function unitSvg({ title, x, y, curves, box, extras }: UnitFigure): string {
  const place = (a: number, b: number): string =>
    `${round(MARGIN + (SIDE * (a - box.x[0])) / (box.x[1] - box.x[0]))} ${round(MARGIN + SIDE - (SIDE * (b - box.y[0])) / (box.y[1] - box.y[0]))}`;
  const [width, height] = [SIDE + 2 * MARGIN, SIDE + 2 * MARGIN + LINE * curves.length];
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title><rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${MARGIN}" y="24" font-size="15">${escaped(title)}</text>`,
    `<clipPath id="in"><path d="M${MARGIN} ${MARGIN}h${SIDE}v${SIDE}h-${SIDE}z"/></clipPath>`,
    ...axes(box),
    `<text x="${MARGIN + SIDE / 2}" y="${MARGIN + SIDE + 40}" text-anchor="middle">${escaped(x)}</text>`,
    `<text transform="translate(16 ${MARGIN + SIDE / 2}) rotate(-90)" text-anchor="middle">${escaped(y)}</text>`,
    `<g clip-path="url(#in)" fill="none" stroke-linejoin="round">`,
    extras.diagonal ? `<path d="M${place(0, 0)}L${place(1, 1)}" stroke="#999" stroke-dasharray="4 4"/>` : "",
    ...(extras.f1 ? isoF1(box.x, box.y) : []).map(
      ({ points }) =>
        `<path d="M${points.map(([a, b]) => place(a, b)).join("L")}" stroke="#aaa" stroke-dasharray="2 4"/>`,
    ),
    ...curves.map((curve) => line(curve, place)),
    "</g>",
    ...curves.map(legend),
    "</svg>",
  ];
  return parts.join("\n");
}

const round = (value: number): number => Math.round(value * 100) / 100;

function axes(box: UnitBox): string[] {
  return Array.from({ length: 6 }, (_, i) => {
    const [at, up] = [round(MARGIN + (SIDE * i) / 5), round(MARGIN + SIDE - (SIDE * i) / 5)];
    const value = ([low, high]: readonly [number, number]): string => number(low + ((high - low) * i) / 5, 3);
    return (
      `<path d="M${at} ${MARGIN}v${SIDE}M${MARGIN} ${up}h${SIDE}" stroke="#e4e2dd"/>` +
      `<text x="${at}" y="${MARGIN + SIDE + 18}" text-anchor="middle">${value(box.x)}</text>` +
      `<text x="${MARGIN - 8}" y="${up + 4}" text-anchor="end">${value(box.y)}</text>`
    );
  });
}

function line(curve: UnitCurve, place: (x: number, y: number) => string): string {
  const { x, y, steps, colour, dash } = curve;
  let path = "";
  let before = Number.NaN;
  for (let i = 0; i < x.length; i++) {
    if (Number.isNaN(x[i] + y[i])) before = Number.NaN;
    else {
      if (Number.isNaN(before)) path += `M${place(x[i], y[i])}`;
      else if (steps) path += `L${place(before, y[i])}L${place(x[i], y[i])}`;
      else path += `L${place(x[i], y[i])}`;
      before = x[i];
    }
  }
  const strokes = dash?.length ? ` stroke-dasharray="${dash.join(" ")}"` : "";
  return path && `<path d="${path}" stroke="${escaped(colour)}" stroke-width="1.6"${strokes}/>`;
}

function legend({ name, colour, dash }: UnitCurve, i: number): string {
  const y = SIDE + 2 * MARGIN + LINE * i - 2;
  const strokes = dash?.length ? ` stroke-dasharray="${dash.join(" ")}"` : "";
  return (
    `<path d="M${MARGIN} ${y - 4}h28" stroke="${escaped(colour)}" stroke-width="2"${strokes}/>` +
    `<text x="${MARGIN + 36}" y="${y}">${escaped(name)}</text>`
  );
}
