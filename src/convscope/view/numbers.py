"""Numbers as an export packs them: cut into blocks of rows, halved where that is exact enough, in planes of bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

ROWS_BYTES: Final = 1 << 20
"""About how large a block of numbers is before it is compressed: a view that wants some rows unpacks no more."""
_WIDTHS: Final = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "I16": 2, "U16": 2}


def width_of(dtype: str) -> int:
    """Return how many bytes a number of a type has, by its name in safetensors."""
    return _WIDTHS.get(dtype, 1)


def size_of(info: Mapping[str, Any]) -> int:
    """Return how many bytes an array has, by what describes it."""
    return int(math.prod(info["shape"])) * width_of(info["dtype"])


def pieces(shape: list[int], width: int, *, whole: bool) -> tuple[list[slice | None], int]:
    """Return which rows of an array are a block each, and how many these are."""
    rows = max(1, ROWS_BYTES // max(1, width * math.prod(shape[1:])))
    if whole or not shape or shape[0] <= rows:
        return [None], shape[0] if shape else 0
    return [slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)], rows


def halves_well(array: npt.NDArray[Any]) -> bool:
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
