// How the points of an embedding are drawn: what was searched, isolated or chosen stands out.

export const NORMAL = 0;
/** A small pale dot. */
export const DIM = 1;
/** A large picture. */
export const STRONG = 2;
/** Still a picture, but in the background. */
export const SOFT = 3;

/** Of fewer matches than this each is drawn as a large picture. */
const HIGHLIGHTED = 400;

export interface Emphasis {
  /** Points that match the search; null without a search. */
  readonly matches: ReadonlySet<number> | null;
  /** The class that is isolated, null for all. */
  readonly label: number | null;
  /** The chosen point's neighbours; null if none is chosen. */
  readonly near: ReadonlySet<number> | null;
}

/** The state of every point. */
export function statesOf(labels: ArrayLike<number>, { matches, label, near }: Emphasis): Float32Array {
  const found = matches !== null && matches.size > 0 && matches.size < HIGHLIGHTED ? STRONG : NORMAL;
  const usual = found === STRONG ? STRONG : near ? SOFT : NORMAL;
  return Float32Array.from({ length: labels.length }, (_, i) => {
    if (near?.has(i)) return STRONG;
    const out = (matches && !matches.has(i)) || (label !== null && labels[i] !== label);
    return out ? DIM : usual;
  });
}
