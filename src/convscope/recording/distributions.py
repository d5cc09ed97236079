"""Arrays: histograms and tensors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.formats import wire
from convscope.formats.events import encode_metadata
from convscope.formats.histogram import AUTOMATIC, Distribution, count
from convscope.formats.tensor import encode_strings, encode_tensor
from convscope.formats.values import encode_histogram
from convscope.recording.base import Recorder, number_of

_LARGEST_TENSOR: Final = 1 << 31  # bytes; a message of protobuf is no larger
_HOST: Final = ("cpu", "meta")


class DistributionMethods(Recorder):
    """The methods that log arrays."""

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: str | int | Sequence[float] | npt.NDArray[Any] = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Log the histogram of an array.

        NaN, infinities and zeros are counted apart. An array of torch on a GPU is counted there.

        Parameters
        ----------
        tag
            The histogram's name.
        values
            Numbers of any shape, of any framework; or a :class:`~convscope.formats.histogram.Distribution`, counted
            already, whose bins are kept.
        global_step
            The training step; 0 by default.
        bins
            ``tensorflow`` (or ``auto``, ``default``): at most 255 bins that grow with the magnitude. Or a number of
            equal bins, their edges, or the name of one of numpy's rules (``fd``, ``doane``, ``scott``, ``rice``,
            ``sturges``, ``sqrt``, ``stone``), which makes 4096 at most.
        walltime
            Seconds since 1970; now by default.
        max_bins
            The most bins there may be; neighbours are merged.

        Raises
        ------
        InputError
            If there are no values, they are not real numbers, or the bins make no sense.
        """
        self._emit(tag, encode_histogram(_count(values, bins, max_bins)), global_step, walltime)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,  # noqa: A002 - named as in torch.utils.tensorboard
        max: float,  # noqa: A002
        num: float,
        sum: float,  # noqa: A002
        sum_squares: float,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log a histogram that was counted elsewhere.

        Parameters
        ----------
        tag
            The histogram's name.
        min, max, num, sum, sum_squares
            Of the values: the smallest, the largest, how many, their sum and that of their squares.
        bucket_limits
            The right edge of each bucket, ascending, ``(b,)``.
        bucket_counts
            How many values each has, ``(b,)``.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If the limits do not ascend, or there are not as many counts as limits.
        """
        limits, counts = _buckets(as_numpy(bucket_limits), as_numpy(bucket_counts))
        low, high, number, total, squares = map(number_of, (min, max, num, sum, sum_squares))
        counted = Distribution(low, high, number, total, squares, limits, counts)
        self._emit(tag, encode_histogram(counted), global_step, walltime)

    def add_tensor(self, tag: str, tensor: Any, global_step: int | None = None, walltime: float | None = None) -> None:
        """Log an array as it is, to be read back; nothing draws it.

        Parameters
        ----------
        tag
            The array's name.
        tensor
            Numbers of any shape and dtype, of any framework (bfloat16 becomes float32, which holds all its values); or
            a list of strings or bytes.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If it is no array, or has 2 GiB or more.
        """
        self._emit(tag, wire.chunk(8, _tensor(tensor)) + encode_metadata("tensor"), global_step, walltime)


def _count(values: Any, bins: Any, max_bins: int | None) -> Distribution:
    """Count an array where it is, if that can be done there."""
    if isinstance(values, Distribution):
        return values
    if not isinstance(bins, str | int):
        bins = as_numpy(bins)
    if isinstance(bins, str) and bins in AUTOMATIC and max_bins is None and _is_on_device(values):
        from convscope.nets.histogram import count_on_device

        return count_on_device(values).fetch().distribution()
    return count(as_numpy(values), bins, max_bins)


def _is_on_device(values: Any) -> bool:
    """Tell whether these are floats of torch that would have to be moved to be counted here."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(values, torch.Tensor):
        return False
    return values.device.type not in _HOST and values.is_floating_point() and values.numel() > 0


def _buckets(limits: npt.NDArray[Any], counts: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return limits and counts of buckets as they are stored."""
    for name, values in (("bucket_limits", limits), ("bucket_counts", counts)):
        if values.ndim != 1 or values.dtype.kind not in "biuf" or not len(values):
            raise InputError(f"{name} is a list of numbers, got {values.dtype} of shape {values.shape}")
    if len(limits) != len(counts):
        raise InputError(f"each bucket has a limit and a count, got {len(limits)} limits and {len(counts)} counts")
    limits, counts = limits.astype(np.float64), counts.astype(np.float64)
    if not (np.diff(limits) > 0).all() or np.isnan(limits).any():
        raise InputError(f"bucket_limits ascend, got {limits[:8].tolist()}…; give the right edge of each bucket")
    if not (fine := np.isfinite(counts) & (counts >= 0)).all():
        raise InputError(f"bucket_counts are finite numbers from 0 on, got {counts[~fine][0]}")
    return limits, counts


def _tensor(tensor: Any) -> bytes:
    if isinstance(tensor, str | bytes):
        tensor = [tensor]
    if isinstance(tensor, list | tuple) and tensor and all(isinstance(item, str | bytes) for item in tensor):
        return encode_strings([item.encode() if isinstance(item, str) else item for item in tensor])
    array = as_numpy(tensor)
    if array.nbytes >= _LARGEST_TENSOR:
        raise InputError(f"a tensor of {array.nbytes} bytes has no place in an event file; log less than 2 GiB")
    return encode_tensor(array)
