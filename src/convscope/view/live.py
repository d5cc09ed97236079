"""A run that is computed while one looks: pictures a visitor hands in, and what an attached network makes of them.

The network itself is not known here: :class:`Live` is what it has to answer, and whoever starts the viewer hands it in.
Nothing is written; the pictures and all that was computed from them are gone when the server is.
"""

from __future__ import annotations

import secrets
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from convscope.errors import InputError, not_found
from convscope.store.memory import MemoryRecord, Promise, Workshop
from convscope.view.listing import Changes, describe_entry, to_json
from convscope.view.source import Source, describe_record, named_arrays

MOST_PICTURES: Final = 16
MOST_BYTES: Final = 32 << 20
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class Looked:
    """What a network has to show of one picture.

    Attributes
    ----------
    layer
        The layer to begin with.
    records
        The results by the layer they are of, in the order of the layers.
    predictions
        The most probable classes, the first one first: ``name`` and ``probability`` of each. Empty where the network
        puts out no classes.
    """

    layer: str
    records: Mapping[str, Promise]
    predictions: Sequence[Mapping[str, Any]] = ()


class Live(Protocol):
    """A network that looks at pictures while one waits. It is asked by several threads."""

    name: str

    def describe(self) -> Mapping[str, Any]:
        """Return what the page says about the network, as JSON: ``input_shape``, ``layer`` to show first."""
        ...

    def about(self) -> Sequence[Promise]:
        """Return the results that need no picture: the architecture, the filters."""
        ...

    def look(self, picture: bytes, name: str) -> Looked:
        """Return what the network makes of a picture, given as the bytes of its file.

        Raises
        ------
        FormatError, InputError
            If the bytes are no picture, or none that the network takes.
        """
        ...

    def forget(self, name: str) -> None:
        """Drop what is kept of a picture."""
        ...


