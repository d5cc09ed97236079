// The arrow keys of a page with a slider over steps: left and right go one step, wherever they mean nothing else.
import { isTyping } from "./dom";

/** Where arrows move a slider, scroll, or choose. */
const OWN_ARROWS = "input, select, pre, .text-body, .table-box, [role='menu'], .sidebar";

/** −1 or 1 for a key that goes back or on, else 0. */
export function stepKey(event: KeyboardEvent): number {
  if (isTyping(event) || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return 0;
  if (event.target instanceof Element && event.target.closest(OWN_ARROWS)) return 0;
  return { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
}
