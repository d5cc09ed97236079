// The curves of one class in the other runs that are shown, to compare them in one chart.
import { recordsOf } from "../../lib/catalog";
import { type ClassCurve, type CurvesData, fetchCurves } from "../../lib/curvesdata";
import { shownRuns } from "../../lib/runs";
import type { RecordInfo, RecordMeta, Source } from "../../source/source";
import type { ViewState } from "../view";

const MOST_RUNS = 12;
const KEPT = 64;

export interface ClassRun {
  readonly run: string;
  readonly one: ClassCurve;
  readonly colour: string;
  readonly dash?: readonly number[];
  readonly strong: boolean;
  readonly faint: boolean;
}

export class CurveRuns {
  readonly #loaded = new Map<string, CurvesData | null>();
  readonly #controller = new AbortController();

  /** `arrived` is called when more is here. */
  constructor(
    private readonly source: Source,
    private readonly arrived: () => void,
  ) {}

  /** The class called `name` in other runs, of a record of the same tag at or before the step; as far as it is here. */
  of(state: ViewState, run: string, record: RecordMeta, name: string): ClassRun[] {
    const runs = shownRuns(state.index, state.route.params)
      .filter((other) => other.name !== run && recordsOf(other, "curves", record.tag).length)
      .slice(0, MOST_RUNS);
    return runs.flatMap((other): ClassRun[] => {
      const records = recordsOf(other, "curves", record.tag);
      const at = records.findLast(({ step }) => step <= record.step) ?? records[0];
      const one = this.#data(other.name, at)?.classes.find((each) => each.name === name);
      const look = { colour: state.colours.get(other.name) ?? "", dash: state.dashes.get(other.name) ?? [] };
      return one ? [{ run: other.name, one, ...look, strong: false, faint: false }] : [];
    });
  }

  stop(): void {
    this.#controller.abort();
  }

  #data(run: string, { id }: RecordInfo): CurvesData | null {
    const key = `${run}\n${id}`;
    const known = this.#loaded.get(key);
    if (known !== undefined) return known;
    if (this.#loaded.size >= KEPT) this.#loaded.clear();
    this.#loaded.set(key, null);
    fetchCurves(this.source, run, id, this.#controller.signal).then(
      (data) => {
        this.#loaded.set(key, data);
        this.arrived();
      },
      // A run that cannot be read is missing among those compared; it says why where it is shown itself.
      () => undefined,
    );
    return null;
  }
}
