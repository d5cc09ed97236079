// The files a chart of curves is saved as: what is drawn as SVG or PNG, all raw points as CSV.
import { chartSvg, svgToPng } from "../../lib/chartsvg";
import type { Curve } from "../../lib/curve";
import { type CsvCell, csv, download, type SaveItem } from "../../lib/download";
import type { CurveOptions } from "../../lib/scene";
import type { Prepared } from "../../lib/traces";
import type { ChartSpec } from "./scalarspec";

export interface Saved {
  readonly spec: ChartSpec;
  readonly curve: Curve;
  readonly options: CurveOptions;
  readonly note: string;
}

const AXIS_NAMES = { step: "step", relative: "time since the first point", wall: "time" } as const;

export function saveItems(saved: () => Saved): SaveItem[] {
  return [
    { label: "PNG", save: async () => download(`${saved().spec.name}.png`, await svgToPng(svgOf(saved()))) },
    { label: "SVG", save: () => download(`${saved().spec.name}.svg`, svgOf(saved()), "image/svg+xml") },
    { label: "CSV of all points", save: () => saveCsv(saved()) },
  ];
}

function saveCsv({ spec, curve }: Saved): void {
  const text = csv(["run", "tag", "step", "wall_time", "value"], pointRows(curve.lines));
  download(`${spec.name}.csv`, text, "text/csv;charset=utf-8");
}

/** Every raw point of the lines; of a mean those of each of its runs, of a margin all three curves. */
export function* pointRows(lines: readonly Prepared[]): Generator<CsvCell[]> {
  for (const { trace } of lines) {
    for (const { run, tag, series } of trace.sources) {
      const { step, wallTime, value } = series;
      for (let i = 0; i < series.length; i++) yield [run, tag, step[i], wallTime[i], value[i]];
    }
  }
}

export function svgOf({ spec, curve, options, note }: Saved): string {
  const { scene } = curve;
  if (!scene) throw new Error("The chart is not drawn yet; scroll to it first.");
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const smoothing = options.smoothing > 0 ? `smoothing ${options.smoothing}` : "";
  return chartSvg({
    title: spec.name,
    note: [`over ${AXIS_NAMES[options.axis]}`, smoothing, note].filter(Boolean).join(" · "),
    scene,
    ticks: curve.ticks(),
    legend: curve.lines.map(({ trace }) => trace),
    colours: { page: token("--card"), text: token("--text"), muted: token("--muted") },
  });
}
