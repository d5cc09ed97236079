"""Nearest neighbours by cosine, and how well a projection keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 1024


def nearest(
    vectors: npt.NDArray[Any], k: int, *, metric: str = "cosine"
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Find the ``k`` nearest other vectors of each vector, exactly.

    >>> index, distance = nearest(np.eye(4, dtype=np.float32), 2)
    >>> index.shape, distance.shape
    ((4, 2), (4, 2))

    Parameters
    ----------
    vectors
        ``(N, D)``.
    k
        How many neighbours; at most ``N - 1`` are returned.
    metric
        ``cosine`` (distance 1 - cosine; a zero vector is at distance 1 of everything) or ``euclidean``.

    Returns
    -------
    index, distance
        ``(N, k)``, nearest first, ties by index. Memory is a block of 1,024 rows, not ``N²``.
    """
    data: npt.NDArray[np.float32] = np.asarray(vectors, np.float32)
    if metric == "cosine":
        norms = np.linalg.norm(data, axis=1, keepdims=True)
        data = (data / np.where(norms > 0, norms, 1)).astype(np.float32)
    k = min(k, len(data) - 1)
    index = np.empty((len(data), k), np.int32)
    distance = np.empty((len(data), k), np.float32)
    squares = (data * data).sum(1)
    for start in range(0, len(data), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(data)))
        products = data[rows] @ data.T
        gaps = 1 - products if metric == "cosine" else squares[rows, None] + squares - 2 * products
        gaps[np.arange(gaps.shape[0]), np.arange(rows.start, rows.stop)] = np.inf
        near = np.argpartition(gaps, k - 1, axis=1)[:, :k] if k else np.empty((gaps.shape[0], 0), np.intp)
        near_gaps = np.take_along_axis(gaps, near, 1)
        order = np.lexsort((near, near_gaps), axis=1)
        index[rows] = np.take_along_axis(near, order, 1)
        distance[rows] = np.maximum(np.take_along_axis(near_gaps, order, 1), 0)
    return index, distance if metric == "cosine" else np.sqrt(distance)


def preservation(
    neighbours: npt.NDArray[np.int32], points: npt.NDArray[Any], labels: npt.NDArray[np.int32] | None = None
) -> dict[str, float]:
    """Score a projection by the neighbourhoods it keeps.

    Parameters
    ----------
    neighbours
        ``(N, k)``: the nearest neighbours among the original vectors.
    points
        ``(N, 2)`` or ``(N, 3)``: where the projection puts them.
    labels
        ``(N,)``, negative for unknown.

    Returns
    -------
    dict
        ``neighbours_kept``: the mean share of the ``k`` nearest vectors that are among the ``k`` nearest points.
        ``label_agreement`` (with labels): the share of points whose label is that of the majority of their ``k``
        nearest points (smallest label at a tie).
    """
    k = neighbours.shape[1]
    if k == 0:
        return {}
    close, _ = nearest(points, k, metric="euclidean")
    kept = float((neighbours[:, :, None] == close[:, None, :]).any(2).mean())
    scores = {"neighbours_kept": kept}
    if labels is not None and (labels >= 0).all():
        votes = np.zeros((len(labels), int(labels.max()) + 1), np.int32)
        np.add.at(votes, (np.arange(len(labels))[:, None], labels[close]), 1)
        scores["label_agreement"] = float((votes.argmax(1) == labels).mean())
    return scores
