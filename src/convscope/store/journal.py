"""The journal: a memory-mapped ring of scalars in which a value is safe the moment it is packed.

What a process has stored into a shared mapping outlives it, so ``add_scalar`` needs no system call: a thread turns the
rows into events later, and whoever finds a journal whose writer is gone does the rest. ``docs/format.md`` has the
layout: a page with two copies of ``(sequence, drained, end)``, the rows, then the tags. ``drained`` rows are in the
event file, which is ``end`` bytes long; what lies behind ``end`` has not happened.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.formats.crc32c import crc32c
from convscope.formats.groups import encode_groups
from convscope.formats.scalars import ScalarBatch, encode_scalars

SUFFIX: Final = ".journal"
DRAFT: Final = ".new"
_THEIRS, _OURS, _ESCAPED = "tfevents", "pending", "tf%65vents"  # TensorBoard follows whatever has the first in its name
CAPACITY: Final = 1 << 16
MAGIC: Final = b"CVSJRNL1"
PAGE: Final = 4096
STATES: Final = (64, 96)
STATE: Final = struct.Struct("<QQQ")
HEAD: Final = struct.Struct("<8sII")
ROW: Final = struct.Struct("<qddII")  # step, time, value, tag, mark: the mark is written last and makes the row valid
_ROW_SIZE: Final = ROW.size
_VOID: Final = 0xFFFFFFFF  # the tag of a row that holds nothing
JOINED: Final = 0x80000000  # set in the tag of a row that belongs to the same event as the row before it
_pack_row: Final = ROW.pack_into
ROW_TYPE: Final = np.dtype([("step", "<i8"), ("time", "<f8"), ("value", "<f8"), ("tag", "<u4"), ("mark", "<u4")])
TAG_LENGTH: Final = struct.Struct("<I")
_SEGMENTS: Final = 4

_NO_DESCRIPTOR: Final[dict[str, Any]] = {"trackfd": False} if sys.version_info >= (3, 13) else {}

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class State:
    """How far the rows of a journal have come."""

    sequence: int
    drained: int
    end: int


class Journal:
    """A journal being written, by any number of threads of one process."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        self.path = path
        self.capacity = capacity
        self.tags: list[str] = []
        self.state = State(0, 0, 0)
        self._numbers: dict[str, int] = {}
        self._lock = threading.RLock()  # a signal handler may log too
        self._draft = path if sys.platform == "win32" else path.with_name(f".{path.name}{DRAFT}")
        self._file = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        self._first = PAGE
        self._last = PAGE + capacity * ROW.size
        self._tags_end = self._last
        self._allocate()
        self._memory = mmap.mmap(self._file, self._last, **_NO_DESCRIPTOR)
        self._offset = self._first
        self._limit = self._first + capacity // _SEGMENTS * ROW.size
        self._lap = 0
        self._mark = 1
        self._ended = False
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            self.put = self._put_locked  # type: ignore[method-assign]  # the same signature, chosen once
            self.put_many = self._put_many_locked  # type: ignore[method-assign]

    def _allocate(self) -> None:
        """Make the file as long as it will be mapped: a full disk must show here, not as a fault in the loop."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file, 0, self._last)
            else:
                os.write(self._file, bytes(self._last))
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, HEAD.pack(MAGIC, self.capacity, ROW.size))
            os.lseek(self._file, STATES[0], os.SEEK_SET)
            os.write(self._file, _pack_state(self.state))
            lock_file(self._file)
            self._publish()
        except OSError:
            os.close(self._file)
            self._draft.unlink(missing_ok=True)
            raise

    def _publish(self) -> None:
        """Give the file its name: whoever sees a journal sees a whole one, and whether its writer lives."""
        if self._draft == self.path:  # where an open file cannot be renamed, locks are not known either
            return
        if self.path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path))
        self._draft.rename(self.path)

    def put(self, tag: str, step: int, wall_time: float, value: float) -> bool:
        """Store a scalar; ``False`` if there is no room before :meth:`make_room`.

        Raises
        ------
        KeyError
            If the tag is new: :meth:`add_tag` it.
        struct.error
            If a number does not fit.
        """
        # No lock: the interpreter changes threads and calls signal handlers only at calls and loops, so nobody comes
        # between reading the offset and moving it on. Without a global lock `_put_locked` takes the place of this.
        offset = self._offset
        if offset >= self._limit:
            return False
        mark = self._mark
        self._offset = offset + _ROW_SIZE
        try:
            _pack_row(self._memory, offset, step, wall_time, value, self._numbers[tag], mark)
        except BaseException:
            self._void(offset, offset + _ROW_SIZE, mark)
            raise
        return True

    def _put_locked(self, tag: str, step: int, wall_time: float, value: float) -> bool:
        with self._lock:
            return Journal.put(self, tag, step, wall_time, value)

    def put_many(self, tags: Collection[str], step: int, wall_time: float, values: Collection[float]) -> bool:
        """Store several scalars that will be one event; ``False`` if there is no room for all of them in one piece.

        Raises
        ------
        KeyError
            If a tag is new: :meth:`add_tag` it.
        struct.error
            If a number does not fit.
        """
        numbers = [self._numbers[tag] for tag in tags]
        size = len(numbers) * _ROW_SIZE
        offset = self._offset  # from here to the next assignment nobody comes between, see `put`
        end = offset + size
        if end > self._limit:
            return False
        mark = self._mark
        self._offset = end
        joined = 0
        try:
            for number, value in zip(numbers, values, strict=True):
                _pack_row(self._memory, offset, step, wall_time, value, number | joined, mark)
                offset += _ROW_SIZE
                joined = JOINED
        except BaseException:
            self._void(offset, end, mark)
            raise
        return True

    def _void(self, offset: int, end: int, mark: int) -> None:
        """Fill rows that are taken and will hold nothing: others follow them."""
        with suppress(ValueError, TypeError):  # a signal handler has closed the journal
            for hole in range(offset, end, _ROW_SIZE):
                _pack_row(self._memory, hole, 0, 0.0, 0.0, _VOID, mark)

    def _put_many_locked(self, tags: Collection[str], step: int, wall_time: float, values: Collection[float]) -> bool:
        with self._lock:
            return Journal.put_many(self, tags, step, wall_time, values)

    def add_tag(self, tag: str) -> None:
        """Make a tag known; it is in the file before any row can name it."""
        with self._lock:
            if tag in self._numbers:
                return
            name = tag.encode()
            os.lseek(self._file, self._tags_end, os.SEEK_SET)
            write_all(self._file, TAG_LENGTH.pack(len(name)) + name)
            self._tags_end += TAG_LENGTH.size + len(name)
            self.tags.append(tag)
            self._numbers[tag] = len(self.tags) - 1

    def make_room(self) -> bool:
        """Open the next part of the ring for :meth:`put`; ``False`` if its rows must be drained first."""
        with self._lock:
            if self._ended:
                return False
            if self._offset == self._last:
                self._limit = 0  # nobody may take a row before all of this is done
                self._offset, self._lap = self._first, self._lap + 1
                self._mark = _mark(self._lap)
            segment = self.capacity // _SEGMENTS * ROW.size
            start = self._first + (self._offset - self._first) // segment * segment
            behind = self._lap * self.capacity + (start + segment - self._first) // ROW.size - self.state.drained
            if behind > self.capacity:
                self._limit = self._offset
                return False
            self._limit = start + segment
            return True

    def halt(self) -> None:
        """Let the next :meth:`put` say that there is no room."""
        with self._lock:
            self._limit = self._offset

    def end(self) -> None:
        """Let every later :meth:`put` say that there is no room."""
        with self._lock:
            self._ended = True
            self._limit = self._offset

    def written(self) -> int:
        """Return how many rows have been stored since the beginning."""
        with self._lock:
            return self._lap * self.capacity + (self._offset - self._first) // ROW.size

    def is_locked_here(self) -> bool:
        """Tell whether this thread holds the lock: where it asks, a signal handler has interrupted what does."""
        return is_owned(self._lock)

    def is_drained(self) -> bool:
        """Tell whether every row is in the event file."""
        return self.state.drained == self.written()

    def rows(self, start: int, stop: int) -> Rows:
        """Return a copy of the rows from ``start`` on, up to ``stop`` or the first that is not complete."""
        ring = np.frombuffer(self._memory, ROW_TYPE, self.capacity, self._first)
        rows = ring[np.arange(start, stop) % self.capacity]
        return rows[: prefix(valid(rows, start, self.capacity))]

    def commit(self, drained: int, end: int) -> None:
        """Note that the first ``drained`` rows are in the event file, which is ``end`` bytes long."""
        self.state = State(self.state.sequence + 1, drained, end)
        place = STATES[self.state.sequence % 2]
        self._memory[place : place + STATE.size + 4] = _pack_state(self.state)

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        os.close(self._file)

    def forget_after_fork(self) -> None:
        """Let go of the parent's file in a child: also the lock on it, which would outlive the parent."""
        self._lock = threading.RLock()
        self._limit = self._offset
        with suppress(BufferError):  # the mapping has a descriptor of its own
            self._memory.close()
        os.close(self._file)


