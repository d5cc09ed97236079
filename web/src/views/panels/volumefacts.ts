// What a volume page says of its record: title, sentence and numbers, and the other pages about a channel.
import { number, times } from "../../lib/format";
import type { Fact, Heading } from "../../lib/frame";
import { formatRoute, toView } from "../../lib/route";
import type { VolumeData } from "../../lib/volumedata";
import type { Position } from "../../lib/volumelook";
import { layerRange } from "../../lib/voxels";
import type { ViewState } from "../view";

export function volumeHeading(data: VolumeData, order: string, explain: string): Partial<Heading> {
  const { record, volume, picture, group } = data;
  const [low, high] = layerRange(volume);
  const facts: Fact[] = [
    {
      name: "channels × rows × columns",
      value: times(volume.channels, volume.height, volume.width),
    },
    {
      name: "values",
      value: `${number(low, 3)} … ${number(high, 3)}`,
      title: "Smallest and largest value of all channels, as stored",
    },
    {
      name: "drawn from",
      value: data.wire,
      title:
        data.wire === "uint8"
          ? "Voxels are sent as bytes, 256 steps between the ends of each channel; chosen voxels are read as stored (float32)"
          : "Voxels are sent as half floats; chosen voxels are read as stored (float32)",
    },
    { name: "order", value: order },
    ...(data.inputs ? [{ name: "input channels", value: inputsText(data.inputs) }] : []),
    ...(data.network ? [{ name: "network", value: data.network }] : []),
  ];
  return {
    tag: record.tag,
    step: group?.name || picture,
    explain: sentence(data, explain),
    facts,
  };
}

const INPUTS: Readonly<Record<string, string>> = {
  sum: "summed",
  norm: "as norm",
  stack: "stacked",
};
const inputsText = (inputs: string): string => INPUTS[inputs] ?? inputs;

function sentence(data: VolumeData, usual: string): string {
  const { group, source, layer } = data;
  const signs = data.signed ? " Red raises it, blue lowers it; zero is clear." : "";
  if (source === "weight_gradients") {
    const of = group?.className ? `of ${group.className}` : "of the class";
    const verdict =
      group?.correct === true
        ? `, classified rightly`
        : group?.correct === false
          ? `, wrongly taken for ${group.predictedName || "another class"}`
          : "";
    const over = group && group.images > 1 ? `mean over ${group.images} images` : group?.name || data.picture;
    return `How the logit ${of} changes with the weights of ${layer || "the layer"}${over ? `, ${over}` : ""}${verdict}: one filter a channel, signed.${signs}`;
  }
  if (source === "weights") return `The weights of ${layer || "the layer"}, one filter a channel.`;
  if (source === "file" || source === "array")
    return "An array of three axes: channels, rows and columns. Bright voxels are large values.";
  return data.signed
    ? "The feature maps that one picture causes in a layer, stacked by channel. Colours tell the sign; values near zero are clear."
    : usual;
}

/** The other pages of the run about a channel. */
export function elsewhere(
  { index, route }: ViewState,
  data: VolumeData,
  channel: number,
  { row, column }: Position,
): [string, string][] {
  const records = index.runs.find(({ name }) => name === data.run)?.records ?? [];
  const has = (kind: string, tag: string): boolean =>
    records.some((one) => one.kind === kind && one.tag === tag);
  const { layer, record } = data;
  const to = (view: string, tag: string, more = {}): string =>
    formatRoute(toView(route, view, { run: data.run, tag, ch: channel, ...more }));
  const pages: [string, string, string, string, object][] = [
    ["maps", record.tag, "maps", "Its feature map", { pos: `${row},${column}` }],
    ["filters", layer, "filters", "Its filter", {}],
    ["topk", layer, "layer", "Its strongest pictures", {}],
    ["weight_gradients", layer, "gradients", "Its weight gradients", {}],
  ];
  return pages
    .filter(([kind, tag]) => has(kind, tag))
    .map(([, tag, view, text, more]) => [text, to(view, tag, more)]);
}

/** Why the scale cannot be chosen while a film plays. */
export const fixedText = ([low, high]: readonly [number, number], frames: number): string =>
  `${number(low)} to ${number(high)}, one scale for all ${frames} frames of the animation.`;
