"""A run that was interrupted: what it was begun with, which stages are done, and what is written already."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from convscope.errors import InputError, StorageError
from convscope.recording import SummaryWriter
from convscope.recording.base import tag_of
from convscope.store import Run
from convscope.summary import Summarizable, Summary

CHECKPOINT: Final = ".top_k.checkpoint"
MARK: Final = ".inspect.json"
"""In a run that is not finished: what it was begun with, so that the same command can go on."""


class Work:
    """A run that is being written: what it was begun with, and which stages are done, so that a second call can go on.

    A run that another call has begun, or that is finished, is left alone; what adds to a run says which records, and
    is refused only where these are there.

    Parameters
    ----------
    out
        The run directory.
    about
        What determines the result; a call that was begun with another is not gone on with.
    mark
        The file that says what was begun; each job that adds to a run has one of its own.
    adding
        Kind and tag of the records that are added to a run that may be there; ``None`` for a run of its own.
    """

    def __init__(
        self, out: Path, about: dict[str, object], mark: str = MARK, adding: Collection[tuple[str, str]] | None = None
    ) -> None:
        self._mark = out / mark
        self._about = json.loads(json.dumps(about))
        self._done: list[str] = []
        if (found := self._read()) is not None and found.get("about") == self._about:
            self._done = list(found["done"])
            return
        if out.is_dir() and (self._mark.exists() or self._taken(out, adding)):
            if found and adding is not None:  # the run is not to be removed: it may hold what others have written
                raise InputError(
                    f"{out} waits for a call that was begun with other settings, weights or pictures; finish that, "
                    f"remove {self._mark} to give it up, or choose another folder with -o"
                )
            begun = " that was begun with other settings, weights or pictures" if found else ""
            holds = "a run" if adding is None else " and ".join(f"{kind} of {tag}" for kind, tag in adding)
            raise InputError(f"{out} already holds {holds}{begun}; remove it or choose another folder with -o")
        with SummaryWriter(out):  # says what is wrong with the folder, if anything is
            pass
        self._write()

    @staticmethod
    def _taken(out: Path, adding: Collection[tuple[str, str]] | None) -> bool:
        if adding is None:
            return bool(Run(out).tags())
        return any((entry.kind, entry.tag) in adding for entry in Run(out).entries())

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._mark.read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("done"), list) else None

    def _write(self) -> None:
        draft = self._mark.with_name(f"{self._mark.name}.new")
        try:
            draft.write_text(json.dumps({"about": self._about, "done": self._done}, indent=1))
            draft.replace(self._mark)
        except OSError as error:
            raise StorageError(f"cannot write to {draft.parent} ({error}); make room or use another -o") from error

    @contextmanager
    def stage(self, name: str) -> Iterator[bool]:
        """Say whether a stage is still to be done, and note that it is once the block ends well."""
        todo = name not in self._done
        yield todo
        if todo:
            self._done.append(name)
            self._write()

    def done(self, checkpoint: str = CHECKPOINT) -> None:
        """Leave nothing behind but the run; the mark goes last, so that a call that is killed here can go on.

        ``checkpoint`` is the name of the checkpoint, or a pattern of the names of several.
        """
        out = self._mark.parent
        for left in (*out.glob(f".{checkpoint}.*"), *out.glob(checkpoint), out / f"{self._mark.name}.new", self._mark):
            left.unlink(missing_ok=True)  # the drafts are of calls that were killed while they wrote


class ContinuedWriter(SummaryWriter):
    """A writer that leaves out what an interrupted call has written already, so that nothing is there twice."""

    def __init__(self, out: Path) -> None:
        self.written = {(entry.kind, entry.tag) for entry in Run(out).entries()}
        super().__init__(out)

    def add(self, result: Summary | Summarizable, tag: str | None = None, global_step: int | None = None) -> str:
        """Log a result unless one of its kind and tag is in :attr:`written`; returns the id of the record."""
        summary = self._summary(result, tag, global_step)
        return "" if (summary.kind, tag_of(summary.tag)) in self.written else super().add(summary)


def finished(out: Path, kind: str, note: str) -> set[tuple[str, str]]:
    """Return the kind and layer of records whose newest notes something in its meta, as an interrupted call left them.

    What is of no layer counts by its network's name.
    """
    run = Run(out)
    newest = {entry.tag: entry for entry in run.entries(kind)}
    metas: list[Mapping[str, Any]] = [run.record(entry).meta for entry in newest.values()]
    return {(kind, str(meta.get("layer", meta["network"]))) for meta in metas if note in meta}
