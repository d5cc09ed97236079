// The tool bar of weight gradients: which groups, what of the inputs, which scale and order.
import { type Control, type Option, segmented, select, slider } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import type { GradientData, Part } from "../../lib/gradientdata";
import { groupText } from "../../lib/groups";
import type { Change } from "../../lib/route";

export const SORTS = ["index", "norm", "difference"] as const;
export const SCALES = ["layer", "group", "filter"] as const;
export const SHOWS = ["both", "difference"] as const;
export type Sort = (typeof SORTS)[number];
export type Scale = (typeof SCALES)[number];
export type Show = (typeof SHOWS)[number];

export interface GradientChoices {
  readonly data: GradientData;
  readonly group: number;
  /** -1: nothing. */
  readonly other: number;
  readonly part: Part;
  readonly sort: Sort;
  readonly scale: Scale;
  readonly show: Show;
}

export class GradientTools {
  readonly el = h("span", { class: "control-slot study-choices" });
  readonly sort: Control<Sort>;
  readonly scale: Control<Scale>;
  readonly show: Control<Show>;
  readonly #inputs: ReturnType<typeof slider>;
  readonly #parts = h("span", { class: "control-slot" });
  #part: Control<"sum" | "rgb" | "one"> | undefined;
  #key = "";

  constructor(private readonly set: (change: Change) => void) {
    const usual = (key: string, first: string) => (value: string) =>
      set({ [key]: value === first ? null : value });
    this.sort = segmented<Sort>(
      "Sort",
      [
        { value: "index", text: "Index", title: "The order of the network" },
        { value: "norm", text: "Norm", title: "Largest L2 norm of the gradient first" },
        { value: "difference", text: "Difference", title: "Largest L2 norm of the drawn difference first" },
      ],
      "index",
      usual("sort", "index"),
    );
    this.scale = segmented<Scale>(
      "Scale",
      [
        { value: "layer", text: "Layer", title: "One scale for all groups and filters" },
        { value: "group", text: "Shown", title: "One scale for the groups that are shown" },
        { value: "filter", text: "Each", title: "Every filter stretched to its own largest value" },
      ],
      "layer",
      usual("scale", "layer"),
    );
    this.show = segmented<Show>(
      "Show",
      [
        { value: "both", text: "Both" },
        { value: "difference", text: "Difference", title: "This minus the other" },
      ],
      "both",
      usual("show", "both"),
    );
    this.#inputs = slider("Input", { min: 0, max: 0, step: 1 }, 0, (i) => set({ inputs: i }), String);
  }

  /** What belongs in the tool bar. */
  get parts(): HTMLElement[] {
    return [this.el, this.show.el, this.#parts, this.#inputs.el, this.sort.el, this.scale.el];
  }

  update({ data, group, other, part, sort, scale, show }: GradientChoices): void {
    const key = JSON.stringify([data.run, data.record.id]);
    if (key !== this.#key) this.#make(data);
    this.#key = key;
    const [first, second] = this.el.querySelectorAll("select");
    first.value = String(group);
    second.value = other < 0 ? "" : String(other);
    this.sort.set(sort);
    this.scale.set(scale);
    this.show.set(show);
    this.show.el.hidden = other < 0;
    const buttons = this.sort.el.querySelectorAll("button");
    buttons[2].hidden = other < 0;
    this.#part?.set(typeof part === "number" ? "one" : part);
    this.#parts.hidden = data.shape.input < 2;
    this.#inputs.el.hidden = typeof part !== "number" || data.shape.input < 2;
    this.#inputs.limit({ min: 0, max: data.shape.input - 1, step: 1 });
    this.#inputs.set(typeof part === "number" ? part : 0);
  }

  #make(data: GradientData): void {
    const groups = data.groups.map((group, g) => ({ value: String(g), text: groupText(group) }));
    put(
      this.el,
      select("Group", groups, "0", (of) => this.set({ of: of === "0" ? null : of })).el,
      select("Compare with", [{ value: "", text: "nothing" }, ...groups], "", (other) =>
        this.set({ with: other }),
      ).el,
    );
    const options: Option<"sum" | "rgb" | "one">[] = [
      { value: "sum", text: "Sum", title: "The sum over all inputs" },
      ...(data.colours
        ? [{ value: "rgb", text: "Colours", title: "Red, green and blue around mid-grey" } as const]
        : []),
      { value: "one", text: "One", title: "One input channel of every filter" },
    ];
    this.#part = segmented("Inputs", options, "sum", (v) =>
      this.set({ inputs: v === "sum" ? null : v === "one" ? 0 : v }),
    );
    put(this.#parts, this.#part.el);
  }
}
