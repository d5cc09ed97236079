// What a chart of curves says of itself: what is left out, averaged, cut off or out of order.
import { count, number, plural } from "../../lib/format";
import type { CurveOptions, Scene } from "../../lib/scene";
import { MEAN_POINTS, type Prepared } from "../../lib/traces";

export function notesOf(lines: readonly Prepared[], scene: Scene, options: CurveOptions): string[] {
  const total = lines.reduce((sum, line) => sum + line.y.length, 0);
  const runs = lines.reduce((sum, { trace }) => sum + (trace.kind === "mean" ? trace.sources.length : 0), 0);
  const means = lines.filter(({ trace }) => trace.kind === "mean");
  const [from, to] = scene.x;
  const inside = (x: number, value: number | null): boolean => value !== null && x >= from && x <= to;
  const empty = !scene.strokes.some(({ pieces }) =>
    pieces.some(({ x, y }) => y.some((value, i) => inside(x[i], value))),
  );
  return [
    means.length > 0 && `mean ± standard deviation of ${plural(runs, "run")}`,
    means.some(({ x }) => x.length === MEAN_POINTS) && `at ${count(MEAN_POINTS)} places`,
    scene.binned && `${count(total)} points, min–max binned`,
    options.clip && `axis: 5–95 % of the points, ${count(scene.outside)} outside`,
    ...specialNotes(lines),
    scene.notPositive > 0 &&
      `${plural(scene.notPositive, "point")} not above 0, without a place on a log axis`,
    ...orderNotes(lines, options),
    total > 0 && options.zoom && empty && `no point between ${number(from)} and ${number(to)}`,
  ].filter((note): note is string => typeof note === "string");
}

function specialNotes(lines: readonly Prepared[]): string[] {
  const found = { "NaN ×": 0, "+∞ ▲": 0, "−∞ ▼": 0 };
  for (const { notFinite } of lines)
    for (const { value } of notFinite) found[Number.isNaN(value) ? "NaN ×" : value > 0 ? "+∞ ▲" : "−∞ ▼"]++;
  return Object.entries(found)
    .filter(([, n]) => n > 0)
    .map(([name, n]) => `${count(n)} ${name}`);
}

function orderNotes(lines: readonly Prepared[], { axis }: CurveOptions): string[] {
  const what = axis === "step" ? "steps go" : "the clock goes";
  const again = lines.reduce((sum, { passes }) => sum + passes.length - 1, 0);
  const notes =
    again > 0 ? [`${what} back ${again === 1 ? "once" : `${count(again)} times`}: drawn apart`] : [];
  return lines.some(({ sorted }) => sorted) ? [...notes, `${what} back often: sorted`] : notes;
}
