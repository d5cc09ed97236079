// What qualifies a map of points, in words: its method, how far it went, how good it is and what that means.
import { count, number, percent } from "./format";
import type { Fact } from "./frame";
import { type EmbeddingData, type Meta, methodName } from "./points";

interface Quality {
  readonly name: string;
  readonly title: string;
}

const QUALITY: Readonly<Record<string, Quality>> = {
  neighbours_kept: {
    name: "10-NN kept",
    title:
      "Of the 10 nearest neighbours in the layer’s own space, this share is among the 10 nearest on the map. 100 %: near on the map is near in the layer.",
  },
  trustworthiness: {
    name: "trustworthiness",
    title:
      "How far one may trust neighbours on the map: 100 % where none of them is a stranger in the layer’s own space; random positions have about 50 %.",
  },
  label_accuracy: {
    name: "10-NN accuracy",
    title: "This share of the points has the class that most of their 10 neighbours on the map have.",
  },
};

/** "iteration 500 of 750". */
export function origin(iteration: number, meta: Meta): string {
  const total =
    typeof meta.iterations === "number" && meta.iterations > 0 ? ` of ${count(meta.iterations)}` : "";
  const method = typeof meta.method === "string" ? methodName(meta.method) : "";
  return [method, iteration > 0 && `iteration ${count(iteration)}${total}`].filter(Boolean).join(", ");
}

/** The numbers that qualify a map: size, source, divergence and quality where they are known. */
export function embeddingFacts(data: EmbeddingData, meta: Meta, kl: number | undefined): Fact[] {
  const facts: Fact[] = [{ name: "points", value: count(data.count) }];
  if (data.dim) facts.push({ name: "values each", value: count(data.dim) });
  if (data.network) facts.push({ name: "network", value: data.network });
  if (data.dataset) facts.push({ name: "data set", value: data.dataset });
  if (kl !== undefined && Number.isFinite(kl))
    facts.push({
      name: "KL divergence",
      value: number(kl),
      title: "What t-SNE makes small: how much the map’s neighbourhoods differ from the layer’s.",
    });
  return [...facts, ...varianceFacts(meta), ...placedFacts(data, meta), ...qualityFacts(data, meta)];
}

function qualityFacts(data: EmbeddingData, meta: Meta): Fact[] {
  const { quality } = meta;
  if (typeof quality !== "object" || quality === null || Array.isArray(quality)) return [];
  const of = typeof meta.quality_of === "number" && meta.quality_of < data.count ? meta.quality_of : 0;
  const measured = of ? ` Measured on ${count(of)} points.` : "";
  return Object.entries(quality).flatMap(([key, value]) => {
    if (typeof value !== "number" || (key === "label_accuracy" && areAlone(data))) return [];
    const known = QUALITY[key];
    const shown = value >= 0 && value <= 1 ? percent(value) : number(value);
    return [
      {
        name: known?.name ?? key.replaceAll("_", " "),
        value: shown,
        title: `${known?.title ?? ""}${measured}`.trim(),
      },
    ];
  });
}

/** Whether no two points have one class: none can be told by its neighbours. */
function areAlone({ label }: EmbeddingData): boolean {
  return new Set(label).size === label.length;
}

/** Shares of the variance along the axes of a PCA. */
export function varianceOf(meta: Meta): number[] {
  const { explained_variance: shares } = meta;
  return Array.isArray(shares) ? shares.filter((one): one is number => typeof one === "number") : [];
}

function varianceFacts(meta: Meta): Fact[] {
  const shares = varianceOf(meta);
  if (!shares.length) return [];
  const sum = shares.reduce((total, one) => total + one, 0);
  return [
    {
      name: "variance shown",
      value: percent(sum),
      title: `Of the variance of the layer’s values the axes hold ${shares.map(percent).join(", ")}.`,
    },
  ];
}

function placedFacts(data: EmbeddingData, meta: Meta): Fact[] {
  const { sampled } = meta;
  if (typeof sampled !== "number" || sampled <= 0 || sampled >= data.count) return [];
  return [
    {
      name: "laid out",
      value: count(sampled),
      title: `A sample of ${count(sampled)} points was laid out; the other ${count(data.count - sampled)} are placed by their nearest neighbours among them.`,
    },
  ];
}

/** The names of the axes: custom ones, else "component 1 (31 %)" of a PCA; none of the methods whose axes mean nothing. */
export function axisNames(meta: Meta): string[] {
  const { axes } = meta;
  if (Array.isArray(axes) && axes.length) return axes.filter((one): one is string => typeof one === "string");
  return varianceOf(meta).map((share, i) => `component ${i + 1} (${percent(share)})`);
}
