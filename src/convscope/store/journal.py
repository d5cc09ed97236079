"""The journal: a memory-mapped ring of scalars in which a value is safe the moment it is packed.

What a process has stored into a shared mapping outlives it, so ``add_scalar`` needs no system call: a thread turns the
rows into events later, and whoever finds a journal whose writer is gone does the rest. ``docs/format.md`` has the
layout: a page with two copies of ``(sequence, drained, end)``, the rows, then the tags. ``drained`` rows are in the
event file, which is ``end`` bytes long; what lies behind ``end`` has not happened.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, StorageError
from convscope.formats.crc32c import crc32c
from convscope.formats.scalars import ScalarBatch, encode_scalars

SUFFIX: Final = ".journal"
CAPACITY: Final = 1 << 16
_MAGIC: Final = b"CVSJRNL1"
_PAGE: Final = 4096
_STATES: Final = (64, 96)
_STATE: Final = struct.Struct("<QQQ")
_HEAD: Final = struct.Struct("<8sII")
_ROW: Final = struct.Struct("<qddII")  # step, time, value, tag, mark: the mark is written last and makes the row valid
_ROW_SIZE: Final = _ROW.size
_VOID: Final = 0xFFFFFFFF  # the tag of a row that holds nothing
_pack_row: Final = _ROW.pack_into
_ROW_TYPE: Final = np.dtype([("step", "<i8"), ("time", "<f8"), ("value", "<f8"), ("tag", "<u4"), ("mark", "<u4")])
_TAG_LENGTH: Final = struct.Struct("<I")
_SEGMENTS: Final = 4
_ATTEMPTS: Final = 8

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
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        self._first = _PAGE
        self._last = _PAGE + capacity * _ROW.size
        self._tags_end = self._last
        self._allocate()
        _lock_file(self._file)
        self._memory = mmap.mmap(self._file, self._last)
        self._offset = self._first
        self._limit = self._first + capacity // _SEGMENTS * _ROW.size
        self._lap = 0
        self._mark = 1
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            self.put = self._put_locked  # type: ignore[method-assign]  # the same signature, chosen once

    def _allocate(self) -> None:
        """Make the file as long as it will be mapped: a full disk must show here, not as a fault in the loop."""
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file, 0, self._last)
            else:
                os.write(self._file, bytes(self._last))
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, _HEAD.pack(_MAGIC, self.capacity, _ROW.size))
            os.lseek(self._file, _STATES[0], os.SEEK_SET)
            os.write(self._file, _pack_state(self.state))
        except OSError:
            os.close(self._file)
            self.path.unlink()
            raise

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
            _pack_row(self._memory, offset, 0, 0.0, 0.0, _VOID, mark)  # the row is taken, others follow it
            raise
        return True

    def _put_locked(self, tag: str, step: int, wall_time: float, value: float) -> bool:
        with self._lock:
            return Journal.put(self, tag, step, wall_time, value)

    def add_tag(self, tag: str) -> None:
        """Make a tag known; it is in the file before any row can name it."""
        with self._lock:
            if tag in self._numbers:
                return
            name = tag.encode()
            os.lseek(self._file, self._tags_end, os.SEEK_SET)
            write_all(self._file, _TAG_LENGTH.pack(len(name)) + name)
            self._tags_end += _TAG_LENGTH.size + len(name)
            self.tags.append(tag)
            self._numbers[tag] = len(self.tags) - 1

    def make_room(self) -> bool:
        """Open the next part of the ring for :meth:`put`; ``False`` if its rows must be drained first."""
        with self._lock:
            if self._offset == self._last:
                self._limit = 0  # nobody may take a row before all of this is done
                self._offset, self._lap = self._first, self._lap + 1
                self._mark = _mark(self._lap)
            segment = self.capacity // _SEGMENTS * _ROW.size
            start = self._first + (self._offset - self._first) // segment * segment
            behind = self._lap * self.capacity + (start + segment - self._first) // _ROW.size - self.state.drained
            if behind > self.capacity:
                self._limit = self._offset
                return False
            self._limit = start + segment
            return True

    def halt(self) -> None:
        """Let the next :meth:`put` say that there is no room."""
        with self._lock:
            self._limit = self._offset

    def written(self) -> int:
        """Return how many rows have been stored since the beginning."""
        with self._lock:
            return self._lap * self.capacity + (self._offset - self._first) // _ROW.size

    def is_drained(self) -> bool:
        """Tell whether every row is in the event file."""
        return self.state.drained == self.written()

    def rows(self, start: int, stop: int) -> Rows:
        """Return a copy of the rows from ``start`` on, up to ``stop`` or the first that is not complete."""
        ring = np.frombuffer(self._memory, _ROW_TYPE, self.capacity, self._first)
        rows = ring[np.arange(start, stop) % self.capacity]
        return rows[: _valid(rows, start, self.capacity)]

    def commit(self, drained: int, end: int) -> None:
        """Note that the first ``drained`` rows are in the event file, which is ``end`` bytes long."""
        self.state = State(self.state.sequence + 1, drained, end)
        place = _STATES[self.state.sequence % 2]
        self._memory[place : place + _STATE.size + 4] = _pack_state(self.state)

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        os.close(self._file)

    def forget_after_fork(self) -> None:
        """Let go of the parent's file in a child: also the lock on it, which would outlive the parent."""
        self._lock = threading.RLock()
        self._limit = self._offset
        os.close(self._file)


def _pack_state(state: State) -> bytes:
    numbers = _STATE.pack(state.sequence, state.drained, state.end)
    return numbers + struct.pack("<I", crc32c(numbers))


def write_all(file: int, data: bytes) -> None:
    """Write all of ``data`` to a file descriptor."""
    while data:
        data = data[os.write(file, data) :]


