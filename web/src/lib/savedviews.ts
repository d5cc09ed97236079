// Views of a volume that one has named: kept in this browser, each of them an address that can be copied.
import { recalled, remember } from "./remember";

export interface SavedView {
  readonly name: string;
  /** What stands after the page's own address: "#/volume?…". */
  readonly hash: string;
}

const KEY = "convscope-volume-views";
const MOST = 50;
const LONGEST = 60;

/** The views of a logdir, oldest first. */
export function savedViews(logdir: string): SavedView[] {
  return all()[logdir] ?? [];
}

/** The views with one more; one of the same name is replaced. */
export function saveView(logdir: string, view: SavedView): SavedView[] {
  const name = nameOf(view.name);
  const others = savedViews(logdir).filter((one) => one.name !== name);
  return store(logdir, [...others, { name, hash: view.hash }].slice(-MOST));
}

export function forgetView(logdir: string, name: string): SavedView[] {
  return store(
    logdir,
    savedViews(logdir).filter((one) => one.name !== name),
  );
}

export const nameOf = (name: string): string => name.trim().slice(0, LONGEST);

function store(logdir: string, views: SavedView[]): SavedView[] {
  remember(KEY, JSON.stringify({ ...all(), [logdir]: views }));
  return views;
}

/** Of all logdirs; what somebody else has put there counts as nothing. */
function all(): Record<string, SavedView[]> {
  try {
    const found: unknown = JSON.parse(recalled(KEY) ?? "{}");
    const entries = Object.entries(found as Record<string, unknown>);
    return Object.fromEntries(entries.map(([logdir, views]) => [logdir, listOf(views)]));
  } catch {
    return {};
  }
}

function listOf(views: unknown): SavedView[] {
  return Array.isArray(views)
    ? views.filter(
        (view) =>
          typeof view?.name === "string" &&
          typeof view?.hash === "string" &&
          view.hash.startsWith("#/volume"),
      )
    : [];
}
