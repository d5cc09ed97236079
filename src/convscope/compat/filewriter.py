"""``FileWriter``: takes the messages of protobuf that some programs make themselves."""

# ruff: noqa: SLF001 - a file writer is another face of its writer

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Self

from convscope.errors import InputError
from convscope.formats import events
from convscope.recording.base import Recorder


class FileWriter:
    """Write messages that are made already, as ``torch.utils.tensorboard.FileWriter`` does.

    >>> from torch.utils.tensorboard.summary import hparams                     # doctest: +SKIP
    ... for summary in hparams({"lr": 0.1}, {"accuracy": 0.9}):
    ...     writer.file_writer.add_summary(summary)

    Parameters
    ----------
    log_dir
        The run directory: a path or a URL.
    max_queue
        Not used, and kept for its place among the arguments: nothing waits in memory here.
    flush_secs
        Seconds after which messages are sent at the latest, where the directory is a URL.
    filename_suffix
        What the names of the event files end with.
    """

    def __init__(
        self,
        log_dir: str | PathLike[str],
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        from convscope.compat.dialect import Dialect  # which needs this module for its own file writer

        self._writer: Recorder = Dialect(log_dir, "", None, max_queue, flush_secs, filename_suffix)

    @classmethod
    def of(cls, writer: Recorder) -> Self:
        """Return the file writer of a writer: what it is given goes into the same files."""
        made = cls.__new__(cls)
        made._writer = writer
        return made

    def get_logdir(self) -> str:
        """Return the run directory."""
        return self._writer.get_logdir()

    def add_event(self, event: Any, step: int | None = None, walltime: float | None = None) -> None:
        """Write a message ``Event``; its time and, where given, its step are set first."""
        _check(event, "an Event")
        self._catch_up(event.summary)
        event.wall_time = self._writer._time(walltime)
        if step is not None:
            event.step = self._writer._step(step)
        self._writer._log.append(event.SerializeToString())

    def add_summary(self, summary: Any, global_step: int | None = None, walltime: float | None = None) -> None:
        """Write a message ``Summary``.

        Parameters
        ----------
        summary
            The message.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If it is no message of protobuf.
        """
        _check(summary, "a Summary")
        self._catch_up(summary)
        self._append(events.encode_summary, global_step, walltime, summary.SerializeToString())

    def add_graph(self, graph_profile: Sequence[Any], walltime: float | None = None) -> None:
        """Write the messages ``GraphDef`` and ``RunMetadata``, a pair."""
        graph, metadata = graph_profile
        self.add_onnx_graph(graph, walltime)
        self._append(events.encode_run_metadata, None, walltime, "step1", metadata.SerializeToString())

    def add_onnx_graph(self, graph: Any, walltime: float | None = None) -> None:
        """Write a message ``GraphDef``, wherever the graph is from."""
        _check(graph, "a GraphDef")
        self._append(events.encode_graph, None, walltime, graph.SerializeToString())

    def flush(self) -> None:
        """Make all that has been logged visible to readers now."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, and end the run's files."""
        self._writer.close()

    def reopen(self) -> None:
        """Do nothing: a message that comes after :meth:`close` begins a new file by itself."""

    def _append(self, encode: Any, step: int | None, walltime: float | None, *content: Any) -> None:
        self._writer._log.append(encode(self._writer._time(walltime), self._writer._step(step), *content))

    def _catch_up(self, summary: Any) -> None:
        """Let points of the same curves that still wait in the journal come first."""
        if any(self._writer._log.knows(value.tag) for value in summary.value):
            self._writer.flush()


def _check(message: Any, kind: str) -> None:
    if not hasattr(message, "SerializeToString"):
        raise InputError(f"a file writer takes {kind} of protobuf, got {type(message).__name__}; use the add_ methods")
