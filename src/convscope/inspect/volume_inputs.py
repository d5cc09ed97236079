"""What a filter's inputs become where weights or their gradients are a volume: one plane a filter, or all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError


def planes(array: npt.NDArray[Any], inputs: str | int) -> npt.NDArray[Any]:
    """Return ``(C, I, H, W)`` as a volume.

    >>> planes(np.ones((96, 3, 11, 11)), "sum").shape, planes(np.ones((96, 3, 11, 11)), "stack").shape
    ((96, 11, 11), (288, 11, 11))

    Parameters
    ----------
    array
        ``(C, I, H, W)``.
    inputs
        ``sum`` or L2 ``norm`` over the inputs, in float64; ``stack`` for all planes, those of a filter beside
        each other; or the number of one input.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if inputs == "sum":
        return np.asarray(array.sum(axis=1, dtype=np.float64))
    if inputs == "norm":
        return np.asarray(np.sqrt(np.square(array.astype(np.float64)).sum(axis=1)))
    if inputs == "stack":
        return array.reshape(-1, *array.shape[2:])
    count = array.shape[1]
    if isinstance(inputs, int) and not isinstance(inputs, bool) and 0 <= inputs < count:
        return array[:, inputs]
    ways = f"their 'sum', their 'norm', a 'stack' or one of 0..{count - 1}"
    raise InputError(f"the inputs of a filter become {ways}, got {inputs!r}")
