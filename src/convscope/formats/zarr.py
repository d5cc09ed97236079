"""Zarr, version 2 and 3 (https://zarr-specs.readthedocs.io): one array in chunks, or a group that holds one.

Read: both versions, all numeric types, gzip, zlib, bzip2 and lzma by Python itself; blosc, zstd and lz4 where numcodecs
is installed (``pip install zarr``). Written: version 3, gzip, chunks of about a megabyte. No sharding.
"""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats.crc32c import crc32c
from convscope.formats.grid import (
    AXES,
    MAX_HEADER,
    Files,
    Grid,
    Hints,
    brief,
    count_of,
    grid,
    inflate,
    little,
    numbers,
    shown,
    storable,
)

TYPES: Final = {
    **{f"{sign}int{bits}": "" for bits in (8, 16, 32, 64) for sign in ("", "u")},
    **{f"float{bits}": "" for bits in (16, 32, 64)},
    "bool": "",
}
Order = Literal["<", ">"]
_STANDARD: Final = {"gzip": "gzip", "zlib": "zlib", "bz2": "bzip2", "lzma": "lzma"}
_FURTHER: Final = ("blosc", "zstd", "lz4")
_MOST_CHUNKS: Final = 1 << 17
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class _Array:
    """What the metadata of either version say."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    codecs: tuple[Mapping[str, Any], ...]
    """In the order in which chunks are unpacked: bytes to bytes."""
    axes: tuple[int, ...]
    """How the axes lie in a chunk, the slowest first."""
    prefix: str
    separator: str
    spacing: tuple[float, ...] = ()

    def key(self, index: tuple[int, ...]) -> str:
        """Return the name of a chunk's file."""
        return self.prefix + (self.separator.join(str(number) for number in index) or "0")


