// Films of a scene: its frames drawn one after the other, with a caption burnt in, and handed to a writer.
import type { ColourMap } from "./colour";
import { context2d, h } from "./dom";
import { type Caption, captionHeight, drawCaption } from "./filmcaption";
import type { FilmSize, FilmWriting } from "./filmwriters";

export interface FilmCamera {
  readonly yaw: number;
  readonly pitch: number;
  readonly distance: number;
  readonly target: readonly [number, number, number];
}

/** What a film needs of a scene; VolumeScene has it. */
export interface FilmScene {
  camera: FilmCamera;
  /** Draw now. */
  render(): void;
  /** What the scene shows, `width` × `height` pixels. */
  capture(width: number, height: number): Promise<ImageBitmap | ImageData>;
}

/** What is drawn, for the caption of a film. */
export interface FilmLook {
  readonly map: ColourMap | "diverging";
  /** The values at the ends of the colours; null where each channel has its own. */
  readonly window: readonly [low: number, high: number] | null;
  /** "conv1 · maximum · order: pca": what a viewer of the film must know. */
  readonly text: string;
}

/** What a film is of: the frames of the series, the volume on screen turning once, or both at a time. */
export type FilmOf = "frames" | "turn" | "both";

export interface Shot {
  /** The frame of the series; null: what is on screen. */
  readonly frame: number | null;
  /** How far the camera is turned from where it stands, in radians. */
  readonly turn: number;
}

export const MOST_SHOTS = 1200;

/** The shots of a film: `series` are the places of the frames in the order they play, `turning` counts those of a turn. */
export function shotsOf(of: FilmOf, series: readonly number[], turning: number): Shot[] {
  if (of === "frames") return series.slice(0, MOST_SHOTS).map((frame) => ({ frame, turn: 0 }));
  const count = Math.max(2, Math.min(MOST_SHOTS, Math.round(turning)));
  return Array.from({ length: count }, (_, k) => ({
    frame: of === "both" && series.length ? series[Math.floor((k * series.length) / count)] : null,
    // The last shot stands one step before the first: played again and again, the turn goes on evenly.
    turn: (2 * Math.PI * k) / count,
  }));
}

/** Frames a format may look at before it begins. */
const LEARNT = 12;

export interface FilmStage {
  /** Show this shot and return what is drawn from. */
  place(shot: Shot): Promise<FilmScene>;
  caption(shot: Shot, index: number): Caption;
}

export interface FilmProgress {
  readonly done: number;
  readonly total: number;
  readonly text: string;
}

/** Make the file; rejects with an `AbortError` once `signal` is aborted. */
export async function makeFilm(
  writing: FilmWriting,
  size: FilmSize,
  shots: readonly Shot[],
  stage: FilmStage,
  signal: AbortSignal,
  told: (progress: FilmProgress) => void,
): Promise<Blob> {
  const canvas = h("canvas", { width: size.width, height: size.height });
  // Its pixels are read again and again: they had better stay where they are.
  canvas.getContext("2d", { willReadFrequently: true });
  const draw = async (index: number): Promise<void> => {
    await turnOfThePage();
    signal.throwIfAborted();
    const scene = await stage.place(shots[index]);
    const strip = captionHeight(size.height);
    const picture = await scene.capture(size.width, size.height - strip);
    paint(canvas, picture);
    drawCaption(context2d(canvas), stage.caption(shots[index], index));
    signal.throwIfAborted();
  };
  const writer = await writing.open(size);
  try {
    const first = writer.learn ? spread(shots.length, LEARNT) : [];
    const total = first.length + shots.length;
    let done = 0;
    for (const index of first) {
      await draw(index);
      writer.learn?.(canvas);
      told({ done: ++done, total, text: "choosing colours" });
    }
    for (let index = 0; index < shots.length; index++) {
      await draw(index);
      await writer.add(canvas, index);
      told({ done: ++done, total, text: `frame ${index + 1} of ${shots.length}` });
    }
    return await writer.finish(signal, (share) =>
      told({ done: Math.round(100 * share), total: 100, text: "recording" }),
    );
  } finally {
    writer.close?.();
  }
}

/** Drawing and coding may never wait for anything: the page would stand still, and nobody could cancel. */
const turnOfThePage = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

function paint(canvas: HTMLCanvasElement, picture: ImageBitmap | ImageData): void {
  const context = context2d(canvas);
  if (picture instanceof ImageData) return context.putImageData(picture, 0, 0);
  context.drawImage(picture, 0, 0);
  picture.close();
}

/** At most `most` of the numbers below `count`, evenly apart, the first and the last among them. */
export function spread(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round((i * (count - 1)) / (most - 1)));
}