def _mark(lap: int) -> int:
    return lap % 0xFFFFFFFF + 1


def _valid(rows: Rows, start: int, capacity: int) -> int:
    """Return how many rows, from the first on, carry the mark of their lap."""
    laps = np.arange(start, start + len(rows)) // capacity
    wrong = rows["mark"] != laps % 0xFFFFFFFF + 1
    return int(np.argmax(wrong)) if wrong.any() else len(rows)


def batch_of(tags: list[str], rows: Rows) -> ScalarBatch:
    """Return rows as columns; the values as float32 holds them, which is how they will be stored."""
    rows = rows[rows["tag"] < len(tags)]
    with np.errstate(over="ignore"):
        value = rows["value"].astype(np.float32).astype(np.float64)
    number = rows["tag"].astype(np.int64)
    return ScalarBatch(tags, number, rows["step"].copy(), rows["time"].copy(), value, np.arange(len(rows)))


def encode(batch: ScalarBatch) -> bytes:
    """Return a batch as records of an event file."""
    return encode_scalars(batch.tags, batch.tag, batch.step, batch.wall_time, batch.value)


@dataclass(frozen=True)
class View:
    """What a reader finds in a journal.

    Attributes
    ----------
    end
        The length of the event file that belongs to it.
    pending
        The scalars that are not in the event file.
    """

    end: int
    pending: ScalarBatch


def read_journal(path: Path) -> View | None:
    """Read a journal while its writer goes on, or after it died.

    Returns
    -------
    The view, or ``None`` if the writer was too quick to get a consistent one: try again later.

    Raises
    ------
    FormatError
        If the file is not a journal.
    OSError
        If it cannot be read; :class:`FileNotFoundError` if its writer has finished.
    """
    with path.open("rb", buffering=0) as file:
        for _ in range(_ATTEMPTS):
            capacity, state = _read_head(file, path)
            rows = _read_rows(file, capacity, state.drained)
            tags = _read_tags(file, _PAGE + capacity * _ROW.size) if len(rows) else []
            if _read_head(file, path)[1] == state:
                return View(state.end, batch_of(tags, rows))
    return None


def _read_head(file: Any, path: Path) -> tuple[int, State]:
    file.seek(0)
    page = file.read(_PAGE)
    if len(page) < _PAGE or page[:8] != _MAGIC:
        raise FormatError(f"{path.name} is not a journal of convscope")
    _, capacity, size = _HEAD.unpack(page[: _HEAD.size])
    states = [_unpack_state(page[place : place + _STATE.size + 4]) for place in _STATES]
    known = [state for state in states if state is not None]
    if size != _ROW.size or not capacity or not known:
        raise FormatError(f"the journal {path.name} is damaged")
    return capacity, max(known, key=lambda state: state.sequence)


def _unpack_state(data: bytes) -> State | None:
    numbers, crc = data[: _STATE.size], int.from_bytes(data[_STATE.size :], "little")
    return State(*_STATE.unpack(numbers)) if crc == crc32c(numbers) else None


def _read_rows(file: Any, capacity: int, start: int) -> Rows:
    """Return the valid rows from ``start`` on, in blocks that grow."""
    found = [np.zeros(0, _ROW_TYPE)]
    block, row = 64, start
    while row < start + capacity:
        count = min(block, capacity - row % capacity, start + capacity - row)
        marks = _read_ring(file, row % capacity, count)
        valid = _valid(marks, row, capacity)
        # read once more: of a row whose mark was there all else is there, but the first look may have come too early
        found.append(_read_ring(file, row % capacity, valid))
        row += valid
        block *= 4
        if valid < count:
            break
    return np.concatenate(found)


def _read_ring(file: Any, index: int, count: int) -> Rows:
    file.seek(_PAGE + index * _ROW.size)
    data = file.read(count * _ROW.size)
    return np.frombuffer(data[: len(data) // _ROW.size * _ROW.size], _ROW_TYPE)


def _read_tags(file: Any, start: int) -> list[str]:
    file.seek(start)
    data, tags, position = file.readall(), [], 0
    while position + _TAG_LENGTH.size <= len(data):
        (length,) = _TAG_LENGTH.unpack_from(data, position)
        position += _TAG_LENGTH.size
        if position + length > len(data):
            break
        tags.append(data[position : position + length].decode(errors="replace"))
        position += length
    return tags


def recover(path: Path) -> bool:
    """Finish what a dead writer has left in its journal: put its scalars into the event file, remove the journal.

    Doing it twice, or dying in between, changes nothing: the bytes are the same each time.

    Returns
    -------
    Whether the journal is gone; ``False`` if its writer is alive or it cannot be read.

    Raises
    ------
    StorageError
        If the event file cannot be written.
    """
    try:
        with path.open("r+b", buffering=0) as file:
            if not _lock_file(file.fileno()) or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return False
            view = read_journal(path)
            if view is not None:
                _finish(path.with_name(path.name.removesuffix(SUFFIX)), view)
                path.unlink()
    except (FileNotFoundError, FormatError):
        return False
    except OSError as error:
        raise StorageError(f"cannot recover the journal {path} ({error}); make it writable or move it away") from error
    return view is not None


def _finish(events: Path, view: View) -> None:
    if not events.exists():
        return  # whoever removed the event file did not want its last values either
    if not view.end:
        events.unlink()  # not even its first record was finished
        return
    with events.open("r+b") as file:
        file.truncate(view.end)
        file.seek(view.end)
        file.write(encode(view.pending))


def _lock_file(file: int) -> bool:
    """Take the lock that says "the writer lives"; the kernel gives it back when the process dies."""
    if sys.platform == "win32":  # no such locks: a left-over journal stays there, and readers read it
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
