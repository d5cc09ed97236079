"""Results that lie in memory, as one run: what a notebook or a script shows without writing it anywhere."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from convscope.errors import InputError, NotFoundError, not_found
from convscope.store.memory import MemoryRecord, Promise, Workshop
from convscope.store.records import picture_files, picture_of
from convscope.summary import KINDS, Summary
from convscope.view.listing import Changes, describe_entry, to_json
from convscope.view.source import describe_record, named_arrays

KEPT: Final = 16
"""So many pictures stay encoded, each with all its sheets."""


class MemorySource:
    """Answer as another source does, from results that no file holds. Thread-safe; it never changes.

    Parameters
    ----------
    name
        What the run is called.
    summaries
        The results, of kinds that are stored as records.

    Raises
    ------
    InputError
        If there is no result, or one of a kind that is stored as TensorBoard stores it.
    """

    def __init__(self, name: str, summaries: Sequence[Summary]) -> None:
        if not summaries:
            raise InputError("no result to show; give one or more")
        for summary in summaries:
            if KINDS[summary.kind].storage != "record":
                raise InputError(
                    f"a {summary.kind} is not shown by itself; write it to a run with SummaryWriter and show that"
                )
        self._name = name
        self._lock = threading.Lock()
        self._encoded: OrderedDict[tuple[str, str], dict[str, bytes]] = OrderedDict()
        workshop, now = Workshop(len(summaries)), time.time()
        records = [_record(number, summary, now, workshop) for number, summary in enumerate(summaries)]
        self._records = {record.id: record for record in records}

    def version(self) -> int:
        """Return the number of what is there, always the same."""
        return 1

    def index(self) -> dict[str, Any]:
        """Return what there is: one run and its records."""
        return {"logdir": self._name, "version": 1, "runs": [self._run([])]}

    def changes(self, since: int) -> Changes:
        """Return everything to who knows nothing yet."""
        if since == self.version():
            return Changes(1, whole=False, names=None, more={"logdir": self._name})
        return Changes(1, whole=True, names=[self._name], runs=[to_json(self._run({}))], more={"logdir": self._name})

    def _run(self, series: Any) -> dict[str, Any]:
        records = [describe_entry(record) for record in self._records.values()]
        return {"name": self._name, "last_wall_time": None, "series": series, "records": records, "problems": []}

    def series(self, run: str, kind: str, tag: str, start: int) -> bytes:  # noqa: ARG002 - the protocol
        """Raise an error: there are none."""
        raise self._none(run, kind, tag)

    def text(self, run: str, tag: str, number: int, *, whole: bool = False) -> tuple[bytes, int]:  # noqa: ARG002
        """Raise an error: there are none."""
        raise self._none(run, "text", tag)

    def audio(self, run: str, tag: str, number: int) -> tuple[bytes, str]:  # noqa: ARG002
        """Raise an error: there are none."""
        raise self._none(run, "audio", tag)

    def mesh(self, run: str, tag: str, number: int, item: int = 0) -> bytes:  # noqa: ARG002
        """Raise an error: there are none."""
        raise self._none(run, "mesh", tag)

    def image(self, run: str, tag: str, number: int) -> tuple[bytes, str]:  # noqa: ARG002
        """Raise an error: there are none."""
        raise self._none(run, "image", tag)

    def hparams(self) -> Mapping[str, Any]:
        """Return that no run has hyper-parameters."""
        return {"runs": []}

    def layout(self, run: str) -> Mapping[str, Any]:
        """Return that no curves stand in one chart."""
        self._check(run)
        return {"categories": []}

    def graph(self, run: str, number: int) -> Mapping[str, Any]:  # noqa: ARG002
        """Raise an error: there are none."""
        raise self._none(run, "graph", "graph")

    def record(self, run: str, record: str) -> Mapping[str, Any]:
        """Return a record's description."""
        return describe_record(self.find(run, record))

    def arrays(self, run: str, record: str, names: Sequence[str], rows: slice | None = None) -> bytes:
        """Return named arrays of a record, or some of their rows, as safetensors."""
        return named_arrays(self.find(run, record), names, rows)

    def picture(self, run: str, record: str, file: str) -> bytes:
        """Return one sheet of pictures of a record; all sheets of a picture are encoded at once, and kept."""
        found = self.find(run, record)
        picture = picture_of(file, found.pictures, found.id)
        with self._lock:
            key = (found.id, picture)
            if key not in self._encoded:
                self._encoded[key] = picture_files(found.summary, picture)
            self._encoded.move_to_end(key)
            while len(self._encoded) > KEPT:
                self._encoded.popitem(last=False)
            return self._encoded[key][file]

    def find(self, run: str, record: str) -> MemoryRecord:
        """Return a record."""
        self._check(run)
        if record not in self._records:
            raise not_found("record", record, self._records, run)
        return self._records[record]

    def _check(self, run: str) -> None:
        if run != self._name:
            raise not_found("run", run, [self._name])

    def _none(self, run: str, kind: str, tag: str) -> NotFoundError:
        self._check(run)
        return NotFoundError(f"no {kind} {tag!r} in {run!r}, which holds results in memory; write it to a run")


def _record(number: int, summary: Summary, now: float, workshop: Workshop) -> MemoryRecord:
    size = sum(int(array.nbytes) for array in (*summary.arrays.values(), *summary.pictures.values()))
    promise = Promise(summary.kind, summary.tag, size, lambda: summary, summary.step)
    wall_time = now if summary.wall_time is None else summary.wall_time
    return MemoryRecord(f"{number:08d}-{summary.kind}-{number:06x}", promise, wall_time, workshop)
