// The header every view has, and what stands in place of data: empty, failed, loading.
import { type Child, h, put } from "./dom";

export interface Heading {
  readonly view: string;
  readonly tag?: string;
  readonly run?: string;
  readonly colour?: string;
  readonly step?: string;
  /** One plain sentence: what is shown. */
  readonly explain: string;
  /** The numbers that qualify it. */
  readonly facts?: readonly Fact[];
  /** How far a running computation is. */
  readonly progress?: { readonly label: string; readonly done: number; readonly total: number };
}

export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly title?: string;
}

/** The frame of a view: header, tool bar, body. */
export class Frame {
  readonly tools = h("div", { class: "tools", role: "toolbar", "aria-label": "View options" });
  readonly body = h("div", { class: "view-body" });
  readonly #header = h("header", { class: "view-header" });
  readonly #note = h("p", { class: "notice", role: "status" });

  constructor(el: HTMLElement) {
    put(el, this.#header, this.tools, this.body);
  }

  /** Say what the address asks for and is not here; nothing if all is as asked. */
  note(...texts: readonly string[]): void {
    const text = texts.filter(Boolean).join(" ");
    if (this.#note.textContent !== text) put(this.#note, text);
  }

  head(heading: Heading): void {
    const origin = [
      heading.run && h("span", { class: "origin-run" }, dot(heading.colour), heading.run),
      heading.step && h("span", { class: "origin-step num" }, heading.step),
    ];
    put(
      this.#header,
      h(
        "div",
        { class: "view-title" },
        h("h1", {}, heading.view, heading.tag && h("span", { class: "title-tag mono" }, heading.tag)),
        h("div", { class: "view-origin" }, ...origin),
      ),
      h("p", { class: "explain" }, heading.explain),
      this.#note,
      heading.facts?.length ? facts(heading.facts) : null,
      heading.progress ? progress(heading.progress) : null,
    );
  }
}

export function facts(list: readonly Fact[]): HTMLElement {
  const rows = list.map((fact) =>
    h(
      "div",
      { class: "fact", title: fact.title },
      h("dt", {}, fact.name),
      h("dd", { class: "num" }, fact.value),
    ),
  );
  return h("dl", { class: "facts" }, ...rows);
}

function progress({ label, done, total }: NonNullable<Heading["progress"]>): HTMLElement {
  const share = total > 0 ? (100 * done) / total : 0;
  const bar = h("span", { style: { width: `${share}%` } });
  const range = { "aria-valuenow": Math.round(share), "aria-valuemin": 0, "aria-valuemax": 100 };
  return h("div", { class: "progress", role: "progressbar", "aria-label": label, ...range }, bar);
}

export const dot = (colour: string | undefined): HTMLElement =>
  h("span", { class: "dot", "aria-hidden": "true", style: { "--dot": colour ?? "var(--faint)" } });

/** What stands in an empty view: what would be here and which command fills it. */
export function empty(title: string, text: string, ...commands: string[]): HTMLElement {
  return h(
    "div",
    { class: "empty", "data-testid": "empty" },
    h("h2", {}, title),
    h("p", {}, text),
    ...commands.map((command) => h("code", { class: "command" }, command)),
  );
}

export const failed = (error: unknown): HTMLElement =>
  h(
    "div",
    { class: "empty failed", role: "alert" },
    h("h2", {}, "This could not be loaded"),
    h("p", {}, messageOf(error)),
  );

export const loading = (what: string): HTMLElement =>
  h("p", { class: "loading", role: "status" }, `Loading ${what} …`);

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const isAbort = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";

/** A table for those who cannot see the canvas beside it. */
export function hiddenTable(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly Child[])[],
): HTMLElement {
  // A table is never narrower than its contents, so that what is clipped is the box around it.
  const table = h(
    "table",
    {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell))))),
  );
  return h("div", { class: "visually-hidden" }, table);
}
