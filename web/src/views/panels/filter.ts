// One filter enlarged, with its weights as numbers.
import { signedIndex, table } from "../../lib/colour";
import { context2d, h, put } from "../../lib/dom";
import type { FilterData } from "../../lib/filterdata";
import { type Drawing, filterPixels, filterShape, largest, strongestInput } from "../../lib/filters";
import { number } from "../../lib/format";
import { facts } from "../../lib/frame";

const CHANNELS = ["red", "green", "blue"];

export class FilterPanel {
  readonly el = h("aside", { class: "panel", "aria-label": "Chosen filter", hidden: true });

  constructor(private readonly open: (filter: number) => void) {}

  show(data: FilterData, o: number, drawing: Drawing, own: boolean): void {
    this.el.hidden = o < 0;
    if (o < 0) return;
    const { height, width } = filterShape(data.weight);
    const scale = own ? largest(data.weight, o) : data.scale;
    const canvas = h("canvas", {
      width,
      height,
      class: "pixelated filter-large",
      role: "img",
      "aria-label": `filter ${o} enlarged`,
    });
    context2d(canvas).putImageData(filterPixels(data.weight, o, drawing, scale), 0, 0);
    const slice =
      drawing.kind === "slice"
        ? drawing.input
        : drawing.kind === "strongest"
          ? strongestInput(data.weight, o)
          : 0;
    const matrices = drawing.kind === "colour" ? drawing.inputs : [slice];
    const named = (input: number, i: number): string =>
      drawing.kind === "colour" ? CHANNELS[i] : `input ${input}`;
    put(
      this.el,
      h(
        "header",
        { class: "panel-head" },
        h("h2", { class: "num" }, `Filter ${o}`),
        h(
          "button",
          { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => this.open(-1) },
          "×",
        ),
      ),
      canvas,
      facts([
        { name: "L2 norm", value: number(data.norm[o]) },
        { name: "largest |w|", value: number(largest(data.weight, o)) },
        { name: "contrast", value: `±${number(scale)}` },
      ]),
      ...matrices.map((input, i) => this.#matrix(data, o, input, named(input, i), scale)),
    );
  }

  #matrix(data: FilterData, o: number, i: number, name: string, scale: number): HTMLElement {
    const { input, height, width } = filterShape(data.weight);
    const colours = table("diverging");
    const start = (o * input + i) * height * width;
    const rows = Array.from({ length: height }, (_, y) => {
      const cells = Array.from({ length: width }, (_, x) => {
        const value = data.weight.data[start + y * width + x];
        const c = 3 * signedIndex(value, scale);
        const light = colours[c] * 0.3 + colours[c + 1] * 0.59 + colours[c + 2] * 0.11 > 130;
        const style = {
          background: `rgb(${colours[c]} ${colours[c + 1]} ${colours[c + 2]})`,
          color: light ? "#1a1a1a" : "#ffffff",
        };
        return h(
          "td",
          { style, title: `row ${y}, column ${x}: ${number(value, 6)}` },
          width <= 7 ? number(value, 2) : "",
        );
      });
      return h("tr", {}, ...cells);
    });
    return h("table", { class: "matrix num" }, h("caption", {}, `Weights, ${name}`), h("tbody", {}, ...rows));
  }
}
