// One tab stop for many links: the tab key goes to the one that had the focus last, arrows go on from there.

/** Keep exactly one of the elements in `el` that match `selector` in the tab order, until `gone`. */
export function oneTabStop(el: HTMLElement, selector: string, gone: AbortSignal): void {
  const all = (): HTMLElement[] => [...el.querySelectorAll<HTMLElement>(selector)];
  const choose = (chosen: HTMLElement | undefined): void => {
    for (const one of all()) one.tabIndex = one === chosen ? 0 : -1;
  };
  const settle = (): void => {
    const stops = all().filter(({ tabIndex }) => tabIndex === 0);
    const focused = stops.find((one) => one === document.activeElement);
    if (stops.length !== 1) choose(focused ?? all()[0]);
  };
  // Cells come and go as the grid is scrolled; a new one is in the tab order until this sees it.
  const watching = new MutationObserver(settle);
  watching.observe(el, { childList: true });
  gone.addEventListener("abort", () => watching.disconnect());
  el.addEventListener(
    "focusin",
    (event) => choose((event.target as HTMLElement).closest<HTMLElement>(selector) ?? undefined),
    { signal: gone },
  );
}
