"""TensorBoard's ``TensorProto``: arrays and lists of byte strings, to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError
from convscope.formats import wire

_DT_STRING: Final = 7
_MOST_REPEATED: Final = 1 << 22

# the code of each type -> numpy's type, and the field that lists its values one by one
_DTYPES: Final = {
    1: ("<f4", 5),
    2: ("<f8", 6),
    3: ("<i4", 7),
    4: ("<u1", 7),
    5: ("<i2", 7),
    6: ("<i1", 7),
    8: ("<c8", 9),
    9: ("<i8", 10),
    10: ("?", 11),
    17: ("<u2", 7),
    18: ("<c16", 12),
    19: ("<f2", 13),
    22: ("<u4", 16),
    23: ("<u8", 17),
}
_BFLOAT16: Final = 14
_UINT32_LIST: Final = 16
_CODES: Final = {np.dtype(dtype): code for code, (dtype, _) in _DTYPES.items()}


def encode_tensor(array: npt.NDArray[Any]) -> bytes:
    """Return an array as ``TensorProto``.

    >>> decode_tensor(encode_tensor(np.arange(6).reshape(2, 3))).shape
    (2, 3)

    Raises
    ------
    InputError
        If TensorBoard has no type for its elements.
    """
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _CODES:
        raise InputError(f"a tensor of dtype {array.dtype} has no place in an event file; convert it to float32")
    content = np.ascontiguousarray(array).astype(dtype, copy=False).tobytes()
    return wire.integer(1, _CODES[dtype]) + encode_shape(array.shape) + wire.chunk(4, content)


def encode_strings(items: Sequence[bytes], shape: tuple[int, ...] | None = None) -> bytes:
    """Return byte strings as ``TensorProto``, of shape ``(len(items),)`` by default."""
    shape = (len(items),) if shape is None else shape
    return wire.integer(1, _DT_STRING) + encode_shape(shape) + b"".join(wire.chunk(8, item) for item in items)


def encode_shape(shape: tuple[int, ...]) -> bytes:
    """Return a shape as the field ``tensor_shape`` of a ``TensorProto``."""
    return wire.chunk(2, b"".join(wire.chunk(2, wire.integer(1, size)) for size in shape))


def decode_tensor(data: bytes) -> npt.NDArray[Any] | list[bytes]:
    """Return a ``TensorProto`` as an array, or as a list of byte strings."""
    code, content = 0, b""
    shape: tuple[int, ...] = ()
    lists: dict[int, list[wire.Payload]] = {}
    for number, _, payload in wire.fields(data):
        if number == 1:
            code = wire.as_integer(payload)
        elif number == 2:
            shape = _shape(wire.as_bytes(payload))
        elif number == 4:
            content = wire.as_bytes(payload)
        else:
            lists.setdefault(number, []).append(payload)
    if code == _DT_STRING:
        return [wire.as_bytes(item) for item in lists.get(8, [])]
    dtype, listed = _DTYPES.get(19 if code == _BFLOAT16 else code, ("", 0))
    if not dtype:
        raise FormatError(f"a tensor has type {code}, which is not read here")
    numbers = lists.get(listed) or lists.get(_UINT32_LIST, [])  # where torch puts its bytes
    values = wire.as_array(content, dtype) if content else _listed(numbers, dtype)
    if code == _BFLOAT16 and values.dtype == np.float16:  # the upper half of a float32
        values = (values.view("<u2").astype("<u4") << np.uint32(16)).view("<f4")
    return _shaped(values if code == _BFLOAT16 else values.astype(dtype, copy=False), shape)


def _shape(data: bytes) -> tuple[int, ...]:
    dims = [wire.as_bytes(payload) for number, _, payload in wire.fields(data) if number == 2]
    return tuple(sum(wire.as_integer(size) for n, _, size in wire.fields(dim) if n == 1) for dim in dims)


def _listed(payloads: list[wire.Payload], dtype: str) -> npt.NDArray[Any]:
    if dtype in ("<f4", "<f8", "<c8", "<c16"):
        return np.concatenate([np.zeros(0, dtype), *(wire.as_array(item, dtype) for item in payloads)])
    numbers = [number for item in payloads for number in wire.as_integers(item)]
    if dtype == "<f2":  # listed as their bits; torch lists those of float32
        wide = any(number >> 16 for number in numbers)
        return np.array(numbers, np.int64).astype("<u4" if wide else "<u2").view("<f4" if wide else dtype)
    return np.array(numbers, np.int64).astype(dtype)


def _shaped(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Give the values their shape; a list that is too short stands for its last value repeated."""
    size = int(np.prod(shape, dtype=object)) if shape else 1
    if 0 < len(values) < size <= _MOST_REPEATED:
        values = np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    if min(shape, default=1) < 0 or len(values) != size:
        raise FormatError(f"a tensor of shape {shape} has {len(values)} values")
    return values.reshape(shape)
