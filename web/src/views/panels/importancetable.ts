// The columns of the table of important filters: number, every measure, rank, and both classes where two are compared.
import { h } from "../../lib/dom";
import { type CsvCell, csv } from "../../lib/download";
import { exact, number } from "../../lib/format";
import { type ImportanceData, measureMeaning, measureName, valuesOf } from "../../lib/importancedata";
import { ranks } from "../../lib/ranks";
import type { NumberArray } from "../../source/source";
import type { Column } from "./rowtable";

export function importanceColumns(
  data: ImportanceData,
  measure: number,
  group: number,
  other: number,
  href: (filter: number) => string | undefined,
): Column[] {
  const columns: Column[] = [
    {
      name: "filter",
      value: (o) => o,
      cell: (o) => {
        const to = href(o);
        return to ? h("a", { href: to }, o) : o;
      },
    },
  ];
  data.measures.forEach((name, m) => {
    const values = valuesOf(data, m, group);
    columns.push(numbers(measureName(name), measureMeaning(name), values));
  });
  const [own, others] = [
    valuesOf(data, measure, group),
    other < 0 ? undefined : valuesOf(data, measure, other),
  ];
  const name = measureName(data.measures[measure]);
  columns.push(rankColumn("rank", `By ${name}; 1 is the most important`, own));
  if (others) {
    const of = data.groups[other].className || data.groups[other].name;
    columns.push(numbers(`${name}, ${of}`, `${name} for ${of}`, others));
    columns.push(rankColumn(`rank, ${of}`, `By ${name} for ${of}`, others));
  }
  return columns;
}

function numbers(name: string, title: string, values: NumberArray | undefined): Column {
  return {
    name,
    title,
    value: (o) => values?.[o] ?? Number.NaN,
    cell: (o) => (values ? h("span", { title: exact(values[o]) }, number(values[o])) : "…"),
  };
}

function rankColumn(name: string, title: string, values: NumberArray | undefined): Column {
  const rank = values && ranks(values);
  return { name, title, value: (o) => rank?.[o] ?? Number.NaN, cell: (o) => rank?.[o] ?? "…" };
}

/** Every class and filter with all measures that are here, as a file. */
export function importanceCsv(data: ImportanceData): string {
  const measures = [...data.measures.keys()].filter((m) => data.rows.have(m));
  return csv(["class", "filter", ...measures.map((m) => data.measures[m])], rowsOf(data, measures));
}

function* rowsOf(data: ImportanceData, measures: readonly number[]): Generator<CsvCell[]> {
  for (let g = 0; g < data.groups.length; g++) {
    const values = measures.map((m) => valuesOf(data, m, g));
    const { className, name } = data.groups[g];
    for (let o = 0; o < data.filters; o++) yield [className || name, o, ...values.map((one) => one?.[o])];
  }
}
