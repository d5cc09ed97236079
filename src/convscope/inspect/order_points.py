"""Maps as points: their inner products, distances and correlations, computed once for all orders of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

Floats = npt.NDArray[np.float64]

_BLOCK: Final = 1 << 21
"""Values that are held in float64 at once: the maps themselves stay as they are."""

NOISE: Final = 1e-12
"""Squared lengths below this share of the largest are what rounding left of zero."""


class Points:
    """Maps ``(C, …)`` as C points; what the orders need of them costs one product of C×C.

    >>> points = Points(np.array([[0.0, 0.0], [3.0, 4.0]]))
    >>> points.distances("values")[0, 1], points.means
    (np.float64(5.0), array([0. , 3.5]))

    Raises
    ------
    InputError
        If there is no map, or a value is NaN or infinite.
    """

    def __init__(self, maps: npt.NDArray[Any]) -> None:
        if maps.ndim < 2 or 0 in maps.shape or maps.dtype.kind not in "biuf":
            raise InputError(f"an order is of maps (C, H, W), got {maps.dtype} of shape {maps.shape}")
        if bad := int(np.count_nonzero(~np.isfinite(maps))):
            raise InputError(f"{bad} values of the maps are NaN or infinite; an order needs finite ones")
        self.flat = maps.reshape(len(maps), -1)
        self._held: dict[str, Floats] = {}

    def __len__(self) -> int:
        return len(self.flat)

    @property
    def size(self) -> int:
        """How many values a map has."""
        return self.flat.shape[1]

    @cached_property
    def means(self) -> Floats:
        """Mean of each map, ``(C,)``: its brightness."""
        return np.asarray(self.flat.mean(1, dtype=np.float64))

    def blocks(self, *, own_mean: bool) -> Iterator[Floats]:
        """Yield the maps in float64, some columns at a time; ``own_mean``: without the mean of each map."""
        width = max(1, _BLOCK // len(self.flat))
        for start in range(0, self.size, width):
            block = self.flat[:, start : start + width].astype(np.float64)
            yield block - self.means[:, None] if own_mean else block

    def products(self, compare: str) -> Floats:
        """Return the inner products of the maps, centred over the maps, ``(C, C)``; see :meth:`distances`."""
        if compare not in self._held:
            self._held[compare] = _centred(self.correlation if compare == "shape" else self._products(compare))
        return self._held[compare]

    def distances(self, compare: str = "values") -> Floats:
        """Return the Euclidean distances of the maps, ``(C, C)``.

        Parameters
        ----------
        compare
            ``values``: of the maps as they are. ``shape``: of the maps without their means, scaled to length 1, so that
            only *where* a map is active counts (half its square is 1 − Pearson's correlation).
        """
        return np.sqrt(self.squares(compare))

    def squares(self, compare: str = "values") -> Floats:
        """Return the squares of :meth:`distances`, exactly 0 for maps that are equal up to rounding."""
        if compare not in ("values", "shape"):
            raise InputError(f"maps are compared by 'values' or 'shape', got {compare!r}")
        products = self.products(compare)
        length = np.diag(products)
        found = length[:, None] + length[None, :] - 2 * products
        found[found <= NOISE * max(float(length.max()), 0.0)] = 0
        np.fill_diagonal(found, 0)
        return found

    @cached_property
    def correlation(self) -> Floats:
        """Pearson's correlations of the maps, ``(C, C)``; 0 for those of a constant map."""
        products = self._products("means removed")
        length = np.sqrt(np.diag(products))
        bright = NOISE * (self.means**2 * self.size)
        real = length**2 > bright
        length = np.where(real, length, np.inf)  # a constant map has no shape: it is like no other
        return np.clip(products / length[:, None] / length[None, :], -1, 1)

    def coordinates(self, compare: str = "values") -> Floats | None:
        """Return coordinates with these distances, ``(C, d)``, where maps have at most C values; else ``None``."""
        if self.size > len(self) or compare != "values":
            return None
        found = self.flat.astype(np.float64)
        return np.asarray(found - found.mean(0))

    def _products(self, compare: str) -> Floats:
        found = np.zeros((len(self), len(self)))
        for block in self.blocks(own_mean=compare == "means removed"):
            # Without what all maps have in common distances are the same, and are not lost in it.
            part = block - block.mean(0) if compare == "values" else block
            found += part @ part.T
        return found


def _centred(products: Floats) -> Floats:
    mean: Floats = products.mean(0)
    centred: Floats = products - mean[None, :] - mean[:, None] + mean.mean()
    return centred


def rounded(values: Any, digits: int = 6) -> Any:
    """Return a number or nested lists of numbers for JSON, with so many significant digits."""
    if isinstance(values, np.ndarray | list | tuple):
        return [rounded(value, digits) for value in values]
    return float(f"{float(values):.{digits}g}")


def spearman(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> float | None:
    """Return Spearman's rank correlation, ties with their mean rank; ``None`` where one side is constant.

    >>> spearman(np.array([1, 2, 3]), np.array([9, 4, 1]))
    -1.0
    """
    a, b = (_ranks(values) for values in (left, right))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return None if scale == 0 else round(float(a @ b) / scale, 12)


def _ranks(values: npt.NDArray[Any]) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place.reshape(-1)], np.float64)
