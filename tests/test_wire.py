import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.errors import FormatError
from convscope.formats import wire

int64 = st.integers(-(2**63), 2**63 - 1)


@given(int64)
def test_varint_round_trip(value: int) -> None:
    data = wire.varint(value)
    number, end = wire.read_varint(data + b"\x01", 0)
    assert (wire.signed(number), end) == (value, len(data))


@given(st.integers(1, 2**29 - 1), int64, st.floats(allow_nan=False), st.binary(), st.text())
def test_a_message_round_trips(number: int, value: int, real: float, data: bytes, text: str) -> None:
    message = (
        wire.integer(number, value) + wire.double(number, real) + wire.chunk(number, data) + wire.text(number, text)
    )
    (a, b, c, d) = wire.fields(message)
    assert {field[0] for field in (a, b, c, d)} == {number}
    assert wire.as_integer(a[2]) == value
    assert wire.as_double(b[2]) == real
    assert wire.as_bytes(c[2]) == data
    assert wire.as_text(d[2]) == text


@given(st.binary(max_size=60))
def test_garbage_raises_nothing_but_format_errors(data: bytes) -> None:
    with suppress(FormatError):
        for _, _, payload in wire.fields(data):
            for read in (wire.as_text, wire.as_integer, wire.as_double, wire.as_float, wire.as_integers):
                with suppress(FormatError):
                    read(payload)


@given(st.lists(int64))
def test_packed_integers(values: list[int]) -> None:
    assert wire.as_integers(b"".join(map(wire.varint, values))) == values


def test_packed_doubles() -> None:
    values = np.array([1.5, -np.inf])
    ((number, _, payload),) = wire.fields(wire.doubles(6, values))
    assert number == 6
    assert wire.as_array(payload, "<f8").tolist() == values.tolist()


@pytest.mark.parametrize(
    "data",
    [b"\x80", b"\xff" * 11, b"\x0a\x05abc", b"\x09\x00", b"\x00\x01", b"\x0b", b"\x0e"],
    ids=["open varint", "long varint", "short bytes", "short double", "field 0", "group", "type 6"],
)
def test_what_is_not_a_message(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(wire.fields(data))


def test_a_float_field() -> None:
    ((_, _, payload),) = wire.fields(wire.key(2, wire.FIXED32) + struct.pack("<f", 0.1))
    assert wire.as_float(payload) == np.float32(0.1)
    with pytest.raises(FormatError, match="expected 8 bytes in a field, got 4"):
        wire.as_double(payload)
