"""A page of blocks of small pictures, drawn with Pillow: headings, square blocks of tiles in columns, a caption."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Pixels = npt.NDArray[np.uint8]

_PAPER: Final = (255, 255, 255)
_GROUND: Final = (128, 128, 128)  # zero of a projection
_INK: Final = (20, 20, 20)
_FAINT: Final = (100, 100, 100)
_PIXELATED: Final = 32  # tiles up to this side are enlarged pixel by pixel: they are looked at pixel by pixel
_NARROWEST: Final = 18  # pixels a block
_GLYPHS: Final = frozenset("…±·°→")  # what Pillow's own font has beside ASCII, of what is written here


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

    Parameters
    ----------
    width
        In pixels.
    across
        How many blocks fit side by side.
    side
        How many tiles a block is wide and high.
    groups
        What is drawn, one after the other.

    Attributes
    ----------
    tile
        Height and width that a tile is printed with at most, in pixels.

    Raises
    ------
    InputError
        If the width is too small.
    """

    def __init__(self, width: int, across: int, side: int, groups: Sequence[Group]) -> None:
        self._width, self._side = width, side
        self._margin, self._wide = width // 60, max(2, width // 100)
        self._gap, self._line = max(1, width // 400), max(1, width // 2400)
        self._rows = list(_rows(groups, across))
        fixed = max(self._row_width(row, 0, across) for row in self._rows)
        self.tile = (width - 2 * self._margin - fixed) // (across * side)
        self._block = self._block_of(self.tile)
        if self._block < _NARROWEST:
            raise InputError(f"{across} blocks do not fit into a width of {width} pixels; use a larger width")
        self._title, self._text = _font(width / 85), _font(width / 115)
        self._small = _font(min(width / 130, self._block / 9))

    def picture(self, caption: str) -> Image:
        """Return the page: as many groups in a row as fit, row under row, the caption below."""
        from PIL import Image as Pillow
        from PIL import ImageDraw

        lines = list(self._wrapped(_plain(caption)))
        below = ceil(_height(self._text) * 1.35)
        heights = [self._head + max(group.rows for group in row) * self._cell_height + self._wide for row in self._rows]
        height = 2 * self._margin + sum(heights) + below * len(lines)
        page = Pillow.new("RGB", (self._width, height), _PAPER)
        drawing = ImageDraw.Draw(page)
        y = self._margin
        for row, tall in zip(self._rows, heights, strict=True):
            self._draw_row(page, drawing, row, y)
            y += tall
        for number, line in enumerate(lines):
            self._write(drawing, (self._margin, y + below * number), line, self._text, _INK)
        return page

    @property
    def _head(self) -> int:
        return ceil(_height(self._title) * 1.1 + _height(self._small) * 2.7)

    @property
    def _cell_height(self) -> int:
        return self._block + ceil(_height(self._small) * 1.2) + self._gap

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

    def _draw_row(self, page: Image, drawing: Any, row: Sequence[Group], y: int) -> None:
        """Draw groups side by side, those with twice the distance of the columns of one."""
        x = self._margin
        for group in row:
            self._write(drawing, (x, y), group.title, self._title, _INK)
            note = y + _height(self._title) * 1.1
            self._write(drawing, (x, note), group.note, self._small, _FAINT)
            for heading, cells in zip(group.headings, group.columns, strict=True):
                self._write(drawing, (x, note + _height(self._small) * 1.3), heading, self._small, _FAINT)
                self._draw_cells(page, drawing, group.abreast, cells, (x, y + self._head))
                x += self._column_width(group, cells, self._block) + self._wide
            x += self._wide

    def _draw_cells(
        self, page: Image, drawing: Any, abreast: int, cells: Sequence[Cell], corner: tuple[int, int]
    ) -> None:
        for number, cell in enumerate(cells):
            row, column = divmod(number, abreast)
            x = corner[0] + column * (self._cell_width(cell, self._block) + self._gap)
            y = corner[1] + row * self._cell_height
            under = y + self._block
            self._write(drawing, (x, under), cell.name, self._small, _INK)
            for tiles, text in zip(cell.blocks, cell.under, strict=True):
                page.paste(self._drawn(tiles), (x, y))
                right = x + self._block - self._small.getlength(_plain(text))
                self._write(drawing, (right, under), text, self._small, _FAINT)
                x += self._block + 2 * self._line

    def _drawn(self, tiles: Pixels) -> Image:
        """Return tiles ``(k, h, w, c)`` as one square block, row by row."""
        from PIL import Image as Pillow

        block = Pillow.new("RGB", (self._block, self._block), _GROUND)
        for number, tile in enumerate(tiles):
            small = self._resized(Pillow.fromarray(tile[:, :, 0] if tile.shape[2] == 1 else np.ascontiguousarray(tile)))
            row, column = divmod(number, self._side)
            step = self.tile + self._line
            free = (self.tile - small.width) // 2, (self.tile - small.height) // 2
            block.paste(small, (column * step + free[0], row * step + free[1]))
        return block

    def _resized(self, tile: Image) -> Image:
        """Return a tile as large as fits, with its proportions."""
        from PIL.Image import Resampling

        factor = self.tile / max(tile.size)
        size = max(1, round(tile.width * factor)), max(1, round(tile.height * factor))
        if size == tile.size:
            return tile
        pixelated = factor > 1 and max(tile.size) <= _PIXELATED
        return tile.resize(size, Resampling.NEAREST if pixelated else Resampling.LANCZOS)

    def _wrapped(self, caption: str) -> Iterator[str]:
        """Yield the caption in lines that fit the page."""
        line = ""
        for word in caption.split():
            longer = f"{line} {word}".strip()
            if line and self._text.getlength(longer) > self._width - 2 * self._margin:
                yield line
                longer = word
            line = longer
        if line:
            yield line

    @staticmethod
    def _write(
        drawing: Any, place: tuple[float, float], text: str, font: FreeTypeFont, colour: tuple[int, int, int]
    ) -> None:
        drawing.text((round(place[0]), round(place[1])), _plain(text), font=font, fill=colour)


def _rows(groups: Sequence[Group], across: int) -> Iterator[list[Group]]:
    """Yield the groups, as many together as fit side by side."""
    row: list[Group] = []
    for group in groups:
        if row and sum(one.blocks for one in row) + group.blocks > across:
            yield row
            row = []
        row.append(group)
    yield row


def _plain(text: str) -> str:
    """Return a text in letters the font has: accents are left out, what it does not know becomes a question mark."""
    known = text.replace("×", "x").replace("–", "-").replace("—", "-")
    letters = "".join(part if part in _GLYPHS else unicodedata.normalize("NFKD", part) for part in known)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter if letter in _GLYPHS or letter.isascii() else "?" for letter in bare)


def _font(size: float) -> FreeTypeFont:
    """Return Pillow's own font, which is the same on every machine, not smaller than can be read."""
    from PIL import ImageFont

    font = ImageFont.load_default(max(6.0, size))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise InputError("Pillow was built without FreeType, so it has no font to write with; install its wheel")
    return font


def _height(font: FreeTypeFont) -> int:
    return sum(font.getmetrics())
