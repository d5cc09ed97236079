// What the page takes from TensorBoard around it: the theme, whether the tab is shown, and where it was left.
import type { HostOptions } from "../lib/host";
import { formatRoute } from "../lib/route";

/** Of TensorBoard's page: its body has this class where it is dark. */
const DARK = "dark-mode";
const LOOK_MS = 1000;
const PLACE_KEY = "convscope-place";

/** A query that decides about dark and light, as `matchMedia` returns one. */
class TensorBoardTheme extends EventTarget {
  readonly #body: HTMLElement;

  constructor(body: HTMLElement) {
    super();
    this.#body = body;
    const told = (): unknown => this.dispatchEvent(new Event("change"));
    new MutationObserver(told).observe(body, { attributes: true, attributeFilter: ["class"] });
  }

  get matches(): boolean {
    return this.#body.classList.contains(DARK);
  }
}

interface TensorBoard {
  readonly options: HostOptions;
  readonly hidden: () => boolean;
}

/** What TensorBoard says; nothing where the page stands alone, as when its address is opened outside the tab. */
export function tensorBoard(): TensorBoard | undefined {
  const frame = frameOf();
  if (!frame || new URLSearchParams(location.search).get("host") !== "tensorboard") return undefined;
  const hidden = (): boolean => document.hidden || !frame.checkVisibility({ visibilityProperty: true });
  let before = hidden();
  setInterval(() => {
    if (hidden() !== before) {
      before = !before;
      document.dispatchEvent(new Event("visibilitychange"));
    }
  }, LOOK_MS);
  addEventListener("pagehide", () => sessionStorage.setItem(PLACE_KEY, location.hash));
  return {
    hidden,
    options: {
      dark: new TensorBoardTheme(frame.ownerDocument.body),
      startAt: sessionStorage.getItem(PLACE_KEY) ?? "",
      share: (route) => `index.html${formatRoute(route)}`,
    },
  };
}

/** The frame of the tab; a page of somebody else does not let itself be looked at. */
function frameOf(): Element | null {
  try {
    return window.frameElement;
  } catch {
    return null;
  }
}
