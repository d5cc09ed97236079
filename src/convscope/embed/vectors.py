"""What every projection does to vectors first: refuse those that are not finite, scale them, reduce them by PCA."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.pca import pca
from convscope.errors import InputError

METRICS: Final = ("euclidean", "cosine")
_BLOCK: Final = 1 << 22


def check_metric(metric: str) -> None:
    """Refuse a metric that is neither Euclidean nor cosine.

    Raises
    ------
    InputError
        For any other.
    """
    if metric not in METRICS:
        raise InputError(f"unknown metric {metric!r}; use euclidean or cosine")


def refuse_unfinite(vectors: npt.NDArray[Any]) -> None:
    """Refuse vectors that hold NaN or infinities.

    Raises
    ------
    InputError
        With the number of rows that do.
    """
    data = np.asanyarray(vectors)
    if data.ndim != 2 or 0 in data.shape:
        raise InputError(f"a projection is made from vectors (N, D), got shape {data.shape}")
    rows = max(1, _BLOCK // data.shape[1])
    bad = sum(int((~np.isfinite(data[start : start + rows]).all(1)).sum()) for start in range(0, len(data), rows))
    if bad:
        raise InputError(f"{bad} of {len(data)} vectors hold NaN or infinite values; leave them out")


def reduced(vectors: npt.NDArray[Any], metric: str, components: int) -> npt.NDArray[Any]:
    """Return vectors as a projection sees them.

    Parameters
    ----------
    vectors
        ``(N, D)``.
    metric
        For ``cosine`` they are scaled to length 1: their Euclidean distances are then ordered as their cosines are.
    components
        How many principal components to keep; 0 for all dimensions as they are.

    Raises
    ------
    InputError
        For an unknown metric, or vectors that are not finite.
    """
    check_metric(metric)
    if components < 0:
        raise InputError(f"vectors are reduced to at least 1 principal component, 0 for none of that; not {components}")
    refuse_unfinite(vectors)
    data = np.asanyarray(vectors)
    if metric == "cosine":
        data = of_length_one(data)
    return pca(data, components)[0] if components and components < data.shape[1] else data


def of_length_one(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return vectors scaled to length 1 (zero vectors stay)."""
    found = np.empty(vectors.shape, np.float32)
    rows = max(1, _BLOCK // vectors.shape[1])
    for start in range(0, len(vectors), rows):
        block = vectors[start : start + rows].astype(np.float64)
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        found[start : start + rows] = block / np.where(norms > 0, norms, 1)
    return found
