"""Scalar events in bulk: a million of them become bytes, or columns again, in a fraction of a second.

All events of one tag whose steps take equally many bytes have the same bytes but for four fields: the time, the step,
the value and the checksum. So a batch is a template repeated and four columns filled in; the checksums follow from the
columns by linearity (:mod:`convscope.formats.crc32c`). Reading goes the same way back. Events of any other form are
left to :mod:`convscope.formats.events`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.formats import wire
from convscope.formats.crc32c import byte_table, crc32c, mask_words, pair_table
from convscope.formats.record import HEADER, OVERHEAD, Bytes, Index, header, rows_at, same_length

Floats = npt.NDArray[np.float64]

TIME: Final = 1  # where the time starts in an event: after its key
STEP: Final = 10  # where the step starts: after the time and its key
_VALUE: Final = wire.key(2, wire.FIXED32)[0]
_MANY_TAGS: Final = 256
_BLOCK: Final = 1 << 16
_MOST_PADDED: Final = 1 << 24


@dataclass(frozen=True)
class ScalarBatch:
    """Scalar values as columns.

    Attributes
    ----------
    tags
        The tags that occur.
    tag, step, wall_time, value
        Columns ``(n,)``; ``tag`` is an index into ``tags``.
    frame
        For values read from records: the index of the record of each.
    """

    tags: list[str]
    tag: Index
    step: Index
    wall_time: Floats
    value: Floats
    frame: Index


def summary_of_scalar(tag: str) -> bytes:
    """Return the bytes of an event from its summary up to the value itself."""
    value = wire.text(1, tag) + wire.key(2, wire.FIXED32)
    in_summary = wire.key(1, wire.BYTES) + wire.varint(len(value) + 4) + value
    return wire.key(5, wire.BYTES) + wire.varint(len(in_summary) + 4) + in_summary


class _Template:
    """The record of a scalar event of one tag and one length of the step, with its checksum for empty fields."""

    def __init__(self, tag: str, step_bytes: int) -> None:
        body = b"\x09" + bytes(8) + b"\x10" + bytes(step_bytes) + summary_of_scalar(tag) + bytes(4)
        self.length = len(body)
        self.size = self.length + OVERHEAD
        self.step_bytes = step_bytes
        self.row = np.frombuffer(header(self.length) + body + bytes(4), np.uint8)
        self.crc = np.uint32(crc32c(body))
        places = [HEADER + TIME, HEADER + self.length - 4, HEADER + self.length]
        names, formats = ["wall_time", "value", "crc"], ["<f8", "<f4", "<u4"]
        layout: Any = {"names": names, "formats": formats, "offsets": places, "itemsize": self.size}
        self.layout = np.dtype(layout)

    def fill(self, step: Index, wall_time: Floats, value: npt.NDArray[np.float32]) -> Bytes:
        """Return the records as ``(k, size)`` bytes."""
        rows = np.empty((len(step), self.size), np.uint8)
        rows[:] = self.row
        fields = rows.reshape(-1).view(self.layout)
        fields["wall_time"] = wall_time
        fields["value"] = value
        crc = np.full(len(step), self.crc)
        self._fold(crc, wall_time.astype("<f8").view("<u2").reshape(-1, 4), TIME)
        self._fold(crc, value.astype("<f4").view("<u2").reshape(-1, 2), self.length - 4)
        self._fill_step(rows, crc, step)
        fields["crc"] = mask_words(crc)
        return rows

    def _fold(self, crc: npt.NDArray[np.uint32], pairs: npt.NDArray[np.uint16], place: int) -> None:
        for index in range(pairs.shape[1]):
            crc ^= pair_table(self.length - place - 2 * index - 2)[pairs[:, index]]

    def _fill_step(self, rows: Bytes, crc: npt.NDArray[np.uint32], step: Index) -> None:
        rest = step.astype(np.uint64)
        for index in range(self.step_bytes):
            byte = (rest & np.uint64(0x7F)).astype(np.uint8)
            rest >>= np.uint64(7)
            if index < self.step_bytes - 1:
                byte |= np.uint8(0x80)
            rows[:, HEADER + STEP + index] = byte
            crc ^= byte_table(self.length - STEP - 1 - index)[byte]


_template = lru_cache(maxsize=4096)(_Template)


def encode_scalars(tags: Sequence[str], tag: Index, step: Index, wall_time: Floats, value: Floats) -> bytes:
    """Return scalar events as records, in the given order; values are stored as float32, as TensorBoard does.

    >>> columns = np.zeros(2, np.int64), np.arange(2), np.zeros(2), np.ones(2)
    >>> len(encode_scalars(["loss"], *columns))
    84

    Parameters
    ----------
    tags
        The tags.
    tag
        The index of each event's tag in ``tags``, ``(n,)``.
    step, wall_time, value
        The columns ``(n,)``. Any step of 64 bits; NaN and infinities are values like others.
    """
    with np.errstate(over="ignore"):  # beyond float32 lies infinity
        value32 = value.astype(np.float32)
    if not len(tag):
        return b""
    form = tag * 16 + varint_bytes(step)
    groups = same_length(form)
    if len(groups) == 1:
        return _form(tags, int(form[0])).fill(step, wall_time, value32).tobytes()
    filled = [
        (index, _form(tags, int(form[index[0]])).fill(step[index], wall_time[index], value32[index]))
        for index in groups
    ]
    return interleave(filled, len(tag))


def _form(tags: Sequence[str], form: int) -> _Template:
    return _template(tags[form // 16], form % 16)


def varint_bytes(step: Index) -> Index:
    """Return how many bytes each step takes as a varint."""
    unsigned = step.astype(np.uint64)
    count = np.ones(len(step), np.int64)
    for shift in range(7, 64, 7):
        longer = unsigned >= np.uint64(1 << shift)
        if not longer.any():
            break
        count += longer
    return count


def interleave(groups: list[tuple[Index, Bytes]], count: int) -> bytes:
    """Return the rows of several groups, each with its own width, in their common order."""
    widest = max(rows.shape[1] for _, rows in groups)
    if count * widest > _MOST_PADDED:
        return _joined(groups, count)
    out = np.empty((count, widest), np.uint8)
    width = np.empty(count, np.int64)
    for index, rows in groups:
        out[index, : rows.shape[1]] = rows
        width[index] = rows.shape[1]
    if (width == widest).all():
        return out.tobytes()
    return out[np.arange(widest) < width[:, None]].tobytes()


def _joined(groups: list[tuple[Index, Bytes]], count: int) -> bytes:
    """Do as :func:`interleave` without making all rows as wide as the widest."""
    parts = [b""] * count
    for index, rows in groups:
        for place, row in zip(index.tolist(), rows, strict=True):
            parts[place] = row.tobytes()
    return b"".join(parts)


def decode_scalars(data: Bytes, offset: Index, length: Index) -> tuple[ScalarBatch, Index]:
    """Read the scalar events among records; return them, and the indices of the records that are something else."""
    parts: list[ScalarBatch] = []
    rest: list[Index] = []
    for group in same_length(length):
        size = int(length[group[0]])
        for start in range(0, len(group), _BLOCK):
            frame = group[start : start + _BLOCK]
            found, other = _decode_block(rows_at(data, offset[frame] + HEADER, size), frame)
            parts += found
            rest.append(other)
    others = np.sort(np.concatenate(rest)) if rest else np.zeros(0, np.int64)
    return join_batches(parts), others


def _decode_block(rows: Bytes, frame: Index) -> tuple[list[ScalarBatch], Index]:
    """Read those rows that have a time, a step and then a summary; the others' frames are given back."""
    if rows.shape[1] < 24 or len(rows) < 4:
        return [], frame
    step_bytes = step_bytes_of(rows)
    found: list[ScalarBatch] = []
    rest = [frame[step_bytes == 0]]
    for count in np.flatnonzero(np.bincount(step_bytes)[1:]) + 1:
        here = np.flatnonzero(step_bytes == count)
        part = rows if len(here) == len(rows) else rows[here]
        batches, other = _decode_alike(part, frame[here], int(count))
        found += batches
        rest.append(other)
    return found, np.concatenate(rest)


