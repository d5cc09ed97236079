// Brings the map, the panels beside it and the table to what is known of an embedding and asked of it.
import { type Emphasis, indicesWhere } from "../../lib/highlight";
import type { Nearest } from "../../lib/nearest";
import type { PointAddress } from "../../lib/pointaddress";
import { type ColourSpec, hiddenBy, where } from "../../lib/pointcolours";
import { pointsIn, tierShown } from "../../lib/pointquery";
import type { PointQuestions } from "../../lib/pointquestions";
import { classOf, type EmbeddingData } from "../../lib/points";
import { formatRoute } from "../../lib/route";
import type { Selection } from "../../lib/selection";
import type { RecordInfo, RunInfo, Source } from "../../source/source";
import type { ViewState } from "../view";
import type { PointMap } from "./pointmap";
import type { PointsPanel } from "./points";
import type { PointTable } from "./pointtable";

/** What belongs to the embedding that is open. */
export interface OpenEmbedding {
  readonly run: RunInfo;
  readonly record: RecordInfo;
  readonly data: EmbeddingData;
  readonly selection: Selection;
  readonly nearest: Nearest;
  readonly questions: PointQuestions;
  readonly controller: AbortController;
  /** Dimensions of each projection, by tag; 0 where they are not known yet. */
  readonly dimensions: Map<string, number>;
}

/** What the address asks of it. */
export interface Asked {
  readonly state: ViewState;
  readonly address: PointAddress;
  /** The chosen point, -1 for none. */
  readonly chosen: number;
}

/** Learn how many dimensions each projection has, for their names. */
export async function measured(
  source: Source,
  { run, dimensions, controller }: OpenEmbedding,
  projections: ReadonlyMap<string, readonly RecordInfo[]>,
): Promise<void> {
  const { signal } = controller;
  for (const [tag, records] of projections) {
    const id = records.at(-1)?.id ?? "";
    const record = await source.record(run.name, id, signal).catch(() => undefined);
    dimensions.set(tag, record?.arrays.points?.shape[1] ?? 0);
  }
}

export class PointScreen {
  /** The points of the search, rising. */
  matches: Int32Array = new Int32Array();
  #found: Uint8Array | null = null;
  #painted = "";
  #open: OpenEmbedding | undefined;

  /** `stressed` is told what stands out, whenever that changes. */
  constructor(
    private readonly map: PointMap,
    private readonly panel: PointsPanel,
    private readonly table: PointTable,
    private readonly stressed: (open: OpenEmbedding, asked: Asked, emphasis: Emphasis) => void,
  ) {
    panel.cards.colour = (point) => map.colourOf(point);
  }

  close(): void {
    this.matches = new Int32Array();
    this.#found = null;
    this.#painted = "";
    this.#open = undefined;
  }

  spec(open: OpenEmbedding | undefined, { address, state }: Asked): ColourSpec {
    const { colour: by, log } = address;
    return { by, log, theme: state.theme, distances: open?.questions.distances ?? null };
  }

  show(open: OpenEmbedding, asked: Asked): void {
    this.#open = open;
    const { data, questions, selection } = open;
    const { state, address, chosen } = asked;
    const tier = tierShown(questions.found, address.tier);
    const searched = questions.query.trim() !== "" && !questions.searching && !questions.problem;
    this.#found = searched ? pointsIn(questions.found, tier) : null;
    this.matches = this.#found ? indicesWhere(this.#found) : new Int32Array();
    const look = this.#colour(open, asked);
    this.#stress(open, asked);
    const { query, found, problem, searching } = questions;
    this.panel.found.show(data, { query, found, tier, points: this.matches, chosen, problem, searching });
    const { metric, k } = address;
    const near = { answer: questions.near, problem: questions.nearProblem };
    this.panel.near.show(data, { chosen, metric, k, ...near }, look);
    this.panel.views.show(state.index.logdir, formatRoute(state.route));
    if (!selection.size) this.panel.selection.show(data, selection, open.nearest, state, metric);
    this.#rows(open, asked);
  }

  /** The points that an address leads to that names no camera; none: all. */
  ledTo({ questions }: OpenEmbedding, chosen: number): ArrayLike<number> {
    return this.matches.length || chosen < 0 ? this.matches : [chosen, ...(questions.near?.index ?? [])];
  }

  /** The points that the legend leaves. */
  left({ data }: OpenEmbedding, { address }: Asked): Int32Array {
    const hidden = hiddenBy(this.map.legend, address.filter);
    return indicesWhere(where(data.count, (i) => !hidden?.[i]));
  }

  /** Colour the points anew where they have to be; returns what their colours depend on. */
  #colour(open: OpenEmbedding, asked: Asked): string {
    const spec = this.spec(open, asked);
    const { by, theme, log, distances } = spec;
    const look = JSON.stringify([open.data.record.id, by, theme, log, distances ? asked.chosen : ""]);
    if (look === this.#painted) {
      this.panel.legend.show(this.map.legend, asked.address.filter);
      return look;
    }
    this.#painted = look;
    // The theme is on the document by the time this runs.
    requestAnimationFrame(() => {
      if (this.#open?.data !== open.data || this.#painted !== look) return;
      this.panel.legend.show(this.map.colour(spec), asked.address.filter);
      this.#stress(open, asked);
    });
    return look;
  }

  #stress(open: OpenEmbedding, asked: Asked): void {
    const { data, questions, selection } = open;
    const { address, chosen } = asked;
    const { label } = classOf(data, address.class);
    const found = this.#found;
    const matches =
      label === null ? found : where(data.count, (i) => data.label[i] === label && found?.[i] !== 0);
    const emphasis: Emphasis = {
      matches,
      hidden: hiddenBy(this.map.legend, address.filter),
      selection: selection.size ? selection.bits : null,
      near: chosen < 0 ? null : (questions.near?.index ?? null),
      chosen,
    };
    this.map.emphasise(emphasis);
    this.stressed(open, asked, emphasis);
  }

  #rows(open: OpenEmbedding, { address, chosen }: Asked): void {
    const { table, by, page } = address;
    if (!table) return this.table.hide();
    const points = { all: null, matches: this.matches, selection: open.selection.indices() }[table];
    void this.table.show(open.data, { points, of: table, by, page, chosen }, open.controller.signal);
  }
}
