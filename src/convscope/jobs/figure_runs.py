"""Which runs and records a figure is of: what is not said is found where only one can be meant."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from convscope.errors import InputError, NotFoundError, not_found
from convscope.store import Logdir, Run
from convscope.store.records import Record
from convscope.store.results import Entry

Given = str | PathLike[str] | Run | Logdir


class Runs:
    """Runs by their names.

    Parameters
    ----------
    given
        A run, a directory that is one or holds runs, a logdir; or several of these.

    Raises
    ------
    NotFoundError
        If a directory is not there.
    InputError
        If there is no run at all.
    """

    def __init__(self, given: Given | Sequence[Given]) -> None:
        parts = [given] if isinstance(given, str | PathLike | Run | Logdir) else list(given)
        self.runs = [run for part in parts for run in _opened(part)]
        if not self.runs:
            raise InputError("a figure is of at least one run; name its directory")
        names = [run.name for run in self.runs]
        self.names = [name if names.count(name) == 1 else f"{name} ({n + 1})" for n, name in enumerate(names)]

    def holding(self, kind: str, wanted: str = "") -> Run:
        """Return the only run with results of a kind.

        Parameters
        ----------
        kind
            As in :data:`convscope.summary.KINDS`.
        wanted
            The name of a run, where several have them.

        Raises
        ------
        NotFoundError
            If there is no run of that name.
        InputError
            If no run has any, or several have.
        """
        if wanted:
            if wanted not in self.names:
                raise not_found("run", wanted, self.names)
            return self.runs[self.names.index(wanted)]
        able = [place for place, run in enumerate(self.runs) if run.tags(kind)[kind]]
        if not able:
            have = sorted({one for run in self.runs for one, tags in run.tags().items() if tags})
            raise InputError(f"{self._called()} no {kind}; there are: {', '.join(have) or 'no results'}")
        if len(able) > 1:
            names = ", ".join(self.names[place] for place in able[:12])
            raise InputError(f"several runs hold {kind}: {names}; choose one with --run NAME (run=)")
        return self.runs[able[0]]

    def _called(self) -> str:
        return f"run {self.names[0]!r} holds" if len(self.runs) == 1 else f"none of these {len(self.runs)} runs holds"


def _opened(part: Given) -> list[Run]:
    """Return the runs of one of the things that are given; a directory that is one is called by its own name."""
    if isinstance(part, Run):
        return [part]
    if isinstance(part, Logdir):
        return part.runs()
    found = Logdir(str(part)).runs()
    if not found:
        raise InputError(f"no runs in {part}; write one with SummaryWriter, or try: convscope demo")
    for run in found:
        if run.name == ".":
            run.name = Path(run.path).resolve().name or run.name
    return found


def entry_of(run: Run, kind: str, tag: str, step: int | None) -> Entry:
    """Return the newest entry of a tag, of several steps the last up to one.

    Raises
    ------
    NotFoundError
        If there is no such tag, or none up to that step.
    """
    tags = run.tags(kind)[kind]
    if tag not in tags:
        raise not_found(kind, tag, tags, f"run {run.name!r}")
    entries = [entry for entry in run.entries(kind, tag) if step is None or entry.step <= step]
    if not entries:
        raise NotFoundError(f"{kind} {tag!r} has no step up to {step}; its first is {min(run.steps(kind, tag))}")
    return max(entries, key=lambda entry: (entry.step, run.entries(kind, tag).index(entry)))


def record_of(run: Run, kind: str, tag: str, step: int | None) -> Record:
    """Return the record of :func:`entry_of`."""
    return run.record(entry_of(run, kind, tag, step))


def tags_of_layer(run: Run, kind: str, layer: str) -> list[str]:
    """Return the tags whose records are of a layer; all tags where no layer is named.

    Raises
    ------
    NotFoundError
        If there is no result of it.
    """
    tags = run.tags(kind)[kind]
    if not layer:
        return tags
    of = {tag: str(record_of(run, kind, tag, None).meta.get("layer", "")) for tag in tags}
    found = [tag for tag in tags if layer in {of[tag], tag}]
    if not found:
        raise not_found("layer", layer, dict.fromkeys(of.values()), f"the {kind} of run {run.name!r}")
    return found


def only_tag(run: Run, kind: str, layer: str, tag: str) -> str:
    """Return a tag by itself or by its layer; the first layer where neither is said.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    if tag:
        known = run.tags(kind)[kind]
        if tag not in known:
            raise not_found(kind, tag, known, f"run {run.name!r}")
        return tag
    return tags_of_layer(run, kind, layer)[0]


def chosen_channels(channels: Sequence[int] | None, count: int, what: str) -> list[int]:
    """Return the channels that are asked for, all by default.

    Raises
    ------
    NotFoundError
        If one is not there.
    """
    if channels is None:
        return list(range(count))
    wrong = [channel for channel in channels if not 0 <= channel < count]
    if wrong:
        raise NotFoundError(f"{what} has channels 0 to {count - 1}, no channel {wrong[0]}")
    if not channels:
        raise InputError(f"a figure shows at least one channel of {what}; name some, or none for all")
    return [int(channel) for channel in channels]
