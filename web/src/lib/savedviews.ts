// Views of a page that one has named: kept in this browser, each of them an address that can be copied.
import { recalled, remember } from "./remember";

export interface SavedView {
  readonly name: string;
  /** What stands after the page's own address: "#/volume?…", "#/embedding?…". */
  readonly hash: string;
}

/** The pages that have named views. */
export type ViewPage = "volume" | "embedding";

const keyOf = (page: ViewPage): string => `convscope-${page}-views`;
const MOST = 50;
const LONGEST = 60;

/** The views of a logdir, oldest first. */
export function savedViews(logdir: string, page: ViewPage = "volume"): SavedView[] {
  return all(page)[logdir] ?? [];
}

/** The views with one more; one of the same name is replaced. */
export function saveView(logdir: string, view: SavedView, page: ViewPage = "volume"): SavedView[] {
  const name = nameOf(view.name);
  const others = savedViews(logdir, page).filter((one) => one.name !== name);
  return store(logdir, [...others, { name, hash: view.hash }].slice(-MOST), page);
}

export function forgetView(logdir: string, name: string, page: ViewPage = "volume"): SavedView[] {
  return store(
    logdir,
    savedViews(logdir, page).filter((one) => one.name !== name),
    page,
  );
}

export const nameOf = (name: string): string => name.trim().slice(0, LONGEST);

function store(logdir: string, views: SavedView[], page: ViewPage): SavedView[] {
  remember(keyOf(page), JSON.stringify({ ...all(page), [logdir]: views }));
  return views;
}

/** Of all logdirs; what somebody else has put there counts as nothing. */
function all(page: ViewPage): Record<string, SavedView[]> {
  try {
    const found: unknown = JSON.parse(recalled(keyOf(page)) ?? "{}");
    const entries = Object.entries(found as Record<string, unknown>);
    return Object.fromEntries(entries.map(([logdir, views]) => [logdir, listOf(views, page)]));
  } catch {
    return {};
  }
}

function listOf(views: unknown, page: ViewPage): SavedView[] {
  return Array.isArray(views)
    ? views.filter(
        (view) =>
          typeof view?.name === "string" &&
          typeof view?.hash === "string" &&
          view.hash.startsWith(`#/${page}`),
      )
    : [];
}
