// The questions every host (HTTP server, notebook, exported page) answers, and the types of the answers.

import type { GraphAnswer } from "../lib/graphdef";

/**
 * Where the browser has a picture, a sound or a text. Hosts that must fetch it first give a promise, and for the same
 * thing the same promise while they have it.
 */
export type Address = string | Promise<string>;

export type NumberArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** One named array: row-major numbers and their shape. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: NumberArray;
}

export type Tensors = Readonly<Record<string, Tensor>>;

/** What is stored as TensorBoard stores it, by step; of hyper-parameters a run has one row, tagged "hparams". */
export type SeriesKind =
  | "scalar"
  | "histogram"
  | "image"
  | "audio"
  | "text"
  | "pr_curve"
  | "mesh"
  | "graph"
  | "layout"
  | "hparams";

/** The kinds that {@link Source.series} answers; moments are histograms without their buckets. */
export type TensorsKind = "audio" | "text" | "pr_curve" | "mesh" | "moments";

export interface SeriesInfo {
  readonly kind: SeriesKind;
  readonly tag: string;
  readonly count: number;
  readonly first_step: number;
  readonly last_step: number;
  readonly last_wall_time: number;
}

export interface RecordInfo {
  readonly id: string;
  readonly kind: string;
  readonly tag: string;
  readonly step: number;
  readonly wall_time: number;
  readonly bytes: number;
}

export interface RunInfo {
  readonly name: string;
  /** Another one when entries that were here may have been taken back; until then series only grow. */
  readonly edition?: number;
  readonly last_wall_time: number | null;
  readonly series: readonly SeriesInfo[];
  readonly records: readonly RecordInfo[];
  readonly problems: readonly string[];
  /** Whether it is there but not read yet; it has nothing until it is. */
  readonly loading?: boolean;
  /** Whether it is computed while one looks, and stored nowhere. */
  readonly live?: boolean;
}

/** A network that looks at the pictures one hands in. */
export interface LiveInfo {
  readonly model: string;
  /** The run that it computes. */
  readonly run: string;
  /** Channels, height and width of what it takes. */
  readonly input_shape: readonly number[];
  /** The layer to show first. */
  readonly layer: string;
  /** The pictures that are kept, the oldest first. */
  readonly pictures: readonly string[];
  /** The largest file that is accepted, in bytes. */
  readonly most_bytes: number;
}

/** What a page that is a file says of itself. */
export interface ExportInfo {
  /** That of the convscope that wrote it. */
  readonly version: string;
  /** When the run was written to last, in seconds since 1970. */
  readonly wall_time: number | null;
  /** Whether some channels were left out. */
  readonly limited: boolean;
  /** Whether it is not one file but a site. */
  readonly site?: boolean;
}

export interface Index {
  readonly logdir: string;
  readonly version: number;
  readonly runs: readonly RunInfo[];
  /** What is waited for, as a sentence: the directory may not be there yet. */
  readonly waiting?: string;
  readonly live?: LiveInfo | null;
  /** Whether the host only shows: nothing can be sent to it. */
  readonly read_only?: boolean;
  /** There where the page is a file of its own. */
  readonly exported?: ExportInfo;
}

