"""Curves: ``add_scalar``, several at once, and handing them out again as JSON."""

from __future__ import annotations

import struct
from time import time as now
from typing import Any

from convscope.recording.base import Recorder, number_of, tag_of


class ScalarMethods(Recorder):
    """The methods that log numbers."""

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
            scalar_value = number_of(scalar_value)
        if global_step is None:
            global_step = self._default_step
        if walltime is None:
            walltime = now() if self._default_time is None else self._default_time
        try:
            if self._log.put(tag, global_step, walltime, scalar_value):
                return
        except (KeyError, TypeError, struct.error):  # a new tag, or something that is not what it should be
            pass
        self._log.put_slowly(tag_of(tag), self._step(global_step), float(walltime), scalar_value)
