// One card of curves: its chart, what qualifies it, values, a table, and the files it is saved as.
import type { LazyCard } from "../../lib/cards";
import { seriesKey } from "../../lib/catalog";
import { type Cursor, Curve } from "../../lib/curve";
import { h, put, s } from "../../lib/dom";
import { saveMenu } from "../../lib/download";
import { count, exact, number, plural } from "../../lib/format";
import { hiddenTable, messageOf } from "../../lib/frame";
import type { CurveOptions, Range } from "../../lib/scene";
import { swatch } from "../../lib/swatch";
import type { Prepared, Trace } from "../../lib/traces";
import { notesOf } from "./scalarnotes";
import { saveItems } from "./scalarsave";
import type { ChartSpec, Material } from "./scalarspec";
import { pointsOf, ScalarTable } from "./scalartable";
import { meanSize, spoken } from "./scalartip";

/** What a card asks of the view it stands in. */
export interface CardHost {
  material(): Material;
  options(): CurveOptions;
  /** Column by which tables are sorted. */
  by(): string;
  has(list: CardList, name: string): boolean;
  toggle(list: CardList, name: string): void;
  sort(by: string): void;
  zoom(range: Range | null, moving: boolean): void;
  point(title: string, cursor: Cursor | null): void;
  rested(): void;
}

/** Lists of cards in the address: pinned ones, wide ones, those with their table open. */
export type CardList = "pins" | "wide" | "table";

const READINGS = 8;
const HIDDEN_ROWS = 60;
const ICONS = {
  pins: "M6 2.2h4l-.6 4.3 2.3 2.2v1.4H4.3V8.7l2.3-2.2zM8 10.1V14",
  table: "M2.5 3h11v10h-11zM2.5 6.4h11M2.5 9.7h11M6.4 6.4V13",
  wide: "M6 4 2 8l4 4M10 4l4 4-4 4M2.4 8h11.2",
} as const;

export class ScalarCard implements LazyCard {
  readonly el: HTMLElement;
  readonly #chart = h("div", { class: "curve-host", role: "group" });
  readonly #foot = h("div", { class: "curve-readings" });
  readonly #note = h("p", { class: "curve-note" });
  readonly #said = h("p", { class: "visually-hidden", "aria-live": "polite" });
  readonly #hidden = h("div");
  readonly #table: ScalarTable;
  readonly #buttons: ReadonlyMap<CardList, HTMLButtonElement>;
  readonly #curve: Curve;
  #traces: readonly Trace[] = [];
  /** Why some of the series are not drawn. */
  #refused = "";

