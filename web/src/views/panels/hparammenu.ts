// What can be done with one column: sort, filter, scale, colours, axis. The keyboard's way to all that a brush does.
import { segmented } from "../../lib/controls";
import { type Child, h, put } from "../../lib/dom";
import { count } from "../../lib/format";
import { type Filter, filterKey, formatFilter } from "../../lib/hparamfilter";
import {
  type Column,
  cellText,
  choicesOf,
  exactText,
  extentOf,
  lackText,
  RUN,
  SCALES,
  type ScaleName,
  usualScale,
} from "../../lib/hparams";
import { axesChange, columnChange, type HState, moved, type Params, scaleKey } from "../../lib/hparamstate";
import type { Change } from "../../lib/route";

const LISTED = 200;
const WIDTH = 300;
const TYPED_MS = 150;

export interface MenuHost {
  readonly state: () => HState;
  readonly params: () => Params;
  navigate(change: Change, replace?: boolean): void;
}

export class HparamMenu {
  readonly el = h("div", { class: "hparam-dialog", role: "dialog", hidden: true });
  #anchor: HTMLElement | undefined;
  #key = "";
  #timer = 0;
  readonly #outside = (event: Event): void => {
    const { target } = event;
    if (target instanceof Node && !this.el.contains(target) && !this.#anchor?.contains(target))
      this.close(false);
  };

