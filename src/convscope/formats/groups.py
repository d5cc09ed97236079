"""Events that hold several scalars of one step: twenty bytes a value instead of fifty.

As in :mod:`convscope.formats.scalars`, events with the same tags and equally long steps are one template whose
columns are filled in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.formats import wire
from convscope.formats.crc32c import byte_table, crc32c, mask_words
from convscope.formats.record import HEADER, OVERHEAD, Bytes, Index, header
from convscope.formats.scalars import ScalarBatch, encode_scalars, interleave, varint_bytes

_TIME = 1  # where the time starts in an event
_STEP = 10  # where the step starts
_MOST_COLUMNS = 400  # tables of more bytes would push each other out of the cache


class _Template:
    """The record of an event that holds one scalar of each of some tags, and where its fields are."""

    def __init__(self, tags: tuple[str, ...], step_bytes: int) -> None:
        values = [wire.text(1, tag) + wire.key(2, wire.FIXED32) + bytes(4) for tag in tags]
        chunks = [wire.chunk(1, value) for value in values]
        summary = wire.chunk(5, b"".join(chunks))
        body = b"\x09" + bytes(8) + b"\x10" + bytes(step_bytes) + summary
        ends = len(body) - sum(map(len, chunks)) + np.cumsum([len(chunk) for chunk in chunks])
        self.step_bytes = step_bytes
        self.length = len(body)
        self.crc = np.uint32(crc32c(body))
        self.columns = [*range(_TIME, _TIME + 8), *range(_STEP, _STEP + step_bytes)]
        self.columns += [int(end) - 4 + byte for end in ends for byte in range(4)]
        self.row = np.frombuffer(header(self.length) + body + bytes(4), np.uint8)
        places = [HEADER + _TIME, HEADER + self.length, *(HEADER + ends - 4).tolist()]
        names = ["wall_time", "crc", *(f"v{index}" for index in range(len(tags)))]
        formats = ["<f8", "<u4", *["<f4"] * len(tags)]
        layout: Any = {"names": names, "formats": formats, "offsets": places, "itemsize": self.length + OVERHEAD}
        self.layout = np.dtype(layout)

    def fill(self, step: Index, wall_time: npt.NDArray[np.float64], values: npt.NDArray[np.float32]) -> Bytes:
        """Return ``(k, size)`` bytes from ``(k,)`` steps and times and ``(k, tags)`` values."""
        rows = np.empty((len(step), len(self.row)), np.uint8)
        rows[:] = self.row
        fields = rows.reshape(-1).view(self.layout)
        fields["wall_time"] = wall_time
        for index in range(values.shape[1]):
            fields[f"v{index}"] = values[:, index]
        rest = step.astype(np.uint64)
        for index in range(self.step_bytes):
            more = np.uint8(0x80 if index < self.step_bytes - 1 else 0)
            rows[:, HEADER + _STEP + index] = (rest & np.uint64(0x7F)).astype(np.uint8) | more
            rest >>= np.uint64(7)
        fields["crc"] = mask_words(self._checksums(rows))
        return rows

    def _checksums(self, rows: Bytes) -> npt.NDArray[np.uint32]:
        if len(self.columns) > _MOST_COLUMNS:
            return np.array([crc32c(row[HEADER : HEADER + self.length].tobytes()) for row in rows], np.uint32)
        crc = np.full(len(rows), self.crc)
        for column in self.columns:  # the checksum of all other bytes is known
            crc ^= byte_table(self.length - 1 - column)[rows[:, HEADER + column]]
        return crc


_template = lru_cache(maxsize=1024)(_Template)


def encode_groups(batch: ScalarBatch, joined: npt.NDArray[np.bool_]) -> bytes:
    """Return scalars as records, in order; those that are ``joined`` share the event of the one before them.

    Parameters
    ----------
    batch
        The scalars, ``(n,)``.
    joined
        ``(n,)``; a scalar that is joined has the step and the time of the one before it.
    """
    start = np.flatnonzero(~joined)
    if len(joined) and joined[0]:  # its event was begun in an earlier batch
        start = np.concatenate([[0], start])
    size = np.diff(start, append=len(joined))
    if (size == 1).all():
        return encode_scalars(batch.tags, batch.tag, batch.step, batch.wall_time, batch.value)
    with np.errstate(over="ignore"):
        value = batch.value.astype(np.float32)
    step_bytes = varint_bytes(batch.step[start])
    forms: dict[tuple[bytes, int], list[int]] = {}
    for number, (head, count) in enumerate(zip(start.tolist(), size.tolist(), strict=True)):
        key = batch.tag[head : head + count].tobytes(), int(step_bytes[number])
        forms.setdefault(key, []).append(number)
    groups: list[tuple[Index, Bytes]] = []
    for (numbers, width), members in forms.items():
        tag = np.frombuffer(numbers, np.int64)
        index = np.array(members, np.int64)
        first = start[index]
        template = _template(tuple(batch.tags[number] for number in tag), width)
        values = value[first[:, None] + np.arange(len(tag))]
        groups.append((index, template.fill(batch.step[first], batch.wall_time[first], values)))
    return interleave(groups, len(start))
