"""What the index says of every run; what has not changed since it was said last is not found out again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Final

from convscope.errors import ConvscopeError
from convscope.store import Run
from convscope.store.memory import MemoryRecord
from convscope.store.results import Entry
from convscope.store.series import Extent
from convscope.summary import KINDS, finite
from convscope.view.projected import projected_entries
from convscope.view.training import SERIES

HPARAMS: Final = "hparams"
ONE_OF_A_RUN: Final = frozenset({HPARAMS, "graph", "layout"})
"""Of these a run has one series, whatever its values are tagged; it is tagged as its kind."""
_COLUMNS: Final = ("count", "first_step", "last_step", "last_wall_time")


@dataclass(frozen=True)
class Changes:
    """What is new since a version.

    Attributes
    ----------
    version
        The number to ask with next time.
    whole
        Whether it is everything, because the version asked with is none of this server.
    names
        The names of all runs in their order; ``None`` where they are what they were.
    runs
        The runs that have changed, each as JSON.
    more
        What else the index says.
    """

    version: int
    whole: bool
    names: Sequence[str] | None = ()
    runs: Sequence[bytes] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return it as the answer of the server."""
        head = {**self.more, "version": self.version, "whole": self.whole}
        if self.names is not None:
            head["names"] = list(self.names)
        return to_json(head)[:-1] + b',"runs":[' + b",".join(self.runs) + b"]}"


@dataclass
class _Row:
    """What is known of a run: which one it is and how it was, since which version, and what the index says of it."""

    run: Run | None
    revision: object
    changed: int
    packed: bytes = b""

    def description(self, name: str) -> dict[str, Any]:
        """Return what the index says, in short."""
        return unread(name) if self.run is None else describe_run(self.run)

    def json(self, name: str) -> bytes:
        """Return what the index says in short, found out once."""
        if not self.packed:
            self.packed = to_json(self.description(name))
        return self.packed


class Listing:
    """The rows of the index by the names of the runs. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = self._named = time.time_ns() // 1_000_000  # that of an earlier server is never a later one
        self._rows: dict[str, _Row] = {}

    def notice(self, runs: Sequence[Run], names: Sequence[str] = ()) -> int:
        """Take what there is: runs, and the names of those that are not read yet; return the version."""
        with self._lock:
            return self._notice(runs, names)

    def renew(self) -> None:
        """Count something as new that is not of a run."""
        with self._lock:
            self._version += 1

    def rows(self, runs: Sequence[Run], names: Sequence[str] = ()) -> tuple[int, list[dict[str, Any]]]:
        """Return the version and what the index says of all runs, a row for each series."""
        with self._lock:
            version = self._notice(runs, names)
            return version, [unpack(row.description(name)) for name, row in self._rows.items()]

    def changes(self, since: int, runs: Sequence[Run], names: Sequence[str] = ()) -> Changes:
        """Return what is new since a version."""
        with self._lock:
            version = self._notice(runs, names)
            whole = not 0 < since <= version
            news = [row.json(name) for name, row in self._rows.items() if whole or row.changed > since]
            return Changes(version, whole, list(self._rows) if whole or self._named > since else None, news)

    def _notice(self, runs: Sequence[Run], names: Sequence[str]) -> int:
        found: dict[str, Run | None] = dict.fromkeys(names) | {run.name: run for run in runs}
        anew = {name: run for name, run in found.items() if self._is_new(name, run)}
        if renamed := found.keys() != self._rows.keys():
            self._rows = {name: self._rows.get(name, _Row(None, None, 0)) for name in sorted(found)}
        if anew or renamed:
            self._version += 1
        if renamed:
            self._named = self._version
        for name, run in anew.items():
            self._rows[name] = _Row(run, run and run.revision, self._version)
        return self._version

    def _is_new(self, name: str, run: Run | None) -> bool:
        row = self._rows.get(name)
        return row is None or row.run is not run or (run is not None and row.revision != run.revision)


def to_json(value: Any) -> bytes:
    """Return JSON in ASCII, which holds whatever the name of a directory can be."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def unread(name: str) -> dict[str, Any]:
    """Return what the index says of a run that is not read yet."""
    return {"name": name, "last_wall_time": None, "series": {}, "records": [], "problems": [], "loading": True}


def describe_run(run: Run) -> dict[str, Any]:
    """Return a run's name, series, records and problems; the series as columns by kind, of equal numbers only one."""
    problems: list[str] = []
    series: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    try:
        if is_utf8(run.name):
            series = {kind: _columns(run, kind, rows) for kind, rows in _by_kind(run).items()}
            entries = [*projected_entries(run), *run.entries()]
            records = [describe_entry(entry) for entry in entries if entry.kind in KINDS]
        else:  # nobody could ask for it
            problems.append("the name of its directory is not UTF-8; rename it to see what it holds")
    except (ConvscopeError, OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        problems.append(f"the run cannot be described ({error or type(error).__name__})")
    return {
        "name": run.name,
        "edition": run.edition,
        "last_wall_time": None if run.last_wall_time is None else finite(run.last_wall_time),
        "series": series,
        "records": records,
        "problems": problems + list(run.problems),
    }


def is_utf8(name: str) -> bool:
    """Tell whether a name can be part of an address."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _by_kind(run: Run) -> dict[str, list[tuple[str, Extent]]]:
    """Return the tags and extents of each kind that there is a view for."""
    kinds: dict[str, list[tuple[str, Extent]]] = {}
    for kind, tag, extent in run.extents():
        if kind in SERIES or kind in ONE_OF_A_RUN:
            kinds.setdefault(kind, []).append((tag, extent))
    return kinds


def _columns(run: Run, kind: str, rows: Sequence[tuple[str, Extent]]) -> dict[str, Any]:
    tags, extents = zip(*rows, strict=True)
    length, first, last, times = (list(column) for column in zip(*extents, strict=True))
    if kind in ONE_OF_A_RUN:
        tags = (kind,)
        length, first, last, times = [_count(kind, length)], first[:1], last[-1:], times[-1:]
    elif kind == "mesh":  # a mesh is stored as one to three values
        length = [len(run.mesh_parts(tag)) for tag in tags]
    columns = zip(_COLUMNS, (length, first, last, [finite(time) for time in times]), strict=True)
    return {"tag": tags, **{name: column[0] if len(set(column)) == 1 else column for name, column in columns}}


def _count(kind: str, lengths: Sequence[int]) -> int:
    """Return how many there are of what a run has but one tag of: hyper-parameters stand under three, once."""
    return 1 if kind == HPARAMS else sum(lengths)


def unpack(described: dict[str, Any]) -> dict[str, Any]:
    """Return a description with a row for each series.

    >>> columns = {"tag": ["a", "b"], "count": 9, "first_step": 0, "last_step": [7, 8], "last_wall_time": 5.5}
    >>> unpack({"series": {"scalar": columns}})["series"][1]
    {'kind': 'scalar', 'tag': 'b', 'count': 9, 'first_step': 0, 'last_step': 8, 'last_wall_time': 5.5}
    """
    rows = []
    for kind, columns in described["series"].items():
        spread = [columns[name] if isinstance(columns[name], list) else repeat(columns[name]) for name in _COLUMNS]
        rows += [
            {"kind": kind, "tag": tag, **dict(zip(_COLUMNS, values, strict=True))}
            for tag, *values in zip(columns["tag"], *spread, strict=False)
        ]
    return {**described, "series": rows}


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
