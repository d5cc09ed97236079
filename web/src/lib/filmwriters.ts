// Writers of films, one a file format: each gets the frames as a canvas in turn and gives the file.
import { Apng } from "./apng";
import { context2d, h } from "./dom";
import { pngOf } from "./download";
import { type CodedFrame, webm } from "./webm";

export type FilmFormat = "gif" | "apng" | "webm" | "mp4";

export interface FilmSize {
  readonly width: number;
  readonly height: number;
  /** Frames a second. */
  readonly perSecond: number;
  readonly count: number;
}

export interface FilmWriter {
  /** Look at a frame before the film begins; where a format needs it. */
  readonly learn?: (canvas: HTMLCanvasElement) => void;
  add(canvas: HTMLCanvasElement, index: number): Promise<void>;
  /** The file; `told` says what share is done where it takes as long as the film. */
  finish(signal: AbortSignal, told: (share: number) => void): Promise<Blob>;
  /** Let go of what the browser holds for it. */
  close?(): void;
}

export interface FilmWriting {
  readonly format: FilmFormat;
  readonly text: string;
  readonly extension: string;
  /** How true its colours are. */
  readonly note: string;
  available(): boolean;
  open(size: FilmSize): Promise<FilmWriter>;
}

const VIDEO_NOTE = "lossy colours";
/** Bits a pixel of each frame gets: volumes are soft, captions are sharp. */
const BITS_A_PIXEL = 0.35;
const LEAST_BITS = 1_500_000;
/** Frames from one that needs no other to the next. */
const KEY_EVERY = 30;
const QUEUE = 4;

const records = (type: string): boolean =>
  typeof MediaRecorder !== "undefined" &&
  "captureStream" in HTMLCanvasElement.prototype &&
  MediaRecorder.isTypeSupported(type);

export const WRITINGS: readonly FilmWriting[] = [
  {
    format: "gif",
    text: "GIF",
    extension: "gif",
    note: "256 colours, the same in all frames",
    available: () => true,
    open: gifWriter,
  },
  {
    format: "apng",
    text: "APNG",
    extension: "png",
    note: "exact colours",
    available: () => true,
    open: apngWriter,
  },
  {
    format: "webm",
    text: "WebM",
    extension: "webm",
    note: VIDEO_NOTE,
    available: () => typeof VideoEncoder !== "undefined" || records("video/webm"),
    open: webmWriter,
  },
  {
    format: "mp4",
    text: "MP4",
    extension: "mp4",
    note: `${VIDEO_NOTE}; recorded as fast as it plays`,
    available: () => records("video/mp4"),
    open: async (size) => recorder(size, "video/mp4"),
  },
];

const bitsOf = ({ width, height, perSecond }: FilmSize): number =>
  Math.max(LEAST_BITS, Math.round(width * height * Math.max(perSecond, 5) * BITS_A_PIXEL));

const pixelsOf = (canvas: HTMLCanvasElement): Uint8ClampedArray =>
  context2d(canvas).getImageData(0, 0, canvas.width, canvas.height).data;

async function gifWriter({ width, height, perSecond, count }: FilmSize): Promise<FilmWriter> {
  const { Gif, hundredths, SharedPalette } = await import("./gif");
  const palette = new SharedPalette();
  const delays = hundredths(count, perSecond);
  let gif: InstanceType<typeof Gif> | undefined;
  return {
    learn: (canvas) => palette.learn(pixelsOf(canvas)),
    async add(canvas, index) {
      if (!gif) palette.settle();
      gif ??= new Gif(palette, width, height);
      gif.add(pixelsOf(canvas), delays[index]);
    },
    async finish() {
      if (!gif) throw new Error("a film needs at least one frame");
      return gif.finish();
    },
  };
}

async function apngWriter({ perSecond }: FilmSize): Promise<FilmWriter> {
  const apng = new Apng();
  return {
    async add(canvas) {
      apng.add(new Uint8Array(await (await pngOf(canvas)).arrayBuffer()), 1000 / perSecond);
    },
    finish: async () => apng.finish(),
  };
}

