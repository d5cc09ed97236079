// What stands around the volume as lines and words: the wire box, planes, named axes with ticks, and bars of known length.
import { type Triple, tickStep } from "./volumespace";
import type { Clip, SceneColours, Slices } from "./volumetypes";

interface Point {
  readonly x: number;
  readonly y: number;
}

/** All that the lines depend on; sizes and edges run along columns, rows, channels. */
export interface Surroundings {
  /** Box coordinates, -0.5 to 0.5 (x right, y up, z towards us), to pixels. */
  readonly project: (x: number, y: number, z: number) => Point;
  /** The eye in box coordinates. */
  readonly eye: Triple;
  readonly size: Triple;
  readonly clip: Clip | null;
  readonly slices: Slices;
  readonly colours: SceneColours;
  readonly font: string;
  readonly axes: boolean;
  /** Pixels that a column and a channel are long in the middle of the box. */
  readonly lengths: { readonly column: number; readonly channel: number };
  readonly width: number;
  readonly height: number;
}

const NAMES = ["column", "row", "channel"] as const;
/** Rows and channels run against the box's axes: row 0 is on top, channel 0 in front. */
const SIGNS = [1, -1, -1] as const;
const ENDS = [-0.5, 0.5] as const;
const FONT = 11;
const TICK = 5;

/** Edges of the box: the axis along which each runs and where it is on the two others. */
const EDGES = [0, 1, 2].flatMap((axis) => ENDS.flatMap((a) => ENDS.map((b) => ({ axis, a, b }))));
type Edge = (typeof EDGES)[number];

function pointOn({ axis, a, b }: Edge, along: number): [number, number, number] {
  const point: [number, number, number] = [a, b, along];
  if (axis === 0) return [along, a, b];
  return axis === 1 ? [a, along, b] : point;
}

/** Whether one of the two faces beside an edge is turned to the eye. */
function inFront(edge: Edge, eye: Triple): boolean {
  return pointOn(edge, 0).some((end, axis) => axis !== edge.axis && end * eye[axis] > 0.25);
}

/** The edges behind the volume. */
export function drawBehind(pen: CanvasRenderingContext2D, around: Surroundings): void {
  lines(pen, around, (edge) => !inFront(edge, around.eye), 0.6);
}

/** All that is before the volume. */
export function drawBefore(pen: CanvasRenderingContext2D, around: Surroundings): void {
  lines(pen, around, (edge) => inFront(edge, around.eye), 0.45);
  frames(pen, around);
  if (!around.axes) return;
  pen.font = `${FONT}px ${around.font}`;
  for (const axis of [0, 1, 2]) axisOf(pen, around, axis);
  bars(pen, around);
}

function stroke(pen: CanvasRenderingContext2D, around: Surroundings, points: readonly Triple[]): void {
  pen.beginPath();
  for (const point of points) {
    const { x, y } = around.project(...point);
    pen.lineTo(x, y);
  }
  pen.stroke();
}

function lines(
  pen: CanvasRenderingContext2D,
  around: Surroundings,
  wanted: (edge: Edge) => boolean,
  alpha: number,
): void {
  pen.strokeStyle = around.colours.line;
  pen.globalAlpha = alpha;
  pen.lineWidth = 1;
  for (const edge of EDGES.filter(wanted)) stroke(pen, around, [pointOn(edge, -0.5), pointOn(edge, 0.5)]);
  pen.globalAlpha = 1;
}

