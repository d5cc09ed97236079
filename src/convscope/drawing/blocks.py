"""A page of blocks of small pictures: headings, square blocks of tiles in columns, a text under each block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np

from convscope.drawing.composed import heading, moved, paragraph
from convscope.drawing.shapes import Colour, Picture, Pixels, Shape, Sheet, Words, resized
from convscope.drawing.style import Look
from convscope.errors import InputError

_GROUND: Final = 128  # zero of a projection
_PIXELATED: Final = 32  # tiles up to this side are enlarged pixel by pixel: they are looked at pixel by pixel
_NARROWEST: Final = 18  # pixels a block
_LEAST: Final = 4.0
"""Points: smaller texts are left out, since nobody reads them in print."""


@dataclass(frozen=True)
class Cell:
    """One channel: blocks of tiles side by side, ``(k, h, w, 3)`` or ``(…, 1)``, a text under each, and its name."""

    blocks: tuple[Pixels, ...]
    under: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Group:
    """One layer: columns that stand side by side, each with a heading and a cell for every channel.

    Attributes
    ----------
    title, note
        What stands above all of it, and fainter below that.
    headings
        What stands above each column.
    columns
        The cells of each.
    most
        How many cells a column has side by side at most.
    """

    title: str
    note: str
    headings: tuple[str, ...]
    columns: tuple[Sequence[Cell], ...]
    most: int

    @property
    def abreast(self) -> int:
        """How many cells stand side by side: as many as leave no hole in the last row, if that is not too tall."""
        count = len(self.columns[0])
        whole = [n for n in range(2, self.most + 1) if count % n == 0 and count // n <= 6]
        return max(whole, default=min(self.most, count))

    @property
    def rows(self) -> int:
        """How many rows of cells there are."""
        return ceil(len(self.columns[0]) / self.abreast)

    @property
    def blocks(self) -> int:
        """How many blocks it is wide."""
        return self.abreast * sum(len(cells[0].blocks) for cells in self.columns)


class Page:
    """A page of groups: which of them share a row, how large all is, and the drawing of it.

    All places are whole dots, so that tiles are printed as they are.

    Parameters
    ----------
    look
        Its width and dots an inch, its font and colours.
    across
        How many blocks fit side by side.
    side
        How many tiles a block is wide and high.
    groups
        What is drawn, one after the other.

    Attributes
    ----------
    tile
        Height and width that a tile is printed with at most, in dots.

    Raises
    ------
    InputError
        If the width is too small.
    """

    def __init__(self, look: Look, across: int, side: int, groups: Sequence[Group]) -> None:
        self._look, self._side = look, side
        self._dot = 72 / look.dpi
        width = round(look.width / self._dot)
        self._margin, self._wide = max(1, width // 60), max(2, width // 100)
        self._gap, self._line = max(1, width // 400), max(1, width // 2400)
        self._rows = list(rows_of(groups, across))
        fixed = max(self._row_width(row, 0, across) for row in self._rows)
        self.tile = (width - 2 * self._margin - fixed) // (across * side)
        self._block = self._block_of(self.tile)
        if self._block < _NARROWEST:
            raise InputError(f"{across} blocks do not fit into a width of {width} pixels; use a larger width")
        self._title, self._note = 1.3 * look.size, 0.85 * look.size
        self._under = min(0.85 * look.size, self._block * self._dot / 9)
        self._named = min(0.85 * look.size, max(self._under, _LEAST))

    @property
    def numbered(self) -> bool:
        """Whether scales and activations stand under the blocks: only where they can be read."""
        return self._under >= _LEAST

    def sheet(self, caption: str, title: str = "") -> Sheet:
        """Return the page: as many groups in a row as fit, row under row, the caption below."""
        look = self._look
        top, high = heading(look, look.title)
        y = self._margin + ceil(high / self._dot)
        shapes = moved(top, self._margin * self._dot, self._margin * self._dot)
        for row in self._rows:
            shapes += self._row(row, y)
            y += self._head + max(group.rows for group in row) * self._cell_height + self._wide
        text = caption if look.caption is True else look.caption or ""
        inner = look.width - 2 * self._margin * self._dot
        words, tall = paragraph(look, text, inner) if text else ([], 0.0)
        shapes += moved(words, self._margin * self._dot, y * self._dot)
        height = (y + ceil(tall / self._dot) + self._margin) * self._dot
        return Sheet(look.width, height, shapes, look.title or title, look.style.ground, look.dpi, look.font)

    def _tall(self, size: float) -> float:
        return size * sum(self._look.font.extent) / self._dot

    @property
    def _head(self) -> int:
        return ceil(self._tall(self._title) * 1.1 + self._tall(self._note) * 2.7)

    @property
    def _cell_height(self) -> int:
        return self._block + ceil(self._tall(self._named) * 1.2) + self._gap

    def _block_of(self, tile: int) -> int:
        return tile * self._side + (self._side - 1) * self._line

    def _cell_width(self, cell: Cell, block: int) -> int:
        return len(cell.blocks) * block + (len(cell.blocks) - 1) * 2 * self._line

    def _column_width(self, group: Group, cells: Sequence[Cell], block: int) -> int:
        return group.abreast * (self._cell_width(cells[0], block) + self._gap) - self._gap

    def _row_width(self, row: Sequence[Group], tile: int, across: int) -> int:
        """Return how wide a row is with tiles of a size; where it has room for more blocks, with gaps for them."""
        block = self._block_of(tile)
        columns = [self._column_width(group, cells, block) for group in row for cells in group.columns]
        room = (across - sum(group.blocks for group in row)) * (self._block_of(0) + self._gap)
        return sum(columns) + room + (len(columns) + len(row) - 2) * self._wide

    def _row(self, row: Sequence[Group], y: int) -> Iterator[Shape]:
        """Yield groups side by side, those with twice the distance of the columns of one."""
        x, style, room = self._margin, self._look.style, self._look.width / self._dot - self._margin
        for group in row:
            widths = [self._column_width(group, cells, self._block) + self._wide for cells in group.columns]
            last = group is row[-1]
            whole = room - x if last else sum(widths)
            yield self._words(x, y, group.title, self._title, style.ink, whole)
            note = y + self._tall(self._title) * 1.1
            yield self._words(x, note, group.note, self._note, style.faint, whole)
            for number, (text, cells) in enumerate(zip(group.headings, group.columns, strict=True)):
                free = room - x if last and number == len(widths) - 1 else widths[number] - self._wide / 2
                yield self._words(x, note + self._tall(self._note) * 1.3, text, self._note, style.faint, free)
                yield from self._cells(group.abreast, cells, (x, y + self._head))
                x += widths[number]
            x += self._wide

    def _cells(self, abreast: int, cells: Sequence[Cell], corner: tuple[int, int]) -> Iterator[Shape]:
        style = self._look.style
        for number, cell in enumerate(cells):
            row, column = divmod(number, abreast)
            x = corner[0] + column * (self._cell_width(cell, self._block) + self._gap)
            y = corner[1] + row * self._cell_height
            yield self._words(x, y + self._block, cell.name, self._named, style.ink, self._block)
            for tiles, text in zip(cell.blocks, cell.under, strict=True):
                dot = self._dot
                yield Picture(x * dot, y * dot, self._block * dot, self._block * dot, self._drawn(tiles))
                named = cell.name if tiles is cell.blocks[0] else ""
                if self.numbered and self._fits(named, text):
                    yield self._words(x + self._block, y + self._block, text, self._under, style.faint, None)
                x += self._block + 2 * self._line

    def _fits(self, name: str, text: str) -> bool:
        """Tell whether a text has room under a block beside a name."""
        font = self._look.font
        both = font.width(f"{name} ", self._named) + font.width(text, self._under)
        return both <= self._block * self._dot

    def _drawn(self, tiles: Pixels) -> Pixels:
        """Return tiles ``(k, h, w, c)`` as one square block, row by row."""
        channels = 3 if tiles.shape[3] == 3 else 1
        block = np.full((self._block, self._block, channels), _GROUND, np.uint8)
        for number, tile in enumerate(tiles):
            small = self._resized(tile)
            row, column = divmod(number, self._side)
            step = self.tile + self._line
            y = row * step + (self.tile - small.shape[0]) // 2
            x = column * step + (self.tile - small.shape[1]) // 2
            block[y : y + small.shape[0], x : x + small.shape[1]] = small
        return block

    def _resized(self, tile: Pixels) -> Pixels:
        """Return a tile as large as fits, with its proportions."""
        height, width = tile.shape[:2]
        factor = self.tile / max(height, width)
        size = max(1, round(height * factor)), max(1, round(width * factor))
        pixelated = factor > 1 and max(height, width) <= _PIXELATED
        return resized(tile, size, smooth=not pixelated)

    def _words(self, x: float, y: float, text: str, size: float, colour: Colour, room: float | None) -> Words:
        """Return a text below ``y``, cut where the room ends; without a room it ends at ``x``."""
        font = self._look.font
        base = y * self._dot + size * font.extent[0]
        shown = text if room is None else font.shortened(text, size, room * self._dot)
        return Words(x * self._dot, base, shown, size, colour, 0 if room is not None else 1)


def rows_of(groups: Sequence[Group], across: int) -> Iterator[list[Group]]:
    """Yield the groups, as many together as fit side by side."""
    row: list[Group] = []
    for group in groups:
        if row and sum(one.blocks for one in row) + group.blocks > across:
            yield row
            row = []
        row.append(group)
    yield row
