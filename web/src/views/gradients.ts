// How the weights of a layer would have to change to raise a class's logit: signed pictures of every filter, by image, class or mean.

import { tagsOf } from "../lib/catalog";
import { channelPages, type PageLink } from "../lib/channelpages";
import { h, isTyping, put } from "../lib/dom";
import { difference } from "../lib/filters";
import { count, number, times } from "../lib/format";
import { failed } from "../lib/frame";
import {
  explainPart,
  fetchGradients,
  type GradientData,
  largestShown,
  type Part,
  partOf,
  shownNorms,
  volumeTag,
} from "../lib/gradientdata";
import { scrollerOf, VirtualGrid } from "../lib/grid";
import { groupText } from "../lib/groups";
import { colourBar, greyBar } from "../lib/legend";
import { rangeOf, sortedBy } from "../lib/ranks";
import { type About, mounting, RecordView } from "../lib/recordview";
import { changed, choiceOf, formatRoute, numberOf, type Place, placeOf, toView } from "../lib/route";
import { PictureCache } from "../lib/sheet";
import { Tooltip } from "../lib/tooltip";
import { isNarrow, withPanel } from "../lib/withpanel";
import type { NumberArray, Source } from "../source/source";
import { BarStrip } from "./panels/barstrip";
import { ChosenFilter } from "./panels/chosenfilter";
import {
  type GradientLook,
  gradientCell,
  gradientCellHeight,
  readingAt,
  tileCount,
  tilesOf,
  weightAt,
} from "./panels/gradientcell";
import { gradientColumns, gradientDetail, gradientFacts } from "./panels/gradientpanel";
import { GradientTools, SCALES, SHOWS, SORTS } from "./panels/gradienttools";
import { GroupPane } from "./panels/grouppane";
import { RowTable } from "./panels/rowtable";
import type { Mount, ViewState } from "./view";

/** Narrowest cell of one and of three pictures. */
const CELLS = [0, 76, 148, 216];
const STRIP = 48;
const MOST_LETTERS = 60;

const ABOUT: About<GradientData> = {
  kind: "weight_gradients",
  view: "Weight gradients",
  explain: "How the weights of a layer would have to change to raise a class's logit.",
  nothing: [
    "No weight gradients yet",
    "Record the gradient of a class's logit by the weights of a layer, for some images and for their mean:",
    "gradients = model.weight_gradients(images, layer, classes)",
    "writer.add(gradients, layer)",
  ],
  fetch: fetchGradients,
};

class GradientsView extends RecordView<GradientData> {
  readonly #tooltip = new Tooltip();
  readonly #gone = new AbortController();
  readonly #pictures = new PictureCache();
  readonly #tools = new GradientTools((change) => this.set(change));
  readonly #grid: VirtualGrid;
  readonly #strip = new BarStrip(STRIP, this.#tooltip, (o) => this.#open(o));
  readonly #table = new RowTable((by) => this.set({ by }));
  readonly #panel = new ChosenFilter(() => this.#open(-1));
  readonly #panes: readonly [GroupPane, GroupPane];
  readonly #groups = h("div", { class: "group-panes" });
  readonly #legend = h("div");
  readonly #waiting = h("p", { class: "loading", role: "status" });
  readonly #main: HTMLElement;
  #look: GradientLook | undefined;
  #lookKey = "";
  #drawn = "";

  constructor(el: HTMLElement, source: Source, state: ViewState) {
    super(el, source, state, ABOUT);
    this.#panes = [new GroupPane(source, this.#pictures), new GroupPane(source, this.#pictures)];
    this.#grid = new VirtualGrid(scrollerOf(el), {
      label: "Gradients",
      minimum: CELLS[1],
      rowHeight: (width) => (this.#look ? gradientCellHeight(this.#look, width) : 1),
      gap: 10,
      cell: (o, _signal, width) => this.#cell(o, width),
    });
    const body = h("div", { class: "study-main" }, this.#strip.el, this.#grid.el);
    this.#main = h(
      "div",
      { class: "study-stack" },
      this.#groups,
      withPanel(body, this.#panel.el, this.#gone.signal),
      this.#table.el,
    );
  }

