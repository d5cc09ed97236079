"""What all methods of the writer share: the run directory, its log, and what a tag, a step and a number may be."""

from __future__ import annotations

import operator
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from os import PathLike
from pathlib import Path
from time import time as now
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.formats import events
from convscope.store.log import EventLog
from convscope.store.nolog import NoLog
from convscope.store.remote import RemoteLog, is_remote
from convscope.summary import check_tag

_LONGEST_DELAY: Final = 1.0
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Recorder:
    """A run directory that takes events; the families of ``add_`` methods derive from it.

    Parameters
    ----------
    log_dir, comment, purge_step, flush_secs, filename_suffix, write_to_disk
        As for :class:`~convscope.recording.SummaryWriter`.
    """

    def __init__(
        self,
        log_dir: str | PathLike[str] | None,
        comment: str,
        purge_step: int | None,
        flush_secs: float,
        filename_suffix: str | None,
        write_to_disk: bool,
    ) -> None:
        if log_dir is None or str(log_dir) == "":
            log_dir = Path("runs", f"{datetime.now().astimezone():%b%d_%H-%M-%S}_{socket.gethostname()}{comment}")
        if not isinstance(log_dir, str | PathLike):
            raise InputError(f"a run directory is a path or a URL, got {log_dir!r:.80}")
        suffix = filename_suffix or ""
        if "/" in suffix or "\\" in suffix:
            raise InputError(f"a suffix of a file name has no slash, got {suffix!r}")
        self._name = str(log_dir)
        self._default_step = 0
        self._default_time: float | None = None
        first = None if purge_step is None else self._step(purge_step)
        self._open_log = partial(_open, log_dir, suffix, flush_secs)
        self._log: EventLog | NoLog = self._open_log(first) if write_to_disk else NoLog(Path(log_dir))
        self._directory = self._log.directory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def get_logdir(self) -> str:
        """Return the run directory."""
        return self._name

    @property
    def log_dir(self) -> str:
        """The run directory."""
        return self._name

    def flush(self) -> None:
        """Make all that has been logged visible to readers now."""
        self._log.flush()

    def close(self) -> None:
        """Flush, and end the run's files. A closed writer takes no more values."""
        self._log.close()

    @contextmanager
    def use_metadata(self, *, global_step: int | None = None, walltime: float | None = None) -> Iterator[Self]:
        """Set the step and the time of what is logged inside the block without one of its own.

        Parameters
        ----------
        global_step
            The training step; 0 outside such a block.
        walltime
            Seconds since 1970; the moment of logging outside such a block.
        """
        before = self._default_step, self._default_time
        time = self._default_time if walltime is None else time_of(walltime)
        self._default_step, self._default_time = self._step(global_step), time
        try:
            yield self
        finally:
            self._default_step, self._default_time = before

    def _step(self, global_step: Any) -> int:
        return self._default_step if global_step is None else step_of(global_step)

    def _time(self, walltime: float | None) -> float:
        walltime = self._default_time if walltime is None else walltime
        return now() if walltime is None else time_of(walltime)

    def _files(self) -> list[tuple[Path, int]]:
        """Return the files of this writer, each with the byte from which on it counts for an export."""
        return self._log.written()

    def _emit(self, tag: object, fields: bytes, global_step: Any, walltime: float | None) -> None:
        """Write one value: its tag and the bytes of its other fields."""
        values = [(tag_of(tag), fields)]
        self._log.append(events.encode_values(self._time(walltime), self._step(global_step), values))


def _open(
    place: str | PathLike[str], suffix: str, flush_secs: float, purge_step: int | None = None
) -> EventLog | NoLog:
    """Open the log of a run directory, here or at a URL."""
    try:
        seconds = max(0.01, float(flush_secs))  # in this order NaN is the least, too
    except (TypeError, ValueError):
        raise InputError(f"flush_secs is a number of seconds, got {flush_secs!r}") from None
    if is_remote(place):
        return RemoteLog(str(place), suffix, seconds, purge_step)
    return EventLog(Path(place), suffix, min(seconds, _LONGEST_DELAY), purge_step)


def tag_of(tag: object) -> str:
    """Return a tag as it is stored: without leading slashes, and with ``_`` in place of control characters.

    Raises
    ------
    InputError
        If it is not text, empty or too long.
    """
    name = check_tag(tag)
    clean = _CONTROL.sub("_", name).lstrip("/")
    if clean != name:
        warnings.warn(f"the tag {name!r} is logged as {clean!r}", stacklevel=4)
        check_tag(clean)
    return clean


def step_of(value: Any) -> int:
    """Return a step as a 64-bit integer.

    Raises
    ------
    InputError
        If it is not a whole number or has more than 64 bits.
    """
    if value is None:
        return 0
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    try:
        step = operator.index(value)
    except TypeError:
        step = _step_in_array(value)
    if not -(1 << 63) <= step < 1 << 63:
        raise InputError(f"a step has 64 bits, got {step}")
    return step


def _step_in_array(value: Any) -> int:
    """Return the whole number in an array of any framework that holds just one."""
    array = None if isinstance(value, str | float) else as_numpy(value)
    if array is None or array.size != 1 or array.dtype.kind not in "iuf" or int(array.reshape(-1)[0]) != array.item():
        raise InputError(f"a step is a whole number, got {value!r:.80}; round it, or log against another axis")
    return int(array.reshape(-1)[0])


def time_of(value: Any) -> float:
    """Return a wall time, seconds since 1970, as a float.

    Raises
    ------
    InputError
        If it is not one number.
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"walltime is a number of seconds since 1970, got {value!r:.80}; leave it out") from None


def number_of(value: Any) -> float:
    """Return a number, or an array of any framework that holds one, as a float.

    Raises
    ------
    InputError
        If it is not one real number.
    """
    item = getattr(value, "item", None)
    if item is not None:
        with suppress(TypeError, ValueError, RuntimeError):  # an array with more than one element has its own sentence
            value = item()
    if type(value) not in (int, float, bool):
        array = np.asarray(_parsed(value)) if isinstance(value, str) else as_numpy(value)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise InputError(f"a scalar is one real number, got an array of shape {array.shape}, dtype {array.dtype}")
        value = array.reshape(-1)[0]
    try:
        return float(value)
    except OverflowError:
        return float(np.copysign(np.inf, 1 if value > 0 else -1))


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"a scalar is one real number, got the text {text!r:.80}") from None