class LiveSource:
    """Answer as another source does, with one more run: what a network makes of the pictures that are handed in.

    Parameters
    ----------
    live
        The network.
    stored
        What answers for all other runs; ``None`` where there are none.

    Attributes
    ----------
    run
        The name of the run that is computed.
    stored
        What answers for all other runs.
    """

    def __init__(self, live: Live, stored: Source | None = None) -> None:
        self._live = live
        self.stored = stored
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._workshop = Workshop()
        self._changes = 1
        self._sequence = 0
        self._about = [self._record(promise) for promise in live.about()]
        self._pictures: dict[str, list[MemoryRecord]] = {}
        taken = {run["name"] for run in stored.index()["runs"]} if stored else set()
        self.run = _unused(f"live: {live.name}", taken)

    def version(self) -> int:
        """Return a number that grows whenever the stored runs do, or a picture comes or goes."""
        return self._changes + (self.stored.version() if self.stored else 0)

    def index(self) -> dict[str, Any]:
        """Return what there is; ``live`` says which run is computed, by what and for which pictures."""
        version = self.version()  # first: what changes meanwhile is asked for again
        index = self.stored.index() if self.stored else {"logdir": "", "runs": []}
        run, about = self._describe()
        return {**index, "version": version, "runs": [*index["runs"], run], "live": about}

    def changes(self, since: int) -> Changes:
        """Return what the index says of the runs that have changed since a version; the computed one is among them."""
        version = self.version()
        # The version that was answered then had fewer of our own changes in it: what is new since an earlier one.
        stored = self.stored
        told = stored.changes(since - self._changes) if stored else Changes(0, whole=True, more={"logdir": ""})
        run, about = self._describe()
        names = None if told.names is None else [*told.names, self.run]
        return Changes(
            version, told.whole, names, [*told.runs, to_json({**run, "series": {}})], {**told.more, "live": about}
        )

    def _describe(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the index says of the computed run, and of the network and its pictures."""
        with self._lock:
            records = [describe_entry(record) for record in self._records()]
            pictures = list(self._pictures)
        run = {"name": self.run, "last_wall_time": None, "series": [], "records": records, "problems": [], "live": True}
        about = {"run": self.run, "model": self._live.name, "pictures": pictures, "most_bytes": MOST_BYTES}
        return run, {**self._live.describe(), **about}

    def series(self, run: str, kind: str, tag: str, start: int) -> bytes:
        """Return the points of a series of a stored run."""
        return self._other(run).series(run, kind, tag, start)

    def image(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged picture of a stored run."""
        return self._other(run).image(run, tag, number)

    def text(self, run: str, tag: str, number: int, *, whole: bool = False) -> tuple[bytes, int]:
        """Return a logged text of a stored run."""
        return self._other(run).text(run, tag, number, whole=whole)

    def audio(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return a logged sound of a stored run."""
        return self._other(run).audio(run, tag, number)

    def mesh(self, run: str, tag: str, number: int, item: int = 0) -> bytes:
        """Return a logged mesh of a stored run."""
        return self._other(run).mesh(run, tag, number, item)

    def hparams(self) -> Mapping[str, Any]:
        """Return the hyper-parameters of the stored runs."""
        return self.stored.hparams() if self.stored else {"runs": []}

    def layout(self, run: str) -> Mapping[str, Any]:
        """Return which curves of a stored run stand in one chart."""
        return self._other(run).layout(run)

    def graph(self, run: str, number: int) -> Mapping[str, Any]:
        """Return a graph of a stored run."""
        return self._other(run).graph(run, number)

    def record(self, run: str, record: str) -> Mapping[str, Any]:
        """Return a record's description."""
        if run != self.run:
            return self._other(run).record(run, record)
        return describe_record(self._find(record))

    def arrays(self, run: str, record: str, names: Sequence[str], rows: slice | None = None) -> bytes:
        """Return named arrays of a record, or some of their rows, as safetensors."""
        if run != self.run:
            return self._other(run).arrays(run, record, names, rows)
        return named_arrays(self._find(record), names, rows)

    def picture(self, run: str, record: str, file: str) -> bytes:
        """Return one sheet of pictures of a record."""
        if run != self.run:
            return self._other(run).picture(run, record, file)
        return self._find(record).picture_bytes(file)

    def look(self, picture: bytes, name: str) -> dict[str, Any]:
        """Let the network look at a picture; one at a time. Beyond 16 pictures the oldest is forgotten.

        Raises
        ------
        FormatError, InputError
            If the bytes are no picture, or none that the network takes; all pictures before it stay.
        """
        started = time.perf_counter()
        with self._looking:
            name = _unused(tidy(name), self._pictures)
            seen = self._live.look(picture, name)
            gone = self._keep(name, seen)
            for old in gone:
                self._live.forget(old)
        return {
            "run": self.run,
            "picture": name,
            "layer": seen.layer,
            "tags": [{"layer": layer, "tag": promise.tag} for layer, promise in seen.records.items()],
            "predictions": list(seen.predictions),
            "seconds": time.perf_counter() - started,
        }

    def forget(self, name: str) -> None:
        """Drop a picture and all that was computed from it; all of them for an empty name.

        Raises
        ------
        NotFoundError
            If there is no such picture.
        """
        with self._looking:
            if name and name not in self._pictures:
                raise not_found("picture", name, self._pictures, self.run)
            for one in [name] if name else list(self._pictures):
                self._drop(one)
                self._live.forget(one)

    def _keep(self, name: str, seen: Looked) -> list[str]:
        """Take the records of a picture; return the pictures that have to go for it."""
        with self._lock:
            self._pictures[name] = [self._record(promise) for promise in seen.records.values()]
            self._changes += 1
        gone = list(self._pictures)[:-MOST_PICTURES]
        for old in gone:
            self._drop(old)
        return gone

    def _drop(self, name: str) -> None:
        with self._lock:
            records = self._pictures.pop(name)
            self._changes += 1
        self._workshop.forget(record.id for record in records)

    def _record(self, promise: Promise) -> MemoryRecord:
        self._sequence += 1
        name = f"{self._sequence:08d}-{promise.kind}-{secrets.token_hex(3)}"
        return MemoryRecord(name, promise, time.time(), self._workshop)

    def _records(self) -> list[MemoryRecord]:
        return [*self._about, *(record for records in self._pictures.values() for record in records)]

    def _find(self, name: str) -> MemoryRecord:
        with self._lock:
            known = {record.id: record for record in self._records()}
        if name not in known:
            raise not_found("record", name, known, f"{self.run}, which keeps the last {MOST_PICTURES} pictures")
        return known[name]

    def _other(self, run: str) -> Source:
        if run == self.run:
            raise InputError(f"{run!r} is computed while one looks; it holds no series and no logged pictures")
        if self.stored is None:
            raise not_found("run", run, [self.run])
        return self.stored


def tidy(name: str) -> str:
    """Return a file's name as a picture is called: its last part, on one line, without what does not show.

    >>> tidy("photos/black  cat.jpg"), tidy(" ")
    ('black cat.jpg', 'picture')
    """
    last = name.replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C")
    return " ".join(shown.split())[:_LONGEST_NAME].strip() or "picture"


def _unused(name: str, taken: Iterable[str]) -> str:
    """Return ``name``, with a number behind it where it is taken.

    >>> _unused("cat.jpg", ["cat.jpg"])
    'cat.jpg (2)'
    """
    known = set(taken)
    number, free = 1, name
    while free in known:
        number += 1
        free = f"{name} ({number})"
    return free
