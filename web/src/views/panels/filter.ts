// One filter enlarged: its numbers, what it is like, its input slices, and the feature map that it makes of a picture.
import { signedIndex, table } from "../../lib/colour";
import { h, put } from "../../lib/dom";
import { type FilterData, flagsOf, printedScale } from "../../lib/filterdata";
import { fetchMap, type MapPicture } from "../../lib/filtermaps";
import { type Drawing, sliceEnergies } from "../../lib/filters";
import { count, number, percent } from "../../lib/format";
import { type Fact, facts, isAbort } from "../../lib/frame";
import type { NumberArray, Source } from "../../source/source";
import { filterCanvas, paintFilter } from "./filtercell";
import { mapFigure } from "./filterhover";

const CHANNELS = ["red", "green", "blue"];
const MAP_SIDE = 280;
/** Larger kernels are shown as a picture only. */
const MOST_CELLS = 256;

/** What the panel shows of a filter, and where it leads. */
export interface Chosen {
  readonly data: FilterData;
  readonly filter: number;
  readonly drawing: Drawing;
  readonly scale: number;
  readonly largestNorm: number;
  readonly pictures: readonly MapPicture[];
  readonly picture: MapPicture | undefined;
  /** Pages of the same channel, by name. */
  readonly links: readonly { readonly text: string; readonly href: string }[];
  readonly hrefOf: (filter: number) => string;
}

export class FilterPanel {
  readonly el = h("aside", { class: "panel", "aria-label": "Chosen filter", hidden: true });
  readonly #map = h("div", { class: "panel-map" });
  readonly #large = h("div", { class: "panel-weights" });
  readonly #weights = h("div", { class: "panel-weights" });
  #controller = new AbortController();
  #key = "";

  constructor(
    private readonly source: Source,
    private readonly close: () => void,
    private readonly choosePicture: (name: string) => void,
  ) {}

  hide(): void {
    this.#controller.abort();
    this.#key = "";
    this.el.hidden = true;
  }

