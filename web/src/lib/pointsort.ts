// Points in the order of one of their columns, for a million of them: numbers and codes are sorted, not texts.
import type { EmbeddingData } from "./points";

/** The points by a column ("point", "image", "class", "column:NAME"; "-" before it: the other way round); missing values last, ties by number. */
export function sortPoints(data: EmbeddingData, points: ArrayLike<number> | null, by: string): Int32Array {
  const order = points ? Int32Array.from(points) : Int32Array.from({ length: data.count }, (_, i) => i);
  const falling = by.startsWith("-");
  const ranks = ranksOf(data, falling ? by.slice(1) : by);
  if (!ranks) return order;
  const sign = falling ? -1 : 1;
  return order.sort((a, b) => {
    const [x, y] = [ranks[a], ranks[b]];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) return a - b;
    if (Number.isNaN(x)) return 1;
    if (Number.isNaN(y)) return -1;
    return sign * (x - y);
  });
}

function ranksOf(data: EmbeddingData, by: string): ArrayLike<number> | null {
  if (by === "point") return Int32Array.from({ length: data.count }, (_, i) => i);
  if (by === "image") return data.index;
  if (by === "class") return rankedCodes(data.label, data.classes);
  const column = by.startsWith("column:") ? data.column(by.slice("column:".length)) : undefined;
  if (!column) return null;
  if (column.type === "number") return column.values;
  if (column.type === "category") return rankedCodes(column.codes, column.values);
  const texts = Array.from({ length: data.count }, (_, i) => column.text(i));
  return placesOf(texts);
}

function rankedCodes(codes: ArrayLike<number>, values: readonly string[]): Float32Array {
  const places = placesOf(values);
  return Float32Array.from({ length: codes.length }, (_, i) => places[codes[i]] ?? Number.NaN);
}

/** Where each text stands among all of them; NaN for empty ones. */
function placesOf(texts: readonly string[]): Float64Array {
  const collator = new Intl.Collator(undefined, { numeric: true });
  const order = Array.from(texts.keys()).sort((a, b) => collator.compare(texts[a], texts[b]));
  const places = new Float64Array(texts.length);
  order.forEach((i, place) => {
    const same = place > 0 && texts[order[place - 1]] === texts[i];
    places[i] = !texts[i] ? Number.NaN : same ? places[order[place - 1]] : place;
  });
  return places;
}
