// A record of weight gradients as its view needs it: sums over inputs and norms at once, whole gradients group by group when they are drawn.
import type { Json, NumberArray, RecordMeta, Source, Tensor } from "../source/source";
import { type Colours, coloursOf, type Drawing, type FilterShape } from "./filters";
import { count } from "./format";
import { type Group, groupsOf } from "./groups";
import { objectOf, text } from "./topkdata";

/** Gradients of all groups together up to this size are fetched at once, so that they can share a scale. */
const AT_ONCE_BYTES = 4_000_000;
/** Groups whose whole gradient is kept. */
const KEPT = 3;

export interface GradientData {
  readonly record: RecordMeta;
  readonly run: string;
  readonly layer: string;
  readonly network: string;
  readonly target: string;
  readonly preprocessing: string;
  readonly shape: FilterShape;
  readonly groups: readonly Group[];
  /** L2 norm of every filter, a row a group. */
  readonly norm: NumberArray;
  /** Which inputs are red, green and blue, if there are three. */
  readonly colours: Colours | null;
  readonly store: GradientStore;
}

/** What of a gradient is drawn: its sum over the inputs, its inputs as colours, or one input. */
export type Part = "sum" | "rgb" | number;

/** Gradients of a record by group, as they are wanted. */
export class GradientStore {
  readonly #kept = new Map<number, NumberArray>();
  readonly #asked = new Map<number, Promise<NumberArray>>();

  constructor(
    readonly sum: NumberArray,
    readonly whole: NumberArray | undefined,
    private readonly shape: FilterShape,
    private readonly ask: (group: number) => Promise<Tensor>,
  ) {}

  /** Numbers of a filter as `part` draws it. */
  size(part: Part): number {
    const { input, height, width } = this.shape;
    return (part === "sum" ? 1 : input) * height * width;
  }

  /** What `part` needs of a group: a row of `size(part)` numbers a filter; undefined while it is not here. */
  have(part: Part, group: number): NumberArray | undefined {
    const length = this.shape.out * this.size(part);
    if (part === "sum") return this.sum.subarray(group * length, (group + 1) * length);
    return this.whole?.subarray(group * length, (group + 1) * length) ?? this.#kept.get(group);
  }

  async want(part: Part, group: number): Promise<NumberArray> {
    const here = this.have(part, group);
    if (here) return here;
    const before = this.#asked.get(group);
    if (before) return before;
    const asked = this.ask(group).then(({ data }) => {
      this.#kept.set(group, data);
      if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value ?? group);
      return data;
    });
    this.#asked.set(group, asked);
    try {
      return await asked;
    } finally {
      this.#asked.delete(group);
    }
  }

  /** Whether all groups are here, so that one scale for all can be told. */
  all(part: Part): NumberArray | undefined {
    return part === "sum" ? this.sum : this.whole;
  }
}

export async function fetchGradients(
  source: Source,
  run: string,
  id: string,
  signal: AbortSignal,
): Promise<GradientData> {
  const record = await source.record(run, id, signal);
  const [groups = 0, out = 0, input = 1, height = 1, width = 1] = record.arrays.gradient?.shape ?? [];
  const shape = { out, input, height, width };
  const small = 4 * groups * out * input * height * width <= AT_ONCE_BYTES;
  const names = ["sum", "norm", ...(small ? ["gradient"] : [])];
  const arrays = await source.arrays(run, id, names, signal);
  const ask = async (group: number): Promise<Tensor> =>
    (await source.arrays(run, id, ["gradient"], undefined, [group, group + 1])).gradient;
  const { meta } = record;
  return {
    record,
    run,
    layer: text(meta.layer) || record.tag,
    network: text(meta.network),
    target: text(meta.target) || "logit",
    preprocessing: settings(meta.preprocessing),
    shape,
    groups: groupsOf(meta.groups, groups),
    norm: arrays.norm.data,
    colours: coloursOf(input, meta.order),
    store: new GradientStore(arrays.sum.data, arrays.gradient?.data, shape, ask),
  };
}

