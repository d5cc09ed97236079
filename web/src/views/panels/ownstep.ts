// The slider of one card, which leaves the slider of the page, says so, and is put back.
import { h, put } from "../../lib/dom";
import { count } from "../../lib/format";

export class OwnStep {
  readonly range: HTMLInputElement;
  readonly note = h("p", { class: "own-step", role: "status" });
  readonly #back: HTMLButtonElement;

  /** `choose` is called with the number of an entry, undefined where the card follows the page again. */
  constructor(name: string, choose: (index: number | undefined) => void) {
    this.range = h("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": `Own step of ${name}` });
    this.range.addEventListener("input", () => choose(Number(this.range.value)));
    const back = (): void => {
      this.range.focus();
      choose(undefined);
    };
    this.#back = h("button", { type: "button", class: "link-button", onclick: back }, "follow the page");
  }

  /** The number of entries, the one that is shown with its step, and whether the card has left the page's slider. */
  update(entries: number, index: number, step: number, apart: boolean): void {
    const last = entries - 1;
    this.range.max = String(last);
    this.range.value = String(index);
    this.range.hidden = last === 0;
    this.range.style.setProperty("--fill", `${last ? (100 * index) / last : 0}%`);
    this.range.setAttribute("aria-valuetext", `step ${count(step)}`);
    if (!apart) put(this.note);
    else if (!this.note.contains(this.#back)) put(this.note, "own step · ", this.#back);
  }
}
