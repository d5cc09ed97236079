"""``Run`` and ``Logdir``: run directories, read while they grow."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from convscope.errors import FormatError, NotFoundError, StorageError, not_found
from convscope.formats.scalars import ScalarBatch, by_tag
from convscope.store.accessors import Accessors
from convscope.store.index import Index, standing
from convscope.store.journal import SUFFIX
from convscope.store.reader import EventFile
from convscope.store.records import DIRECTORY, Record
from convscope.store.recovery import read_journal
from convscope.store.results import Entry, Location, Scalars

_MARK = "tfevents"
T = TypeVar("T")


class Run(Accessors):
    """What one run directory holds.

    Event files of convscope, torch.utils.tensorboard, tensorboardX and TensorFlow are read. A run may be read by
    several threads while others write it.

    >>> run = Run("runs/mnist")                     # doctest: +SKIP
    >>> run.scalars("loss").value                   # doctest: +SKIP

    Parameters
    ----------
    path
        The run directory.
    name
        What it is called; the directory's name by default.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        self.path = _directory(path)
        self.name = name or self.path.name or str(self.path)
        self._lock = threading.RLock()
        self._index = Index()
        self._files: dict[str, EventFile] = {}
        self._known: dict[str, int] = {}
        self._pending: dict[str, ScalarBatch] = {}
        self._faults: dict[str, str] = {}
        self._known_values: dict[tuple[str, str], dict[Location, Any]] = {}
        self.refresh()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def refresh(self) -> bool:
        """Read what was appended since the last time; return whether there was anything new."""
        with self._lock:
            found = dict(_event_files(self.path))
            names = set(found)
            before = self._position()
            replaced = any(found.get(name) != known for name, known in self._known.items())
            if replaced:
                self._forget()  # a file is gone, or another one has its name: what was read of it counts no more
            self._known = {name: identity for name, identity in found.items() if not name.endswith(SUFFIX)}
            self._faults.clear()
            for name in sorted(name for name in names if not name.endswith(SUFFIX)):
                try:
                    self._read(name, f"{name}{SUFFIX}" in names)
                except OSError as error:
                    self._faults[name] = f"{name}: cannot be read ({error.strerror or error})"
            return replaced or self._position() != before

    def _forget(self) -> None:
        """Start over with an empty index; what is there is read again."""
        self._index = Index()
        self._files.clear()
        self._pending.clear()
        self._known_values.clear()

    def _position(self) -> tuple[object, ...]:
        cursors = [(name, file.cursor, len(file.problems)) for name, file in self._files.items()]
        pending = [(name, len(batch.tag)) for name, batch in self._pending.items()]
        return cursors, pending, dict(self._faults)

    def _read(self, name: str, has_journal: bool) -> None:
        file = self._files.setdefault(name, EventFile(self.path / name))
        limit, pending = self._journal(name) if has_journal else (None, None)
        if limit is not None and limit < file.cursor:
            return  # the writer is just now telling its journal what it has written
        for block in file.read(limit):
            self._index.add(block, file.note)
        if pending is None or not len(pending.tag):
            self._pending.pop(name, None)
        else:
            self._pending[name] = pending

    def _journal(self, name: str) -> tuple[int | None, ScalarBatch | None]:
        """Return how far the event file counts and what its journal holds besides."""
        try:
            view = read_journal(self.path / f"{name}{SUFFIX}")
        except FileNotFoundError:
            return None, None  # its writer has just finished
        except FormatError as error:
            self._faults[name] = f"{error}; its last scalars are lost"
            return None, None
        if view is None:
            return -1, None
        return view.end, view.pending

    def tags(self, kind: str | None = None) -> dict[str, list[str]]:
        """Return the tags of each kind (or of one), in order of first appearance."""
        with self._lock:
            known = dict(self._index.kinds())
            scalars = dict.fromkeys(known.get("scalar", []))
            for batch in self._pending.values():
                scalars.update(dict.fromkeys(tag for tag, _ in by_tag(batch)))
            if scalars:
                known = {"scalar": list(scalars), **{name: tags for name, tags in known.items() if name != "scalar"}}
            return known if kind is None else {kind: known.get(kind, [])}

    def scalars(self, tag: str, points: str = "current") -> Scalars:
        """Return a curve.

        Parameters
        ----------
        tag
            Its tag.
        points
            What a program that starts again at an earlier step takes back: ``current`` leaves that out; ``latest``
            leaves out whatever is followed by the same step or an earlier one, as TensorBoard's fast loader does;
            ``all`` gives every point in the files.
        """
        with self._lock:
            self._check("scalar", tag)
            series = self._index.scalars.get(tag)
            parts = [series.columns()] if series is not None else []
            for batch in self._pending.values():
                found = [rows for name, rows in by_tag(batch) if name == tag]
                parts += [[batch.step[rows], batch.wall_time[rows], batch.value[rows]] for rows in found]
            columns = parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]
            cuts = [] if series is None else series.cuts
        if not cuts and points == "current":
            return Scalars(*columns)
        keep = standing(columns[0], cuts, points)
        return Scalars(*columns) if keep.all() else Scalars(*(column[keep] for column in columns))

    def _places(self, kind: str, tag: str, points: str) -> list[Any]:
        with self._lock:
            self._check(kind, tag)
            found: list[Any] = self._index.places[kind][tag].standing(points)
            return found

    def _decoded(self, kind: str, tag: str, points: str, decode: Callable[[Location], T]) -> list[T]:
        """Return the values of a tag, each decoded once."""
        places = self._places(kind, tag, points)
        with self._lock:
            known = self._known_values.setdefault((kind, tag), {})
            for place in places:
                if place not in known:
                    known[place] = decode(place)
            return [known[place] for place in places]

    def entries(self, kind: str | None = None, tag: str | None = None) -> list[Entry]:
        """Return what the log says about records, in the order in which they were committed."""
        with self._lock:
            entries = self._index.entries.standing()
        return [entry for entry in entries if kind in (None, entry.kind) and tag in (None, entry.tag)]

    def record(self, entry: Entry | str) -> Record:
        """Return a record by its entry or its id."""
        if isinstance(entry, Entry):
            return Record(self.path, entry)
        with self._lock:
            known = {item.id: item for item in self._index.entries.items}
        if entry not in known:
            raise not_found("record", entry, known, f"run {self.name!r}")
        return Record(self.path, known[entry])

    @property
    def problems(self) -> list[str]:
        """What could not be read: the file, the byte, and what was skipped."""
        with self._lock:
            damaged = [problem for file in self._files.values() for problem in file.problems]
            return damaged + list(self._faults.values())

    @property
    def last_wall_time(self) -> float | None:
        """When the last value was logged, in seconds since 1970; ``None`` for an empty run."""
        with self._lock:
            times = [float(batch.wall_time.max()) for batch in self._pending.values()]
            known = self._index.last_wall_time
            return max([*times, *([] if known is None else [known])], default=None)

    def _check(self, kind: str, tag: str) -> None:
        known = self.tags(kind)[kind]
        if tag not in known:
            raise not_found(kind, tag, known, f"run {self.name!r}")


