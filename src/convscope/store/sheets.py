"""Pictures of equal size on sheets: a few files for thousands of tiles, each cut out by arithmetic.

Tile (row r, column c) of a file has its top left pixel at ``(c * (w + 2g) + g, r * (h + 2g) + g)``, where g is the
gutter: each tile is surrounded by its own edge pixels, so that neither compression nor texture filtering bleeds the
colours of its neighbours into it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError
from convscope.formats import png

Pixels = npt.NDArray[np.uint8]

GUTTER: Final = 2
LONGEST_SIDE: Final = 8192
_ROWS: Final = 16
_LOSSLESS_TILE: Final = 32  # a filter of 7 x 7 pixels is looked at pixel by pixel
_QUALITY: Final = 85
_METHOD: Final = 2


def layout(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return how tiles ``(rows, columns, h, w, channels)`` are laid out in files, as ``meta.json`` says it.

    >>> layout("patch", (20, 9, 11, 11, 3))["files"]
    ['patch/000.webp', 'patch/001.webp']

    Raises
    ------
    InputError
        If the tiles do not fit.
    """
    if len(shape) != 5 or 0 in shape or shape[4] not in (1, 3):
        raise InputError(f"picture {name!r} must be (rows, columns, h, w, 1 or 3), got {shape}")
    rows, columns, height, width, channels = shape
    per_file = min(_ROWS, rows, LONGEST_SIDE // (height + 2 * GUTTER))
    if not per_file or columns * (width + 2 * GUTTER) > LONGEST_SIDE:
        raise InputError(
            f"picture {name!r} of {columns} tiles of {height} × {width} pixels a row is larger than the "
            f"{LONGEST_SIDE} pixels a sheet may have; use fewer columns or smaller tiles"
        )
    codec = _codec(max(height, width))
    suffix = "png" if codec == "png" else "webp"
    return {
        "tile": [height, width],
        "gutter": GUTTER,
        "columns": columns,
        "rows": per_file,
        "total_rows": rows,
        "channels": channels,
        "codec": codec,
        "files": [f"{name}/{index:03d}.{suffix}" for index in range(-(-rows // per_file))],
    }


def _codec(side: int) -> str:
    from PIL import features

    if not features.check("webp"):
        return "png"
    return "webp-lossless" if side <= _LOSSLESS_TILE else "webp"


def encode_sheets(tiles: Pixels, plan: dict[str, Any]) -> Iterator[bytes]:
    """Yield the files of a :func:`layout`, one after the other."""
    rows, codec = plan["rows"], plan["codec"]
    for start in range(0, plan["total_rows"], rows):
        yield _encode(_sheet(np.asarray(tiles[start : start + rows])), codec)


def _sheet(tiles: Pixels) -> Pixels:
    """Return ``(rows, columns, h, w, c)`` as one picture with gutters."""
    gutter = (GUTTER, GUTTER)
    padded = np.pad(tiles, ((0, 0), (0, 0), gutter, gutter, (0, 0)), mode="edge")
    rows, columns, height, width, channels = padded.shape
    return padded.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def _encode(sheet: Pixels, codec: str) -> bytes:
    if codec == "png":
        return png.encode(sheet)
    from PIL import Image

    picture = Image.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet)
    out = io.BytesIO()
    picture.convert("RGB").save(out, "WEBP", method=_METHOD, quality=_QUALITY, lossless=codec == "webp-lossless")
    return out.getvalue()


def check_layout(name: str, plan: Any) -> dict[str, Any]:
    """Return a layout read from a file if it can be trusted: sizes in range, files inside the record.

    Raises
    ------
    FormatError
        If it cannot.
    """
    numbers = ("gutter", "columns", "rows", "total_rows", "channels")
    if not isinstance(plan, dict) or not isinstance(plan.get("files"), list) or not isinstance(plan.get("tile"), list):
        raise FormatError(f"picture {name!r} has no layout")
    sizes = [*plan["tile"], *(plan.get(key) for key in numbers)]
    if len(sizes) != 7 or not all(type(size) is int and 0 <= size <= 1 << 31 for size in sizes) or not sizes[4]:
        raise FormatError(f"picture {name!r} has a layout with impossible sizes")
    height, width, gutter, columns, rows, total, channels = sizes
    too_large = max(columns * (width + 2 * gutter), rows * (height + 2 * gutter)) > 2 * LONGEST_SIDE
    if too_large or channels not in (1, 3) or len(plan["files"]) != -(-total // rows):
        raise FormatError(f"picture {name!r} has a layout that does not fit its files")
    for file in plan["files"]:
        if not isinstance(file, str) or not _is_inside(file):
            raise FormatError(f"picture {name!r} names a file outside its record: {file!r}")
    return plan


def _is_inside(file: str) -> bool:
    parts = file.split("/")
    return len(parts) == 2 and not any(part in {"", ".", ".."} for part in parts)


def cut_tile(sheet: bytes, plan: dict[str, Any], row: int, column: int) -> Pixels:
    """Return tile ``(h, w, c)`` of the given row and column of one file.

    Raises
    ------
    FormatError
        If the file is not the picture its layout says it is.
    """
    (height, width), gutter = plan["tile"], plan["gutter"]
    left, top = column * (width + 2 * gutter) + gutter, row * (height + 2 * gutter) + gutter
    tile = _pixels(sheet, plan, (left, top, left + width, top + height))
    return tile.reshape(height, width, plan["channels"]).copy()


def cut_rows(sheet: bytes, plan: dict[str, Any], rows: Sequence[int]) -> Pixels:
    """Return all tiles of some rows of one file, ``(n, columns, h, w, c)``; it is decoded once.

    Raises
    ------
    FormatError
        If the file is not the picture its layout says it is.
    """
    (height, width), gutter, columns = plan["tile"], plan["gutter"], plan["columns"]
    count, h, w = max(rows) + 1, height + 2 * gutter, width + 2 * gutter
    tiles = _pixels(sheet, plan, (0, 0, columns * w, count * h)).reshape(count, h, columns, w, plan["channels"])
    return tiles[list(rows), gutter : gutter + height, :, gutter : gutter + width].transpose(0, 2, 1, 3, 4).copy()


def _pixels(sheet: bytes, plan: dict[str, Any], box: tuple[int, int, int, int]) -> Pixels:
    """Return what lies inside left, top, right, bottom of a file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(sheet), formats=["WEBP", "PNG"]) as picture:
            if box[2] > picture.width or box[3] > picture.height or max(picture.size) > 2 * LONGEST_SIDE:
                raise FormatError(f"a sheet of {picture.width} × {picture.height} pixels does not fit its layout")
            return np.asarray(picture.crop(box).convert("RGB" if plan["channels"] == 3 else "L"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise FormatError(f"a sheet is not a picture ({error})") from error
