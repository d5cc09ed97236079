// A figure of proof over the depth of a network: which ones there are, and where its points lie.
import type { Band, SearchedLayer } from "./overview";

export type Measure = "specificity" | "randomised" | "deletion";

export interface MeasureText {
  readonly value: Measure;
  readonly text: string;
  /** The figure that is drawn with its quartiles, and one beside it as a dashed line. */
  readonly names: readonly [string, string?];
  readonly legend: readonly [string, string?];
  /** What it is, and how to read it. */
  readonly explain: string;
}

export const MEASURES: readonly MeasureText[] = [
  {
    value: "specificity",
    text: "Specificity",
    names: ["specificity"],
    legend: ["specificity"],
    explain:
      "1 − cosine between the projection of a channel and that of a random other channel at the same place. Near 0 the picture shows the image, and says nothing about the channel.",
  },
  {
    value: "randomised",
    text: "Randomised",
    names: ["randomised_all", "randomised_layer"],
    legend: ["all weights permuted", "the layer’s weights permuted"],
    explain:
      "Cosine with the projection after the weights were permuted. Near 1 the picture does not depend on what the network has learned.",
  },
  {
    value: "deletion",
    text: "Deletion",
    names: ["deletion", "deletion_random"],
    legend: ["strongest 20 % of the pixels", "random 20 %"],
    explain:
      "Share of the activation that is lost when the pixels in which the projection is strongest are set to the mean. A picture that points at what matters lies well above the dashed line of random pixels.",
  },
];

export interface DepthPoint {
  /** The place of the layer, from 0. */
  readonly at: number;
  readonly band: Band;
}

/** The points of one figure of one rule; layers that have none leave a gap. */
export function depthPoints(
  layers: readonly SearchedLayer[],
  rule: string,
  name: string | undefined,
): DepthPoint[] {
  return layers.flatMap((layer, at) => {
    const band = name === undefined ? undefined : layer.proof[rule]?.[name];
    return band ? [{ at, band }] : [];
  });
}

/** Points of layers that follow one another; where one is missing the line is broken. */
export function stretches(points: readonly DepthPoint[]): DepthPoint[][] {
  const out: DepthPoint[][] = [];
  for (const point of points) {
    const last = out.at(-1);
    if (last && last[last.length - 1].at === point.at - 1) last.push(point);
    else out.push([point]);
  }
  return out;
}

/** What the axis spans: 0 to 1, and as much more as the points need, in steps of a quarter. */
export function spanOf(points: readonly DepthPoint[]): readonly [number, number] {
  const low = Math.min(0, ...points.map(({ band }) => band[0]));
  const high = Math.max(1, ...points.map(({ band }) => band[2]));
  return [Math.floor(4 * low) / 4, Math.ceil(4 * high) / 4];
}

/** Every how many-th name fits when each needs `room` of `width` pixels. */
export const everyOf = (names: number, width: number, room: number): number =>
  Math.max(1, Math.ceil((names * room) / Math.max(1, width)));

/** The first layer from which on a rule's median stays below `limit`; undefined if it does not. */
export function fallsBelow(points: readonly DepthPoint[], limit: number): number | undefined {
  let from: number | undefined;
  for (const { at, band } of points) {
    if (band[1] >= limit) from = undefined;
    else from ??= at;
  }
  return from;
}
