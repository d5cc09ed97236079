"""An event file that grows: a cursor, the records behind it, and a memory of what was damaged."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from convscope.formats.record import Bytes, Index, first_record, read_frames

_SAMPLE: Final = 4096  # bytes at both ends of what was read of a file that must still be the same
_MOST_NOTES: Final = 1000
_FIRST: Final = 1 << 16  # the first look at a file is short: it tells what the tensors are for
_CHUNK: Final = 1 << 21  # larger ones cost more: what was read leaves the caches before it is used


class ReplacedError(Exception):
    """What was read of a file is no longer in it: it was cut, or written anew. Read it from its beginning."""


@dataclass(frozen=True)
class Block:
    """Records of a part of a file.

    Attributes
    ----------
    path
        The file.
    start
        Where the part starts in the file.
    data
        Its bytes.
    offset, length
        Where in ``data`` each intact record starts and how many bytes of data it has, ``(n,)``.
    """

    path: Path
    start: int
    data: Bytes
    offset: Index
    length: Index


class EventFile:
    """Reads an event file from where it last stopped.

    A record that is not complete is waited for. Damaged bytes are skipped and remembered.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cursor = 0
        self._size = 0
        self._seen = (-1, -1)  # how long it was when it was last read to its end, and when it was changed
        self._ends: list[int] | None = None  # of what was read, where that is known
        self._damage: list[tuple[int, int | None]] = []
        self._notes: list[str] = []
        self._more_notes = 0

    @property
    def problems(self) -> list[str]:
        """What was wrong, each with the file and the byte."""
        more = [f"{self.path.name}: {self._more_notes} more records skipped"] if self._more_notes else []
        return self._notes + more + [self._sentence(start, stop) for start, stop in self._damage]

    def memory(self) -> dict[str, Any]:
        """Return how far the file has been read and what was wrong with it, for JSON."""
        return {
            "cursor": self.cursor,
            "size": self._size,
            "ends": self._ends,
            "damage": self._damage,
            "notes": self._notes,
            "more_notes": self._more_notes,
        }

    def remember(self, memory: dict[str, Any]) -> None:
        """Go on where an earlier reader of the same file was."""
        self.cursor = int(memory["cursor"])
        self._ends = [int(end) for end in memory["ends"]]
        self._damage = [(int(start), None if stop is None else int(stop)) for start, stop in memory["damage"]]
        self._notes = [str(note) for note in memory["notes"]]
        self._more_notes = int(memory["more_notes"])

    def note(self, offset: int, problem: object) -> None:
        """Remember a record that is intact but says nothing sensible."""
        if len(self._notes) >= _MOST_NOTES:
            self._more_notes += 1
        else:
            self._notes.append(f"{self.path.name}: record at byte {offset} skipped: {problem}")

    def read(self, limit: int | None = None) -> Iterator[Block]:
        """Read what was appended, as far as ``limit`` allows.

        Raises
        ------
        ReplacedError
            If what was read before is no longer there.
        OSError
            If the file cannot be read.
        """
        status = self.path.stat()
        size = status.st_size if limit is None else min(status.st_size, limit)
        if (size, status.st_mtime_ns) == self._seen:
            return
        with self.path.open("rb") as file:
            self._check(file)
            self._size, self._ends = size, None
            yield from self._blocks(file, size)
            self._ends = ends_of(file, self.cursor)
        self._seen = size, status.st_mtime_ns

    def _check(self, file: BinaryIO) -> None:
        if os.fstat(file.fileno()).st_size < self.cursor or self._ends not in (None, ends_of(file, self.cursor)):
            raise ReplacedError(self.path.name)

    def _blocks(self, file: BinaryIO, size: int) -> Iterator[Block]:
        """Give the records from the cursor on, moving it."""
        chunk = _CHUNK if self.cursor else min(_FIRST, _CHUNK)
        while self.cursor < size:
            file.seek(self.cursor)
            data = np.frombuffer(file.read(min(chunk, size - self.cursor)), np.uint8)
            block, end = self._frames(data)
            if len(block.offset):
                yield block
            self.cursor += end
            if end:
                chunk = _CHUNK
                continue
            needed = first_record(data)
            if len(data) < chunk or self.cursor + needed > size:
                break
            chunk = max(4 * chunk, needed)  # one record, or one piece of damage, is longer than the chunk

    def _frames(self, data: Bytes) -> tuple[Block, int]:
        frames = read_frames(data)
        found = [(self.cursor + start, None if stop is None else self.cursor + stop) for start, stop in frames.damage]
        if self._damage and self._damage[-1][1] is None:  # what the damage of last time has become
            start, _ = self._damage.pop()
            if found and found[0][0] == self.cursor:
                found[0] = (start, found[0][1])
            elif start < self.cursor:
                found.insert(0, (start, self.cursor))
        self._damage += found
        return Block(self.path, self.cursor, data, frames.offset, frames.length), frames.end

    def _sentence(self, start: int, stop: int | None) -> str:
        if stop is None:
            return f"{self.path.name}: damaged from byte {start} on; nothing readable follows"
        return f"{self.path.name}: damaged at byte {start}, skipped to byte {stop}"


def ends_of(file: BinaryIO, cursor: int) -> list[int]:
    """Return the checksums of the first bytes of a file and of those before ``cursor``."""
    file.seek(0)
    head = file.read(min(_SAMPLE, cursor))
    file.seek(max(cursor - _SAMPLE, 0))
    return [zlib.crc32(head), zlib.crc32(file.read(min(_SAMPLE, cursor)))]
