// One layer of a network: its figures, where it can be read, and the pages about it.
import { h, put } from "../../lib/dom";
import { count, times } from "../../lib/format";
import { type Fact, facts } from "../../lib/frame";
import type { LayerRow } from "../../lib/network";
import { fieldText, type PageLink } from "./networktable";

export interface LayerEvents {
  readonly close: () => void;
  readonly linkOf: (layer: string) => string;
  /** An opened module is to be closed. */
  readonly closeModule: (module: string) => void;
}

/** What is known of a layer besides its figures. */
export interface LayerLinks {
  readonly takers: readonly string[];
  readonly pages: readonly PageLink[];
  /** The opened modules it is in, the outermost first. */
  readonly modules: readonly string[];
}

export class LayerInfo {
  readonly el = h("aside", { class: "panel", "aria-label": "Chosen layer", hidden: true });
  #made = "";

  constructor(private readonly on: LayerEvents) {}

  /** Show a layer, none to hide; made anew only if something of it has changed, so that the focus stays. */
  show(layer: LayerRow | undefined, links: LayerLinks): void {
    const link = (name: string): string => (name ? this.on.linkOf(name) : "");
    const made = layer ? JSON.stringify([layer, links, link(layer.name)]) : "";
    this.el.hidden = !layer;
    if (made === this.#made) return;
    this.#made = made;
    if (!layer) return put(this.el);
    this.#make(layer, links);
  }

  #make(layer: LayerRow, { takers, pages, modules }: LayerLinks): void {
    const link = (name: string): HTMLElement =>
      name ? h("a", { href: this.on.linkOf(name), class: "mono" }, name) : h("span", {}, "the image");
    const links = (title: string, names: readonly string[]): HTMLElement | null =>
      names.length ? h("p", { class: "layer-links" }, h("b", {}, title), ...names.map(link)) : null;
    put(
      this.el,
      h(
        "header",
        { class: "panel-head" },
        h("h2", { class: "mono" }, layer.name),
        h(
          "button",
          { type: "button", class: "icon-button", "aria-label": "Close", onclick: this.on.close },
          "×",
        ),
      ),
      facts(figures(layer)),
      layer.field.reason ? h("p", { class: "muted" }, `Sees the whole image: ${layer.field.reason}.`) : null,
      modules.length
        ? h("p", { class: "layer-links" }, h("b", {}, "in "), ...modules.map((one) => this.#module(one)))
        : null,
      links("takes ", layer.inputs),
      links("gives to ", takers),
      links("non-linearity ", layer.nonlinearity ? [layer.nonlinearity] : []),
      pages.length
        ? h(
            "p",
            { class: "panel-links" },
            ...pages.map(({ text, href }) => h("a", { class: "button", href }, text)),
          )
        : h("p", { class: "muted" }, "This run has no filters, feature maps or top images of this layer."),
    );
  }

  #module(name: string): HTMLElement {
    const close = h(
      "button",
      {
        type: "button",
        class: "button",
        "aria-label": `Close module ${name}`,
        onclick: () => this.on.closeModule(name),
      },
      "close",
    );
    return h("span", { class: "module" }, h("span", { class: "mono" }, name), close);
  }
}

function figures(layer: LayerRow): Fact[] {
  const optional: readonly (readonly [string, readonly number[]])[] = [
    ["kernel", layer.kernel],
    ["stride", layer.stride],
    ["padding", layer.padding],
    ["dilation", layer.dilation.some((one) => one !== 1) ? layer.dilation : []],
    ["groups", layer.groups > 1 ? [layer.groups] : []],
  ];
  return [
    { name: "kind", value: layer.kind },
    { name: "output", value: times(...layer.shape) },
    ...optional
      .filter(([, value]) => value.length)
      .map(([name, value]) => ({ name, value: times(...value) })),
    { name: "receptive field", value: fieldText(layer) },
    ...(layer.field.reason
      ? []
      : [{ name: "starts at", value: layer.field.start.join(", ").replaceAll("-", "−") }]),
    { name: "parameters", value: count(layer.parameters) },
    { name: "multiply-adds", value: count(layer.macs) },
  ];
}
