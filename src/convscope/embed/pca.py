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
    if centred.shape[1] <= centred.shape[0]:
        values, axes = np.linalg.eigh(centred.T @ centred)
        values, axes = values[::-1][:count], axes[:, ::-1][:, :count]
    else:
        values, scores = np.linalg.eigh(centred @ centred.T)
        values, scores = values[::-1][:count], scores[:, ::-1][:, :count]
        axes = centred.T @ scores / np.sqrt(np.maximum(values, 1e-300))
    largest = axes[np.argmax(np.abs(axes), axis=0), np.arange(count)]
    axes = axes * np.where(largest < 0, -1.0, 1.0)
    total = float((centred * centred).sum()) or 1.0
    return (centred @ axes).astype(np.float32), np.maximum(values, 0) / total
