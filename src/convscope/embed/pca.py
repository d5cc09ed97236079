"""Principal components, as a picture and as the step before t-SNE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

Doubles = npt.NDArray[np.float64]

EXACT_BELOW: Final = 5000
"""With fewer rows, or columns up to :data:`EXACT_COLUMNS`, components are exact."""
EXACT_COLUMNS: Final = 1024
_OVERSAMPLES: Final = 10
_POWER_ITERATIONS: Final = 6
_BLOCK_BYTES: Final = 32 << 20


def pca(
    vectors: npt.NDArray[Any], components: int = 2, *, solver: str = "auto", seed: int = 0
) -> tuple[npt.NDArray[np.float32], Doubles]:
    """Project vectors on their first principal components.

    Exact components are an eigendecomposition of the smaller of covariance and Gram matrix, in float64. Randomised ones
    are subspace iterations from a random start [Halko, Martinsson & Tropp 2011, algorithm 4.4]. Signs are fixed by the
    largest loading, so the same vectors give the same picture. Vectors are read in blocks of 32 MiB.

    >>> points, explained = pca(np.random.default_rng(0).normal(size=(100, 8)), 2)
    >>> points.shape, explained.shape
    ((100, 2), (2,))

    Parameters
    ----------
    vectors
        ``(N, D)``, also memory-mapped.
    components
        How many components; at most ``min(N, D)`` are returned.
    solver
        ``exact``, ``randomised``, or ``auto``: exact for fewer than 5,000 rows or at most 1,024 columns.
    seed
        Where the randomised solver starts.

    Returns
    -------
    points
        ``(N, components)``.
    explained
        ``(components,)``: the share of the variance each component holds.

    Raises
    ------
    InputError
        If vectors hold NaN or infinities, or the solver is unknown.
    """
    if solver not in ("auto", "exact", "randomised"):
        raise InputError(f"unknown solver {solver!r} of principal components; use auto, exact or randomised")
    if components < 1:
        raise InputError(f"there is at least 1 principal component to find, not {components}")
    rows = Centred(vectors)
    values, axes = _axes(rows, min(components, *rows.shape), solver, seed)
    points = rows.times(axes)
    points[:, ~_real(values, rows)] = 0
    return points, np.maximum(np.where(_real(values, rows), values, 0), 0) / (rows.total or 1.0)


def pca_axes(vectors: npt.NDArray[Any], components: int, *, solver: str = "auto", seed: int = 0) -> Doubles:
    """Return the axes of the first principal components, ``(D, components)``, of length 1; see :func:`pca`."""
    rows = Centred(vectors)
    return _axes(rows, min(components, *rows.shape), solver, seed)[1]


def _axes(rows: Centred, count: int, solver: str, seed: int) -> tuple[Doubles, Doubles]:
    """Return eigenvalues and axes by the solver."""
    exact = rows.shape[0] < EXACT_BELOW or rows.shape[1] <= EXACT_COLUMNS if solver == "auto" else solver == "exact"
    if not exact:
        values, axes = _randomised(rows, count, seed)
    elif rows.shape[1] <= rows.shape[0]:
        values, axes = _largest(rows.covariance(), count)
    else:
        values, axes = _from_gram(rows, count)
    largest = axes[np.argmax(np.abs(axes), axis=0), np.arange(count)]
    return values, axes * np.where(largest < 0, -1.0, 1.0)


class Centred:
    """Vectors less their mean, read in blocks.

    Attributes
    ----------
    mean, total
        ``(D,)``, and the sum of squares around it.
    """

    def __init__(self, vectors: npt.NDArray[Any]) -> None:
        self._vectors = np.asanyarray(vectors)
        if self._vectors.ndim != 2 or 0 in self._vectors.shape:
            raise InputError(f"a projection is made from vectors (N, D), got shape {self._vectors.shape}")
        self.shape: tuple[int, int] = self._vectors.shape
        self.mean: Doubles = np.zeros(self.shape[1])
        with np.errstate(invalid="ignore", over="ignore"):
            self.mean = sum(block.sum(0) for _, block in self.blocks()) / self.shape[0]
            self.total = float(sum(np.vdot(block, block) for _, block in self.blocks()))
        if not np.isfinite(self.total):
            self._refuse()

    def _refuse(self) -> None:
        self.mean = np.zeros(self.shape[1])
        bad = sum(int((~np.isfinite(block).all(1)).sum()) for _, block in self.blocks())
        if bad:
            raise InputError(f"{bad} of {self.shape[0]} vectors hold NaN or infinite values; leave them out")
        raise InputError("the vectors are too large for float64 squares; scale them down")

    def blocks(self) -> Iterator[tuple[slice, Doubles]]:
        """Give the rows of each block and the centred block in float64."""
        rows = max(1, _BLOCK_BYTES // (8 * self.shape[1]))
        for start in range(0, self.shape[0], rows):
            part = slice(start, min(start + rows, self.shape[0]))
            yield part, self._vectors[part].astype(np.float64) - self.mean

    def stretches(self) -> Iterator[tuple[slice, Doubles]]:
        """Give some columns at a time, of all rows, centred, in float64."""
        columns = max(1, _BLOCK_BYTES // (8 * self.shape[0]))
        for start in range(0, self.shape[1], columns):
            part = slice(start, min(start + columns, self.shape[1]))
            yield part, self._vectors[:, part].astype(np.float64) - self.mean[part]

    def covariance(self) -> Doubles:
        """Return ``XᵀX``, ``(D, D)``."""
        products = (block.T @ block for _, block in self.blocks())
        found: Doubles = sum(products, np.zeros((self.shape[1], self.shape[1])))
        return found

    def covariance_times(self, axes: Doubles) -> Doubles:
        """Return ``XᵀX · axes`` without the covariance."""
        products = (block.T @ (block @ axes) for _, block in self.blocks())
        found: Doubles = sum(products, np.zeros_like(axes))
        return found

    def times(self, axes: Doubles) -> npt.NDArray[np.float32]:
        """Return ``X · axes``, ``(N, components)``."""
        points = np.empty((self.shape[0], axes.shape[1]), np.float32)
        for part, block in self.blocks():
            points[part] = block @ axes
        return points


def _largest(symmetric: Doubles, count: int) -> tuple[Doubles, Doubles]:
    values, axes = np.linalg.eigh(symmetric)
    return values[::-1][:count], axes[:, ::-1][:, :count]


def _real(values: Doubles, rows: Centred) -> npt.NDArray[np.bool_]:
    """Say which components are more than rounding."""
    limit = max(float(values[0]), 0.0) * max(rows.shape) * np.finfo(np.float64).eps
    return np.asarray(values > limit)


def _from_gram(rows: Centred, count: int) -> tuple[Doubles, Doubles]:
    """Return eigenvalues and axes where there are fewer vectors than dimensions; rounding alone makes no axis."""
    products = (block @ block.T for _, block in rows.stretches())
    values, scores = _largest(sum(products, np.zeros((rows.shape[0], rows.shape[0]))), count)
    scores = scores / np.sqrt(np.where(_real(values, rows), values, np.inf))
    axes = np.empty((rows.shape[1], count))
    for part, block in rows.stretches():
        axes[part] = block.T @ scores
    return values, axes


def _randomised(rows: Centred, count: int, seed: int) -> tuple[Doubles, Doubles]:
    """Return eigenvalues and axes from a subspace that is multiplied by the covariance until it holds the largest."""
    wide = min(count + _OVERSAMPLES, *rows.shape)
    space = np.linalg.qr(np.random.default_rng(seed).normal(size=(rows.shape[1], wide)))[0]
    for _ in range(_POWER_ITERATIONS):
        space = np.linalg.qr(rows.covariance_times(space))[0]
    values, turned = _largest(space.T @ rows.covariance_times(space), count)
    return values, space @ turned