/** Outlines of the slice planes, and of what the clipping leaves (dashed). */
function frames(pen: CanvasRenderingContext2D, around: Surroundings): void {
  const { slices, size, clip, colours } = around;
  pen.strokeStyle = colours.accent;
  [slices.x, slices.y, slices.z].forEach((index, axis) => {
    if (index === undefined || index < 0 || index >= size[axis]) return;
    const at = SIGNS[axis] * ((index + 0.5) / size[axis] - 0.5);
    const corner = (a: number, b: number): Triple =>
      axis === 0 ? [at, a, b] : axis === 1 ? [a, at, b] : [a, b, at];
    stroke(pen, around, [
      corner(-0.5, -0.5),
      corner(0.5, -0.5),
      corner(0.5, 0.5),
      corner(-0.5, 0.5),
      corner(-0.5, -0.5),
    ]);
  });
  if (!clip) return;
  pen.setLineDash([4, 3]);
  const end = (axis: number, side: number): number =>
    SIGNS[axis] * (clip[2 * axis + (side > 0 ? 1 : 0)] / size[axis] - 0.5);
  for (const edge of EDGES) {
    const at = (along: number): Triple => {
      const [x, y, z] = pointOn(edge, along);
      return [end(0, x), end(1, y), end(2, z)];
    };
    stroke(pen, around, [at(-0.5), at(0.5)]);
  }
  pen.setLineDash([]);
}

/** Name and ticks along the edge that stands farthest out. */
function axisOf(pen: CanvasRenderingContext2D, around: Surroundings, axis: number): void {
  const { project, size, colours } = around;
  const centre = project(0, 0, 0);
  const far = (edge: Edge): number => {
    const { x, y } = project(...pointOn(edge, 0));
    return Math.hypot(x - centre.x, y - centre.y);
  };
  const edge = EDGES.filter((one) => one.axis === axis).reduce((a, b) => (far(b) > far(a) + 1 ? b : a));
  const [from, middle, to] = [-0.5, 0, 0.5].map((along) => project(...pointOn(edge, along)));
  const out = outward(from, to, middle, centre);
  pen.strokeStyle = colours.line;
  pen.fillStyle = colours.text;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  const long = Math.hypot(to.x - from.x, to.y - from.y);
  const step = tickStep(size[axis], Math.floor(long / 34));
  for (let index = 0; long > 40 && index < size[axis]; index += step) {
    const at = project(...pointOn(edge, SIGNS[axis] * ((index + 0.5) / size[axis] - 0.5)));
    pen.beginPath();
    pen.moveTo(at.x, at.y);
    pen.lineTo(at.x + TICK * out.x, at.y + TICK * out.y);
    pen.stroke();
    pen.fillText(String(index), at.x + 15 * out.x, at.y + 12 * out.y);
  }
  pen.font = `600 ${FONT}px ${around.font}`;
  pen.fillText(NAMES[axis], middle.x + 44 * out.x, middle.y + 28 * out.y);
  pen.font = `${FONT}px ${around.font}`;
}

/** The direction on the screen that leads from an edge away from the box, square to the edge. */
function outward(from: Point, to: Point, middle: Point, centre: Point): Point {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const long = Math.hypot(dx, dy);
  if (long < 1) {
    const away = Math.hypot(middle.x - centre.x, middle.y - centre.y) || 1;
    return { x: (middle.x - centre.x) / away, y: (middle.y - centre.y) / away };
  }
  const side = dy * (middle.x - centre.x) - dx * (middle.y - centre.y) < 0 ? -1 : 1;
  return { x: (side * dy) / long, y: (-side * dx) / long };
}

/** Two bars whose lengths hold in the middle of the box. */
function bars(pen: CanvasRenderingContext2D, around: Surroundings): void {
  const { lengths, colours, height } = around;
  pen.textAlign = "left";
  (["column", "channel"] as const).forEach((name, i) => {
    const pixels = lengths[name];
    if (!(pixels > 0)) return;
    const count = tickStep(70 / pixels, 1);
    const y = height - 14 - 18 * (1 - i);
    pen.strokeStyle = pen.fillStyle = colours.text;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(14, y);
    pen.lineTo(14 + count * pixels, y);
    pen.stroke();
    pen.lineWidth = 1;
    pen.fillText(`${count} ${name}${count === 1 ? "" : "s"}`, 22 + count * pixels, y);
  });
}