/** A set of equally large tiles stored as picture files: row n is in file floor(n / rows). */
export interface Sheet {
  readonly tile: readonly [number, number];
  readonly gutter: number;
  readonly columns: number;
  readonly rows: number;
  readonly total_rows: number;
  readonly channels: number;
  readonly codec: string;
  readonly files: readonly string[];
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export interface RecordMeta extends Omit<RecordInfo, "bytes"> {
  readonly meta: Readonly<Record<string, Json>>;
  readonly arrays: Readonly<Record<string, { readonly dtype: string; readonly shape: readonly number[] }>>;
  readonly pictures: Readonly<Record<string, Sheet>>;
}

export interface Scalars {
  readonly step: NumberArray;
  readonly wallTime: NumberArray;
  readonly value: NumberArray;
}

export interface Histograms {
  readonly step: NumberArray;
  readonly wallTime: NumberArray;
  /** (n, 5): min, max, number, sum, sum of squares. */
  readonly stats: NumberArray;
  /** Buckets of histogram i: limit and count from offset[i] to offset[i + 1]. */
  readonly offset: NumberArray;
  readonly limit: NumberArray;
  readonly count: NumberArray;
  /** (n, 3): how many values were NaN, infinite, zero; 0 where the writer has not told. */
  readonly special: NumberArray;
}

export interface Images {
  readonly step: NumberArray;
  readonly wallTime: NumberArray;
  /** (n, 2): height and width in pixels. */
  readonly size: NumberArray;
  /** (n,): 1 where the picture moves. */
  readonly animated: NumberArray;
  /** (n,): how many numbers lay outside the range and were clipped; 0 where the writer has not told. */
  readonly clipped: NumberArray;
}

/** A logged text, or its first megabyte. */
export interface LoggedText {
  readonly text: string;
  /** How long the whole of it is, in bytes of UTF-8. */
  readonly bytes: number;
}

export interface HParamsRun {
  readonly run: string;
  readonly values: Readonly<Record<string, string | number | boolean | null>>;
  /** Last values of the curves that say how well the run did, by tag; null where there is none, text where no finite one. */
  readonly metrics: Readonly<Record<string, number | string | null>>;
  /** The least and the greatest of those curves that have more than one point, without NaN. */
  readonly least?: Readonly<Record<string, number | string>>;
  readonly greatest?: Readonly<Record<string, number | string>>;
  readonly status: string;
  /** Seconds since 1970, where they are known. */
  readonly started: number | null;
  readonly ended: number | null;
}

export interface HParams {
  readonly runs: readonly HParamsRun[];
}

/** Tags of a curve and of those that it lies between. */
export interface Margin {
  readonly value: string;
  readonly lower: string;
  readonly upper: string;
}

export interface LayoutChart {
  readonly title: string;
  readonly kind: "lines" | "margin";
  /** Regular expressions, each for the tags that begin with it. */
  readonly tags: readonly string[];
  readonly margins?: readonly Margin[];
}

/** Which curves stand in one chart, as `add_custom_scalars` has told. */
export interface Layout {
  readonly categories: readonly { readonly title: string; readonly charts: readonly LayoutChart[] }[];
}

export interface Prediction {
  readonly label: string;
  readonly probability: number;
}

/** What a network has made of a picture. */
export interface Looked {
  readonly run: string;
  readonly picture: string;
  /** The layer to show first. */
  readonly layer: string;
  readonly tags: readonly { readonly layer: string; readonly tag: string }[];
  readonly predictions: readonly Prediction[];
  readonly seconds: number;
}

/** What a host with a network can do beside answering. */
export interface LivePart {
  /** Let the network look at the bytes of a picture's file; `type` is its media type. */
  look(picture: Blob, name: string, type: string, signal?: AbortSignal): Promise<Looked>;
  /** Drop a picture and all that was computed from it; all of them for an empty name. */
  forget(name: string): Promise<void>;
}

/** What is projected while one looks: a method, and what it is to know; see docs/viewer.md for the parameters of each. */
export interface ProjectAsk {
  readonly run: string;
  /** The id of the embedding's record. */
  readonly id: string;
  readonly method: string;
  readonly parameters: Readonly<Record<string, Json>>;
}

export type LiveState = "starting" | "running" | "paused" | "done" | "stopped" | "failed";

/** Where a projection that forms stands. */
export interface LiveStatus {
  /** Grows with each frame and each change of the state. */
  readonly number: number;
  readonly state: LiveState;
  readonly iteration: number;
  readonly iterations: number;
  /** The Kullback–Leibler divergence; null for methods without one. */
  readonly kl: number | null;
  /** Seconds of computing so far. */
  readonly seconds: number;
  readonly dimensions: 2 | 3;
  /** Why it has failed, as a sentence; empty otherwise. */
  readonly error: string;
  /** The tag under which it has been kept; empty until then. */
  readonly kept: string;
}

export interface LiveFrame extends LiveStatus {
  /** (3N,): x, y, z of every point; null where only the state has changed. */
  readonly points: Float32Array | null;
}

/** What this host can project an embedding by. */
export interface ProjectOptions {
  readonly methods: readonly string[];
  /** Why a projection cannot be kept, as a sentence; empty where it can. */
  readonly unkept: string;
}

export interface Neighbours {
  readonly index: readonly number[];
  readonly distance: readonly number[];
  /** Whether all points were compared. */
  readonly exact: boolean;
}

/** What tells a selection of points from all others. */
export interface SelectionAnswer {
  readonly count: number;
  /** Labels and how many of the selection have them, the most frequent first. */
  readonly labels: readonly (readonly [label: number, count: number])[];
  /** The channels that differ most, by the size of the effect. */
  readonly channels: readonly {
    readonly channel: number;
    readonly mean: number;
    readonly rest: number;
    readonly effect: number;
  }[];
  /** The points outside that are nearest to the mean of the selection. */
  readonly neighbours: Neighbours;
}

export type Metric = "cosine" | "euclidean";

/** What a host with the vectors at hand can compute. */
export interface EmbeddingPart {
  options(run: string, id: string, signal?: AbortSignal): Promise<ProjectOptions>;
  /** Start a projection, from a layout (x, y and z of every point) where one is given; the answer names it. */
  project(ask: ProjectAsk, start?: Float32Array): Promise<{ readonly key: string }>;
  /** Give every frame from a number on to `take`, the newest where reading is slow; ends with the projection. */
  follow(key: string, from: number, take: (frame: LiveFrame) => void, signal: AbortSignal): Promise<void>;
  act(
    key: string,
    action: "pause" | "continue" | "stop" | "change" | "keep",
    parameters?: Readonly<Record<string, Json>>,
  ): Promise<LiveStatus>;
  neighbours(
    run: string,
    id: string,
    point: number,
    k: number,
    metric: Metric,
    signal?: AbortSignal,
  ): Promise<Neighbours>;
  selection(
    run: string,
    id: string,
    points: ArrayLike<number>,
    k: number,
    metric: Metric,
    signal?: AbortSignal,
  ): Promise<SelectionAnswer>;
}

export interface Source {
  /** There where the host may have a network; the index says whether it has. */
  readonly live?: LivePart | undefined;
  /** There where the host computes with the vectors of an embedding. */
  readonly embedding?: EmbeddingPart | undefined;
  index(signal?: AbortSignal): Promise<Index>;
  /** Call back at every change of the logdir and when the connection comes or goes; returns the way to stop. */
  watch(changed: (version: number) => void, connected: (yes: boolean) => void): () => void;
  scalars(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Scalars>;
  histograms(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Histograms>;
  images(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Images>;
  imageUrl(run: string, tag: string, index: number): Address;
  /** Entries of a series from number `start` on, as named arrays whose first axis is the entries. */
  series(run: string, kind: TensorsKind, tag: string, start: number, signal?: AbortSignal): Promise<Tensors>;
  text(run: string, tag: string, index: number, signal?: AbortSignal): Promise<LoggedText>;
  /** Where the whole of a text can be downloaded. */
  textUrl(run: string, tag: string, index: number): Address;
  audioUrl(run: string, tag: string, index: number): Address;
  /** Of a batch the mesh `item`: `vertices` (V, 3), `faces` (F, 3), `colours` (V, 3): numbers of vertices, and 0..255; no rows where none. */
  mesh(run: string, tag: string, index: number, item: number, signal?: AbortSignal): Promise<Tensors>;
  hparams(signal?: AbortSignal): Promise<HParams>;
  layout(run: string, signal?: AbortSignal): Promise<Layout>;
  /** Graph number `index` of a run; the whole series is tagged "graph". */
  graph(run: string, index: number, signal?: AbortSignal): Promise<GraphAnswer>;
  record(run: string, id: string, signal?: AbortSignal): Promise<RecordMeta>;
  /** Named arrays of a record; `rows`: of each only those of the first axis from one number up to another. */
  arrays(
    run: string,
    id: string,
    names: readonly string[],
    signal?: AbortSignal,
    rows?: readonly [start: number, stop: number],
  ): Promise<Tensors>;
  pictureUrl(run: string, id: string, file: string): Address;
}

/** An answer that says why there is none. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}
