"""``Run``: a run directory, read while it grows."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, NotFoundError, StorageError, not_found
from convscope.formats.scalars import ScalarBatch
from convscope.rich import Rich
from convscope.store.accessors import DECODERS, Accessors
from convscope.store.chain import Chain
from convscope.store.decoded import Decoded
from convscope.store.embeddings import ListedEmbedding, Projected, ProjectorEmbedding, read_embeddings
from convscope.store.folders import ANEW_SECONDS, MARK, Stamp, stamp_of
from convscope.store.index import Index
from convscope.store.journal import is_journal, journal_name
from convscope.store.reader import EventFile, ReplacedError
from convscope.store.records import Record
from convscope.store.recovery import read_journal
from convscope.store.remote import Mirror, is_remote
from convscope.store.results import Entry, Scalars
from convscope.store.series import Extent, standing
from convscope.store.sidecar import read_sidecar, write_sidecar

_SWITCH = "CONVSCOPE_SIDECAR"
_WORTH_A_SIDECAR = 1 << 20  # bytes of events read beyond the last one


class Run(Accessors, Rich):
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
        self._lock = threading.RLock()
        self._plugins: dict[str, str] = {}
        self._indices: dict[str, Index] = {}
        self._files: dict[str, EventFile] = {}
        self._known: dict[str, int] = {}
        self._pending: dict[str, ScalarBatch] = {}
        self._chain: Chain | None = None
        self._faults: dict[str, str] = {}
        self._unread_embeddings: list[str] = []
        self._projected = Projected(self.path)
        self._decoded_values = Decoded()
        self._changes = 0
        self._edition = time.time_ns() // 1000  # that of a run that was here before is another
        self._stamp: Stamp | None = None
        self._has_journals = False
        self._looked = 0.0
        self.refresh()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def refresh(self) -> bool:
        """Read what was appended since the last time; return whether there was anything new."""
        if self._mirror is not None:
            self._mirror.refresh()
        with self._lock:
            watched = (*self._known, *self._projected.watched)
            stamp = stamp_of(str(self.path), watched) if not self._has_journals else None
            if stamp and stamp == self._stamp and time.monotonic() - self._looked < ANEW_SECONDS:
                return False
            self._looked = time.monotonic()
            before, begun = self._position(), self._beginnings()
            self._faults.clear()
            found = self._list()
            self._has_journals = any(map(is_journal, found))
            names = set(found)
            replaced = any(found.get(name) != known for name, known in self._known.items())
            if replaced:
                self._forget()  # a file is gone, or another one has its name: what was read of it counts no more
            self._known = {name: identity for name, identity in found.items() if not is_journal(name)}
            if self._covered is None:
                self._open_sidecar()
            try:
                self._read_all(names)
            except ReplacedError:  # a file was written anew under its name
                self._forget()
                self._read_all(names)
                replaced = True
            self._leave_sidecar()
            if replaced or self._beginnings() != begun:
                self._edition += 1
            self._stamp = stamp if not (self._faults or self._has_journals) else None
            changed = replaced or self._position() != before
            if changed:
                self._chain = None
            changed |= self._projected.look()
            self._changes += changed
            return changed

    @property
    def revision(self) -> tuple[int, int]:
        """What is another one whenever the run holds something new, or something turns out to be damaged."""
        return self._changes, len(self._decoded_values.faults)

    @property
    def edition(self) -> int:
        """What is another one whenever values that were here may have been taken back.

        A file was replaced, or a program has begun anew (another file, a session that starts again) and with it the
        values from its first step on. As long as it stays the same, series only grow.
        """
        return self._edition

    def _beginnings(self) -> dict[str, tuple[int, int | None]]:
        return {name: (index.session, index.lowest_start) for name, index in self._indices.items()}

    def _list(self) -> dict[str, int]:
        """Return the event files and journals; where they cannot be listed just now, those that were known."""
        try:
            return dict(_event_files(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return {}  # the directory is gone
        except OSError as error:
            self._faults[""] = f"{self.path} cannot be listed ({error.strerror or error})"
            return self._known | dict.fromkeys(map(journal_name, self._known), 0)

    def _open_sidecar(self) -> None:
        """Begin with what the sidecar knows, if there is one that fits."""
        found = read_sidecar(self.path, self._known) if self._sidecar and self._known else None
        if found is not None:
            self._indices, self._files, self._plugins = found
        self._covered = self._bytes_read()

    def _leave_sidecar(self) -> None:
        """Write a sidecar where much has been read since the last one."""
        covered, read = self._covered or 0, self._bytes_read()
        if not self._sidecar or read - covered < max(_WORTH_A_SIDECAR, covered // 4):
            return
        self._covered = read  # also where it cannot be written: trying again soon would cost again
        if not self._faults:
            write_sidecar(self.path, self._indices, self._files, self._plugins)

    def _bytes_read(self) -> int:
        return sum(file.cursor for file in self._files.values())

    def _forget(self) -> None:
        """Start over with nothing; what is there is read again."""
        self._covered = 0
        self._chain = None
        for known in (self._indices, self._files, self._pending, self._plugins):
            known.clear()
        self._decoded_values = Decoded()

    def _position(self) -> tuple[object, ...]:
        cursors = {name: (file.cursor, len(file.problems)) for name, file in self._files.items()}
        pending = {name: len(batch.tag) for name, batch in self._pending.items()}
        return cursors, pending, dict(self._faults)

    def _read_all(self, names: set[str]) -> None:
        for name in sorted(self._known):
            try:
                self._read(name, journal_name(name) in names)
            except OSError as error:
                self._faults[name] = f"{name}: cannot be read ({error.strerror or error})"

    def _read(self, name: str, has_journal: bool) -> None:
        file = self._files.setdefault(name, EventFile(self.path / name))
        index = self._indices.setdefault(name, Index(plugins=self._plugins))
        limit, pending = self._journal(name) if has_journal else (None, None)
        if limit is not None and limit < file.cursor:
            return  # the writer is just now telling its journal what it has written
        for block in file.read(limit):
            index.add(block, file.note)
        if pending is None or not len(pending.tag):
            self._pending.pop(name, None)
        else:
            self._pending[name] = pending

    def _now(self) -> Chain:
        """Return what is known, in the order of the files' names, each with what waits in its journal."""
        if self._chain is None:
            parts = []
            for name in sorted(self._indices):
                parts.append(self._indices[name])
                if name in self._pending:
                    parts.append(Index.of_batch(self._pending[name]))
            self._chain = Chain(parts)
        return self._chain

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
            known = self._now().kinds()
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
            series = self._now().scalars(tag)
            columns, cuts = ([], []) if series is None else (series.columns(), list(series.cuts))
        if not cuts and points == "current":
            return Scalars(*columns)
        keep = standing(columns[0], cuts, points)
        return Scalars(*columns) if keep.all() else Scalars(*(column[keep] for column in columns))

    def steps(self, kind: str, tag: str, points: str = "current") -> npt.NDArray[np.int64]:
        """Return the steps of a tag of any kind, ``(n,)``; of records those of the entries."""
        if kind == "scalar":
            return self.scalars(tag, points).step
        with self._lock:
            is_record = self._now().places(kind, tag) is None
            found = self._now().records(points).get((kind, tag), []) if is_record else self._places(kind, tag, points)
            if not found:
                self._check(kind, tag)
        return np.array([item.step for item in found], np.int64)

    def extents(self) -> list[tuple[str, str, Extent]]:
        """Return kind, tag and extent of all but records, kind by kind; nothing is decoded for it."""
        with self._lock:
            chain = self._now()
            known = [(kind, tag, chain.get(kind, tag)) for kind, tags in chain.kinds().items() for tag in tags]
            return [(kind, tag, series.extent()) for kind, tag, series in known if series is not None]

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
            known = self._now().places(kind, tag)
        return [] if known is None else known.standing(points)

    def _decoded(self, kind: str, tag: str, points: str) -> list[Any]:
        """Return the values of a tag, each decoded once; those that cannot be are told by :attr:`problems`."""
        places = self._places(kind, tag, points)
        with self._lock:
            return self._decoded_values.values(kind, tag, places, DECODERS[kind])

    def entries(self, kind: str | None = None, tag: str | None = None) -> list[Entry]:
        """Return what the log says about records, in the order in which they were committed."""
        with self._lock:
            entries = self._now().entries.standing()
        return [entry for entry in entries if kind in (None, entry.kind) and tag in (None, entry.tag)]

    def record(self, entry: Entry | str) -> Record:
        """Return a record by its entry or its id."""
        if isinstance(entry, Entry):
            return Record(self.path, entry)
        with self._lock:
            known = {item.id: item for item in self._now().entries.items}
        if entry not in known:
            raise not_found("record", entry, known, f"run {self.name!r}")
        return Record(self.path, known[entry])

    def listed_embeddings(self) -> list[ListedEmbedding]:
        """Return what was logged for TensorBoard's projector, by any program; no vectors are read for it."""
        with self._lock:
            return self._projected.listed()

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
            damaged = [problem for name in sorted(self._files) for problem in self._files[name].problems]
            damaged += self._decoded_values.faults.values()
            return damaged + list(self._faults.values()) + self._unread_embeddings

    @property
    def last_wall_time(self) -> float | None:
        """When the last value was logged, in seconds since 1970; ``None`` for an empty run."""
        with self._lock:
            return self._now().last_wall_time

    def _check(self, kind: str, tag: str) -> None:
        if self._now().stands(kind, tag):
            return
        known = self.tags(kind)[kind]
        if tag not in known:
            raise not_found(kind, tag, known, f"run {self.name!r}")


def directory_of(path: str | Path) -> Path:
    """Return the path of a directory that must be there."""
    directory = Path(path)
    try:
        found = directory.is_dir()
    except PermissionError as error:
        raise StorageError(f"cannot look at {str(directory)!r} ({error.strerror}); make it readable") from error
    except OSError:  # a name that is too long, a disk that does not answer
        found = False
    if not found:
        raise NotFoundError(f"there is no directory {str(directory)!r:.300}; give the one a SummaryWriter has written")
    return directory


def event_file_names(path: Path) -> list[str]:
    """Return the names of the event files and the journals in a directory.

    Raises
    ------
    NotFoundError
        If there is no such directory.
    StorageError
        If it cannot be listed.
    """
    try:
        return sorted(name for name, _ in _event_files(directory_of(path)))
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot list {path} ({error.strerror or error}); make it readable") from error


def _event_files(path: Path) -> Iterator[tuple[str, int]]:
    """Give the event files and journals of a directory, each with its inode; links are not followed."""
    with os.scandir(path) as entries:
        for entry in entries:
            if (MARK in entry.name or is_journal(entry.name)) and entry.is_file(follow_symlinks=False):
                yield entry.name, entry.inode()
