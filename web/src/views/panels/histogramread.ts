// Histograms in words and numbers: what the pointer reads, what stands below a figure, tables and files.
import { edgesOf, PLAIN } from "../../lib/distribution";
import { h } from "../../lib/dom";
import { type CsvCell, csv } from "../../lib/download";
import { count, duration, number, percent, plural } from "../../lib/format";
import { dot, hiddenTable } from "../../lib/frame";
import { tally } from "../../lib/gradients";
import { bucketsOf, momentsOf, quantiles, rebin, specialOf } from "../../lib/histogram";
import type { Line, Look, Place } from "./histogramfigure";

const ROWS = 60;

/** 0.0668 → "6.68 %", 0.05 → "5 %". */
export const shareText = (share: number): string =>
  share === 0 ? "min" : share === 1 ? "max" : `${Number((100 * share).toFixed(2))} %`;

/** The pointer's reading of one histogram. */
export function reading(line: Line, look: Look, { entry, bin }: Place, bins: number): HTMLElement[] {
  const { data } = line;
  const buckets = bucketsOf(data, entry);
  const { number: n } = momentsOf(data, entry);
  const rows: HTMLElement[] = [h("h4", {}, dot(line.colour), `step ${count(data.step[entry])}`)];
  rows.push(h("p", { class: "muted num" }, timeOf(line, entry)));
  if (bins && n > 0) {
    const edges = edgesOf(look.scale, bins);
    const value = rebin(buckets, edges)[bin];
    const range = `${number(edges[bin])} … ${number(edges[bin + 1])}`;
    rows.push(h("p", { class: "num" }, `${about(value)} of ${plural(n, "value")} in ${range}`));
  }
  rows.push(quantileTable([line], [entry], bins ? PLAIN : look.shares));
  const special = specialText(line, entry);
  if (special) rows.push(h("p", { class: "num strong" }, special));
  const mark = line.marks[entry];
  if (mark) rows.push(h("p", { class: "strong" }, mark));
  return rows;
}

const about = (value: number): string =>
  Number.isInteger(value)
    ? count(value)
    : `about ${value < 10 ? number(value, 2) : count(Math.round(value))}`;

function timeOf({ data }: Line, entry: number): string {
  const time = new Date(data.wallTime[entry] * 1000);
  const clock = Number.isNaN(time.getTime()) ? "" : ` · ${time.toLocaleString("en-GB")}`;
  return `after ${duration(data.wallTime[entry] - data.wallTime[0])}${clock}`;
}

/** Quantiles of one entry of each line, a row each; names of the runs where there are several. */
export function quantileTable(
  lines: readonly Line[],
  entries: readonly number[],
  shares: readonly number[],
): HTMLElement {
  const head = [...(lines.length > 1 ? ["run", "step"] : []), ...shares.map(shareText)];
  const rows = lines.flatMap((line, k) => {
    if (entries[k] < 0) return [];
    const values = quantiles(bucketsOf(line.data, entries[k]), shares).map((one) => number(one, 3));
    const name = [h("td", {}, dot(line.colour), line.run), h("td", {}, count(line.data.step[entries[k]]))];
    const cells = values.map((text) => h("td", {}, text));
    return [h("tr", {}, ...(lines.length > 1 ? name : []), ...cells)];
  });
  return h(
    "table",
    { class: "num" },
    h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ...rows),
  );
}