def _directory(path: str | Path) -> Path:
    directory = Path(path)
    if not directory.is_dir():
        raise NotFoundError(f"there is no directory {str(directory)!r}; give the one a SummaryWriter has written")
    return directory


def _event_files(path: Path) -> Iterator[tuple[str, int]]:
    """Give the event files and journals of a directory, each with its inode; links are not followed."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if _MARK in entry.name and entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.inode()
    except OSError:
        return  # the directory is gone, or may not be listed: it has nothing new


class Logdir:
    """A directory of runs: each directory in it, and itself, that holds event files.

    Parameters
    ----------
    path
        The directory.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    StorageError
        If it cannot be listed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = _directory(path)
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        try:
            with os.scandir(self.path) as entries:
                next(entries, None)
        except OSError as error:
            raise StorageError(f"cannot list {self.path} ({error}); make it readable") from error
        self.refresh()

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

    def refresh(self) -> bool:
        """Look for new runs and read what was appended; return whether there was anything new."""
        with self._lock:
            found = {_name(path, self.path): path for path in _run_directories(self.path)}
            gone = [name for name in self._runs if name not in found]
            for name in gone:
                del self._runs[name]
            changed = [run.refresh() for run in self._runs.values()]
            new = {name: Run(path, name) for name, path in found.items() if name not in self._runs}
            self._runs.update(new)
            return bool(gone or new or any(changed))


def _name(path: Path, logdir: Path) -> str:
    return path.relative_to(logdir).as_posix()


def _run_directories(logdir: Path) -> Iterator[Path]:
    """Give the directories that hold event files; links, hidden directories and records are passed over."""
    for folder, directories, files in os.walk(logdir, followlinks=False):
        is_run = any(_MARK in name for name in files)
        directories[:] = [name for name in directories if name[0] != "." and not (is_run and name == DIRECTORY)]
        if is_run:
            yield Path(folder)
