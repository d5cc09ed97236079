// Markdown as elements that can do nothing: no scripts, no styles, nothing fetched, links that only a click follows.
import createPurify, { type Config, type DOMPurify } from "dompurify";
import { Marked, Tokenizer } from "marked";
import { isTangled } from "./markdownlimits";

/** Longer texts are shown as they are: their tables and lists would take the page seconds to lay out. */
export const MOST_FORMATTED = 100_000;
/** Emphasis ends within so many characters: a search for its end through all that follows, at every star, takes minutes. */
const LONGEST_EMPHASIS = 1_000;

const TAGS =
  "a abbr b blockquote br caption code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s " +
  "samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var";
const RULES: Config = {
  ALLOWED_TAGS: [...TAGS.split(" "), "#text"],
  ALLOWED_ATTR: ["href", "src", "alt", "title", "align", "start", "colspan", "rowspan", "open"],
  // All others are held against the expression of addresses.
  ADD_URI_SAFE_ATTR: ["align", "start", "colspan", "rowspan", "open"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ALLOWED_NAMESPACES: ["http://www.w3.org/1999/xhtml"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};
/** Pictures that are part of the text itself. */
const INSIDE = /^data:image\/(?:png|jpeg|gif|webp);base64,/i;

const marked = new Marked({
  gfm: true,
  // A logged line is meant as a line.
  breaks: true,
  tokenizer: {
    emStrong(text, masked, before) {
      const near = masked.slice(-text.length).slice(0, LONGEST_EMPHASIS);
      return Tokenizer.prototype.emStrong.call(this, text.slice(0, LONGEST_EMPHASIS), near, before);
    },
  },
  renderer: {
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

let purify: DOMPurify | undefined;

/** A sanitiser of our own, so that what it is told holds nowhere else. */
function sanitiser(): DOMPurify {
  if (purify) return purify;
  purify = createPurify(window);
  purify.addHook("uponSanitizeAttribute", (node, data) => {
    // A picture from elsewhere would tell its server who reads the log.
    if (data.attrName === "src") data.keepAttr = node.nodeName === "IMG" && INSIDE.test(data.attrValue);
  });
  return purify;
}

/** Return `text` formatted; undefined where it cannot be (too long, too tangled, or nested without end). */
export function formatted(text: string): DocumentFragment | undefined {
  if (text.length > MOST_FORMATTED || isTangled(text)) return undefined;
  try {
    const html = marked.parse(text, { async: false });
    const fragment = sanitiser().sanitize(html, { ...RULES, RETURN_DOM_FRAGMENT: true });
    tame(fragment);
    return fragment;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function tame(fragment: DocumentFragment): void {
  for (const link of fragment.querySelectorAll("a")) {
    if (!link.hasAttribute("href")) continue;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const picture of fragment.querySelectorAll("img")) {
    if (!picture.getAttribute("src")) picture.replaceWith(`[picture${picture.alt && `: ${picture.alt}`}]`);
  }
  for (const table of fragment.querySelectorAll("table")) {
    // A wide table scrolls by itself, by keys too.
    const box = document.createElement("div");
    box.className = "table-box";
    box.tabIndex = 0;
    table.replaceWith(box);
    box.append(table);
  }
  for (const block of fragment.querySelectorAll("pre")) block.tabIndex = 0;
}
