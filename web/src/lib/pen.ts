// Draws a plot once, on a canvas or as SVG: the same strokes on the screen and in a saved file.
import { context2d, s, sizeCanvas } from "./dom";
import { pngOf } from "./download";

export interface Stroke {
  readonly colour: string;
  readonly width?: number;
  readonly alpha?: number;
  readonly dash?: readonly number[];
}

export interface Lettering {
  readonly colour: string;
  readonly size?: number;
  readonly anchor?: "start" | "middle" | "end";
  readonly bold?: boolean;
  /** A rim of this colour that keeps the text readable over lines. */
  readonly halo?: string;
  /** Quarter turn to the left. */
  readonly upright?: boolean;
}

export interface Pen {
  /** A line through points: x and y in turn. */
  line(points: ArrayLike<number>, stroke: Stroke): void;
  dot(x: number, y: number, radius: number, fill: string, stroke: Stroke | null, alpha?: number): void;
  box(x: number, y: number, width: number, height: number, fill: string): void;
  text(x: number, y: number, text: string, lettering: Lettering): void;
}

const FAMILY = '"Inter Variable", Inter, system-ui, sans-serif';

/** The context of a canvas of this size, empty; a canvas that has the size already is only wiped. */
export function wiped(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const kept = canvas.width === Math.round(width * ratio) && canvas.height === Math.round(height * ratio);
  if (!kept || !canvas.style.width) return sizeCanvas(canvas, width, height);
  const context = context2d(canvas);
  context.clearRect(0, 0, width, height);
  return context;
}

export class CanvasPen implements Pen {
  constructor(private readonly context: CanvasRenderingContext2D) {}

  line(points: ArrayLike<number>, stroke: Stroke): void {
    const { context } = this;
    context.beginPath();
    for (let i = 0; i + 1 < points.length; i += 2) context.lineTo(points[i], points[i + 1]);
    this.#stroke(stroke);
  }

  dot(x: number, y: number, radius: number, fill: string, stroke: Stroke | null, alpha = 1): void {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.globalAlpha = alpha;
    context.fillStyle = fill;
    context.fill();
    if (stroke) this.#stroke(stroke);
    context.globalAlpha = 1;
  }

  box(x: number, y: number, width: number, height: number, fill: string): void {
    this.context.fillStyle = fill;
    this.context.fillRect(x, y, width, height);
  }

  text(x: number, y: number, text: string, lettering: Lettering): void {
    const { context } = this;
    context.save();
    context.translate(x, y);
    if (lettering.upright) context.rotate(-Math.PI / 2);
    context.font = `${lettering.bold ? 600 : 400} ${lettering.size ?? 11}px ${FAMILY}`;
    context.textAlign = lettering.anchor === "middle" ? "center" : (lettering.anchor ?? "start");
    context.textBaseline = "middle";
    if (lettering.halo) {
      context.strokeStyle = lettering.halo;
      context.lineWidth = 3;
      context.lineJoin = "round";
      context.strokeText(text, 0, 0);
    }
    context.fillStyle = lettering.colour;
    context.fillText(text, 0, 0);
    context.restore();
  }

  #stroke({ colour, width = 1, alpha = 1, dash = [] }: Stroke): void {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.globalAlpha = alpha;
    context.setLineDash([...dash]);
    context.stroke();
    context.globalAlpha = 1;
    context.setLineDash([]);
  }
}

export class SvgPen implements Pen {
  readonly el: SVGSVGElement;

  constructor(width: number, height: number, background: string) {
    this.el = s("svg", {
      xmlns: "http://www.w3.org/2000/svg",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-family": FAMILY,
    });
    this.box(0, 0, width, height, background);
  }

  line(points: ArrayLike<number>, stroke: Stroke): void {
    const pairs: string[] = [];
    for (let i = 0; i + 1 < points.length; i += 2) pairs.push(`${tenth(points[i])},${tenth(points[i + 1])}`);
    this.el.append(s("polyline", { points: pairs.join(" "), fill: "none", ...strokeOf(stroke) }));
  }

  dot(x: number, y: number, radius: number, fill: string, stroke: Stroke | null, alpha = 1): void {
    const place = { cx: tenth(x), cy: tenth(y), r: radius };
    this.el.append(
      s("circle", { ...place, fill, "fill-opacity": alpha, ...(stroke ? strokeOf(stroke) : {}) }),
    );
  }

  box(x: number, y: number, width: number, height: number, fill: string): void {
    this.el.append(s("rect", { x: tenth(x), y: tenth(y), width: tenth(width), height: tenth(height), fill }));
  }

  text(x: number, y: number, text: string, lettering: Lettering): void {
    const { colour, size = 11, anchor = "start", bold, upright, halo } = lettering;
    const place = upright
      ? { transform: `translate(${tenth(x)} ${tenth(y)}) rotate(-90)` }
      : { x: tenth(x), y: tenth(y) };
    const style = { fill: colour, "font-size": size, "text-anchor": anchor, "font-weight": bold ? 600 : 400 };
    const rim = halo
      ? { stroke: halo, "stroke-width": 3, "stroke-linejoin": "round", "paint-order": "stroke" }
      : {};
    this.el.append(s("text", { ...place, ...style, ...rim, "dominant-baseline": "middle" }, text));
  }

  toString(): string {
    return new XMLSerializer().serializeToString(this.el);
  }

  /** The drawing as pixels, two to each of its own. */
  async png(): Promise<Blob> {
    const url = URL.createObjectURL(new Blob([this.toString()], { type: "image/svg+xml" }));
    try {
      const image = new Image();
      image.src = url;
      await image.decode();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
      context2d(canvas).drawImage(image, 0, 0, canvas.width, canvas.height);
      return await pngOf(canvas);
    } finally {
      URL.revokeObjectURL(url);
    }
  }
}

const tenth = (value: number): number => Math.round(10 * value) / 10;

const strokeOf = ({
  colour,
  width = 1,
  alpha = 1,
  dash = [],
}: Stroke): Record<string, string | number | null> => ({
  stroke: colour,
  "stroke-width": width,
  "stroke-opacity": alpha,
  "stroke-dasharray": dash.length ? dash.join(" ") : null,
});

/** A text cut to so many characters, the end replaced by "…". */
export const clipped = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