  constructor(
    readonly spec: ChartSpec,
    private readonly host: CardHost,
  ) {
    const { name, title, tag } = spec;
    this.#table = new ScalarTable((by) => host.sort(by));
    this.#buttons = new Map([
      ...(tag === null ? [] : [["pins", this.#button("pins", "Pin")] as const]),
      ["table", this.#button("table", "Table of")],
      ["wide", this.#button("wide", "Widen")],
    ]);
    const save = saveMenu(
      saveItems(() => ({
        spec,
        curve: this.#curve,
        options: host.options(),
        note: this.#note.textContent ?? "",
      })),
      `Save ${name}`,
    );
    this.el = h(
      "article",
      { class: "card curve-card", "aria-label": `Curve ${name}` },
      h(
        "header",
        { class: "card-head" },
        h("h3", { title: name }, title),
        h("div", { class: "card-buttons" }, ...this.#buttons.values(), save),
      ),
      this.#note,
      this.#chart,
      this.#foot,
      this.#table.el,
      this.#hidden,
      this.#said,
    );
    this.#chart.setAttribute("aria-label", `Chart of ${name}: arrow keys read its points, + and − zoom`);
    this.#curve = new Curve(this.#chart, {
      zoomed: (range, moving) => host.zoom(range, moving),
      cursor: (cursor) => this.#read(cursor),
    });
  }

  /** Keys of the series that it shows. */
  get series(): string[] {
    return this.spec.wanted(this.host.material()).map(({ run, tag }) => seriesKey(run, tag));
  }

  async refresh(): Promise<void> {
    const { store } = this.host.material();
    const wanted = this.spec.wanted(this.host.material());
    const reached = await Promise.allSettled(
      wanted.map(({ run, tag, count }) => store.reach(run, tag, count)),
    );
    const refused = reached.filter((one) => one.status === "rejected");
    if (refused.length && refused.length === reached.length) throw refused[0].reason;
    this.#refused = refused.length
      ? `${refused.length} of ${count(reached.length)} series could not be had: ${messageOf(refused[0].reason)}`
      : "";
    if (this.el.isConnected) this.draw();
  }

  draw(): void {
    const { spec, host } = this;
    this.#marks();
    this.#traces = spec.traces(host.material());
    this.#curve.draw(this.#traces, host.options());
    const { lines, scene, canvas } = this.#curve;
    canvas?.setAttribute("role", "img");
    canvas?.setAttribute("aria-label", this.#summary());
    this.#note.classList.remove("failed");
    const notes = scene ? notesOf(lines, scene, host.options()) : [];
    put(this.#note, [this.#refused, ...notes].filter(Boolean).join(" · "));
    this.#showReadings(null);
    put(this.#hidden, this.#lastValues());
    if (!this.#table.el.hidden) this.#table.show(spec.name, lines, host.by());
  }

  fail(error: unknown): void {
    put(this.#note, messageOf(error));
    this.#note.classList.add("failed");
  }

  rest(): void {
    if (this.#chart.contains(document.activeElement)) return;
    this.#curve.rest();
    this.host.rested();
  }

  destroy(): void {
    this.#curve.destroy();
  }

  #button(list: CardList, verb: string): HTMLButtonElement {
    const { name } = this.spec;
    const label = `${verb} ${name}`;
    return h(
      "button",
      {
        type: "button",
        class: "icon-button card-button",
        "aria-label": label,
        title: label,
        "aria-pressed": "false",
        onclick: () => this.host.toggle(list, name),
      },
      s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: ICONS[list] })),
    );
  }

  #marks(): void {
    for (const [list, button] of this.#buttons)
      button.setAttribute("aria-pressed", String(this.host.has(list, this.spec.name)));
    this.el.classList.toggle("wide", this.host.has("wide", this.spec.name));
    this.#table.el.hidden = !this.host.has("table", this.spec.name);
  }

  #summary(): string {
    const { lines } = this.#curve;
    const ends = lines.slice(0, READINGS).map((line) => `${nameOf(line)} ends at ${number(last(line))}`);
    const rest = lines.length - ends.length;
    if (rest > 0) ends.push(`and ${plural(rest, "more line")}`);
    return `${this.spec.name}: ${ends.join(", ") || "no run shown"}`;
  }

  #lastValues(): HTMLElement {
    const { lines } = this.#curve;
    const rows = lines
      .slice(0, HIDDEN_ROWS)
      .map((line) => [nameOf(line), count(line.y.length), exact(last(line))]);
    const caption = `Last values of ${this.spec.name}`;
    const cut = lines.length > rows.length ? `; ${rows.length} of ${lines.length}, the table has all` : "";
    return hiddenTable(caption + cut, ["run", "points", "last value"], rows);
  }

  #read(cursor: Cursor | null): void {
    this.#showReadings(cursor);
    this.host.point(this.spec.name, cursor);
    if (cursor?.own && cursor.keyboard) put(this.#said, spoken(this.spec.name, cursor.readings));
  }

  #showReadings(cursor: Cursor | null): void {
    const { lines } = this.#curve;
    const items = lines.slice(0, READINGS).map((line, i) => {
      const index = cursor?.readings[i]?.index;
      const value = cursor ? line.y[index ?? -1] : last(line);
      return h(
        "span",
        { class: "reading", title: nameOf(line) },
        swatch(line.trace),
        h("span", { class: "reading-name" }, nameOf(line)),
        h("b", { class: "num" }, value === undefined ? "–" : number(value)),
      );
    });
    const rest = lines.length - items.length;
    put(
      this.#foot,
      ...items,
      rest > 0 ? h("span", { class: "muted" }, `and ${plural(rest, "more line")}`) : null,
    );
  }
}

const nameOf = ({ trace }: Prepared): string =>
  trace.kind === "mean" ? `${trace.name} (${meanSize(trace)})` : trace.name;

function last(line: Prepared): number {
  const [, values] = pointsOf(line);
  return values.length ? values[values.length - 1] : Number.NaN;
}