  override destroy(): void {
    super.destroy();
    this.#gone.abort();
    this.#pictures.clear();
    for (const part of [this.#grid, this.#strip, this.#table, this.#tooltip]) part.destroy();
  }

  #group = (data: GradientData, key: string): Place =>
    placeOf(this.state.route, key, data.groups.length, "group");

  protected paint(data: GradientData, run: string): void {
    const { route } = this.state;
    this.#tooltip.hide();
    const [of, other] = [this.#group(data, "of"), this.#group(data, "with")];
    const filter = placeOf(route, "ch", data.shape.out, "filter");
    const group = Math.max(0, of.at);
    const part = partOf(data, route.params.inputs);
    this.note(of.note, other.note, filter.note);
    this.state.crumb(filter.at < 0 ? "" : `filter ${filter.at}`);
    this.#toolbar(data, group, other.at, part);
    const one = data.store.have(part, group);
    const others = other.at < 0 ? undefined : data.store.have(part, other.at);
    if (!one || (other.at >= 0 && !others)) return this.#want(data, run, part, one ? other.at : group);
    this.#look = this.#lookOf(data, part, group, one, others);
    this.#head(data, run, this.#look, group, other.at);
    if (!this.#main.isConnected) put(this.frame.body, this.#main);
    this.#showGroups(data, run, group, other.at);
    this.#draw(data, this.#look, group, other.at, filter.at);
    this.#showPanel(data, run, this.#look, group, other.at, filter.at);
  }

  /** Fetch the whole gradient of a group; the page is painted when it is here. */
  #want(data: GradientData, run: string, part: Part, group: number): void {
    put(this.#waiting, `Loading the gradient of ${data.groups[group].name} …`);
    put(this.frame.body, this.#waiting);
    const here = (): boolean => this.loaded?.data === data;
    data.store.want(part, group).then(
      () => {
        if (!here()) return;
        this.paint(data, run);
        this.state.ready();
      },
      (error: unknown) => {
        if (here()) put(this.frame.body, failed(error));
      },
    );
  }

  /** The look of the address; it is kept for as long as nothing that it depends on changes. */
  #lookOf(
    data: GradientData,
    part: Part,
    group: number,
    one: NumberArray,
    other: NumberArray | undefined,
  ): GradientLook {
    const { route } = this.state;
    const { scale, show, with: against } = route.params;
    const key = JSON.stringify([data.run, data.record.id, part, group, against, scale, show]);
    if (key === this.#lookKey && this.#look) return this.#look;
    this.#lookKey = key;
    const { out } = data.shape;
    const norms = other
      ? shownNorms(data, part, one, other)
      : data.norm.subarray(group * out, (group + 1) * out);
    const only = other !== undefined && choiceOf(route, "show", SHOWS) === "difference";
    const full = this.#fullContrast(data, part, one, other);
    return { data, part, one, other, only, scale: full, norms, largestNorm: rangeOf(norms).high };
  }

  /** The largest magnitude of what shares a scale, so that nothing is clipped; undefined where each filter has its own. */
  #fullContrast(
    data: GradientData,
    part: Part,
    one: NumberArray,
    other: NumberArray | undefined,
  ): number | undefined {
    const scale = choiceOf(this.state.route, "scale", SCALES);
    if (scale === "filter") return undefined;
    const all = scale === "layer" ? data.store.all(part) : undefined;
    const shown = all ? [all] : [one, ...(other ? [other] : [])];
    if (other) shown.push(difference(one, other));
    return Math.max(...shown.map((values) => largestShown(data, part, values)));
  }

  #toolbar(data: GradientData, group: number, other: number, part: Part): void {
    const { route } = this.state;
    this.#tools.update({
      data,
      group,
      other,
      part,
      sort: choiceOf(route, "sort", SORTS),
      scale: choiceOf(route, "scale", SCALES),
      show: choiceOf(route, "show", SHOWS),
    });
    // Replacing a control while it is dragged would end the drag.
    if (!this.#legend.isConnected) put(this.frame.tools, ...this.#tools.parts, this.player.el, this.#legend);
  }

  #head(
    data: GradientData,
    run: string,
    { scale, part, norms }: GradientLook,
    group: number,
    other: number,
  ): void {
    const { shape, target, network, preprocessing } = data;
    const { low, high } = rangeOf(norms);
    const whole =
      choiceOf(this.state.route, "scale", SCALES) === "layer" && data.store.all(part) !== undefined;
    const of = groupText(data.groups[group]);
    this.head(run, {
      tag: data.record.tag,
      step: `step ${count(data.record.step)}`,
      explain: `${explainPart(part, data)} ${other < 0 ? "" : `The difference is ${of} minus ${groupText(data.groups[other])}. `}The bar below a filter is its L2 norm.`,
      facts: [
        { name: "filters", value: count(shape.out) },
        {
          name: "each",
          value: `${times(shape.height, shape.width)}, ${count(shape.input)} ${shape.input === 1 ? "input" : "inputs"}`,
        },
        { name: "groups", value: count(data.groups.length) },
        {
          name: "scale",
          value:
            scale === undefined
              ? "each filter its own"
              : `±${number(scale)}${whole ? "" : ", of what is shown"}`,
          title: "|gradient| at full contrast, of what is drawn: nothing is clipped",
        },
        {
          name: other < 0 ? "L2 norm" : "norm of the difference",
          value: `${number(low, 3)} … ${number(high, 3)}`,
        },
        { name: "gradient of", value: target },
        ...(network ? [{ name: "network", value: network }] : []),
        ...(preprocessing
          ? [{ name: "preprocessing", value: shortened(preprocessing), title: preprocessing }]
          : []),
      ],
    });
    const colours =
      part === "rgb" ? greyBar : (end: number, label: string) => colourBar("diverging", -end, end, label);
    put(
      this.#legend,
      scale === undefined ? null : colours(scale, part === "rgb" ? "per colour" : "gradient"),
    );
  }

  #showGroups({ record, groups }: GradientData, run: string, group: number, other: number): void {
    const [one, two] = this.#panes;
    one.show(run, record, groups[group], group, other < 0 ? "" : "this");
    if (other >= 0) two.show(run, record, groups[other], other, "other");
    if (this.#groups.childElementCount !== (other < 0 ? 1 : 2))
      put(this.#groups, one.el, other < 0 ? null : two.el);
  }

  /** The filters of the search, in the chosen order. */
  #order(data: GradientData, look: GradientLook): number[] {
    const { route } = this.state;
    const wanted = (route.params.q ?? "").trim().replace(/^#/, "");
    const all = Array.from({ length: data.shape.out }, (_, o) => o);
    const named = /^\d+$/.test(wanted) ? all.filter((o) => String(o).startsWith(wanted)) : all;
    const sort = choiceOf(route, "sort", SORTS);
    if (sort === "index" || (sort === "difference" && !look.other)) return named;
    const group = Math.max(0, this.#group(data, "of").at);
    const norm = (o: number): number => data.norm[group * data.shape.out + o];
    return sortedBy(named, sort === "norm" ? norm : (o) => look.norms[o], true);
  }

  #draw(data: GradientData, look: GradientLook, group: number, other: number, chosen: number): void {
    const { params } = this.state.route;
    const order = this.#order(data, look);
    this.#strip.show({
      label: other < 0 ? "L2 norms" : "L2 norms of the difference",
      values: look.norms,
      order,
      names: ["L2 norm"],
      chosen,
      item: (o) => `filter ${o}`,
    });
    const { inputs, sort, scale, show, q } = params;
    const key = JSON.stringify([data.run, data.record.id, group, other, inputs, sort, scale, show, q]);
    if (key !== this.#drawn) {
      this.#drawn = key;
      this.#grid.show(order, { minimum: CELLS[tileCount(look)], gap: tileCount(look) > 1 ? 20 : 10 });
    }
    for (const cell of this.#grid.el.querySelectorAll<HTMLElement>("[data-filter]"))
      cell.setAttribute("aria-current", String(Number(cell.dataset.filter) === chosen));
    this.#table.show({
      caption: `Gradients of ${data.layer}`,
      columns: gradientColumns(look, group, other, this.#hrefOf),
      items: order,
      by: params.by ?? "",
      chosen,
      file: `${data.run}-${data.record.tag}-gradients-${data.groups[group].name}`,
    });
  }

