"""Drawings as pixels, with Pillow: edges are smoothed by drawing four times as fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil, floor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.font import Font
from convscope.drawing.shapes import Area, Clip, Colour, Dots, Line, Picture, Shape, Sheet, Words, resized
from convscope.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

_FINE: Final = 4
_LARGEST: Final = 400_000_000
"""Pixels of a picture at most."""

Floats = npt.NDArray[np.float64]
_Box = tuple[int, int, int, int]


def picture(sheet: Sheet, dpi: float | None = None) -> Image:
    """Return a sheet as a picture, ``mode="RGB"``; by default with the dots an inch it was laid out for.

    Raises
    ------
    InputError
        If it were too large.
    """
    from PIL import Image as Pillow

    scale = (dpi or sheet.dpi) / 72
    size = max(1, round(sheet.width * scale)), max(1, round(sheet.height * scale))
    if size[0] * size[1] > _LARGEST:
        raise InputError(f"a picture of {size[0]:,} × {size[1]:,} pixels is too large; ask for fewer dots an inch")
    page = Pillow.new("RGB", size, sheet.ground)
    _Painter(page, scale, sheet.font, (0, 0, *size)).draw(sheet.shapes)
    return page


def encoded(sheet: Sheet, dpi: float | None = None) -> bytes:
    """Return a sheet as the bytes of a PNG file that says how many dots an inch it has."""
    out = BytesIO()
    dots = dpi or sheet.dpi
    picture(sheet, dots).save(out, "PNG", dpi=(dots, dots), compress_level=9)
    return out.getvalue()


@dataclass
class _Painter:
    page: Image
    scale: float
    font: Font
    clip: _Box

    def draw(self, shapes: Sequence[Shape]) -> None:
        """Draw shapes from the back to the front."""
        for shape in shapes:
            match shape:
                case Picture():
                    self._picture(shape)
                case Words():
                    self._words(shape)
                case Line():
                    self._line(shape)
                case Area():
                    self._mask(shape.points * self.scale, 1, shape.colour, shape.opacity, _fill)
                case Dots():
                    self._dots(shape)
                case Clip():
                    self._clipped(shape)

    def _clipped(self, clip: Clip) -> None:
        x, y, width, height = (edge * self.scale for edge in clip.box)
        inside = round(x), round(y), round(x + width), round(y + height)
        both = (*map(max, self.clip[:2], inside[:2]), *map(min, self.clip[2:], inside[2:]))
        if both[0] < both[2] and both[1] < both[3]:
            _Painter(self.page, self.scale, self.font, (both[0], both[1], both[2], both[3])).draw(clip.shapes)

    def _paste(self, what: Image | Colour, at: _Box, mask: Image | None) -> None:
        """Paste a picture or a colour into a box, as far as that is in the clip."""
        x0, y0, x1, y1 = (*map(max, at[:2], self.clip[:2]), *map(min, at[2:], self.clip[2:]))
        if x0 >= x1 or y0 >= y1:
            return
        part = x0 - at[0], y0 - at[1], x1 - at[0], y1 - at[1]
        cut = what if isinstance(what, tuple) else what.crop(part)
        self.page.paste(cut, (x0, y0, x1, y1), mask.crop(part) if mask is not None else None)

    def _picture(self, shape: Picture) -> None:
        from PIL import Image as Pillow

        edges = [round(edge * self.scale) for edge in (shape.x, shape.y)]
        far = [round(edge * self.scale) for edge in (shape.x + shape.width, shape.y + shape.height)]
        size = max(1, far[0] - edges[0]), max(1, far[1] - edges[1])
        larger = size[0] >= shape.pixels.shape[1] and size[1] >= shape.pixels.shape[0]
        pixels = resized(shape.pixels, size[::-1], smooth=shape.smooth or not larger)
        flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
        tile = Pillow.fromarray(np.ascontiguousarray(flat)).convert("RGB")
        self._paste(tile, (edges[0], edges[1], edges[0] + size[0], edges[1] + size[1]), None)

    def _words(self, shape: Words) -> None:
        from PIL import Image as Pillow
        from PIL import ImageDraw

        text, size = self.font.plain(shape.text), shape.size * self.scale
        advances = [size * advance for advance in self.font.advances(text)]
        above, below = (ceil(size * part) + 2 for part in self.font.extent)
        x, y = shape.x * self.scale, shape.y * self.scale
        start = (y if shape.upright else -x) + shape.anchor * sum(advances)  # along the text, to the left of the page
        first, base = (floor(-start), floor(x if shape.upright else y))
        wide = ceil(sum(advances)) + 6
        fine = Pillow.new("L", (_FINE * wide, _FINE * (above + below)), 0)  # Pillow puts letters on whole pixels
        pen, drawing, font = -start - first + 2, ImageDraw.Draw(fine), self.font.drawn(size * _FINE)
        off = (x if shape.upright else y) - base
        for letter, advance in zip(text, advances, strict=True):
            drawing.text((_FINE * pen, _FINE * (above + off)), letter, font=font, fill=255, anchor="ls")
            pen += advance
        mask = fine.reduce(_FINE)
        if shape.upright:  # turned to the left: the text goes up the page
            mask = mask.transpose(Pillow.Transpose.ROTATE_90)
            left, bottom = base - above, -(first - 2)
            box = left, bottom - wide, left + above + below, bottom
        else:
            box = first - 2, base - above, first - 2 + wide, base + below
        self._paste(shape.colour, box, mask)

    def _line(self, shape: Line) -> None:
        points, width = shape.points * self.scale, shape.width * self.scale
        pieces = dashes(points, [length * self.scale for length in shape.dash]) if shape.dash else [points]
        self._mask(pieces, width, shape.colour, shape.opacity, _stroke)

    def _mask(self, points: Any, width: float, colour: Colour, opacity: float, how: Any) -> None:
        """Draw something four times as fine and lay its colour over the page."""
        from PIL import Image as Pillow
        from PIL import ImageDraw

        pieces = points if isinstance(points, list) else [points]
        pieces = [piece for piece in pieces if len(piece) > 1]
        if not pieces:
            return
        edge = width / 2 + 2
        whole = np.concatenate(pieces)
        low, high = np.floor(whole.min(0) - edge), np.ceil(whole.max(0) + edge)
        x0, y0 = (int(max(a, b)) for a, b in zip(low, self.clip[:2], strict=True))
        x1, y1 = (int(min(a, b)) for a, b in zip(high, self.clip[2:], strict=True))
        if x0 >= x1 or y0 >= y1:
            return
        mask = Pillow.new("L", (_FINE * (x1 - x0), _FINE * (y1 - y0)), 0)
        drawing = ImageDraw.Draw(mask)
        for piece in pieces:
            how(drawing, np.clip((piece - (x0, y0)) * _FINE, -1e6, 1e6), width * _FINE)
        small = mask.reduce(_FINE)
        if opacity < 1:
            small = small.point([round(opacity * level) for level in range(256)])
        self._paste(colour, (x0, y0, x1, y1), small)

    def _dots(self, shape: Dots) -> None:
        radius = shape.radius * self.scale
        masks: dict[tuple[int, int], Image] = {}
        middles = np.floor(shape.points * self.scale * _FINE).astype(np.int64)
        reach = ceil(radius) + 1
        for (x, y), colour in zip(middles.tolist(), shape.colours.tolist(), strict=True):
            (left, right), (top, bottom) = divmod(x, _FINE), divmod(y, _FINE)
            if (right, bottom) not in masks:
                masks[right, bottom] = _disc(reach, radius, right, bottom)
            at = left - reach, top - reach, left + reach + 1, top + reach + 1
            self._paste((colour[0], colour[1], colour[2]), at, masks[right, bottom])


def _disc(reach: int, radius: float, right: int, down: int) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageDraw

    side = 2 * reach + 1
    mask = Pillow.new("L", (side * _FINE, side * _FINE), 0)
    x, y, far = reach * _FINE + right, reach * _FINE + down, radius * _FINE
    ImageDraw.Draw(mask).ellipse((x - far, y - far, x + far, y + far), fill=255)
    return mask.reduce(_FINE)


def _fill(drawing: Any, points: Floats, _width: float) -> None:
    corners = points[:, :2] - 0.5  # an edge belongs to the pixels it goes through; half a fine one is the difference
    drawing.polygon([tuple(point) for point in corners.tolist()], fill=255)


def _stroke(drawing: Any, points: Floats, width: float) -> None:
    """Draw a line; one that runs along an axis as a rectangle, so that it is as thick as asked for."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    if len(points) == 2 and (x0 == x1 or y0 == y1):
        half = max(1.0, width) / 2
        across = (half, 0) if x0 == x1 else (0, half)
        low, high = np.minimum(points[0], points[1]) - across, np.maximum(points[0], points[1]) + across
        drawing.rectangle([*np.rint(low).tolist(), *np.maximum(np.rint(high) - 1, np.rint(low)).tolist()], fill=255)
        return
    drawing.line([tuple(point) for point in points.tolist()], fill=255, width=max(1, round(width)), joint="curve")


def dashes(points: Floats, pattern: Sequence[float]) -> list[Floats]:
    """Return the strokes of a dashed polyline.

    >>> [piece.tolist() for piece in dashes(np.array([[0.0, 0], [5, 0]]), [2, 1])]
    [[[0.0, 0.0], [2.0, 0.0]], [[3.0, 0.0], [5.0, 0.0]]]
    """
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    whole = float(along[-1])
    period = sum(pattern)
    if not period > 0 or whole / period > 50_000:
        return [points]
    strokes, start, number = [], 0.0, 0
    while start < whole:
        end = start + pattern[number % len(pattern)]
        if number % 2 == 0:
            inner = (along > start) & (along < min(end, whole))
            ends = [[np.interp(at, along, points[:, axis]) for axis in (0, 1)] for at in (start, min(end, whole))]
            strokes.append(np.concatenate([[ends[0]], points[inner], [ends[1]]]))
        start, number = end, number + 1
    return strokes
