// The clipping box: from which to which place, row and column the volume is drawn, in voxels.
import { slider } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { count } from "../../lib/format";
import type { ClipBox } from "../../lib/volumelook";

const AXES = ["Places", "Rows", "Columns"] as const;
export type Sides = readonly [number, number, number];

export class VolumeClip {
  readonly #all = h(
    "button",
    { type: "button", class: "button", onclick: () => this.change(boxOf(this.#sides)) },
    "Whole volume",
  );
  readonly #about = h("p", { class: "muted num", "data-testid": "clip" });
  readonly #sliders = AXES.flatMap((axis, i) =>
    ["from", "to"].map((end, j) =>
      slider(
        `${axis} ${end}`,
        { min: 0, max: 0, step: 1 },
        0,
        (value) => this.#moved(2 * i + j, value),
        String,
      ),
    ),
  );
  readonly el = h(
    "section",
    { class: "block clip", "aria-label": "Clipping box" },
    h("h3", {}, "Clipping box"),
    ...this.#sliders.map(({ el }) => el),
    this.#about,
    this.#all,
  );
  #box: ClipBox = [0, 0, 0, 0, 0, 0];
  #sides: Sides = [1, 1, 1];

  constructor(private readonly change: (box: ClipBox) => void) {}

  show(box: ClipBox, sides: Sides): void {
    this.#box = box;
    this.#sides = sides;
    this.#sliders.forEach((one, i) => {
      one.limit({ min: 0, max: sides[i >> 1] - 1, step: 1 });
      one.set(box[i]);
    });
    const left = [0, 1, 2].map((axis) => box[2 * axis + 1] - box[2 * axis] + 1);
    const [all, some] = [sides, left].map((part) => part.reduce((product, side) => product * side, 1));
    put(this.#about, `${left.join(" × ")} of ${sides.join(" × ")} voxels (${count(some)} of ${count(all)}).`);
    this.#all.disabled = some === all;
  }

  /** An end that passes the other one takes it along. */
  #moved(which: number, value: number): void {
    const box = [...this.#box];
    const other = which ^ 1;
    box[which] = value;
    box[other] = which % 2 ? Math.min(box[other], value) : Math.max(box[other], value);
    this.change(box as unknown as ClipBox);
  }
}

const boxOf = (sides: Sides): ClipBox => sides.flatMap((side) => [0, side - 1]) as unknown as ClipBox;
