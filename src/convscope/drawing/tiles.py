"""Sheets of tiles with a text under each and the scale of their colours: filters, feature maps, slices of volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from convscope.drawing.composed import room
from convscope.drawing.scales import colours_of, number
from convscope.drawing.shapes import Line, Picture, Pixels, Shape, Words, box, segment
from convscope.drawing.style import Look
from convscope.errors import InputError

_LEAST = 4.0  # points: smaller texts are left out
_NARROWEST = 3.0  # points a tile


@dataclass(frozen=True)
class Tile:
    """A picture ``(h, w, c)``, its name, and a fainter text at its right."""

    pixels: Pixels
    name: str = ""
    note: str = ""


def tiled(
    look: Look, tiles: Sequence[Tile], *, columns: int | None = None, smooth: bool = False, width: float | None = None
) -> tuple[list[Shape], float]:
    """Return tiles in rows, and how high all is.

    Raises
    ------
    InputError
        If so many columns do not fit.
    """
    whole = width or room(look)
    across = columns or default_columns(len(tiles))
    dot = 72 / look.dpi
    gap = max(dot, round(min(0.25 * look.size, whole / across / 12) / dot) * dot)
    side = int((whole - (across - 1) * gap) / across / dot) * dot
    if side < _NARROWEST:
        raise InputError(f"{across} tiles do not fit side by side into {whole / 72:.3g} inches; ask for fewer columns")
    tall = side * max(tile.pixels.shape[0] / tile.pixels.shape[1] for tile in tiles)
    tall = min(tall, 4 * side)
    size = min(look.small, side / 4.5)
    if any(tile.note for tile in tiles):
        longest = max(look.font.width(f"{tile.name}  {tile.note}", 1) for tile in tiles)
        size = min(size, 0.95 * side / max(longest, 1e-6))
    labelled = size >= _LEAST and any(tile.name or tile.note for tile in tiles)
    under = 1.35 * size if labelled else 0.0
    shapes: list[Shape] = []
    for place, tile in enumerate(tiles):
        row, column = divmod(place, across)
        x, y = column * (side + gap), row * (tall + under + gap)
        factor = min(side / tile.pixels.shape[1], tall / tile.pixels.shape[0])
        wide, high = tile.pixels.shape[1] * factor, tile.pixels.shape[0] * factor
        shapes.append(Picture(x + (side - wide) / 2, y + (tall - high) / 2, wide, high, tile.pixels, smooth))
        if labelled:
            base = y + tall + 0.95 * size
            shapes.append(Words(x, base, look.font.shortened(tile.name, size, side), size, look.style.ink))
            if tile.note:
                shapes.append(Words(x + side, base, tile.note, size, look.style.faint, 1))
    rows = ceil(len(tiles) / across)
    return shapes, rows * (tall + under + gap) - gap


def default_columns(count: int) -> int:
    """Return how many tiles stand side by side: a sheet a little wider than high, without a hole where that can be.

    >>> [default_columns(n) for n in (1, 9, 32, 96, 97)]
    [1, 3, 8, 12, 13]
    """
    best = ceil(sqrt(1.5 * count))
    whole = [n for n in range(ceil(sqrt(count)), ceil(sqrt(2.2 * count)) + 1) if count % n == 0]
    return min(whole, key=lambda n: abs(n - best), default=min(best, count))


@dataclass(frozen=True)
class Bar:
    """The scale of colours: a map, the values at its ends, and what they are of."""

    colours: str
    low: float
    high: float
    title: str = ""


def colour_bar(look: Look, bar: Bar, width: float) -> tuple[list[Shape], float]:
    """Return a bar of colours with the numbers at its ends, and how high it is."""
    small, style = look.small, look.style
    long = min(width * 0.5, 14 * small)
    middle = "0" if bar.low < 0 < bar.high else ""
    title = look.font.shortened(bar.title, small, max(0.0, width - long - 1.2 * small))
    ramp = Picture(0, 0, long, 0.8 * small, colours_of(bar.colours)[None, :, :])
    base = 1.95 * small
    shapes: list[Shape] = [
        ramp,
        outline(0, 0, long, 0.8 * small, look),
        Words(0, base, number(bar.low, 3), small, style.faint),
        Words(long, base, number(bar.high, 3), small, style.faint, 1),
        Words(long + small, 0.75 * small, title, small, style.ink),
    ]
    if middle:
        place = long * -bar.low / (bar.high - bar.low)
        shapes.append(Line(segment(place, 0.8 * small, place, 1.05 * small), style.faint, 0.5))
        shapes.append(Words(place, base, middle, small, style.faint, 0.5))
    return shapes, 2.3 * small


def outline(x: float, y: float, width: float, height: float, look: Look) -> Line:
    """Return a thin frame."""
    corners = box(x, y, width, height)
    return Line(np.concatenate([corners, corners[:1]]), look.style.grid, 0.5)
