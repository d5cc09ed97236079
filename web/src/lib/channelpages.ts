// The other pages of a run about one channel of a layer.
import type { Index } from "../source/source";
import { formatRoute, type Route, toView } from "./route";

export interface PageLink {
  readonly text: string;
  readonly href: string;
}

/** The kinds that have a page of a channel, the first the most telling of the channel itself. */
const PAGES: readonly (readonly [kind: string, view: string, text: string])[] = [
  ["filters", "filters", "Its filter"],
  ["topk", "layer", "What excites it most"],
  ["weight_gradients", "gradients", "Its weight gradients"],
  ["importance", "importance", "Its importance"],
  ["ablation", "ablation", "Its ablation"],
];

/** Links to channel `channel` on all pages of `run` that know the layer, but for `here`. */
export function channelPages(
  index: Index,
  route: Route,
  run: string,
  layer: string,
  channel: number,
): PageLink[] {
  const known = index.runs.find(({ name }) => name === run)?.records ?? [];
  return PAGES.filter(
    ([kind, view]) => view !== route.view && known.some((one) => one.kind === kind && one.tag === layer),
  ).map(([, view, text]) => ({
    text,
    href: formatRoute(toView(route, view, { run, tag: layer, ch: channel })),
  }));
}
