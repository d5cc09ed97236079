// Beside the map: what the search found, the chosen point, the selection, the legend, the course of the projection.
import { h } from "../../lib/dom";
import type { LegendFilter } from "../../lib/pointcolours";
import type { Change } from "../../lib/route";
import type { PictureCache } from "../../lib/sheet";
import type { Source } from "../../source/source";
import { PointCards } from "./pointcard";
import { PointCourse } from "./pointcourse";
import { PointLegend } from "./pointlegend";
import { PointNeighbours } from "./pointneighbours";
import { PointFound } from "./pointsearch";
import { PointSelection } from "./pointselection";
import { VolumeViews } from "./volumeviews";

export interface PanelActions {
  readonly navigate: (change: Change, replace?: boolean) => void;
  readonly focus: (points: ArrayLike<number>) => void;
  readonly select: (points: ArrayLike<number>) => void;
  readonly selectShown: () => void;
  readonly filter: (filter: LegendFilter) => void;
  readonly saveTable: () => void;
  readonly saveNumbers: () => void;
  /** The address of what is seen now. */
  readonly address: () => string;
  readonly open: (hash: string) => void;
}

export class PointsPanel {
  readonly cards: PointCards;
  readonly found: PointFound;
  readonly near: PointNeighbours;
  readonly selection: PointSelection;
  readonly legend: PointLegend;
  readonly course = new PointCourse();
  readonly views: VolumeViews;
  readonly el: HTMLElement;

  /** `live` is the panel of projections that form now. */
  constructor(source: Source, pictures: PictureCache, on: PanelActions, live: HTMLElement) {
    this.cards = new PointCards(source, pictures, (point) => on.navigate({ point }, true));
    this.found = new PointFound(this.cards, on);
    this.near = new PointNeighbours(this.cards, on);
    this.selection = new PointSelection(this.cards, on);
    this.legend = new PointLegend({
      filter: on.filter,
      log: (yes) => on.navigate({ log: yes ? 1 : null }, true),
      select: on.selectShown,
    });
    this.views = new VolumeViews({ address: on.address, open: on.open }, "embedding");
    this.el = h(
      "aside",
      { class: "points-panel", "aria-label": "Search results, neighbours, selection and legend" },
      this.found.el,
      this.near.el,
      this.selection.el,
      this.legend.el,
      this.course.el,
      live,
      this.views.el,
    );
  }

  destroy(): void {
    this.selection.destroy();
  }
}
