// Where a hit lies in its image: the receptive field, its centre, and the activation map, in pixels of the network's input.
import { type Box, clipBox, placeMap } from "./maps";
import type { Field, TopKData } from "./topkdata";

/** The receptive field of a hit, as it was recorded: may reach over the border. */
export function hitBox(data: TopKData, channel: number, rank: number): Box {
  const [y0, x0, y1, x1] = data.box.subarray(
    4 * (channel * data.k + rank),
    4 * (channel * data.k + rank) + 4,
  );
  return { y0, x0, y1, x1 };
}

/** What its patch shows: the field, or the whole image. */
export function patchBox(data: TopKData, channel: number, rank: number): Box {
  const [height, width] = data.inputSize;
  return data.wholeImage ? { y0: 0, x0: 0, y1: height, x1: width } : hitBox(data, channel, rank);
}

/** Half the width of the mark at the centre of a field, as a share of the image. */
const MARK = 0.01;

export function centreOf({ y0, x0, y1, x1 }: Box, [height, width]: readonly number[]): Box {
  const [y, x] = [(y0 + y1) / 2, (x0 + x1) / 2];
  const [dy, dx] = [MARK * height, MARK * width];
  return { y0: y - dy, x0: x - dx, y1: y + dy, x1: x + dx };
}

/** How many positions a map has along an axis, if its padding is the same on both sides. */
function positions({ size, stride, start }: Field, axis: number, length: number): number {
  return Math.max(1, Math.floor((length - 2 * start[axis] - size[axis]) / stride[axis]) + 1);
}

/**
 * Where the small picture of a map lies on the image. A large map is recorded shrunk by whole squares, the last of which
 * may reach over its border.
 */
export function placeSmallMap(data: TopKData, [rows, columns]: readonly number[]): Box {
  const { field, inputSize } = data;
  if (field.reason || field.size.length < 2) return placeMap(field, [rows, columns], inputSize);
  const squares = [rows, columns].map((small, axis) =>
    Math.max(1, Math.ceil(positions(field, axis, inputSize[axis]) / small)),
  );
  const square = Math.max(...squares);
  return placeMap(field, [rows * square, columns * square], inputSize);
}

/** A box as shares of an image, for the position of an element over it. */
export function shares(box: Box, [height, width]: readonly number[]): Record<string, string> {
  return {
    top: `${(100 * box.y0) / height}%`,
    left: `${(100 * box.x0) / width}%`,
    height: `${(100 * (box.y1 - box.y0)) / height}%`,
    width: `${(100 * (box.x1 - box.x0)) / width}%`,
  };
}

/** A box in words: what of the image it covers. */
export function boxText(box: Box, size: readonly number[]): string {
  const { y0, x0, y1, x1 } = clipBox(box, size);
  if (y0 >= y1 || x0 >= x1) return "nothing of the image, only what is padded";
  if (y0 === 0 && x0 === 0 && y1 === size[0] && x1 === size[1]) return "the whole image";
  return `rows ${y0}–${y1 - 1}, columns ${x0}–${x1 - 1}`;
}
