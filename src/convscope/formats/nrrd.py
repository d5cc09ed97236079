"""NRRD, the nearly raw raster data of Teem (https://teem.sourceforge.net/nrrd/format.html): attached and detached.

Read: all scalar types, both byte orders; raw, gzip, bzip2, ascii and hex; one file of data. Axes stand fastest first in
a header; here they are turned round. Written: gzip, little-endian, axes labelled column, row and channel.
"""

from __future__ import annotations

import binascii
import gzip
import math
import re
from typing import Any, Final

import numpy as np

from convscope.errors import FormatError
from convscope.formats.grid import (
    MAX_HEADER,
    Files,
    Grid,
    Hints,
    brief,
    count_of,
    from_text,
    grid,
    inflate,
    little,
    numbers,
    storable,
    the_file,
)

TYPES: Final = {
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long int",
    "uint64": "unsigned long long int",
    "float32": "float",
    "float64": "double",
}
_NAMES: Final = {
    **{written: ours for ours, written in TYPES.items()},
    **{name: name.removesuffix("_t") for bits in (8, 16, 32, 64) for name in (f"int{bits}_t", f"uint{bits}_t")},
    **{name: name for name in TYPES},
    "uchar": "uint8",
    "short int": "int16",
    "signed short": "int16",
    "signed short int": "int16",
    "ushort": "uint16",
    "unsigned short int": "uint16",
    "signed int": "int32",
    "uint": "uint32",
    "longlong": "int64",
    "long long": "int64",
    "signed long long": "int64",
    "signed long long int": "int64",
    "ulonglong": "uint64",
    "unsigned long long": "uint64",
}
_ENCODINGS: Final = {
    "raw": "raw",
    "gz": "gzip",
    "gzip": "gzip",
    "bz2": "bzip2",
    "bzip2": "bzip2",
    "txt": "ascii",
    "text": "ascii",
    "ascii": "ascii",
    "hex": "hex",
}
_SCALAR: Final = ("domain", "space", "time", "stub", "scalar", "none", "???")
"""Kinds of an axis along which there are places; along the others there are components of one voxel."""
_MOST_AXES: Final = 16


def decode(files: Files, name: str, hints: Hints) -> Grid:  # noqa: ARG001 - as every format
    """Return the volume in a ``.nrrd`` file, or in the data file that a ``.nhdr`` file names.

    Raises
    ------
    FormatError
        If it is no NRRD, is damaged, or holds what is not read here.
    """
    data = the_file(files, name)
    fields, start = _header(data, name)
    shape, dtype = _shape(fields, name), _dtype(fields, name)
    count = count_of(shape, dtype.itemsize, name)
    payload = data[start:]
    if (other := fields.get("data file", fields.get("datafile"))) is not None:
        payload = the_file(files, _single(other, name))
    values = _values(payload, fields, shape, dtype, count, name)
    spacing, kinds = _spacing(fields, len(shape)), _kinds(fields, len(shape))
    components = kinds[-1] not in _SCALAR and len(shape) > 2
    if len(shape) == 4 and kinds[0] not in _SCALAR and not components:  # the components of a voxel, slowest
        values, spacing = np.moveaxis(values, 0, 1), [spacing[1], *spacing[2:]]
    return grid(values, spacing=spacing[:-1] if components else spacing, components=components, where=name)


def encode(made: Grid, name: str) -> dict[str, bytes]:
    """Return a ``.nrrd`` file, or a ``.nhdr`` file and its ``.raw.gz``; a volume of four axes as a list per voxel."""
    values = storable(made.values, TYPES)
    axes = [("column", "domain"), ("row", "domain"), ("channel", "domain")]
    if values.ndim == 4:
        axes.insert(2, ("input", "list"))
    z, y, x = made.spacing
    directions = [f"({x},0,0)", f"(0,{y},0)", *(["none"] if values.ndim == 4 else []), f"(0,0,{z})"]
    attached = name.lower().endswith(".nrrd")
    stem = name.rpartition(".")[0]
    header = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        f"type: {TYPES[values.dtype.name]}",
        f"dimension: {values.ndim}",
        "sizes: " + " ".join(str(size) for size in reversed(values.shape)),
        "space dimension: 3",
        "space directions: " + " ".join(directions),
        "labels: " + " ".join(f'"{label}"' for label, _ in axes),
        "kinds: " + " ".join(kind for _, kind in axes),
        "endian: little",
        "encoding: gzip",
    ]
    if not attached:
        header.append(f"data file: {stem}.raw.gz")
    head = "\n".join(header).encode()
    packed = gzip.compress(little(values), 6, mtime=0)
    return {name: head + b"\n\n" + packed} if attached else {name: head + b"\n", f"{stem}.raw.gz": packed}


def _header(data: bytes, name: str) -> tuple[dict[str, str], int]:
    """Return the fields by their names in lower case, and where the numbers start."""
    if not re.match(rb"NRRD000[1-5]\r?\n", data):
        raise FormatError(f"{name} starts with {data[:12]!r}, not with NRRD0001 to NRRD0005 as a NRRD file does")
    fields: dict[str, str] = {}
    start = data.index(b"\n") + 1
    while start < len(data):
        end = data.find(b"\n", start, MAX_HEADER)
        if end < 0 and len(data) > MAX_HEADER:
            raise FormatError(f"{name} has no end of its header in the first {MAX_HEADER >> 20} MiB; it is damaged")
        end = len(data) if end < 0 else end
        line = data[start:end].decode("utf-8", "replace").strip()
        start = end + 1
        if not line:
            return fields, start
        key, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            fields[key.strip().lower()] = value.strip()
        elif not colon and not line.startswith("#"):
            raise FormatError(f"{name}: the line {line[:40]!r} of its header is no 'field: value'; it is damaged")
        if key.strip().lower() in ("data file", "datafile") and value.strip().startswith("LIST"):
            raise _several(name)
    return fields, len(data)


