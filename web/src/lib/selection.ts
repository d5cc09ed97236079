// Points that are selected: a set of numbers that others listen to, kept as one byte a point.

/** What a new choice does with the points selected so far. */
export type SelectMode = "replace" | "add" | "subtract";

/** What the keys that are held ask for: Ctrl or Cmd adds, Alt takes away. */
export function modeOf(event: { ctrlKey: boolean; metaKey: boolean; altKey: boolean }): SelectMode {
  if (event.altKey) return "subtract";
  return event.ctrlKey || event.metaKey ? "add" : "replace";
}

export class Selection {
  /** (N,): 1 where selected. */
  readonly bits: Uint8Array;
  #size = 0;
  readonly #listeners = new Set<(selection: Selection) => void>();

  constructor(readonly count: number) {
    this.bits = new Uint8Array(count);
  }

  get size(): number {
    return this.#size;
  }

  has(point: number): boolean {
    return this.bits[point] === 1;
  }

  /** The numbers of the points, rising. */
  indices(): Int32Array {
    return indicesOf(this.bits, 1, this.#size);
  }

  /** Numbers that are no points are left out. */
  change(points: ArrayLike<number>, mode: SelectMode = "replace"): void {
    if (mode === "replace") this.#empty();
    const value = mode === "subtract" ? 0 : 1;
    for (let k = 0; k < points.length; k++) {
      const i = points[k];
      if (!(i >= 0 && i < this.count) || this.bits[i] === value) continue;
      this.bits[i] = value;
      this.#size += value ? 1 : -1;
    }
    this.#tell();
  }

  clear(): void {
    if (!this.#size) return;
    this.#empty();
    this.#tell();
  }

  /** Call back after every change; returns the way to stop. */
  subscribe(listener: (selection: Selection) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #empty(): void {
    this.bits.fill(0);
    this.#size = 0;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener(this);
  }
}

/** Where `bytes` are `value`; `most` of them at most. */
export function indicesOf(bytes: Uint8Array, value: number, most: number): Int32Array {
  const found = new Int32Array(most);
  let n = 0;
  for (let i = 0; i < bytes.length && n < most; i++) if (bytes[i] === value) found[n++] = i;
  return found.subarray(0, n);
}

/** Points of one embedding as those of another: the same pictures, known by their number in the data set. */
export function mapped(
  points: ArrayLike<number>,
  from: ArrayLike<number>,
  to: ArrayLike<number>,
): Int32Array {
  const wanted = new Set<number>();
  for (let k = 0; k < points.length; k++) wanted.add(from[points[k]]);
  const found: number[] = [];
  for (let i = 0; i < to.length; i++) if (wanted.has(to[i])) found.push(i);
  return Int32Array.from(found);
}

/** How many points the address names at most; a larger selection lives in this page and in named sets. */
export const MOST_IN_ADDRESS = 50;

/** A selection as the address keeps it: "3,17-20"; empty if it is empty or too large. */
export function selectionText(points: ArrayLike<number>): string {
  if (points.length > MOST_IN_ADDRESS) return "";
  const ranges: string[] = [];
  for (let k = 0; k < points.length; k++) {
    const first = points[k];
    while (k + 1 < points.length && points[k + 1] === points[k] + 1) k++;
    ranges.push(first === points[k] ? String(first) : `${first}-${points[k]}`);
  }
  return ranges.join(",");
}

/** The points that such a text names; what is no number of a point is left out. */
export function selectionOf(text: string, count: number): number[] {
  const points = new Set<number>();
  for (const part of text.split(",")) {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
    if (first === undefined) continue;
    const end = Math.min(Number(last ?? first), count - 1);
    for (let i = Number(first); i <= end && points.size < MOST_IN_ADDRESS; i++) points.add(i);
  }
  return [...points].sort((a, b) => a - b);
}
