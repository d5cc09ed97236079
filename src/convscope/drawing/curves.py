"""Charts of curves: smoothed over the faint raw ones, gaps where there is no number, thinned without losing a spike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.axes import Axis, Entry, Plot, framed, legend
from convscope.drawing.composed import moved, room, stacked
from convscope.drawing.shapes import Area, Clip, Colour, Dots, Line, Points, Shape
from convscope.drawing.style import Look
from convscope.errors import InputError

_FAINT: Final = 0.28
_AIR: Final = 0.06
_FLAT: Final = 1e-12  # of the numbers themselves: what lies closer together is a flat line
_ASPECT: Final = 0.62
_NARROWEST: Final = 21  # sizes of the font that a chart needs beside another
_LEAST: Final = 9  # of these, where somebody wants more of them
_MOST_ACROSS: Final = 3
DASHES: Final[tuple[tuple[float, ...], ...]] = ((), (4, 2), (1, 1.5), (6, 2, 1, 2))
"""Curves of one colour are told apart by these."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """A curve: its name, its points in the order they were logged, its colour and dashes."""

    name: str
    x: Floats
    y: Floats
    colour: Colour
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Chart:
    """Curves on common axes."""

    title: str
    traces: Sequence[Trace]
    x_title: str = ""
    y_title: str = ""


def charts(
    look: Look,
    drawn: Sequence[Chart],
    *,
    smoothing: float = 0,
    log_x: bool = False,
    log_y: bool = False,
    columns: int | None = None,
) -> tuple[list[Shape], float]:
    """Return charts side by side and below each other, with one legend below, and how high all is.

    Parameters
    ----------
    look
        Width, font and colours.
    drawn
        What each chart shows.
    smoothing
        Weight of what was before, 0 to below 1; the raw curve stays behind it, faint.
    log_x, log_y
        Which axes are logarithmic.
    columns
        How many stand side by side; as many as can be read by default.
    """
    whole, gap = room(look), 1.2 * look.size
    across, width = side_by_side(look, len(drawn), columns, gap)
    height = width * _ASPECT
    made = [chart(look, one, width, height, smoothing=smoothing, log_x=log_x, log_y=log_y) for one in drawn]
    rows = []
    for start in range(0, len(made), across):
        row = [
            shape for n, part in enumerate(made[start : start + across]) for shape in moved(part, n * (width + gap), 0)
        ]
        rows.append((row, height))
    entries = {(t.name, t.colour, t.dash): Entry(t.name, t.colour, t.dash) for one in drawn for t in one.traces}
    named = list(entries.values())
    if len(named) > 1:
        rows.append(legend(look, named, whole))
    return stacked(rows, 0.8 * look.size)


def side_by_side(look: Look, count: int, columns: int | None, gap: float) -> tuple[int, float]:
    """Return how many of some charts stand side by side, and how wide each is; as many as can be read by default.

    Raises
    ------
    InputError
        If more are asked for than can be told apart.
    """
    whole = room(look)
    fits = max(1, min(_MOST_ACROSS, int(whole // (_NARROWEST * look.size))))
    across = min(columns or fits, count)
    width = (whole - (across - 1) * gap) / across
    if across > 1 and width < _LEAST * look.size:
        raise InputError(f"{across} charts do not fit side by side into {whole / 72:.3g} inches; ask for fewer columns")
    return across, width


def chart(
    look: Look,
    one: Chart,
    width: float,
    height: float,
    *,
    smoothing: float = 0,
    log_x: bool = False,
    log_y: bool = False,
) -> list[Shape]:
    """Return one chart of a size."""
    shown = [(trace, smooth(trace.y, smoothing, passes_of(trace.x))) for trace in one.traces]
    x = Axis(*_across([trace.x for trace, _ in shown], log=log_x), log_x, one.x_title)
    raw = [trace.y for trace, _ in shown] if smoothing > 0 else []
    y = Axis(*_up([*raw, *(values for _, values in shown)], log=log_y), log_y, one.y_title)
    plot, shapes = framed(look, width, height, x, y, one.title)
    inside: list[Shape] = []
    for trace, values in shown:
        if smoothing > 0:
            inside += _curve(look, plot, trace, trace.y, faint=True)
        inside += _curve(look, plot, trace, values, faint=False)
    return [*shapes, Clip(_wider(plot), inside), *_marks(look, plot, one.traces)]


def _wider(plot: Plot) -> tuple[float, float, float, float]:
    """Return the inside of a plot, a little larger: lines along its edges are as thick as others."""
    return plot.left - 1, plot.top - 1, plot.width + 2, plot.height + 2


def _curve(look: Look, plot: Plot, trace: Trace, values: Floats, *, faint: bool) -> list[Shape]:
    """Return the lines of a curve between its gaps; a point that stands alone is a dot."""
    found: list[Shape] = []
    for start, stop in passes_of(trace.x):
        points = plot.at(trace.x[start:stop], values[start:stop])
        points = thinned(points, plot.left, plot.left + plot.width, max(50, round(plot.width * look.dpi / 144)))
        for piece in _pieces(points):
            if len(piece) == 1:
                colours = np.array([trace.colour], np.uint8)
                found += [] if faint else [Dots(piece, 1.3, colours)]
            elif faint:
                found.append(Line(piece, trace.colour, 0.6, (), _FAINT))
            else:
                found.append(Line(piece, trace.colour, 1.1, trace.dash))
    return found


def _pieces(points: Points) -> list[Points]:
    """Return what lies between points that are nowhere."""
    good = np.isfinite(points).all(1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    return [points[start:stop] for start, stop in edges.reshape(-1, 2).tolist()]


def _marks(look: Look, plot: Plot, traces: Sequence[Trace]) -> list[Shape]:
    """Return a cross at the lower edge for NaN, a triangle at the edge where a curve has left to infinity."""
    half = 0.22 * look.small
    found: list[Shape] = []
    for trace in traces:
        odd = np.flatnonzero(~np.isfinite(trace.y))
        for index in odd[:: max(1, len(odd) // 400)].tolist():
            x = plot.left + float(plot.x.places(trace.x[index])) * plot.width
            if not plot.left - 1e-6 <= x <= plot.left + plot.width + 1e-6:
                continue
            top, low = plot.top, plot.top + plot.height
            if np.isnan(trace.y[index]):
                y = low - 1.6 * half
                for side in (-half, half):
                    ends = np.array([[x - half, y - side], [x + half, y + side]])
                    found.append(Line(ends, trace.colour, 0.7))
                continue
            tip, base = (top, top + 2 * half) if trace.y[index] > 0 else (low, low - 2 * half)
            found.append(Area(np.array([[x, tip], [x + half, base], [x - half, base]]), trace.colour))
    return found


def passes_of(x: Floats, most: int = 50) -> list[tuple[int, int]]:
    """Return stretches in which x does not go back; a run that began anew has several.

    >>> passes_of(np.array([0.0, 1, 2, 1, 2]))
    [(0, 3), (3, 5)]
    """
    starts = (np.flatnonzero(np.diff(x) < 0) + 1).tolist()[:most]
    return list(zip([0, *starts], [*starts, len(x)], strict=True)) if len(x) else []


def smooth(y: Floats, weight: float, passes: Sequence[tuple[int, int]]) -> Floats:
    """Return the exponential average without the bias of its beginning; what is not finite counts in nothing.

    >>> smooth(np.array([1.0, 3.0]), 0.5, [(0, 2)]).round(3).tolist()
    [1.0, 2.333]
    """
    if weight <= 0:
        return y
    out = y.copy()
    for start, stop in passes:
        average = mass = 0.0
        for index in range(start, stop):
            value = float(y[index])
            if np.isfinite(value):
                average = weight * average + (1 - weight) * value
                mass = weight * mass + (1 - weight)
                out[index] = average / mass
    return out


def thinned(points: Points, left: float, right: float, columns: int) -> Points:
    """Return first, lowest, highest and last point of every column where there are many more points than columns.

    >>> len(thinned(np.column_stack([np.linspace(0, 1, 10_000), np.zeros(10_000)]), 0, 1, 100)) <= 4 * 102
    True
    """
    if len(points) <= 4 * columns or not np.isfinite(points).all():
        return points
    column = np.clip(((points[:, 0] - left) / max(right - left, 1e-9) * columns).astype(np.int64), -1, columns)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(column)) + 1])
    stops = np.concatenate([starts[1:], [len(points)]])
    rank = np.lexsort((points[:, 1], column)) if (np.diff(column) >= 0).all() else np.arange(len(points))
    low, high = rank[starts], rank[stops - 1]
    kept = np.unique(np.concatenate([starts, low, high, stops - 1]))
    return np.asarray(points[kept])


def _across(series: Sequence[Floats], *, log: bool) -> tuple[float, float]:
    """Return the ends of the axis of the steps."""
    low, high = _ends(series, log=log)
    if low < high:
        return low, high
    return (low / 2, high * 2) if log else (low - 0.5, high + 0.5)


def _up(series: Sequence[Floats], *, log: bool) -> tuple[float, float]:
    """Return the ends of the axis of the values: a little air above and below, a flat line in the middle."""
    low, high = _ends(series, log=log)
    if log:
        air = 2.0 if low == high else max(math.exp(_AIR * (math.log(high) - math.log(low))), 1.02)
        return max(low / air, 1e-307), min(high * air, 1e307)
    size = max(abs(low), abs(high))
    if high - low <= _FLAT * size:
        return low - (size or 1) * 0.1, high + (size or 1) * 0.1
    free = (high - low) * _AIR
    return (0.0 if low >= 0 > low - free else low - free), high + free


def _ends(series: Sequence[Floats], *, log: bool) -> tuple[float, float]:
    parts = [values[np.isfinite(values) & ((values > 0) if log else True)] for values in series]
    good = [part for part in parts if part.size]
    if not good:
        return (1.0, 10.0) if log else (0.0, 1.0)
    return float(min(part.min() for part in good)), float(max(part.max() for part in good))
