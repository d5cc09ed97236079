// How the projection came to be: the course of its divergence over the recorded frames, and what its axes are.
import { h, put, s } from "../../lib/dom";
import { count, number, percent } from "../../lib/format";
import { axisNames, varianceOf } from "../../lib/pointfacts";
import type { Meta } from "../../lib/points";

const [WIDTH, HEIGHT] = [240, 40];

export class PointCourse {
  readonly el = h("section", { class: "block", "aria-label": "Course of the projection", hidden: true });
  #key = "";

  /** `at`: which of the frames is shown. */
  show(iterations: readonly number[], kl: readonly number[], at: number, meta: Meta): void {
    const known = kl.map((value, i) => [i, value] as const).filter(([, value]) => Number.isFinite(value));
    const key = JSON.stringify([iterations.length, at, meta.projection, meta.part, known.length]);
    if (key === this.#key) return;
    this.#key = key;
    const variance = varianceOf(meta);
    const axes = axisNames(meta);
    this.el.hidden = known.length < 3 && !axes.length;
    put(
      this.el,
      ...(axes.length ? axesList(axes, variance) : []),
      ...(known.length >= 3 ? spark(iterations, known, at) : []),
    );
  }
}

function axesList(axes: readonly string[], variance: readonly number[]): HTMLElement[] {
  const most = Math.max(...variance, 1e-9);
  const rows = axes.map((name, i) =>
    h(
      "li",
      { class: "class-bar" },
      h("span", { class: "class-bar-name" }, h("b", {}, ["x", "y", "z"][i] ?? ""), " ", h("bdi", {}, name)),
      h("b", { class: "num" }, variance[i] === undefined ? "" : percent(variance[i])),
      variance[i] === undefined
        ? null
        : h("span", {
            class: "class-bar-fill",
            style: { width: `${(100 * variance[i]) / most}%` },
            "aria-hidden": "true",
          }),
    ),
  );
  return [h("h3", {}, "Axes"), h("ul", { class: "class-bars" }, ...rows)];
}

function spark(
  iterations: readonly number[],
  known: readonly (readonly [number, number])[],
  at: number,
): Element[] {
  const values = known.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = Math.max(1, iterations.length - 1);
  const y = (value: number): number => HEIGHT - 4 - ((HEIGHT - 8) * (value - low)) / (high - low || 1);
  const points = known.map(([i, value]) => `${((WIDTH * i) / last).toFixed(1)},${y(value).toFixed(1)}`);
  const here = (WIDTH * at) / last;
  const [first, end] = [values[0], values[values.length - 1]];
  return [
    h("h3", {}, "KL divergence"),
    s(
      "svg",
      {
        class: "spark",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `KL divergence from ${number(first)} to ${number(end)} over ${count(iterations.length)} frames`,
      },
      s("line", { class: "spark-at", x1: here, x2: here, y1: 0, y2: HEIGHT }),
      s("polyline", { points: points.join(" ") }),
    ),
    h(
      "div",
      { class: "bar-ends num" },
      h("span", {}, number(first, 3)),
      h("span", {}, `iteration ${count(iterations[at] ?? 0)}`),
      h("span", {}, number(end, 3)),
    ),
  ];
}
