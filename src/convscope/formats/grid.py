"""What the formats of volumes share: numbers on a grid, and the limits that protect whoever opens a stranger's file.

A format is a pair of functions of one shape: ``decode(files, name, hints) -> Grid`` and ``encode(grid, name) -> {file
name: bytes}``. Neither knows a path; where the bytes lie is the business of whoever calls.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError

MAX_BYTES: Final = 2 << 30
"""A volume whose numbers take more, in memory as float32 or as they are, is refused before it is unpacked."""
MAX_HEADER: Final = 1 << 20
AXES: Final = ("channel", "row", "column")
_FED: Final = 1 << 16
"""Packed bytes that are unpacked at a time."""
_PIECE: Final = re.compile(rb"[^=]+=*|=+")
"""Of base64: up to and with the padding."""
_LAYOUT: Final = {3: "(C, H, W)", 4: "(C, I, H, W)"}


@dataclass(frozen=True)
class Grid:
    """Numbers on a grid, and what a file says of them.

    Attributes
    ----------
    values
        ``(C, H, W)`` or ``(C, I, H, W)``, in the type of the file and the byte order of the machine.
    spacing
        The distance of two voxels along channel, row and column.
    notes
        What whoever opened the file should know: one sentence each, without a full stop.
    """

    values: npt.NDArray[Any]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hints:
    """What a file does not say of itself, told by whoever opens it.

    Attributes
    ----------
    shape
        ``(C, H, W)``, for raw numbers without a header.
    rows_first
        Whether a ``.hd`` file names the rows first, as those of the old CNN-VIS do.
    """

    shape: tuple[int, ...] | None = None
    rows_first: bool = False


class Files(Protocol):
    """Where the bytes lie: names are relative, with ``/`` between folders."""

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; ``None`` if there is no such file."""
        ...

    def names(self, folder: str) -> Sequence[str]:
        """Return the names in a folder, sorted; none if there is no such folder."""
        ...


def brief(error: BaseException) -> str:
    """Return what another library says of an error, in one short line."""
    return " ".join(str(error).split())[:100]


def the_file(files: Files, name: str) -> bytes:
    """Return the bytes of a file that has to be there."""
    data = files.read(name)
    if data is None:
        raise FormatError(f"the file {name!r}, which belongs to the volume, is not there; put it beside the others")
    return data


def count_of(shape: Iterable[int], itemsize: int, where: str) -> int:
    """Return how many numbers a shape holds, before any memory is taken for them.

    Raises
    ------
    FormatError
        If there are none, or their bytes would be more than :data:`MAX_BYTES`.
    """
    sizes = tuple(shape)
    if not sizes or any(size < 1 for size in sizes):
        raise FormatError(f"{where}: a volume has at least one voxel along each axis, got the sizes {shown(sizes)}")
    count = prod(sizes)
    if count * max(itemsize, 4) > MAX_BYTES:
        raise FormatError(f"{where}: {shown(sizes)} numbers are more than the {MAX_BYTES >> 30} GiB read here; cut it")
    return count


def shown(sizes: Iterable[int]) -> str:
    """Return sizes as text, however many and large.

    >>> shown((96, 55, 55))
    '96×55×55'
    """
    return "×".join(f"{size:d}" for size in sizes)[:60]


def numbers(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> npt.NDArray[Any]:
    """Return raw bytes as an array of the machine's byte order; there must be exactly as many as the shape takes."""
    expected = count_of(shape, dtype.itemsize, where) * dtype.itemsize
    if len(data) != expected:
        raise FormatError(
            f"{where}: {shown(shape)} numbers of {dtype.name} are {expected:,} bytes, there are {len(data):,}; "
            "the file is cut off or its header is wrong"
        )
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def from_text(text: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], where: str) -> npt.NDArray[Any]:
    """Return numbers written as text, separated by blanks, commas or line ends."""
    expected = count_of(shape, dtype.itemsize, where)
    words = text.replace(b",", b" ").split()
    if len(words) != expected:
        raise FormatError(f"{where}: expected {expected:,} numbers, there are {len(words):,}; the file is cut off")
    try:
        if dtype.kind == "f":
            return np.array([float(word) for word in words], dtype.newbyteorder("=")).reshape(shape)
        return np.array([_whole(word) for word in words], dtype.newbyteorder("=")).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise FormatError(
            f"{where}: a number in it is no {dtype.name} ({brief(error)}); the file is damaged"
        ) from error


def _whole(word: bytes) -> int:
    """Return a whole number, also one that is written with a decimal point."""
    try:
        return int(word)
    except ValueError:
        number = float(word)
        if not number.is_integer():
            raise
        return int(number)


