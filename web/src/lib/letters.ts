// Letters on a canvas stay as they were drawn: what draws them waits for their font, but not for long.

/** The families of the page; `--font-sans` and `--font-mono` name them. */
const FAMILIES = ["Inter Variable", "JetBrains Mono Variable"];
/** Beyond it a page in the system's letters is better than none. */
const PATIENCE_MS = 1000;

let come: Promise<unknown> | undefined;

/** Resolves when the fonts are there, cannot be had, or have taken longer than a second. */
export function letters(fonts: Pick<FontFaceSet, "load"> = document.fonts): Promise<unknown> {
  come ??= Promise.race([
    Promise.allSettled(FAMILIES.map((family) => fonts.load(`1em "${family}"`))),
    new Promise((go) => setTimeout(go, PATIENCE_MS)),
  ]);
  return come;
}
