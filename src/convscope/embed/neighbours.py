"""Nearest neighbours by cosine, and how well a projection keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 512


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
        ``(N, k)``, nearest first, ties by index. Equal vectors are at exactly equal
        distances. Memory is a block of 512 rows, not ``N²``.
    """
    data = _prepared(np.asarray(vectors), metric)
    k = min(k, len(data) - 1)
    index = np.empty((len(data), k), np.int32)
    distance = np.empty((len(data), k), np.float32)
    if not k:
        return index, distance
    distinct, copies = _distinct(data)
    squares = (distinct * distinct).sum(1)
    for start in range(0, len(data), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(data)))
        products = data[rows] @ distinct.T
        own = squares[copies[rows], None]
        gaps = 1 - products if metric == "cosine" else own + squares - 2 * products
        gaps = np.take(gaps, copies, axis=1) if len(distinct) < len(data) else gaps
        gaps[np.arange(len(rows)), rows] = np.inf
        index[rows], distance[rows] = _smallest(gaps, k)
    return index, distance if metric == "cosine" else np.sqrt(distance)


def _prepared(vectors: npt.NDArray[Any], metric: str) -> npt.NDArray[np.float32]:
    """Return vectors as float32: of length 1 for cosine, around their mean for Euclidean distances."""
    data: npt.NDArray[np.float64] = vectors.astype(np.float64)
    if metric == "cosine":
        norms = np.linalg.norm(data, axis=1, keepdims=True)
        data /= np.where(norms > 0, norms, 1)
    else:
        data -= data.mean(0)
    return data.astype(np.float32) + np.float32(0)  # no negative zeros: equal vectors have equal bytes


def _distinct(data: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Return the distinct rows, and which of them each row is.

    A matrix product gives equal rows other last bits at other places, so that a distance is computed once for all.
    """
    as_bytes = np.ascontiguousarray(data).view(np.dtype((np.void, data.shape[1] * data.itemsize))).ravel()
    _, first, copies = np.unique(as_bytes, return_index=True, return_inverse=True)
    return (data[first], copies) if len(first) < len(data) else (data, np.arange(len(data)))


def _smallest(gaps: npt.NDArray[np.float32], k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return where the k smallest of each row are and what they are, ties by index.

    The bits of floats that are not negative are ordered like the floats; with the index behind them no two are equal.
    """
    keys = np.maximum(gaps, np.float32(0)).view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(gaps.shape[1], dtype=np.uint64)
    near = np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1)
    return (near & np.uint64(0xFFFFFFFF)).astype(np.int32), (near >> np.uint64(32)).astype(np.uint32).view(np.float32)


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
