// Paints the scene of a chart of curves on a canvas.
import { type Box, outlines, type Polyline, place, polylines, type Scene } from "./scene";

/** Half the size of a mark, in pixels of the page. */
export const MARK = 3.5;
export const AREA_ALPHA = 0.18;

/** Draw lines, areas and marks; `ratio` is how many pixels of the canvas make one of the page. */
export function paintScene(context: CanvasRenderingContext2D, scene: Scene, box: Box, ratio: number): void {
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.width, box.height);
  context.clip();
  context.lineJoin = "round";
  for (const area of scene.areas) {
    context.fillStyle = area.colour;
    context.globalAlpha = AREA_ALPHA;
    for (const outline of outlines(area, scene, box)) fill(context, outline);
  }
  for (const stroke of scene.strokes) {
    context.globalAlpha = stroke.alpha;
    context.strokeStyle = context.fillStyle = stroke.colour;
    context.lineWidth = stroke.width * ratio;
    context.setLineDash(stroke.dash.map((length) => length * ratio));
    context.beginPath();
    const lines = stroke.pieces.flatMap((piece) => polylines(piece, scene, box));
    for (const line of lines) trace(context, line);
    context.stroke();
    for (const line of lines) if (line.length === 1) disc(context, line[0], 3 * ratio);
  }
  context.restore();
  marks(context, scene, box, ratio);
}

function fill(context: CanvasRenderingContext2D, line: Polyline): void {
  context.beginPath();
  trace(context, line);
  context.fill();
}

function trace(context: CanvasRenderingContext2D, line: Polyline): void {
  line.forEach(([x, y], i) => {
    if (i === 0) context.moveTo(x, y);
    else context.lineTo(x, y);
  });
}

function disc(context: CanvasRenderingContext2D, [x, y]: readonly [number, number], radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function marks(context: CanvasRenderingContext2D, scene: Scene, box: Box, ratio: number): void {
  context.save();
  context.lineWidth = 1.5 * ratio;
  for (const mark of scene.marks) {
    const across = place(mark.x, scene.x, scene.logX);
    if (Number.isNaN(across)) continue;
    context.strokeStyle = context.fillStyle = mark.colour;
    const shape = markShape(mark.kind, box.left + across * box.width, box, MARK * ratio);
    context.beginPath();
    for (const line of shape) trace(context, line);
    if (mark.kind === "nan") context.stroke();
    else context.fill();
  }
  context.restore();
}

/** The lines of a mark at `x`: a cross or a triangle at the lower edge, a triangle at the upper one. */
export function markShape(kind: "nan" | "up" | "down", x: number, box: Box, size: number): Polyline[] {
  const bottom = box.top + box.height - 1.5 * size;
  if (kind === "nan") {
    return [
      [
        [x - size, bottom - size],
        [x + size, bottom + size],
      ],
      [
        [x + size, bottom - size],
        [x - size, bottom + size],
      ],
    ];
  }
  const [y, tip] = kind === "up" ? [box.top + 1.5 * size, -size] : [bottom, size];
  return [
    [
      [x - size, y - tip],
      [x + size, y - tip],
      [x, y + tip],
      [x - size, y - tip],
    ],
  ];
}
