"""Files that are on the disk when they are said to be."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, data: bytes | Iterable[bytes | memoryview]) -> int:
    """Write a new file, and the folders it is in, and wait until its bytes are on the disk; return how many they are.

    What comes in blocks is never whole in memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for block in [data] if isinstance(data, bytes) else data:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable; some systems cannot open directories and do not need it."""
    with suppress(PermissionError, IsADirectoryError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
