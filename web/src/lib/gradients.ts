// Gradients that vanish or explode, from numbers alone: root mean squares compared between layers and between steps.

/** The numbers of a gradient's histograms, in the order of logging. */
export interface Layer {
  readonly tag: string;
  readonly step: ArrayLike<number>;
  /** Root mean square of the finite values; NaN where there is none. */
  readonly rms: ArrayLike<number>;
  /** How many values were NaN or infinite. */
  readonly broken: ArrayLike<number>;
}

export interface Thresholds {
  /** Vanishing: at most this times the largest RMS of the run's gradients of the same kind at that step. */
  readonly vanish: number;
  /** Vanishing: at most this, whatever the others are. */
  readonly floor: number;
  /** Exploding: more than this times the median RMS of its earlier steps. */
  readonly explode: number;
}

/** The floor is the smallest number of half precision, 2^-24. */
export const THRESHOLDS: Thresholds = { vanish: 1e-4, floor: 6e-8, explode: 100 };
/** Earlier steps that the median is taken of, at least and at most. */
export const EARLIER = [5, 100] as const;

export type Mark = "" | "vanishing" | "exploding";

/** A letter apart from colour. */
export const SIGN: Readonly<Record<Mark, string>> = { "": "", vanishing: "▼", exploding: "▲" };

/** Whether a tag is that of a gradient. */
export const isGradient = (tag: string): boolean => /grad/i.test(tag);

/** Gradients are compared with those of the same kind: weights with weights, biases with biases, others with others. */
export function kindOf(tag: string): "weights" | "biases" | "others" {
  if (/(?:weights?|kernel)(?::0)?$/i.test(tag.replace(/[./_-]?grad(?:ient)?s?$/i, ""))) return "weights";
  return /bias(?:es)?(?::0)?$/i.test(tag.replace(/[./_-]?grad(?:ient)?s?$/i, "")) ? "biases" : "others";
}

/** The marks of every histogram of every gradient of a run, by tag. */
export function marksOf(layers: readonly Layer[], thresholds: Thresholds): Map<string, Mark[]> {
  const marks = new Map(layers.map((layer) => [layer.tag, explosions(layer, thresholds.explode)]));
  for (const kind of ["weights", "biases", "others"] as const)
    markVanishing(
      layers.filter(({ tag }) => kindOf(tag) === kind),
      marks,
      thresholds,
    );
  return marks;
}

/** Entries with values that are not finite, or whose RMS is far above that of the steps before. */
function explosions({ rms, broken }: Layer, explode: number): Mark[] {
  const [least, most] = EARLIER;
  const earlier: number[] = [];
  const sorted: number[] = [];
  return Array.from(rms, (value, i): Mark => {
    const far = explode > 0 && sorted.length >= least && value > explode * sorted[sorted.length >> 1];
    if (Number.isFinite(value)) {
      earlier.push(value);
      sorted.splice(placeIn(sorted, value), 0, value);
      if (earlier.length > most) sorted.splice(placeIn(sorted, earlier.shift() ?? 0), 1);
    }
    return broken[i] > 0 || far ? "exploding" : "";
  });
}

/** The first place of a sorted list whose number is no smaller. */
function placeIn(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function markVanishing(layers: readonly Layer[], marks: Map<string, Mark[]>, thresholds: Thresholds): void {
  const orders = layers.map(({ step }) =>
    Array.from(step, (_, i) => i).sort((a, b) => step[a] - step[b] || a - b),
  );
  const steps = [...new Set(layers.flatMap(({ step }) => Array.from(step)))].sort((a, b) => a - b);
  const next = layers.map(() => 0);
  for (const now of steps) {
    const fresh: [number, number][] = [];
    layers.forEach(({ step }, k) => {
      for (; next[k] < orders[k].length && step[orders[k][next[k]]] <= now; next[k]++)
        fresh.push([k, orders[k][next[k]]]);
    });
    const current = layers.map((_, k) => (next[k] ? orders[k][next[k] - 1] : -1));
    const largest = largestOf(layers, current, marks);
    for (const [k, i] of fresh) {
      const { tag, rms } = layers[k];
      const own = marks.get(tag);
      if (own && own[i] === "" && isVanishing(rms[i], largest, thresholds)) own[i] = "vanishing";
    }
  }
}

/** Whether an RMS is too small, by one of the thresholds that are not switched off with 0. */
function isVanishing(rms: number, largest: number, { vanish, floor }: Thresholds): boolean {
  return (vanish > 0 && rms <= vanish * largest) || (floor > 0 && rms <= floor);
}

/** The largest RMS among the entries (-1: none) of some layers, but for those that explode. */
function largestOf(layers: readonly Layer[], entries: readonly number[], marks: Map<string, Mark[]>): number {
  let largest = 0;
  layers.forEach(({ tag, rms }, k) => {
    const i = entries[k];
    if (i >= 0 && rms[i] > largest && marks.get(tag)?.[i] !== "exploding") largest = rms[i];
  });
  return largest;
}

/** How many histograms have each mark. */
export function tally(marks: readonly Mark[]): { vanishing: number; exploding: number } {
  const of = (wanted: Mark): number => marks.filter((mark) => mark === wanted).length;
  return { vanishing: of("vanishing"), exploding: of("exploding") };
}
