// The state of the page as short readable keys in the address: #/layer?run=alexnet&layer=features.3&ch=12.

export interface Route {
  readonly view: string;
  readonly params: Readonly<Record<string, string>>;
}

export type Change = Readonly<Record<string, string | number | null | undefined>>;

/** Keys that stay when the view changes; all others belong to one view. */
const SHARED = new Set(["run", "runs", "hide", "only", "pin", "group"]);

export function parseRoute(hash: string, fallback: string): Route {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const params: Record<string, string> = {};
  for (const [key, value] of new URLSearchParams(query)) params[key] = value;
  return { view: path || fallback, params };
}

export function formatRoute(route: Route): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(route.params)) query.set(key, value);
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%2C", ",").replaceAll("%3A", ":");
  return `#/${route.view}${text ? `?${text}` : ""}`;
}

/** The route with some keys changed; null, undefined and the empty string remove a key. */
export function changed(route: Route, change: Change): Route {
  const params: Record<string, string> = { ...route.params };
  for (const [key, value] of Object.entries(change)) {
    if (value === null || value === undefined || value === "") delete params[key];
    else params[key] = String(value);
  }
  return { view: route.view, params };
}

/** The route of another view, keeping only what views share. */
export function toView(route: Route, view: string, change: Change = {}): Route {
  const shared = Object.fromEntries(Object.entries(route.params).filter(([key]) => SHARED.has(key)));
  return changed({ view, params: shared }, change);
}

export function numberOf(route: Route, key: string, fallback: number): number {
  const value = Number.parseFloat(route.params[key] ?? "");
  return Number.isFinite(value) ? value : fallback;
}

/** A number within bounds: what lies outside is moved to the nearer one. */
export function boundedOf(route: Route, key: string, fallback: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, numberOf(route, key, fallback)));
}

export interface Place {
  /** The place that `key` names, -1 if it names none. */
  readonly at: number;
  /** Why it names none although it is in the address; else empty. */
  readonly note: string;
}

/** The value of `key` as a place in a list of `length`; `name` says what the list holds ("channel"). */
export function placeOf(route: Route, key: string, length: number, name: string): Place {
  const text = route.params[key];
  if (text === undefined) return { at: -1, note: "" };
  const at = /^\d+$/.test(text) ? Number(text) : -1;
  if (at >= 0 && at < length) return { at, note: "" };
  return { at: -1, note: `No ${name} “${text}” here; there are ${length}, numbered from 0.` };
}

/** The value of `key` if it is one of `allowed`, else the first of them. */
export function choiceOf<T extends string>(route: Route, key: string, allowed: readonly T[]): T {
  return allowed.find((value) => value === route.params[key]) ?? allowed[0];
}
