"""``Logdir``: a directory of runs, read while they grow."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from convscope.errors import InputError, NotFoundError, StorageError, not_found
from convscope.rich import Rich
from convscope.store.folders import Folders
from convscope.store.remote import Mirror, is_remote
from convscope.store.run import Run, directory_of


class Logdir(Rich):
    """A directory of runs: each directory in it, and itself, that holds event files.

    Parameters
    ----------
    path
        The directory; or its URL, of which a local copy is made and kept (extra ``cloud``).
    sidecar
        As for :class:`Run`.
    lazy
        Whether runs are opened by :meth:`refresh`, as far as it may take, instead of all at once.
    prefix
        A name that is put before those of the runs, as in ``prefix/run``; the directory itself then is ``prefix``.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    StorageError
        If it cannot be listed.
    """

    def __init__(self, path: str | Path, *, sidecar: bool = True, lazy: bool = False, prefix: str = "") -> None:
        self._mirror = Mirror(str(path)) if is_remote(path) else None
        self.path = directory_of(path) if self._mirror is None else self._mirror.path
        self._sidecar = sidecar
        self._prefix = prefix
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._folders = Folders(self.path)
        self._runs: dict[str, Run] = {}
        self._unread: list[str] = []
        try:
            with os.scandir(self.path) as entries:
                next(entries, None)
        except OSError as error:
            raise StorageError(f"cannot list {self.path} ({error}); make it readable") from error
        if not lazy:
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

    @property
    def unread(self) -> list[str]:
        """The names of the runs that :meth:`refresh` has found and not opened yet."""
        with self._lock:
            return list(self._unread)

    def refresh(self, seconds: float = math.inf) -> bool:
        """Look for new runs and read what was appended; return whether there was anything new.

        One thread looks at a time; questions are answered meanwhile.

        Parameters
        ----------
        seconds
            After so long the runs that are left are opened next time; one is opened in any case.
        """
        with self._looking:
            if self._mirror is not None:
                self._mirror.refresh()
            found = {self._named(name): path for name, path in self._folders.runs().items()}
            with self._lock:
                gone = [name for name in self._runs if name not in found]
                for name in gone:
                    del self._runs[name]
                known = dict(self._runs)
                before = self._unread
                self._unread = sorted(name for name in found if name not in known)
            grown = [run.refresh() for run in known.values()]
            news = self._open_unread(found, seconds)
            return news or bool(gone) or any(grown) or self.unread != before

    def _named(self, name: str) -> str:
        if not self._prefix:
            return name
        return self._prefix if name == "." else f"{self._prefix}/{name}"

    def _open_unread(self, found: Mapping[str, Path], seconds: float) -> bool:
        started = time.monotonic()
        news = False
        for name in self.unread:
            run = _open(found[name], name, self._sidecar)
            with self._lock:
                self._unread.remove(name)
                if run is not None:
                    self._runs[name] = run
                    news = True
            if time.monotonic() - started >= seconds:
                break
        return news


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
    found = Folders(top).runs()
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
