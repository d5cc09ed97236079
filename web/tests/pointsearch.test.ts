import { describe, expect, it } from "vitest";
import cases from "../../tests/data/search_cases.json";
import { categories, numbers, type PointColumn, TextRows } from "../src/lib/pointcolumns";
import { findPoints, parseQuery, pointsIn, QueryError, tierShown } from "../src/lib/pointquery";
import type { EmbeddingData } from "../src/lib/points";

interface Table {
  label_names: string[];
  labels: number[];
  columns: Record<string, { type: string; values: (string | number)[] }>;
  cases: { query: string; error?: boolean; exact?: number[]; word?: number[]; part?: number[] }[];
}

const table = cases as Table;

function textRows(texts: readonly string[]): TextRows {
  const parts = texts.map((text) => new TextEncoder().encode(text));
  const offset = new Float64Array(texts.length + 1);
  parts.forEach((part, i) => {
    offset[i + 1] = offset[i] + part.length;
  });
  const bytes = new Uint8Array(offset[texts.length]);
  parts.forEach((part, i) => {
    bytes.set(part, offset[i]);
  });
  return new TextRows(bytes, offset);
}

function columnOf(
  name: string,
  { type, values }: { type: string; values: (string | number)[] },
): PointColumn {
  if (type === "number") return numbers(name, Float64Array.from(values as number[]));
  const texts = values as string[];
  if (type === "text") {
    const rows = textRows(texts);
    return { type: "text", name, text: (i) => rows.text(i), rows, load: () => Promise.resolve(rows) };
  }
  const distinct = [...new Set(texts)].sort();
  return categories(
    name,
    Int32Array.from(texts, (text) => distinct.indexOf(text)),
    distinct,
  );
}

const data = {
  count: table.labels.length,
  label: Int32Array.from(table.labels),
  classes: table.label_names,
  columns: Object.entries(table.columns).map(([name, column]) => columnOf(name, column)),
} as unknown as EmbeddingData;
const never = new AbortController().signal;
const places = (bits: Uint8Array): number[] => [...bits.keys()].filter((i) => bits[i]);

describe("findPoints", () => {
  it.each(table.cases.filter(({ error }) => !error))("finds $query as the table has it", async (one) => {
    const found = await findPoints(one.query, data, never);
    expect({
      exact: places(pointsIn(found, "exact")),
      word: places(pointsIn(found, "word")),
      part: places(pointsIn(found, "part")),
    }).toEqual({ exact: one.exact, word: one.word, part: one.part });
    expect(found.counts.exact).toBe(one.exact?.length);
  });

  it.each(table.cases.filter(({ error }) => error))("says what is wrong with $query", async ({ query }) => {
    await expect(findPoints(query, data, never)).rejects.toThrow(QueryError);
    await expect(findPoints(query, data, never)).rejects.toThrow(/is not a regular expression/);
  });

  it("shows the best tier that has anything, or the wanted one", async () => {
    const found = await findPoints("dog", data, never);
    expect([tierShown(found, undefined), tierShown(found, "part"), tierShown(found, "none")]).toEqual([
      "exact",
      "part",
      "exact",
    ]);
    expect(tierShown(await findPoints("zebra", data, never), undefined)).toBeNull();
  });

  it("ends when it is no longer wanted", async () => {
    const texts = textRows(Array.from({ length: 60_000 }, (_, i) => `dog ${i}`));
    const column: PointColumn = {
      type: "text",
      name: "t",
      text: () => "",
      rows: texts,
      load: async () => texts,
    };
    const many = { ...data, count: 60_000, label: new Int32Array(60_000), columns: [column] };
    const stop = new AbortController();
    const search = findPoints("dog", many, stop.signal);
    stop.abort();
    await expect(search).rejects.toThrow(/abort/i);
  });
});

describe("parseQuery", () => {
  it("takes a colon after no column as text", () => {
    expect(parseQuery("colour:red", ["split"])[0]).toMatchObject({ text: "colour:red", column: "" });
    expect(parseQuery('SPLIT:"a b"', ["split"])[0]).toMatchObject({ text: "a b", column: "split" });
  });
});
