"""A log that takes everything and writes nothing, for programs that are told not to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class NoLog:
    """Stands where an :class:`~convscope.store.log.EventLog` would."""

    writes = False
    closed = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, *_: Any) -> bool:
        """Take a scalar."""
        return True

    def append(self, *_: Any) -> None:
        """Take anything."""

    put_many = put
    put_slowly = put_many_slowly = publish = append
    flush = close = start_over = check_open = append

    def written(self) -> list[tuple[Path, int]]:
        """Return no files."""
        return []

    def knows(self, tag: str) -> bool:  # noqa: ARG002 - nothing is kept
        """Tell that there is nothing."""
        return False

    def names(self, folder: str) -> list[str]:  # noqa: ARG002 - there are no folders
        """Return nothing."""
        return []
