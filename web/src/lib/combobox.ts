// A text field that offers completions: ↑ ↓ choose among them, Enter takes one or what is typed, Escape closes the list.
import { h, put } from "./dom";

let made = 0;

export class Combobox {
  readonly el: HTMLElement;
  readonly #id = `combobox-${made++}`;
  readonly #input: HTMLInputElement;
  readonly #list: HTMLElement;
  #offered: readonly string[] = [];
  #at = -1;

  /** `offers` gives the completions of a text, `take` gets what was chosen or typed. */
  constructor(
    label: string,
    placeholder: string,
    private readonly offers: (text: string) => readonly string[],
    private readonly take: (text: string) => void,
  ) {
    this.#list = h("ul", {
      id: this.#id,
      role: "listbox",
      "aria-label": `${label}: completions`,
      hidden: true,
    });
    this.#input = h("input", {
      type: "text",
      role: "combobox",
      "aria-label": label,
      "aria-autocomplete": "list",
      "aria-controls": this.#id,
      "aria-expanded": "false",
      placeholder,
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.#offer(),
      onkeydown: (event: KeyboardEvent) => this.#key(event),
      onblur: () => this.#close(),
    });
    this.el = h("div", { class: "combobox" }, this.#input, this.#list);
  }

  /** What stands in the field; a text that is being typed is left alone. */
  set(text: string): void {
    if (document.activeElement !== this.#input) this.#input.value = text;
  }

  focus(): void {
    this.#input.focus();
  }

  #offer(): void {
    this.#offered = this.offers(this.#input.value);
    this.#at = -1;
    put(this.#list, ...this.#offered.map((text, i) => this.#option(text, i)));
    this.#list.hidden = !this.#offered.length;
    this.#mark();
  }

  #option(text: string, at: number): HTMLElement {
    return h(
      "li",
      {
        id: `${this.#id}-${at}`,
        role: "option",
        // A press takes the focus from the field, which would close the list before the click.
        onpointerdown: (event: PointerEvent) => event.preventDefault(),
        onclick: () => this.#choose(text),
      },
      text,
    );
  }

  #key(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) {
      event.preventDefault();
      if (this.#list.hidden) this.#offer();
      const many = this.#offered.length + 1; // and the text itself
      this.#at = ((this.#at + 1 + by + many) % many) - 1;
      this.#mark();
    } else if (event.key === "Enter") this.#choose(this.#offered[this.#at] ?? this.#input.value);
    else if (event.key === "Escape" && !this.#list.hidden) {
      event.stopPropagation();
      this.#close();
    }
  }

  #choose(text: string): void {
    this.#input.value = text;
    this.#close();
    this.take(text.trim());
  }

  #close(): void {
    this.#list.hidden = true;
    this.#at = -1;
    this.#mark();
  }

  #mark(): void {
    this.#input.setAttribute("aria-expanded", String(!this.#list.hidden));
    [...this.#list.children].forEach((option, i) => {
      option.setAttribute("aria-selected", String(i === this.#at));
    });
    const chosen = this.#at < 0 ? undefined : this.#list.children[this.#at];
    if (chosen) this.#input.setAttribute("aria-activedescendant", chosen.id);
    else this.#input.removeAttribute("aria-activedescendant");
    chosen?.scrollIntoView({ block: "nearest" });
  }
}
