"""The questions every host of the viewer answers: what is there, which points, which record.

A host is anything with these methods; :class:`LogdirSource` answers from a directory of runs. Numbers travel as
safetensors, lists as JSON, pictures as they are stored.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from convscope.errors import ConvscopeError, InputError, NotFoundError, StorageError, not_found
from convscope.store import Logdir, Run
from convscope.store.memory import MemoryRecord
from convscope.store.records import Record, wire
from convscope.store.remote import is_remote
from convscope.view.listing import Changes, Listing
from convscope.view.projected import Projected
from convscope.view.training import (
    SERIES,
    entry,
    graph_of,
    hparams_of,
    layout_of,
    mesh_of,
    sound_of,
    text_of,
)

POLL_SECONDS: Final = 0.4
READ_SECONDS: Final = 0.25
"""So long a look at a directory opens runs that are new; then there is something to show before all are read."""
POLL_SECONDS_AT_URLS: Final = 10.0
KEPT_RECORDS: Final = 16
PICTURE_TYPES: Final = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}


class Source(Protocol):
    """What a view can ask its host."""

    def version(self) -> int:
        """Return a number that grows whenever there is something new."""
        ...

    def index(self) -> dict[str, Any]:
        """Return what there is: runs, their series and their records."""
        ...

    def changes(self, since: int) -> Changes:
        """Return what the index says of the runs that have changed since a version, in short."""
        ...

    def series(self, run: str, kind: str, tag: str, start: int) -> bytes:
        """Return the points of a series (:data:`convscope.view.training.SERIES`) from number ``start`` on."""
        ...

    def text(self, run: str, tag: str, number: int, *, whole: bool = False) -> tuple[bytes, int]:
        """Return the first megabyte of a logged text, and how many bytes the whole of it has."""
        ...

    def audio(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged sound as it is stored, and its media type."""
        ...

    def mesh(self, run: str, tag: str, number: int, item: int = 0) -> bytes:
        """Return one logged mesh, of a batch that of a number, as safetensors."""
        ...

    def hparams(self) -> Mapping[str, Any]:
        """Return the hyper-parameters of all runs that have any, and how well these did."""
        ...

    def layout(self, run: str) -> Mapping[str, Any]:
        """Return which curves of a run stand in one chart."""
        ...

    def graph(self, run: str, number: int) -> Mapping[str, Any]:
        """Return one of the graphs of networks that a run holds."""
        ...

    def image(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged picture as it is stored, and its media type."""
        ...

    def record(self, run: str, record: str) -> Mapping[str, Any]:
        """Return a record's description: kind, meta, arrays and sheets."""
        ...

    def arrays(self, run: str, record: str, names: Sequence[str], rows: slice | None = None) -> bytes:
        """Return named arrays of a record, or some of their rows, as safetensors."""
        ...

    def picture(self, run: str, record: str, file: str) -> bytes:
        """Return one sheet of pictures of a record."""
        ...


class LogdirSource:
    """Answer from a directory of runs, following it as it grows.

    Thread-safe. The directory may be empty or, where its path is given, not exist yet: then there are no runs, until
    there are.

    Parameters
    ----------
    logdir
        The directory. Given as a path its runs are read bit by bit, and are listed before they are read.
    prefix
        A name that is put before those of the runs.

    Raises
    ------
    NotFoundError, StorageError
        If the path is there but is no directory that can be listed.
    """

    def __init__(self, logdir: Logdir | str | Path, prefix: str = "") -> None:
        self._path = logdir.path if isinstance(logdir, Logdir) else logdir
        self._prefix = prefix
        self._projected = Projected()
        self._logdir = logdir if isinstance(logdir, Logdir) else _open(logdir, prefix)
        self._lock = threading.Lock()
        self._looked = -math.inf
        self._is_there = self._logdir is not None
        self._listing = Listing()
        self._hparams: dict[str, tuple[object, dict[str, Any] | None]] = {}
        self._records: dict[tuple[int, object, str], Record] = {}

    @property
    def waiting(self) -> str:
        """What is waited for, as a sentence; empty where the directory is there."""
        path = str(self._path)
        return "" if self._is_there else f"there is no directory {path!r} yet; its runs appear as soon as it is there"

    def version(self) -> int:
        """Return a number that grows whenever the directory does; looks every 0.4 seconds, at URLs every 10."""
        if self._lock.acquire(blocking=self._looked < 0):  # one looks, the others are told what is known, if any is
            try:
                self._look()
            finally:
                self._lock.release()
        return self._listing.notice(*self._known())

    def _look(self) -> None:
        remote = self._logdir is not None and self._logdir.is_remote
        waited = time.monotonic() - self._looked
        if not (self._logdir and self._logdir.unread) and waited < (POLL_SECONDS_AT_URLS if remote else POLL_SECONDS):
            return
        self._logdir = self._logdir or _open(self._path, self._prefix)
        if self._logdir is not None:
            self._logdir.refresh(READ_SECONDS)
        is_there = self._logdir is not None and (remote or self._logdir.path.exists())
        if is_there != self._is_there:
            self._is_there = is_there
            self._listing.renew()
        self._looked = time.monotonic()

    def read(self) -> None:
        """Read all runs that are there, so that they are known when they are asked for."""
        self.version()
        while self._logdir is not None and self._logdir.unread:
            self.version()

    def _known(self) -> tuple[list[Run], list[str]]:
        if self._logdir is None:
            return [], []
        unread = self._logdir.unread  # before the runs: one that is read meanwhile is in both, not in neither
        return self._logdir.runs(), unread

    def index(self) -> dict[str, Any]:
        """Return what there is: runs, their series and their records."""
        self.version()
        version, runs = self._listing.rows(*self._known())
        return {**self._about(), "version": version, "runs": runs}

    def changes(self, since: int) -> Changes:
        """Return what the index says of the runs that have changed since a version, in short."""
        self.version()
        changes = self._listing.changes(since, *self._known())
        return replace(changes, more=self._about())

    def _about(self) -> dict[str, Any]:
        return {"logdir": Path(self._path).name} | ({"waiting": self.waiting} if self.waiting else {})

    def _run(self, name: str) -> Run:
        if self._looked < 0:  # asked before the index was
            self.version()
        if self._logdir is None:
            raise NotFoundError(self.waiting)
        while name in self._logdir.unread:
            self._logdir.refresh(READ_SECONDS)
        return self._logdir.run(name)

    def series(self, run: str, kind: str, tag: str, start: int = 0) -> bytes:
        """Return the points from number ``start`` on, as safetensors."""
        if kind not in SERIES:
            raise not_found("kind of series", kind, SERIES)
        return wire(SERIES[kind](self._run(run), tag, max(start, 0)))

    def image(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged picture as it is stored, and its media type."""
        picture = entry(self._run(run).images(tag), number, "picture", tag)
        return picture.png, picture.media_type

    def text(self, run: str, tag: str, number: int, *, whole: bool = False) -> tuple[bytes, int]:
        """Return a logged text, or only the first megabyte of it, and how many bytes the whole of it has."""
        return text_of(self._run(run), tag, number, whole=whole)

    def audio(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged sound as it is stored, and its media type."""
        return sound_of(self._run(run), tag, number)

    def mesh(self, run: str, tag: str, number: int, item: int = 0) -> bytes:
        """Return one logged mesh, of a batch that of a number, as safetensors."""
        return wire(mesh_of(self._run(run), tag, number, item))

    def hparams(self) -> Mapping[str, Any]:
        """Return the hyper-parameters of all runs that have any, and how well these did."""
        known = self._hparams
        found: dict[str, Any] = {}
        for run in self._known()[0]:
            revision, told = known.get(run.name, (None, None))
            now = (id(run), run.revision)
            found[run.name] = (now, told if revision == now else _hparams(run))
        self._hparams = found
        return {"runs": [told for _, told in found.values() if told is not None]}

    def layout(self, run: str) -> Mapping[str, Any]:
        """Return which curves of a run stand in one chart."""
        return layout_of(self._run(run))

    def graph(self, run: str, number: int) -> Mapping[str, Any]:
        """Return one of the graphs of networks that a run holds."""
        return graph_of(self._run(run), number)

    def find(self, run: str, record: str) -> Record | MemoryRecord:
        """Return a record of a run, or what was logged for TensorBoard's projector as one."""
        found = self._run(run)
        return self._projected.find(found, record) or self._opened(found, record)

    def _opened(self, run: Run, name: str) -> Record:
        """Return a record; one that was opened just now is not opened again, as long as the run has not grown."""
        key = (id(run), run.revision, name)
        record = self._records.pop(key, None)
        if record is None or not record.is_there:
            record = run.record(name)
        self._records[key] = record
        if len(self._records) > KEPT_RECORDS:
            with suppress(KeyError, RuntimeError, StopIteration):  # another thread was quicker
                del self._records[next(iter(self._records))]
        return record

    def writable(self, run: str) -> Run:
        """Return a run that may be written to.

        Raises
        ------
        StorageError
            If only a copy of it is here, or its directory cannot be written.
        """
        found = self._run(run)
        if self._logdir is None or self._logdir.is_remote:
            raise StorageError(f"the run {run!r} is at a URL, and only a copy of it is here; nothing is written to it")
        if not os.access(found.path, os.W_OK):
            raise StorageError(f"the directory of the run {run!r} cannot be written; make it writable")
        return found

    def record(self, run: str, record: str) -> Mapping[str, Any]:
        """Return a record's description."""
        return describe_record(self.find(run, record))

    def arrays(self, run: str, record: str, names: Sequence[str], rows: slice | None = None) -> bytes:
        """Return named arrays of a record, or some of their rows, as safetensors."""
        return named_arrays(self.find(run, record), names, rows)

    def picture(self, run: str, record: str, file: str) -> bytes:
        """Return one sheet of pictures of a record."""
        return self.find(run, record).picture_bytes(file)


def _open(path: str | Path, prefix: str) -> Logdir | None:
    """Open a directory whose runs are read later; ``None`` where nothing is at its path yet."""
    if not is_remote(path):
        try:
            Path(path).stat()
        except FileNotFoundError:
            return None
        except OSError:  # Logdir says what is wrong
            pass
    return Logdir(path, lazy=True, prefix=prefix)


def _hparams(run: Run) -> dict[str, Any] | None:
    """Return the hyper-parameters of a run; of one that is damaged, that it is."""
    try:
        return hparams_of(run)
    except ConvscopeError:
        return {"run": run.name, "values": {}, "metrics": {}, "status": "damaged", "started": None, "ended": None}


def describe_record(record: Record | MemoryRecord) -> dict[str, Any]:
    """Return what the page is told of a record before it asks for arrays and pictures."""
    return {
        "id": record.id,
        "kind": record.kind,
        "tag": record.tag,
        "step": record.step,
        "wall_time": record.wall_time,
        "meta": record.meta,
        "arrays": record.array_info,
        "pictures": record.pictures,
    }


def named_arrays(record: Record | MemoryRecord, names: Sequence[str], rows: slice | None) -> bytes:
    """Return named arrays of a record, or some of their rows, as safetensors."""
    if not names:
        raise InputError("no array was asked for; name one or more, as in names=value,image")
    return record.arrays_bytes(list(names), rows)
