"""What a drawing consists of: texts, lines, areas, dots and pictures, in points (1/72 inch) from the upper left corner.

Three writers draw them: :mod:`convscope.drawing.png`, :mod:`convscope.drawing.svg` and :mod:`convscope.drawing.pdf`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convscope.drawing.font import DEFAULT, Font

Colour = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Words:
    """A line of text: ``x`` is its start, middle or end (``anchor`` 0, 0.5, 1), ``y`` its baseline.

    Upright text (``upright``) is turned by a quarter to the left about that point.
    """

    x: float
    y: float
    text: str
    size: float
    colour: Colour
    anchor: float = 0
    upright: bool = False


@dataclass(frozen=True)
class Line:
    """A polyline ``(n, 2)``; ``dash`` are lengths of strokes and gaps."""

    points: Points
    colour: Colour
    width: float = 0.75
    dash: tuple[float, ...] = ()
    opacity: float = 1


@dataclass(frozen=True)
class Area:
    """A filled polygon ``(n, 2)``."""

    points: Points
    colour: Colour
    opacity: float = 1


@dataclass(frozen=True)
class Dots:
    """Discs of one size: middles ``(n, 2)``, and the colours ``(n, 3)`` of each."""

    points: Points
    radius: float
    colours: Pixels


@dataclass(frozen=True)
class Picture:
    """Pixels ``(h, w, 1)`` or ``(h, w, 3)`` in a box; those that are not ``smooth`` keep their edges where enlarged."""

    x: float
    y: float
    width: float
    height: float
    pixels: Pixels
    smooth: bool = True


@dataclass(frozen=True)
class Clip:
    """Shapes of which only what lies in a box is drawn: left, top, width, height."""

    box: tuple[float, float, float, float]
    shapes: Sequence[Shape]


Shape = Words | Line | Area | Dots | Picture | Clip


@dataclass(frozen=True)
class Sheet:
    """A page: its size in points, its shapes from the back to the front, its ground and what it is called.

    Attributes
    ----------
    width, height
        In points.
    shapes
        From the back to the front.
    title
        What programs that open it call it.
    ground
        The colour of the page.
    dpi
        For how many pixels an inch it is laid out.
    font
        What its texts are set in.
    """

    width: float
    height: float
    shapes: Sequence[Shape]
    title: str = ""
    ground: Colour = (255, 255, 255)
    dpi: float = 300
    font: Font = field(default=DEFAULT)

    def save(self, path: str | Path) -> None:
        """Write it to a .pdf, .svg or .png file; one that is there is replaced."""
        from convscope.drawing.files import save  # the writers know the shapes, not the other way round

        save(self, path)

    def lacking(self) -> list[str]:
        """Return the letters of its texts that the font does not have: they are drawn as question marks."""
        return self.font.lacking("".join(shape.text for shape in each(self.shapes) if isinstance(shape, Words)))

    def _repr_svg_(self) -> str:
        """Return what a notebook shows."""
        from convscope.drawing.svg import encoded

        return encoded(self).decode()


def box(x: float, y: float, width: float, height: float) -> Points:
    """Return the corners of a rectangle, ``(4, 2)``."""
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float64)


def segment(x0: float, y0: float, x1: float, y1: float) -> Points:
    """Return the two ends of a straight line, ``(2, 2)``."""
    return np.array([[x0, y0], [x1, y1]], np.float64)


def each(shapes: Sequence[Shape]) -> Iterator[Shape]:
    """Yield shapes and those inside of clips."""
    for shape in shapes:
        yield shape
        if isinstance(shape, Clip):
            yield from each(shape.shapes)


def printed(picture: Picture, dpi: float) -> Pixels:
    """Return the pixels of a picture as a file that is printed with so many dots an inch needs them.

    Larger ones are made as small as they are printed; small ones that keep their edges are enlarged by a whole number,
    since programs that show PDF and SVG are free to blur them.

    >>> printed(Picture(0, 0, 72, 72, np.zeros((7, 7, 1), np.uint8), smooth=False), 100).shape
    (98, 98, 1)
    """
    height, width = picture.pixels.shape[:2]
    wanted = max(1, round(picture.height * dpi / 72)), max(1, round(picture.width * dpi / 72))
    if not picture.smooth and wanted[0] >= height and wanted[1] >= width:
        times = max(1, min(wanted[0] // height, wanted[1] // width))
        return picture.pixels.repeat(times, axis=0).repeat(times, axis=1)
    size = min(height, wanted[0]), min(width, wanted[1])
    return resized(picture.pixels, size, smooth=True)


def resized(pixels: Pixels, size: tuple[int, int], *, smooth: bool) -> Pixels:
    """Return a picture ``(h, w, c)`` with another height and width."""
    if pixels.shape[:2] == size:
        return pixels
    from PIL import Image

    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    way = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
    small = np.asarray(Image.fromarray(np.ascontiguousarray(flat)).resize(size[::-1], way))
    return small.reshape(*size, pixels.shape[2])