def step_bytes_of(rows: Bytes) -> Index:
    """Return how many bytes the step of each row takes, 0 where the row does not start with a time and a step."""
    count: Index = ((rows[:, 0] == 0x09) & (rows[:, 9] == 0x10)).astype(np.int64)
    more = (rows[:, STEP] >= 0x80) & (count > 0)
    for index in range(1, 10):
        if not more.any():
            return count
        count += more
        more &= rows[:, STEP + index] >= 0x80
    count[more] = 0
    return count


def _decode_alike(rows: Bytes, frame: Index, step_bytes: int) -> tuple[list[ScalarBatch], Index]:
    """Read rows whose steps are equally long: those with the same bytes between step and value share a tag."""
    width = rows.shape[1]
    head = _head_of(width - STEP - step_bytes)
    if not head:
        return [], frame
    start = STEP + step_bytes
    fits = (rows[:, start : start + len(head)] == np.frombuffer(head, np.uint8)).all(axis=1) & (rows[:, -5] == _VALUE)
    rest = frame[~fits]
    if len(rest):
        rows, frame = rows[fits], frame[fits]
    if not len(frame):
        return [], rest
    between = rows[:, start : width - 4]
    label, first = label_rows(between)
    tags = [_tag_of(between[row].tobytes()) for row in first]
    known = np.array([tag is not None for tag in tags])
    if not known.all():
        keep = known[label]
        rest, rows, frame, label = np.concatenate([rest, frame[~keep]]), rows[keep], frame[keep], label[keep]
    wall_time = np.ascontiguousarray(rows[:, TIME : TIME + 8]).view("<f8")[:, 0]
    value = np.ascontiguousarray(rows[:, width - 4 :]).view("<f4")[:, 0]
    names = [tag or "" for tag in tags]
    batch = ScalarBatch(names, label, steps_of(rows, step_bytes), wall_time, value.astype(np.float64), frame)
    return [batch], rest


