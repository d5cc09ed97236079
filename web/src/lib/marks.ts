// Words that are searched for, marked where they stand without changing the page (CSS custom highlights).

const NAME = "found";
const MOST_MARKS = 500;

/** Places of `wanted` in `text`, upper and lower case alike. */
export function placesOf(text: string, wanted: string, most = MOST_MARKS): number[] {
  const places: number[] = [];
  if (!wanted) return places;
  const [all, part] = [text.toLowerCase(), wanted.toLowerCase()];
  // Where lower case has another length, places would be off: such a text is searched as it is written.
  const [where, what] = all.length === text.length ? [all, part] : [text, wanted];
  for (
    let at = where.indexOf(what);
    at >= 0 && places.length < most;
    at = where.indexOf(what, at + what.length)
  )
    places.push(at);
  return places;
}

/** The marks of one page. Browsers without custom highlights show none; what was found is listed all the same. */
export class Marks {
  readonly #ranges = new Map<Element, readonly Range[]>();

  /** Mark `wanted` in the text below `el`; nothing for an empty text. */
  mark(el: Element, wanted: string): void {
    if (typeof Highlight === "undefined") return;
    const ranges: Range[] = [];
    const walker = document.createTreeWalker(el, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node && wanted && ranges.length < MOST_MARKS; node = walker.nextNode())
      for (const at of placesOf(node.nodeValue ?? "", wanted, MOST_MARKS - ranges.length)) {
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + wanted.length);
        ranges.push(range);
      }
    if (ranges.length) this.#ranges.set(el, ranges);
    else if (!this.#ranges.delete(el)) return;
    CSS.highlights.set(NAME, new Highlight(...[...this.#ranges.values()].flat()));
  }

  /** Forget the marks below `el`. */
  forget(el: Element): void {
    this.mark(el, "");
  }

  clear(): void {
    this.#ranges.clear();
    if (typeof Highlight !== "undefined") CSS.highlights.delete(NAME);
  }
}
