"""An event file that grows: a cursor, the records behind it, and a memory of what was damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from convscope.formats.record import Bytes, Index, read_frames

_CHUNK: Final = 1 << 26


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
        self._damage: list[tuple[int, int | None]] = []
        self._notes: list[str] = []

    @property
    def problems(self) -> list[str]:
        """What was wrong, each with the file and the byte."""
        return self._notes + [self._sentence(start, stop) for start, stop in self._damage]

    def note(self, offset: int, problem: object) -> None:
        """Remember a record that is intact but says nothing sensible."""
        self._notes.append(f"{self.path.name}: record at byte {offset} skipped: {problem}")

    def read(self, limit: int | None = None) -> Iterator[Block]:
        """Read what was appended, as far as ``limit`` allows.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        size = self.path.stat().st_size
        size = size if limit is None else min(size, limit)
        if size == self._size:
            return
        if size < self.cursor and limit is None:
            self._notes.append(f"{self.path.name}: has become shorter, {size} bytes instead of {self.cursor}")
            self.cursor = size
        self._size = size
        chunk = _CHUNK
        with self.path.open("rb") as file:
            while self.cursor < size:
                file.seek(self.cursor)
                data = np.frombuffer(file.read(min(chunk, size - self.cursor)), np.uint8)
                block, end = self._frames(data)
                if len(block.offset):
                    yield block
                self.cursor += end
                if end:
                    continue
                if len(data) < chunk:
                    break
                chunk *= 4  # one record is longer than the chunk

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
