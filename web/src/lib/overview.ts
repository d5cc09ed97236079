// What a search has found in every layer of a network, as the overview of the network needs it.
import type { Index, Json, RecordInfo, RecordMeta, RunInfo, Source } from "../source/source";
import { recordsOf, tagsOf } from "./catalog";
import { isAbort, messageOf } from "./frame";
import { amount, type Field, fieldOf, text, textList } from "./topkdata";

/** Lower quartile, median and upper quartile over the channels of a layer. */
export type Band = readonly [low: number, middle: number, high: number];

/** The figures of proof by their name, those of one rule. */
export type ProofSummary = Readonly<Record<string, Band>>;

export interface SearchedLayer {
  readonly record: RecordMeta;
  readonly name: string;
  readonly kind: string;
  readonly channels: number;
  readonly k: number;
  readonly field: Field;
  readonly seen: number;
  readonly total: number;
  readonly complete: boolean;
  readonly network: string;
  readonly dataset: string;
  readonly classes: readonly string[];
  /** The rules of which there are pictures. */
  readonly rules: readonly string[];
  readonly proof: Readonly<Record<string, ProofSummary>>;
  readonly labelled: boolean;
}

export interface LayerRecord {
  readonly layer: string;
  readonly record: RecordInfo;
}

type JsonMap = Readonly<Record<string, Json>>;

const mapOf = (value: Json | undefined): JsonMap =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonMap) : {};

/** What the description of a `topk` record says; nothing of it is needed but the shape of its scores. */
export function searchedLayer(record: RecordMeta): SearchedLayer {
  const { meta } = record;
  const [channels = 0, k = 0] = record.arrays.value?.shape ?? [];
  return {
    record,
    name: record.tag,
    kind: text(meta.layer_kind),
    channels,
    k,
    field: fieldOf(meta.receptive_field),
    seen: amount(meta.images_seen),
    total: amount(meta.images_total),
    complete: meta.complete !== false,
    network: text(meta.network),
    dataset: text(meta.dataset),
    classes: textList(meta.label_names),
    rules: textList(meta.rules).filter((rule) => rule in record.pictures),
    proof: Object.fromEntries(
      Object.entries(mapOf(meta.proof_summary)).map(([rule, figures]) => [rule, bandsOf(figures)]),
    ),
    labelled: "label" in record.arrays,
  };
}

function bandsOf(figures: Json): ProofSummary {
  const bands = Object.entries(mapOf(figures)).map(([name, band]) => [name, bandOf(band)] as const);
  return Object.fromEntries(bands.filter((one): one is readonly [string, Band] => one[1] !== null));
}

/** Three numbers; null where one of them is missing, as it is where nothing was computed. */
function bandOf(value: Json): Band | null {
  if (!Array.isArray(value) || value.length !== 3) return null;
  const [low, middle, high] = value.map((one) => (typeof one === "number" ? one : Number.NaN));
  return [low, middle, high].every(Number.isFinite) ? [low, middle, high] : null;
}

/**
 * The layers of a run that were searched, each with its record of `step`, or its last one: first those of `order` (the
 * network's own), then the others as they were recorded.
 */
export function layerRecords(run: RunInfo, order: readonly string[], step: number): LayerRecord[] {
  const place = new Map(order.map((name, at) => [name, at]));
  const at = (layer: string): number => place.get(layer) ?? order.length;
  return tagsOf(run, "topk")
    .map((layer) => {
      const records = recordsOf(run, "topk", layer);
      const record = records.find((one) => one.step === step) ?? records[records.length - 1];
      return { layer, record };
    })
    .sort((a, b) => at(a.layer) - at(b.layer));
}

/**
 * Up to `wanted` channels among the first `limit` of a layer that show what it does: the strongest of each of as many
 * equal stretches, one that shows a picture not yet shown where there is one. `best` is each channel's first picture.
 */
