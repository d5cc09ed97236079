"""Make previews of channels, of tiles or of sheets of them; run as a program, for whoever writes sheets to it.

It imports nothing but Pillow, so that a process of it starts at once: Pillow holds Python's lock while it decodes WebP,
and so several sheets are decoded at a time only in several processes.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

MOST_TILES: Final = 9
SIDE: Final = 240
"""Pixels of a preview's longer side, or a few more: what shows links takes none below 200."""
QUALITY: Final = 60
VERSION: Final = 2
"""Of what previews look like: those of another are made anew."""
_LINE: Final = 2
_WHITE: Final = (255, 255, 255)
_MOST_SIDE: Final = 16_384
_SQUARE: Final = 4
"""From so many times their size on pictures grow pixel by pixel."""


def cut(sheet: bytes, plan: Mapping[str, Any], wanted: Iterable[tuple[int, str]]) -> None:
    """Write the tiles of some rows of a sheet, each row as one square JPEG file.

    Parameters
    ----------
    sheet
        WebP or PNG; decoded once.
    plan
        How its tiles are laid out: ``tile``, ``gutter``, ``columns``, as the record says.
    wanted
        Rows of the sheet from 0, and the file of each.

    Raises
    ------
    ValueError
        If the sheet is no picture or not laid out like that.
    OSError
        If a file cannot be written.
    """
    from PIL import Image

    rows = tuple(wanted)
    height, width = (size + 2 * plan["gutter"] for size in plan["tile"])
    try:
        with Image.open(io.BytesIO(sheet), formats=["WEBP", "PNG"]) as opened:
            if max(opened.size) > _MOST_SIDE:
                raise ValueError(f"a sheet of {opened.width} × {opened.height} pixels is too large")
            picture = opened.convert("RGB")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"a sheet is not a picture ({error})") from error
    last = max((row for row, _ in rows), default=0)
    if picture.width < plan["columns"] * width or picture.height < (last + 1) * height:
        raise ValueError(f"a sheet of {picture.width} × {picture.height} pixels does not fit its layout")
    for row, file in rows:
        Path(file).write_bytes(preview(_tiles(picture, plan, row)))


def preview(tiles: Sequence[Any]) -> bytes:
    """Return the first nine of equally large pictures of Pillow as one square JPEG, with lines between them."""
    out = io.BytesIO()
    _square(tiles[:MOST_TILES]).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def preview_size(plan: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of the previews of a sheet."""
    (height, width), (across, down) = plan["tile"], _shape(plan["columns"])
    return _size(across * width, down * height)


def _shape(tiles: int) -> tuple[int, int]:
    """Return how many tiles a preview is wide and high."""
    count = min(tiles, MOST_TILES)
    across = math.ceil(math.sqrt(count))
    return across, -(-count // across)


def _tiles(picture: Any, plan: Mapping[str, Any], row: int) -> list[Any]:
    """Return the first nine tiles of a row of a sheet."""
    (height, width), gutter = plan["tile"], plan["gutter"]
    top = row * (height + 2 * gutter) + gutter
    lefts = [at * (width + 2 * gutter) + gutter for at in range(min(plan["columns"], MOST_TILES))]
    return [picture.crop((left, top, left + width, top + height)) for left in lefts]


def _square(tiles: Sequence[Any]) -> Any:
    """Return tiles as a square, with lines between them."""
    from PIL import Image

    width, height = tiles[0].size
    across, down = _shape(len(tiles))
    square = Image.new("RGB", (across * width, down * height), _WHITE)
    for at, tile in enumerate(tiles):
        square.paste(tile, (at % across * width, at // across * height))
    if (size := _size(*square.size)) != square.size:
        grown = size[0] // square.width >= _SQUARE
        square = square.resize(size, Image.Resampling.NEAREST if grown else Image.Resampling.BICUBIC)
    for at in range(1, across):
        middle = square.width * at // across
        square.paste(_WHITE, (middle - _LINE // 2, 0, middle + _LINE // 2, square.height))
    for at in range(1, down):
        middle = square.height * at // down
        square.paste(_WHITE, (0, middle - _LINE // 2, square.width, middle + _LINE // 2))
    return square


def _size(width: int, height: int) -> tuple[int, int]:
    """Return the size that a picture is given; small ones grow by whole numbers, so that pixels stay square."""
    longest = max(width, height)
    factor = -(-SIDE // longest)
    if factor >= _SQUARE:
        return width * factor, height * factor
    return max(1, round(width * SIDE / longest)), max(1, round(height * SIDE / longest))


def main() -> None:
    """Cut what standard input brings, JSON in a line and a sheet; answer each with a line, empty if all is well."""
    source, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := source.readline():
        ask = json.loads(line)
        said = ""
        try:
            cut(source.read(ask["size"]), ask["plan"], ask["wanted"])
        except (ValueError, OSError, MemoryError) as error:
            said = json.dumps([isinstance(error, OSError), str(error) or type(error).__name__])
        answers.write(said.encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
