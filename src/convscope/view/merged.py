"""Several directories of runs as one: each has a name, which stands before the names of its runs."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Final

from convscope.errors import InputError, not_found
from convscope.view.listing import Changes
from convscope.view.source import LogdirSource

_MOST_ANSWERS: Final = 4096


class MergedSource:
    """Answer from several directories of runs as from one.

    >>> source = MergedSource({"mine": "runs", "hers": "../hers/runs"})    # doctest: +SKIP
    >>> [run["name"] for run in source.index()["runs"]]                     # doctest: +SKIP
    ['mine/a', 'mine/b', 'hers/a']

    Parameters
    ----------
    logdirs
        The directories by name. As for :class:`~convscope.view.source.LogdirSource` they may come later.

    Raises
    ------
    InputError
        If there is none, a name is empty, or one is the beginning of another: ``a`` and ``a/b``.
    NotFoundError, StorageError
        If one is no directory that can be listed.
    """

    def __init__(self, logdirs: Mapping[str, str | Path]) -> None:
        check_names(logdirs)
        self._sources = {name: LogdirSource(path, prefix=name) for name, path in logdirs.items()}
        self._lock = threading.Lock()
        self._names: dict[str, Sequence[str]] = dict.fromkeys(logdirs, ())
        self._versions: list[int] = []  # that were answered, each the sum of those of the directories
        self._parts: list[list[int]] = []

    @property
    def waiting(self) -> str:
        """What is waited for, as sentences; empty where all directories are there."""
        return "; ".join(source.waiting for source in self._sources.values() if source.waiting)

    def home(self, run: str) -> LogdirSource:
        """Return what answers for a run: the directory whose name the run's name begins with.

        Raises
        ------
        NotFoundError
            If it begins with none.
        """
        for name, source in self._sources.items():
            if run == name or run.startswith(f"{name}/"):
                return source
        raise not_found("run", run, [run for names in self._names.values() for run in names], ", ".join(self._sources))

    def version(self) -> int:
        """Return a number that grows whenever one of the directories does."""
        return sum(source.version() for source in self._sources.values())

    def read(self) -> None:
        """Read all runs that are there, one directory after the other."""
        for source in self._sources.values():
            source.read()

    def index(self) -> dict[str, Any]:
        """Return what there is in all directories, in their order."""
        found = [source.index() for source in self._sources.values()]
        runs = [run for index in found for run in index["runs"]]
        return {**self._about(), "version": sum(index["version"] for index in found), "runs": runs}

    def changes(self, since: int) -> Changes:
        """Return what the index says of the runs that have changed since a version, in short."""
        with self._lock:
            told = self._told(since)
            for name, one in told.items():
                if one.names is not None:
                    self._names[name] = one.names
            self._remember([one.version for one in told.values()])
            renamed = any(one.names is not None for one in told.values())
            names = [run for each in self._names.values() for run in each] if renamed else None
            runs = [run for one in told.values() for run in one.runs]
            whole = all(one.whole for one in told.values())
            return Changes(self._versions[-1], whole, names, runs, self._about())

    def _told(self, since: int) -> dict[str, Changes]:
        """Return what each directory tells; everything if what was answered then is not known any more."""
        place = bisect_right(self._versions, since) - 1
        is_known = place >= 0 and since <= self._versions[-1]
        parts = self._parts[place] if is_known else [0] * len(self._sources)
        told = {name: source.changes(part) for (name, source), part in zip(self._sources.items(), parts, strict=True)}
        if is_known and any(one.whole for one in told.values()):
            return {name: source.changes(0) for name, source in self._sources.items()}
        return told

    def _remember(self, parts: list[int]) -> None:
        """Keep the versions of the directories under their sum, by which they are asked for again."""
        version = sum(parts)
        if not self._versions or version > self._versions[-1]:
            self._versions.append(version)
            self._parts.append(parts)
        del self._versions[:-_MOST_ANSWERS], self._parts[:-_MOST_ANSWERS]

    def _about(self) -> dict[str, Any]:
        return {"logdir": ", ".join(self._sources)} | ({"waiting": self.waiting} if self.waiting else {})

    def series(self, run: str, kind: str, tag: str, start: int = 0) -> bytes:
        """Return the points from number ``start`` on, as safetensors."""
        return self.home(run).series(run, kind, tag, start)

    def image(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged picture as it is stored, and its media type."""
        return self.home(run).image(run, tag, number)

    def text(self, run: str, tag: str, number: int, *, whole: bool = False) -> tuple[bytes, int]:
        """Return a logged text, or only the first megabyte of it, and how many bytes the whole of it has."""
        return self.home(run).text(run, tag, number, whole=whole)

    def audio(self, run: str, tag: str, number: int) -> tuple[bytes, str]:
        """Return one logged sound as it is stored, and its media type."""
        return self.home(run).audio(run, tag, number)

    def mesh(self, run: str, tag: str, number: int, item: int = 0) -> bytes:
        """Return one logged mesh, of a batch that of a number, as safetensors."""
        return self.home(run).mesh(run, tag, number, item)

    def hparams(self) -> Mapping[str, Any]:
        """Return the hyper-parameters of all runs that have any, and how well these did."""
        return {"runs": [run for source in self._sources.values() for run in source.hparams()["runs"]]}

    def layout(self, run: str) -> Mapping[str, Any]:
        """Return which curves of a run stand in one chart."""
        return self.home(run).layout(run)

    def graph(self, run: str, number: int) -> Mapping[str, Any]:
        """Return one of the graphs of networks that a run holds."""
        return self.home(run).graph(run, number)

    def record(self, run: str, record: str) -> Mapping[str, Any]:
        """Return a record's description."""
        return self.home(run).record(run, record)

    def arrays(self, run: str, record: str, names: Sequence[str], rows: slice | None = None) -> bytes:
        """Return named arrays of a record, or some of their rows, as safetensors."""
        return self.home(run).arrays(run, record, names, rows)

    def picture(self, run: str, record: str, file: str) -> bytes:
        """Return one sheet of pictures of a record."""
        return self.home(run).picture(run, record, file)


