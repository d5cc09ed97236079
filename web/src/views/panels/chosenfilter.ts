// The filter that is chosen on a page of gradients, importance or ablation: its numbers, and its other pages.
import type { PageLink } from "../../lib/channelpages";
import { type Child, h, put } from "../../lib/dom";
import { type Fact, facts } from "../../lib/frame";

export class ChosenFilter {
  readonly el = h("aside", { class: "panel", "aria-label": "Chosen filter", hidden: true });

  constructor(private readonly close: () => void) {}

  hide(): void {
    this.el.hidden = true;
    put(this.el);
  }

  show(filter: number, numbers: readonly Fact[], links: readonly PageLink[], ...more: Child[]): void {
    this.el.hidden = false;
    const focused = this.el.contains(document.activeElement);
    const close = h(
      "button",
      { type: "button", class: "icon-button", "aria-label": "Close", onclick: this.close },
      "×",
    );
    put(
      this.el,
      h("header", { class: "panel-head" }, h("h2", { class: "num" }, `Filter ${filter}`), close),
      facts(numbers),
      links.length
        ? h(
            "p",
            { class: "panel-links" },
            ...links.map(({ text, href }) => h("a", { class: "button", href }, text)),
          )
        : null,
      ...more,
    );
    if (focused) close.focus();
  }
}