def _shape(fields: dict[str, str], name: str) -> tuple[int, ...]:
    """Return the sizes, slowest axis first."""
    words = _words(fields, "sizes", name)
    if not words or not all(re.fullmatch(r"\d{1,18}", word) for word in words) or len(words) > _MOST_AXES:
        raise FormatError(f"{name}: its sizes {' '.join(words)[:60]!r} are no whole numbers; its header is damaged")
    said = _words(fields, "dimension", name)
    if said != [str(len(words))]:
        raise FormatError(f"{name}: its dimension {' '.join(said)[:20]!r} does not fit its {len(words)} sizes")
    return tuple(int(word) for word in reversed(words))


def _words(fields: dict[str, str], field: str, name: str) -> list[str]:
    if field not in fields:
        raise FormatError(f"{name}: its header does not say {field!r}; it is no complete NRRD file")
    return fields[field].split()


def _dtype(fields: dict[str, str], name: str) -> np.dtype[Any]:
    kind = " ".join(_words(fields, "type", name)).lower()
    if kind not in _NAMES:
        raise FormatError(f"{name}: numbers of type {kind[:40]!r} are not read here; there are: {', '.join(TYPES)}")
    dtype = np.dtype(_NAMES[kind])
    endian = fields.get("endian", "").lower()
    if dtype.itemsize > 1 and endian not in ("little", "big") and _encoding(fields, name) != "ascii":
        raise FormatError(f"{name}: its header does not say whether the numbers are little or big endian")
    return dtype.newbyteorder(">" if endian == "big" else "<")


def _encoding(fields: dict[str, str], name: str) -> str:
    said = " ".join(_words(fields, "encoding", name)).lower()
    if said not in _ENCODINGS:
        raise FormatError(f"{name}: the encoding {said[:20]!r} is not read here; save it as raw or gzip")
    return _ENCODINGS[said]


def _single(said: str, name: str) -> str:
    """Return the one data file a header names."""
    if said.startswith("LIST") or re.search(r"%\d*d", said):
        raise _several(name)
    return said.removeprefix("./")


def _several(name: str) -> FormatError:
    return FormatError(f"{name}: its numbers lie in several files; join them first: unu save -f nrrd -i IN -o OUT.nrrd")


def _values(
    payload: bytes, fields: dict[str, str], shape: tuple[int, ...], dtype: np.dtype[Any], count: int, name: str
) -> Any:
    encoding = _encoding(fields, name)
    lines, skipped = _skips(fields, name)
    start = 0
    for _ in range(lines):
        start = payload.find(b"\n", start) + 1
        if not start:
            raise FormatError(f"{name}: it has fewer than the {lines} lines to skip; its header is damaged")
    payload = payload[start:]
    size = count * dtype.itemsize
    if encoding in ("gzip", "bzip2"):  # bytes are skipped of what comes out
        before = max(skipped, 0)
        return numbers(inflate(payload, encoding, before + size, name)[before:], dtype, shape, name)
    payload = payload[-size:] if skipped == -1 else payload[skipped:]
    if encoding == "raw":
        return numbers(payload, dtype, shape, name)
    if encoding == "ascii":
        return from_text(payload, dtype, shape, name)
    try:
        return numbers(binascii.unhexlify(b"".join(payload.split())), dtype, shape, name)
    except binascii.Error as error:
        raise FormatError(
            f"{name}: its hexadecimal numbers cannot be read ({brief(error)}); the file is damaged"
        ) from error


def _skips(fields: dict[str, str], name: str) -> tuple[int, int]:
    """Return how many lines and bytes stand before the numbers; -1 bytes mean all but those of the numbers."""
    lines = fields.get("line skip", fields.get("lineskip", "0"))
    skipped = fields.get("byte skip", fields.get("byteskip", "0"))
    if not re.fullmatch(r"\d{1,5}", lines) or not re.fullmatch(r"-1|\d{1,9}", skipped):
        raise FormatError(f"{name}: it skips {lines[:20]!r} lines and {skipped[:20]!r} bytes; its header is damaged")
    return int(lines), int(skipped)


def _spacing(fields: dict[str, str], axes: int) -> list[float]:
    """Return the distance of two voxels along each axis, slowest first; 1 where it is not said."""
    vectors = re.findall(r"none|\([^()]{0,200}\)", fields.get("space directions", ""))
    if len(vectors) == axes:
        return [_length(vector) for vector in reversed(vectors)]
    words = fields.get("spacings", "").split()
    return [_float(word) for word in reversed(words)] if len(words) == axes else [1.0] * axes


def _length(vector: str) -> float:
    parts = [_float(part) for part in vector.strip("()").split(",")]
    return math.hypot(*parts) if vector != "none" else 1.0


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _kinds(fields: dict[str, str], axes: int) -> list[str]:
    """Return what each axis is, slowest first."""
    kinds = fields.get("kinds", "").lower().split()
    return list(reversed(kinds)) if len(kinds) == axes else ["domain"] * axes
