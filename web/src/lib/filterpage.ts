// What the page of a layer's filters says in words and numbers.
import { type FilterData, flagsOf, printedScale } from "./filterdata";
import type { Drawing } from "./filters";
import { count, number, times } from "./format";
import { type Fact, hiddenTable } from "./frame";

/** The numbers that qualify the page; `scale`: |weight| at full contrast, null if each filter has its own. */
export function filterFacts(data: FilterData, other: FilterData | undefined, scale: number | null): Fact[] {
  const { norm, shape, groups } = data;
  const sorted = Float64Array.from(norm).sort();
  const each = `${times(shape.height, shape.width)}, ${count(shape.input)} ${shape.input === 1 ? "input" : "inputs"}`;
  const largest = Float64Array.from(data.largest).reduce((a, b) => Math.max(a, b), 0);
  const facts: Fact[] = [
    { name: "filters", value: count(shape.out) },
    { name: "each", value: groups > 1 ? `${each}, ${count(groups)} groups` : each },
    {
      name: "scale",
      value: scale === null ? "each its own" : `±${number(printedScale(scale))}`,
      title: `|weight| at full contrast; the largest |weight| is ${number(largest)}`,
    },
    {
      name: "L2 norm",
      value: `${number(sorted[0], 3)} … ${number(sorted[shape.out - 1], 3)}`,
      title: `median ${number(sorted[shape.out >> 1])}`,
    },
  ];
  if (other) {
    const { run, record } = other;
    facts.push({ name: "beside", value: `${run} · ${record.tag}, step ${count(record.step)}` });
  }
  return facts;
}

/** How the pictures are to be read. */
export function explainFilters({ shape }: FilterData, { kind }: Drawing): string {
  const signs = "red is positive, blue negative, grey zero";
  if (kind === "colour")
    return "The weights of each filter as a colour picture: mid-grey is zero, so what a filter reacts to stands out from grey.";
  if (shape.input === 1)
    return `The weights of each filter: ${signs}. The bar below is the filter's L2 norm.`;
  if (kind === "all") return `All input slices of each filter, by input from the top left: ${signs}.`;
  return `One input slice of each filter: ${signs}. “Strongest” takes the slice with the largest norm.`;
}

/** The same page for those who cannot see the pictures. */
export function filterTable(data: FilterData, filters: readonly number[]): HTMLElement {
  const known = (value: number | undefined): string =>
    value === undefined || Number.isNaN(value) ? "" : number(value, 3);
  const rows = filters.map((o) => {
    const nearest = data.nearest?.[o] ?? -1;
    const alike = nearest < 0 ? ["", ""] : [nearest, known(data.cosine?.[o])];
    return [o, known(data.norm[o]), known(data.smoothness?.[o]), ...alike, flagsOf(data, o).join(", ")];
  });
  const head = ["filter", "L2 norm", "smoothness", "most like", "cosine", "flags"];
  return hiddenTable("Filters by number", head, rows);
}
