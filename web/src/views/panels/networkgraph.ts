// The graph of a network: a box for each layer or closed module, a line for each connection.
import { h, put, s } from "../../lib/dom";
import { count, plural, times } from "../../lib/format";
import { type Box, boxesOf, familyOf, IMAGE, type NetworkData, wiresOf } from "../../lib/network";

const CHARACTER = 6.7;
const PADDING = 30;
const LEAST_WIDTH = 96;
const HEIGHT = 44;
const NAME_LENGTH = 34;

export interface GraphActions {
  /** A layer was chosen. */
  choose(layer: string): void;
  /** A closed module is to be opened. */
  open(module: string): void;
}

interface Text {
  readonly title: string;
  readonly sub: string;
}

export class NetworkGraph {
  readonly el = h("div", {
    class: "graph-scroll",
    tabindex: 0,
    role: "region",
    "aria-label": "Graph of layers",
  });
  #key = "";
  #drawn: SVGElement | undefined;
  #wanted = "";

  constructor(private readonly actions: GraphActions) {}

  /** Draw the layers; `open`: the modules whose insides are seen; `found`: what a search has found, all if empty. */
  async show(
    data: NetworkData,
    open: ReadonlySet<string>,
    chosen: string,
    found: ReadonlySet<string> | null,
  ): Promise<void> {
    const key = JSON.stringify([data.record.id, [...open]]);
    this.#wanted = key;
    if (key !== this.#key) {
      const { layOut } = await import("../../lib/graphlayout");
      if (this.#wanted !== key) return;
      this.#draw(data, open, layOut);
      this.#key = key;
    }
    this.#mark(chosen, found);
  }

  /** Bring a layer into sight. */
  reveal(layer: string): void {
    const box = [...this.el.querySelectorAll<SVGElement>("[data-box]")].find(
      (one) => one.dataset.box === layer,
    );
    box?.scrollIntoView({ block: "center", inline: "center" });
  }

  #draw(
    data: NetworkData,
    open: ReadonlySet<string>,
    layOut: typeof import("../../lib/graphlayout").layOut,
  ): void {
    const boxes = boxesOf(data.layers, open);
    const wires = wiresOf(data.layers, open);
    const texts = new Map(boxes.map((box) => [box.id, textOf(box)]));
    texts.set(IMAGE, { title: "image", sub: times(...data.input) });
    const drawn = layOut(new Map([...texts].map(([id, text]) => [id, sizeOf(text)])), wires);
    const line = (points: readonly { x: number; y: number }[]): string =>
      points.map(({ x, y }, i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    this.#drawn = s(
      "svg",
      {
        width: drawn.width,
        height: drawn.height,
        viewBox: `0 0 ${drawn.width} ${drawn.height}`,
        class: "graph",
      },
      s(
        "defs",
        {},
        s(
          "marker",
          {
            id: "arrow",
            viewBox: "0 0 8 8",
            refX: 7,
            refY: 4,
            markerWidth: 7,
            markerHeight: 7,
            orient: "auto",
          },
          s("path", { d: "M0 0L8 4L0 8z" }),
        ),
      ),
      ...drawn.wires.map((points) =>
        s("path", { class: "wire", d: line(points), "marker-end": "url(#arrow)" }),
      ),
      ...[...texts].map(([id, text]) => {
        const place = drawn.boxes.get(id) ?? { x: 0, y: 0, ...sizeOf(text) };
        return this.#box(
          id,
          boxes.find((box) => box.id === id),
          text,
          place,
        );
      }),
    );
    put(this.el, this.#drawn);
  }

  #box(
    id: string,
    box: Box | undefined,
    text: Text,
    { x, y, width, height }: { x: number; y: number; width: number; height: number },
  ): SVGElement {
    const family = !box ? "image" : box.open ? familyOf(box.layers[0].kind) : "module";
    const act = (): void => {
      if (box?.open) this.actions.choose(id);
      else if (box) this.actions.open(id);
    };
    const label = box ? `${id}: ${text.title}, ${text.sub}${box.open ? "" : ", closed module"}` : "image";
    return s(
      "g",
      {
        class: `box family-${family}`,
        transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
        "data-box": id || "image",
        ...(box
          ? { tabindex: 0, role: "button", "aria-label": label }
          : { role: "img", "aria-label": label }),
        onclick: act,
        onkeydown: (event: KeyboardEvent) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          act();
        },
      },
      s("title", {}, id || "the picture"),
      s("rect", { width, height, rx: 6 }),
      s("path", { class: "stripe", d: `M3 1.5h2.5v${height - 3}H3a3 3 0 0 1-2.2-3V4.5a3 3 0 0 1 2.2-3z` }),
      s("text", { x: 15, y: 18, class: "box-title" }, text.title),
      s("text", { x: 15, y: 34, class: "box-sub" }, text.sub),
    );
  }

  #mark(chosen: string, found: ReadonlySet<string> | null): void {
    for (const box of this.el.querySelectorAll<SVGElement>("[data-box]")) {
      const id = box.dataset.box ?? "";
      const inside =
        found &&
        [...found].some((name) => name === id || name.startsWith(`${id}.`) || name.startsWith(`${id}/`));
      box.setAttribute("aria-current", String(id === chosen));
      box.classList.toggle("dim", found !== null && !inside);
    }
  }
}

function textOf({ id, layers, open }: Box): Text {
  const last = layers[layers.length - 1];
  if (!open) return { title: short(id), sub: `${plural(layers.length, "layer")} · ${times(...last.shape)}` };
  const how = last.kernel.length
    ? ` ${last.kernel.join("×")}${last.stride.some((one) => one > 1) ? `/${last.stride[0]}` : ""}`
    : "";
  return {
    title: `${short(id)}`,
    sub: `${last.kind}${how} · ${last.shape.length ? times(...last.shape) : "1"}`,
  };
}

const short = (name: string): string =>
  name.length > NAME_LENGTH ? `…${name.slice(1 - NAME_LENGTH)}` : name;

function sizeOf({ title, sub }: Text): { width: number; height: number } {
  return {
    width: Math.max(LEAST_WIDTH, Math.max(title.length, sub.length) * CHARACTER + PADDING),
    height: HEIGHT,
  };
}

/** 61100840 → "61.1 M". */
export function amountOf(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return count(value);
}
