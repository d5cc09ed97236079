"""Records that lie in memory and answer as those of a run directory do; their results are made when first asked for."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy.typing as npt

from convscope.store.records import check_named, describe, picture_files, picture_of, to_json, wire
from convscope.summary import Summary

MADE_AT_ONCE: Final = 8
"""How many results are kept as they were made; the others are made anew when they are asked for again."""


@dataclass(frozen=True)
class Promise:
    """A result that is made when it is asked for.

    Attributes
    ----------
    kind, tag
        Those of the summary it gives.
    bytes
        About how large its arrays are.
    make
        Gives the summary; called again after the result has been forgotten.
    step
        The training step of the summary.
    """

    kind: str
    tag: str
    bytes: int
    make: Callable[[], Summary]
    step: int = 0


class Workshop:
    """Makes promised results, one at a time, and keeps the last few.

    Parameters
    ----------
    most
        How many are kept.
    """

    def __init__(self, most: int = MADE_AT_ONCE) -> None:
        self._most = most
        self._lock = threading.RLock()
        self._made: OrderedDict[str, Summary] = OrderedDict()

    def summary(self, name: str, promise: Promise) -> Summary:
        """Return the result of the record ``name``; whatever ``promise.make`` raises passes through."""
        with self._lock:
            if name not in self._made:
                self._made[name] = promise.make()
            self._made.move_to_end(name)
            while len(self._made) > self._most:
                self._made.popitem(last=False)
            return self._made[name]

    def forget(self, names: Iterable[str]) -> None:
        """Drop what was made for these records."""
        with self._lock:
            for name in names:
                self._made.pop(name, None)


class MemoryRecord:
    """A record that no file holds; it is asked as a :class:`~convscope.store.records.Record` is.

    Parameters
    ----------
    name
        Its id.
    promise
        What gives its arrays and pictures.
    wall_time
        When it was promised, in seconds since 1970.
    workshop
        Where its result is made and kept.
    key
        What it is kept as; its id by default.
    """

    def __init__(self, name: str, promise: Promise, wall_time: float, workshop: Workshop, key: str = "") -> None:
        self.id, self.kind, self.tag = name, promise.kind, promise.tag
        self.step, self.wall_time, self.bytes = promise.step, wall_time, promise.bytes
        self._promise = promise
        self._workshop = workshop
        self._key = key or name

    def __repr__(self) -> str:
        return f"MemoryRecord({self.id!r}, tag={self.tag!r})"

    @property
    def summary(self) -> Summary:
        """The whole result."""
        return self._workshop.summary(self._key, self._promise)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What ``meta.json`` would say."""
        description: dict[str, Any] = json.loads(to_json(describe(self.id, self.summary, self.wall_time)))
        return description

    @property
    def meta(self) -> dict[str, Any]:
        """What the result means."""
        meta: dict[str, Any] = self.description["meta"]
        return meta

    @property
    def array_info(self) -> dict[str, dict[str, Any]]:
        """The type and the shape of each array."""
        info: dict[str, dict[str, Any]] = self.description["arrays"]
        return info

    @property
    def pictures(self) -> dict[str, dict[str, Any]]:
        """How each picture's tiles are laid out in files."""
        plans: dict[str, dict[str, Any]] = self.description["pictures"]
        return plans

    def arrays(self, names: Iterable[str] | None = None, rows: slice | None = None) -> dict[str, npt.NDArray[Any]]:
        """Return the named arrays, all of them by default; of each only some rows where that is asked for."""
        wanted = list(self.array_info) if names is None else list(names)
        check_named(wanted, self.array_info, self.id)
        arrays = self.summary.arrays
        return {name: arrays[name] if rows is None else arrays[name][rows] for name in wanted}

    def mapped(self, name: str) -> npt.NDArray[Any]:
        """Return one array."""
        return self.arrays([name])[name]

    def arrays_bytes(self, names: Iterable[str], rows: slice | None = None) -> bytes:
        """Return the named arrays, or some of their rows, as the bytes of a safetensors file."""
        return wire(self.arrays(names, rows))

    def picture_bytes(self, file: str) -> bytes:
        """Return one of the sheets that :attr:`pictures` lists."""
        return picture_files(self.summary, picture_of(file, self.pictures, self.id))[file]
