"""Drawings as PDF 1.7: one page, its font inside, text that can be searched and copied; no dates, so equal bytes.

Section numbers are those of ISO 32000-1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

from convscope.drawing.shapes import Area, Clip, Colour, Dots, Line, Picture, Points, Shape, Sheet, Words, each, printed
from convscope.drawing.svg import runs_of
from convscope.drawing.truetype import tables_of


def encoded(sheet: Sheet, dpi: float | None = None) -> bytes:
    """Return a sheet as the bytes of a PDF file; ``dpi`` is for its pictures."""
    return _Document(sheet, dpi or sheet.dpi).encoded()


class _Document:
    def __init__(self, sheet: Sheet, dpi: float) -> None:
        self._sheet, self._dpi = sheet, dpi
        self._objects: list[bytes] = []
        self._pictures: dict[bytes, int] = {}
        self._clear: dict[str, int] = {}
        self._letters: dict[int, str] = {}

    def encoded(self) -> bytes:
        """Return the file."""
        for _ in range(3):
            self._objects.append(b"")  # catalogue, pages, page: they name what comes later
        content = self._add(_stream(b"\n".join(self._drawn(self._sheet.shapes))))
        fonts = (
            b"<</F %d 0 R>>" % self._font() if any(isinstance(s, Words) for s in each(self._sheet.shapes)) else b"<<>>"
        )
        pictures = b"".join(b"/P%d %d 0 R" % (n, n) for n in self._pictures.values())
        clear = b"".join(b"/G%d %d 0 R" % (n, n) for n in self._clear.values())
        size = f"[0 0 {_number(self._sheet.width)} {_number(self._sheet.height)}]".encode()
        self._objects[0] = b"<</Type/Catalog/Pages 2 0 R/ViewerPreferences<</DisplayDocTitle true>>>>"
        self._objects[1] = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
        self._objects[2] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox%s/Contents %d 0 R/Resources<</Font%s/XObject<<%s>>/ExtGState<<%s>>>>>>"
            % (size, content, fonts, pictures, clear)
        )
        about = self._add(b"<</Title %s/Producer(convscope)>>" % _string(self._sheet.title))
        return self._file(about)

    def _file(self, about: int) -> bytes:
        parts, places, length = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"], [], 15
        for number, body in enumerate(self._objects, 1):
            places.append(length)
            parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
            length += len(parts[-1])
        table = b"".join(b"%010d 00000 n \n" % place for place in places)
        count = len(places) + 1
        parts.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table))
        parts.append(b"trailer\n<</Size %d/Root 1 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, about, length))
        return b"".join(parts)

    def _add(self, body: bytes) -> int:
        self._objects.append(body)
        return len(self._objects)

    # What is drawn (§8, §9)

    def _drawn(self, shapes: Sequence[Shape]) -> list[bytes]:
        ground = Area(_page(self._sheet), self._sheet.ground)
        return [_LAYOUT, self._area(ground), *self._each(shapes)]

    def _each(self, shapes: Sequence[Shape]) -> list[bytes]:
        found: list[bytes] = []
        for shape in shapes:
            match shape:
                case Words():
                    found.append(self._words(shape))
                case Line():
                    found.append(self._line(shape))
                case Area():
                    found.append(self._area(shape))
                case Dots():
                    found += self._dots(shape)
                case Picture():
                    found.append(self._picture(shape))
                case Clip():
                    x, y, width, height = shape.box
                    edges = _numbers(x, self._sheet.height - y - height, width, height)
                    found += [b"q %s re W n" % edges, *self._each(shape.shapes), b"Q"]
        return found

    def _path(self, points: Points) -> bytes:
        up = np.column_stack([points[:, 0], self._sheet.height - points[:, 1]])
        return b"\n".join(b"%s %s" % (_numbers(x, y), b"l" if n else b"m") for n, (x, y) in enumerate(up.tolist()))

    def _state(self, opacity: float) -> bytes:
        """Return the operator for an opacity (§8.4.5)."""
        if opacity >= 1:
            return b""
        name = _number(opacity)
        if name not in self._clear:
            self._clear[name] = self._add(f"<</Type/ExtGState/CA {name}/ca {name}>>".encode())
        return b"/G%d gs " % self._clear[name]

    def _line(self, shape: Line) -> bytes:
        dash = b"[%s] 0 d " % _numbers(*shape.dash) if shape.dash else b""
        look = b"%s%s w 1 j %s%s RG" % (self._state(shape.opacity), _numbers(shape.width), dash, _colour(shape.colour))
        return b"q %s\n%s S Q" % (look, self._path(shape.points))

    def _area(self, shape: Area) -> bytes:
        look = b"%s%s rg" % (self._state(shape.opacity), _colour(shape.colour))
        return b"q %s\n%s h f Q" % (look, self._path(shape.points))

    def _dots(self, shape: Dots) -> list[bytes]:
        """Return the operators: lines without a length, whose round ends are the dots."""
        found = []
        height = self._sheet.height
        for colour, where in runs_of(shape.colours):
            rows = shape.points[where].tolist()
            ends = b"\n".join(b"%s m %s l" % (at, at) for at in (_numbers(x, height - y) for x, y in rows))
            found.append(b"q 1 J %s w %s RG\n%s S Q" % (_numbers(2 * shape.radius), _colour(colour), ends))
        return found

    def _picture(self, shape: Picture) -> bytes:
        pixels = np.ascontiguousarray(printed(shape, self._dpi))
        height, width, channels = pixels.shape
        body = zlib.compress(pixels.tobytes(), 9)
        head = (
            f"/Type/XObject/Subtype/Image/Width {width}/Height {height}/BitsPerComponent 8/ColorSpace"
            f"/{'DeviceGray' if channels == 1 else 'DeviceRGB'}/Interpolate {'true' if shape.smooth else 'false'}"
        )
        whole = _packed(body, head.encode())
        if whole not in self._pictures:
            self._pictures[whole] = self._add(whole)
        at = _numbers(shape.width, 0, 0, shape.height, shape.x, self._sheet.height - shape.y - shape.height)
        return b"q %s cm /P%d Do Q" % (at, self._pictures[whole])

    def _words(self, shape: Words) -> bytes:
        """Return the operators of a text; where its letters are others than written, with its own too (§14.9.4)."""
        font = self._sheet.font
        text = font.plain(shape.text)
        glyphs = [font.glyphs.get(letter, 0) for letter in text]
        self._letters.update(zip(glyphs, text, strict=True))
        back = shape.anchor * font.width(shape.text, shape.size)
        x, y = shape.x, self._sheet.height - shape.y
        turn = (0, 1, -1, 0, x, y - back) if shape.upright else (1, 0, 0, 1, x - back, y)
        codes = b"".join(b"%04X" % glyph for glyph in glyphs)
        drawn = b"BT %s rg /F %s Tf %s Tm <%s> Tj ET" % (
            _colour(shape.colour), _numbers(shape.size), _numbers(*turn), codes)  # fmt: skip
        if text == shape.text:
            return drawn
        return b"/Span <</ActualText %s>> BDC %s EMC" % (_string(shape.text), drawn)

    # The font (§9.7)

    def _font(self) -> int:
        font = self._sheet.font
        tables = tables_of(font.data)
        scale = 1000 / font.units
        box = _numbers(*(scale * edge for edge in struct.unpack(">hhhh", tables["head"][36:44])))
        above, below = (1000 * part for part in font.extent)
        file = self._add(_stream(font.data, b"/Length1 %d" % len(font.data)))
        name = b"/" + font.name.encode()
        about = self._add(
            b"<</Type/FontDescriptor/FontName%s/Flags 32/FontBBox[%s]/ItalicAngle 0/Ascent %s/Descent %s/CapHeight %s"
            b"/StemV 80/FontFile2 %d 0 R>>"
            % (name, box, _numbers(above), _numbers(-below), _numbers(above * 0.75), file)
        )
        widths = b"".join(
            b"%d[%s]" % (glyph, _numbers(1000 * font.advances(letter)[0]))
            for glyph, letter in sorted(self._letters.items())
        )
        inner = self._add(
            b"<</Type/Font/Subtype/CIDFontType2/BaseFont%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)"
            b"/Supplement 0>>/FontDescriptor %d 0 R/DW 1000/W[%s]/CIDToGIDMap/Identity>>" % (name, about, widths)
        )
        codes = self._add(_stream(_unicodes(self._letters)))
        return self._add(
            b"<</Type/Font/Subtype/Type0/BaseFont%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>"
            % (name, inner, codes)
        )


_LAYOUT = b"0 J 1 j 10 M"


def _page(sheet: Sheet) -> Points:
    return np.array([[0, 0], [sheet.width, 0], [sheet.width, sheet.height], [0, sheet.height]], np.float64)


def _unicodes(letters: dict[int, str]) -> bytes:
    """Return which letters glyphs stand for (§9.10.3), in blocks of a hundred."""
    rows = [f"<{glyph:04X}> <{letter.encode('utf-16-be').hex()}>" for glyph, letter in sorted(letters.items())]
    blocks = [rows[start : start + 100] for start in range(0, len(rows), 100)]
    parts = [f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks]
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n/CMapName /Letters def\n"
        "/CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        + "\n".join(parts)
        + "\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
    ).encode()


def _stream(data: bytes, head: bytes = b"") -> bytes:
    return _packed(zlib.compress(data, 9), head)


def _packed(body: bytes, head: bytes) -> bytes:
    return b"<<%s/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream" % (head, len(body), body)


def _string(text: str) -> bytes:
    """Return a text of any letters as hexadecimal UTF-16 (§7.9.2)."""
    return b"<FEFF%s>" % text.encode("utf-16-be", "replace").hex().upper().encode()


def _colour(colour: Colour) -> bytes:
    return _numbers(*(part / 255 for part in colour))


def _numbers(*values: float) -> bytes:
    return " ".join(map(_number, values)).encode()


def _number(value: float) -> str:
    """Return a number without an exponent (§7.3.3); far outside of the page the numbers only grow."""
    return f"{max(-30_000.0, min(30_000.0, value)):.4f}".rstrip("0").rstrip(".")