def grid(
    values: npt.NDArray[Any],
    *,
    spacing: Sequence[float] = (),
    components: bool = False,
    notes: Iterable[str] = (),
    where: str,
) -> Grid:
    """Return an array of a file as a grid.

    Parameters
    ----------
    values
        Two to four axes, the slowest first. Two are one channel.
    spacing
        Of the last three axes; what is not a positive number counts as 1.
    components
        Whether the last axis holds the components of a voxel (colours, a vector) rather than columns.
    notes, where
        What else is to be said, and what the file is called.
    """
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        raise FormatError(f"{where}: a volume is of integers or floats up to 64 bits, this one is of {values.dtype}")
    said = list(notes)
    if components:
        values = values[..., 0] if values.shape[-1] == 1 else _components_second(values)
    while values.ndim > 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 2:
        values = values[None]
    if values.ndim not in _LAYOUT:
        raise FormatError(f"{where}: a volume has three axes (or four), this array has the shape {values.shape}")
    count_of(values.shape, values.dtype.itemsize, where)
    if values.ndim == 4:
        said.append(f"its four axes {shown(values.shape)} are taken as {_LAYOUT[4]}")
    kept = [float(step) if isfinite(step) and step > 0 else 1.0 for step in list(spacing)[-3:]]
    z, y, x = [1.0] * (3 - len(kept)) + kept
    return Grid(values, (z, y, x), tuple(said))


def _components_second(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    values = values if values.ndim > 3 else values[None]
    return np.moveaxis(values, -1, 1) if values.ndim == 4 else values


def storable(values: npt.NDArray[Any], kinds: Mapping[str, str]) -> npt.NDArray[Any]:
    """Return an array in a type that a format has: half precision becomes single, truth values become bytes."""
    if values.dtype.name in kinds:
        return values
    wider = {"float16": np.float32, "bool": np.uint8}.get(values.dtype.name)
    if wider is None:
        raise InputError(f"a volume of {values.dtype} cannot be written; convert it to float32 first")
    return values.astype(wider)


def little(values: npt.NDArray[Any]) -> bytes:
    """Return the bytes of an array, its last axis fastest, the lowest byte of each number first."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def inflate(data: bytes, codec: str, expected: int, where: str) -> bytes:
    """Unpack bytes to exactly so many: a decompression bomb is cut off where it exceeds them.

    Parameters
    ----------
    data
        The packed bytes; several streams behind each other are one.
    codec
        ``gzip``, ``zlib``, ``bzip2`` or ``lzma``.
    expected
        How many bytes must come out.
    where
        What the file is called.

    Raises
    ------
    FormatError
        If it cannot be unpacked, or to another number of bytes.
    """
    made, size, left = [], 0, memoryview(data)  # a view: many small streams must not be copied again for each
    try:
        while left and size < expected:  # what stands behind the numbers does not matter
            one, left = _one_stream(left, codec, expected + 1 - size)
            made.append(one)
            size += len(one)
    except (zlib.error, OSError, lzma.LZMAError, ValueError, EOFError) as error:
        raise FormatError(
            f"{where}: its {codec} stream cannot be unpacked ({brief(error)}); the file is damaged"
        ) from error
    if size != expected:
        more = "more" if size > expected else f"{size:,}"
        raise FormatError(f"{where}: its numbers unpack to {more}, not {expected:,} bytes; the file is damaged")
    return b"".join(made)


def _one_stream(data: memoryview, codec: str, most: int) -> tuple[bytes, memoryview]:
    """Unpack one stream to at most so many bytes; return them and the bytes behind the stream."""
    packed = _unpacker(codec)
    made, size, end = [], 0, 0
    while not packed.eof and size < most and end < len(data):
        part = data[end : end + _FED]
        end += len(part)
        made.append(packed.decompress(part, most - size))
        size += len(made[-1])
    if not packed.eof and size < most:
        raise EOFError("it ends too early")
    end -= len(packed.unused_data)
    filled = packed.eof
    while filled and end < len(data):  # what tapes and archives are filled up with
        part = data[end : end + _FED]
        blank = len(part) - len(bytes(part).lstrip(b"\0"))
        end, filled = end + blank, blank == len(part)
    return b"".join(made), data[end:] if packed.eof else data[:0]


def _unpacker(codec: str) -> Any:
    if codec in ("gzip", "zlib"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16 if codec == "gzip" else zlib.MAX_WBITS)
    return bz2.BZ2Decompressor() if codec == "bzip2" else lzma.LZMADecompressor(memlimit=256 << 20)


def from_base64(text: bytes, where: str) -> bytes:
    """Return what base64 stands for, also where several encoded pieces stand behind each other."""
    packed = b"".join(text.split())
    try:
        out = [base64.b64decode(piece[0], validate=True) for piece in _PIECE.finditer(packed)]
    except binascii.Error as error:
        raise FormatError(f"{where}: its base64 cannot be read ({brief(error)}); the file is damaged") from error
    return b"".join(out)
