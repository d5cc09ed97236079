// All channels of a volume as a table: where each stands, how strong it is, and where it is strongest.

import { h, put } from "../../lib/dom";
import { type CsvCell, csv, download } from "../../lib/download";
import { number } from "../../lib/format";
import type { VolumeData } from "../../lib/volumedata";
import { CHANNEL_COLUMNS, channelRows } from "../../lib/volumefiles";

/** A row as people read it: the third to fifth are values. */
export const channelCells = (row: readonly CsvCell[]): string[] =>
  row.map((cell, i) => (i > 1 && i < 5 ? number(Number(cell)) : String(cell)));

export class VolumeTable {
  readonly el = h("div", {
    class: "volume-table",
    "data-scroller": "",
    tabindex: 0,
    role: "region",
    "aria-label": "Channels",
  });
  #shown = "";

  /** Show the channels of the stack in order; `go` is called with the place and the position of the largest value. */
  show(
    data: VolumeData,
    order: readonly number[],
    chosen: number,
    go: (place: number, row: number, column: number) => void,
  ): void {
    const key = JSON.stringify([data.run, data.record.id, order]);
    if (key !== this.#shown) {
      this.#shown = key;
      const rows = channelRows(data, order);
      const row = (cells: CsvCell[]): HTMLElement => {
        const [place, channel, ...rest] = channelCells(cells);
        const [y, x] = [Number(cells[5]), Number(cells[6])];
        const button = h(
          "button",
          { type: "button", class: "link-button", onclick: () => go(Number(place), y, x) },
          channel,
        );
        return h(
          "tr",
          { "data-place": place },
          h("td", {}, place),
          h("td", {}, button),
          ...rest.map((cell) => h("td", {}, cell)),
        );
      };
      put(
        this.el,
        h(
          "table",
          { class: "num" },
          h(
            "caption",
            {},
            "Channels in the order of the stack; mean and largest value as the voxels have them",
          ),
          h("thead", {}, h("tr", {}, ...CHANNEL_COLUMNS.map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", {}, ...rows.map(row)),
        ),
      );
    }
    for (const one of this.el.querySelectorAll<HTMLElement>("tr[data-place]"))
      one.setAttribute("aria-current", String(Number(one.dataset.place) === chosen));
  }
}

export function saveTable(data: VolumeData, order: readonly number[]): void {
  download(`${data.record.tag}-channels.csv`, csv(CHANNEL_COLUMNS, channelRows(data, order)), "text/csv");
}
