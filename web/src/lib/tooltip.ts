// One floating card that follows the pointer and stays inside the window.
import { type Child, h, put } from "./dom";

const MARGIN = 12;

export class Tooltip {
  readonly #el = h("div", { class: "tooltip", role: "tooltip", hidden: true });

  constructor() {
    document.body.append(this.#el);
  }

  show(x: number, y: number, ...content: Child[]): void {
    put(this.#el, ...content);
    this.#el.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.#el;
    const left = x + MARGIN + width > innerWidth ? x - MARGIN - width : x + MARGIN;
    const top = y + MARGIN + height > innerHeight ? y - MARGIN - height : y + MARGIN;
    this.#el.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  hide(): void {
    this.#el.hidden = true;
  }

  destroy(): void {
    this.#el.remove();
  }
}
