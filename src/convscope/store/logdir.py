"""``Logdir``: a directory of runs, read while they grow."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convscope.errors import InputError, NotFoundError, StorageError, not_found
from convscope.store.records import DIRECTORY
from convscope.store.remote import Mirror, is_remote
from convscope.store.run import MARK, Run, directory_of


class Logdir:
    """A directory of runs: each directory in it, and itself, that holds event files.

    Parameters
    ----------
    path
        The directory; or its URL, of which a local copy is made and kept (extra ``cloud``).
    sidecar
        As for :class:`Run`.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    StorageError
        If it cannot be listed.
    """

    def __init__(self, path: str | Path, *, sidecar: bool = True) -> None:
        self._mirror = Mirror(str(path)) if is_remote(path) else None
        self.path = directory_of(path) if self._mirror is None else self._mirror.path
        self._sidecar = sidecar
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        try:
            with os.scandir(self.path) as entries:
                next(entries, None)
        except OSError as error:
            raise StorageError(f"cannot list {self.path} ({error}); make it readable") from error
        self.refresh()

    @property
    def is_remote(self) -> bool:
        """Whether it is at a URL, so that each :meth:`refresh` asks the store."""
        return self._mirror is not None

    def __repr__(self) -> str:
        return f"Logdir({str(self.path)!r})"

    def runs(self) -> list[Run]:
        """Return the runs, by name."""
        with self._lock:
            return [self._runs[name] for name in sorted(self._runs)]

    def run(self, name: str) -> Run:
        """Return a run by its name: its path in the directory, ``.`` for the directory itself."""
        with self._lock:
            if name not in self._runs:
                raise not_found("run", name, self._runs, str(self.path))
            return self._runs[name]

    def frame(self, tag: str = "", run: str = "", points: str = "current") -> Any:
        """Return the curves of all runs as a ``pandas.DataFrame``; see :meth:`Run.frame`.

        ``run`` is a regular expression that must occur in the run's name.
        """
        from convscope.store.export import curves, frame

        return frame(curves(self.runs(), tag, run, points))

    def refresh(self) -> bool:
        """Look for new runs and read what was appended; return whether there was anything new."""
        if self._mirror is not None:
            self._mirror.refresh()
        with self._lock:
            found = {_name(path, self.path): path for path in run_directories(self.path)}
            gone = [name for name in self._runs if name not in found]
            for name in gone:
                del self._runs[name]
            changed = [run.refresh() for run in self._runs.values()]
            unknown = {name: path for name, path in found.items() if name not in self._runs}
            opened = {name: _open(path, name, self._sidecar) for name, path in unknown.items()}
            new = {name: run for name, run in opened.items() if run is not None}
            self._runs.update(new)
            return bool(gone or new or any(changed))


def each_run(logdir: str | Path, run: str = "") -> Iterator[Run]:
    """Open the runs of a directory one by one, by name; only as many are in memory as are kept.

    Parameters
    ----------
    logdir
        The directory.
    run
        A regular expression that must occur in the name of a run; others are not opened.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    InputError
        If the expression is none.
    """
    chosen = pattern(run)
    top = Mirror(str(logdir)).path if is_remote(logdir) else directory_of(logdir)
    found = {_name(path, top): path for path in run_directories(top)}
    opened = (_open(found[name], name) for name in sorted(found) if chosen.search(name))
    return (run for run in opened if run is not None)


def pattern(text: str) -> re.Pattern[str]:
    """Return a regular expression.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(
            f"{text!r} is no regular expression ({error}); put a backslash before a special one"
        ) from error


def _open(path: Path, name: str, sidecar: bool = True) -> Run | None:
    """Open a run, unless it is gone again."""
    try:
        return Run(path, name, sidecar=sidecar)
    except NotFoundError:
        return None


def _name(path: Path, logdir: Path) -> str:
    return path.relative_to(logdir).as_posix()


def run_directories(logdir: Path) -> Iterator[Path]:
    """Give the directories that hold event files; links, hidden directories and records are passed over."""
    for folder, directories, files in os.walk(logdir, followlinks=False):
        is_run = any(MARK in name for name in files)
        directories[:] = [name for name in directories if name[0] != "." and not (is_run and name == DIRECTORY)]
        if is_run:
            yield Path(folder)
