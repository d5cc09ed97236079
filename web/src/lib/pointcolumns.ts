// Columns of metadata of an embedding, typed: numbers, categories as codes, texts as bytes that are read when needed.
import type { Json, NumberArray, Tensor } from "../source/source";
import { number } from "./format";

interface Named {
  readonly name: string;
  /** What the column says of a point; empty where it says nothing. */
  text(point: number): string;
}

export interface NumberColumn extends Named {
  readonly type: "number";
  /** (N,), NaN where missing. */
  readonly values: NumberArray;
}

export interface CategoryColumn extends Named {
  readonly type: "category";
  /** (N,) places in `values`, -1 where missing. */
  readonly codes: NumberArray;
  readonly values: readonly string[];
}

export interface TextColumn extends Named {
  readonly type: "text";
  /** Fetch the texts: until then `text` is empty. */
  load(): Promise<TextRows>;
  /** The texts where they are here. */
  readonly rows: TextRows | undefined;
}

export type PointColumn = NumberColumn | CategoryColumn | TextColumn;

/** The columns that a record's meta lists; `ask` fetches the arrays of a text column. */
export function columnsOf(
  meta: Json | undefined,
  arrays: Readonly<Record<string, Tensor>>,
  ask: (names: readonly string[]) => Promise<Readonly<Record<string, Tensor>>>,
): PointColumn[] {
  if (!Array.isArray(meta)) return [];
  return meta.flatMap((entry, i): PointColumn[] => {
    const { name, type, values } = (entry ?? {}) as Record<string, Json>;
    if (typeof name !== "string") return [];
    const array = arrays[`column_${i}`]?.data;
    if (type === "number" && array) return [numbers(name, array)];
    if (type === "category" && array) return [categories(name, array, textsIn(values))];
    if (type === "text") return [new LazyTexts(name, i, ask)];
    return [];
  });
}

/** The arrays that are fetched with the record: all but those of texts. */
export const earlyArrays = (names: readonly string[]): string[] => {
  const texts = new Set(
    names.filter((name) => /^column_\d+_offset$/.test(name)).map((name) => name.slice(0, -"_offset".length)),
  );
  return names.filter((name) => /^column_\d+$/.test(name) && !texts.has(name));
};

const textsIn = (values: Json | undefined): string[] =>
  Array.isArray(values) ? values.map((value) => String(value ?? "")) : [];

export const numbers = (name: string, values: NumberArray): NumberColumn => ({
  type: "number",
  name,
  values,
  text: (point) => (Number.isNaN(values[point] ?? Number.NaN) ? "" : number(values[point], 6)),
});

export const categories = (name: string, codes: NumberArray, values: readonly string[]): CategoryColumn => ({
  type: "category",
  name,
  codes,
  values,
  text: (point) => values[codes[point]] ?? "",
});

/** Texts of all points as one run of UTF-8 bytes. */
export class TextRows {
  readonly #decoder = new TextDecoder();

  constructor(
    private readonly bytes: Uint8Array,
    /** (N + 1,): where each text begins and the last one ends. */
    private readonly offset: ArrayLike<number>,
  ) {}

  get count(): number {
    return this.offset.length - 1;
  }

  text(row: number): string {
    return this.#decoder.decode(this.bytes.subarray(this.offset[row], this.offset[row + 1]));
  }

  /** The texts of rows `start` … `stop` - 1 and all of them as one; much faster than one after the other. */
  block(start: number, stop: number): { whole: string; row(i: number): string } {
    const from = this.offset[start];
    const part = this.bytes.subarray(from, this.offset[stop]);
    const whole = this.#decoder.decode(part);
    const plain = whole.length === part.length; // only ASCII: characters stand where their bytes do
    return {
      whole,
      row: (i) => (plain ? whole.slice(this.offset[i] - from, this.offset[i + 1] - from) : this.text(i)),
    };
  }
}

class LazyTexts implements TextColumn {
  readonly type = "text";
  rows: TextRows | undefined;
  #asked: Promise<TextRows> | undefined;

  constructor(
    readonly name: string,
    private readonly place: number,
    private readonly ask: (names: readonly string[]) => Promise<Readonly<Record<string, Tensor>>>,
  ) {}

  text(point: number): string {
    return this.rows?.text(point) ?? "";
  }

  load(): Promise<TextRows> {
    this.#asked ??= this.#fetch();
    return this.#asked;
  }

  async #fetch(): Promise<TextRows> {
    const name = `column_${this.place}`;
    const arrays = await this.ask([name, `${name}_offset`]);
    this.rows = new TextRows(arrays[name].data as Uint8Array, arrays[`${name}_offset`].data);
    return this.rows;
  }
}