def steps_of(rows: Bytes, step_bytes: int) -> Index:
    """Return the steps of rows that all take so many bytes for it."""
    step = np.zeros(len(rows), np.uint64)
    for index in range(step_bytes):
        step |= (rows[:, STEP + index] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * index)
    return step.astype(np.int64)


def label_rows(between: Bytes) -> tuple[Index, Index]:
    """Give the distinct rows numbers: the number of each row, and the first row of each number."""
    count, width = between.shape
    padded = np.zeros((count, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = between
    words = padded.view("<u8")
    if (words == words[0]).all():
        return np.zeros(count, np.int64), np.zeros(1, np.int64)
    mixed = np.zeros(count, np.uint64)
    for column in range(words.shape[1]):
        mixed = (mixed ^ words[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    label, first = _number(mixed)
    if not (words[first][label] == words).all():  # two tags with the same 64 bits: count the rows themselves
        _, first, label = np.unique(words, axis=0, return_index=True, return_inverse=True)
        label = label.reshape(-1)
    return label, first


def _number(mixed: npt.NDArray[np.uint64]) -> tuple[Index, Index]:
    """Give distinct words numbers; those of the first rows usually are all of them, which spares the sort."""
    distinct, first = np.unique(mixed[:4096], return_index=True)
    if len(distinct) <= _MANY_TAGS:
        label = np.minimum(np.searchsorted(distinct, mixed), len(distinct) - 1)
        if (distinct[label] == mixed).all():
            return label, first
    _, first, label = np.unique(mixed, return_index=True, return_inverse=True)
    return label, first


@lru_cache(maxsize=4096)
def _head_of(size: int) -> bytes:
    """Return how the summary of a single scalar starts, up to its tag, if it takes ``size`` bytes; or nothing."""
    summary = _inside(size)
    value = _inside(summary)
    tag = _inside(value - 5)
    if min(summary, value, tag) < 0:
        return b""
    return b"".join(
        wire.key(number, wire.BYTES) + wire.varint(length) for number, length in ((5, summary), (1, value), (1, tag))
    )


def _inside(size: int) -> int:
    """Return how many bytes are inside a field that takes ``size`` bytes with its key and length, -1 if none can."""
    fitting = (size - 1 - digits for digits in range(1, 6) if len(wire.varint(max(size - 1 - digits, 0))) == digits)
    return max(next(fitting, -1), -1)


@lru_cache(maxsize=4096)
def _tag_of(between: bytes) -> str | None:
    """Return the tag if these are the bytes of exactly one scalar's summary, ``None`` otherwise."""
    try:
        summary = wire.chunk(5, b"")[:1]
        _, start = wire.read_varint(between, 1)
        _, start = wire.read_varint(between, start + 1)
        size, start = wire.read_varint(between, start + 1)
        tag = between[start : start + size].decode()
    except ValueError:  # FormatError and UnicodeDecodeError are ValueErrors
        return None
    return tag if between[:1] == summary and between == summary_of_scalar(tag) else None


def join_batches(batches: Sequence[ScalarBatch]) -> ScalarBatch:
    """Return several batches as one, ordered by record."""
    if not batches:
        none = np.zeros(0, np.int64)
        return ScalarBatch([], none, none, none.astype(np.float64), none.astype(np.float64), none)
    tags = list(dict.fromkeys(tag for batch in batches for tag in batch.tags))
    number = {tag: index for index, tag in enumerate(tags)}
    tag = [np.array([number[name] for name in batch.tags], np.int64)[batch.tag] for batch in batches]
    columns = [tag, *([getattr(batch, name) for batch in batches] for name in ("step", "wall_time", "value", "frame"))]
    joined = [np.concatenate(column) for column in columns]
    frame = joined[4]
    if (frame[1:] < frame[:-1]).any():
        order = np.argsort(frame, kind="stable")
        joined = [column[order] for column in joined]
    return ScalarBatch(tags, *joined)


def by_tag(batch: ScalarBatch) -> list[tuple[str, Index]]:
    """Return the rows of each tag that occurs, by first appearance."""
    if len(batch.tags) == 1:
        return [(batch.tags[0], np.arange(len(batch.tag)))] if len(batch.tag) else []
    order = np.argsort(batch.tag.astype(np.uint16 if len(batch.tags) < 1 << 16 else np.int64), kind="stable")
    cuts = np.searchsorted(batch.tag[order], np.arange(len(batch.tags) + 1))
    parts = [(batch.tags[i], order[cuts[i] : cuts[i + 1]]) for i in range(len(batch.tags)) if cuts[i] < cuts[i + 1]]
    return sorted(parts, key=lambda part: int(part[1][0]))