def check_names(names: Iterable[str]) -> None:
    """Refuse names of directories that would make two runs one."""
    known = sorted(names)
    if not known:
        raise InputError("nothing to show; give a directory that holds runs")
    for name in known:
        if not name.strip() or name != name.strip("/"):
            raise InputError(f"{name!r} is no name of a directory; write it as in best=runs/a")
        other = next((one for one in known if one.startswith(f"{name}/")), "")
        if other:
            raise InputError(f"the name {name!r} is the beginning of {other!r}; give one of them another name")


def names_of(paths: Iterable[str | Path]) -> dict[str, str | Path]:
    """Return directories by names that tell them apart: the last parts of their paths, as few as needed.

    >>> names_of(["exp1/runs", "exp2/runs", "other"])
    {'exp1/runs': 'exp1/runs', 'exp2/runs': 'exp2/runs', 'other': 'other'}

    Raises
    ------
    InputError
        If a directory is given twice.
    """
    parts: dict[tuple[str, ...], str | Path] = {}
    for path in paths:
        whole = _parts(path)
        if whole in parts:
            raise InputError(f"{str(path)!r} is given twice; leave it out once")
        parts[whole] = path
    named: dict[str, str | Path] = {}
    for whole, path in parts.items():
        length = next(n for n in range(1, len(whole) + 1) if n == len(whole) or _is_alone(whole[-n:], parts))
        named["/".join(whole[-length:])] = path
    return named


def _is_alone(end: tuple[str, ...], parts: Iterable[tuple[str, ...]]) -> bool:
    return sum(one[-len(end) :] == end for one in parts) == 1


def _parts(path: str | Path) -> tuple[str, ...]:
    if "://" in str(path):
        return tuple(part for part in str(path).split("/") if part)
    whole = Path(os.path.expanduser(path)).resolve()  # noqa: PTH111 - pathlib's fails where there is no such user
    return tuple(part for part in PurePath(whole).parts if part != whole.anchor) or (str(whole).strip("/\\") or "root",)