  constructor(private readonly host: MenuHost) {
    this.el.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close(true);
    });
  }

  open(column: Column, anchor: HTMLElement): void {
    if (!this.el.hidden && this.#key === column.key) return this.close(true);
    this.#anchor = anchor;
    this.#key = column.key;
    this.#show(column);
    this.el.hidden = false;
    this.el.setAttribute("aria-label", `Column ${column.name}`);
    this.#place(anchor);
    document.addEventListener("pointerdown", this.#outside);
    this.el.querySelector<HTMLElement>("input, button")?.focus();
  }

  close(back: boolean): void {
    if (this.el.hidden) return;
    this.el.hidden = true;
    document.removeEventListener("pointerdown", this.#outside);
    if (!back) return;
    // The head may have been made anew meanwhile.
    const { focus, axis } = this.#anchor?.dataset ?? {};
    const same = [...document.querySelectorAll<HTMLElement>("[data-focus], [data-axis]")].find(
      (one) => (focus && one.dataset.focus === focus) || (axis && one.dataset.axis === axis),
    );
    (this.#anchor?.isConnected ? this.#anchor : same)?.focus();
  }

  destroy(): void {
    clearTimeout(this.#timer);
    this.close(false);
  }

  #place(anchor: HTMLElement): void {
    const box = anchor.getBoundingClientRect();
    const left = Math.max(8, Math.min(innerWidth - WIDTH - 8, box.left));
    const room = innerHeight - box.bottom - 16;
    const height = Math.min(this.el.scrollHeight, innerHeight - 32);
    const top = room >= Math.min(height, 320) ? box.bottom + 6 : Math.max(16, innerHeight - height - 16);
    Object.assign(this.el.style, {
      left: `${left}px`,
      top: `${top}px`,
      maxHeight: `${innerHeight - top - 12}px`,
    });
  }

  #show(column: Column): void {
    const state = this.host.state();
    put(
      this.el,
      h("h3", {}, column.name, h("small", {}, roleText(column))),
      column.numeric ? this.#range(column, state) : this.#choices(column, state),
      column.numeric && column.key !== RUN && this.#scale(column, state),
      this.#doings(column, state),
    );
  }

  #again(column: Column, change: Change): void {
    this.host.navigate(change);
    const focused = document.activeElement?.textContent;
    this.#show(column);
    const same = [...this.el.querySelectorAll("button")].find((one) => one.textContent === focused);
    (same ?? this.el.querySelector<HTMLElement>("input, button"))?.focus();
  }

  #filter(column: Column, filter: Filter | null): void {
    this.host.navigate({ [filterKey(column.key)]: filter ? formatFilter(filter) : null }, true);
  }

  #range(column: Column, { filters }: HState): HTMLElement {
    const extent = extentOf(column.cells);
    const now = filters.get(column.key);
    const range = now?.kind === "range" ? now : undefined;
    const bound = (label: string, value: number | undefined, hint: number): HTMLInputElement =>
      h("input", {
        type: "number",
        step: "any",
        "aria-label": `${label} of ${column.name}`,
        placeholder: Number.isFinite(hint) ? exactText(column, hint) : "",
        value: value !== undefined && Number.isFinite(value) ? value : null,
      });
    const low = bound("Least", range?.low, extent.low);
    const high = bound("Greatest", range?.high, extent.high);
    const missing = h("input", { type: "checkbox", class: "plain", checked: range ? range.missing : true });
    const nan = h("input", { type: "checkbox", class: "plain", checked: range ? range.nan : true });
    const apply = (): void => {
      const [least, most] = [
        numberOr(low, Number.NEGATIVE_INFINITY),
        numberOr(high, Number.POSITIVE_INFINITY),
      ];
      const open = !Number.isFinite(least) && !Number.isFinite(most);
      const whole = open && (missing.checked || !extent.missing) && (nan.checked || !extent.nan);
      const also = { missing: missing.checked && extent.missing > 0, nan: nan.checked && extent.nan > 0 };
      this.#filter(column, whole ? null : { kind: "range", low: least, high: most, ...also });
    };
    const typed = (): void => {
      // The first number that is typed asks for numbers: what is none is then left out, unless one says so.
      if (!range && !this.host.state().filters.has(column.key)) missing.checked = nan.checked = false;
      this.#soon(apply);
    };
    for (const field of [low, high]) field.addEventListener("input", typed);
    for (const box of [missing, nan]) box.addEventListener("change", apply);
    const lacks = lackText(extent);
    return h(
      "fieldset",
      {},
      h("legend", {}, "Filter by range"),
      h("div", { class: "hparam-bounds" }, low, h("span", {}, "to"), high),
      extent.missing > 0 && h("label", {}, missing, `keep ${count(extent.missing)} without a value`),
      extent.nan > 0 && h("label", {}, nan, `keep ${count(extent.nan)} with NaN`),
      lacks && h("p", { class: "muted" }, `${lacks}.`),
    );
  }

  #choices(column: Column, { filters }: HState): HTMLElement {
    const now = filters.get(column.key);
    const choices = choicesOf(column);
    const missing = column.cells.filter((cell) => cell === undefined).length;
    const part = h("input", {
      type: "search",
      "aria-label": `Text in ${column.name}`,
      placeholder: "contains …",
      value: now?.kind === "text" ? now.part : null,
      oninput: () =>
        this.#soon(() => {
          for (const box of boxes) box.checked = true;
          this.#filter(column, part.value ? { kind: "text", part: part.value } : null);
        }),
    });
    const listed = choices
      .slice(0, LISTED)
      .map(({ value, count: many }) => ({ text: cellText(value), many }));
    const chosen = (text: string): boolean => now?.kind !== "choice" || now.texts.has(text);
    const boxes = listed.map(({ text }) =>
      h("input", { type: "checkbox", class: "plain", value: text, checked: chosen(text) }),
    );
    const lacking = h("input", {
      type: "checkbox",
      class: "plain",
      checked: now?.kind !== "choice" || now.missing,
    });
    const apply = (): void => {
      part.value = "";
      const on = boxes.filter(({ checked }) => checked).map(({ value }) => value);
      const all =
        on.length === boxes.length && (lacking.checked || !missing) && boxes.length === choices.length;
      this.#filter(
        column,
        all ? null : { kind: "choice", texts: new Set(on), missing: lacking.checked && missing > 0 },
      );
    };
    for (const box of [...boxes, lacking]) box.addEventListener("change", apply);
    const set = (yes: boolean) => (): void => {
      for (const box of [...boxes, lacking]) box.checked = yes;
      apply();
    };
    const row = (box: HTMLInputElement, text: Child, many: number): HTMLElement =>
      h("label", {}, box, h("span", {}, text), h("span", { class: "num muted" }, count(many)));
    const list = column.key !== RUN && [
      h(
        "div",
        { class: "hparam-sets" },
        h("button", { type: "button", class: "button", onclick: set(true) }, "All"),
        h("button", { type: "button", class: "button", onclick: set(false) }, "None"),
      ),
      h(
        "div",
        { class: "hparam-choices" },
        ...boxes.map((box, i) => row(box, listed[i].text, listed[i].many)),
        missing > 0 && row(lacking, h("i", {}, "missing"), missing),
      ),
      choices.length > LISTED &&
        h("p", { class: "muted" }, `${count(choices.length - LISTED)} more; search for them by text.`),
    ];
    return h("fieldset", {}, h("legend", {}, "Filter"), part, ...(list || []));
  }

  #scale(column: Column, state: HState): HTMLElement {
    const choose = (name: ScaleName): void =>
      this.#again(column, { [scaleKey(column.key)]: name === usualScale(column) ? null : name });
    const options = SCALES.map((value) => ({ value, text: value }));
    return segmented("Scale", options, state.scale(column), choose).el;
  }

  #doings(column: Column, state: HState): HTMLElement {
    const { key } = column;
    const at = state.axes.indexOf(column);
    const axes = (next: readonly Column[]) => (): void => this.#again(column, axesChange(next));
    const item = (text: string, doing: () => void, off = false): HTMLElement =>
      h("button", { type: "button", class: "button", disabled: off, onclick: doing }, text);
    const shown = state.columns.includes(column);
    return h(
      "div",
      { class: "hparam-doings" },
      item("Sort ↑", () => this.#again(column, { sort: key })),
      item("Sort ↓", () => this.#again(column, { sort: `-${key}` })),
      item("Clear filter", () => this.#again(column, { [filterKey(key)]: null }), !state.filters.has(key)),
      item("Colour by this", () => this.#again(column, { by: key }), state.by === column),
      at < 0
        ? item("Add as axis", axes([...state.axes, column]))
        : item("Remove axis", axes(state.axes.filter((one) => one !== column)), state.axes.length < 2),
      at >= 0 && item("Axis ←", axes(moved(state.axes, at, at - 1)), at === 0),
      at >= 0 && item("Axis →", axes(moved(state.axes, at, at + 1)), at === state.axes.length - 1),
      key !== RUN &&
        item(shown ? "Hide column" : "Show column", () =>
          this.#again(column, columnChange(state.table, this.host.params(), key, !shown)),
        ),
    );
  }

  #soon(work: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(work, TYPED_MS);
  }
}

const numberOr = (field: HTMLInputElement, open: number): number =>
  field.value === "" ? open : Number(field.value);

const roleText = ({ role, numeric }: Column): string =>
  `${role === "hparam" ? "hyper-parameter" : role === "metric" ? "metric" : "of the run"}${numeric ? ", numbers" : ""}`;
