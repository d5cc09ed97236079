"""``SummaryWriter``: what a training loop logs with, in the manner of ``torch.utils.tensorboard``."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import secrets
import socket
import struct
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from time import time as now
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy, to_hwc, to_uint8
from convscope.errors import InputError
from convscope.formats import events, histogram, png
from convscope.store import records
from convscope.store.log import EventLog
from convscope.summary import KINDS, Summarizable, Summary, check_tag

_LONGEST_DELAY: Final = 1.0
_EVENT_ARRAYS: Final = {"scalar": "value", "histogram": "values", "image": "image"}


class SummaryWriter:
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
        max_queue: int = 10,  # noqa: ARG002 - said above
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        if log_dir is None or str(log_dir) == "":
            log_dir = Path("runs", f"{datetime.now().astimezone():%b%d_%H-%M-%S}_{socket.gethostname()}{comment}")
        if "/" in filename_suffix or "\\" in filename_suffix:
            raise InputError(f"a suffix of a file name has no slash, got {filename_suffix!r}")
        self._directory = Path(log_dir)
        delay = min(max(float(flush_secs), 0.01), _LONGEST_DELAY)
        self._log = EventLog(self._directory, filename_suffix, delay, None if purge_step is None else _step(purge_step))
        records.sweep(self._directory)
        self._sequence = itertools.count(records.next_sequence(self._directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SummaryWriter({str(self._directory)!r})"

    def get_logdir(self) -> str:
        """Return the run directory."""
        return str(self._directory)

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Log a number.

        Parameters
        ----------
        tag
            The curve's name.
        scalar_value
            A number, or an array of any framework that holds one. NaN and infinities are values like others. It is
            stored as float32.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.
        """
        if type(scalar_value) is not float:
            scalar_value = _number(scalar_value)
        if global_step is None:
            global_step = 0
        if walltime is None:
            walltime = now()
        try:
            if self._log.put(tag, global_step, walltime, scalar_value):
                return
        except (KeyError, TypeError, struct.error):  # a new tag, or something that is not what it should be
            pass
        self._log.put_slowly(_tag(tag), _step(global_step), float(walltime), scalar_value)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: str | int | Sequence[float] | npt.NDArray[Any] = "auto",
        walltime: float | None = None,
    ) -> None:
        """Log the histogram of an array.

        NaN, infinities and zeros are counted apart.

        Parameters
        ----------
        tag
            The histogram's name.
        values
            Numbers of any shape, of any framework.
        global_step
            The training step; 0 by default.
        bins
            ``auto``: at most 256 bins that grow with the magnitude. Or a number of equal bins, or their edges.
        walltime
            Seconds since 1970; now by default.
        """
        counted = histogram.count(as_numpy(values), bins)
        self._log.append(events.encode_histogram(_tag(tag), _step(global_step), _time(walltime), counted))

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log a picture.

        Parameters
        ----------
        tag
            The picture's name.
        img_tensor
            ``uint8``, or floats from 0 to 1; what lies outside is clipped.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.
        dataformats
            ``CHW``, ``HWC`` or ``HW``.
        """
        pixels, _ = to_uint8(to_hwc(img_tensor, dataformats))
        height, width, channels = pixels.shape
        image = events.EncodedImage(height, width, png.encode(pixels))
        self._log.append(events.encode_image(_tag(tag), _step(global_step), _time(walltime), image, channels))

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Log a text, which may be Markdown."""
        self._log.append(events.encode_text(_tag(tag), _step(global_step), _time(walltime), str(text_string)))

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
        summary = _summary(result, tag, global_step)
        if KINDS[summary.kind].storage == "event":
            self._add_event(summary)
            return ""
        _tag(summary.tag)
        wall_time = _time(summary.wall_time)
        self._log.check_open()
        name = f"{next(self._sequence):08d}-{summary.kind}-{secrets.token_hex(3)}"
        size = records.write_record(self._directory, name, summary, wall_time)
        entry = {"kind": summary.kind, "id": name, "bytes": size}
        self._log.append(events.encode_entry(summary.tag, summary.step, wall_time, summary.kind, entry))
        return name

    def flush(self) -> None:
        """Make all that has been logged visible to readers now."""
        self._log.flush()

    def close(self) -> None:
        """Flush, and end the run's files. A closed writer takes no more values."""
        self._log.close()

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


def _summary(result: Summary | Summarizable, tag: str | None, global_step: int | None) -> Summary:
    if isinstance(result, Summary):
        step = result.step if global_step is None else _step(global_step)
        return dataclasses.replace(result, tag=tag or result.tag, step=step)
    if not hasattr(result, "to_summary"):
        raise InputError(f"add() takes a Summary or what has to_summary(), got {type(result).__name__}")
    if tag is None:
        raise InputError(f"add() needs a tag for a {type(result).__name__}, for instance the layer's name")
    return result.to_summary(tag, _step(global_step))


def _tag(tag: object) -> str:
    name = check_tag(tag)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"a tag is text that UTF-8 can hold, got {tag!r}") from None
    return name


def _number(value: Any) -> float:
    """Return a number, or an array that holds one, as a float."""
    if type(value) is not int:
        array = as_numpy(value)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise InputError(f"a scalar is one real number, got an array of shape {array.shape}, dtype {array.dtype}")
        value = array.reshape(-1)[0]
    try:
        return float(value)
    except OverflowError:
        return float(np.copysign(np.inf, 1 if value > 0 else -1))


def _step(value: Any) -> int:
    """Return a step as a 64-bit integer."""
    if value is None:
        return 0
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    try:
        step = operator.index(value)
    except TypeError:
        raise InputError(f"a step is a whole number, got {value!r}") from None
    if not -(1 << 63) <= step < 1 << 63:
        raise InputError(f"a step has 64 bits, got {step}")
    return step


def _time(value: float | None) -> float:
    return now() if value is None else float(value)
