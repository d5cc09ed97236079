// The shape every view has: mount(el, source, state) -> { update, destroy }. Views know no host and no framework.
import type { Theme } from "../lib/palette";
import type { Change, Route } from "../lib/route";
import type { Index, Source } from "../source/source";

export interface ViewState {
  readonly index: Index;
  readonly route: Route;
  readonly theme: Theme;
  /** Colour of each run by name. */
  readonly colours: ReadonlyMap<string, string>;
  /** Dash of each run's lines by name, in pixels; not empty where its colour is another run's too. */
  readonly dashes: ReadonlyMap<string, readonly number[]>;
  /** Change keys of the address; `replace` leaves no entry in the history (sliders). */
  navigate(change: Change, replace?: boolean): void;
  /** The address of the same view with some keys changed. */
  link(change: Change): string;
  /** Name the part of a tag that is shown (a channel, a point) in the breadcrumb; "" if it is the whole. */
  crumb(part: string): void;
  /** To be called when the data of the route is painted. */
  ready(): void;
}

export interface View {
  update(state: ViewState): void;
  destroy(): void;
}

export type Mount = (el: HTMLElement, source: Source, state: ViewState) => View;
