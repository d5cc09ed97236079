// The graph of a network: a box for each layer or closed module, a line for each connection.
import { h, put, reducedMotion, s } from "../../lib/dom";
import { count, plural, times } from "../../lib/format";
import type { Drawable } from "../../lib/graphdef";
import { type Box, boxesOf, familyOf, IMAGE, modulesOf, wiresOf } from "../../lib/network";

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
  readonly #boxes = new Map<string, SVGElement>();
  #key = "";
  #wanted = "";
  /** The one box that the tab key stops at; arrows lead to the others. */
  #stop = "";
  /** The module that was just opened or closed: what stands for it gets the focus. */
  #next = "";

  constructor(private readonly actions: GraphActions) {
    this.el.addEventListener("focusin", ({ target }) => {
      const box = target instanceof SVGElement ? target.dataset.box : undefined;
      if (box) this.#stopAt(box);
    });
  }

  /**
   * Draw the layers; `open`: the modules whose insides are seen; `found`: what a search has found, all if empty. Returns
   * whether it is drawn: not if something else was asked for meanwhile.
   */
  async show(
    data: Drawable,
    open: ReadonlySet<string>,
    chosen: string,
    found: ReadonlySet<string> | null,
  ): Promise<boolean> {
    const key = JSON.stringify([data.record.id, [...open].sort()]);
    this.#wanted = key;
    if (key !== this.#key) {
      const { layOut } = await import("../../lib/graphlayout");
      if (this.#wanted !== key) return false;
      const focused = this.#focused;
      this.#draw(data, open, layOut);
      this.#key = key;
      if (focused !== undefined) this.focus(focused);
    }
    const follow = this.#focused !== undefined && chosen !== "" && this.#boxes.has(chosen);
    this.#mark(chosen, found);
    if (this.#next) this.#focusModule();
    else if (follow) this.focus(chosen);
    return true;
  }

  /** Bring a layer into sight, if it is not there. */
  reveal(layer: string): void {
    const box = this.#boxes.get(layer)?.getBoundingClientRect();
    if (!box) return;
    const frame = this.el.getBoundingClientRect();
    const beyond = (from: number, to: number, low: number, high: number): number =>
      from >= low && to <= high ? 0 : (from + to - low - high) / 2;
    this.el.scrollBy({
      top: beyond(box.top, box.bottom, frame.top, frame.bottom),
      left: beyond(box.left, box.right, frame.left, frame.right),
      behavior: reducedMotion() ? "auto" : "smooth",
    });
  }

  /** Give a box the focus, and bring it into sight. */
  focus(box: string): void {
    this.#boxes.get(box)?.focus({ preventScroll: true });
    this.reveal(box);
  }

  /** Give what stands for a module the focus once it is drawn: its box, or the first one in it. */
  focusNext(module: string): void {
    this.#next = module;
  }

  /** Give the next box, or the one before, the focus; false if none of them has it. */
  step(by: number): boolean {
    const focused = this.#focused;
    if (focused === undefined) return false;
    const all = [...this.#boxes.keys()];
    const next = all[all.indexOf(focused) + by];
    if (next !== undefined) this.focus(next);
    return true;
  }

  /** The box that has the focus. */
  get #focused(): string | undefined {
    const active = document.activeElement;
    return active instanceof SVGElement && this.el.contains(active) ? active.dataset.box : undefined;
  }

  #focusModule(): void {
    const all = [...this.#boxes.keys()];
    const box = this.#boxes.has(this.#next)
      ? this.#next
      : all.find((id) => modulesOf(id).includes(this.#next));
    if (box !== undefined) this.focus(box);
    this.#next = "";
  }

  #stopAt(box: string): void {
    this.#boxes.get(this.#stop)?.setAttribute("tabindex", "-1");
    this.#boxes.get(box)?.setAttribute("tabindex", "0");
    this.#stop = box;
  }

  #draw(
    data: Drawable,
    open: ReadonlySet<string>,
    layOut: typeof import("../../lib/graphlayout").layOut,
  ): void {
    const boxes = boxesOf(data.layers, open);
    const wires = wiresOf(data.layers, open);
    const texts = new Map(boxes.map((box) => [box.id, textOf(box)]));
    if (wires.some(({ from }) => from === IMAGE))
      texts.set(IMAGE, { title: "image", sub: times(...data.input) });
    const drawn = layOut(new Map([...texts].map(([id, text]) => [id, sizeOf(text)])), wires);
    const line = (points: readonly { x: number; y: number }[]): string =>
      points.map(({ x, y }, i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    this.#boxes.clear();
    const byId = new Map(boxes.map((box) => [box.id, box]));
    const svg = s(
      "svg",
      {
        width: drawn.width,
        height: drawn.height,
        viewBox: `0 0 ${drawn.width} ${drawn.height}`,
        class: "graph",
        role: "group",
        "aria-label":
          "Layers in the order in which they are executed; the arrow keys go from one to the next",
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
        return this.#box(id, byId.get(id), text, place);
      }),
    );
    put(this.el, svg);
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
    const el = s(
      "g",
      {
        class: `box family-${family}`,
        transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
        ...(box
          ? { tabindex: -1, role: "button", "aria-label": label, "data-box": id }
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
    if (box) this.#boxes.set(id, el);
    return el;
  }

  #mark(chosen: string, found: ReadonlySet<string> | null): void {
    const near = found && new Set([...found, ...[...found].flatMap(modulesOf)]);
    for (const [id, box] of this.#boxes) {
      box.setAttribute("aria-current", String(id === chosen));
      box.classList.toggle("dim", near !== null && !near.has(id));
    }
    const stop = [chosen, this.#stop].find((one) => this.#boxes.has(one)) ?? this.#boxes.keys().next().value;
    if (stop !== undefined) this.#stopAt(stop);
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

/** How many narrow letters a text is long: those of East Asian scripts are twice as wide. */
const lengthOf = (text: string): number =>
  [...text].reduce((length, letter) => length + (letter >= "\u2e80" ? 2 : 1), 0);

function sizeOf({ title, sub }: Text): { width: number; height: number } {
  return {
    width: Math.max(LEAST_WIDTH, Math.max(lengthOf(title), lengthOf(sub)) * CHARACTER + PADDING),
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
