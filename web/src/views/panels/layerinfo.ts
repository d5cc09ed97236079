// One layer of a network: its figures, where it can be read, and the pages about it.
import { h, put } from "../../lib/dom";
import { count, times } from "../../lib/format";
import { type Fact, facts } from "../../lib/frame";
import type { LayerRow } from "../../lib/network";
import { fieldText, type PageLink } from "./networktable";

export class LayerInfo {
  readonly el = h("aside", { class: "panel", "aria-label": "Chosen layer", hidden: true });

  constructor(
    private readonly close: () => void,
    private readonly linkOf: (layer: string) => string,
  ) {}

  show(layer: LayerRow | undefined, takers: readonly string[], pages: readonly PageLink[]): void {
    this.el.hidden = !layer;
    if (!layer) return put(this.el);
    const link = (name: string): HTMLElement =>
      name ? h("a", { href: this.linkOf(name), class: "mono" }, name) : h("span", {}, "the image");
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
          { type: "button", class: "icon-button", "aria-label": "Close", onclick: this.close },
          "×",
        ),
      ),
      facts(figures(layer)),
      layer.field.reason ? h("p", { class: "muted" }, `Sees the whole image: ${layer.field.reason}.`) : null,
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
