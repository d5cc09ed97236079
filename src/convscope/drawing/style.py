"""How a figure looks: its width, the size of its font, its dots an inch, light or dark, title and caption."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convscope.drawing.font import DEFAULT, Font
from convscope.drawing.shapes import Colour
from convscope.errors import InputError, not_found

UNITS: Final[Mapping[str, float]] = {"in": 72, "mm": 72 / 25.4, "cm": 72 / 2.54, "pt": 1}
"""Points of each unit of length."""
_WIDTHS: Final = (36.0, 7200.0)


@dataclass(frozen=True)
class Style:
    """The colours of a figure; categorical ones are those of the browser's pages, safe for colour-blind readers."""

    ground: Colour
    ink: Colour
    faint: Colour
    grid: Colour
    missing: Colour
    palette: tuple[Colour, ...]


def _colours(text: str) -> tuple[Colour, ...]:
    values = [int(part, 16) for part in text.split()]
    return tuple((value >> 16, value >> 8 & 255, value & 255) for value in values)


STYLES: Final[Mapping[str, Style]] = {
    "light": Style(
        (255, 255, 255),
        (20, 20, 20),
        (100, 100, 100),
        (224, 224, 224),
        (139, 134, 126),
        _colours("0072b2 d55e00 009472 c2609a b07e00 2690c8 6a5acd 8c5a2b 7a8a00 5f6b7a b3273d 00808a"),
    ),
    "dark": Style(
        (20, 22, 26),
        (236, 236, 232),
        (165, 168, 174),
        (58, 62, 70),
        (107, 118, 134),
        _colours("4aa8e8 f28a3c 2cc79c e58fc0 f0b93a 86cdf5 a69cf5 c99a6b c3d04a a3b0c0 f2788a 45c4cc"),
    ),
}


@dataclass(frozen=True)
class Look:
    """What all figures have in common.

    Attributes
    ----------
    width
        In points.
    dpi
        Dots an inch: of a PNG file, and of the pictures in the others.
    size
        Of the font, in points; titles are a little larger, what stands at tiles may be smaller.
    style
        Colours.
    title
        What stands above; nothing where empty.
    caption
        What stands below: a text, what the figure has to say of itself (``True``), or nothing (``False``).
    font
        What it is set in.
    """

    width: float = 504
    dpi: float = 300
    size: float = 8
    style: Style = STYLES["light"]
    title: str = ""
    caption: str | bool = True
    font: Font = DEFAULT

    @property
    def small(self) -> float:
        """The size of what stands at axes and tiles."""
        return 0.85 * self.size

    @property
    def leading(self) -> float:
        """The height of a line of the font."""
        return 1.3 * self.size


def look_of(
    *,
    width: str | float = "7in",
    dpi: float = 300,
    font_size: float = 8,
    style: str = "light",
    title: str = "",
    caption: str | bool = True,
    font: str | Path | None = None,
) -> Look:
    """Return a look in the words of the command line.

    Parameters
    ----------
    width
        As ``3.5in``, ``89mm``, ``18cm`` or ``252pt``; a number is of inches.
    dpi, font_size
        Dots an inch, 20 to 2400; points, 3 to 72.
    style
        A name of :data:`STYLES`.
    title, caption
        As in :class:`Look`.
    font
        A ``.ttf`` file for letters that Pillow's own font does not have.

    Raises
    ------
    InputError
        If a length or a number makes no sense, or there is no such style.
    """
    if style not in STYLES:
        raise not_found("style", style, STYLES)
    _within("dpi", dpi, 20, 2400, "dots an inch")
    _within("the font size", font_size, 3, 72, "points")
    letters = DEFAULT if font is None else Font(font)
    _ = letters.data  # says now if it cannot be read
    return Look(length_of(width), dpi, font_size, STYLES[style], title, caption, letters)


def length_of(text: str | float) -> float:
    """Return a length in points.

    >>> length_of("3.5in"), length_of("25.4 mm"), length_of(7)
    (252.0, 72.0, 504.0)

    Raises
    ------
    InputError
        If it is none, or not between half an inch and 100 inches.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(in|mm|cm|pt|\")?\s*", str(text))
    if not found:
        raise InputError(f"{text!r} is no length; give it as 3.5in, 89mm, 18cm or 252pt")
    points = float(found[1]) * UNITS.get(found[2] or "in", 72)
    if not _WIDTHS[0] <= points <= _WIDTHS[1]:
        raise InputError(f"a figure is between 0.5in and 100in wide, not {text}; give it as 3.5in or 180mm")
    return round(points, 6)


def _within(what: str, value: float, least: float, most: float, unit: str) -> None:
    if not least <= value <= most:
        raise InputError(f"{what} is between {least} and {most} {unit}, not {value}")
