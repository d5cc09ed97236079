"""The frame of a chart: where values lie, ticks with their numbers, grid, titles of the axes, and legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from convscope.drawing.scales import log_ticks, nice_ticks, tick
from convscope.drawing.shapes import Colour, Line, Shape, Words, segment
from convscope.drawing.style import Look

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """The values at the ends of an axis, whether it is logarithmic, and what it is of."""

    low: float
    high: float
    log: bool = False
    title: str = ""

    def places(self, values: npt.ArrayLike) -> Floats:
        """Return values as shares of the length of the axis; NaN where a logarithmic one has none."""
        numbers = np.asarray(values, np.float64)
        if not self.log:
            return np.asarray((numbers - self.low) / (self.high - self.low))
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = (np.log(numbers) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return np.where(numbers > 0, shares, np.nan)

    def ticks(self, most: float) -> list[tuple[float, str]]:
        """Return places and texts of at most about so many ticks."""
        values = log_ticks(self.low, self.high) if self.log else nice_ticks(self.low, self.high, max(1, round(most)))
        shares = zip(self.places(values).tolist(), values, strict=True)
        return [(share, tick(value)) for share, value in shares if -1e-9 <= share <= 1 + 1e-9]


@dataclass(frozen=True)
class Plot:
    """Where the inside of a chart is, in points, and its axes."""

    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width, height."""
        return self.left, self.top, self.width, self.height

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
        """Return values as points of the page, ``(n, 2)``."""
        across, up = self.x.places(x), self.y.places(y)
        return np.column_stack([self.left + across * self.width, self.top + (1 - up) * self.height])


def framed(look: Look, width: float, height: float, x: Axis, y: Axis, title: str = "") -> tuple[Plot, list[Shape]]:
    """Return where the inside of a chart of a size is, and its frame: title, axes, ticks, grid."""
    small, ink = look.small, look.style
    above = 1.5 * look.size if title else 0.5 * small
    below = 1.6 * small + (1.3 * small if x.title else 0)
    tall = max(small, height - above - below)
    up = y.ticks(tall / (3.2 * small))
    texts = max((look.font.width(text, small) for _, text in up), default=0)
    left = texts + 0.5 * small + (1.5 * small if y.title else 0)
    across = max(small, width - left - 0.7 * small)
    plot = Plot(left, above, across, tall, x, y)
    shapes: list[Shape] = []
    if title:
        text = look.font.shortened(title, look.size, width - left)
        shapes.append(Words(left, look.size, text, look.size, ink.ink))
    for share, text in up:
        place = above + (1 - share) * tall
        shapes.append(Line(segment(left, place, left + across, place), ink.grid, 0.5))
        shapes.append(Words(left - 0.4 * small, place + 0.35 * small, text, small, ink.faint, 1))
    bottom = above + tall
    for share, text in _apart(look, x.ticks(across / (5.5 * small)), across):
        place = left + share * across
        shapes.append(Line(segment(place, above, place, bottom), ink.grid, 0.5))
        shapes.append(Words(place, bottom + 1.25 * small, text, small, ink.faint, 0.5))
    shapes.append(Line(segment(left, bottom, left + across, bottom), ink.faint, 0.6))
    shapes.append(Line(segment(left, above, left, bottom), ink.faint, 0.6))
    if x.title:
        text = look.font.shortened(x.title, small, across)
        shapes.append(Words(left + across / 2, bottom + 2.6 * small, text, small, ink.ink, 0.5))
    if y.title:
        text = look.font.shortened(y.title, small, tall)
        shapes.append(Words(small, above + tall / 2, text, small, ink.ink, 0.5, upright=True))
    return plot, shapes


def _apart(look: Look, ticks: Sequence[tuple[float, str]], length: float) -> list[tuple[float, str]]:
    """Return ticks whose numbers do not touch: every so manieth."""
    every = 1
    wide = [look.font.width(text, look.small) + 0.6 * look.small for _, text in ticks]
    while every < len(ticks):
        kept = list(range(0, len(ticks), every))
        near = pairwise(kept)
        if all((ticks[b][0] - ticks[a][0]) * length >= (wide[a] + wide[b]) / 2 for a, b in near):
            break
        every += 1
    return list(ticks[::every])


@dataclass(frozen=True)
class Entry:
    """One line of a legend: its name, its colour, and how it is drawn: a stroke (perhaps dashed) or a dot."""

    name: str
    colour: Colour
    dash: tuple[float, ...] = ()
    dot: bool = False


def legend(look: Look, entries: Sequence[Entry], width: float) -> tuple[list[Shape], float]:
    """Return a legend in as many columns as fit side by side, and how high it is."""
    if not entries:
        return [], 0
    small, sign = look.small, 2.2 * look.small if not entries[0].dot else 1.1 * look.small
    longest = max(look.font.width(entry.name, small) for entry in entries) + sign + 1.6 * small
    columns = max(1, min(len(entries), int(width // min(longest, width))))
    column, row = min(longest, width / columns), 1.45 * small
    shapes: list[Shape] = []
    for number, entry in enumerate(entries):
        x, y = (number % columns) * column, (number // columns) * row
        shapes += key(look, entry, x, y + small, sign)
        text = look.font.shortened(entry.name, small, column - sign - 0.8 * small)
        shapes.append(Words(x + sign + 0.4 * small, y + small, text, small, look.style.ink))
    return shapes, row * math.ceil(len(entries) / columns)


def key(look: Look, entry: Entry, x: float, base: float, width: float) -> list[Shape]:
    """Return what stands before a name of a legend."""
    from convscope.drawing.shapes import Dots

    middle = base - 0.33 * look.small
    if entry.dot:
        place = np.array([[x + width / 2, middle]])
        return [Dots(place, 0.36 * look.small, np.array([entry.colour], np.uint8))]
    return [Line(segment(x, middle, x + width, middle), entry.colour, 1.2, entry.dash)]