def is_owned(lock: threading.RLock) -> bool:
    """Tell whether this thread holds a lock, as :class:`threading.Condition` does."""
    return bool(lock._is_owned())  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way


def journal_name(events: str) -> str:
    """Return the name of the journal of an event file.

    >>> journal_name("events.out.tfevents.1763700000.host.7.0000c0ffee")
    'events.out.pending.1763700000.host.7.0000c0ffee.journal'
    """
    escaped = events.replace("%", "%25").replace(_THEIRS, _OURS, 1).replace(_THEIRS, _ESCAPED)
    return escaped + SUFFIX


def events_name(journal: str) -> str:
    """Return the name of the event file of a journal."""
    return journal.removesuffix(SUFFIX).replace(_OURS, _THEIRS, 1).replace(_ESCAPED, _THEIRS).replace("%25", "%")


def is_journal(name: str) -> bool:
    """Tell whether a file of this name is a journal of ours."""
    return name.startswith(f"events.out.{_OURS}.") and name.endswith(SUFFIX)


def _pack_state(state: State) -> bytes:
    numbers = STATE.pack(state.sequence, state.drained, state.end)
    return numbers + struct.pack("<I", crc32c(numbers))


def write_all(file: int, data: bytes) -> None:
    """Write all of ``data`` to a file descriptor."""
    while data:
        data = data[os.write(file, data) :]


