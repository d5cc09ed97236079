"""What the dialects have in common: steps are cut, logging goes on after ``close()``, and there is a file writer."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cached_property
from itertools import accumulate, repeat, takewhile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convscope.compat.filewriter import FileWriter
from convscope.recording import writer as recording
from convscope.store.log import EventLog
from convscope.store.nolog import NoLog


class Dialect(recording.SummaryWriter):
    """A :class:`convscope.SummaryWriter` that does what programs for its older relatives rely on.

    A step with a fraction is cut, and one that is text is read. A value that comes after :meth:`close` begins a new
    file of the same run; :meth:`flush` and :meth:`close` do nothing then.

    Parameters
    ----------
    log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, logdir
        As for :class:`convscope.SummaryWriter`; the originals' programs find them as attributes.
    """

    def __init__(
        self,
        log_dir: str | PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str | None = "",
        write_to_disk: bool = True,
        *,
        logdir: str | PathLike[str] | None = None,
    ) -> None:
        self._change = threading.RLock()  # a signal handler may close too
        self._finished: list[tuple[Path, int]] = []
        super().__init__(
            log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, logdir=logdir
        )
        self.purge_step = purge_step
        self.max_queue = max_queue
        self.flush_secs = flush_secs
        self.filename_suffix = filename_suffix

    @property
    def logdir(self) -> str:
        """The run directory."""
        return self.log_dir

    @property
    def file_writer(self) -> FileWriter:
        """What takes messages of protobuf for the same files."""
        return FileWriter.of(self)

    @property
    def all_writers(self) -> dict[str, FileWriter]:
        """The file writer by its directory; there is one, as names make no runs of their own."""
        return {self.log_dir: self.file_writer}

    @cached_property
    def default_bins(self) -> list[float]:
        """The edges of the originals' default histogram. Ours is finer: ``bins`` is not made of these."""
        edges = list(takewhile(lambda edge: edge < 1e20, accumulate(repeat(1.1), operator.mul, initial=1e-12)))
        return [*(-edge for edge in reversed(edges)), 0, *edges]

    def close(self) -> None:
        """Flush, and end the run's files; a value that comes later begins a new one."""
        with self._change:
            log = self._log
            if isinstance(log, NoLog):
                return
            self._log = ClosedLog(log, self._finished, self._reopen)
        try:
            log.close()
        finally:
            self._finished += [(path, start) for path, start in log.written() if path.exists()]

    def clear_scalar_dict(self) -> None:
        """Leave what has been logged so far out of later calls of :meth:`export_scalars`."""
        super().clear_scalar_dict()
        self._finished.clear()

    def _get_file_writer(self) -> FileWriter:
        return self.file_writer

    def _reopen(self) -> EventLog | NoLog:
        with self._change:
            if isinstance(self._log, ClosedLog):  # no other thread has done it meanwhile
                self._log = self._open_log()
            return self._log

    def _files(self) -> list[tuple[Path, int]]:
        return list(dict.fromkeys([*self._finished, *self._log.written()]))

    def _step(self, global_step: Any) -> int:
        if isinstance(global_step, np.ndarray) and global_step.size == 1:
            global_step = global_step.item()
        with suppress(TypeError, ValueError, OverflowError):  # no number, or NaN: there is a sentence for it
            global_step = None if global_step is None else int(global_step)
        return super()._step(global_step)


class ClosedLog(NoLog):
    """Stands where the log of a closed writer was, and has the next one opened when there is something to write.

    Parameters
    ----------
    log
        The closed log.
    files
        What the writer has written so far.
    reopen
        Opens the writer's next log, once, and returns it.
    """

    writes = True

    def __init__(self, log: EventLog, files: list[tuple[Path, int]], reopen: Callable[[], EventLog | NoLog]) -> None:
        super().__init__(log.directory)
        self._log, self._files, self._reopen = log, files, reopen

    def put(self, *_: Any) -> bool:
        """Leave it to :meth:`put_slowly`, so that the loop pays nothing for this."""
        return False

    put_many = put

    def put_slowly(self, tag: str, step: int, wall_time: float, value: float) -> None:
        """Store a scalar in the next log."""
        self._reopen().put_slowly(tag, step, wall_time, value)

    def put_many_slowly(self, tags: Collection[str], step: int, wall_time: float, values: Collection[float]) -> None:
        """Store scalars in the next log."""
        self._reopen().put_many_slowly(tags, step, wall_time, values)

    def append(self, *events: Any) -> None:
        """Write an event to the next log."""
        self._reopen().append(*events)

    def publish(self, *names: str) -> None:
        """Make files known that stand beside the next log."""
        self._reopen().publish(*names)

    def check_open(self, *_: Any) -> None:
        """Open the next log."""
        self._reopen()

    def start_over(self, *_: Any) -> None:
        """Let what was written count for no export."""
        self._files.clear()

    def written(self) -> list[tuple[Path, int]]:
        """Return the files of before."""
        return list(self._files)

    def knows(self, tag: str) -> bool:
        """Tell whether the closed log has had scalars of this tag."""
        return self._log.knows(tag)

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder of the run directory."""
        return self._log.names(folder)
