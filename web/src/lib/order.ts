// The orders a volume record holds: which channel stands at each place, how that came about, and what it means.
import type { Json, NumberArray, RecordMeta, Tensors } from "../source/source";
import { numberList, text } from "./topkdata";

/** Arrays of a record that hold permutations, `(n, channels)`; older records have neither. */
export const ORDER_ARRAYS = ["orders", "row_orders"] as const;

type Fields = Readonly<Record<string, Json>>;

/** One stored order, as the record's meta tells of it. */
export interface OrderRow {
  /** What it is called in the address: "pca", "pca:2", "kmeans:7". */
  readonly name: string;
  readonly parameters: Fields;
  readonly explanation: Fields;
  readonly sentence: string;
  /** How many neighbouring places belong together; empty where there are no groups. */
  readonly groups: readonly number[];
}

/** The maps as the panel reads them: decoded values, whatever the voxels are on the wire. */
export interface OrderMaps {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  value(channel: number, row: number, column: number): number;
  /** The float32 value; where it is not given the decoded one is shown, and called so. */
  real?(channel: number, row: number, column: number, signal: AbortSignal): Promise<number>;
}

/** What {@link OrderPanel} shows; made by {@link orderData}. */
export interface OrderData {
  readonly orders: readonly OrderRow[];
  /** `(orders.length, channels)`: the channel at each place, row-major. */
  readonly table: NumberArray;
  /** Orders by the values of one image line: `parameters.row` tells which. */
  readonly rowOrders: readonly OrderRow[];
  readonly rowTable: NumberArray;
  /** The name of the order that is shown. */
  readonly current: string;
  readonly maps: OrderMaps;
}

const fieldsOf = (value: Json | undefined): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};

function rowsOf(value: Json | undefined): OrderRow[] {
  if (!Array.isArray(value)) return [];
  return value.map(fieldsOf).map((row) => ({
    name: text(row.name),
    parameters: fieldsOf(row.parameters),
    explanation: fieldsOf(row.explanation),
    sentence: text(row.sentence),
    groups: numberList(row.groups),
  }));
}

/** The orders of a record; one without the array `orders` has the single order it was stored in, and that of the network. */
export function orderData(record: RecordMeta, arrays: Tensors, maps: OrderMaps, wanted = ""): OrderData {
  const { channels } = maps;
  const stored = text(record.meta.order) || "index";
  const fits = (rows: readonly OrderRow[], table: NumberArray | undefined): boolean =>
    table !== undefined && rows.length > 0 && table.length === rows.length * channels;
  const [told, toldRows] = [rowsOf(record.meta.orders), rowsOf(record.meta.row_orders)];
  const whole = fits(told, arrays.orders?.data);
  const orders = whole ? told : plainOrders(stored);
  const current = orders.some(({ name }) => name === wanted) ? wanted : stored;
  const lines = fits(toldRows, arrays.row_orders?.data);
  return {
    orders,
    table: whole ? arrays.orders.data : plainTable(stored, channels, arrays.order?.data),
    rowOrders: lines ? toldRows : [],
    rowTable: lines ? arrays.row_orders.data : new Int32Array(),
    current: orders.some(({ name }) => name === current) ? current : orders[0].name,
    maps,
  };
}

const plain = (name: string): OrderRow => ({
  name,
  parameters: {},
  explanation: {},
  sentence: "",
  groups: [],
});
const plainOrders = (stored: string): OrderRow[] =>
  stored === "index" ? [plain("index")] : [plain(stored), plain("index")];

function plainTable(stored: string, channels: number, order: NumberArray | undefined): Int32Array {
  const index = Int32Array.from({ length: channels }, (_, channel) => channel);
  if (stored === "index") return index;
  return Int32Array.from([...(order?.length === channels ? order : index), ...index]);
}

/** The channel at each place of the order called `name`; that of the first order if there is none such. */
export function permutationOf(data: OrderData, name: string): number[] {
  const at = data.orders.findIndex((order) => order.name === name);
  return rowAt(data.table, Math.max(0, at), data.maps.channels);
}

/** A row of a table of permutations; what is none counts as the order of the network. */
function rowAt(table: NumberArray, at: number, channels: number): number[] {
  const row = Array.from(table.subarray(at * channels, (at + 1) * channels));
  const seen = new Set(row.filter((channel) => channel >= 0 && channel < channels));
  return seen.size === channels ? row : Array.from({ length: channels }, (_, channel) => channel);
}

/** The order that is shown, as the record tells of it. */
export const shownOrder = (data: OrderData): OrderRow =>
  data.orders.find(({ name }) => name === data.current) ?? data.orders[0];

/** Which line of the image an order is of; -1 for whole maps. */
export const lineOf = ({ parameters }: OrderRow): number =>
  typeof parameters.row === "number" ? parameters.row : -1;

/** How channels are ordered in a picture of one line of the image. */
export interface LineOrder {
  readonly permutation: readonly number[];
  /** Sizes of the groups in it. */
  readonly groups: readonly number[];
  /** The line whose values gave it; -1 for whole maps. */
  readonly row: number;
  readonly sentence: string;
}

/** The methods by which lines were ordered. */
export const lineMethods = (data: OrderData): string[] => [
  ...new Set(data.rowOrders.map(({ name }) => name)),
];

/** The order of line `row` by `method`, or of the nearest line that has one; the order of the stack if there is none. */
export function lineOrder(data: OrderData, method: string, row: number): LineOrder {
  const far = (order: OrderRow): number => Math.abs(lineOf(order) - row);
  const [best] = data.rowOrders
    .map((order, at) => ({ order, at }))
    .filter(({ order }) => order.name === method)
    .sort((a, b) => far(a.order) - far(b.order));
  if (!best) {
    const { groups, sentence } = shownOrder(data);
    return { permutation: permutationOf(data, data.current), groups: whole(groups, data), row: -1, sentence };
  }
  const { order, at } = best;
  return {
    permutation: rowAt(data.rowTable, at, data.maps.channels),
    groups: whole(order.groups, data),
    row: lineOf(order),
    sentence: order.sentence,
  };
}

/** Sizes of groups, if they are of all channels. */
const whole = (groups: readonly number[], { maps }: OrderData): readonly number[] =>
  groups.every((size) => Number.isInteger(size) && size > 0) &&
  groups.reduce((all, size) => all + size, 0) === maps.channels
    ? groups
    : [];
