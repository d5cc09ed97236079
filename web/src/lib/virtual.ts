// Which cells of a uniform grid are on screen.

export interface GridShape {
  readonly columns: number;
  readonly rows: number;
  readonly cellWidth: number;
  readonly rowHeight: number;
  readonly height: number;
}

/** As many equal columns of at least `minimum` pixels as fit into `width`. */
export function gridShape(
  count: number,
  width: number,
  minimum: number,
  rowHeightOf: (cellWidth: number) => number,
  gap: number,
): GridShape {
  const columns = Math.max(1, Math.floor((width + gap) / (minimum + gap)));
  const rows = Math.ceil(count / columns);
  const cellWidth = (width - gap * (columns - 1)) / columns;
  const rowHeight = rowHeightOf(cellWidth);
  return {
    columns,
    rows,
    cellWidth,
    rowHeight,
    height: Math.max(0, rows * (rowHeight + gap) - gap),
  };
}

/** Half-open range of cells that touch the window [top, bottom) of the grid, with `spare` rows each side. */
export function visibleCells(
  count: number,
  shape: GridShape,
  pitch: number,
  top: number,
  bottom: number,
  spare = 1,
): [number, number] {
  const first = Math.max(0, Math.floor(top / pitch) - spare);
  const last = Math.min(shape.rows, Math.ceil(bottom / pitch) + spare);
  return last <= first ? [0, 0] : [first * shape.columns, Math.min(count, last * shape.columns)];
}
