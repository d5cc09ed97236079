"""The font of a drawing: its widths, its letters, and its bytes as a PDF or SVG file carries them.

The default is the font that comes with Pillow (Aileron, CC0), the same on every machine. It has no minus, no dashes and
no times sign; they are made of its equals sign, hyphen and plus sign, so that numbers in all files are typeset alike.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convscope.drawing.glyphs import extended
from convscope.drawing.truetype import character_map, tables_of
from convscope.errors import FormatError, InputError, NotFoundError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_SPOKEN: Final[Mapping[str, str]] = {
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "→": "->",
    "∞": "inf",
    "·": ".",
    "…": "...",
}
_LARGEST: Final = 32 << 20


class Font:
    """A TrueType font: measures texts, and draws them with Pillow.

    Parameters
    ----------
    path
        A ``.ttf`` file; the font of Pillow by default.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it is no TrueType font.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._path = path
        self._drawn: dict[float, FreeTypeFont] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Font) and other._path == self._path

    def __hash__(self) -> int:
        return hash(self._path)

    @cached_property
    def data(self) -> bytes:
        """The bytes of the font file."""
        return extended(_own_font()) if self._path is None else _read(Path(self._path))

    @cached_property
    def _tables(self) -> dict[str, bytes]:
        return tables_of(self.data)

    @cached_property
    def glyphs(self) -> dict[str, int]:
        """The numbers of its glyphs by letter."""
        return character_map(self._tables["cmap"])

    @cached_property
    def units(self) -> int:
        """Units an em."""
        return max(1, int.from_bytes(self._tables["head"][18:20], "big"))

    @cached_property
    def extent(self) -> tuple[float, float]:
        """How far above and below the baseline it reaches, as shares of its size."""
        above, below = struct.unpack(">hh", self._tables["hhea"][4:8])
        return above / self.units, -below / self.units

    @cached_property
    def name(self) -> str:
        """What files call it."""
        return "Aileron" if self._path is None else "Letters"

    def advances(self, text: str) -> list[float]:
        """Return how far each letter moves on, as shares of the size."""
        count = int.from_bytes(self._tables["hhea"][34:36], "big")
        wide = self._tables["hmtx"]
        places = [4 * min(self.glyphs.get(letter, 0), count - 1) for letter in text]
        return [int.from_bytes(wide[place : place + 2], "big") / self.units for place in places]

    def width(self, text: str, size: float) -> float:
        """Return the width of a text in units of its size; no kerning, as all writers draw it."""
        return size * sum(self.advances(self.plain(text)))

    def plain(self, text: str) -> str:
        """Return a text in letters the font has: accents are left out, what it does not know becomes a question mark.

        >>> DEFAULT.plain("Möwe × −3 鷗")
        'Mowe × −3 ?'
        """
        return "".join(map(self._letter, unicodedata.normalize("NFC", text)))

    def lacking(self, text: str) -> list[str]:
        """Return the letters of a text that become question marks, each once.

        >>> DEFAULT.lacking("Möwe 鷗?")
        ['鷗']
        """
        letters = dict.fromkeys(unicodedata.normalize("NFC", text))
        return [letter for letter in letters if letter != "?" and "?" in self._letter(letter)]

    def _letter(self, letter: str) -> str:
        if letter in self.glyphs:
            return letter
        if letter in _SPOKEN and all(one in self.glyphs for one in _SPOKEN[letter]):
            return _SPOKEN[letter]
        if letter.isspace() or unicodedata.category(letter) in {"Cc", "Cf", "Zs"}:
            return " " if letter.isspace() else ""
        bare = [one for one in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(one)]
        return "".join(one if one in self.glyphs else "?" for one in bare)

    def drawn(self, pixels: float) -> FreeTypeFont:
        """Return the font as Pillow draws it with a size in pixels."""
        from PIL import ImageFont

        size = max(1.0, round(pixels, 2))
        if size not in self._drawn:
            self._drawn[size] = ImageFont.truetype(BytesIO(self.data), size, layout_engine=ImageFont.Layout.BASIC)
        return self._drawn[size]

    def shortened(self, text: str, size: float, room: float) -> str:
        """Return a text that fits into a width, its end left out where it would not.

        >>> DEFAULT.shortened("a very long name", 10, 50)
        'a very lon…'
        """
        if self.width(text, size) <= room:
            return text
        while text and self.width(text + "…", size) > room:
            text = text[:-1]
        return text.rstrip() + "…" if text else ""

    def wrapped(self, text: str, size: float, room: float) -> list[str]:
        """Return a text in lines that fit into a width; words that do not are broken."""
        lines, line = [], ""
        for word in text.split():
            longer = f"{line} {word}" if line else word
            if self.width(longer, size) <= room:
                line = longer
                continue
            if line:
                lines.append(line)
            while self.width(word, size) > room and len(word) > 1:
                fits = max(1, sum(self.width(word[: n + 1], size) <= room for n in range(len(word))))
                lines.append(word[:fits])
                word = word[fits:]  # noqa: PLW2901 - the rest of it
            line = word
        return [*lines, line] if line else lines


def _own_font() -> bytes:
    """Return the bytes of Pillow's own font."""
    from PIL import ImageFont

    font = ImageFont.load_default(10)
    if not isinstance(font, ImageFont.FreeTypeFont) or not isinstance(font.path, BytesIO):
        raise InputError("Pillow was built without FreeType, so it has no font to write with; install its wheel")
    return font.path.getvalue()


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path.name} is a font of more than {_LARGEST >> 20} MB; give a smaller one")
        data = path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"there is no font {str(path)!r:.300}; give a .ttf file, or leave it out") from error
    needed = {"cmap", "head", "hhea", "hmtx", "maxp", "glyf", "loca"}
    if absent := needed - set(tables_of(data)):
        raise FormatError(
            f"{path.name} is no TrueType font (no table {min(absent)!r}); give a .ttf file, not .otf, .woff or .ttc"
        )
    return data


DEFAULT: Final = Font()
