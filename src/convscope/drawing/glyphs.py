"""Signs that Pillow's font lacks: minus, dashes and the times sign, made of bars as thick as its hyphen."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin

from convscope.drawing.truetype import character_map, file_of, tables_of, written_map

_KEPT = ("head", "hhea", "maxp", "OS/2", "hmtx", "loca", "glyf", "name", "post", "cmap")
_NO_NAMES = struct.pack(">IIhhIIIII", 3 << 16, 0, -100, 50, 0, 0, 0, 0, 0)  # a table ``post`` of version 3
_ON_CURVE = 1

Contour = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class _Bar:
    """A bar about a middle: half its length, half its thickness, turned by an angle."""

    x: float
    y: float
    half: float
    thick: float
    angle: float = 0

    def contour(self) -> list[tuple[int, int]]:
        """Return its corners, clockwise."""
        along, across = (cos(self.angle), sin(self.angle)), (-sin(self.angle), cos(self.angle))
        corners = ((-1, -1), (-1, 1), (1, 1), (1, -1))
        return [
            (
                round(self.x + a * self.half * along[0] + b * self.thick * across[0]),
                round(self.y + a * self.half * along[1] + b * self.thick * across[1]),
            )
            for a, b in corners
        ]


def extended(font: bytes) -> bytes:
    """Return a font file with ``− – — ×`` where it does not have them; kerning and glyph names are left out."""
    tables = {name: table for name, table in tables_of(font).items() if name in _KEPT}
    letters = character_map(tables["cmap"])
    if not {"+", "-"} <= set(letters):
        return font
    outlines, widths = _outlines(tables), _widths(tables)
    plus, hyphen = _box(outlines[letters["+"]]), _box(outlines[letters["-"]])
    thick = (hyphen[3] - hyphen[1]) / 2
    x, y, half = (plus[0] + plus[2]) / 2, (plus[1] + plus[3]) / 2, (plus[2] - plus[0]) / 2
    low = (hyphen[1] + hyphen[3]) / 2
    width = widths[letters["+"]][0]
    made = {
        "−": (width, [_Bar(x, y, half, thick)]),
        "×": (width, [_Bar(x, y, 1.15 * half, thick, angle) for angle in (pi / 4, -pi / 4)]),
        "–": (500, [_Bar(250, low, 230, thick)]),
        "—": (900, [_Bar(450, low, 430, thick)]),
    }
    for letter, (advance, bars) in made.items():
        if letter not in letters:
            letters[letter] = len(outlines)
            outline = _glyph([bar.contour() for bar in bars])
            outlines.append(outline)
            widths.append((advance, _box(outline)[0]))
    return file_of(_changed(tables, outlines, widths) | {"cmap": written_map(letters), "post": _NO_NAMES})


def _outlines(tables: dict[str, bytes]) -> list[bytes]:
    """Return the outline of every glyph."""
    count = int.from_bytes(tables["maxp"][4:6], "big")
    if int.from_bytes(tables["head"][50:52], "big"):
        places = list(struct.unpack_from(f">{count + 1}I", tables["loca"]))
    else:
        places = [2 * place for place in struct.unpack_from(f">{count + 1}H", tables["loca"])]
    return [tables["glyf"][start:end] for start, end in pairwise(places)]


def _widths(tables: dict[str, bytes]) -> list[tuple[int, int]]:
    """Return advance and left side bearing of every glyph."""
    count, full = int.from_bytes(tables["maxp"][4:6], "big"), int.from_bytes(tables["hhea"][34:36], "big")
    pairs = [struct.unpack_from(">Hh", tables["hmtx"], 4 * n) for n in range(full)]
    rest = struct.unpack_from(f">{count - full}h", tables["hmtx"], 4 * full)
    return [*pairs, *((pairs[-1][0], bearing) for bearing in rest)]


def _changed(
    tables: dict[str, bytes], outlines: Sequence[bytes], widths: Sequence[tuple[int, int]]
) -> dict[str, bytes]:
    """Return the tables with these glyphs."""
    padded = [outline + bytes(-len(outline) % 4) for outline in outlines]
    places = [0]
    for outline in padded:
        places.append(places[-1] + len(outline))
    count = struct.pack(">H", len(outlines))
    head = tables["head"][:50] + struct.pack(">H", 1) + tables["head"][52:]
    return tables | {
        "head": head,
        "maxp": tables["maxp"][:4] + count + tables["maxp"][6:],
        "hhea": tables["hhea"][:34] + count,
        "hmtx": b"".join(struct.pack(">Hh", *one) for one in widths),
        "loca": struct.pack(f">{len(places)}I", *places),
        "glyf": b"".join(padded),
    }


def _box(outline: bytes) -> tuple[int, int, int, int]:
    """Return the least and largest x and y of an outline: x0, y0, x1, y1."""
    x0, y0, x1, y1 = struct.unpack_from(">hhhh", outline, 2)
    return x0, y0, x1, y1


def _glyph(contours: Sequence[Contour]) -> bytes:
    """Return the outline of some polygons."""
    points = [point for contour in contours for point in contour]
    (xs, ys), ends, last = zip(*points, strict=True), [], -1
    for contour in contours:
        last += len(contour)
        ends.append(last)
    head = struct.pack(">hhhhh", len(contours), min(xs), min(ys), max(xs), max(ys))
    body = struct.pack(f">{len(ends)}HH", *ends, 0) + bytes([_ON_CURVE] * len(points))
    for values in (xs, ys):
        steps = [b - a for a, b in zip((0, *values), values, strict=False)]
        body += struct.pack(f">{len(steps)}h", *steps)
    return head + body
