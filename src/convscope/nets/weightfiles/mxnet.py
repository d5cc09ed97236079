"""Weights in MXNet's files of arrays: ``.params``, and the old ``.param`` and ``.ndarray``.

A list of arrays and a list of their names, both with their lengths; the layout of an array changed three times
(``src/ndarray/ndarray.cc`` of MXNet, ``NDArray::Load`` and ``LegacyLoad``):

=================  =====================================================================================
begins with        then
=================  =====================================================================================
``0xF993FAC8``, V1  axes (uint32), lengths (int64 each), device (2 × int32), type (int32), numbers
``0xF993FAC9``, V2  storage (int32, 0 is dense), then as V1
``0xF993FACA``, V3  as V2, but no axes is a number of its own, and −1 axes an array that is not there
anything else      it is the number of axes, lengths (uint32 each), then as V1
=================  =====================================================================================
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np

from convscope.nets.weightfiles.base import Array, Mapped, Weights, check_count, count, from_bytes

MAGIC: Final = struct.pack("<Q", 0x112)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DTYPES: Final = {
    0: "<f4",
    1: "<f8",
    2: "<f2",
    3: "u1",
    4: "<i4",
    5: "i1",
    6: "<i8",
    7: "?",
    8: "<i2",
    9: "<u2",
    10: "<u4",
    11: "<u8",
    12: "bfloat16",
}
_MAXIMUM_AXES: Final = 32


def read_mxnet(path: Path) -> Weights:
    """Return the arrays of a file of MXNet, under its names (``arg:conv0_weight``, ``aux:bn0_moving_mean``).

    A file without names, as ``mx.nd.save`` writes for a list, gives ``"0"``, ``"1"``, …. Convolution kernels are
    ``(O, I, kh, kw)`` and linear weights ``(out, in)`` in MXNet itself.
    """
    with Mapped(path) as view:
        return _Cursor(view).arrays()


class _Cursor:
    """A place in the bytes that moves on with what is read."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def arrays(self) -> Weights:
        if self._take(8) != MAGIC:
            raise ValueError("it is not a file of MXNet's arrays")
        self._take(8)
        arrays = [self._array(f"array {i}") for i in range(self._count())]
        names = [self._name() for _ in range(self._count())]
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at:,} bytes follow its end")
        if names and len(names) != len(arrays):
            raise ValueError(f"it has {len(arrays)} arrays and {len(names)} names")
        named = zip(names or map(str, range(len(arrays))), arrays, strict=True)
        found = {name: array for name, array in named if array is not None}
        if names and len(set(names)) < len(names):
            raise ValueError("two of its arrays have the same name")
        return found

    def _array(self, name: str) -> Array | None:
        version = self._number("<I")
        if version in {_V2, _V3} and (storage := self._number("<i")) != 0:
            raise ValueError(f"{name} is sparse (storage {storage}); save it dense: array.tostype('default')")
        shape = self._shape(version)
        if shape is None or (shape == () and version != _V3):
            return None
        self._take(8)  # the device it was on
        code = self._number("<i")
        if code not in _DTYPES:
            raise ValueError(f"{name} is of type {code}, which is not read")
        dtype = _DTYPES[code]
        itemsize = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
        return from_bytes(name, self._take(count(shape) * itemsize), dtype, shape)

    def _shape(self, version: int) -> tuple[int, ...] | None:
        if version not in {_V1, _V2, _V3}:
            return self._lengths(version, "I")
        axes = self._number("<i")
        return None if axes == -1 else self._lengths(axes, "q")

    def _lengths(self, axes: int, code: str) -> tuple[int, ...]:
        if not 0 <= axes <= _MAXIMUM_AXES:
            raise ValueError(f"an array of {axes} axes is none")
        shape = struct.unpack(f"<{axes}{code}", self._take(axes * struct.calcsize(code)))
        if min(shape, default=0) < 0:
            raise ValueError(f"an array of shape {shape} is none")
        return shape

    def _name(self) -> str:
        return bytes(self._take(self._number("<Q"))).decode()

    def _count(self) -> int:
        found = self._number("<Q")
        check_count(found)
        return found

    def _number(self, layout: str) -> int:
        number: int = struct.unpack(layout, self._take(struct.calcsize(layout)))[0]
        return number

    def _take(self, size: int) -> memoryview:
        end = self._at + size
        if end > len(self._data):
            raise ValueError(f"it ends at byte {len(self._data):,}, in the middle of something that ends at {end:,}")
        taken, self._at = self._data[self._at : end], end
        return taken
