// Saves what a card shows as a file: the download itself, tables as CSV, pictures of a canvas, and the menu that offers them.
import { h, put, s } from "./dom";
import { messageOf } from "./frame";

const LONGEST_NAME = 100;
const FORMULA = /^[=+\-@\t\r]/;

/** Let the browser save `content` as a file called `name`, which may be made of a tag. */
export function download(name: string, content: Blob | string, type = "text/plain;charset=utf-8"): void {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: safeName(name), hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  // Some browsers start to read only after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A name that every file system takes: letters, digits, dots, dashes and underscores, at most a hundred. */
export function safeName(name: string): string {
  const plain = name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "");
  if (plain.length <= LONGEST_NAME) return plain || "file";
  const extension = /\.[a-z0-9]{1,5}$/i.exec(plain)?.[0] ?? "";
  return plain.slice(0, LONGEST_NAME - extension.length) + extension;
}

export type CsvCell = string | number | null | undefined;

/** A table as CSV (RFC 4180). Text that a spreadsheet would run as a formula gets an apostrophe before it. */
export function csv(head: readonly string[], rows: Iterable<readonly CsvCell[]>): string {
  const lines = [line(head)];
  for (const row of rows) lines.push(line(row));
  return `${lines.join("\r\n")}\r\n`;
}

const line = (cells: readonly CsvCell[]): string => cells.map(cell).join(",");

function cell(value: CsvCell): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The picture of a canvas as a PNG file. */
export function pngOf(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("this browser gives no PNG"))));
  });
}

export interface SaveItem {
  /** What it is saved as: "PNG", "CSV of all points". */
  readonly label: string;
  readonly save: () => void | Promise<void>;
}

let made = 0;

/** A small button that opens a menu of files to save; arrows choose, Escape closes, a failure is said in the menu. */
export function saveMenu(items: readonly SaveItem[], label = "Save"): HTMLElement {
  const id = `save-menu-${made++}`;
  const failure = h("p", { class: "save-failure", role: "alert" });
  const entries = items.map((item) =>
    h(
      "button",
      { type: "button", role: "menuitem", tabindex: -1, onclick: () => void choose(item) },
      item.label,
    ),
  );
  const menu = h("div", { id, class: "save-menu-list", role: "menu", "aria-label": label }, ...entries);
  const box = h("div", { class: "save-menu-box", hidden: true }, menu, failure);
  const button = h(
    "button",
    {
      type: "button",
      class: "icon-button save-button",
      "aria-label": label,
      title: label,
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      "aria-controls": id,
      onclick: () => open(box.hidden),
    },
    s(
      "svg",
      { viewBox: "0 0 16 16", "aria-hidden": "true" },
      s("path", { d: "M8 2.5v7.2M5 7l3 3 3-3M3 13h10" }),
    ),
  );
  const el = h("div", { class: "save-menu" }, button, box);

  const outside = (event: Event): void => {
    if (!(event.target instanceof Node && el.contains(event.target))) open(false);
  };
  function open(yes: boolean): void {
    box.hidden = !yes;
    button.setAttribute("aria-expanded", String(yes));
    put(failure);
    document[yes ? "addEventListener" : "removeEventListener"]("pointerdown", outside);
    if (yes) entries[0]?.focus();
  }
  function close(): void {
    open(false);
    button.focus();
  }
  async function choose(item: SaveItem): Promise<void> {
    try {
      await item.save();
      close();
    } catch (error) {
      put(failure, messageOf(error));
    }
  }
  el.addEventListener("keydown", (event) => {
    if (box.hidden) return;
    const at = entries.indexOf(document.activeElement as HTMLButtonElement);
    const next = moved(event.key, at, entries.length);
    if (next >= 0) entries[next].focus();
    else if (event.key === "Escape") close();
    else if (event.key !== "Tab") return;
    if (event.key === "Tab") open(false);
    else event.preventDefault();
    event.stopPropagation();
  });
  return el;
}

/** Where a key moves the choice of a list; -1 if it is no such key. */
function moved(key: string, at: number, length: number): number {
  if (key === "ArrowDown") return (at + 1) % length;
  if (key === "ArrowUp") return (at - 1 + length) % length;
  if (key === "Home") return 0;
  return key === "End" ? length - 1 : -1;
}
