// A chart of curves as an SVG file: what is drawn, in words, lines and areas that an editor can take apart.
import type { Tick } from "./curve";
import { pngOf } from "./download";
import { AREA_ALPHA, MARK, markShape } from "./paint";
import { type Box, outlines, type Polyline, polylines, type Scene } from "./scene";

export interface ChartFile {
  readonly title: string;
  /** What qualifies it: binned, clipped, smoothed. */
  readonly note: string;
  readonly scene: Scene;
  readonly ticks: { readonly x: readonly Tick[]; readonly y: readonly Tick[] };
  readonly legend: readonly {
    readonly name: string;
    readonly colour: string;
    readonly dash: readonly number[];
  }[];
  readonly colours: {
    readonly page: string;
    readonly text: string;
    readonly muted: string;
  };
}

const WIDTH = 760;
const HEIGHT = 320;
const PAD = 16;
const LEFT = 60;
const TOP = 52;
const LEGEND_ROW = 18;
const LEGEND_COLUMN = 242;
const LEGEND_LETTERS = 34;

/** The chart as the text of an SVG file. */
export function chartSvg(chart: ChartFile): string {
  const { colours, scene } = chart;
  const box: Box = { left: LEFT, top: TOP, width: WIDTH - LEFT - PAD, height: HEIGHT - TOP - 30 };
  const rows = Math.ceil(chart.legend.length / Math.floor((WIDTH - PAD) / LEGEND_COLUMN));
  const height = HEIGHT + rows * LEGEND_ROW + PAD;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<title>${xml(chart.title)}</title>`,
    `<rect width="100%" height="100%" fill="${colours.page}"/>`,
    text(PAD, 24, chart.title, colours.text, 'font-size="14" font-weight="600"'),
    text(PAD, 40, chart.note, colours.muted),
    ...grid(chart, box),
    `<clipPath id="plot"><rect x="${box.left}" y="${box.top}" width="${box.width}" height="${box.height}"/></clipPath>`,
    '<g clip-path="url(#plot)">',
    ...scene.areas.flatMap((area) =>
      outlines(area, scene, box).map(
        (line) => `<path d="${path(line)}Z" fill="${area.colour}" fill-opacity="${AREA_ALPHA}"/>`,
      ),
    ),
    ...scene.strokes.map((stroke) => strokeOf(stroke, scene, box)),
    "</g>",
    ...marks(scene, box),
    ...chart.legend.map((entry, i) => legend(entry, i, colours.text)),
    "</svg>",
    "",
  ].join("\n");
}

function strokeOf(stroke: Scene["strokes"][number], scene: Scene, box: Box): string {
  const lines = stroke.pieces.flatMap((piece) => polylines(piece, scene, box));
  const dash = stroke.dash.length ? ` stroke-dasharray="${stroke.dash.join(" ")}"` : "";
  const look = `stroke="${stroke.colour}" stroke-width="${stroke.width}" stroke-opacity="${stroke.alpha}"${dash}`;
  const line = `<path d="${lines.map(path).join("")}" fill="none" stroke-linejoin="round" ${look}/>`;
  const dots = lines
    .filter(({ length }) => length === 1)
    .map(([[x, y]]) => `<circle cx="${px(x)}" cy="${px(y)}" r="3" fill="${stroke.colour}"/>`);
  return `<g><title>${xml(stroke.name)}</title>${line}${dots.join("")}</g>`;
}

function grid({ ticks, colours }: ChartFile, box: Box): string[] {
  const bottom = box.top + box.height;
  const across = ticks.x.map(({ at, text: label }) => {
    const x = box.left + at * box.width;
    return `<path d="M${px(x)} ${box.top}V${px(bottom)}" stroke="#888888" stroke-opacity="0.2"/>${text(x, bottom + 16, label, colours.muted, 'text-anchor="middle"')}`;
  });
  const up = ticks.y.map(({ at, text: label }) => {
    const y = bottom - at * box.height;
    return `<path d="M${box.left} ${px(y)}H${box.left + box.width}" stroke="#888888" stroke-opacity="0.2"/>${text(box.left - 6, y + 4, label, colours.muted, 'text-anchor="end"')}`;
  });
  return [...across, ...up];
}

function marks(scene: Scene, box: Box): string[] {
  return scene.marks.flatMap((mark) => {
    const [x] = polylines({ x: [mark.x], y: [scene.y[1]], binned: false }, scene, box).flat();
    if (!x) return [];
    const d = markShape(mark.kind, x[0], box, MARK).map(path).join("");
    const look =
      mark.kind === "nan"
        ? `fill="none" stroke="${mark.colour}" stroke-width="1.5"`
        : `fill="${mark.colour}"`;
    return [`<path d="${d}" ${look}/>`];
  });
}

function legend({ name, colour, dash }: ChartFile["legend"][number], i: number, ink: string): string {
  const columns = Math.floor((WIDTH - PAD) / LEGEND_COLUMN);
  const x = PAD + (i % columns) * LEGEND_COLUMN;
  const y = HEIGHT + 12 + Math.floor(i / columns) * LEGEND_ROW;
  const dashes = dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : "";
  const short = name.length > LEGEND_LETTERS ? `…${name.slice(1 - LEGEND_LETTERS)}` : name;
  return `<path d="M${x} ${y - 4}h20" stroke="${colour}" stroke-width="2"${dashes}/>${text(x + 26, y, short, ink)}`;
}

function text(x: number, y: number, content: string, colour: string, more = ""): string {
  return `<text x="${px(x)}" y="${px(y)}" fill="${colour}"${more ? ` ${more}` : ""}>${xml(content)}</text>`;
}

const path = (line: Polyline): string =>
  line.map(([x, y], i) => `${i === 0 ? "M" : "L"}${px(x)} ${px(y)}`).join("");

/** Far outside of the plot the numbers only grow, and nothing is seen of them. */
const px = (value: number): string => String(Math.round(Math.max(-1e5, Math.min(1e5, value)) * 100) / 100);

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text as XML allows it: what would be markup is written as entities, control characters are left out. */
export const xml = (content: string): string =>
  content
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "")
    .replace(/[&<>"]/g, (sign) => ENTITIES[sign]);

/** The picture of an SVG text as a PNG file, twice as fine as it is large. */
export async function svgToPng(svg: string): Promise<Blob> {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * image.naturalWidth, 2 * image.naturalHeight];
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await pngOf(canvas);
  } finally {
    URL.revokeObjectURL(url);
  }
}
