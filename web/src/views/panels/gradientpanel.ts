// One filter's gradient enlarged: its pictures, its numbers, its norm in every group.
import { signedIndex, table } from "../../lib/colour";
import { type Child, h } from "../../lib/dom";
import { number } from "../../lib/format";
import type { Fact } from "../../lib/frame";
import { shownValues } from "../../lib/gradientdata";
import { groupText } from "../../lib/groups";
import { type GradientLook, gradientCanvas, scaleOf, tilesOf } from "./gradientcell";
import type { Column } from "./rowtable";

/** Larger kernels, and the colours of a filter, are shown as pictures only. */
const MOST_CELLS = 169;
const MOST_GROUPS = 12;

/** The numbers of a filter in one group, or in two. */
export function gradientFacts(look: GradientLook, group: number, other: number, o: number): Fact[] {
  const { data, norms } = look;
  const normOf = (g: number): number => data.norm[g * data.shape.out + o];
  const facts: Fact[] = [
    { name: "L2 norm", value: number(normOf(group)), title: "Of the whole gradient, all inputs" },
  ];
  if (other >= 0)
    facts.push(
      { name: "of the other", value: number(normOf(other)) },
      { name: "difference", value: number(norms[o]), title: "L2 norm of the drawn difference" },
    );
  facts.push({ name: "scale", value: `±${number(scaleOf(look, o))}` });
  return facts;
}

/** The pictures of a filter, its values as a table, and its norms in other groups. */
export function gradientDetail(look: GradientLook, o: number): Child[] {
  const scale = scaleOf(look, o);
  const tiles = tilesOf(look, o);
  const pictures = tiles.map((tile) =>
    h(
      "figure",
      { class: "map-figure" },
      gradientCanvas(look, { ...tile, label: `${tile.label}, enlarged` }, scale, "filter-large"),
      tile.name ? h("figcaption", { class: "muted" }, tile.name) : null,
    ),
  );
  return [h("div", { class: "panel-tiles" }, ...pictures), matrix(look, o, scale), groupsOf(look, o)];
}

function matrix(look: GradientLook, o: number, scale: number): HTMLElement | null {
  const { height, width } = look.data.shape;
  if (look.part === "rgb" || height * width > MOST_CELLS) return null;
  const { values, name } = tilesOf(look, o)[0];
  const [plane] = shownValues(look.data, look.part, values);
  const colours = table("diverging");
  const cell = (value: number): HTMLElement => {
    const at = 3 * signedIndex(value, scale);
    const [red, green, blue] = colours.subarray(at, at + 3);
    const ink = 0.299 * red + 0.587 * green + 0.114 * blue > 130 ? "#000" : "#fff";
    return h(
      "td",
      {
        class: "num",
        title: number(value, 6),
        style: { background: `rgb(${red}, ${green}, ${blue})`, color: ink },
      },
      short(value),
    );
  };
  const rows = Array.from({ length: height }, (_, y) =>
    h("tr", {}, ...Array.from({ length: width }, (_, x) => cell(plane[y * width + x]))),
  );
  return h(
    "div",
    { class: "study-scroll", role: "region", tabindex: 0, "aria-label": "Values by row and column" },
    h(
      "table",
      { class: "matrix" },
      h("caption", {}, `values${name && `, ${name}`}, by row and column`),
      h("tbody", {}, ...rows),
    ),
  );
}

/** Two digits are what has room. */
const short = (value: number): string => number(value, 2).replace(/^(−?)0\./, "$1.");

function groupsOf({ data }: GradientLook, o: number): HTMLElement | null {
  if (data.groups.length < 2) return null;
  const rows = data.groups
    .map((group, g) => ({ text: groupText(group), norm: data.norm[g * data.shape.out + o] }))
    .sort((a, b) => b.norm - a.norm)
    .slice(0, MOST_GROUPS);
  const most = rows[0].norm;
  return h(
    "section",
    {},
    h("h3", {}, "Its norm in the groups"),
    h(
      "ol",
      { class: "norm-list" },
      ...rows.map(({ text, norm }) =>
        h(
          "li",
          {},
          h("span", {}, text),
          h("b", { class: "num" }, number(norm, 3)),
          h(
            "i",
            { class: "strip", "aria-hidden": "true" },
            h("i", { style: { width: `${most > 0 ? (100 * norm) / most : 0}%` } }),
          ),
        ),
      ),
    ),
  );
}

/** The columns of the table of filters: their norms in one group, or in two, and that of the difference. */
export function gradientColumns(
  { data, norms }: GradientLook,
  group: number,
  other: number,
  href: (filter: number) => string,
): Column[] {
  const column = (name: string, value: (o: number) => number): Column => ({
    name,
    value,
    cell: (o) => number(value(o)),
  });
  const normOf = (g: number) =>
    column(`L2 norm, ${data.groups[g].name}`, (o) => data.norm[g * data.shape.out + o]);
  return [
    { name: "filter", value: (o) => o, cell: (o) => h("a", { href: href(o) }, o) },
    normOf(group),
    ...(other < 0 ? [] : [normOf(other), column("difference", (o) => norms[o])]),
  ];
}
