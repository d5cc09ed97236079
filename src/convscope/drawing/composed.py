"""A page of a figure put together: its title, what is drawn, its caption; one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convscope.drawing.shapes import Area, Clip, Dots, Line, Picture, Shape, Sheet, Words
from convscope.drawing.style import Look


def margin(look: Look) -> float:
    """Return how much is left free at every side, in points."""
    return min(0.6 * look.size, look.width / 40)


def room(look: Look) -> float:
    """Return how wide what is drawn may be, in points."""
    return look.width - 2 * margin(look)


def heading(look: Look, text: str) -> tuple[list[Shape], float]:
    """Return the title, and how high it is; in as many lines as it takes."""
    size = 1.2 * look.size
    lines = look.font.wrapped(text, size, room(look))
    above, below = look.font.extent
    step = 1.15 * size * (above + below)
    words: list[Shape] = [Words(0, above * size + step * n, line, size, look.style.ink) for n, line in enumerate(lines)]
    return words, step * len(lines) + 0.3 * size if lines else 0


def paragraph(look: Look, text: str, width: float | None = None) -> tuple[list[Shape], float]:
    """Return a text in lines, and how high it is."""
    lines = look.font.wrapped(text, look.size, width or room(look))
    above = look.font.extent[0] * look.size
    words: list[Shape] = [
        Words(0, above + look.leading * n, line, look.size, look.style.ink) for n, line in enumerate(lines)
    ]
    return words, look.leading * len(lines)


def stacked(parts: Sequence[tuple[Sequence[Shape], float]], gap: float = 0) -> tuple[list[Shape], float]:
    """Return parts one below the other, each with its height, and the height of all."""
    found: list[Shape] = []
    y = 0.0
    for shapes, height in parts:
        if found and height:
            y += gap
        found += moved(shapes, 0, y)
        y += height
    return found, y


def sheet(look: Look, body: Sequence[Shape], height: float, caption: str, title: str = "") -> Sheet:
    """Return the page of a figure.

    Parameters
    ----------
    look
        Its width, title, and whether it has a caption.
    body, height
        What is drawn, from the corner of the room it has, and how high that is.
    caption
        What the figure says of itself.
    title
        What files call it, where the look has no title.
    """
    text = caption if look.caption is True else look.caption or ""
    edge = margin(look)
    parts = [heading(look, look.title), (list(body), height)]
    if text:
        parts.append(paragraph(look, text))
    shapes, whole = stacked(parts, 0.6 * look.size)
    return Sheet(
        look.width,
        _whole_dots(whole + 2 * edge, look.dpi),
        moved(shapes, edge, edge),
        look.title or title,
        look.style.ground,
        look.dpi,
        look.font,
    )


def _whole_dots(height: float, dpi: float) -> float:
    return max(1, round(height * dpi / 72)) * 72 / dpi


def moved(shapes: Sequence[Shape], x: float, y: float) -> list[Shape]:
    """Return shapes further to the right and further down."""
    return [_moved(shape, x, y) for shape in shapes] if x or y else list(shapes)


def _moved(shape: Shape, x: float, y: float) -> Shape:
    match shape:
        case Words() | Picture():
            return replace(shape, x=shape.x + x, y=shape.y + y)
        case Line() | Area() | Dots():
            return replace(shape, points=shape.points + np.array([x, y]))
        case Clip():
            left, top, width, height = shape.box
            return Clip((left + x, top + y, width, height), moved(shape.shapes, x, y))