  show(chosen: Chosen): void {
    const { data, filter, drawing, scale, picture, links } = chosen;
    const key = JSON.stringify([data.run, data.record.id, filter, drawing, scale, picture?.id, links]);
    if (key === this.#key) return;
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#key = key;
    this.el.hidden = false;
    const close = {
      type: "button",
      class: "icon-button",
      "aria-label": "Close",
      onclick: this.close,
    } as const;
    put(
      this.el,
      h(
        "header",
        { class: "panel-head" },
        h("h2", { class: "num" }, `Filter ${filter}`),
        h("button", close, "×"),
      ),
      this.#flags(data, filter),
      facts(factsOf(chosen)),
      this.#nearest(chosen),
      this.#large,
      this.#map,
      links.length
        ? h(
            "p",
            { class: "panel-links" },
            ...links.map(({ text, href }) => h("a", { class: "button", href }, text)),
          )
        : null,
      this.#weights,
    );
    put(this.#large, h("p", { class: "loading" }, "Loading its weights …"));
    put(this.#weights);
    this.#drawWeights(chosen);
    this.#drawMap(chosen);
  }

  #flags(data: FilterData, o: number): HTMLElement | null {
    const found = data.health.filter(({ bit }) => data.flags[o] & bit);
    if (!found.length) return null;
    return h(
      "ul",
      { class: "panel-flags" },
      ...found.map(({ name, formula }) =>
        h("li", {}, h("b", { class: `flag ${name.replace(" ", "-")}` }, name), ` ${formula}`),
      ),
    );
  }

  #nearest({ data, filter, hrefOf }: Chosen): HTMLElement | null {
    const other = data.nearest?.[filter] ?? -1;
    if (other < 0) return null;
    const cosine = data.cosine?.[filter] ?? 0;
    return h(
      "p",
      { class: "panel-nearest num" },
      cosine < 0 ? "Most like the negative of " : "Most like ",
      h("a", { href: hrefOf(other) }, `filter ${other}`),
      `: cosine ${number(cosine, 3)}`,
    );
  }

  #drawWeights(chosen: Chosen): void {
    const { data, filter } = chosen;
    const { signal } = this.#controller;
    const here = data.weight.have(filter);
    if (here) return this.#weightsOf(chosen, here);
    data.weight.want(filter, signal).then(
      (row) => {
        if (!signal.aborted) this.#weightsOf(chosen, row);
      },
      () => {
        if (!signal.aborted) put(this.#large, "These weights could not be loaded.");
      },
    );
  }

  /** The filter large, its weights as numbers, and all its slices. */
  #weightsOf({ data, filter, drawing, scale }: Chosen, row: NumberArray): void {
    const { shape } = data;
    const strongest = data.strongest[filter];
    const shown: Drawing = drawing.kind === "strongest" ? { kind: "slice", input: strongest } : drawing;
    const large = filterCanvas(shape, shown, `filter ${filter} enlarged`, "filter-large");
    paintFilter(large, row, shape, shown, scale);
    const inputs =
      shown.kind === "colour" ? shown.inputs : shown.kind === "slice" ? [shown.input] : [strongest];
    const named = (input: number, i: number): string =>
      shown.kind === "colour" ? CHANNELS[i] : `input ${input}`;
    const small = shape.height * shape.width <= MOST_CELLS;
    put(this.#large, large);
    put(
      this.#weights,
      shown.kind === "slice" && shape.input > 1 ? slices(data, filter, row, scale) : null,
      ...inputs.map((input, i) => (small ? matrix(data, row, input, named(input, i), scale) : null)),
    );
  }

  #drawMap({ data, filter, pictures, picture }: Chosen): void {
    put(this.#map);
    if (!picture) return;
    const { signal } = this.#controller;
    const field = h(
      "select",
      { "aria-label": "Picture of the feature map" },
      ...pictures.map(({ tag, name }) => h("option", { value: tag, selected: tag === picture.tag }, name)),
    );
    field.addEventListener("change", () => this.choosePicture(field.value));
    const head = h("p", { class: "panel-map-head" }, "Feature map of ", field);
    put(this.#map, head);
    fetchMap(this.source, data.run, picture, data.layer, filter, signal).then(
      (map) => {
        if (!signal.aborted)
          put(this.#map, ...(map ? [head, mapFigure(map, filter, picture.name, MAP_SIDE)] : []));
      },
      (error: unknown) => {
        if (!signal.aborted && !isAbort(error)) put(this.#map, head, "It could not be loaded.");
      },
    );
  }
}

function factsOf({ data, filter, scale, largestNorm }: Chosen): Fact[] {
  const share = data.norm[filter] / largestNorm;
  const found: Fact[] = [
    { name: "L2 norm", value: number(data.norm[filter]) },
    { name: "of the largest", value: percent(share) },
  ];
  if (data.l1) found.push({ name: "L1 norm", value: number(data.l1[filter]) });
  found.push({ name: "largest |w|", value: number(data.largest[filter]) });
  const smoothness = data.smoothness?.[filter] ?? Number.NaN;
  if (!Number.isNaN(smoothness))
    found.push({ name: "smoothness", value: number(smoothness, 3), title: "1 is white noise" });
  found.push({
    name: "contrast",
    value: `±${number(printedScale(scale))}`,
    title: "|weight| at full colour",
  });
  if (flagsOf(data, filter).includes("dead")) found.push({ name: "health", value: "nothing learned" });
  return found;
}

/** All input slices of a filter on one canvas, and which of them are the longest. */
function slices(data: FilterData, filter: number, row: NumberArray, scale: number): HTMLElement {
  const { shape } = data;
  const energies = sliceEnergies(row, shape);
  const total = energies.reduce((sum, energy) => sum + energy, 0);
  const best = Array.from(energies.keys())
    .sort((a, b) => energies[b] - energies[a] || a - b)
    .slice(0, 3)
    .map((i) => `input ${i} (${percent(total ? energies[i] / total : 0)})`);
  const canvas = filterCanvas(
    shape,
    { kind: "all" },
    `all input slices of filter ${filter}`,
    "filter-slices",
  );
  paintFilter(canvas, row, shape, { kind: "all" }, scale);
  return h(
    "figure",
    { class: "map-figure" },
    canvas,
    h(
      "figcaption",
      { class: "num muted" },
      `All ${count(shape.input)} slices; most of the energy: ${best.join(", ")}`,
    ),
  );
}

/** The weights of one slice as a table of numbers. */
function matrix(data: FilterData, row: NumberArray, i: number, name: string, scale: number): HTMLElement {
  const { height, width } = data.shape;
  const colours = table("diverging");
  const rows = Array.from({ length: height }, (_, y) => {
    const cells = Array.from({ length: width }, (_, x) => {
      const value = row[(i * height + y) * width + x];
      const c = 3 * signedIndex(value, scale);
      const light = colours[c] * 0.3 + colours[c + 1] * 0.59 + colours[c + 2] * 0.11 > 130;
      const style = {
        background: `rgb(${colours[c]} ${colours[c + 1]} ${colours[c + 2]})`,
        color: light ? "#1a1a1a" : "#ffffff",
      };
      const title = `row ${y}, column ${x}: ${number(value, 6)}`;
      return h("td", { style, title }, width <= 7 ? number(value, 2) : "");
    });
    return h("tr", {}, ...cells);
  });
  return h("table", { class: "matrix num" }, h("caption", {}, `Weights, ${name}`), h("tbody", {}, ...rows));
}
