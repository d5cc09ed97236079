// The strip under each frame of a film: its name, the colours with their numbers, and what else makes a film honest.
import { table } from "./colour";
import type { FilmLook } from "./film";
import { number } from "./format";

export interface Caption {
  /** The picture, the class, the step, the layer. */
  readonly name: string;
  /** "frame 3 of 10, over images". */
  readonly place: string;
  readonly look: FilmLook;
  /** "one scale for all 10 frames". */
  readonly scale: string;
}

/** Light emitted in the dark, as the scene itself. */
const BACK = "#0b0f16";
const TEXT = "#e6eaf1";
const MUTED = "#9aa7ba";
const FONT = '"Inter Variable", system-ui, sans-serif';
const SHARE = 0.15;

/** How many pixels of a film of this height the strip takes; even, as video wants it. */
export const captionHeight = (height: number): number => 2 * Math.round(Math.max(52, SHARE * height) / 2);

/** `text` cut to `width` pixels, with an ellipsis where something is missing. */
export function fitted(measure: (text: string) => number, text: string, width: number): string {
  if (measure(text) <= width) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measure(`${text.slice(0, middle)}…`) <= width) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}

/** Draw the strip into the last `captionHeight` rows of the canvas. */
export function drawCaption(context: CanvasRenderingContext2D, caption: Caption): void {
  const { width, height } = context.canvas;
  const strip = captionHeight(height);
  const top = height - strip;
  const size = Math.round(strip / 4.8);
  const pad = Math.round(strip / 6);
  const barWidth = Math.round(0.36 * width);
  context.fillStyle = BACK;
  context.fillRect(0, top, width, strip);
  context.textBaseline = "alphabetic";
  const write = (text: string, x: number, y: number, room: number, style: string, weight = 400): void => {
    context.font = `${weight} ${style === TEXT ? size : size - 1}px ${FONT}`;
    context.fillStyle = style;
    context.fillText(
      fitted((part) => context.measureText(part).width, text, room),
      x,
      y,
    );
  };
  const room = width - barWidth - 3 * pad;
  context.textAlign = "left";
  write(caption.name, pad, top + pad + size, room, TEXT, 600);
  write(caption.place, pad, top + pad + 2.25 * size, room, MUTED);
  write(caption.look.text, pad, top + pad + 3.4 * size, room, MUTED);
  drawBar(context, caption, { x: width - barWidth - pad, y: top + pad, width: barWidth, size }, write);
}

interface BarPlace {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly size: number;
}

type Write = (text: string, x: number, y: number, room: number, style: string) => void;

function drawBar(
  context: CanvasRenderingContext2D,
  { look, scale }: Caption,
  { x, y, width, size }: BarPlace,
  write: Write,
): void {
  const colours = table(look.map);
  for (let i = 0; i < width; i++) {
    const at = 3 * Math.round((255 * i) / Math.max(1, width - 1));
    context.fillStyle = `rgb(${colours[at]} ${colours[at + 1]} ${colours[at + 2]})`;
    context.fillRect(x + i, y, 1, Math.round(0.8 * size));
  }
  const [low, high] = look.window ?? [0, 0];
  const line = y + 2.25 * size;
  write(look.window ? number(low, 3) : "least", x, line, width / 3, TEXT);
  context.textAlign = "right";
  write(look.window ? number(high, 3) : "most", x + width, line, width / 3, TEXT);
  context.textAlign = "center";
  if (look.map === "diverging" && low < 0 && high > 0) {
    const zero = x + (width * -low) / (high - low);
    write("0", zero, line, width / 3, TEXT);
  }
  context.textAlign = "left";
  write(scale, x, y + 3.4 * size, width, MUTED);
}