async function webmWriter(size: FilmSize): Promise<FilmWriter> {
  const found = await encoding(size);
  return found ? encoded(size, ...found) : recorder(size, "video/webm");
}

/** What this browser codes itself, with the time of each frame under our control. */
async function encoding(size: FilmSize): Promise<[VideoEncoderConfig, "V_VP9" | "V_VP8"] | undefined> {
  if (typeof VideoEncoder === "undefined") return undefined;
  const { width, height, perSecond: framerate } = size;
  const common = { width, height, framerate, bitrate: bitsOf(size), latencyMode: "quality" } as const;
  for (const [codec, name] of [
    ["vp09.00.41.08", "V_VP9"],
    ["vp8", "V_VP8"],
  ] as const) {
    const config = { ...common, codec };
    if ((await VideoEncoder.isConfigSupported(config).catch(() => undefined))?.supported)
      return [config, name];
  }
  return undefined;
}

function encoded(size: FilmSize, config: VideoEncoderConfig, codec: "V_VP9" | "V_VP8"): FilmWriter {
  const frames: CodedFrame[] = [];
  let failure: unknown;
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      frames.push({ data, time: chunk.timestamp / 1000, key: chunk.type === "key" });
    },
    error: (error) => {
      failure = error;
    },
  });
  encoder.configure(config);
  const check = (): void => {
    if (failure) throw failure;
  };
  return {
    async add(canvas, index) {
      const length = 1e6 / size.perSecond;
      const frame = new VideoFrame(canvas, { timestamp: Math.round(index * length), duration: length });
      encoder.encode(frame, { keyFrame: index % KEY_EVERY === 0 });
      frame.close();
      while (encoder.encodeQueueSize > QUEUE && !failure) await pause(4);
      check();
    },
    async finish() {
      await encoder.flush();
      check();
      const { width, height, count, perSecond } = size;
      const bytes = webm({ codec, width, height, duration: (1000 * count) / perSecond }, frames);
      return new Blob([bytes as Uint8Array<ArrayBuffer>], { type: "video/webm" });
    },
    close: () => {
      if (encoder.state !== "closed") encoder.close();
    },
  };
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));

/**
 * A film that the browser records while it plays: the clock gives the times, so the frames are kept as PNG first and
 * shown at an even pace, whatever each took to draw.
 */
function recorder(size: FilmSize, type: string): FilmWriter {
  const frames: Blob[] = [];
  return {
    async add(canvas) {
      frames.push(await pngOf(canvas));
    },
    finish: (signal, told) => record(size, type, frames, signal, told),
  };
}

async function record(
  size: FilmSize,
  type: string,
  frames: readonly Blob[],
  signal: AbortSignal,
  told: (share: number) => void,
): Promise<Blob> {
  const canvas = h("canvas", { width: size.width, height: size.height });
  const context = context2d(canvas);
  const stream = canvas.captureStream(0);
  const [track] = stream.getVideoTracks() as CanvasCaptureMediaStreamTrack[];
  const media = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: bitsOf(size) });
  const parts: Blob[] = [];
  media.addEventListener("dataavailable", ({ data }) => parts.push(data));
  const stopped = new Promise<void>((resolve, reject) => {
    media.addEventListener("stop", () => resolve());
    media.addEventListener("error", () => reject(new Error("the browser could not record this film")));
  });
  const each = 1000 / size.perSecond;
  try {
    media.start();
    const start = performance.now();
    for (let k = 0; k <= frames.length; k++) {
      // The last frame is given again at the end: a recording is as long as from its first frame to its last.
      const picture = await createImageBitmap(frames[Math.min(k, frames.length - 1)]);
      await pause(start + k * each - performance.now());
      signal.throwIfAborted();
      context.drawImage(picture, 0, 0);
      picture.close();
      track.requestFrame();
      told(k / frames.length);
    }
    await pause(Math.min(each, 100));
  } finally {
    media.stop();
    track.stop();
  }
  await stopped;
  return new Blob(parts, { type });
}
