"""Arrays as the bytes of a safetensors file, block by block: what is mapped from a disk is never whole in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from convscope.errors import InputError

BLOCK: Final = 8 << 20
"""About so many bytes are in memory at a time."""
DTYPES: Final = {
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bool": "BOOL",
}
"""numpy's names of types and those of safetensors."""


def wired(arrays: Mapping[str, Any]) -> Iterator[memoryview]:
    """Yield named arrays as the bytes of a safetensors file, little-endian, larger types first so that all are aligned.

    Raises
    ------
    InputError
        If an array's type has no place in safetensors.
    """
    kept = {name: array if hasattr(array, "shape") else np.asarray(array) for name, array in arrays.items()}
    types = {name: dtype_of(name, array) for name, array in kept.items()}
    order = sorted(kept, key=lambda name: (-kept[name].dtype.itemsize, name))
    header: dict[str, Any] = {}
    end = 0
    for name in order:
        start, end = end, end + int(np.prod(kept[name].shape, dtype=np.int64)) * kept[name].dtype.itemsize
        header[name] = {"dtype": types[name], "shape": list(kept[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for name in order:
        yield from _blocks(kept[name])


def dtype_of(name: str, array: Any) -> str:
    """Return what safetensors calls an array's type."""
    if array.dtype.name not in DTYPES:
        raise InputError(f"array {name!r} has dtype {array.dtype}, which cannot be stored; use {', '.join(DTYPES)}")
    return DTYPES[array.dtype.name]


def _blocks(array: Any) -> Iterator[memoryview]:
    dtype = array.dtype.newbyteorder("<")
    rows = len(array) if array.shape else 1
    row = int(np.prod(array.shape[1:], dtype=np.int64)) * dtype.itemsize
    step = max(1, BLOCK // max(1, row))
    for start in range(0, rows, step):
        part = np.asarray(array[start : start + step] if array.shape else array, dtype)
        yield np.ascontiguousarray(part).reshape(-1).view(np.uint8).data
