// What the volume's scene is given and what it answers.
import type { Voxels } from "../lib/voxels";
import type { CameraView } from "./orbit";

export type { CameraView };

/** Voxels of one volume, (channels, height, width), row-major: column runs fastest. */
export interface SceneVoxels extends Omit<Voxels, "data"> {
  /** Bytes, or the bits of float16 (`Uint16Array`), of which `window` says what 0 and 1 of the scale are. */
  readonly data: Uint8Array | Uint16Array;
  /** Only for float16: the values at the two ends of the scale. */
  readonly window?: readonly [number, number];
  /** Edges of a voxel along channel, row and column; without them thin and deep stacks are brought to a legible depth. */
  readonly spacing?: readonly [number, number, number];
}

export const MODES = ["composite", "iso", "maximum", "slices"] as const;
export type Mode = (typeof MODES)[number];

/** `smooth`: trilinear samples along the ray. `voxels`: every voxel is a block, the ray is followed from face to face. */
export const SAMPLINGS = ["smooth", "voxels"] as const;
export type Sampling = (typeof SAMPLINGS)[number];

/** How it looks. Values are shares of the scale, 0 to 1; strengths are |value - zero| of signed ones, 1 at the end farther off. */
export interface Look {
  readonly mode: Mode;
  /** 256 RGBA, not premultiplied, colour also where alpha is 0; alpha is the opacity of 1/128 of the longest edge of the box. */
  readonly transfer: Uint8Array;
  /** Strengths below are not drawn (composite, maximum). Default 0. */
  readonly threshold?: number;
  /** Factor on the transfer's alpha, 0 to 1. Default 1. */
  readonly opacity?: number;
  /** Strength of the surface in mode `iso`. Default 0.5. */
  readonly iso?: number;
  /** Both signs: strengths count from `zero`, the surface is drawn on both sides. Default false. */
  readonly signed?: boolean;
  /** Share of the scale that is the value 0. Default 0.5. */
  readonly zero?: number;
  /** Default `smooth`. */
  readonly sampling?: Sampling;
  /** Samples a voxel edge (`smooth`). Default 1.5. */
  readonly rate?: number;
  /** Names, ticks and scale bars; default true. The scene draws them itself. */
  readonly axes?: boolean;
}

/** Column, row and channel (place in the stack) of the slice planes; a missing one is not drawn. */
export interface Slices {
  readonly x?: number;
  readonly y?: number;
  readonly z?: number;
}

/** Edges of what is left: [x0, x1, y0, y1, z0, z1] in columns, rows and channels; x0 <= column < x1. */
export type Clip = readonly [number, number, number, number, number, number];

/** CSS colours. */
export interface SceneColours {
  readonly background: string;
  readonly line: string;
  readonly text: string;
  readonly accent: string;
}

/** A voxel: its place in the stack, its row, its column. */
export interface Picked {
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/** How many voxels of each axis one voxel of the picture stands for (its strongest); null if all are drawn. */
export type Reduced = { readonly channels: number; readonly rows: number; readonly columns: number } | null;

export interface SceneEvents {
  /** The camera was moved by the user or flew somewhere. */
  readonly onCamera?: (view: CameraView, moving: boolean) => void;
  /** A picture is on the canvas; `fine`: with full resolution and sampling, nothing more will come. */
  readonly onDrawn?: (fine: boolean) => void;
  /** The graphics context was lost (true) or is back (false). */
  readonly onContext?: (lost: boolean) => void;
}
