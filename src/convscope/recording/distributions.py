"""Arrays: histograms and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.formats.histogram import count
from convscope.formats.values import encode_histogram
from convscope.recording.base import Recorder


class DistributionMethods(Recorder):
    """The methods that log arrays."""

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: str | int | Sequence[float] | npt.NDArray[Any] = "tensorflow",
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
            ``tensorflow`` (or ``auto``): at most 256 bins that grow with the magnitude. Or a number of equal bins, or
            their edges.
        walltime
            Seconds since 1970; now by default.
        """
        counted = count(as_numpy(values), bins)
        self._emit(tag, encode_histogram(counted), global_step, walltime)
