// A patch that reaches over the border of its picture: which part of the tile is picture.

/** Half-open part of a tile, in shares of its sides. */
export interface Part {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export const WHOLE: Part = { x: 0, y: 0, width: 1, height: 1 };

/** The part of a box (y0, x0, y1, x1) that lies inside a picture of (height, width); all of it where the tile is not the box. `whole`: the tile holds the whole picture, however large the box. */
export function insidePart(
  box: ArrayLike<number>,
  at: number,
  input: readonly number[],
  tile: readonly number[],
  whole = false,
): Part {
  if (whole) return WHOLE;
  const [y0, x0, y1, x1] = [box[at], box[at + 1], box[at + 2], box[at + 3]];
  const [height, width] = [y1 - y0, x1 - x0];
  if (height !== tile[0] || width !== tile[1] || input.length < 2) return WHOLE;
  const [top, left] = [Math.max(0, -y0), Math.max(0, -x0)];
  const [bottom, right] = [Math.min(height, input[0] - y0), Math.min(width, input[1] - x0)];
  if (bottom <= top || right <= left) return WHOLE;
  return { x: left / width, y: top / height, width: (right - left) / width, height: (bottom - top) / height };
}
