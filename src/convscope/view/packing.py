"""Data of a run in small blocks that a page without a server can carry: numbers compressed, pictures as they are.

A record, an array, a sheet of pictures or a curve is asked for by the numbers of its blocks. Where these lie is the
host's business: inside one HTML file (:mod:`convscope.view.html`), or in files.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, NotFoundError
from convscope.store.records import wire
from convscope.store.sheets import LONGEST_SIDE
from convscope.summary import KINDS
from convscope.view.blocks import OCTETS, Blocks, Owner
from convscope.view.selection import Part, Selected, SelectedRun
from convscope.view.source import PICTURE_TYPES, Source

ROWS_BYTES: Final = 1 << 20
"""About how large a block of numbers is before it is compressed: a view that wants some rows unpacks no more."""
SERIES_WIDTH: Final = 8
THREADS: Final = min(8, os.cpu_count() or 1)
_PICTURE_TYPE: Final = re.compile(r"image/[a-z0-9.+-]{1,40}")
_HALVED: Final = frozenset({("maps", "map"), ("filters", "weight"), ("filters", "slice")})
_NEVER_ASKED: Final = frozenset({("volume", "volume")})
MOST_VECTORS: Final = 2_000_000
"""Bytes of vectors that an export carries, so that its page finds neighbours itself; of more it has those stored."""
_WIDTHS: Final = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "I16": 2, "U16": 2}


class Packer:
    """Puts what was selected of a source into blocks.

    Parameters
    ----------
    source
        What answers.
    blocks
        Where the answers go.
    quality
        Where it is given (1 to 100), lossy WebP is compressed anew.
    """

    def __init__(self, source: Source, blocks: Blocks, quality: int | None = None) -> None:
        self._source = source
        self._blocks = blocks
        self._quality = quality

    def pack(self, selected: Selected) -> dict[str, Any]:
        """Return the numbers of the blocks of each run's records, series and images.

        A record that cannot be read is taken out of ``selected`` and put down among its problems.

        Raises
        ------
        TooLargeError
            If the blocks are far too large.
        """
        return {run.name: self._run(run, selected.problems) for run in selected.runs}

    def _run(self, run: SelectedRun, problems: list[str]) -> dict[str, Any]:
        records: dict[str, Any] = {}
        for part in tuple(run.parts):
            try:
                records[part.id] = self._record(run.asked, part)
            except (NotFoundError, FormatError) as error:
                problems.append(f"{run.name}: {error}")
                run.parts.remove(part)
        series: dict[str, dict[str, int]] = {}
        images: dict[str, list[int]] = {}
        for kind, tag, count in run.series:
            data = planes(self._source.series(run.asked, kind, tag, 0), SERIES_WIDTH)
            series.setdefault(kind, {})[tag] = self._blocks.add_gzip(Owner(KINDS[kind].view), data)
            if kind == "image":
                images[tag] = [self._image(run.asked, tag, number) for number in range(count)]
        return {"records": records, "series": series, "images": images}

    def _image(self, run: str, tag: str, number: int) -> int:
        data, kind = self._source.image(run, tag, number)
        return self._blocks.add(Owner("images"), kind if _PICTURE_TYPE.fullmatch(kind) else OCTETS, data)

    def _record(self, run: str, part: Part) -> dict[str, Any]:
        """Return the blocks of a record's description, of its pictures, and of its arrays."""
        owner = Owner(part.page, part.layer)
        arrays, infos = {}, {}
        for name, info in part.described["arrays"].items():
            if (part.kind, name) not in _NEVER_ASKED and not _is_too_long(part.kind, name, info):
                arrays[name], dtype = self._array(run, part, name)
                infos[name] = {**info, "dtype": dtype}
        with ThreadPoolExecutor(THREADS) as pool:
            sheets = zip(part.files, pool.map(lambda file: self._sheet(run, part, file), part.files), strict=True)
            pictures = {file: self._blocks.add(owner, _type(file), data) for file, data in sheets}
        description = self._blocks.add_json(owner, {**part.described, "arrays": infos})
        return {"record": description, "arrays": arrays, "pictures": pictures}

    def _sheet(self, run: str, part: Part, file: str) -> bytes:
        data = self._source.picture(run, part.id, file)
        plans = part.described["pictures"].values()
        if self._quality is None or not any(plan.get("codec") == "webp" and file in plan["files"] for plan in plans):
            return data
        return smaller(data, self._quality)

    def _array(self, run: str, part: Part, name: str) -> tuple[list[Any], str]:
        """Pack an array; return [rows a block, bytes a number, its blocks], and the type as which it is stored."""
        info = part.described["arrays"][name]
        dtype, shape = info["dtype"], info["shape"]
        pieces, rows = _pieces(shape, _WIDTHS.get(dtype, 1), whole=part.is_cut(name))
        if (part.kind, name) in _HALVED and all(_halves_well(self._load(run, part, name, one)) for one in pieces):
            dtype = "F16"
        width, numbers = _WIDTHS.get(dtype, 1), []
        for one in pieces:
            if dtype != info["dtype"]:
                data = wire({name: self._load(run, part, name, one).astype(np.float16)})
            elif part.is_cut(name):
                data = wire({name: part.cut(name, self._load(run, part, name, one))})
            else:
                data = self._source.arrays(run, part.id, [name], one)
            numbers.append(self._blocks.add_gzip(Owner(part.page, part.layer), planes(data, width)))
        return [rows, width, numbers], dtype

    def _load(self, run: str, part: Part, name: str, rows: slice | None) -> npt.NDArray[Any]:
        from safetensors.numpy import load

        return load(self._source.arrays(run, part.id, [name], rows))[name]


