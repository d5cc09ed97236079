"""NPY, numpy's own arrays (NEP 1), and NPZ with one of them. Pickles are never read.

Written: NPY as numpy writes it; NPZ with one array called ``volume``, packed.
"""

from __future__ import annotations

import ast
import io
import re
import struct
import tokenize
import zipfile
from typing import Any, Final

import numpy as np

from convscope.errors import FormatError
from convscope.formats.grid import MAX_BYTES, Files, Grid, Hints, brief, count_of, grid, the_file

TYPES: Final = {
    **{f"{sign}int{bits}": "" for bits in (8, 16, 32, 64) for sign in ("", "u")},
    **{f"float{bits}": "" for bits in (16, 32, 64)},
    "bool": "",
}
_MAGIC: Final = b"\x93NUMPY"
_NUMBERS: Final = re.compile("[<>|=]?(b1|[iu][1248]|f[248])")
"""Types that are read: a type of Python objects or records is none of them."""
_LONGEST_HEADER: Final = 10_000
_TITLE: Final = "volume"


def decode(files: Files, name: str, hints: Hints) -> Grid:  # noqa: ARG001 - as every format
    """Return the array in a ``.npy`` file, or the only one in a ``.npz`` file.

    Raises
    ------
    FormatError
        If it is none, is damaged, holds Python objects or (``.npz``) several arrays.
    """
    data = the_file(files, name)
    if name.lower().endswith(".npz"):
        return grid(_array(_member(data, name), name), where=name)
    return grid(_array(data, name), where=name)


def encode(made: Grid, name: str) -> dict[str, bytes]:
    """Return a ``.npy`` file, or a ``.npz`` file with one array."""
    out = io.BytesIO()
    np.lib.format.write_array(out, np.ascontiguousarray(made.values), allow_pickle=False)
    if not name.lower().endswith(".npz"):
        return {name: out.getvalue()}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(zipfile.ZipInfo(f"{_TITLE}.npy"), out.getvalue(), zipfile.ZIP_DEFLATED)
    return {name: archive.getvalue()}


def _member(data: bytes, name: str) -> bytes:
    """Unpack the only array of a ``.npz`` file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = [member for member in packed.infolist() if member.filename.endswith(".npy")]
            if len(members) != 1:
                titles = ", ".join(member.filename.removesuffix(".npy") for member in members[:8])
                raise FormatError(f"{name} holds {len(members)} arrays ({titles[:100]}); save the one that is wanted")
            with packed.open(members[0]) as file:
                out = file.read(MAX_BYTES + _LONGEST_HEADER)
                if len(out) >= MAX_BYTES + _LONGEST_HEADER:
                    raise FormatError(f"{name} unpacks to more than the {MAX_BYTES >> 30} GiB read here; cut it")
                return out
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{name} cannot be unpacked ({brief(error)}); it is no .npz file, or damaged") from error
    except Exception as error:  # zlib.error, lzma.LZMAError: what a damaged member raises
        raise FormatError(f"{name} cannot be unpacked ({brief(error)}); it is damaged") from error


def _array(data: bytes, name: str) -> Any:
    """Return the array whose header and numbers these bytes are; nothing is allocated before they are compared."""
    shape, fortran, dtype, start = _header(data, name)
    expected = count_of(shape, dtype.itemsize, name) * dtype.itemsize
    if len(data) - start != expected:
        raise FormatError(
            f"{name}: its numbers take {expected:,} bytes, there are {len(data) - start:,}; it is cut off or damaged"
        )
    array = np.frombuffer(data, dtype, offset=start).astype(dtype.newbyteorder("="), copy=False)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _header(data: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether the first axis is fastest, the type, and where the numbers start."""
    if data[:6] != _MAGIC or len(data) < 12 or data[6] not in (1, 2, 3):
        raise FormatError(f"{name} starts with {data[:8]!r}; it is no .npy file")
    width = 2 if data[6] == 1 else 4
    (length,) = struct.unpack_from("<H" if width == 2 else "<I", data, 8)
    start = 8 + width + length
    if length > _LONGEST_HEADER or start > len(data):
        raise FormatError(f"{name}: its header is said to have {length:,} bytes; it is damaged")
    try:
        said = ast.literal_eval(data[8 + width : start].decode("latin-1").strip())
        shape, kind, fortran = tuple(said["shape"]), said["descr"], bool(said["fortran_order"])
        if not all(type(size) is int for size in shape):
            raise ValueError("its shape is not of whole numbers")
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError) as error:
        raise FormatError(f"{name}: its header cannot be read ({brief(error)}); it is damaged") from error
    if not isinstance(kind, str) or not _NUMBERS.fullmatch(kind):
        raise FormatError(f"{name} holds no plain numbers ({str(kind)[:40]}) and is not opened; save the numbers alone")
    return shape, fortran, np.dtype(kind), start
