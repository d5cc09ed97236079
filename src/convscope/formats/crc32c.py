"""CRC-32C (Castagnoli, RFC 3720 appendix B.4) of one buffer or of many equally long rows at once, and TFRecord's mask.

The checksum is affine over GF(2): that of a row is the checksum of as many zero bytes, XORed with one table entry for
each byte (or pair of bytes), the table depending only on how many bytes follow. So numpy computes a million checksums
at once without a C extension. ``google-crc32c`` is used for single buffers where it is installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

_ALL_ONES: Final = 0xFFFFFFFF
_MASK_DELTA: Final = 0xA282EAD8
_REFLECTED_POLYNOMIAL: Final = np.uint32(0x82F63B78)
_SHORT: Final = 48  # below, a loop over the bytes is quicker than numpy
_ROW: Final = 1024  # a single buffer is cut into rows of this many bytes
_LONGEST_PAIRED_ROW: Final = 128  # a pair table takes 256 KiB, so long rows go byte by byte
_ROWS_AT_ONCE: Final = 8192  # keeps a block of rows in the second-level cache


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """Return the CRC-32C of ``data``.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    return _crc32c(bytes(data))


def mask(crc: int) -> int:
    """Return TFRecord's mask of a checksum: rotated by 15 bits, plus a constant."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & _ALL_ONES


def masked(data: bytes | bytearray | memoryview) -> int:
    """Return the masked CRC-32C of ``data``, as TFRecord stores it."""
    return mask(crc32c(data))


def mask_words(crc: Words) -> Words:
    """Return the masks of many checksums."""
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK_DELTA)


def crc32c_rows(rows: npt.NDArray[np.uint8]) -> Words:
    """Return the CRC-32C of each row of ``(k, n)`` bytes as ``(k,)``.

    >>> crc32c_rows(np.frombuffer(b"123456789" * 2, np.uint8).reshape(2, 9)).tolist()
    [3808858755, 3808858755]
    """
    count, width = rows.shape
    crc = np.full(count, crc32c(bytes(width)), np.uint32)
    for start in range(0, count, _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        crc[block] ^= _contributions(rows[block])
    return crc


def _contributions(rows: npt.NDArray[np.uint8]) -> Words:
    count, width = rows.shape
    crc = np.zeros(count, np.uint32)
    paired = width // 2 * 2 if width <= _LONGEST_PAIRED_ROW else 0
    pairs = np.ascontiguousarray(rows[:, :paired]).view("<u2")
    for column in range(paired // 2):
        crc ^= pair_table(width - 2 - 2 * column)[pairs[:, column]]
    for column in range(paired, width):
        crc ^= byte_table(width - 1 - column)[rows[:, column]]
    return crc


@lru_cache(maxsize=1024)
def byte_table(following: int) -> Words:
    """Return what each value of a byte that has ``following`` bytes after it adds to a checksum, ``(256,)``."""
    return advance(_first_table(), following)


@lru_cache(maxsize=128)
def pair_table(following: int) -> Words:
    """Return what each little-endian pair of bytes with ``following`` bytes after it adds, ``(65536,)``."""
    low, high = byte_table(following + 1), byte_table(following)
    table: Words = (low[None, :] ^ high[:, None]).ravel()
    return table


def advance(crc: Words, zeros: int) -> Words:
    """Return raw checksum states as they are after ``zeros`` more zero bytes."""
    power = 0
    while zeros:
        if zeros & 1:
            crc = _apply(_advance_tables(power), crc)
        zeros >>= 1
        power += 1
    return crc


def _apply(tables: Words, crc: Words) -> Words:
    out: Words = tables[3][crc >> np.uint32(24)]
    for index, shift in enumerate((0, 8, 16)):
        out = out ^ tables[index][(crc >> np.uint32(shift)) & np.uint32(255)]
    return out


@lru_cache(maxsize=64)
def _advance_tables(power: int) -> Words:
    """Return the linear map "2 ** power zero bytes more" as one table for each byte of the state, ``(4, 256)``."""
    if power == 0:
        states = np.arange(256, dtype=np.uint32)[None, :] << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
        after: Words = (states >> np.uint32(8)) ^ _first_table()[states & np.uint32(255)]
        return after
    half = _advance_tables(power - 1)
    return _apply(half, half)


@lru_cache(maxsize=1)
def _first_table() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ _REFLECTED_POLYNOMIAL, table >> np.uint32(1))
    return table.astype(np.uint32)


def crc32c_numpy(data: bytes) -> int:
    """Return the CRC-32C of ``data`` with numpy alone."""
    if len(data) < _SHORT:
        return _crc32c_short(data)
    contribution, place = _contribution_table()
    if len(data) <= _ROW:
        index = place[-len(data) :] + np.frombuffer(data, np.uint8)
        index[:4] ^= 0xFF  # the initial state of all ones
        return int(np.bitwise_xor.reduce(contribution.take(index))) ^ _ALL_ONES
    rows = -(-len(data) // _ROW)
    padded = np.zeros(rows * _ROW, np.uint8)  # leading zero bytes do not change a raw checksum
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    padded[-len(data) :][:4] ^= 0xFF
    crc = np.empty(rows, np.uint32)
    for start in range(0, rows, 16):  # keeps what is gathered in the first-level cache
        block = padded[start * _ROW : (start + 16) * _ROW].reshape(-1, _ROW)
        crc[start : start + 16] = np.bitwise_xor.reduce(contribution.take(block + place), axis=1)
    return int(_join(crc)) ^ _ALL_ONES


@lru_cache(maxsize=1)
def _contribution_table() -> tuple[Words, npt.NDArray[np.intp]]:
    """Return what each value of each byte of a row adds to its checksum, and where each byte's 256 entries start."""
    table = np.empty((_ROW, 256), np.uint32)
    table[-1] = first = _first_table()
    for index in range(_ROW - 2, -1, -1):
        table[index] = (table[index + 1] >> np.uint32(8)) ^ first[table[index + 1] & np.uint32(255)]
    return table.ravel(), np.arange(_ROW, dtype=np.intp) * 256


def _join(crc: Words) -> np.uint32:
    """Return the raw checksum of rows that stand one after the other, pair by pair."""
    span = _ROW
    while len(crc) > 1:
        if len(crc) % 2:
            crc = np.concatenate([np.zeros(1, np.uint32), crc])
        crc = advance(crc[0::2], span) ^ crc[1::2]
        span *= 2
    return np.uint32(crc[0])


def _crc32c_short(data: bytes) -> int:
    table = _short_table()
    crc = _ALL_ONES
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ _ALL_ONES


@lru_cache(maxsize=1)
def _short_table() -> list[int]:
    numbers: list[int] = _first_table().tolist()
    return numbers


def _fastest() -> Callable[[bytes], int]:
    """Return google-crc32c's function if its C code is there; its pure Python fallback is slower than numpy."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import google_crc32c
    except ImportError:
        return crc32c_numpy
    value: Any = google_crc32c.value if google_crc32c.implementation == "c" else crc32c_numpy
    function: Callable[[bytes], int] = value
    return function


_crc32c: Final = _fastest()
