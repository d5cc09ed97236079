// Spearman's rank correlation of two columns, exactly: Pearson's correlation of the ranks, ties with their mean rank.
import type { Cell, Column } from "./hparams";

export interface Correlation {
  /** From −1 to 1; NaN where it is not defined: fewer than three runs, or one of both is constant. */
  readonly rho: number;
  /** In so many runs both are there. */
  readonly n: number;
}

/** A cell as a number that has a rank: numbers with infinities, truth values as 0 and 1; NaN for all else. */
export function rankable(cell: Cell): number {
  return typeof cell === "number" || typeof cell === "boolean" ? Number(cell) : Number.NaN;
}

/** Whether a column has any values that can be ranked, and no texts. */
export const isRankable = (column: Column): boolean =>
  column.distinct > 1 && column.cells.every((cell) => typeof cell !== "string");

/** Mean ranks (from 1) of `values`, given the places of its entries in ascending order. */
function ranksIn(values: Float64Array, order: readonly number[]): Float64Array {
  const ranks = new Float64Array(values.length);
  for (let i = 0; i < order.length; ) {
    let end = i + 1;
    while (end < order.length && values[order[end]] === values[order[i]]) end++;
    for (let k = i; k < end; k++) ranks[order[k]] = (i + 1 + end) / 2;
    i = end;
  }
  return ranks;
}

/** A column prepared once, so that it can be ranked among any runs without sorting anew. */
export class Ranked {
  readonly values: Float64Array;
  readonly #order: readonly number[];

  constructor(cells: readonly Cell[], rows: readonly number[]) {
    this.values = Float64Array.from(rows, (row) => rankable(cells[row]));
    const numbers = rows.map((_, i) => i).filter((i) => !Number.isNaN(this.values[i]));
    this.#order = numbers.sort((a, b) =>
      this.values[a] < this.values[b] ? -1 : this.values[a] > this.values[b] ? 1 : 0,
    );
  }

  /** Over the rows where both have a number. */
  with(other: Ranked): Correlation {
    const both = (i: number): boolean => !Number.isNaN(this.values[i]) && !Number.isNaN(other.values[i]);
    const order = this.#order.filter(both);
    const [a, b] = [ranksIn(this.values, order), ranksIn(other.values, other.#order.filter(both))];
    return { rho: pearson(a, b, order), n: order.length };
  }
}

function pearson(a: Float64Array, b: Float64Array, at: readonly number[]): number {
  if (at.length < 3) return Number.NaN;
  const mean = (at.length + 1) / 2; // of ranks, ties or not
  let [ab, aa, bb] = [0, 0, 0];
  for (const i of at) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) ** 2;
    bb += (b[i] - mean) ** 2;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : Number.NaN;
}

/** Spearman's correlation of two columns over some rows. */
export const spearman = (a: readonly Cell[], b: readonly Cell[], rows: readonly number[]): Correlation =>
  new Ranked(a, rows).with(new Ranked(b, rows));
