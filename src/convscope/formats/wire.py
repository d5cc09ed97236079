"""Protocol Buffers' wire format: the few lines of it that event files need, so that protobuf is not a dependency.

See https://protobuf.dev/programming-guides/encoding. Encoders return the bytes of one field, :func:`fields` walks those
of a message.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_FIXED_SIZE: Final = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT: Final = 10

Payload = int | bytes


def varint(value: int) -> bytes:
    r"""Return ``value`` as a varint; negative numbers take ten bytes, as ``int64`` does.

    >>> varint(300)
    b'\xac\x02'
    """
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@functools.cache  # a format has few of them, and they are asked for over and over
def key(number: int, wire_type: int) -> bytes:
    """Return the key that starts a field."""
    return varint(number << 3 | wire_type)


def integer(number: int, value: int) -> bytes:
    """Return an integer, boolean or enumeration field."""
    return key(number, VARINT) + varint(value)


def double(number: int, value: float) -> bytes:
    """Return a field of type ``double``."""
    return key(number, FIXED64) + struct.pack("<d", value)


def chunk(number: int, data: bytes) -> bytes:
    """Return a field of bytes: a string, a message inside a message or a packed list."""
    return key(number, BYTES) + varint(len(data)) + data


def text(number: int, value: str) -> bytes:
    """Return a string field."""
    return chunk(number, value.encode())


def doubles(number: int, values: npt.NDArray[np.float64]) -> bytes:
    """Return a packed list of ``double``."""
    return chunk(number, values.astype("<f8").tobytes())


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the unsigned varint at ``position`` and where it ends."""
    value = 0
    for count, byte in enumerate(data[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value & ((1 << 64) - 1), position + count + 1
    raise FormatError(f"a varint at byte {position} of {len(data)} has no end")


def signed(value: int) -> int:
    """Return an unsigned 64-bit number as the ``int64`` it stands for."""
    return value - (1 << 64) if value >> 63 else value


def fields(data: bytes) -> Iterator[tuple[int, int, Payload]]:
    """Walk the fields of a message as ``(number, wire type, payload)``: an ``int`` for varints, raw bytes otherwise.

    Raises
    ------
    FormatError
        If the bytes are not a message; the fields before the fault have been given by then.
    """
    position = 0
    while position < len(data):
        head, position = read_varint(data, position)
        number, wire_type = head >> 3, head & 7
        if number == 0:
            raise FormatError(f"field number 0 before byte {position} of {len(data)}")
        if wire_type == VARINT:
            value, position = read_varint(data, position)
            yield number, wire_type, value
            continue
        size, position = _payload_size(data, position, wire_type)
        if position + size > len(data):
            raise FormatError(f"field {number} needs {size} bytes at byte {position} of {len(data)}")
        yield number, wire_type, data[position : position + size]
        position += size


def _payload_size(data: bytes, position: int, wire_type: int) -> tuple[int, int]:
    if wire_type == BYTES:
        return read_varint(data, position)
    if wire_type not in _FIXED_SIZE:
        raise FormatError(f"wire type {wire_type} before byte {position} of {len(data)} is not known")
    return _FIXED_SIZE[wire_type], position


def as_bytes(payload: Payload) -> bytes:
    """Return the payload of a field that must be bytes."""
    if isinstance(payload, int):
        raise FormatError(f"expected bytes in a field, got the number {payload}")
    return payload


def as_text(payload: Payload) -> str:
    """Return the payload of a string field."""
    try:
        return as_bytes(payload).decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"expected UTF-8 text in a field ({error})") from error


def as_integer(payload: Payload) -> int:
    """Return the payload of an ``int64`` field."""
    if not isinstance(payload, int):
        raise FormatError(f"expected a number in a field, got {len(payload)} bytes")
    return signed(payload)


def as_double(payload: Payload) -> float:
    """Return the payload of a ``double`` field."""
    return _unpack("<d", payload)


def as_float(payload: Payload) -> float:
    """Return the payload of a ``float`` field."""
    return _unpack("<f", payload)


def _unpack(layout: str, payload: Payload) -> float:
    data = as_bytes(payload)
    if len(data) != struct.calcsize(layout):
        raise FormatError(f"expected {struct.calcsize(layout)} bytes in a field, got {len(data)}")
    value: float = struct.unpack(layout, data)[0]
    return value


def as_array(payload: Payload, dtype: str) -> npt.NDArray[np.generic]:
    """Return the payload of a packed list (or of one element of an unpacked one) of fixed-size numbers."""
    data = as_bytes(payload)
    if len(data) % np.dtype(dtype).itemsize:
        raise FormatError(f"expected a packed list of {dtype}, got {len(data)} bytes")
    return np.frombuffer(data, dtype)


def as_integers(payload: Payload) -> list[int]:
    """Return the payload of a packed list of varints (or one element of an unpacked one)."""
    if isinstance(payload, int):
        return [signed(payload)]
    numbers, position = [], 0
    while position < len(payload):
        value, position = read_varint(payload, position)
        numbers.append(signed(value))
    return numbers
