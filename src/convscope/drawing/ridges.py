"""Histograms of many steps as ridges: one behind the other, the first at the top, all of one height scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.axes import Axis, framed
from convscope.drawing.shapes import Area, Colour, Line, Shape, Words
from convscope.drawing.style import Look

MOST: Final = 48
"""Ridges of a figure; of more steps every so manieth is drawn."""
_BINS: Final = 160
_FLAT: Final = 1e-12  # of the numbers themselves: what lies closer together is one number
_OVERLAP: Final = 4.0  # how many times the distance of two ridges the highest is

Floats = npt.NDArray[np.float64]


def ridges(
    look: Look,
    steps: Sequence[int],
    histograms: Sequence[tuple[Floats, Floats]],
    *,
    colour: Colour,
    width: float,
    height: float,
    title: str,
) -> list[Shape]:
    """Return ridges of histograms, each the edges ``(b + 1,)`` and the counts ``(b,)`` of its buckets."""
    low, high = _range(histograms)
    edges = np.linspace(low, high, _BINS + 1)
    density = np.stack([_even(part, edges) for part in histograms])
    highest = float(density.max(initial=0)) or 1.0
    chosen = np.unique(np.linspace(0, len(steps) - 1, min(MOST, len(steps))).round().astype(int))
    rows = len(chosen)
    x = Axis(low, high, title="value")
    plot, shapes = framed(look, width, height, x, Axis(0, 1, title="step"), title)
    shapes = [shape for shape in shapes if not (isinstance(shape, Words) and shape.anchor == 1)]
    shapes = [shape for shape in shapes if not (isinstance(shape, Line) and _level(shape))]
    pitch = plot.height / (rows + _OVERLAP - 1)
    middles = (edges[1:] + edges[:-1]) / 2
    across = plot.left + x.places(middles) * plot.width
    for row, index in enumerate(chosen.tolist()):
        base = plot.top + (_OVERLAP - 1 + row + 1) * pitch if rows > 1 else plot.top + plot.height
        tall = _OVERLAP * pitch if rows > 1 else plot.height
        up = base - density[index] / highest * tall * 0.98
        outline = np.column_stack([across, up])
        filled = np.concatenate([[[across[0], base]], outline, [[across[-1], base]]])
        shapes.append(Area(filled, _blend(colour, look.style.ground, 0.35 + 0.4 * row / max(1, rows - 1))))
        shapes.append(Line(outline, look.style.ground, 0.5))
        if row in {0, rows - 1}:
            shapes.append(
                Words(plot.left - 0.4 * look.small, base, f"{steps[index]:,}", look.small, look.style.faint, 1)
            )
    return shapes


def _level(line: Line) -> bool:
    return len(line.points) == 2 and float(line.points[0, 1]) == float(line.points[1, 1])


def _range(histograms: Sequence[tuple[Floats, Floats]]) -> tuple[float, float]:
    """Return the range that holds all but the outermost thousandth of the values of every histogram."""
    lows, highs = [], []
    for edges, counts in histograms:
        total = counts.sum()
        if total > 0:
            share = np.concatenate([[0.0], np.cumsum(counts)]) / total
            lows.append(float(np.interp(0.001, share, edges)))
            highs.append(float(np.interp(0.999, share, edges)))
    if not lows:
        return -1.0, 1.0
    low, high = min(lows), max(highs)
    size = max(abs(low), abs(high))
    return (low, high) if high - low > _FLAT * size else (low - (size / 2 or 1), high + (size / 2 or 1))


def _even(part: tuple[Floats, Floats], edges: Floats) -> Floats:
    """Return the share of the values in each of equal bins; within a bucket they lie evenly."""
    own, counts = part
    total = float(counts.sum())
    if not total > 0:
        return np.zeros(len(edges) - 1)
    below = np.interp(edges, own, np.concatenate([[0.0], np.cumsum(counts)]) / total)
    return np.asarray(np.diff(below))


def _blend(colour: Colour, ground: Colour, share: float) -> Colour:
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(colour, ground, strict=True))
    return red, green, blue
