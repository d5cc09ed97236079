import { describe, expect, it } from "vitest";
import {
  lineMethods,
  lineOrder,
  type OrderMaps,
  orderData,
  permutationOf,
  shownOrder,
} from "../src/lib/order";
import {
  clustersOf,
  componentOf,
  dendrogramOf,
  GAP,
  layoutLines,
  linePixels,
  lineScale,
  lineValues,
  orderFacts,
  orderName,
  parameterText,
  placeAt,
  triedOf,
  varianceOf,
} from "../src/lib/orderfigures";
import type { Json, RecordMeta, Tensors } from "../src/source/source";

const maps: OrderMaps = {
  channels: 4,
  height: 3,
  width: 2,
  value: (channel, row, column) => 100 * channel + 10 * row + column,
};

const tensor = (...rows: number[][]) => ({
  shape: [rows.length, rows[0].length],
  data: Int32Array.from(rows.flat()),
});

const row = (name: string, more: Record<string, Json> = {}): Json => ({
  name,
  parameters: {},
  explanation: {},
  sentence: "",
  groups: [],
  ...more,
});

function recordOf(meta: Record<string, Json>): RecordMeta {
  return { id: "1", kind: "volume", tag: "conv1", step: 0, wall_time: 0, meta, arrays: {}, pictures: {} };
}

const meta = {
  order: "kmeans:2",
  orders: [row("kmeans:2", { groups: [3, 1], sentence: "2 clusters" }), row("index"), row("pca")],
  row_orders: [
    row("kmeans", { parameters: { row: 0 }, groups: [2, 2] }),
    row("kmeans", { parameters: { row: 2 }, groups: [1, 3] }),
    row("pca", { parameters: { row: 2 } }),
  ],
};
const arrays: Tensors = {
  order: { shape: [4], data: Int32Array.from([3, 1, 0, 2]) },
  orders: tensor([3, 1, 0, 2], [0, 1, 2, 3], [2, 3, 1, 0]),
  row_orders: tensor([0, 2, 1, 3], [1, 0, 2, 3], [3, 2, 1, 0]),
};

describe("the orders of a record", () => {
  it("are those it holds; the stored one is shown unless another one of them is wanted", () => {
    const data = orderData(recordOf(meta), arrays, maps);
    expect(data.orders.map(({ name }) => name)).toEqual(["kmeans:2", "index", "pca"]);
    expect(data.current).toBe("kmeans:2");
    expect(shownOrder(data).sentence).toBe("2 clusters");
    expect(permutationOf(data, data.current)).toEqual([3, 1, 0, 2]);
    expect(orderData(recordOf(meta), arrays, maps, "pca").current).toBe("pca");
    expect(permutationOf(data, "pca")).toEqual([2, 3, 1, 0]);
    expect(orderData(recordOf(meta), arrays, maps, "none").current).toBe("kmeans:2");
  });

  it("of an older record are its one order and that of the network", () => {
    const data = orderData(recordOf({ order: "pca" }), { order: arrays.order }, maps);
    expect(data.orders.map(({ name }) => name)).toEqual(["pca", "index"]);
    expect(permutationOf(data, "pca")).toEqual([3, 1, 0, 2]);
    expect(permutationOf(data, "index")).toEqual([0, 1, 2, 3]);
    expect(orderData(recordOf({}), {}, maps).orders.map(({ name }) => name)).toEqual(["index"]);
    expect(data.rowOrders).toEqual([]);
  });

  it("that are no permutations count as that of the network, and tables that do not fit are left out", () => {
    const broken = { ...arrays, orders: tensor([3, 3, 0, 2], [0, 1, 2, 9], [2, 3, 1, 0]) };
    const data = orderData(recordOf(meta), broken, maps);
    expect(permutationOf(data, "kmeans:2")).toEqual([0, 1, 2, 3]);
    expect(permutationOf(data, "index")).toEqual([0, 1, 2, 3]);
    expect(permutationOf(data, "pca")).toEqual([2, 3, 1, 0]);
    const short = orderData(recordOf(meta), { ...arrays, orders: tensor([0, 1, 2, 3]) }, maps);
    expect(short.orders.map(({ name }) => name)).toEqual(["kmeans:2", "index"]);
  });

  it("of a line are those of that line, else of the nearest, else of the stack", () => {
    const data = orderData(recordOf(meta), arrays, maps);
    expect(lineMethods(data)).toEqual(["kmeans", "pca"]);
    expect(lineOrder(data, "kmeans", 2)).toMatchObject({ permutation: [1, 0, 2, 3], groups: [1, 3], row: 2 });
    expect(lineOrder(data, "kmeans", 0).row).toBe(0);
    expect(lineOrder(data, "pca", 0)).toMatchObject({ permutation: [3, 2, 1, 0], groups: [], row: 2 });
    expect(lineOrder(data, "stack", 1)).toMatchObject({ permutation: [3, 1, 0, 2], groups: [3, 1], row: -1 });
  });
});