export function sampleChannels(
  max: ArrayLike<number>,
  best: ArrayLike<number>,
  limit: number,
  wanted: number,
): number[] {
  const channels = Math.min(max.length, best.length, limit);
  const stretches = Math.min(channels, wanted);
  const shown = new Set<number>();
  return Array.from({ length: stretches }, (_, i) => {
    const first = Math.floor((i * channels) / stretches);
    const stop = Math.floor(((i + 1) * channels) / stretches);
    const strongest = Array.from({ length: stop - first }, (_, n) => first + n).sort(
      (a, b) => max[b] - max[a],
    );
    const channel = strongest.find((one) => best[one] >= 0 && !shown.has(best[one])) ?? strongest[0];
    shown.add(best[channel]);
    return channel;
  }).filter((channel) => best[channel] >= 0);
}

/** How many channels were above zero at no position of any picture; `positive`: the share of positions that were. */
export const deadChannels = (positive: ArrayLike<number>): number =>
  Array.from(positive).filter((share) => !(share > 0)).length;

/** "guided_backprop" → "guided backprop". */
export const ruleText = (rule: string): string => rule.replaceAll("_", " ");

/** All rules of some layers, in the order in which they are met. */
export const rulesOf = (layers: readonly SearchedLayer[]): string[] => [
  ...new Set(layers.flatMap(({ rules, proof }) => [...rules, ...Object.keys(proof)])),
];

const AT_ONCE = 4;

/** The descriptions of the searched layers, asked for a few at a time; while a new one is on its way the one before stays. */
export class SearchedLayers {
  readonly #known = new Map<string, SearchedLayer>();
  readonly #wanted = new Map<string, { readonly run: string; readonly id: string }>();
  /** What is on its way. */
  readonly #asked = new Map<string, string>();
  readonly #failed = new Map<string, string>();
  readonly #gone = new AbortController();
  #working = 0;
  #index: Index | undefined;

  /** `changed` is called whenever layers have come, or could not be read. */
  constructor(
    private readonly source: Source,
    private readonly changed: () => void,
  ) {}

  /** Ask for what is not here yet; what could not be read is asked for again once there is another index. */
  want(run: string, records: readonly LayerRecord[], index: Index): void {
    if (index !== this.#index) this.#failed.clear();
    this.#index = index;
    this.#wanted.clear();
    for (const { layer, record } of records) {
      const key = keyOf(run, layer);
      const here = this.#known.get(key)?.record.id === record.id || this.#asked.get(key) === record.id;
      if (!here && !this.#failed.has(key)) this.#wanted.set(key, { run, id: record.id });
    }
    while (this.#working < AT_ONCE && this.#wanted.size) void this.#work();
  }

  /** Why a layer could not be read; empty if all could. */
  get problem(): string {
    return this.#failed.values().next().value ?? "";
  }

  /** Whether nothing is on its way. */
  get rests(): boolean {
    return this.#working === 0;
  }

  get(run: string, layer: string): SearchedLayer | undefined {
    return this.#known.get(keyOf(run, layer));
  }

  /** Those of some layers that are here. */
  all(run: string, records: readonly LayerRecord[]): SearchedLayer[] {
    return records.map(({ layer }) => this.get(run, layer)).filter((one) => one !== undefined);
  }

  stop(): void {
    this.#gone.abort();
    this.#wanted.clear();
  }

  async #work(): Promise<void> {
    this.#working++;
    for (let next = this.#take(); next; next = this.#take()) {
      const [key, { run, id }] = next;
      this.#asked.set(key, id);
      await this.#ask(key, run, id);
      if (this.#asked.get(key) === id) this.#asked.delete(key);
      if (this.#gone.signal.aborted) return;
      if (this.#wanted.size) this.changed();
    }
    this.#working--;
    this.changed();
  }

  async #ask(key: string, run: string, id: string): Promise<void> {
    try {
      this.#known.set(key, searchedLayer(await this.source.record(run, id, this.#gone.signal)));
    } catch (error) {
      if (!isAbort(error)) this.#failed.set(key, messageOf(error));
    }
  }

  #take(): [string, { readonly run: string; readonly id: string }] | undefined {
    const next = this.#wanted.entries().next().value;
    if (next) this.#wanted.delete(next[0]);
    return next;
  }
}

const keyOf = (run: string, layer: string): string => `${run}\n${layer}`;