def _mark(lap: int) -> int:
    return lap % 0xFFFFFFFF + 1


def valid(rows: Rows, start: int, capacity: int) -> npt.NDArray[np.bool_]:
    """Tell which rows carry the mark of their lap."""
    laps = np.arange(start, start + len(rows)) // capacity
    return np.asarray(rows["mark"] == laps % 0xFFFFFFFF + 1)


def prefix(valid: npt.NDArray[np.bool_]) -> int:
    """Return how many rows are valid before the first that is not."""
    return len(valid) if valid.all() else int(np.argmin(valid))


def batch_of(tags: list[str], rows: Rows) -> ScalarBatch:
    """Return rows as columns; the values as float32 holds them, which is how they will be stored."""
    rows = rows[_tag_numbers(rows) < len(tags)]
    with np.errstate(over="ignore"):
        value = rows["value"].astype(np.float32).astype(np.float64)
    return ScalarBatch(tags, _tag_numbers(rows), rows["step"].copy(), rows["time"].copy(), value, np.arange(len(rows)))


def _tag_numbers(rows: Rows) -> npt.NDArray[np.int64]:
    number = rows["tag"].astype(np.int64)
    number[number != _VOID] &= ~JOINED
    return number


def encode(tags: list[str], rows: Rows) -> bytes:
    """Return rows as records of an event file; rows that belong together become one event."""
    batch = batch_of(tags, rows)
    rows = rows[_tag_numbers(rows) < len(tags)]
    joined = rows["tag"] >= JOINED
    if not joined.any():
        return encode_scalars(batch.tags, batch.tag, batch.step, batch.wall_time, batch.value)
    return encode_groups(batch, joined)


def lock_file(file: int, *, shared: bool = False) -> bool:
    """Take the lock that says "the writer lives"; the kernel gives it back when the process dies."""
    if sys.platform == "win32":  # no such locks: a left-over journal stays there, and readers read it
        return False
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
