// A look in numbers: strengths, opacities, and the tables that the shaders and the picking read.
import type { Look } from "./volumetypes";

export type FullLook = Required<Look>;

/** The opacity of a transfer function is that of this share of the box's longest edge. */
const REFERENCE = 1 / 128;
/** No matter is fully opaque, or the extinction would be infinite. */
const MOST = 0.9999;

export function complete(look: Look): FullLook {
  return {
    threshold: 0,
    opacity: 1,
    iso: 0.5,
    signed: false,
    zero: 0.5,
    sampling: "smooth",
    rate: 1.5,
    axes: true,
    ...look,
  };
}

/** What makes the end of the scale that is farther from zero the strength 1. */
export const reachOf = (zero: number): number => 1 / Math.max(zero, 1 - zero, 1e-6);

export function strength(look: FullLook, value: number): number {
  return look.signed ? Math.abs(value - look.zero) * reachOf(look.zero) : value;
}

/** Opacities of the 256 values, each of the reference length. */
export function opacities(look: FullLook): Float64Array {
  return Float64Array.from({ length: 256 }, (_, level) => {
    if (strength(look, level / 255) < look.threshold) return 0;
    return Math.min(MOST, (look.transfer[4 * level + 3] / 255) * look.opacity);
  });
}

/** Extinction of the 256 values: light left after a length is exp(-extinction · length). */
export function extinctions(look: FullLook, longest: number): Float64Array {
  return opacities(look).map((alpha) => -Math.log(1 - alpha) / (longest * REFERENCE));
}

/**
 * What marching reads, 256 RGBA: with a `stride`, colour times opacity and the opacity of one sample; without, the colour
 * and the extinction.
 */
export function tableOf(look: FullLook, longest: number, stride: number | null): Float32Array {
  const table = new Float32Array(4 * 256);
  extinctions(look, longest).forEach((extinction, level) => {
    const alpha = stride === null ? extinction : 1 - Math.exp(-extinction * stride);
    const factor = stride === null ? 1 : alpha;
    for (let c = 0; c < 3; c++) table[4 * level + c] = (look.transfer[4 * level + c] / 255) * factor;
    table[4 * level + 3] = alpha;
  });
  return table;
}
