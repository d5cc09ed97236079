// The proof figures of a projection, and what they say in plain words.
import { number, percent } from "./format";

/** One figure with its reading. */
export interface Reading {
  readonly name: string;
  readonly value: string;
  readonly says: string;
}

/** Words for a number: those of the first threshold that it does not reach. */
type Scale = readonly (readonly [below: number, says: string])[];

const SPECIFICITY: Scale = [
  [0.1, "nearly the same picture for any other channel here"],
  [0.4, "much of it would be there for any other channel here"],
  [0.8, "in part this channel's own"],
  [Number.POSITIVE_INFINITY, "another channel here gives another picture"],
];
const RANDOMISED: Scale = [
  [0.3, "the picture depends on them"],
  [0.7, "the picture depends on them in part"],
  [0.95, "much of the picture stays without them"],
  [Number.POSITIVE_INFINITY, "the picture does not depend on them"],
];
const DELETION: Scale = [
  [-0.05, "less than as many pixels at random: what is drawn strongest matters least"],
  [0.05, "no more than as many pixels at random"],
  [0.2, "a little more than as many pixels at random"],
  [Number.POSITIVE_INFINITY, "far more than as many pixels at random: the place is right"],
];
/** Relative difference of float32 computations that counts as none. */
const EQUAL = 1e-3;

const worded = (scale: Scale, value: number): string => scale.find(([below]) => value < below)?.[1] ?? "";

/** The five figures by name, NaN where they were not computed. */
export type Proof = ReadonlyMap<string, number>;

export function proofOf(names: readonly string[], values: ArrayLike<number> | undefined): Proof {
  return new Map(names.map((name, i) => [name, values?.[i] ?? Number.NaN]));
}

/** What the figures of one projection say; those that were not computed are left out. */
export function proofReadings(proof: Proof): Reading[] {
  const known = (name: string): number => proof.get(name) ?? Number.NaN;
  const readings: Reading[] = [
    {
      name: "specificity",
      value: number(known("specificity"), 2),
      says: worded(SPECIFICITY, known("specificity")),
    },
    {
      name: "own weights shuffled",
      value: number(known("randomised_layer"), 2),
      says: `cosine; ${worded(RANDOMISED, Math.abs(known("randomised_layer")))}`,
    },
    {
      name: "all weights shuffled",
      value: number(known("randomised_all"), 2),
      says: `cosine; ${worded(RANDOMISED, Math.abs(known("randomised_all")))}`,
    },
    {
      name: "deletion",
      value: `${percent(known("deletion"))} / ${percent(known("deletion_random"))}`,
      says: `lost without its strongest fifth / a random fifth: ${worded(DELETION, known("deletion") - known("deletion_random"))}`,
    },
  ];
  return readings.filter(({ value }) => !value.includes("NaN"));
}

/** The activation recorded by the search beside the one recomputed for the projections. */
export function recomputedReading(recorded: number, recomputed: number | undefined): Reading | null {
  if (recomputed === undefined || Number.isNaN(recomputed)) return null;
  const largest = Math.max(Math.abs(recorded), Math.abs(recomputed));
  const apart = largest ? Math.abs(recorded - recomputed) / largest : 0;
  return {
    name: "recomputed",
    value: number(recomputed),
    says:
      apart <= EQUAL ? "as the search recorded" : `${percent(apart)} off the recorded ${number(recorded)}`,
  };
}
