// Builds elements. Every child is inserted as text or as a node, never as markup.

export type Child = Node | string | number | null | undefined | false;
type Value = string | number | boolean | null | undefined | Record<string, string> | ((event: never) => void);
export type Props = Readonly<Record<string, Value>>;

const SVG = "http://www.w3.org/2000/svg";

/** Return `<tag>` with attributes, `on…` listeners, `style` properties and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG elements. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill<E extends HTMLElement | SVGElement>(element: E, props: Props, children: Child[]): E {
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) element.append(toNode(child));
  }
  return element;
}

function toNode(child: Node | string | number): Node {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

function set(element: HTMLElement | SVGElement, name: string, value: Value): void {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") {
    element.addEventListener(name.replace(/^on/, ""), value as EventListener);
  } else if (typeof value === "object") {
    for (const [key, part] of Object.entries(value)) element.style.setProperty(key, part);
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Replace the children of `element`. */
export function put(element: Element, ...children: Child[]): void {
  element.replaceChildren(
    ...children
      .filter((child) => child !== null && child !== undefined && child !== false)
      .map((child) => toNode(child)),
  );
}

const FOCUSABLE = "a[href], button, input, select, summary, [tabindex]";

/** Replace the children of `element`; the focus goes to the child that is named as the one was that had it, or that stands in its place. */
export function refill(element: Element, ...children: Child[]): void {
  const all = (): HTMLElement[] => [...element.querySelectorAll<HTMLElement>(FOCUSABLE)];
  const nameOf = (one: Element): string => one.getAttribute("aria-label") ?? one.textContent ?? "";
  const place = all().indexOf(document.activeElement as HTMLElement);
  const name = place < 0 || !document.activeElement ? "" : nameOf(document.activeElement);
  put(element, ...children);
  if (place < 0) return;
  const now = all();
  (now.find((one) => nameOf(one) === name) ?? now[place])?.focus({ preventScroll: true });
}

/** Make `children` the children of `element`, in this order; those that are there already stay, so that one keeps the focus. */
export function arrange(element: Element, children: readonly Element[]): void {
  const wanted = new Set(children);
  for (const child of [...element.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, i) => {
    if (element.children[i] !== child) element.insertBefore(child, element.children[i] ?? null);
  });
}

/** A canvas of `width` × `height` CSS pixels, sharp on this screen, and its context scaled to CSS pixels. */
export function sizeCanvas(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = context2d(canvas);
  context.scale(ratio, ratio);
  return context;
}

export function context2d(
  canvas: HTMLCanvasElement,
  settings?: CanvasRenderingContext2DSettings,
): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", settings);
  if (!context) throw new Error("this browser gives no 2-D canvas");
  return context;
}

export const reducedMotion = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Whether replacing `el` takes the focus away: it is inside, or nowhere. */
export const focusIsIn = (el: HTMLElement): boolean =>
  el.isConnected && (document.activeElement === document.body || el.contains(document.activeElement));

/** Whether `event` is typed into a field, where shortcuts must not act. */
export function isTyping(event: Event): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  const field = target instanceof HTMLInputElement && target.type !== "range" && target.type !== "checkbox";
  return field || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
