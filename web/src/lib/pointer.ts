// Which cell of a picture the pointer is over.

/** Row and column of `event` on an element that shows `height` × `width` cells. */
export function cellUnder(
  event: MouseEvent,
  el: Element,
  height: number,
  width: number,
): [row: number, column: number] {
  const box = el.getBoundingClientRect();
  return [
    placeAt(event.clientY - box.top, box.height, height),
    placeAt(event.clientX - box.left, box.width, width),
  ];
}

const placeAt = (offset: number, span: number, count: number): number =>
  Math.max(0, Math.min(count - 1, Math.floor((count * offset) / span)));
