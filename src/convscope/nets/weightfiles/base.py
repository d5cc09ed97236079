"""What all formats of weights share: the arrays' form, the layout of kernels, the limits on hostile files."""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Weights = dict[str, Array]

MAXIMUM_ARRAYS: Final = 100_000
EXPANSION: Final = 100
"""A compressed file may hold this many times its own size (and 16 MB): zeros of pruned networks do, bombs hold more."""
_SLACK: Final = 1 << 24


def numbers(name: str, array: Array) -> Array:
    """Return an array in the machine's byte order, or say that it does not hold numbers."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ValueError(f"{name!r} holds {array.dtype}, not numbers of up to 64 bits")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def from_bytes(name: str, data: bytes | memoryview, dtype: str, shape: tuple[int, ...]) -> Array:
    """Return bytes that must be exactly an array of that type and shape, as an array of its own.

    ``bfloat16``, which numpy lacks, becomes float32; no bit is lost.
    """
    stored = np.dtype("<u2" if dtype == "bfloat16" else dtype)
    if min(shape, default=0) < 0 or count(shape) * stored.itemsize != len(data):
        raise ValueError(f"{name!r} of shape {shape} and type {dtype} does not fit into {len(data)} bytes")
    array = np.frombuffer(data, stored).reshape(shape)
    if dtype == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(stored.newbyteorder("="))


def count(shape: Iterable[int]) -> int:
    """Return how many elements a shape has; as a Python integer, which does not overflow."""
    total = 1
    for length in shape:
        total *= int(length)
    return total


def output_first(kernel: Array) -> Array:
    """Turn a kernel ``(kh, kw, I, O)`` of Keras or Flax to ``(O, I, kh, kw)``, a linear one to ``(out, in)``.

    The axes of space stay in their order. Of transposed convolutions, whose kernels are ``(kh, kw, O, I)`` there, this
    makes the ``(I, O, kh, kw)`` of torch.
    """
    if kernel.ndim < 2:
        return kernel
    last = kernel.ndim - 1
    return np.ascontiguousarray(kernel.transpose(last, last - 1, *range(last - 1)))


def depthwise_output_first(kernel: Array) -> Array:
    """Turn a depthwise kernel ``(kh, kw, I, m)`` to that of a convolution in ``I`` groups, ``(I·m, 1, kh, kw)``."""
    if kernel.ndim != 4:
        raise ValueError(f"a depthwise kernel has 4 axes, this one {kernel.ndim}")
    rows, columns, inputs, multiplier = kernel.shape
    return np.ascontiguousarray(kernel.transpose(2, 3, 0, 1)).reshape(inputs * multiplier, 1, rows, columns)


def turned(weights: Weights) -> Weights:
    """Turn the arrays called ``kernel``, as Keras and Flax call them; all others are as the file has them."""
    return {
        name: output_first(array) if name.replace(".", "/").rpartition("/")[2] == "kernel" else array
        for name, array in weights.items()
    }


def check_count(found: int) -> None:
    """Refuse a file that claims more arrays than any network has."""
    if found > MAXIMUM_ARRAYS:
        raise ValueError(f"it claims {found:,} arrays; at most {MAXIMUM_ARRAYS:,} are read")


def check_expansion(expanded: int, size: int) -> None:
    """Refuse a file of ``size`` bytes that claims to hold more than a file of weights can."""
    if expanded > EXPANSION * size + _SLACK:
        raise ValueError(f"{size:,} bytes that claim to hold {expanded:,} are not weights; unpack it if you trust it")


def check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse a zip archive that is a bomb, before anything in it is unpacked."""
    members = archive.infolist()
    check_count(len(members))
    check_expansion(sum(member.file_size for member in members), size)
    for member in members:
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError(f"{member.filename!r} is packed in a way that is not read; write it with plain zip")


class Mapped:
    """A file's bytes without a copy of them in memory; closed when it is left."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> memoryview:
        with self._path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise ValueError("the file is empty") from error
        self._view = memoryview(self._map)
        return self._view

    def __exit__(self, *_: object) -> None:
        # What still points into the map (after an error, a traceback) keeps it; nothing is lost by that.
        try:
            self._view.release()
            self._map.close()
        except BufferError:
            pass
