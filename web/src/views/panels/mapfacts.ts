// What stands around feature maps in words: the heading, the picture and its classes, the table of all channels.
import { h } from "../../lib/dom";
import { count, number, percent, times } from "../../lib/format";
import { type Fact, type Heading, hiddenTable } from "../../lib/frame";
import { type Clamp, layerEnds, sharedScale } from "../../lib/maps";
import type { MapsData } from "../../lib/mapsdata";

const TABLE_ROWS = 512;

export function mapHeading(data: MapsData, channel: number, after: Clamp): Partial<Heading> {
  const { record, layer } = data;
  return {
    tag: channel < 0 ? layer : `${layer} · channel ${channel}`,
    step: record.step ? `step ${count(record.step)}` : data.picture,
    explain: explain(data, channel >= 0, after),
    facts: mapFacts(data, after),
  };
}

function mapFacts(data: MapsData, after: Clamp): Fact[] {
  const { field } = data;
  const [low, high] = layerEnds(data.range, after);
  const known = field.size.length > 1;
  const bad = data.notFinite ? Array.from(data.notFinite).reduce((sum, n) => sum + n, 0) : 0;
  const facts: Fact[] = [
    { name: "channels × rows × columns", value: times(data.channels, data.height, data.width) },
    {
      name: "values",
      value: `${number(low, 3)} … ${number(high, 3)}`,
      title: `The layer's scale ends at ${number(sharedScale(data.range, after).high)}; what lies beyond is drawn as this`,
    },
    {
      name: "receptive field",
      value: field.reason ? "whole picture" : known ? `${times(...field.size)} px` : "not recorded",
      title: field.reason || (known ? `stride ${times(...field.stride)} px` : ""),
    },
    { name: "network", value: data.network },
  ];
  if (data.nonlinearity)
    facts.splice(3, 0, { name: "then", value: data.nonlinearity, title: "The layer's non-linearity" });
  if (bad)
    facts.push({
      name: "NaN or infinite",
      value: count(bad),
      title: "Values; they are left out of all others",
    });
  return facts;
}

/** What the page shows, and what its colours mean. */
function explain(data: MapsData, one: boolean, after: Clamp): string {
  const what = one
    ? "Point at the map to read a value and see which part of the picture it comes from."
    : "What every channel of the layer makes of this picture. Point at a map to lay it over the picture.";
  const colours = sharedScale(data.range, after).signed ? " Red is positive, blue negative, grey zero." : "";
  const open = data.nonlinearity && !data.after ? ` Recorded before its ${data.nonlinearity}.` : "";
  return what + colours + open;
}

/** The name of the picture, and what the network takes it for. */
export function mapAbout(data: MapsData): HTMLElement[] {
  const rows = data.predictions.map(({ label, probability }) =>
    h(
      "li",
      { style: { "--share": `${100 * probability}%` } },
      h("span", { title: label }, label),
      h("b", { class: "num" }, percent(probability)),
    ),
  );
  return [
    ...(data.picture ? [h("p", { class: "map-name mono" }, data.picture)] : []),
    ...(rows.length
      ? [h("ol", { class: "map-classes", "aria-label": "What the network takes it for" }, ...rows)]
      : []),
  ];
}

export function mapTable(data: MapsData, order: readonly number[]): HTMLElement {
  const head = ["channel", "smallest", "largest", "mean", "positions above 0", "NaN or infinite"];
  const rows = order
    .slice(0, TABLE_ROWS)
    .map((c) => [
      c,
      number(data.range[2 * c]),
      number(data.range[2 * c + 1]),
      number(data.mean[c]),
      percent(data.positive[c]),
      data.notFinite?.[c] ?? 0,
    ]);
  return hiddenTable(`Feature maps of ${data.layer}`, head, rows);
}
