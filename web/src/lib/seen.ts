// Work that waits until an element comes into sight.

/** Call `show` once when `el` is on the screen or nearly so, unless `gone` before. */
export function whenSeen(el: Element, gone: AbortSignal, show: () => void): void {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      show();
    },
    { rootMargin: "120px" },
  );
  observer.observe(el);
  gone.addEventListener("abort", () => observer.disconnect());
}
