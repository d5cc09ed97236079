"""Reading a journal while its writer goes on, and finishing it after the writer has died."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from convscope.errors import FormatError, StorageError
from convscope.formats.crc32c import crc32c
from convscope.formats.scalars import ScalarBatch
from convscope.store.journal import (
    DRAFT,
    HEAD,
    MAGIC,
    PAGE,
    ROW,
    ROW_TYPE,
    STATE,
    STATES,
    SUFFIX,
    TAG_LENGTH,
    Rows,
    State,
    batch_of,
    encode,
    events_name,
    lock_file,
    prefix,
    valid,
)

_ATTEMPTS: Final = 8
_ABANDONED_SECONDS: Final = 60
_THREADS: Final = 64  # so many rows may be taken and not yet filled


@dataclass(frozen=True)
class View:
    """What a reader finds in a journal.

    Attributes
    ----------
    end
        The length of the event file that belongs to it.
    tags, rows
        The scalars that are not in the event file, as the journal holds them.
    """

    end: int
    tags: list[str]
    rows: Rows

    @property
    def pending(self) -> ScalarBatch:
        """The scalars that are not in the event file."""
        return batch_of(self.tags, self.rows)


def read_journal(path: Path, *, abandoned: bool = False) -> View | None:
    """Read a journal while its writer goes on, or after it died.

    A row that a thread has taken and not yet filled ends the view, unless its writer is gone and nobody will fill it.

    Parameters
    ----------
    path
        The journal.
    abandoned
        Whether the caller knows that its writer is gone.

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
            if _goes_on(file, capacity, state.drained, len(rows)) and (abandoned or _is_abandoned(file)):
                rows = _read_all_rows(file, capacity, state.drained)
            tags = _read_tags(file, PAGE + capacity * ROW.size) if len(rows) else []
            if _read_head(file, path)[1] == state:
                return View(state.end, tags, rows)
    return None


def _read_head(file: Any, path: Path) -> tuple[int, State]:
    file.seek(0)
    page = file.read(PAGE)
    if len(page) < PAGE or page[:8] != MAGIC:
        raise FormatError(f"{path.name} is not a journal of convscope")
    _, capacity, size = HEAD.unpack(page[: HEAD.size])
    states = [_unpack_state(page[place : place + STATE.size + 4]) for place in STATES]
    known = [state for state in states if state is not None]
    if size != ROW.size or not capacity or not known:
        raise FormatError(f"the journal {path.name} is damaged")
    return capacity, max(known, key=lambda state: state.sequence)


def _unpack_state(data: bytes) -> State | None:
    numbers, crc = data[: STATE.size], int.from_bytes(data[STATE.size :], "little")
    return State(*STATE.unpack(numbers)) if crc == crc32c(numbers) else None


def _read_rows(file: Any, capacity: int, start: int) -> Rows:
    """Return the valid rows from ``start`` on, in blocks that grow."""
    found = [np.zeros(0, ROW_TYPE)]
    block, row = 64, start
    while row < start + capacity:
        count = min(block, capacity - row % capacity, start + capacity - row)
        marks = _read_ring(file, row % capacity, count)
        filled = prefix(valid(marks, row, capacity))
        # read once more: of a row whose mark was there all else is there, but the first look may have come too early
        found.append(_read_ring(file, row % capacity, filled))
        row += filled
        block *= 4
        if filled < count:
            break
    return np.concatenate(found)


def _goes_on(file: Any, capacity: int, start: int, count: int) -> bool:
    """Tell whether there are rows behind the first that is not filled."""
    row = start + count
    ahead = min(_THREADS, capacity - row % capacity, capacity - count)
    return bool(valid(_read_ring(file, row % capacity, ahead), row, capacity).any())


def _read_all_rows(file: Any, capacity: int, start: int) -> Rows:
    """Return the valid rows from ``start`` on, also those behind one that is not filled, as far as the file goes."""
    held = max(0, os.fstat(file.fileno()).st_size - PAGE) // ROW.size
    ring, turn = _read_ring(file, 0, min(capacity, held)), start % capacity
    laps = ((ring[turn:], start), (ring[:turn], start - turn + capacity))
    return np.concatenate([rows[valid(rows, number, capacity)] for rows, number in laps])


def _is_abandoned(file: Any) -> bool:
    """Tell whether no writer holds the lock; the file gives its own back when it is closed."""
    return lock_file(file.fileno(), shared=True)


def _read_ring(file: Any, index: int, count: int) -> Rows:
    file.seek(PAGE + index * ROW.size)
    data = file.read(count * ROW.size)
    return np.frombuffer(data[: len(data) // ROW.size * ROW.size], ROW_TYPE)


def _read_tags(file: Any, start: int) -> list[str]:
    file.seek(start)
    data, tags, position = file.readall(), [], 0
    while position + TAG_LENGTH.size <= len(data):
        (length,) = TAG_LENGTH.unpack_from(data, position)
        position += TAG_LENGTH.size
        if position + length > len(data):
            break
        tags.append(data[position : position + length].decode(errors="replace"))
        position += length
    return tags


def sweep_drafts(directory: Path) -> None:
    """Remove journals whose writers died before they had given them their names."""
    for path in directory.glob(f".*{SUFFIX}{DRAFT}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()


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
            if not lock_file(file.fileno()) or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return False
            view = read_journal(path, abandoned=True)
            if view is not None:
                _finish(path.with_name(events_name(path.name)), view)
                path.unlink()
    except (FileNotFoundError, PermissionError, FormatError):
        return False  # somebody else's: readers read it where it is
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
        file.write(encode(view.tags, view.rows))
