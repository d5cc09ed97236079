// How the points of an embedding are drawn: what was searched, selected, isolated or chosen stands out.

export const NORMAL = 0;
/** A small pale dot. */
export const DIM = 1;
/** A large picture. */
export const STRONG = 2;
/** Still a picture, but in the background. */
export const SOFT = 3;
/** Not drawn and not picked. */
export const HIDDEN = 4;

/** Of fewer points than this each is drawn as a large picture. */
const HIGHLIGHTED = 400;

/** Sets of points, as 1 where a point is in: (N,); null for none. */
export interface Emphasis {
  /** Points that match the search. */
  readonly matches?: Uint8Array | null;
  /** Points that the legend filters out. */
  readonly hidden?: Uint8Array | null;
  /** The selected points. */
  readonly selection?: Uint8Array | null;
  /** The chosen point's neighbours. */
  readonly near?: ArrayLike<number> | null;
  readonly chosen?: number;
}

/** The state of each of `count` points, written into `out` where it is given. */
export function statesOf(
  count: number,
  { matches, hidden, selection, near }: Emphasis,
  out = new Uint8Array(count),
): Uint8Array {
  const few = (set: Uint8Array | null | undefined): boolean => {
    const size = set ? sizeOf(set) : 0;
    return size > 0 && size < HIGHLIGHTED;
  };
  const found = few(matches) || few(selection) ? STRONG : near?.length ? SOFT : NORMAL;
  for (let i = 0; i < count; i++) {
    const away = (matches && !matches[i]) || (selection && !selection[i]);
    out[i] = hidden?.[i] ? HIDDEN : away ? DIM : found;
  }
  for (let k = 0; near && k < near.length; k++) if (out[near[k]] !== HIDDEN) out[near[k]] = STRONG;
  return out;
}

export function sizeOf(set: Uint8Array): number {
  let size = 0;
  for (let i = 0; i < set.length; i++) size += set[i];
  return size;
}

/** The numbers of the points that are in a set. */
export function indicesWhere(set: Uint8Array): Int32Array {
  const found = new Int32Array(sizeOf(set));
  let n = 0;
  for (let i = 0; i < set.length; i++) if (set[i]) found[n++] = i;
  return found;
}
