"""Drawings as SVG: text stays text, its font comes with the file, pictures are PNG inside of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Final

import numpy as np

from convscope.drawing.shapes import (
    Area,
    Clip,
    Colour,
    Dots,
    Line,
    Picture,
    Pixels,
    Points,
    Shape,
    Sheet,
    Words,
    each,
    printed,
)

_UNKNOWN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def xml(text: str) -> str:
    """Return a text as XML takes it: markup becomes entities, characters that it does not know are left out.

    >>> xml("a < b & c")
    'a &lt; b &amp; c'
    """
    return re.sub('[&<>"]', lambda sign: _ENTITIES[sign[0]], _UNKNOWN.sub("", text))


def encoded(sheet: Sheet, dpi: float | None = None) -> bytes:
    """Return a sheet as the bytes of an SVG file; ``dpi`` is for its pictures."""
    width, height = _number(sheet.width), _number(sheet.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" '
        f'viewBox="0 0 {width} {height}" font-family="Aileron, Helvetica, Arial, sans-serif">'
    )
    parts = ['<?xml version="1.0" encoding="UTF-8"?>', head]
    if sheet.title:
        parts.append(f"<title>{xml(sheet.title)}</title>")
    parts += [*_font(sheet), f'<rect width="{width}" height="{height}" fill="{_hex(sheet.ground)}"/>']
    writer = _Writer(sheet, dpi or sheet.dpi)
    parts += [*writer.drawn(sheet.shapes), "</svg>", ""]
    return "\n".join(parts).encode()


def _font(sheet: Sheet) -> Iterator[str]:
    """Yield the font as the file carries it; without kerning, so that texts are as wide as they were laid out."""
    if any(isinstance(shape, Words) for shape in each(sheet.shapes)):
        data = base64.b64encode(sheet.font.data).decode()
        name = sheet.font.name
        yield (
            f'<style>@font-face{{font-family:"{name}";src:url("data:font/ttf;base64,{data}")}}'
            f'text{{font-family:"{name}",Helvetica,Arial,sans-serif;font-kerning:none;text-rendering:geometricPrecision;white-space:pre}}</style>'
        )


class _Writer:
    def __init__(self, sheet: Sheet, dpi: float) -> None:
        self._font, self._dpi, self._clips = sheet.font, dpi, 0

    def drawn(self, shapes: Sequence[Shape]) -> Iterator[str]:
        """Yield the elements of shapes."""
        for shape in shapes:
            match shape:
                case Words():
                    yield self._words(shape)
                case Line():
                    dash = f' stroke-dasharray="{" ".join(map(_number, shape.dash))}"' if shape.dash else ""
                    yield (
                        f'<path d="{_path(shape.points)}" fill="none" stroke="{_hex(shape.colour)}" '
                        f'stroke-width="{_number(shape.width)}" stroke-linejoin="round"{dash}'
                        f"{_opacity('stroke', shape.opacity)}/>"
                    )
                case Area():
                    clear = _opacity("fill", shape.opacity)
                    yield f'<path d="{_path(shape.points)}Z" fill="{_hex(shape.colour)}"{clear}/>'
                case Dots():
                    yield from _dots(shape)
                case Picture():
                    yield self._picture(shape)
                case Clip():
                    yield from self._clip(shape)

    def _words(self, shape: Words) -> str:
        x, y = _number(shape.x), _number(shape.y)
        anchor = {0: "", 0.5: ' text-anchor="middle"', 1: ' text-anchor="end"'}[shape.anchor]
        turn = f' transform="rotate(-90 {x} {y})"' if shape.upright else ""
        return (
            f'<text x="{x}" y="{y}" font-size="{_number(shape.size)}" fill="{_hex(shape.colour)}"{anchor}{turn}>'
            f"{xml(shape.text)}</text>"
        )

    def _picture(self, shape: Picture) -> str:
        pixels = printed(shape, self._dpi)
        look = "" if shape.smooth else ' style="image-rendering:pixelated"'
        return (
            f'<image x="{_number(shape.x)}" y="{_number(shape.y)}" width="{_number(shape.width)}" '
            f'height="{_number(shape.height)}" preserveAspectRatio="none"{look} '
            f'href="data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"/>'
        )

    def _clip(self, shape: Clip) -> Iterator[str]:
        self._clips += 1
        name = f"clip{self._clips}"
        x, y, width, height = map(_number, shape.box)
        yield f'<clipPath id="{name}"><rect x="{x}" y="{y}" width="{width}" height="{height}"/></clipPath>'
        yield f'<g clip-path="url(#{name})">'
        yield from self.drawn(shape.shapes)
        yield "</g>"


def png(pixels: Pixels) -> bytes:
    """Return pixels ``(h, w, c)`` as a PNG file."""
    from PIL import Image

    out = BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(flat)).save(out, "PNG", compress_level=9)
    return out.getvalue()


def runs_of(colours: Pixels) -> Iterator[tuple[Colour, slice]]:
    """Yield stretches of dots of one colour.

    >>> list(runs_of(np.array([[1, 1, 1], [1, 1, 1], [2, 2, 2]], np.uint8)))
    [((1, 1, 1), slice(0, 2, None)), ((2, 2, 2), slice(2, 3, None))]
    """
    if not len(colours):
        return
    starts = [0, *(np.flatnonzero((colours[1:] != colours[:-1]).any(1)) + 1).tolist(), len(colours)]
    for start, end in pairwise(starts):
        red, green, blue = colours[start].tolist()
        yield (red, green, blue), slice(start, end)


def _dots(shape: Dots) -> Iterator[str]:
    width = _number(2 * shape.radius)
    for colour, where in runs_of(shape.colours):
        path = "".join(f"M{_number(x)} {_number(y)}h0" for x, y in shape.points[where].tolist())
        yield f'<path d="{path}" fill="none" stroke="{_hex(colour)}" stroke-width="{width}" stroke-linecap="round"/>'


def _path(points: Points) -> str:
    return "".join(f"{'L' if n else 'M'}{_number(x)} {_number(y)}" for n, (x, y) in enumerate(points.tolist()))


def _opacity(what: str, opacity: float) -> str:
    return f' {what}-opacity="{_number(opacity)}"' if opacity < 1 else ""


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _number(value: float) -> str:
    """Return a length to a thousandth of a point; far outside of the page the numbers only grow."""
    text = f"{max(-1e5, min(1e5, value)):.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