def decode(files: Files, name: str, hints: Hints) -> Grid:  # noqa: ARG001 - as every format
    """Return the volume in a Zarr folder.

    Raises
    ------
    FormatError
        If it is no Zarr array, is damaged, or is packed by what is not installed.
    """
    folder, notes = _where(files, name)
    array = _metadata(files, folder, name)
    count_of(array.shape, array.dtype.itemsize, name)
    count_of(array.chunks, array.dtype.itemsize, f"{name}, a chunk")
    spans = [range(-(-size // step)) for size, step in zip(array.shape, array.chunks, strict=True)]
    if prod(len(span) for span in spans) > _MOST_CHUNKS:
        raise FormatError(f"{name} has more than {_MOST_CHUNKS:,} chunks; it is damaged, or save it in larger ones")
    found = ((index, files.read(f"{folder}/{array.key(index)}")) for index in product(*spans))
    values = None
    for index, data in found:
        if data is not None:
            values = _filled(array, name) if values is None else values
            _place(values, _chunk(data, array, name), index)
    if values is None:
        raise FormatError(f"{name} has none of its chunks; there is nothing to show")
    return grid(values, spacing=array.spacing, notes=notes, where=name)


def encode(made: Grid, name: str) -> dict[str, bytes]:
    """Return the files of a Zarr folder, version 3."""
    values = storable(made.values, TYPES)
    deep = max(1, min(len(values), _CHUNK_BYTES // max(1, values[0].nbytes)))
    chunks = (deep, *values.shape[1:])
    described = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(values.shape),
        "data_type": values.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": False if values.dtype.kind == "b" else 0,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "gzip", "configuration": {"level": 5}},
        ],
        "dimension_names": list(AXES if values.ndim == 3 else (AXES[0], "input", *AXES[1:])),
        "attributes": {"spacing": list(made.spacing)},
    }
    written = {f"{name}/zarr.json": json.dumps(described, indent=1).encode()}
    zeros = ("0",) * (values.ndim - 1)
    for number, start in enumerate(range(0, len(values), deep)):
        chunk = values[start : start + deep]
        if len(chunk) < deep:  # every chunk is whole; what is beyond the array does not count
            chunk = np.concatenate([chunk, np.zeros((deep - len(chunk), *values.shape[1:]), values.dtype)])
        key = "/".join((name, "c", str(number), *zeros))
        written[key] = gzip.compress(little(chunk), 5, mtime=0)
    return written


def is_zarr(files: Files, name: str) -> bool:
    """Return whether a folder holds Zarr metadata."""
    return any(file in files.names(name) for file in ("zarr.json", ".zarray", ".zgroup"))


def _filled(array: _Array, name: str) -> npt.NDArray[Any]:
    """Return the array as it is where there are no chunks."""
    try:
        with np.errstate(invalid="raise"):
            return np.full(array.shape, array.fill, array.dtype.newbyteorder("="))
    except (ValueError, TypeError, ArithmeticError) as error:
        raise FormatError(f"{name}: its fill value {str(array.fill)[:40]} is no {array.dtype.name}") from error


def _where(files: Files, name: str) -> tuple[str, list[str]]:
    """Return the folder of the array: this one, or the only one in a group."""
    found = files.names(name)
    if ".zarray" in found or ("zarr.json" in found and _json(files, f"{name}/zarr.json").get("node_type") == "array"):
        return name, []
    arrays = [one for one in found if _is_array(files, f"{name}/{one}")]
    if len(arrays) != 1:
        titles = f" ({', '.join(arrays[:8])[:100]}); give one of them: {name}/{arrays[0]}" if arrays else ""
        raise FormatError(f"{name} holds {len(arrays) or 'no'} Zarr arrays{titles}")
    return f"{name}/{arrays[0]}", [f"its array {arrays[0]!r} is taken"]


def _is_array(files: Files, folder: str) -> bool:
    found = files.names(folder)
    return ".zarray" in found or (
        "zarr.json" in found and _json(files, f"{folder}/zarr.json").get("node_type") == "array"
    )


def _json(files: Files, name: str) -> dict[str, Any]:
    data = files.read(name) or b""
    try:
        if len(data) > MAX_HEADER:
            raise ValueError("it is larger than a megabyte")
        said = json.loads(data)
        if not isinstance(said, dict):
            raise TypeError("it is no object")
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"{name} is no Zarr metadata ({brief(error)}); it is damaged") from error
    return said


def _metadata(files: Files, folder: str, name: str) -> _Array:
    second = ".zarray" in files.names(folder)
    said = _json(files, f"{folder}/.zarray" if second else f"{folder}/zarr.json")
    try:
        array = _version_2(said) if second else _version_3(said)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        if isinstance(error, FormatError):
            raise FormatError(f"{name}: {error}") from error
        raise FormatError(f"{name}: its metadata are not those of a Zarr array ({brief(error)})") from error
    if len(array.chunks) != len(array.shape) or sorted(array.axes) != list(range(len(array.shape))):
        raise FormatError(f"{name}: its chunks {shown(array.chunks)} do not fit its shape {shown(array.shape)}")
    return array


def _version_2(said: Mapping[str, Any]) -> _Array:
    if said.get("filters"):
        raise FormatError("its chunks went through filters, which are not read here; save them without")
    shape = _sizes(said["shape"])
    packed = said["compressor"]
    axes = tuple(range(len(shape)))
    return _Array(
        shape,
        _sizes(said["chunks"]),
        _dtype(said["dtype"], "<"),
        _fill(said.get("fill_value")),
        ({**packed, "name": packed["id"]},) if packed else (),
        axes[::-1] if said.get("order") == "F" else axes,
        "",
        _separator(said.get("dimension_separator", ".")),
    )


def _version_3(said: Mapping[str, Any]) -> _Array:
    shape = _sizes(said["shape"])
    if said["chunk_grid"]["name"] != "regular":
        raise FormatError(f"its chunks are {said['chunk_grid']['name']!r}, only regular ones are read here")
    keys = said["chunk_key_encoding"]
    default = keys["name"] == "default"
    separator = _separator(keys.get("configuration", {}).get("separator", "/" if default else "."))
    axes, order, codecs = _codecs(said["codecs"], len(shape))
    attributes = said.get("attributes") or {}
    steps = attributes.get("spacing", ())
    spacing = tuple(float(step) for step in steps) if isinstance(steps, list) and len(steps) <= 8 else ()
    return _Array(
        shape,
        _sizes(said["chunk_grid"]["configuration"]["chunk_shape"]),
        _dtype(said["data_type"], order),
        _fill(said["fill_value"]),
        codecs,
        axes,
        f"c{separator}" if default else "",
        separator,
        spacing,
    )


def _codecs(said: Sequence[Any], count: int) -> tuple[tuple[int, ...], Order, tuple[Mapping[str, Any], ...]]:
    """Return how the axes lie in a chunk, the byte order, and what unpacks the bytes, in that order."""
    axes, packed = tuple(range(count)), []
    order: Order = "<"
    known = (*_STANDARD, *_FURTHER, "crc32c")
    for codec in said:
        name, options = codec["name"], codec.get("configuration") or {}
        if name == "transpose":
            axes = tuple(axes[place] for place in _sizes(options["order"]))
        elif name == "bytes":
            order = ">" if options.get("endian") == "big" else "<"
        elif name in known:
            packed.append({**options, "name": name})
        else:
            raise FormatError(f"its chunks went through {name!r}, which is not read here; save them with gzip")
    return axes, order, tuple(reversed(packed))


def _sizes(said: Any) -> tuple[int, ...]:
    if not isinstance(said, list) or len(said) > 16 or not all(type(size) is int and size >= 0 for size in said):
        raise FormatError(f"its sizes {str(said)[:40]} are no whole numbers")
    return tuple(said)


def _dtype(said: Any, order: Order) -> np.dtype[Any]:
    """Return a type of version 2 (``<f4``) or 3 (``float32``)."""
    name = said.lstrip("<>|=") if isinstance(said, str) else ""
    short = {np.dtype(kind).str[1:]: kind for kind in TYPES}
    if name not in TYPES and name not in short:
        raise FormatError(f"numbers of type {str(said)[:40]!r} are not read here; there are: {', '.join(TYPES)}")
    return np.dtype(short.get(name, name)).newbyteorder(">" if said.startswith(">") else order)


def _fill(said: Any) -> Any:
    if isinstance(said, list | dict):
        raise FormatError(f"its fill value {str(said)[:40]} is no number")
    return 0 if said is None else float(said.replace("Infinity", "inf")) if isinstance(said, str) else said


def _separator(said: Any) -> str:
    if said not in (".", "/"):
        raise FormatError(f"the separator {str(said)[:10]!r} of its chunks is neither '.' nor '/'")
    return str(said)


def _chunk(data: bytes, array: _Array, name: str) -> npt.NDArray[Any]:
    """Unpack one chunk; its size is known beforehand."""
    size = prod(array.chunks) * array.dtype.itemsize
    checked = [place for place, codec in enumerate(array.codecs) if codec["name"] == "crc32c"]
    for place, codec in enumerate(array.codecs):
        if codec["name"] == "crc32c":
            data = _verified(data, name)
        else:  # a checksum that is packed as well adds its four bytes
            behind = sum(4 for other in checked if other > place)
            later = any(other["name"] != "crc32c" for other in array.codecs[place + 1 :])
            data = _unpack(data, codec, -1 if later else size + behind, name)
    lie = tuple(array.chunks[axis] for axis in array.axes)
    return numbers(data, array.dtype, lie, f"{name}, a chunk").transpose(np.argsort(array.axes))


def _verified(data: bytes, name: str) -> bytes:
    if len(data) < 4 or crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise FormatError(f"{name}: the checksum of a chunk is wrong; it is damaged")
    return data[:-4]


def _unpack(data: bytes, codec: Mapping[str, Any], size: int, name: str) -> bytes:
    title = str(codec["name"])
    if size < 0:
        raise FormatError(f"{name}: its chunks are packed twice, which is not read here; save them with gzip")
    if title in _STANDARD:
        return inflate(data, _STANDARD[title], size, name)
    if title not in _FURTHER:
        raise FormatError(f"{name} is packed by {title[:30]!r}, which is not read here; save it with gzip")
    try:
        further = importlib.import_module("numcodecs")
    except ImportError as error:
        raise FormatError(f"{name} is packed by {title}, which needs a package: pip install zarr") from error
    out = np.empty(size, np.uint8)  # the packed size is checked against it: no bomb goes off
    try:
        made = further.get_codec({"id": title}).decode(data, out=out)
    except Exception as error:  # numcodecs raises what its libraries give
        raise FormatError(f"{name}: a chunk cannot be unpacked by {title} ({brief(error)}); it is damaged") from error
    if np.asarray(made).nbytes != size:
        raise FormatError(f"{name}: a chunk unpacks to another size; it is damaged")
    return out.tobytes()


def _place(values: npt.NDArray[Any], chunk: npt.NDArray[Any], index: tuple[int, ...]) -> None:
    """Put a chunk into the array; the last of an axis may reach beyond it."""
    corner = [number * size for number, size in zip(index, chunk.shape, strict=True)]
    place = tuple(slice(start, start + size) for start, size in zip(corner, chunk.shape, strict=True))
    inside = values[place]
    inside[...] = chunk[tuple(slice(size) for size in inside.shape)]
