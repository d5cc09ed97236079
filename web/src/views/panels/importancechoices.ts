// Which measure, which class, and which class it is compared with; a search leaves only the classes that it finds.
import { select } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { groupsNamed, groupText } from "../../lib/groups";
import { type ImportanceData, measureName } from "../../lib/importancedata";
import type { Change } from "../../lib/route";

const NOTHING = "";

export class ImportanceChoices {
  readonly el = h("span", { class: "control-slot study-choices" });
  #key = "";

  constructor(private readonly set: (change: Change) => void) {}

  /** `other`: -1 for nothing. */
  update(data: ImportanceData, measure: number, group: number, other: number, search: string): void {
    const query = /^#?\d*$/.test(search) ? "" : search;
    const groups = [...new Set([...groupsNamed(data.groups, query), group, ...(other < 0 ? [] : [other])])];
    const texts = groups.map((g) => groupText(data.groups[g]));
    const key = JSON.stringify([data.measures, groups, texts]);
    // Replacing a list while it is open would close it.
    if (key !== this.#key) this.#make(data, groups, texts);
    this.#key = key;
    const chosen = [data.measures[measure], String(group), other < 0 ? NOTHING : String(other)];
    this.el.querySelectorAll("select").forEach((field, i) => {
      field.value = chosen[i];
    });
  }

  #make({ measures }: ImportanceData, groups: readonly number[], texts: readonly string[]): void {
    const options = groups.map((g, i) => ({ value: String(g), text: texts[i] }));
    const names = measures.map((value) => ({ value, text: measureName(value) }));
    put(
      this.el,
      select("Measure", names, names[0]?.value ?? "", (v) =>
        this.set({ measure: v === measures[0] ? null : v }),
      ).el,
      select("Class", options, "", (v) => this.set({ of: v === "0" ? null : v })).el,
      select("Compare with", [{ value: NOTHING, text: "nothing" }, ...options], NOTHING, (v) =>
        this.set({ with: v || null }),
      ).el,
    );
  }
}
