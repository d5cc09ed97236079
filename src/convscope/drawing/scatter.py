"""Maps of points: dots coloured by class or number with their legend, or small pictures in their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.axes import Entry, key
from convscope.drawing.composed import moved, room
from convscope.drawing.png import picture
from convscope.drawing.scales import colours_of, levels
from convscope.drawing.shapes import Area, Colour, Dots, Picture, Pixels, Points, Shape, Sheet, Words, box
from convscope.drawing.style import Look
from convscope.drawing.tiles import Bar, colour_bar, outline

VECTOR_UP_TO: Final = 20_000
"""More dots are drawn as one picture: a file with a million of them opens nowhere."""
_ENTRIES: Final = 24
_LEGEND: Final = 0.22  # of the width
_ASPECT: Final = 0.85


@dataclass(frozen=True)
class Painted:
    """The colours of points ``(N, 3)`` with what explains them: entries of a legend, or a bar."""

    colours: Pixels
    title: str = ""
    entries: Sequence[Entry] = ()
    bar: Bar | None = None


def by_category(look: Look, codes: npt.NDArray[np.int64], names: Sequence[str], title: str) -> Painted:
    """Return a colour for every class; of more than a dozen the largest have one each, the others are grey.

    Parameters
    ----------
    look
        Its palette.
    codes
        The class of each point, ``(N,)``; below 0 for none.
    names
        Of the classes.
    title
        Of the legend.
    """
    style = look.style
    found, counts = np.unique(codes[codes >= 0], return_counts=True)
    order = [int(found[n]) for n in np.lexsort((found, -counts))]
    few = all(code < len(style.palette) for code in order)
    table: dict[int, Colour] = {}
    for rank, code in enumerate(order):
        place = code if few else rank
        table[code] = style.palette[place] if place < len(style.palette) - (not few) else style.missing
    entries = [Entry(_name(names, code), table[code], dot=True) for code in sorted(order) if few]
    if not few:
        coloured = [code for code in order if table[code] != style.missing]
        entries = [Entry(_name(names, code), table[code], dot=True) for code in coloured]
        rest = len(order) - len(coloured)
        entries.append(Entry(f"{rest:,} others", style.missing, dot=True))
    if (codes < 0).any():
        entries.append(Entry("no class", style.missing, dot=True))
    lookup = np.array([table.get(code, style.missing) for code in range(-1, max(order, default=-1) + 1)], np.uint8)
    return Painted(lookup[np.maximum(codes, -1) + 1], title, entries)


def _name(names: Sequence[str], code: int) -> str:
    return names[code] if code < len(names) else str(code)


def by_number(look: Look, values: npt.NDArray[np.float64], title: str) -> Painted:
    """Return the colours of numbers from their least to their largest; those without one are grey."""
    good = np.isfinite(values)
    low, high = (float(values[good].min()), float(values[good].max())) if good.any() else (0.0, 0.0)
    colours = colours_of("viridis")[levels(values, low, high, signed=False)]
    colours[~good] = look.style.missing
    return Painted(colours, title, bar=Bar("viridis", low, high, title))


def turned(points: npt.NDArray[np.floating], yaw: float, pitch: float) -> tuple[Points, npt.NDArray[np.int64]]:
    """Return where points ``(N, 2)`` or ``(N, 3)`` stand on the page, y upwards, and in which order they are drawn.

    Three dimensions are seen from afar: turned by ``yaw`` about the upright axis, then down by ``pitch`` (radians).
    """
    numbers = np.asarray(points, np.float64)
    if numbers.shape[1] == 2:
        return numbers, np.arange(len(numbers))
    x, y, z = numbers.T
    across = np.cos(yaw) * x - np.sin(yaw) * z
    away = np.sin(yaw) * x + np.cos(yaw) * z
    up, near = np.cos(pitch) * y - np.sin(pitch) * away, np.sin(pitch) * y + np.cos(pitch) * away
    return np.column_stack([across, up]), np.argsort(near, kind="stable")


def scattered(
    look: Look,
    points: Points,
    painted: Painted,
    *,
    order: npt.NDArray[np.int64] | None = None,
    thumbnails: Sequence[Pixels | None] | None = None,
    radius: float | None = None,
) -> tuple[list[Shape], float]:
    """Return a map of points ``(N, 2)``, y upwards, with its legend at the right, and how high it is."""
    whole = room(look)
    beside = _LEGEND * whole if painted.entries else 0.0
    width = whole - beside - (look.size if beside else 0)
    height = width * _ASPECT
    placed, good = _placed(points, width, height, 0.03 * width)
    chosen = np.arange(len(points)) if order is None else order
    chosen = chosen[good[chosen]]
    size = radius or float(np.clip(0.6 * (width * height / max(1, len(chosen))) ** 0.5 / 6, 0.5, 2))
    shapes: list[Shape] = []
    if thumbnails is None:
        shapes += _dots(look, placed[chosen], painted.colours[chosen], size, (width, height))
    else:
        shapes += _dots(look, placed[chosen], painted.colours[chosen], 0.7 * size, (width, height))
        shapes += _thumbnails(placed, chosen, thumbnails, painted, width)
    shapes.append(outline(0, 0, width, height, look))
    shapes += moved(_legend(look, painted, beside, height), width + look.size, 0)
    if painted.bar is None:
        return shapes, height
    bar, tall = colour_bar(look, painted.bar, whole)
    return [*shapes, *moved(bar, 0, height + 0.6 * look.size)], height + 0.6 * look.size + tall


def _placed(points: Points, width: float, height: float, edge: float) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Return points fitted into a box with equal scales, and which of them are somewhere."""
    good: npt.NDArray[np.bool_] = np.asarray(np.isfinite(points).all(1))
    low = points[good].min(0) if good.any() else np.zeros(2)
    high = points[good].max(0) if good.any() else np.ones(2)
    span = np.where(high > low, high - low, 1)
    scale = min((width - 2 * edge) / span[0], (height - 2 * edge) / span[1])
    shifted = (points - (low + high) / 2) * (scale, -scale) + (width / 2, height / 2)
    return np.asarray(shifted), good


