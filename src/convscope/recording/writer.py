"""``SummaryWriter``: what a training loop logs with, in the manner of ``torch.utils.tensorboard``."""

from __future__ import annotations

import dataclasses
import itertools
import secrets
from os import PathLike
from typing import Any, Final, Self

from convscope.errors import InputError
from convscope.formats import events
from convscope.formats.values import encode_entry
from convscope.recording.base import step_of, tag_of
from convscope.recording.distributions import DistributionMethods
from convscope.recording.evaluation import EvaluationMethods
from convscope.recording.media import MediaMethods
from convscope.recording.projector import ProjectorMethods
from convscope.recording.ranks import rank_of_process
from convscope.recording.scalars import ScalarMethods
from convscope.recording.structure import StructureMethods
from convscope.recording.texts import TextMethods
from convscope.store import records
from convscope.summary import KINDS, Summarizable, Summary

_EVENT_ARRAYS: Final = {"scalar": "value", "histogram": "values", "image": "image"}
_METHODS: Final = {
    "audio": "add_audio",
    "text": "add_text",
    "mesh": "add_mesh",
    "hparams": "add_hparams",
    "graph": "add_graph",
    "pr_curve": "add_pr_curve",
}


class SummaryWriter(
    ScalarMethods,
    DistributionMethods,
    MediaMethods,
    TextMethods,
    EvaluationMethods,
    StructureMethods,
    ProjectorMethods,
):
    """Write what a training run produces into a run directory.

    Whatever a method has taken is safe: it survives the process being killed. Values are visible to readers within a
    second. A writer may be used by several threads, and by the children of a fork, which write files of their own.
    TensorBoard reads the same directory.

    >>> with SummaryWriter("runs/mnist") as writer:     # doctest: +SKIP
    ...     writer.add_scalar("loss", 0.5, 1)

    Parameters
    ----------
    log_dir
        The run directory: a path, or a URL as in ``s3://bucket/runs/mnist`` (with the extra ``cloud``);
        ``runs/<date>_<host><comment>`` by default.
    comment
        Added to the default directory's name.
    purge_step
        Where a run goes on from a checkpoint: readers forget what its earlier files have at this step and later ones.
    max_queue
        Not used, and kept for its place among the arguments: nothing waits in memory here.
    flush_secs
        Seconds after which values are visible to readers at the latest. In a directory more than one second is taken
        as one; at a URL a part is sent that often, and with :meth:`flush` and :meth:`close`.
    filename_suffix
        What the names of the event files end with.
    write_to_disk
        Whether to write at all; ``False`` makes a writer that takes everything and keeps nothing.
    logdir
        tensorboardX's and MXBoard's name for ``log_dir``.

    Raises
    ------
    StorageError
        If the directory cannot be written.
    """

    def __init__(
        self,
        log_dir: str | PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,  # noqa: ARG002 - said above
        flush_secs: float = 120,
        filename_suffix: str | None = "",
        write_to_disk: bool = True,
        *,
        logdir: str | PathLike[str] | None = None,
    ) -> None:
        if log_dir is not None and logdir is not None:
            raise InputError(f"log_dir and logdir name the run directory twice: {str(log_dir)!r}, {str(logdir)!r}")
        place = logdir if log_dir is None else log_dir
        super().__init__(place, comment, purge_step, flush_secs, filename_suffix, write_to_disk)
        if self._log.writes:
            records.sweep(self._directory)
        self._sequence = itertools.count(records.next_sequence(self._log.names(records.DIRECTORY)))

    @classmethod
    def for_rank(cls, log_dir: str | PathLike[str], *, every_rank: bool = False, **options: Any) -> Self:
        """Make the writer of one process of a distributed training.

        >>> writer = SummaryWriter.for_rank("runs/mnist")           # doctest: +SKIP

        The rank is that of ``torch.distributed`` where it is initialised, or what the launcher has put into the
        environment (``RANK``, ``SLURM_PROCID``, ``OMPI_COMM_WORLD_RANK``, ``PMI_RANK``); 0 where nothing says so.

        Parameters
        ----------
        log_dir
            The run directory of rank 0.
        every_rank
            Whether the other ranks write too, each to a run of its own, ``<log_dir>/rank<n>``: TensorBoard would take
            interleaved steps in one run for restarts. Otherwise their writers keep nothing, and name the directory of
            rank 0 as theirs.
        options
            As for the class.
        """
        rank = rank_of_process()
        if rank == 0:
            return cls(log_dir, **options)
        place = f"{log_dir}/rank{rank}" if every_rank else log_dir
        return cls(place, **{**options, "write_to_disk": every_rank})

    def add(self, result: Summary | Summarizable, tag: str | None = None, global_step: int | None = None) -> str:
        """Log a result of any kind.

        A scalar is the array ``value`` of its summary, a histogram ``values``, an image ``image``; any other kind
        becomes a record.

        Parameters
        ----------
        result
            A summary, or anything that can become one.
        tag, global_step
            Its tag and step; those of the summary by default.

        Returns
        -------
        The id of the record; empty for a scalar, a histogram or an image.
        """
        summary = self._summary(result, tag, global_step)
        if KINDS[summary.kind].storage == "event":
            self._add_event(summary)
            return ""
        name = tag_of(summary.tag)
        wall_time = self._time(summary.wall_time)
        self._log.check_open()
        if not self._log.writes:
            return ""
        record = f"{next(self._sequence):08d}-{summary.kind}-{secrets.token_hex(3)}"
        size = records.write_record(self._directory, record, summary, wall_time)
        self._log.publish(f"{records.DIRECTORY}/{record}")
        entry = {"kind": summary.kind, "id": record, "bytes": size}
        self._log.append(events.encode_values(wall_time, summary.step, [(name, encode_entry(summary.kind, entry))]))
        return record

    def _add_event(self, summary: Summary) -> None:
        if summary.kind not in _EVENT_ARRAYS:
            raise InputError(f"add() takes no {summary.kind}; log it with SummaryWriter.{_METHODS[summary.kind]}")
        name = _EVENT_ARRAYS[summary.kind]
        if name not in summary.arrays:
            raise InputError(f"a {summary.kind} summary needs the array {name!r}, got {sorted(summary.arrays)}")
        array = summary.arrays[name]
        if summary.kind == "scalar":
            self.add_scalar(summary.tag, array, summary.step, summary.wall_time)
        elif summary.kind == "histogram":
            self.add_histogram(summary.tag, array, summary.step, walltime=summary.wall_time)
        else:
            layout = "HW" if array.ndim == 2 else "HWC"
            self.add_image(summary.tag, array, summary.step, summary.wall_time, dataformats=layout)

    def _summary(self, result: Summary | Summarizable, tag: str | None, global_step: int | None) -> Summary:
        if isinstance(result, Summary):
            step = result.step if global_step is None else step_of(global_step)
            return dataclasses.replace(result, tag=tag or result.tag, step=step)
        if not hasattr(result, "to_summary"):
            raise InputError(f"add() takes a Summary or what has to_summary(), got {type(result).__name__}")
        if tag is None:
            raise InputError(f"add() needs a tag for a {type(result).__name__}, for instance the layer's name")
        return result.to_summary(tag, self._step(global_step))
