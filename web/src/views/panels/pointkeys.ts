// The keys of the page of an embedding; those of the map itself are with its camera.
import { isTyping } from "../../lib/dom";
import type { SelectTool } from "./pointlasso";

export interface PointKeyActions {
  /** Whether anything is there to act on. */
  readonly ready: () => boolean;
  readonly escape: () => void;
  /** To the frame after, or before with -1. */
  readonly frame: (by: number) => void;
  readonly play: () => void;
  readonly match: (by: number) => void;
  readonly tool: (tool: SelectTool) => void;
  readonly table: () => void;
}

export class PointKeys {
  readonly #listener = (event: KeyboardEvent): void => this.#key(event);

  constructor(
    private readonly map: HTMLElement,
    private readonly on: PointKeyActions,
  ) {
    window.addEventListener("keydown", this.#listener);
  }

  destroy(): void {
    window.removeEventListener("keydown", this.#listener);
  }

  #key(event: KeyboardEvent): void {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || !this.on.ready()) return;
    const away = event.target === document.body;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && away) return this.on.frame(by);
    if (event.key === " " && (away || event.target === this.map)) {
      event.preventDefault();
      return this.on.play();
    }
    const actions: Readonly<Record<string, () => void>> = {
      Escape: this.on.escape,
      l: () => this.on.tool("lasso"),
      b: () => this.on.tool("box"),
      t: this.on.table,
      n: () => this.on.match(1),
      N: () => this.on.match(-1),
    };
    actions[event.key]?.();
  }
}
