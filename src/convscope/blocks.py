"""Arrays that are made a stretch of rows at a time, so that what lies in files need never be whole in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt


class Blocks:
    """An array that is made when it is asked for, a stretch of rows at a time; anything else takes it as an array.

    >>> halves = Blocks((4, 2), np.float16, lambda start, stop: np.ones((stop - start, 2)))
    >>> halves[1:3].dtype, np.asarray(halves).shape
    (dtype('float16'), (4, 2))

    Parameters
    ----------
    shape, dtype
        What it is.
    make
        From a first and a last row, which is not among them, to these rows.
    """

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike, make: Callable[[int, int], Any]) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._make = make

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes it would have."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        """Return some rows."""
        if isinstance(rows, slice) and rows.step in (None, 1):
            start, stop, _ = rows.indices(len(self))
            return np.asarray(self._make(start, max(start, stop)), self.dtype)
        return np.asarray(np.asarray(self)[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all of it."""
        if copy is False:
            raise ValueError("an array that is made block by block cannot be had without a copy")
        return np.asarray(self[:], dtype)
