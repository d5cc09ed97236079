"""The three questions every host of the viewer answers: what is there, which points, which record.

A host is anything with these methods; :class:`LogdirSource` answers from a directory of runs. Numbers travel as
safetensors, lists as JSON, pictures as they are stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, NotFoundError, not_found
from convscope.store import Logdir, Run
from convscope.store.memory import MemoryRecord
from convscope.store.records import Record, wire
from convscope.store.results import Entry
from convscope.summary import KINDS, finite

POLL_SECONDS: Final = 0.4
POLL_SECONDS_AT_URLS: Final = 10.0
PICTURE_TYPES: Final = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg"}


class Source(Protocol):
    """What a view can ask its host."""

    def version(self) -> int:
        """Return a number that grows whenever there is something new."""
        ...

    def index(self) -> dict[str, Any]:
        """Return what there is: runs, their series and their records."""
        ...

    def series(self, run: str, kind: str, tag: str, start: int) -> bytes:
        """Return the points of a curve, histogram or picture series from number ``start`` on, as safetensors."""
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

    Thread-safe. The directory may not exist yet, or be empty: then there are no runs, until there are.
    """

    def __init__(self, logdir: Logdir) -> None:
        self._logdir = logdir
        self._lock = threading.Lock()
        self._version = 1
        self._polled = 0.0
        self._pause = POLL_SECONDS_AT_URLS if logdir.is_remote else POLL_SECONDS

    def version(self) -> int:
        """Return a number that grows whenever the directory does; looks every 0.4 seconds, at URLs every 10."""
        with self._lock:
            if time.monotonic() - self._polled >= self._pause:
                self._version += bool(self._logdir.refresh())
                self._polled = time.monotonic()
            return self._version

    def index(self) -> dict[str, Any]:
        """Return what there is: runs, their series and their records."""
        version = self.version()
        runs = [describe_run(run) for run in self._logdir.runs()]
        return {"logdir": self._logdir.path.name, "version": version, "runs": runs}

    def series(self, run: str, kind: str, tag: str, start: int = 0) -> bytes:
        """Return the points from number ``start`` on, as safetensors."""
        if kind not in SERIES:
            raise not_found("kind of series", kind, SERIES)
        return wire(SERIES[kind](self._logdir.run(run), tag, max(start, 0)))

    def image(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged picture as it is stored, and its media type."""
        pictures = self._logdir.run(run).images(tag)
        if not 0 <= number < len(pictures):
            raise NotFoundError(f"no picture {number} under {tag!r}; there are {len(pictures)}, counted from 0")
        return pictures[number].png, pictures[number].media_type

    def record(self, run: str, record: str) -> Mapping[str, Any]:
        """Return a record's description."""
        return describe_record(self._logdir.run(run).record(record))

    def arrays(self, run: str, record: str, names: Sequence[str], rows: slice | None = None) -> bytes:
        """Return named arrays of a record, or some of their rows, as safetensors."""
        return named_arrays(self._logdir.run(run).record(record), names, rows)

    def picture(self, run: str, record: str, file: str) -> bytes:
        """Return one sheet of pictures of a record."""
        return self._logdir.run(run).record(record).picture_bytes(file)


Arrays = dict[str, npt.NDArray[Any]]


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


def describe_entry(entry: Entry | MemoryRecord) -> dict[str, Any]:
    """Return what the index says of a record."""
    return {
        "id": entry.id,
        "kind": entry.kind,
        "tag": entry.tag,
        "step": entry.step,
        "wall_time": entry.wall_time,
        "bytes": entry.bytes,
    }


def named_arrays(record: Record | MemoryRecord, names: Sequence[str], rows: slice | None) -> bytes:
    """Return named arrays of a record, or some of their rows, as safetensors."""
    if not names:
        raise InputError("no array was asked for; name one or more, as in names=value,image")
    return record.arrays_bytes(list(names), rows)


def describe_run(run: Run) -> dict[str, Any]:
    """Return a run's name, series, records and problems, for the index."""
    series = [
        {"kind": kind, "tag": tag, **_extent(run, kind, tag)}
        for kind, tags in run.tags().items()
        if kind in SERIES
        for tag in tags
    ]
    records = [describe_entry(entry) for entry in run.entries() if entry.kind in KINDS]
    return {
        "name": run.name,
        "last_wall_time": run.last_wall_time,
        "series": series,
        "records": records,
        "problems": list(run.problems),
    }


def _extent(run: Run, kind: str, tag: str) -> dict[str, Any]:
    step, wall_time = _axes(run, kind, tag)
    if not len(step):
        return {"count": 0, "first_step": None, "last_step": None, "last_wall_time": None}
    return {
        "count": len(step),
        "first_step": int(step[0]),
        "last_step": int(step[-1]),
        "last_wall_time": finite(float(wall_time[-1])),
    }


def _axes(run: Run, kind: str, tag: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if kind == "scalar":
        points = run.scalars(tag)
        return points.step, points.wall_time
    items: Sequence[Any] = run.histograms(tag) if kind == "histogram" else run.images(tag)
    return np.array([i.step for i in items], np.int64), np.array([i.wall_time for i in items], np.float64)


def _scalars(run: Run, tag: str, start: int) -> Arrays:
    points = run.scalars(tag)
    return {
        "step": points.step[start:].astype(np.float64),
        "wall_time": points.wall_time[start:].astype(np.float64),
        "value": points.value[start:].astype(np.float64),
    }


def _histograms(run: Run, tag: str, start: int) -> Arrays:
    items = run.histograms(tag)[start:]
    edges = [np.asarray(item.limits, np.float64) for item in items]
    counts = [np.asarray(item.counts, np.float64) for item in items]
    empty = np.zeros(0)
    return {
        "step": np.array([i.step for i in items], np.float64),
        "wall_time": np.array([i.wall_time for i in items], np.float64),
        "stats": np.array([(i.min, i.max, i.num, i.sum, i.sum_squares) for i in items], np.float64).reshape(-1, 5),
        "offset": np.cumsum([0, *map(len, edges)]).astype(np.int32),
        "limit": np.concatenate(edges) if edges else empty,
        "count": np.concatenate(counts) if counts else empty,
    }


def _images(run: Run, tag: str, start: int) -> Arrays:
    items = run.images(tag)[start:]
    return {
        "step": np.array([i.step for i in items], np.float64),
        "wall_time": np.array([i.wall_time for i in items], np.float64),
        "size": np.array([(i.height, i.width) for i in items], np.int32).reshape(-1, 2),
    }


SERIES: Final[Mapping[str, Callable[[Run, str, int], Arrays]]] = {
    "scalar": _scalars,
    "histogram": _histograms,
    "image": _images,
}
