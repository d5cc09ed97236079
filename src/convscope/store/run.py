"""``Run``: a run directory, read while it grows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, NotFoundError, not_found
from convscope.formats.scalars import ScalarBatch, by_tag
from convscope.store.accessors import Accessors
from convscope.store.embeddings import ProjectorEmbedding, read_embeddings
from convscope.store.index import Index, standing
from convscope.store.journal import SUFFIX, journal_name
from convscope.store.reader import EventFile
from convscope.store.records import Record
from convscope.store.recovery import read_journal
from convscope.store.remote import Mirror, is_remote
from convscope.store.results import Entry, Location, Scalars
from convscope.store.sidecar import read_sidecar, write_sidecar

MARK = "tfevents"
_SWITCH = "CONVSCOPE_SIDECAR"
_WORTH_A_SIDECAR = 1 << 20  # bytes of events read beyond the last one
T = TypeVar("T")


class Run(Accessors):
    """What one run directory holds.

    Event files of convscope, torch.utils.tensorboard, tensorboardX, TensorFlow and MXBoard are read. A run may be read
    by several threads while others write it.

    >>> run = Run("runs/mnist")                     # doctest: +SKIP
    >>> run.scalars("loss").value                   # doctest: +SKIP

    Parameters
    ----------
    path
        The run directory; or its URL, of which a local copy is made and kept (extra ``cloud``).
    name
        What it is called; the directory's name by default.
    sidecar
        Whether a large run may be opened from its column sidecar, and one be left behind after reading it; the
        environment variable ``CONVSCOPE_SIDECAR=0`` says no for a whole program.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    """

    def __init__(self, path: str | Path, name: str | None = None, *, sidecar: bool = True) -> None:
        self._mirror = Mirror(str(path)) if is_remote(path) else None
        self.path = directory_of(path) if self._mirror is None else self._mirror.path
        self.name = name or Path(path).name or str(self.path)
        self._sidecar = sidecar and os.environ.get(_SWITCH, "") != "0"
        self._covered: int | None = None
        self._in_order = True
        self._lock = threading.RLock()
        self._index = Index()
        self._files: dict[str, EventFile] = {}
        self._known: dict[str, int] = {}
        self._pending: dict[str, ScalarBatch] = {}
        self._faults: dict[str, str] = {}
        self._unread_embeddings: list[str] = []
        self._known_values: dict[tuple[str, str], dict[Location, Any]] = {}
        self.refresh()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def refresh(self) -> bool:
        """Read what was appended since the last time; return whether there was anything new."""
        if self._mirror is not None:
            self._mirror.refresh()
        with self._lock:
            found = dict(_event_files(self.path))
            names = set(found)
            before = self._position()
            replaced = any(found.get(name) != known for name, known in self._known.items())
            if replaced:
                self._forget()  # a file is gone, or another one has its name: what was read of it counts no more
            self._known = {name: identity for name, identity in found.items() if not name.endswith(SUFFIX)}
            self._faults.clear()
            if self._covered is None:
                self._open_sidecar()
            for name in sorted(self._known):
                try:
                    self._read(name, journal_name(name) in names)
                except OSError as error:
                    self._faults[name] = f"{name}: cannot be read ({error.strerror or error})"
            self._leave_sidecar()
            return replaced or self._position() != before

    def _open_sidecar(self) -> None:
        """Begin with what the sidecar knows, if there is one that fits."""
        found = read_sidecar(self.path, self._known) if self._sidecar and self._known else None
        if found is not None:
            self._index, self._files = found
        self._covered = self._bytes_read()

    def _leave_sidecar(self) -> None:
        """Write a sidecar where much has been read since the last one, in the order in which a new reader would."""
        covered, read = self._covered or 0, self._bytes_read()
        if read - covered < max(_WORTH_A_SIDECAR, covered // 4) or not (self._sidecar and self._in_order):
            return
        self._covered = read  # also where it cannot be written: trying again soon would cost again
        if not self._faults:
            write_sidecar(self.path, self._index, self._files)

    def _bytes_read(self) -> int:
        return sum(file.cursor for file in self._files.values())

    def _forget(self) -> None:
        """Start over with an empty index; what is there is read again."""
        self._index = Index()
        self._covered, self._in_order = 0, True
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
        before = file.cursor
        for block in file.read(limit):
            self._index.add(block, file.note)
        if file.cursor > before and any(other.cursor for later, other in self._files.items() if later > name):
            self._in_order = False
        if pending is None or not len(pending.tag):
            self._pending.pop(name, None)
        else:
            self._pending[name] = pending

    def _journal(self, name: str) -> tuple[int | None, ScalarBatch | None]:
        """Return how far the event file counts and what its journal holds besides."""
        try:
            view = read_journal(self.path / journal_name(name))
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

    def steps(self, kind: str, tag: str, points: str = "current") -> npt.NDArray[np.int64]:
        """Return the steps of a tag of any kind, ``(n,)``; of records those of the entries."""
        if kind == "scalar":
            return self.scalars(tag, points).step
        with self._lock:
            is_record = tag not in self._index.places.get(kind, {})
        found = self.entries(kind, tag) if is_record else self._places(kind, tag, points)
        if not found:
            self._check(kind, tag)
        return np.array([item.step for item in found], np.int64)

    def frame(self, tag: str = "", points: str = "current") -> Any:
        """Return curves as a ``pandas.DataFrame`` with the columns run, tag, step, wall_time and value.

        Parameters
        ----------
        tag
            A regular expression that must occur in the tag; all tags by default.
        points
            As for :meth:`scalars`.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        from convscope.store.export import curves, frame

        return frame(curves([self], tag, points=points))

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

    def embeddings(self, tag: str | None = None) -> list[ProjectorEmbedding]:
        """Return what was logged for TensorBoard's projector, by any program, ordered by step.

        The files are read each time; those that are damaged or missing are told by :attr:`problems`.

        Parameters
        ----------
        tag
            That of the embeddings wanted; all by default.
        """
        found, problems = read_embeddings(self.path, tag)
        with self._lock:
            self._unread_embeddings = problems
        return found

    @property
    def problems(self) -> list[str]:
        """What could not be read: the file, the byte, and what was skipped."""
        with self._lock:
            damaged = [problem for file in self._files.values() for problem in file.problems]
            return damaged + list(self._faults.values()) + self._unread_embeddings

    @property
    def last_wall_time(self) -> float | None:
        """When the last value was logged, in seconds since 1970; ``None`` for an empty run."""
        with self._lock:
            times = [float(batch.wall_time.max()) for batch in self._pending.values()]
            known = self._index.last_wall_time
            return max([*times, *([] if known is None else [known])], default=None)

    def _check(self, kind: str, tag: str) -> None:
        series = (self._index.scalars if kind == "scalar" else self._index.places.get(kind, {})).get(tag)
        if series is not None and series.stands():
            return
        known = self.tags(kind)[kind]
        if tag not in known:
            raise not_found(kind, tag, known, f"run {self.name!r}")


def directory_of(path: str | Path) -> Path:
    """Return the path of a directory that must be there."""
    directory = Path(path)
    if not directory.is_dir():
        raise NotFoundError(f"there is no directory {str(directory)!r}; give the one a SummaryWriter has written")
    return directory


def event_file_names(path: Path) -> list[str]:
    """Return the names of the event files and the journals in a directory."""
    return sorted(name for name, _ in _event_files(path))


def _event_files(path: Path) -> Iterator[tuple[str, int]]:
    """Give the event files and journals of a directory, each with its inode; links are not followed."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if (MARK in entry.name or entry.name.endswith(SUFFIX)) and entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.inode()
    except OSError:
        return  # the directory is gone, or may not be listed: it has nothing new
