// A patch that reaches over the border of its picture: which part of the tile is picture.

/** Half-open part of a tile, in shares of its sides. */
export interface Part {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export const WHOLE: Part = { x: 0, y: 0, width: 1, height: 1 };

/** What division may be off by. */
const EPSILON = 1e-6;

/** The part of a box (y0, x0, y1, x1) that lies inside a picture of (height, width); its tile may be shrunk. All of it where the tile is the picture: that is what `whole` says, however large the box. */
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
  if (!(height > 0 && width > 0) || input.length < 2) return WHOLE;
  const isBox = height === tile[0] && width === tile[1];
  if (!isBox && tile[0] === input[0] && tile[1] === input[1]) return WHOLE;
  const [top, left] = [Math.max(0, -y0), Math.max(0, -x0)];
  const [bottom, right] = [Math.min(height, input[0] - y0), Math.min(width, input[1] - x0)];
  if (bottom <= top || right <= left) return WHOLE;
  const [x, across] = inward(left / width, right / width, tile[1]);
  const [y, down] = inward(top / height, bottom / height, tile[0]);
  return { x, y, width: across, height: down };
}

/** Start and length of a part of a side, without the pixels that a shrunk tile has mixed with what lies outside. */
function inward(start: number, end: number, pixels: number): [start: number, length: number] {
  const first = Math.max(0, Math.ceil(start * pixels - EPSILON)); // not −0
  const last = Math.floor(end * pixels + EPSILON);
  return last > first ? [first / pixels, (last - first) / pixels] : [start, end - start];
}
