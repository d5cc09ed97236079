// A network as its page needs it: layers, the modules that hold them, and what is seen when some are closed.
import type { Json, RecordMeta, Source } from "../source/source";

export interface LayerField {
  readonly size: readonly number[];
  readonly stride: readonly number[];
  readonly start: readonly number[];
  readonly reason: string;
}

export interface LayerRow {
  readonly name: string;
  readonly kind: string;
  readonly shape: readonly number[];
  readonly field: LayerField;
  readonly parameters: number;
  readonly macs: number;
  readonly inputs: readonly string[];
  readonly nonlinearity: string;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

export interface NetworkData {
  readonly record: RecordMeta;
  readonly network: string;
  readonly input: readonly number[];
  readonly layers: readonly LayerRow[];
  readonly parameters: number;
  readonly macs: number;
}

/** What a drawing has: a layer, or a module that is closed and stands for all its layers. */
export interface Box {
  readonly id: string;
  readonly layers: readonly LayerRow[];
  readonly open: boolean;
}

export interface Wire {
  readonly from: string;
  readonly to: string;
}

/** The box that stands for the picture. */
export const IMAGE = "";
/** More boxes than this are neither read nor laid out quickly. */
export const MOST_BOXES = 400;
const FEW_BOXES = 48;

type JsonMap = Readonly<Record<string, Json>>;

export async function fetchNetwork(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<NetworkData> {
  const record = await source.record(run, id, signal);
  const { meta } = record;
  const layers = (Array.isArray(meta.layers) ? meta.layers : []).map((row) => layerRow(row as JsonMap));
  return {
    record,
    layers,
    network: String(meta.network ?? record.tag),
    input: numbers(meta.input_shape ?? meta.input_size),
    parameters: amount(meta.parameters),
    macs: amount(meta.macs),
  };
}

function layerRow(row: JsonMap): LayerRow {
  const options = (row.options ?? {}) as JsonMap;
  const field = (row.receptive_field ?? {}) as JsonMap;
  return {
    name: String(row.name),
    kind: String(row.kind),
    shape: numbers(row.shape),
    field: {
      size: numbers(field.size),
      stride: numbers(field.stride),
      start: numbers(field.start),
      reason: String(field.reason ?? ""),
    },
    parameters: amount(row.parameters),
    macs: amount(row.macs),
    inputs: (Array.isArray(row.inputs) ? row.inputs : []).map(String),
    nonlinearity: String(row.nonlinearity ?? ""),
    kernel: numbers(options.kernel),
    stride: numbers(options.stride),
    padding: numbers(options.padding),
    dilation: numbers(options.dilation),
    groups: amount(options.groups) || 1,
  };
}

const amount = (value: Json | undefined): number => (typeof value === "number" ? value : 0);

const numbers = (value: Json | undefined): readonly number[] =>
  Array.isArray(value) ? value.map(Number) : [];

/** The modules a layer is in, the outermost first: "layer1.0.conv1" is in "layer1" and "layer1.0". */
export function modulesOf(name: string): string[] {
  return [...name.matchAll(/[./]/g)].map(({ index }) => name.slice(0, index)).filter(Boolean);
}

/** The modules that hold more than one layer; the others are no boxes of their own. */
export function modulesOfAll(layers: readonly LayerRow[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name } of layers)
    for (const module of modulesOf(name)) sizes.set(module, (sizes.get(module) ?? 0) + 1);
  return new Map([...sizes].filter(([, size]) => size > 1));
}

/** The modules that hold a layer and are boxes when they are closed, the outermost first. */
export function modulesAround(layers: readonly LayerRow[], layer: string): string[] {
  const modules = modulesOfAll(layers);
  return modulesOf(layer).filter((module) => modules.has(module));
}

/** The open modules without one of them and those in it. */
export const shut = (open: ReadonlySet<string>, module: string): string[] =>
  [...open].filter((one) => one !== module && !modulesOf(one).includes(module));

/** The modules that are open unless the address says otherwise: level by level, as long as all can be overlooked. */
export function openedAtFirst(layers: readonly LayerRow[]): Set<string> {
  const modules = modulesOfAll(layers);
  let open = new Set<string>();
  for (let level = 0; ; level++) {
    const next = new Set([...modules.keys()].filter((module) => modulesOf(module).length <= level));
    if (next.size === open.size && level) return open;
    if (boxesOf(layers, next).length > FEW_BOXES) return open;
    open = next;
  }
}

/** The id of the box in which a layer is drawn. */
function boxOf(name: string, open: ReadonlySet<string>, modules: ReadonlyMap<string, number>): string {
  return modulesOf(name).find((module) => modules.has(module) && !open.has(module)) ?? name;
}

/** The boxes of a drawing, in the order of execution. */
export function boxesOf(layers: readonly LayerRow[], open: ReadonlySet<string>): Box[] {
  const modules = modulesOfAll(layers);
  const found = new Map<string, LayerRow[]>();
  for (const layer of layers) {
    const id = boxOf(layer.name, open, modules);
    const inside = found.get(id);
    if (inside) inside.push(layer);
    else found.set(id, [layer]);
  }
  return [...found].map(([id, inside]) => ({ id, layers: inside, open: !modules.has(id) || open.has(id) }));
}

/** How boxes are connected; a connection inside a closed module is not drawn. */
export function wiresOf(layers: readonly LayerRow[], open: ReadonlySet<string>): Wire[] {
  const modules = modulesOfAll(layers);
  const found = new Map<string, Wire>();
  for (const layer of layers) {
    const to = boxOf(layer.name, open, modules);
    for (const input of layer.inputs) {
      const from = input === IMAGE ? IMAGE : boxOf(input, open, modules);
      if (from !== to) found.set(`${from}\n${to}`, { from, to });
    }
  }
  return [...found.values()];
}

export type Family = "conv" | "linear" | "pool" | "norm" | "act" | "merge" | "other";

const FAMILIES: readonly (readonly [Family, RegExp])[] = [
  ["conv", /^(Lazy)?Conv/i],
  ["linear", /^(Linear|Bilinear|MatMul|Einsum|Attention|MultiheadAttention|addmm|mm$|bmm$)/i],
  ["pool", /Pool|^Mean$|^Max$|^Sum$/i],
  ["norm", /Norm/i],
  ["act", /elu|[sg]i?lu|swish|sigmoid|tanh|softmax|softplus|mish|clamp|threshold/i],
  ["merge", /^(Add|Sub|Mul|Div|Cat|Stack|Maximum|Minimum)_?$/i],
];

/** What sort of step a kind of layer is: it is coloured by it. */
export const familyOf = (kind: string): Family =>
  FAMILIES.find(([, pattern]) => pattern.test(kind))?.[0] ?? "other";

/** Whether a layer stands in the short table: those of the paper's, and where branches meet. */
export const isMain = (layer: LayerRow): boolean =>
  ["conv", "linear", "pool", "merge"].includes(familyOf(layer.kind)) || layer.parameters > 0;
