import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.formats.crc32c import advance, crc32c, crc32c_numpy, crc32c_rows, mask, mask_words, masked


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_known_checksums(data: bytes, expected: int) -> None:
    assert crc32c(data) == crc32c_numpy(data) == expected


@given(st.binary(max_size=3000))
def test_numpy_equals_google(data: bytes) -> None:
    assert crc32c_numpy(data) == google_crc32c.value(data)


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 64 * 7, 64 * 8 + 1, 119_001])
def test_numpy_equals_google_where_rows_begin(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    assert crc32c_numpy(data) == google_crc32c.value(data)


@given(st.integers(1, 40), st.integers(0, 150), st.integers(0, 2**32 - 1))
def test_rows_equal_single_buffers(count: int, width: int, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)
    assert crc32c_rows(rows).tolist() == [google_crc32c.value(row.tobytes()) for row in rows]


def test_rows_may_be_many_and_strided() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (9000, 50), np.uint8)[::2, 3:40]
    assert crc32c_rows(rows)[[0, 4499]].tolist() == [google_crc32c.value(rows[i].tobytes()) for i in (0, 4499)]


@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_advance_is_that_many_zero_bytes(state: int, zeros: int) -> None:
    slow = np.array([state], np.uint32)
    for _ in range(zeros):
        slow = advance(slow, 1)
    assert advance(np.array([state], np.uint32), zeros)[0] == slow[0]


def test_mask_is_that_of_tfrecord() -> None:
    crc = google_crc32c.value(b"123456789")
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    assert masked(b"123456789") == mask(crc) == (rotated + 0xA282EAD8) % 2**32
    assert mask_words(np.array([crc], np.uint32))[0] == mask(crc)
