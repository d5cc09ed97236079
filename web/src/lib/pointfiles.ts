// Points as files: a table with positions and columns, the numbers of a selection.
import { csv } from "./download";
import type { EmbeddingData } from "./points";

/** All or some points as CSV: number, picture, class, position and every column. Texts have to be loaded before. */
export function pointsTable(
  data: EmbeddingData,
  points: ArrayLike<number> | null,
  positions: Float32Array,
  flat: boolean,
): string {
  const axes = flat ? ["x", "y"] : ["x", "y", "z"];
  const head = ["point", "image", "label", "class", ...axes, ...data.columns.map(({ name }) => name)];
  function* rows(): Generator<(string | number)[]> {
    const n = points?.length ?? data.count;
    for (let k = 0; k < n; k++) {
      const i = points ? points[k] : k;
      yield [
        i,
        data.index[i],
        data.label[i],
        data.label[i] < 0 ? "" : data.className(data.label[i]),
        ...axes.map((_, d) => Number(positions[3 * i + d].toPrecision(6))),
        ...data.columns.map((column) =>
          column.type === "number"
            ? Number.isNaN(column.values[i])
              ? ""
              : column.values[i]
            : column.text(i),
        ),
      ];
    }
  }
  return csv(head, rows());
}

/** The numbers of the points and of their pictures, with what they are of. */
export function pointsJson(data: EmbeddingData, points: ArrayLike<number>): string {
  const { run, record, layer, network, dataset } = data;
  return JSON.stringify({
    run,
    tag: record.tag,
    step: record.step,
    layer,
    network,
    dataset,
    points: Array.from(points),
    index: Array.from(points, (i) => data.index[i]),
  });
}
