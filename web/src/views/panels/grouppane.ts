// The group a gradient is of: its picture, its class, and what the network said of it, in words.
import { h, put, sizeCanvas } from "../../lib/dom";
import { type Group, groupSize, predictionText } from "../../lib/groups";
import { drawTile, fitTile, type PictureCache, tileOf } from "../../lib/sheet";
import type { RecordMeta, Source } from "../../source/source";

const SIDE = 112;
const MARKS = { right: "✓", wrong: "✗" } as const;

export class GroupPane {
  readonly el = h("figure", { class: "group-pane" });
  #key = "";

  constructor(
    private readonly source: Source,
    private readonly pictures: PictureCache,
  ) {}

  show(run: string, record: RecordMeta, group: Group, at: number, role: string): void {
    const key = JSON.stringify([run, record.id, at, role]);
    if (key === this.#key) return;
    this.#key = key;
    const sheet = record.pictures.input;
    const canvas =
      sheet && at < sheet.total_rows
        ? h("canvas", { role: "img", "aria-label": `picture of ${group.name}`, class: "group-picture" })
        : null;
    const { verdict } = group;
    const badge = verdict && h("b", { class: `verdict ${verdict}` }, `${MARKS[verdict]} ${verdict}`);
    put(
      this.el,
      canvas,
      h(
        "figcaption",
        {},
        role ? h("span", { class: "muted" }, role) : null,
        h("b", { class: "group-name" }, group.name),
        group.className && group.className !== group.name
          ? h("span", {}, `logit of ${group.className}`)
          : null,
        h("span", { class: "muted num" }, groupSize(group)),
        badge || null,
        h("span", {}, predictionText(group)),
      ),
    );
    if (!canvas || !sheet) return;
    const tile = tileOf(sheet, at, 0);
    const { width, height } = fitTile(sheet.tile, SIDE);
    const context = sizeCanvas(canvas, width, height);
    this.pictures.get(this.source.pictureUrl(run, record.id, tile.file)).then(
      (picture) => drawTile(context, picture, tile, 0, 0, width, height),
      () => canvas.remove(), // the words stay
    );
  }
}
