"""Principal components, as a picture and as the step before t-SNE."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def pca(vectors: npt.NDArray[Any], components: int = 2) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Project vectors on their first principal components.

    The components are exact (an eigendecomposition of the smaller of covariance and Gram matrix, in float64) and their
    signs are fixed by the largest loading, so the same vectors give the same picture.

    >>> points, explained = pca(np.random.default_rng(0).normal(size=(100, 8)), 2)
    >>> points.shape, explained.shape
    ((100, 2), (2,))

    Parameters
    ----------
    vectors
        ``(N, D)``.
    components
        How many components; at most ``min(N, D)`` are returned.

    Returns
    -------
    points
        ``(N, components)``.
    explained
        ``(components,)``: the share of the variance each component holds.
    """
    centred = np.asarray(vectors, np.float64)
    centred = centred - centred.mean(0)
    count = min(components, *centred.shape)
    decompose = _from_covariance if centred.shape[1] <= centred.shape[0] else _from_gram
    points, values, axes = decompose(centred, count)
    largest = axes[np.argmax(np.abs(axes), axis=0), np.arange(count)]
    total = float((centred * centred).sum()) or 1.0
    return (points * np.where(largest < 0, -1.0, 1.0)).astype(np.float32), np.maximum(values, 0) / total


Parts = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _from_covariance(centred: npt.NDArray[np.float64], count: int) -> Parts:
    """Return points, eigenvalues and axes where there are at least as many vectors as dimensions."""
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :count]
    return centred @ axes, values[::-1][:count], axes


def _from_gram(centred: npt.NDArray[np.float64], count: int) -> Parts:
    """Return the same where there are fewer; components that rounding alone made have no axis, and points at 0."""
    values, scores = np.linalg.eigh(centred @ centred.T)
    values, scores = values[::-1][:count], scores[:, ::-1][:, :count]
    real = values > max(values[0], 0) * max(centred.shape) * np.finfo(np.float64).eps
    length = np.sqrt(np.where(real, values, 0))
    axes = centred.T @ scores / np.where(real, length, np.inf)
    return scores * length, np.where(real, values, 0), axes
