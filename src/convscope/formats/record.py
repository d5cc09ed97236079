"""TFRecord framing: ``u64 length, u32 masked CRC of the length, data, u32 masked CRC of the data``, little-endian.

Reading is vectorised. Headers are followed one by one only until their lengths repeat with some period; that pattern
is then checked against the whole rest of the buffer at once. Damaged bytes are skipped up to the next header whose
checksum is right.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.formats.crc32c import crc32c_rows, mask_words, masked

Bytes = npt.NDArray[np.uint8]
Index = npt.NDArray[np.int64]

HEADER: Final = 12
OVERHEAD: Final = 16
_PATTERN: Final = 64  # records looked at for a repeating pattern of lengths
_LONGEST_WALK: Final = 8192
_ROWWISE: Final = 256  # records up to this length have their checksums computed many at once
_UNDECIDED: Final = 1 << 20  # damage shorter than this at the end may still turn out to be a record being written


@dataclass(frozen=True)
class Frames:
    """The records found in a buffer.

    Attributes
    ----------
    offset
        Where each intact record starts (its header), ``(n,)``.
    length
        Bytes of data of each, ``(n,)``.
    damage
        ``(start, stop)`` of what was skipped; ``stop`` is ``None`` where nothing valid follows.
    end
        Where to go on once more bytes are there.
    """

    offset: Index
    length: Index
    damage: list[tuple[int, int | None]]
    end: int


def header(length: int) -> bytes:
    """Return the 12 bytes that come before ``length`` bytes of data."""
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked(size))


def frame(data: bytes) -> bytes:
    """Return ``data`` as one record.

    >>> len(frame(b"event"))
    21
    """
    return b"".join((header(len(data)), data, struct.pack("<I", masked(data))))


def read_frames(data: Bytes) -> Frames:
    """Find the records of a buffer; never raises, whatever the bytes."""
    parts: list[tuple[Index, Index]] = []
    damage: list[tuple[int, int | None]] = []
    position = 0
    while True:
        offset, length, resume = _chain(data, position)
        good = _intact(data, offset, length)
        if broken_tail := bool(len(good)) and not good[-1]:  # its length may be wrong too: search inside it
            resume = int(offset[-1])
        parts.append((offset[good], length[good]))
        damage += _gaps(offset, length, good, broken_tail)
        if not broken_tail and len(data) - resume < HEADER:
            break
        if not broken_tail and read_length(data[resume : resume + HEADER].tobytes()) >= 0:
            break  # a record that is still being written
        following = _next_header(data, resume + 1)
        damage.append((resume, following))
        if following is None:
            resume = resume if len(data) - resume < _UNDECIDED else len(data) - HEADER + 1
            break
        position = following
    offset, length = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Frames(offset, length, damage, resume)


def first_record(data: Bytes) -> int:
    """Return how many bytes the record at the start of a buffer takes, complete or not; 0 if there is no header."""
    length = read_length(data[:HEADER].tobytes()) if len(data) >= HEADER else -1
    return length + OVERHEAD if length >= 0 else 0


def _gaps(offset: Index, length: Index, good: npt.NDArray[np.bool_], tail: bool) -> list[tuple[int, int | None]]:
    bad = np.flatnonzero(~good)
    bad = bad[:-1] if tail else bad
    return [(int(offset[i]), int(offset[i] + length[i] + OVERHEAD)) for i in bad]


@lru_cache(maxsize=4096)
def read_length(head: bytes) -> int:
    """Return the length a header gives, or -1 if its checksum is wrong."""
    length, crc = struct.unpack("<QI", head)
    return int(length) if crc == masked(head[:8]) and length < 1 << 62 else -1


def _chain(data: Bytes, start: int) -> tuple[Index, Index, int]:
    """Follow headers from ``start``: offsets and lengths of complete records, and where the chain ends."""
    found: list[tuple[Index, Index]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    memory = data.data
    position, count = start, _PATTERN
    while sizes := _walk(memory, position, count):
        pattern = np.array(sizes, np.int64)
        period = _period(pattern[-_PATTERN:])
        if period and len(pattern) <= _PATTERN:
            repeats = _repeats(data, position, pattern[:period])
            pattern = np.tile(pattern[:period], repeats)
        count = _PATTERN if period else min(2 * count, _LONGEST_WALK)  # longer walks while there is no pattern
        ends = position + np.cumsum(pattern)
        found.append((ends - pattern, pattern - OVERHEAD))
        position = int(ends[-1])
    offset, length = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return offset, length, position


def _walk(memory: memoryview, position: int, count: int) -> list[int]:
    """Return the sizes of up to ``count`` complete records from ``position`` on."""
    sizes: list[int] = []
    total = len(memory)
    while len(sizes) < count and position + HEADER <= total:
        length = read_length(bytes(memory[position : position + HEADER]))
        if length < 0 or position + length + OVERHEAD > total:
            break
        sizes.append(length + OVERHEAD)
        position += length + OVERHEAD
    return sizes


def _period(sizes: Index) -> int:
    """Return the smallest period that the sizes show at least twice, or 0."""
    for period in range(1, len(sizes) // 2 + 1):
        if (sizes[period:] == sizes[:-period]).all():
            return period
    return 0


def _repeats(data: Bytes, start: int, sizes: Index) -> int:
    """Return how often a pattern of record sizes repeats from ``start`` on, once at least."""
    total = int(sizes.sum())
    possible = (len(data) - start) // total
    rows = data[start : start + possible * total].reshape(possible, total)
    columns = (np.cumsum(sizes) - sizes).tolist()
    heads = [np.frombuffer(header(int(size) - OVERHEAD), "<u4") for size in sizes]
    first, block = 0, 256
    while first < possible:
        part = rows[first : first + block]
        same = np.ones(len(part), np.bool_)
        for column, head in zip(columns, heads, strict=True):
            words = np.ascontiguousarray(part[:, column : column + HEADER]).view("<u4")
            same &= (words == head).all(axis=1)
        if not same.all():
            return first + int(np.argmin(same))
        first += block
        block *= 4
    return possible


def _intact(data: Bytes, offset: Index, length: Index) -> npt.NDArray[np.bool_]:
    """Tell of each record whether its data have the checksum that follows them."""
    good = np.ones(len(offset), np.bool_)
    for index in same_length(length):
        size = int(length[index[0]])
        if len(index) < 8 or size > _ROWWISE:
            good[index] = [_intact_one(data, int(start), size) for start in offset[index]]
        else:
            good[index] = _intact_rows(data, offset[index], size)
    return good


def _intact_one(data: Bytes, start: int, size: int) -> bool:
    body = data[start + HEADER : start + HEADER + size].tobytes()
    stored = data[start + HEADER + size : start + OVERHEAD + size].tobytes()
    return masked(body) == int.from_bytes(stored, "little")


def _intact_rows(data: Bytes, offset: Index, size: int) -> npt.NDArray[np.bool_]:
    good = np.empty(len(offset), np.bool_)
    for start in range(0, len(offset), 1 << 16):
        block = slice(start, start + (1 << 16))
        rows = rows_at(data, offset[block] + HEADER, size + 4)
        stored = np.ascontiguousarray(rows[:, size:]).view("<u4")[:, 0]
        good[block] = mask_words(crc32c_rows(rows[:, :size])) == stored
    return good


def same_length(length: Index) -> list[Index]:
    """Return the indices of each distinct length, in order of appearance."""
    if not len(length) or (length == length[0]).all():
        return [np.arange(len(length))] if len(length) else []
    order = np.argsort(length, kind="stable")
    cuts = np.flatnonzero(np.diff(length[order])) + 1
    return list(np.split(order, cuts))


def rows_at(data: Bytes, start: Index, size: int) -> Bytes:
    """Return ``size`` bytes from each start as rows ``(k, size)``: a view where the starts are evenly spaced."""
    if not len(start):
        return np.empty((0, size), np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(data, size)
    step = int(start[1] - start[0]) if len(start) > 1 else 1
    if step > 0 and (np.diff(start) == step).all():
        return windows[start[0] : start[-1] + 1 : step]
    return windows[start]


def _next_header(data: Bytes, start: int) -> int | None:
    """Return where the next valid header is; its length must be below 4 GiB, which tells it from noise quickly."""
    block = 1 << 12
    while len(data) - start >= HEADER:
        part = data[start : start + block + HEADER - 1]
        windows = np.lib.stride_tricks.sliding_window_view(part, HEADER)
        for place in np.flatnonzero(~windows[:, 4:8].any(axis=1)):
            if read_length(windows[place].tobytes()) >= 0:
                return start + int(place)
        start += block
        block = min(4 * block, 1 << 22)
    return None
