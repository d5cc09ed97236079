// A ring around a point of a map: the pointer is over the same picture elsewhere.
import { h } from "../../lib/dom";
import type { PointMap } from "./pointmap";

export const ring = (): HTMLElement =>
  h("span", { class: "points-ring", "aria-hidden": "true", hidden: true });

/** Put the ring around a point; hide it where the point is not to be seen. */
export function ringAt(el: HTMLElement, map: PointMap | undefined, point: number): void {
  const at = point < 0 ? null : (map?.scene?.screen(point) ?? null);
  el.hidden = !at;
  if (at) el.style.transform = `translate(${at[0]}px, ${at[1]}px)`;
}
