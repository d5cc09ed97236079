// The tool bar of the map: projection, colours, how points are drawn, how they are selected, which iteration.
import type { Detail } from "../../gl/points";
import { type Control, segmented, select } from "../../lib/controls";
import { h, put, s } from "../../lib/dom";
import { type SaveItem, saveMenu } from "../../lib/download";
import { NO_FILTER_CHANGE, type PointAddress } from "../../lib/pointaddress";
import { type EmbeddingData, methodName } from "../../lib/points";
import type { Change } from "../../lib/route";
import type { SelectTool } from "./pointlasso";

interface Actions {
  readonly navigate: (change: Change, replace?: boolean) => void;
  readonly fit: () => void;
  readonly save: readonly SaveItem[];
}

export interface Shown {
  readonly data: EmbeddingData;
  /** Tags of the projections, and how many dimensions each has where that is known. */
  readonly tags: ReadonlyMap<string, number>;
  readonly chosen: string | undefined;
  readonly address: PointAddress;
}

const TOOL_PATHS: Readonly<Record<SelectTool, string>> = {
  move: "M8 2v12M2 8h12M6 4l2-2 2 2M6 12l2 2 2-2M4 6 2 8l2 2M12 6l2 2-2 2",
  lasso:
    "M8 3c3.6 0 6 1.6 6 3.7s-2.6 3.8-6 3.8-6-1.6-6-3.8S4.4 3 8 3M4.5 9.6C3.5 11 4.6 12 5.6 11.6s.4-1.7-1-1.7M5.2 11.7l-.9 2",
  box: "M2.5 3.5h11v9h-11z",
};

export class PointTools {
  /** What the pointer does, and the way back to all points: they lie over the map. */
  readonly pointer: HTMLElement;
  readonly #detail: Control<Detail>;
  readonly #toolButtons: readonly (readonly [SelectTool, HTMLButtonElement])[];
  /** Shows all controls on a narrow page, which has room for a few. */
  readonly #more: HTMLButtonElement;
  readonly #table: HTMLButtonElement;
  readonly #save: HTMLElement;
  #projection: Control<string> | undefined;
  #colour: Control<string> | undefined;
  #key = "";
  #address: PointAddress | undefined;

  constructor(
    private readonly el: HTMLElement,
    private readonly player: HTMLElement,
    /** Controls of other panels: the choice of a second map. */
    private readonly others: readonly HTMLElement[],
    private readonly actions: Actions,
  ) {
    this.#detail = segmented<Detail>(
      "Draw",
      [
        { value: "auto", text: "Auto", title: "Dots far away, thumbnails near; density where points crowd" },
        { value: "dots", text: "Dots" },
        { value: "thumbnails", text: "Pictures", title: "Thumbnails at every distance" },
        { value: "density", text: "Density", title: "How many points there are" },
      ],
      "auto",
      (value) => actions.navigate({ draw: value === "auto" ? null : value }, true),
    );
    this.#detail.el.classList.add("uncaptioned");
    const tool = (value: SelectTool, title: string): readonly [SelectTool, HTMLButtonElement] => [
      value,
      h(
        "button",
        { type: "button", title, "aria-label": title, onclick: () => this.toggleTool(value) },
        s(
          "svg",
          { viewBox: "0 0 16 16", "aria-hidden": "true", class: "stroke" },
          s("path", { d: TOOL_PATHS[value] }),
        ),
      ),
    ];
    this.#toolButtons = [
      tool("move", "Move the map"),
      tool("lasso", "Select with a lasso (l); Shift-drag does it at any time, Ctrl adds, Alt takes away"),
      tool("box", "Select with a box (b)"),
    ];
    this.pointer = h(
      "div",
      { class: "points-pointer" },
      h(
        "div",
        { class: "segmented icons", role: "group", "aria-label": "Pointer" },
        ...this.#toolButtons.map(([, button]) => button),
      ),
      h(
        "button",
        { type: "button", class: "button", title: "Show all points (0)", onclick: () => actions.fit() },
        "Fit",
      ),
    );
    this.#more = h(
      "button",
      {
        type: "button",
        class: "button points-more",
        "aria-expanded": "false",
        onclick: () => this.#unfold(),
      },
      "More",
    );
    this.#table = h(
      "button",
      { type: "button", class: "button", onclick: () => this.toggleTable() },
      "Table",
    );
    this.#save = saveMenu(actions.save);
  }

  /** The lasso or the box on, or off if it is on. */
  toggleTool(tool: SelectTool): void {
    const next = this.#address?.tool === tool ? "move" : tool;
    this.actions.navigate({ tool: next === "move" ? null : next }, true);
  }

  toggleTable(): void {
    const closed = { table: null, page: null, by: null };
    this.actions.navigate(this.#address?.table ? closed : { table: "all" }, true);
  }

  show({ data, tags, chosen, address }: Shown): void {
    this.#address = address;
    this.#detail.set(address.detail);
    for (const [tool, button] of this.#toolButtons)
      button.setAttribute("aria-pressed", String(tool === address.tool));
    this.#table.setAttribute("aria-pressed", String(address.table !== null));
    const key = JSON.stringify([data.record.id, [...tags]]);
    if (this.#key !== key) this.#build(data, tags);
    this.#key = key;
    if (chosen) this.#projection?.set(chosen.slice(data.record.tag.length + 1));
    this.#colour?.set(address.colour);
  }

  hide(): void {
    this.#key = "";
    put(this.el);
  }

  /** On a narrow page: all controls and figures, or the few that leave room for the map. */
  #unfold(): void {
    const open = this.#more.getAttribute("aria-expanded") !== "true";
    this.#more.setAttribute("aria-expanded", String(open));
    put(this.#more, open ? "Less" : "More");
  }

  #build(data: EmbeddingData, tags: ReadonlyMap<string, number>): void {
    const options = [...tags].map(([tag, dimensions]) => {
      const value = tag.slice(data.record.tag.length + 1);
      if (!dimensions) return { value, text: methodName(value) };
      return { value, text: `${methodName(value.replace(/-3d$/, ""))} · ${Math.min(3, dimensions)}-D` };
    });
    this.#projection = select("Projection", options, "", (proj) =>
      this.actions.navigate({ proj, it: null, cam: null }),
    );
    this.#projection.el.classList.add("uncaptioned");
    this.#colour = select("Colour", colourOptions(data), "", (colour) =>
      this.actions.navigate({ ...NO_FILTER_CHANGE, colour: colour === "class" ? null : colour }, true),
    );
    put(
      this.el,
      options.length > 1 ? this.#projection.el : null,
      this.#colour.el,
      this.#detail.el,
      this.player,
      ...this.others,
      this.#more,
      this.#table,
      this.#save,
    );
  }
}

function colourOptions(data: EmbeddingData): { value: string; text: string }[] {
  const columns = data.columns
    .filter(({ type }) => type !== "text")
    .map(({ name }) => ({ value: `column:${name}`, text: name }));
  return [
    { value: "class", text: "Class" },
    ...columns,
    { value: "distance", text: "Distance to point" },
    { value: "none", text: "None" },
  ];
}
