// The card of one tag of one run: its text at a step, or the last few one under the other.
import type { LazyCard } from "../../lib/cards";
import { h, put } from "../../lib/dom";
import { download, saveMenu } from "../../lib/download";
import { count, plural } from "../../lib/format";
import { dot, messageOf } from "../../lib/frame";
import { formatted, MOST_FORMATTED } from "../../lib/markdown";
import type { Marks } from "../../lib/marks";
import { offStep } from "../../lib/stepbar";
import type { Address, LoggedText } from "../../source/source";
import { clock } from "./picturemath";
import type { TextEntry, TextStore } from "./textstore";

/** What all cards of the page show. */
export interface TextChoice {
  readonly step: number | null;
  /** So many entries one under the other. */
  readonly most: number;
  readonly source: boolean;
  readonly wanted: string;
  readonly colours: ReadonlyMap<string, string>;
}

export interface TextCardHost {
  readonly choice: TextChoice;
  readonly store: TextStore;
  readonly marks: Marks;
  /** Where the whole of a text can be had. */
  wholeUrl(run: string, tag: string, index: number): Address;
  /** To be called when the steps of a card have become known. */
  known(): void;
}

export class TextCard implements LazyCard {
  readonly el: HTMLElement;
  readonly #dot = h("span");
  readonly #note = h("p", { class: "curve-note num" });
  readonly #body = h("div", { class: "text-body", tabindex: 0, role: "region" });
  #shown: readonly { entry: TextEntry; text: LoggedText }[] = [];
  #drawn = "";

  constructor(
    private readonly key: string,
    private readonly run: string,
    readonly tag: string,
    private readonly host: TextCardHost,
  ) {
    this.#body.setAttribute("aria-label", `Text ${tag} of ${run}`);
    this.el = h(
      "article",
      { class: "card text-card", "aria-label": `Text ${tag}, ${run}` },
      h(
        "header",
        { class: "card-head" },
        h("h3", { title: tag }, tag),
        h("p", { class: "curve-note" }, this.#dot, run),
        this.#note,
        saveMenu([{ label: "Text (.md)", save: () => this.#save() }], `Save ${tag}`),
      ),
      this.#body,
    );
  }

  async refresh(): Promise<void> {
    const { step, most } = this.host.choice;
    put(this.#dot, dot(this.host.choice.colours.get(this.run)));
    const entries = await this.host.store.entries(this.key, step, most);
    this.host.known();
    const texts = await Promise.all(entries.map((entry) => this.host.store.text(this.key, entry)));
    // While the texts were on their way another step may have been chosen.
    if (step !== this.host.choice.step || most !== this.host.choice.most) return;
    this.#shown = entries.map((entry, i) => ({ entry, text: texts[i] }));
    this.#draw();
  }

  fail(error: unknown): void {
    this.#drawn = "";
    put(this.#body, h("p", { class: "curve-note failed", role: "alert" }, messageOf(error)));
  }

  destroy(): void {
    this.host.marks.forget(this.#body);
  }

  #draw(): void {
    const { step, source, wanted } = this.host.choice;
    const [newest] = this.#shown;
    if (!newest) return put(this.#body, h("p", { class: "muted" }, "Nothing is logged here."));
    put(this.#note, ...heading(newest.entry, step));
    const what = `${source}\n${this.#shown.map(({ entry }) => `${entry.step}/${entry.wallTime}`).join("\n")}`;
    if (what !== this.#drawn) {
      this.#drawn = what;
      const several = this.#shown.length > 1;
      put(this.#body, ...this.#shown.map(({ entry, text }) => this.#section(entry, text, source, several)));
    }
    this.host.marks.mark(this.#body, wanted);
  }

  #section(entry: TextEntry, { text, bytes }: LoggedText, source: boolean, several: boolean): HTMLElement {
    const [content, why] = contentOf(text, source);
    const notes = [why, this.#cut(entry, text, bytes)];
    return h(
      "section",
      { class: "text-entry" },
      several && h("h4", { class: "num" }, `step ${count(entry.step)} · ${clock(entry.wallTime)}`),
      ...notes.map((note) => note && h("p", { class: "text-note" }, note)),
      content,
    );
  }

  /** What is said of a text of which only the beginning is here. */
  #cut(entry: TextEntry, text: string, bytes: number): HTMLElement | null {
    const here = new Blob([text]).size;
    if (bytes <= here) return null;
    const asked = this.host.wholeUrl(this.run, this.tag, entry.index);
    const href = typeof asked === "string" ? asked : null;
    const link = h("a", { href, download: `${this.tag}.md` }, "download the whole text");
    if (typeof asked !== "string")
      asked.then(
        (url) => link.setAttribute("href", url),
        (error: unknown) => put(link, messageOf(error)),
      );
    return h("span", {}, `The first ${megabytes(here)} of ${megabytes(bytes)} are shown; `, link, ".");
  }

  #save(): void {
    const several = this.#shown.length > 1;
    const parts = this.#shown.map(({ entry, text }) =>
      several ? `<!-- step ${entry.step} -->\n${text.text}` : text.text,
    );
    download(`${this.run}-${this.tag}.md`, parts.join("\n\n"), "text/markdown;charset=utf-8");
  }
}

/** The text as elements, and why it is not formatted where it could not be. */
function contentOf(text: string, source: boolean): [HTMLElement, string] {
  const plain = (): HTMLElement => h("pre", { class: "text-source" }, text);
  if (source) return [plain(), ""];
  const fragment = formatted(text);
  if (fragment) return [h("div", { class: "prose" }, fragment), ""];
  const long = text.length > MOST_FORMATTED;
  return [
    plain(),
    long
      ? `Shown as it was logged: it has ${plural(text.length, "character")}, more than the ${count(MOST_FORMATTED)} that are formatted.`
      : "Shown as it was logged: it is nested or tangled too much to be formatted.",
  ];
}

function heading(entry: TextEntry, step: number | null): string[] {
  const off = offStep(entry.step, step);
  return [
    [`step ${count(entry.step)}`, off, clock(entry.wallTime), sizeText(entry.bytes)]
      .filter(Boolean)
      .join(" · "),
  ];
}

/** "12 B", "3.4 kB", "10 MB". */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${rounded(bytes / 1e3)} kB` : megabytes(bytes);
}

const megabytes = (bytes: number): string => `${rounded(bytes / 1e6)} MB`;

const rounded = (value: number): string =>
  value < 9.95 ? value.toFixed(1).replace(".0", "") : value.toFixed(0);
