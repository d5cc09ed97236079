// What stands beside a panel; on a narrow screen the panel stands above it.
import { h } from "./dom";

const NARROW = "(width <= 860px)";

export const isNarrow = (): boolean => matchMedia(NARROW).matches;

/** `main` and its panel in the order in which they are seen, so that the keyboard goes through them in it, until `gone`. */
export function withPanel(main: HTMLElement, panel: HTMLElement, gone: AbortSignal): HTMLElement {
  const el = h("div", { class: "with-panel" });
  const place = (): void => (isNarrow() ? el.prepend(panel) : el.append(panel));
  el.append(main);
  place();
  matchMedia(NARROW).addEventListener("change", place, { signal: gone });
  return el;
}
