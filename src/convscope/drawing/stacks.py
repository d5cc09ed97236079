"""A volume on paper: seen in space with its box and axes, and cut through its middle in three directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.composed import moved, room
from convscope.drawing.march import Camera, Matter, extent_of, marched, opacity_ramp, projected
from convscope.drawing.scales import colours_of, levels
from convscope.drawing.shapes import Line, Picture, Points, Shape, Words
from convscope.drawing.style import Look
from convscope.drawing.tiles import Bar, colour_bar, outline

VIEWS: Final = ("space", "channel", "row", "column")
_BESIDE: Final = 0.36  # of the width: the slices beside the view in space
_AXES: Final = ("column", "row", "channel")
_MOST_PIXELS: Final = 1400


@dataclass(frozen=True)
class Stack:
    """A volume with its channels in order.

    Attributes
    ----------
    values
        ``(C, H, W)``, the first channel in front.
    low, high
        The ends of its scale, ``()``, or of each channel's own, ``(C,)``.
    colours
        The name of a colour map; ``diverging`` for signed scales.
    names
        What the channel in front and the one at the back are called.
    """

    values: npt.NDArray[np.float32]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    colours: str
    names: tuple[str, str] = ("0", "")
    camera: Camera = field(default_factory=Camera)

    @property
    def signed(self) -> bool:
        """Whether zero is the middle of the scale."""
        return self.colours == "diverging"

    def shares(self) -> npt.NDArray[np.float32]:
        """Return the values as shares of the scale, 0 to 1."""
        low, high = (np.reshape(end, (-1, 1, 1)) for end in (self.low, self.high))
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (self.values - low) / (high - low)
        return np.clip(np.nan_to_num(share, nan=0.5 if self.signed else 0.0), 0, 1).astype(np.float32)


def seen(look: Look, stack: Stack, views: Sequence[str] = VIEWS) -> tuple[list[Shape], float]:
    """Return a volume in space with its slices beside it, the scale below, and how high all is."""
    whole = room(look)
    cuts = [view for view in views if view != "space"]
    shapes: list[Shape] = []
    height = 0.0
    share = stack.shares()
    if "space" in views:
        side = whole * (1 - _BESIDE) if cuts else whole
        body, height = _in_space(look, stack, share, side)
        shapes += body
        left, wide = side + look.size, whole - side - look.size
        column, tall = _slices(look, stack, share, cuts, wide, stacked=True, most=height)
    else:
        left = 0.0
        column, tall = _slices(look, stack, share, cuts, whole, stacked=False, most=4 * whole)
    shapes += moved(column, left, max(0.0, (height - tall) / 2) if "space" in views else 0)
    height = max(height, tall)
    if stack.low.size == 1:
        bar, below = colour_bar(look, Bar(stack.colours, float(stack.low), float(stack.high), "value"), whole)
        shapes += moved(bar, 0, height + 0.6 * look.size)
        height += 0.6 * look.size + below
    return shapes, height


def _in_space(look: Look, stack: Stack, share: npt.NDArray[np.float32], side: float) -> tuple[list[Shape], float]:
    """Return the view in space, cut to what is seen of the box and its names, and its height."""
    shape = (share.shape[0], share.shape[1], share.shape[2])
    corners = projected(_CORNERS, shape, stack.camera)
    names = _named(stack, shape)
    air = 1.6 * look.small
    low, high = corners.min(0), corners.max(0)
    scale = min((side - 2 * air - 4 * look.small) / (high[0] - low[0]), 1.2 * side / (high[1] - low[1]))
    pixels = int(min(_MOST_PIXELS, scale * look.dpi / 72))
    colours = colours_of(stack.colours)
    picture = marched(
        Matter(share, colours, opacity_ramp(signed=stack.signed), camera=stack.camera), pixels, look.style.ground
    )
    top, left = air, (side - (high[0] - low[0]) * scale) / 2
    shift = np.array([left - low[0] * scale, top - low[1] * scale])
    edges = np.array(picture.shape[:2][::-1])
    cut = np.floor(low * edges).astype(int), np.ceil(high * edges).astype(int)
    part = picture[max(0, cut[0][1]) : cut[1][1], max(0, cut[0][0]) : cut[1][0]]
    place = np.maximum(cut[0], 0) / edges * scale + shift
    size = np.array(part.shape[:2][::-1]) / edges * scale
    height = (high[1] - low[1]) * scale + 2 * air
    body: list[Shape] = [Picture(place[0], place[1], size[0], size[1], part)]
    body += _edges(look, corners * scale + shift, stack.camera, shape)
    for text, at, anchor in names:
        x, y = (at * scale + shift).tolist()
        body.append(Words(x, y + 0.4 * look.small, text, look.small, look.style.faint, anchor))
    return body, height


_CORNERS: Final = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)


def _edges(look: Look, corners: Points, camera: Camera, shape: tuple[int, int, int]) -> list[Shape]:
    """Return the edges of the box that are seen: its outline, and fainter those that meet at the nearest corner."""
    middle = corners.mean(0)
    eye = camera.distance * camera.axes()[2] * (1, -1, -1) / extent_of(shape) + 0.5
    nearest = int(np.linalg.norm((_CORNERS - eye) * extent_of(shape), axis=1).argmin())
    found: list[Shape] = []
    for a, b in combinations(range(8), 2):
        if (a ^ b).bit_count() != 1:
            continue
        if _outside(corners, corners[a], corners[b], middle):
            found.append(Line(corners[[a, b]], look.style.faint, 0.5))
        elif nearest in {a, b}:
            found.insert(0, Line(corners[[a, b]], look.style.faint, 0.4, (), 0.5))
    return found


def _outside(corners: Points, a: Points, b: Points, middle: Points) -> bool:
    """Tell whether all corners lie on one side of an edge: then it is part of the outline."""
    normal = np.array([a[1] - b[1], b[0] - a[0]])
    sides = (corners - a) @ normal * np.sign((middle - a) @ normal)
    return bool(sides.min() > -1e-6)


def _named(stack: Stack, shape: tuple[int, int, int]) -> list[tuple[str, Points, float]]:
    """Return the names of the three axes with the places of their middles, a little outside of the box."""
    texts = {"column": "columns", "row": "rows", "channel": "channels"}
    places = np.array([[0.45, 1.1, 0], [-0.03, 0.5, 0], [1.06, 1.06, 0.5]])
    counts, anchors = (shape[2], shape[1], shape[0]), (1, 1, 0)
    at = projected(places, shape, stack.camera)
    return [
        (f"{count:,} {texts[name]}", at[n], anchors[n])
        for n, (name, count) in enumerate(zip(_AXES, counts, strict=True))
    ]


def _slices(
    look: Look,
    stack: Stack,
    share: npt.NDArray[np.float32],
    cuts: Sequence[str],
    width: float,
    *,
    stacked: bool,
    most: float,
) -> tuple[list[Shape], float]:
    """Return cuts through the middle, one below the other or side by side, each with a line that says where."""
    if not cuts:
        return [], 0.0
    under, gap = 1.5 * look.small, 0.7 * look.size
    pictures = [_cut(stack, share, cut) for cut in cuts]
    if stacked:
        room_each = (most - (len(cuts) - 1) * gap) / len(cuts) - under
        scales = [min(width / pixels.shape[1], room_each / pixels.shape[0]) for pixels, _ in pictures]
    else:
        wide = (width - (len(cuts) - 1) * gap) / len(cuts)
        scales = [min(wide / pixels.shape[1], most / pixels.shape[0]) for pixels, _ in pictures]
    shapes: list[Shape] = []
    x = y = tall = 0.0
    for (pixels, text), scale in zip(pictures, scales, strict=True):
        high, long = pixels.shape[0] * scale, pixels.shape[1] * scale
        shapes.append(Picture(x, y, long, high, pixels, smooth=False))
        shapes.append(outline(x, y, long, high, look))
        limit = width if stacked else long
        label = look.font.shortened(text, look.small, limit)
        shapes.append(Words(x, y + high + 1.1 * look.small, label, look.small, look.style.faint))
        tall = max(tall, y + high + under)
        if stacked:
            y += high + under + gap
        else:
            x += long + gap
    return shapes, tall


def _cut(stack: Stack, share: npt.NDArray[np.float32], cut: str) -> tuple[npt.NDArray[np.uint8], str]:
    """Return the pixels of a cut and what it is: channels run to the right, or up from the front."""
    channels, height, width = share.shape
    low, high = (-1.0, 1.0) if stack.signed else (0.0, 1.0)
    values = 2 * share - 1 if stack.signed else share
    table = colours_of(stack.colours)
    flat = {
        "channel": (values[channels // 2], f"place {channels // 2} of {channels:,}"),
        "row": (values[:, height // 2].T, f"row {height // 2}, channels right"),
        "column": (values[:, :, width // 2].T, f"column {width // 2}, channels right"),
    }[cut]
    return table[levels(flat[0], low, high, signed=stack.signed)], flat[1]