/** "NaN 3 · infinite 2 · zeros 45 %", as far as there are any. */
export function specialText({ data }: Line, entry: number): string {
  const { nan, infinite, zero } = specialOf(data, entry);
  const n = data.stats[5 * entry + 2];
  const parts = [
    nan > 0 && `NaN ${count(nan)}`,
    infinite > 0 && `infinite ${count(infinite)}`,
    zero > 0 && `zeros ${count(zero)}${n > 0 ? ` (${percent(zero / n)})` : ""}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** The numbers of one histogram, as pairs of name and value. */
export function numbersOf({ data }: Line, entry: number): [string, string][] {
  const { number: n, mean, rms, estimated } = momentsOf(data, entry);
  const { nan, infinite, zero } = specialOf(data, entry);
  const [min, low, median, high, max] = quantiles(bucketsOf(data, entry), [0, 0.05, 0.5, 0.95, 1]);
  const sign = estimated && n > 0 ? "≈ " : "";
  const pairs: [string, string][] = [
    ["values", count(n)],
    ["min", number(min, 3)],
    ["5 %", number(low, 3)],
    ["median", number(median, 3)],
    ["95 %", number(high, 3)],
    ["max", number(max, 3)],
    ["mean", sign + number(mean, 3)],
    ["RMS", sign + number(rms, 3)],
    ["NaN", count(nan)],
    ["infinite", count(infinite)],
    ["zeros", n > 0 && zero > 0 ? `${count(zero)} (${percent(zero / n)})` : count(zero)],
  ];
  return n > 0 ? pairs : pairs.filter(([name]) => ["values", "NaN", "infinite", "zeros"].includes(name));
}

/** What is wrong with a series, most serious first: flags for the head of its card. */
export function flagsOf(line: Line): { text: string; title: string; kind: "dead" | "weak" }[] {
  const n = line.data.step.length;
  const broken = countOf(n, (i) => line.broken[i] > 0);
  const zeros = countOf(n, (i) => line.data.special[3 * i + 2] > 0 && momentsOf(line.data, i).rms === 0);
  const { vanishing, exploding } = tally(line.marks);
  const first = Array.from({ length: n }, (_, i) => i).find((i) => line.broken[i] > 0) ?? 0;
  const flags: { text: string; title: string; kind: "dead" | "weak" }[] = [];
  if (broken)
    flags.push({
      text: "× NaN, Inf",
      title: `NaN or infinite values at ${plural(broken, "step")} of ${count(n)}, first at step ${count(line.data.step[first])}`,
      kind: "dead",
    });
  if (exploding)
    flags.push({
      text: `▲ ${count(exploding)}`,
      title: `exploding at ${count(exploding)} of ${plural(n, "step")}`,
      kind: "dead",
    });
  if (vanishing)
    flags.push({
      text: `▼ ${count(vanishing)}`,
      title: `vanishing at ${count(vanishing)} of ${plural(n, "step")}`,
      kind: "weak",
    });
  if (zeros)
    flags.push({
      text: "all zero",
      title: `nothing but zeros at ${count(zeros)} of ${plural(n, "step")}`,
      kind: "weak",
    });
  return flags;
}

const countOf = (n: number, holds: (i: number) => boolean): number =>
  Array.from({ length: n }, (_, i) => i).filter(holds).length;

/** The table of a figure for those who cannot see it: at most 60 steps, evenly chosen. */
export function stepTable(tag: string, lines: readonly Line[]): HTMLElement {
  const each = Math.max(1, Math.floor(ROWS / Math.max(1, lines.length)));
  const several = lines.length > 1;
  const rows = lines.flatMap((line) => {
    const n = line.data.step.length;
    const shown = Math.min(n, each);
    return Array.from({ length: shown }, (_, k) => {
      const entry = shown === 1 ? n - 1 : Math.round((k * (n - 1)) / (shown - 1));
      const values = Object.fromEntries(numbersOf(line, entry));
      const names = [
        "values",
        "min",
        "5 %",
        "median",
        "95 %",
        "max",
        "mean",
        "RMS",
        "NaN",
        "infinite",
        "zeros",
      ];
      const cells = names.map((name) => values[name] ?? "–");
      return [
        ...(several ? [line.run] : []),
        count(line.data.step[entry]),
        ...cells,
        line.marks[entry] ?? "",
      ];
    });
  });
  const names = ["values", "min", "5 %", "median", "95 %", "max", "mean", "RMS", "NaN", "infinite", "zeros"];
  const head = [...(several ? ["run"] : []), "step", ...names, "mark"];
  const total = Math.max(0, ...lines.map(({ data }) => data.step.length));
  const some = total > each ? `, ${count(each)} of ${count(total)} steps; the CSV file has all` : "";
  return hiddenTable(`${tag} by step${some}`, head, rows);
}

/** Quantiles, moments and counts of every step, as CSV. */
export function quantileCsv(lines: readonly Line[], shares: readonly number[]): string {
  const head = [
    "run",
    "step",
    "wall_time",
    "values",
    ...shares.map((share) => `q${Number((100 * share).toFixed(2))}`),
  ];
  head.push("mean", "rms", "nan", "infinite", "zero", "mark");
  return csv(head, rowsOf(lines, shares));
}

function* rowsOf(lines: readonly Line[], shares: readonly number[]): Generator<CsvCell[]> {
  for (const { run, data, marks } of lines)
    for (let i = 0; i < data.step.length; i++) {
      const { number: n, mean, rms } = momentsOf(data, i);
      const { nan, infinite, zero } = specialOf(data, i);
      const values = quantiles(bucketsOf(data, i), shares);
      yield [
        run,
        data.step[i],
        data.wallTime[i],
        n,
        ...values,
        mean,
        rms,
        nan,
        infinite,
        zero,
        marks[i] ?? "",
      ];
    }
}

/** Every bucket that is not empty of every step, as CSV. */
export function bucketCsv(lines: readonly Line[]): string {
  return csv(["run", "step", "left", "right", "count"], bucketRows(lines));
}

function* bucketRows(lines: readonly Line[]): Generator<CsvCell[]> {
  for (const { run, data } of lines)
    for (let i = 0; i < data.step.length; i++) {
      const { left, right, count: counts } = bucketsOf(data, i);
      for (let j = 0; j < counts.length; j++) yield [run, data.step[i], left[j], right[j], counts[j]];
    }
}
