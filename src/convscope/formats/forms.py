"""Events of scalars in the other forms, in bulk: numbers stored as tensors, several in one event, none with a step.

TensorFlow 2 and torch (``new_style``) store a number as a tensor, and :mod:`convscope.formats.groups` several numbers
of a step in one event. Whatever the form, events of the same tags differ in their time, their step and their values
only. So one event is decoded the slow way and becomes a template; those with the same bytes around the same places
follow it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats import events, values, wire
from convscope.formats.record import HEADER, Bytes, Index, rows_at, same_length
from convscope.formats.scalars import STEP, TIME, ScalarBatch, join_batches, label_rows, step_bytes_of, steps_of

_FEWEST: Final = 8  # templates pay off from so many events on
_ATTEMPTS: Final = 8
_MANY_LABELS: Final = 256
_SHORTEST: Final = 24
_LONGEST: Final = 4096
_BLOCK: Final = 1 << 14
_TYPES: Final = {1: "<f4", 2: "<f8"}
_PROBE: Final = 0.328125  # any number that float32 holds
_PROBES: Final = {"<f4": struct.pack("<f", _PROBE), "<f8": struct.pack("<d", _PROBE)}

Place = tuple[int, str]


@dataclass(frozen=True)
class _Form:
    """Where the values of an event are: each with its tag, its first byte, and its type."""

    tags: tuple[str, ...]
    places: tuple[Place, ...]
    plugins: tuple[str, ...]


def decode_forms(
    data: Bytes, offset: Index, length: Index, frame: Index, plugins: dict[str, str]
) -> tuple[ScalarBatch, Index]:
    """Read the scalars among records that :func:`~convscope.formats.scalars.decode_scalars` has left.

    Parameters
    ----------
    data, offset, length
        The buffer and its records.
    frame
        The records that are left, in order.
    plugins
        What the tensors of each tag are for, as far as is known: only the first of a tag has to say it. What is
        learned is added.

    Returns
    -------
    The scalars, and the records that are something else.
    """
    parts: list[ScalarBatch] = []
    rest = [frame[:0]]
    for group in same_length(length[frame]):
        width = int(length[frame[group[0]]])
        for start in range(0, len(group), _BLOCK):
            here = frame[group[start : start + _BLOCK]]
            if len(here) < _FEWEST or not _SHORTEST <= width <= _LONGEST:
                rest.append(here)
                continue
            found, other = _decode_rows(rows_at(data, offset[here] + HEADER, width), here, plugins)
            parts += found
            rest.append(other)
    return join_batches(parts), np.sort(np.concatenate(rest))


def _decode_rows(rows: Bytes, frame: Index, plugins: dict[str, str]) -> tuple[list[ScalarBatch], Index]:
    """Read rows of one width; those whose steps take equally many bytes, or that have none, go together."""
    head = STEP + step_bytes_of(rows)
    head[(head == STEP) & (rows[:, 0] == 0x09) & (rows[:, STEP - 1] == 0x2A)] = STEP - 1  # a summary, but no step
    parts: list[ScalarBatch] = []
    rest = [frame[head == STEP]]
    for width in np.unique(head[head != STEP]).tolist():
        here = np.flatnonzero(head == width)
        found, other = _follow_templates(np.ascontiguousarray(rows[here]), frame[here], width, plugins)
        parts += found
        rest.append(other)
    return parts, np.concatenate(rest)


def _follow_templates(rows: Bytes, frame: Index, head: int, plugins: dict[str, str]) -> tuple[list[ScalarBatch], Index]:
    """Read rows whose first ``head`` bytes are time and step; those that are no scalars are given back."""
    parts: list[ScalarBatch] = []
    set_aside = [frame[:0]]
    for _ in range(_ATTEMPTS):
        if len(frame) < _FEWEST:
            break
        form = _form(rows[0].tobytes(), plugins)
        done = np.zeros(len(frame), np.bool_)
        done[0] = True
        if form is None:
            set_aside.append(frame[:1])
        else:
            batches, done = _decode_alike(rows, frame, head, form, plugins)
            parts += batches
        if not done.any():
            break
        rows, frame = rows[~done], frame[~done]
    return parts, np.concatenate([*set_aside, frame])


def _decode_alike(
    rows: Bytes, frame: Index, head: int, form: _Form, plugins: dict[str, str]
) -> tuple[list[ScalarBatch], npt.NDArray[np.bool_]]:
    """Read the rows whose values are in the places of a form; tell which they were."""
    around = rows[:, head:].copy()
    for start, dtype in form.places:
        around[:, start - head : start - head + np.dtype(dtype).itemsize] = 0
    label, first = label_rows(around)
    done = np.zeros(len(frame), np.bool_)
    if len(first) > _MANY_LABELS:
        return [], done
    parts = []
    for number, row in enumerate(first.tolist()):
        found = _form(rows[row].tobytes(), plugins)
        if found is None or found.places != form.places:
            continue
        here = np.flatnonzero(label == number)
        parts.append(_columns(rows[here], frame[here], head, found))
        done[here] = True
        plugins.update((tag, plugin) for tag, plugin in zip(found.tags, found.plugins, strict=True) if plugin)
    return parts, done


def _columns(rows: Bytes, frame: Index, head: int, form: _Form) -> ScalarBatch:
    count, many = len(rows), len(form.tags)
    value = np.empty((count, many))
    for index, (start, dtype) in enumerate(form.places):
        size = np.dtype(dtype).itemsize
        value[:, index] = np.ascontiguousarray(rows[:, start : start + size]).view(dtype)[:, 0]
    step = steps_of(rows, head - STEP) if head > STEP else np.zeros(count, np.int64)
    time = np.ascontiguousarray(rows[:, TIME : TIME + 8]).view("<f8")[:, 0].astype(np.float64)
    tags = list(dict.fromkeys(form.tags))
    tag = np.array([tags.index(name) for name in form.tags], np.int64)
    columns = np.tile(tag, count), np.repeat(step, many), np.repeat(time, many)
    return ScalarBatch(tags, *columns, value.ravel(), np.repeat(frame, many))


def _form(event: bytes, plugins: Mapping[str, str]) -> _Form | None:
    """Return the form of an event that holds scalars only, ``None`` for any other.

    It is tried out: with other numbers in those places the event must say those numbers.
    """
    try:
        places = _places(event, plugins)
        changed = bytearray(event)
        for start, dtype in places:
            changed[start : start + len(_PROBES[dtype])] = _PROBES[dtype]
        before, after = events.decode_event(event).values, events.decode_event(bytes(changed)).values
        numbers = [values.decode_scalar(value) for value in after]
    except FormatError:
        return None
    tags = tuple(value.tag for value in before)
    if not tags or tags != tuple(value.tag for value in after) or numbers != [_PROBE] * len(places):
        return None
    return _Form(tags, tuple(places), tuple(value.plugin for value in before))


def _places(event: bytes, plugins: Mapping[str, str]) -> list[Place]:
    """Return the place and the type of each value of an event, as it seems to be."""
    spans = list(_spans(event, 0, len(event)))
    if [number for number, _, _ in spans] not in ([1, 2, 5], [1, 5]):
        raise FormatError("more than a time, a step and values")
    _, start, stop = spans[-1]
    return [_place(event, first, last, plugins) for number, first, last in _spans(event, start, stop) if number == 1]


def _place(event: bytes, first: int, last: int, plugins: Mapping[str, str]) -> Place:
    """Return the place and the type of the number of one value."""
    spans = {number: (start, stop) for number, start, stop in _spans(event, first, last)}
    if 2 in spans and 8 not in spans:
        return spans[2][0], "<f4"
    (value,) = events.decode_event(wire.chunk(5, wire.chunk(1, event[first:last]))).values
    if value.form != "tensor" or (value.plugin or plugins.get(value.tag)) != "scalars":
        raise FormatError("no scalar")
    start, stop = spans[8]
    codes = [wire.as_integer(item) for number, _, item in wire.fields(event[start:stop]) if number == 1]
    dtype = _TYPES.get(codes[0] if codes else 0)
    if dtype is None or stop - start < 8:
        raise FormatError("a tensor of another type")
    return stop - np.dtype(dtype).itemsize, dtype


def _spans(data: bytes, position: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Give the number of each field between two bytes of a message, and where its payload starts and stops."""
    while position < stop:
        head, position = wire.read_varint(data, position)
        if head & 7 == wire.VARINT:
            _, end = wire.read_varint(data, position)
        elif head & 7 == wire.BYTES:
            size, position = wire.read_varint(data, position)
            end = position + size
        else:
            end = position + {wire.FIXED64: 8, wire.FIXED32: 4}.get(head & 7, stop)
        if end > stop:
            raise FormatError(f"a field before byte {position} of {len(data)} has no end")
        yield head >> 3, position, end
        position = end