def _is_too_long(kind: str, name: str, info: Mapping[str, Any]) -> bool:
    """Tell whether an array is one of vectors that a page without a server does without."""
    size = math.prod(info["shape"]) * _WIDTHS.get(info["dtype"], 1)
    return (kind, name) == ("embedding", "vector") and size > MOST_VECTORS


def _pieces(shape: list[int], width: int, *, whole: bool) -> tuple[list[slice | None], int]:
    """Return which rows of an array are a block each, and how many these are."""
    rows = max(1, ROWS_BYTES // max(1, width * math.prod(shape[1:])))
    if whole or not shape or shape[0] <= rows:
        return [None], shape[0] if shape else 0
    return [slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)], rows


def _type(file: str) -> str:
    return PICTURE_TYPES.get(PurePosixPath(file).suffix, OCTETS)


def _halves_well(array: npt.NDArray[Any]) -> bool:
    """Tell whether half floats are exact to a thousandth of each row's largest number."""
    if array.dtype != np.float32 or not array.size:
        return False
    flat = array.reshape(len(array), -1)
    known = np.isfinite(flat)
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(flat.astype(np.float16).astype(np.float32) - flat)
        most = np.where(known, np.abs(flat), 0).max(axis=1, keepdims=True) / 1024
        return bool(np.all((error <= most) | ~known))


def planes(data: bytes, width: int) -> bytes:
    r"""Return the first bytes of all numbers, then the second ones …: that compresses better, and is as exact.

    >>> planes(bytes([1, 0, 2, 0, 3, 0]), 2)
    b'\x01\x02\x03\x00\x00\x00'
    """
    if width == 1 or len(data) % width:
        return data
    return np.frombuffer(data, np.uint8).reshape(-1, width).T.tobytes()


def smaller(data: bytes, quality: int) -> bytes:
    """Return a picture as WebP of a quality from 1 to 100, or as it is where that is not smaller or it is none."""
    from PIL import Image, UnidentifiedImageError

    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as picture:
            if max(picture.size) > 2 * LONGEST_SIDE:
                return data
            picture.convert("RGB").save(out, "WEBP", quality=quality, method=2)
    except (UnidentifiedImageError, OSError, ValueError):
        return data
    return min(data, out.getvalue(), key=len)