def _dots(look: Look, points: Points, colours: Pixels, radius: float, size: tuple[float, float]) -> list[Shape]:
    """Return the dots; very many of them as a picture."""
    dots = Dots(points, radius, colours)
    if len(points) <= VECTOR_UP_TO:
        return [dots]
    flat = picture(Sheet(*size, [dots], ground=look.style.ground, dpi=look.dpi))
    return [Picture(0, 0, *size, np.asarray(flat))]


def _thumbnails(
    points: Points, chosen: npt.NDArray[np.int64], thumbnails: Sequence[Pixels | None], painted: Painted, width: float
) -> list[Shape]:
    """Return pictures in the places of their points; of those that would cover another only the first."""
    side = float(np.clip(width / 26, 7, 26))
    taken: dict[tuple[int, int], list[tuple[float, float]]] = {}
    found: list[Shape] = []
    for index in chosen.tolist():
        pixels = thumbnails[index]
        if pixels is None:
            continue
        x, y = points[index].tolist()
        cell = int(x // side), int(y // side)
        near = [p for i in (-1, 0, 1) for j in (-1, 0, 1) for p in taken.get((cell[0] + i, cell[1] + j), ())]
        if any(abs(x - a) < side and abs(y - b) < side for a, b in near):
            continue
        taken.setdefault(cell, []).append((x, y))
        scale = 0.84 * side / max(pixels.shape[:2])
        high, wide = pixels.shape[0] * scale, pixels.shape[1] * scale
        red, green, blue = painted.colours[index].tolist()
        edge = 0.05 * side
        frame = box(x - wide / 2 - edge, y - high / 2 - edge, wide + 2 * edge, high + 2 * edge)
        found += [Area(frame, (red, green, blue)), Picture(x - wide / 2, y - high / 2, wide, high, pixels)]
    return found


def _legend(look: Look, painted: Painted, width: float, height: float) -> list[Shape]:
    """Return the names of the classes, one below the other, as many as there is room for."""
    if not painted.entries or not width:
        return []
    small, row = look.small, 1.5 * look.small
    shapes: list[Shape] = []
    y = small
    if painted.title:
        shapes.append(Words(0, y, look.font.shortened(painted.title, small, width), small, look.style.faint))
        y += row
    fits = max(1, min(_ENTRIES, int((height - y) // row)))
    shown = painted.entries if len(painted.entries) <= fits else painted.entries[: fits - 1]
    for entry in shown:
        shapes += key(look, entry, 0, y, small)
        text = look.font.shortened(entry.name, small, width - 1.5 * small)
        shapes.append(Words(1.5 * small, y, text, small, look.style.ink))
        y += row
    if len(shown) < len(painted.entries):
        shapes.append(Words(1.5 * small, y, f"and {len(painted.entries) - len(shown)} more", small, look.style.faint))
    return shapes
