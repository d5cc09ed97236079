"""``SummaryWriter``: what a training loop logs with, in the manner of ``torch.utils.tensorboard``."""

from __future__ import annotations

import dataclasses
import itertools
import secrets
from pathlib import Path
from typing import Final

from convscope.errors import InputError
from convscope.formats import events
from convscope.formats.values import encode_entry
from convscope.recording.base import step_of, tag_of
from convscope.recording.distributions import DistributionMethods
from convscope.recording.evaluation import EvaluationMethods
from convscope.recording.media import MediaMethods
from convscope.recording.projector import ProjectorMethods
from convscope.recording.scalars import ScalarMethods
from convscope.recording.structure import StructureMethods
from convscope.recording.texts import TextMethods
from convscope.store import records
from convscope.summary import KINDS, Summarizable, Summary

_EVENT_ARRAYS: Final = {"scalar": "value", "histogram": "values", "image": "image"}


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
        The run directory; ``runs/<date>_<host><comment>`` by default.
    comment
        Added to the default directory's name.
    purge_step
        Where a run goes on from a checkpoint: readers forget what its earlier files have at this step and later ones.
    max_queue
        Not used, and kept for its place among the arguments: nothing waits in memory here.
    flush_secs
        Seconds after which scalars are visible to readers at the latest; more than one second is taken as one.
    filename_suffix
        What the names of the event files end with.

    Raises
    ------
    StorageError
        If the directory cannot be written.
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        super().__init__(log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix)
        records.sweep(self._directory)
        self._sequence = itertools.count(records.next_sequence(self._directory))

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
        record = f"{next(self._sequence):08d}-{summary.kind}-{secrets.token_hex(3)}"
        size = records.write_record(self._directory, record, summary, wall_time)
        entry = {"kind": summary.kind, "id": record, "bytes": size}
        self._log.append(events.encode_values(wall_time, summary.step, [(name, encode_entry(summary.kind, entry))]))
        return record

    def _add_event(self, summary: Summary) -> None:
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
