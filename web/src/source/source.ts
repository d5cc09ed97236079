// The questions every host (HTTP server, notebook, exported page) answers, and the types of the answers.

export type NumberArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** One named array: row-major numbers and their shape. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: NumberArray;
}

export type Tensors = Readonly<Record<string, Tensor>>;

export interface SeriesInfo {
  readonly kind: "scalar" | "histogram" | "image";
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
  readonly last_wall_time: number | null;
  readonly series: readonly SeriesInfo[];
  readonly records: readonly RecordInfo[];
  readonly problems: readonly string[];
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
}

export interface Index {
  readonly logdir: string;
  readonly version: number;
  readonly runs: readonly RunInfo[];
  readonly live?: LiveInfo | null;
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
}

export interface Images {
  readonly step: NumberArray;
  readonly wallTime: NumberArray;
  /** (n, 2): height and width in pixels. */
  readonly size: NumberArray;
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

export interface Source {
  /** There where the host may have a network; the index says whether it has. */
  readonly live?: LivePart;
  index(signal?: AbortSignal): Promise<Index>;
  /** Call back at every change of the logdir and when the connection comes or goes; returns the way to stop. */
  watch(changed: (version: number) => void, connected: (yes: boolean) => void): () => void;
  scalars(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Scalars>;
  histograms(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Histograms>;
  images(run: string, tag: string, start: number, signal?: AbortSignal): Promise<Images>;
  imageUrl(run: string, tag: string, index: number): string;
  record(run: string, id: string, signal?: AbortSignal): Promise<RecordMeta>;
  /** Named arrays of a record; `rows`: of each only those of the first axis from one number up to another. */
  arrays(
    run: string,
    id: string,
    names: readonly string[],
    signal?: AbortSignal,
    rows?: readonly [start: number, stop: number],
  ): Promise<Tensors>;
  pictureUrl(run: string, id: string, file: string): string;
}

/** An answer that says why there is none. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}
