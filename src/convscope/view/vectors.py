"""The vectors of stored embeddings, mapped to memory, and what is kept of them between two questions."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import suppress
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.neighbours import Index
from convscope.embed.selection import Moments, channel_effects, label_counts, moments, nearest_outside
from convscope.errors import ConvscopeError, FormatError, InputError, NotFoundError
from convscope.store.memory import MemoryRecord
from convscope.store.records import Record
from convscope.view.live import LiveSource
from convscope.view.merged import MergedSource
from convscope.view.source import LogdirSource, Source

KEPT: Final = 3
"""So many embeddings are kept open; what is kept of one may be as large as its vectors."""
METRICS: Final = ("cosine", "euclidean")
PREPARED_FROM: Final = 100_000
_LONGEST: Final = 1000


class Vectors:
    """One embedding's vectors, and what is found once and asked for again.

    Parameters
    ----------
    record
        A record of kind ``embedding``.

    Attributes
    ----------
    record
        The record.
    values
        ``(N, D)``, read-only; those of a file are read where they are touched.
    """

    def __init__(self, record: Record | MemoryRecord) -> None:
        if record.kind != "embedding":
            raise InputError(f"record {record.id!r} is of kind {record.kind!r}; vectors are those of an embedding")
        self.record = record
        self.values = record.mapped("vector")
        if self.values.ndim != 2:
            raise FormatError(f"the vectors of record {record.id} have shape {self.values.shape}, not (N, D)")
        self._lock = threading.Lock()
        self._indexes: dict[str, Index] = {}

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def labels(self) -> npt.NDArray[np.int32]:
        """``(N,)``; -1 where a point has none."""
        if "label" not in self.record.array_info:
            return np.full(len(self), -1, np.int32)
        found: npt.NDArray[np.int32] = self.record.arrays(["label"])["label"]
        return found

    @cached_property
    def moments(self) -> Moments:
        """Mean and deviation of each channel."""
        shape = self.record.meta.get("feature_shape")
        told = [n for n in shape if isinstance(n, int)] if isinstance(shape, list) else []
        return moments(self.values, told)

    def index(self, metric: str) -> Index:
        """Return what finds neighbours; made at the first question."""
        if metric not in METRICS:
            raise InputError(f"unknown metric {metric[:40]!r}; use {' or '.join(METRICS)}")
        with self._lock:
            if metric not in self._indexes:
                self._indexes = {metric: Index(self.values, metric)}  # one of them: each is as large as the vectors
            return self._indexes[metric]

    def prepare(self) -> None:
        """Make the index of very many vectors in the background, so that the first click need not wait for it."""
        if len(self) > PREPARED_FROM and not self._indexes:
            threading.Thread(target=self._prepare, name="convscope-index", daemon=True).start()

    def _prepare(self) -> None:
        with suppress(ConvscopeError):  # whoever asks for neighbours is told
            self.index(METRICS[0])

    def neighbours(self, point: int, k: int, metric: str) -> dict[str, Any]:
        """Return the points nearest to one, without itself."""
        if not 0 <= point < len(self):
            raise NotFoundError(f"no point {point}; the embedding has {len(self)}, counted from 0")
        index = self.index(metric)
        found, distance = index.nearest(point, _some(k))
        return _near(found, distance, exact=index.exact)

    def selection(self, points: npt.NDArray[np.int64], k: int, metric: str) -> dict[str, Any]:
        """Return what tells some points from all others."""
        chosen = np.unique(points)
        if not len(chosen):
            raise InputError("no point is selected; send the numbers of some")
        if chosen[0] < 0 or chosen[-1] >= len(self):
            worst = int(chosen[0] if chosen[0] < 0 else chosen[-1])
            raise NotFoundError(f"no point {worst}; the embedding has {len(self)}, counted from 0")
        found, distance = nearest_outside(self.values, chosen, _some(k), metric=metric)
        channels = channel_effects(self.values, chosen, self.moments)
        return {
            "count": len(chosen),
            "labels": label_counts(self.labels, chosen),
            "channels": [vars(channel) for channel in channels],
            "neighbours": _near(found, distance, exact=True),
        }


class Shelf:
    """The embeddings of a source that were asked for last.

    Parameters
    ----------
    source
        What the viewer shows.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str], Vectors] = OrderedDict()

    def take(self, run: str, record: str) -> Vectors:
        """Return an embedding's vectors.

        Raises
        ------
        NotFoundError
            If there is no such run or record, or it is computed while one looks.
        """
        source = self.source_of(run)
        with self._lock:
            key = run, record  # ids are never given twice: what is open is what is there
            if key not in self._open:
                self._open[key] = Vectors(source.find(run, record))
            self._open.move_to_end(key)
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
            return self._open[key]

    def source_of(self, run: str) -> LogdirSource:
        """Return what answers for the runs of the directory."""
        source = self._source
        if isinstance(source, LiveSource):
            if run == source.run or source.stored is None:
                raise NotFoundError(f"{run!r} is computed while one looks; it holds no embedding")
            source = source.stored
        if isinstance(source, MergedSource):
            source = source.home(run)
        if not isinstance(source, LogdirSource):
            raise NotFoundError(f"the run {run!r} is not in a directory; nothing is computed with its embeddings")
        return source


def _near(index: npt.NDArray[Any], distance: npt.NDArray[Any], *, exact: bool) -> dict[str, Any]:
    return {"index": index.tolist(), "distance": [round(float(one), 6) for one in distance], "exact": exact}


def _some(k: int) -> int:
    if not 1 <= k <= _LONGEST:
        raise InputError(f"the number of neighbours is from 1 to {_LONGEST}, got {k}")
    return k
