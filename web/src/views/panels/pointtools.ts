// The tool bar of the map: which projection, how points are drawn, which iteration.
import type { Detail } from "../../gl/points";
import { type Control, segmented, select } from "../../lib/controls";
import { h, put } from "../../lib/dom";
import { methodName } from "../../lib/points";
import type { Change } from "../../lib/route";

export const DETAILS: readonly Detail[] = ["auto", "dots", "thumbnails"];

interface Actions {
  readonly navigate: (change: Change, replace?: boolean) => void;
  readonly fit: () => void;
}

export class PointTools {
  readonly #detail: Control<Detail>;
  readonly #fit: HTMLElement;
  #key = "";

  constructor(
    private readonly el: HTMLElement,
    private readonly player: HTMLElement,
    private readonly actions: Actions,
  ) {
    this.#detail = segmented<Detail>(
      "Draw",
      [
        { value: "auto", text: "Auto", title: "Dots far away, thumbnails near" },
        { value: "dots", text: "Dots" },
        { value: "thumbnails", text: "Thumbnails" },
      ],
      "auto",
      (value) => actions.navigate({ draw: value === "auto" ? null : value }, true),
    );
    this.#fit = h("button", { type: "button", class: "button", onclick: () => actions.fit() }, "Fit");
  }

  /** Show the tools for an embedding's projections (their tags), of which `chosen` is on. */
  show(embedding: string, tags: readonly string[], chosen: string | undefined, detail: Detail): void {
    this.#detail.set(detail);
    const key = JSON.stringify([tags, chosen]);
    if (this.#key === key) return;
    this.#key = key;
    const options = tags
      .map((tag) => tag.slice(embedding.length + 1))
      .map((value) => ({ value, text: methodName(value) }));
    const projection = select("Projection", options, chosen?.slice(embedding.length + 1) ?? "", (proj) =>
      this.actions.navigate({ proj, step: null }),
    );
    put(this.el, options.length > 1 ? projection.el : null, this.#detail.el, this.player, this.#fit);
  }

  hide(): void {
    this.#key = "";
    put(this.el);
  }
}
