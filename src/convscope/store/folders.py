"""Where the runs under a directory are: its directories are looked into again only where they have changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convscope.store.projector import CONFIG
from convscope.store.records import DIRECTORY

MARK: Final = "tfevents"
"""What the names of event files have in them."""
Stamp = tuple[int | tuple[int, int], ...]
ANEW_SECONDS: Final = 10.0
"""So often everything is looked at: there are file systems that do not tell when a directory was changed."""
_SETTLED_NS: Final = 2_000_000_000  # some file systems count in seconds


@dataclass(frozen=True)
class _Folder:
    """A directory as it was seen: when it was changed (``None``: only just), and what is in it."""

    changed: int | None
    is_run: bool
    children: tuple[str, ...]


class Folders:
    """The directories under one; links, hidden directories and records are passed over.

    Parameters
    ----------
    top
        The directory; there are no runs while it is not there.
    """

    def __init__(self, top: Path) -> None:
        self._top = str(top)
        self._known: dict[str, _Folder] = {}
        self._runs: dict[str, Path] = {}
        self._anew = -ANEW_SECONDS

    def runs(self) -> dict[str, Path]:
        """Return the directories that hold event files or embeddings by their name in the top one, itself ``.``."""
        anew = time.monotonic() - self._anew >= ANEW_SECONDS
        if anew:
            self._anew = time.monotonic()
        known, self._known = self._known, dict(self._walk({} if anew else self._known))
        if known != self._known or not known:
            runs = (path for path, folder in self._known.items() if folder.is_run)
            self._runs = {_name(path, self._top): Path(path) for path in runs}
        return self._runs

    def _walk(self, known: dict[str, _Folder]) -> Iterator[tuple[str, _Folder]]:
        waiting = [self._top]
        while waiting:
            path = waiting.pop()
            folder = known.get(path)
            try:
                if folder is None or folder.changed != os.stat(path).st_mtime_ns:  # noqa: PTH116  a Path costs more
                    folder = _look(path)
            except OSError:  # gone, or not ours to read
                continue
            yield path, folder
            waiting += (f"{path}/{child}" for child in folder.children)


def run_directories(top: Path) -> Iterator[Path]:
    """Give the directories that hold event files or embeddings of TensorBoard's projector."""
    yield from Folders(top).runs().values()


def stamp_of(path: str, names: Iterable[str]) -> Stamp | None:
    """Return what stays the same while nothing happens to a directory and these files of it.

    There is none where the directory was changed just now, or cannot be looked at. A journal is no such file: it is
    written through memory, which its times do not tell at once.
    """
    try:
        changed = os.stat(path).st_mtime_ns  # noqa: PTH116  asked several times a second of every run
        if not _settled(changed):
            return None
        found = [os.stat(f"{path}/{name}") for name in names]  # noqa: PTH116
    except OSError:
        return None
    return changed, *((one.st_size, one.st_mtime_ns) for one in found)


def _settled(changed: int) -> bool:
    """Tell whether a file or directory that was changed then has another time after its next change."""
    return time.time_ns() - changed > _SETTLED_NS


def _look(path: str) -> _Folder:
    changed = os.stat(path).st_mtime_ns  # noqa: PTH116  before its entries: one that comes meanwhile makes it newer
    with os.scandir(path) as entries:
        found = list(entries)
    is_run = any((MARK in entry.name or entry.name == CONFIG) and not entry.is_dir() for entry in found)
    children = (entry.name for entry in found if entry.name[0] != "." and entry.is_dir(follow_symlinks=False))
    kept = tuple(name for name in children if not (is_run and name == DIRECTORY))
    return _Folder(changed if _settled(changed) else None, is_run, kept)


def _name(path: str, top: str) -> str:
    return path[len(top) :].lstrip("/") or "."