/** What an address asks to be drawn; the sum unless it names colours that there are, or an input. */
export function partOf({ colours, shape }: GradientData, value: string | undefined): Part {
  if (value === "rgb" && colours) return "rgb";
  if (value !== undefined && /^\d+$/.test(value)) return Math.min(Number(value), shape.input - 1);
  return "sum";
}

/** How a part is painted, and the shape of what is painted. */
export function drawingOf({ colours, shape }: GradientData, part: Part): [Drawing, FilterShape] {
  if (part === "sum")
    return [
      { kind: "slice", input: 0 },
      { ...shape, input: 1 },
    ];
  if (part === "rgb" && colours) return [{ kind: "colour", inputs: colours }, shape];
  return [{ kind: "slice", input: part === "rgb" ? 0 : part }, shape];
}

/** The numbers of filter `o` that a part shows: a plane for each drawn input. */
export function shownValues(data: GradientData, part: Part, row: NumberArray): NumberArray[] {
  const area = data.shape.height * data.shape.width;
  const plane = (i: number): NumberArray => row.subarray(i * area, (i + 1) * area);
  if (part === "sum") return [plane(0)];
  return part === "rgb" ? [0, 1, 2].map(plane) : [plane(part)];
}

/** The row of a filter among those of its group. */
export const rowOf = (values: NumberArray, o: number, size: number): NumberArray =>
  values.subarray(o * size, (o + 1) * size);

/** The largest magnitude among some rows, as far as `part` draws them. */
export function largestShown(data: GradientData, part: Part, values: NumberArray): number {
  const [size, area] = [data.store.size(part), data.shape.height * data.shape.width];
  const [from, to] = typeof part === "number" ? [part * area, (part + 1) * area] : [0, size];
  let most = 0;
  for (let start = 0; start < values.length; start += size)
    for (let p = start + from; p < start + to; p++) {
      const value = Math.abs(values[p]);
      if (value > most && value < Number.POSITIVE_INFINITY) most = value;
    }
  return most;
}

/** L2 norm of every filter as a part draws it, of one group or of the difference of two. */
export function shownNorms(
  data: GradientData,
  part: Part,
  one: NumberArray,
  other?: NumberArray,
): Float64Array {
  const size = data.store.size(part);
  return Float64Array.from({ length: data.shape.out }, (_, o) => {
    const planes = shownValues(data, part, rowOf(one, o, size));
    const others = other && shownValues(data, part, rowOf(other, o, size));
    let sum = 0;
    planes.forEach((plane, i) => {
      for (let p = 0; p < plane.length; p++) {
        const value = plane[p] - (others ? others[i][p] : 0);
        if (Number.isFinite(value)) sum += value * value;
      }
    });
    return Math.sqrt(sum);
  });
}

/** The tag of the volume of a group's gradient, as `convscope volume` names it; undefined if none is recorded. */
export function volumeTag(
  tags: readonly string[],
  layer: string,
  { name, className }: Group,
): string | undefined {
  const wanted = [
    `${layer}/${name}, gradient of ${className}`,
    `${layer}/${name} gradient`,
    `${layer} gradients/${name}`,
  ];
  return tags.find((tag) => wanted.includes(tag));
}

/** How the pictures of a part are to be read. */
export function explainPart(part: Part, { layer, shape, target }: GradientData): string {
  const what = `The gradient of the class's ${target} by the weights of every filter of ${layer}`;
  if (part === "rgb") return `${what}, its inputs as colours: mid-grey is zero.`;
  const signs = "red: a larger weight raises it; blue: it lowers it; grey: zero.";
  if (part === "sum")
    return `${what}${shape.input > 1 ? `, summed over its ${count(shape.input)} inputs` : ""}; ${signs}`;
  return `${what}, input ${part}; ${signs}`;
}

/** What a record tells of the preprocessing, in one line. */
function settings(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return Object.entries(objectOf(value))
    .filter(([, one]) => one !== null && one !== "")
    .map(
      ([name, one]) =>
        `${name.replaceAll("_", " ")} ${typeof one === "object" ? JSON.stringify(one) : String(one)}`,
    )
    .join(", ");
}
