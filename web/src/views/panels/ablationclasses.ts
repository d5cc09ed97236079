// The tables of an ablation: accuracy with n filters zeroed, and what every class loses.
import { type AblationData, areaOf, classCurve, placeOfCount, zeroedAt } from "../../lib/ablationdata";
import { h } from "../../lib/dom";
import { count, number } from "../../lib/format";
import { shareText } from "./ablationcurves";
import type { Column } from "./rowtable";

/** A row a place: how many filters are zeroed, the accuracy and the filters that went, for every order. */
export function placeColumns(data: AblationData): Column[] {
  const zeroed: Column = {
    name: "zeroed",
    title: "How many filters are zeroed",
    value: (p) => data.removed[p],
    cell: (p) => count(data.removed[p]),
  };
  return [
    zeroed,
    ...data.curves.flatMap((curve): Column[] => [
      {
        name: curve.name,
        title: `Accuracy, ${curve.name}${curve.measure && ` by ${curve.measure}`}`,
        value: (p) => curve.accuracy[p],
        cell: (p) => shareText(curve.accuracy[p], "accuracy"),
      },
      {
        name: `filter, ${curve.name}`,
        title: "The filter that was zeroed last",
        value: (p) => zeroedAt(data, curve, p).at(-1) ?? Number.NaN,
        cell: (p) => zeroedAt(data, curve, p).at(-1) ?? "–",
      },
    ]),
  ];
}

export interface ClassChoice {
  readonly curve: number;
  /** How many filters are zeroed in the last columns. */
  readonly zeroed: number;
  readonly chosen: ReadonlySet<number>;
  readonly choose: (label: number) => void;
}

/** A row a class: its accuracy with nothing and with n filters zeroed, the loss, and the mean of its curve. */
export function classColumns(data: AblationData, { curve, zeroed, chosen, choose }: ClassChoice): Column[] {
  const curves = new Map<number, Float64Array | undefined>();
  const of = (k: number): Float64Array | undefined => {
    if (!curves.has(k)) curves.set(k, classCurve(data, curve, k));
    return curves.get(k);
  };
  const at = placeOfCount(data, data.curves[curve].accuracy, zeroed);
  const start = data.removed.indexOf(0);
  const value = (k: number, p: number): number => (p < 0 ? Number.NaN : (of(k)?.[p] ?? Number.NaN));
  const mean = (k: number): number => areaOf(data, of(k) ?? []).mean;
  const drop = (k: number): number => value(k, start) - value(k, at);
  const share = (name: string, title: string, number_: (k: number) => number): Column => ({
    name,
    title,
    value: number_,
    cell: (k) => shareText(number_(k), "accuracy"),
  });
  const n = at < 0 ? zeroed : data.removed[at];
  return [
    {
      name: "class",
      words: true,
      value: (k) => data.classes[k].name,
      cell: (k) =>
        h(
          "button",
          {
            type: "button",
            class: "link",
            "aria-pressed": String(chosen.has(k)),
            title: chosen.has(k) ? "Take its curve away" : "Draw its curve",
            onclick: () => choose(k),
          },
          `${chosen.has(k) ? "✓ " : ""}${data.classes[k].name}`,
        ),
    },
    { name: "images", value: (k) => data.support[k], cell: (k) => number(data.support[k]) },
    share("baseline", "Accuracy with nothing zeroed", (k) => value(k, start)),
    share(`${count(n)} zeroed`, `Accuracy with ${count(n)} filters zeroed, ${data.curves[curve].name}`, (k) =>
      value(k, at),
    ),
    share("drop", "How much accuracy is lost", drop),
    share("mean", "Mean of the curve over the share of zeroed filters, as far as it is measured", mean),
  ];
}
