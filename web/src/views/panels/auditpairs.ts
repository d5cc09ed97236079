// Images that are nearly the same, side by side; where their classes differ, one of the labels is likely wrong.
import { type AuditData, type Group, groupsOf } from "../../lib/auditdata";
import { type LazyCard, LazyCards } from "../../lib/cards";
import { h, put } from "../../lib/dom";
import { number, plural } from "../../lib/format";
import { empty, messageOf } from "../../lib/frame";
import { dominates, nameOf, type Thumbnails } from "./auditcell";

const SIDE = 148;

class GroupCard implements LazyCard {
  readonly el: HTMLElement;
  readonly #pictures = h("div", { class: "group-pictures" });
  readonly #gone = new AbortController();
  #drawn = false;

  constructor(
    private readonly data: AuditData,
    private readonly run: string,
    private readonly group: Group,
    private readonly pairs: AuditPairs,
  ) {
    const [low, high] = group.likeness;
    const classes = new Set(group.rows.map((row) => data.label[row]));
    const likeness = low === high ? number(high, 3) : `${number(low, 3)} to ${number(high, 3)}`;
    this.el = h(
      "article",
      { class: "duplicate card", "data-testid": "duplicates" },
      h(
        "header",
        { class: "duplicate-head num" },
        h("span", {}, `likeness ${likeness}`),
        classes.size > 1 &&
          h("span", { class: "flag weak", title: "One of the labels is likely wrong" }, "different classes"),
      ),
      this.#pictures,
    );
  }

  async refresh(): Promise<void> {
    if (this.#drawn) return;
    this.#drawn = true;
    const { data, run } = this;
    put(
      this.#pictures,
      ...this.group.rows.map((row) =>
        h(
          "a",
          { href: this.pairs.link(row), "aria-label": `${data.nameOf(row)}: ${dominates(data, row)}` },
          this.pairs.thumbnails.canvas(data, run, row, SIDE, this.#gone.signal),
          nameOf(data, row),
          h("span", { class: "muted audit-class" }, data.classOf(row) || "no class"),
          h("span", { class: "num muted" }, plural(data.channels[row], "channel")),
        ),
      ),
    );
  }

  fail(error: unknown): void {
    put(this.#pictures, messageOf(error));
  }

  destroy(): void {
    this.#gone.abort();
  }
}

export class AuditPairs {
  readonly el = h("div", { class: "duplicates" });
  readonly #cards = new LazyCards<GroupCard>(() => undefined);
  #shown = "";

  /** `link` gives the address of an image. */
  constructor(
    readonly thumbnails: Thumbnails,
    readonly link: (row: number) => string,
  ) {}

  /** Show the groups of which a row is among `rows`. */
  show(data: AuditData, run: string, rows: readonly number[]): void {
    const all = groupsOf(data.duplicate, data.likeness);
    const wanted = new Set(rows);
    const groups = all.filter((group) => group.rows.some((row) => wanted.has(row)));
    const shown = JSON.stringify([run, data.record.id, groups.map((group) => group.rows), this.link(0)]);
    if (shown === this.#shown) return this.#cards.refresh();
    this.#shown = shown;
    const cards = this.#cards.keep(
      groups.map((group) => `${shown.length}\n${this.link(group.rows[0])}\n${group.rows.join(" ")}`),
      (key) =>
        new GroupCard(
          data,
          run,
          groups[groups.findIndex(({ rows: of }) => key.endsWith(`\n${of.join(" ")}`))],
          this,
        ),
    );
    if (groups.length) put(this.el, ...cards.map(({ el }) => el));
    else
      put(
        this.el,
        all.length ? empty("No such pair", "No near-duplicate fits what is searched for.") : none(),
      );
  }

  destroy(): void {
    this.#cards.destroy();
  }
}

const none = (): HTMLElement =>
  empty("No near-duplicates", "No two images among the best of the channels are nearly the same.");