  #showPanel(
    data: GradientData,
    run: string,
    look: GradientLook,
    group: number,
    other: number,
    filter: number,
  ): void {
    if (filter < 0) return this.#panel.hide();
    const pages = channelPages(this.state.index, this.state.route, run, data.layer, filter);
    this.#panel.show(
      filter,
      gradientFacts(look, group, other, filter),
      [...pages, ...this.#volume(data, run, group)],
      ...gradientDetail(look, filter),
    );
  }

  /** The volume of this gradient, if one is recorded. */
  #volume(data: GradientData, run: string, group: number): PageLink[] {
    const found = this.state.index.runs.find(({ name }) => name === run);
    const tag = found && volumeTag(tagsOf(found, "volume"), data.layer, data.groups[group]);
    return tag
      ? [{ text: "Its volume", href: formatRoute(toView(this.state.route, "volume", { run, tag })) }]
      : [];
  }

  #hrefOf = (filter: number): string => formatRoute(changed(this.state.route, { ch: filter }));

  #cell(o: number, width: number): HTMLElement {
    const look = this.#look;
    if (!look) return h("div");
    const link = gradientCell(look, o, width, this.#hrefOf(o));
    link.setAttribute("aria-current", String(o === numberOf(this.state.route, "ch", -1)));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      this.#open(o);
    });
    link.addEventListener("pointermove", (event) => this.#read(look, o, event));
    link.addEventListener("pointerleave", () => this.#tooltip.hide());
    return h("div", { role: "listitem" }, link);
  }

  /** The value under the pointer, with its position; of two groups, that of both and the difference. */
  #read(look: GradientLook, o: number, event: PointerEvent): void {
    const canvas = event.target;
    if (!(canvas instanceof HTMLCanvasElement)) return this.#tooltip.hide();
    const [row, column] = weightAt(look.data.shape, canvas, event);
    const lines = tilesOf(look, o).map(({ name, values }) => {
      const text = readingAt(look, values, row, column).join(", ");
      return h("p", { class: "num" }, name ? `${name}: ${text}` : text);
    });
    const title = h("h4", {}, `Filter ${o}, row ${row}, column ${column}`);
    this.#tooltip.show(event.clientX, event.clientY, title, ...lines);
  }

  #open(filter: number): void {
    this.#tooltip.hide();
    this.set({ ch: filter < 0 ? null : filter });
    if (filter < 0) return;
    requestAnimationFrame(() => {
      if (!this.#grid.el.isConnected) return;
      if (isNarrow()) this.#panel.el.scrollIntoView();
      else this.#grid.focus(filter);
    });
  }

  protected key(event: KeyboardEvent): void {
    const data = this.loaded?.data;
    const look = this.#look;
    if (isTyping(event) || event.defaultPrevented || !data || !look) return;
    const chosen = numberOf(this.state.route, "ch", -1);
    if (event.key === "Escape") return this.#open(-1);
    const group = { "[": -1, "]": 1 }[event.key];
    if (group) {
      const next = Math.max(0, Math.min(data.groups.length - 1, numberOf(this.state.route, "of", 0) + group));
      return this.set({ of: next || null });
    }
    if (event.target instanceof HTMLInputElement) return;
    const active = document.activeElement as HTMLElement | null;
    const inGrid = active !== null && this.#grid.el.contains(active);
    const { columns } = this.#grid;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (!by || (!inGrid && chosen < 0)) return this.stepKey(event);
    const order = this.#order(data, look);
    const next = order[order.indexOf(inGrid ? Number(active.dataset.filter) : chosen) + by];
    if (next === undefined) return;
    event.preventDefault();
    if (chosen >= 0) this.#open(next);
    else this.#grid.focus(next);
  }
}

const shortened = (text: string): string =>
  text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)} …` : text;

export const mount: Mount = mounting(GradientsView);