const explained = (explanation: Record<string, Json>, parameters: Record<string, Json> = {}) => ({
  name: "kmeans",
  parameters,
  explanation,
  sentence: "",
  groups: [],
});

describe("what explains an order", () => {
  it("is named", () => {
    expect(orderName("pca:2")).toBe("PCA, means removed: 2");
    expect(orderName("kmeans of conv1 @ cat")).toBe("k-means of conv1 @ cat");
    expect(orderName("my own")).toBe("my own");
  });

  it("is told in numbers; what is not known is left out", () => {
    const order = explained(
      { brightness: -0.9449, silhouette: null, inertia: 3 },
      { k: 7, seed: 0, compare: "values" },
    );
    expect(orderFacts(order).map(({ name, value }) => `${name} ${value}`)).toEqual([
      "ρ with brightness −0.945",
      "within clusters 3",
    ]);
    expect(parameterText(order)).toBe("k 7, seed 0, compare values");
    const clusters = explained({ sizes: [3, 1], silhouette_by_cluster: [0.5, 0], tried: [[2, 0.375], "x"] });
    expect(clustersOf(clusters)).toEqual([
      { size: 3, silhouette: 0.5 },
      { size: 1, silhouette: 0 },
    ]);
    expect(triedOf(clusters)).toEqual([[2, 0.375]]);
    expect(varianceOf(explained({ explained_variance: [0.5, 0.25] }))).toEqual([0.5, 0.25]);
    expect(componentOf(explained({ component: 2 }))).toBe(2);
    expect(componentOf(explained({}))).toBe(0);
  });

  it("has a dendrogram over the places, and none where it is no tree", () => {
    const order = explained({ merges: [[0, 2], [1, 3]], heights: [1, 4] }); // biome-ignore format: a tree
    expect(dendrogramOf(order, [1, 0, 2])).toEqual({
      top: 4,
      leaves: 3,
      path: "M1.5 1V0.75H2.5V1M0.5 1V0H2V0.75",
    });
    expect(dendrogramOf(order, [1, 0])).toBeUndefined();
    expect(dendrogramOf(explained({ merges: [[0, 9], [1, 3]], heights: [1, 4] }), [0, 1, 2])).toBeUndefined(); // biome-ignore format: no tree
    expect(dendrogramOf(explained({}), [0])).toBeUndefined();
  });
});

describe("a picture of one line of the image", () => {
  it("has the values of the row in the order", () => {
    expect([...lineValues(maps, [2, 0], 1)]).toEqual([210, 211, 10, 11]);
    expect(lineScale(Float64Array.of(0, 4, 2))).toEqual({ low: 0, high: 4, signed: false, clipped: 0 });
    expect(lineScale(Float64Array.of(-1, 4))).toEqual({ low: -4, high: 4, signed: true, clipped: 0 });
    expect(lineScale(Float64Array.of(3, 3))).toEqual({ low: 3, high: 3, signed: false, clipped: 0 });
  });

  it("ends its scale where 98 % of the values lie", () => {
    const values = Float64Array.from({ length: 200 }, (_, i) => (i < 199 ? i / 100 : 1000));
    const { low, high, clipped } = lineScale(values);
    expect([low, high]).toEqual([0, 1.96]);
    expect(clipped).toBeCloseTo(3 / 200);
    const dark = Float64Array.from({ length: 200 }, (_, i) => (i === 7 ? 5 : 0));
    expect(lineScale(dark)).toEqual({ low: 0, high: 5, signed: false, clipped: 0 });
  });

  it("draws separators between rows and never over one", () => {
    for (const groups of [[], [4], [1, 2, 1], [1, 1, 1, 1]]) {
      const layout = layoutLines(4, groups, 12);
      const gaps = Math.max(0, groups.length - 1);
      expect(layout.separators).toHaveLength(gaps);
      expect(layout.height).toBe(4 * layout.tall + gaps * GAP);
      for (const y of layout.separators) expect(placeAt(layout, y)).toBe(-1);
      for (const [place, top] of layout.tops.entries()) {
        expect(placeAt(layout, top)).toBe(place);
        expect(placeAt(layout, top + layout.tall - 1)).toBe(place);
      }
      const pixels = linePixels(lineValues(maps, [0, 1, 2, 3], 0), 2, layout, {
        low: 0,
        high: 301,
        signed: false,
        clipped: 0,
      });
      const drawn = Array.from({ length: layout.height }, (_, y) => pixels[8 * y + 3] === 255);
      expect(drawn.filter(Boolean)).toHaveLength(4 * layout.tall);
      for (const y of layout.separators) expect(drawn[y]).toBe(false);
    }
  });

  it("of many channels is a pixel a row", () => {
    expect(layoutLines(512, [], 300).tall).toBe(1);
    expect(layoutLines(96, [], 300).tall).toBe(3);
    expect(layoutLines(2, [], 300).tall).toBe(8);
  });
});
