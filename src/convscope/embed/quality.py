"""How well a projection keeps what the vectors say: figures to stand beside its picture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.neighbours import smallest
from convscope.embed.vectors import of_length_one

NEIGHBOURS: Final = 10
ALL_UP_TO: Final = 20_000
"""Up to so many points all are measured."""
SAMPLE: Final = 1000
"""Of more, so many; each against all others."""
_BLOCK_BYTES: Final = 8 << 20
Doubles = npt.NDArray[np.float64]


def measure(
    vectors: npt.NDArray[Any],
    points: npt.NDArray[Any],
    labels: npt.NDArray[Any] | None = None,
    *,
    k: int = NEIGHBOURS,
    metric: str = "euclidean",
    seed: int = 0,
) -> tuple[dict[str, float], int]:
    """Measure a projection by the neighbourhoods of its points.

    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> measure(x, x)[0]["neighbours_kept"]
    1.0

    Parameters
    ----------
    vectors
        ``(N, D)``.
    points
        ``(N, d)``: where the projection puts them.
    labels
        ``(N,)``, negative for unknown.
    k
        How many neighbours; fewer than half of the points.
    metric
        By which vectors are near; points always are by Euclidean distance.
    seed
        Which points are measured where there are more than 20,000: 1,000 of them.

    Returns
    -------
    scores, count
        The number of points it was measured on, and

        ``neighbours_kept``: the mean share of a point's ``k`` nearest vectors that are among its ``k`` nearest points.
        ``trustworthiness``: 1 less the penalty for points that are near but whose vectors are not [Venna & Kaski
        2001], as scikit-learn defines it.
        ``label_accuracy`` (with labels): the share of labelled points whose label is that of the majority of their
        ``k`` nearest labelled points, without themselves (the smallest label at a tie).
    """
    count = len(points)
    k = min(k, (count - 1) // 2)
    if k < 1:
        return {}, 0
    asked = np.arange(count)
    if count > ALL_UP_TO:
        asked = np.sort(np.random.default_rng(seed).choice(count, SAMPLE, replace=False))
    space = of_length_one(np.asanyarray(vectors)) if metric == "cosine" else np.asanyarray(vectors)
    kind = np.float64 if count <= ALL_UP_TO else np.float32
    high, low = _Distances(space, kind), _Distances(points, kind)
    rows = max(8, _BLOCK_BYTES // (np.dtype(kind).itemsize * count))
    kept = penalty = 0.0
    for start in range(0, len(asked), rows):
        part = asked[start : start + rows]
        same, far = _compared(high.from_rows(part), low.from_rows(part), k)
        kept += same
        penalty += far
    most = len(asked) * k * (2 * count - 3 * k - 1) / 2
    scores = {"neighbours_kept": kept / (len(asked) * k), "trustworthiness": 1 - penalty / most if most > 0 else 1.0}
    if labels is not None and (accuracy := label_accuracy(points, labels, k=k, asked=asked)) is not None:
        scores["label_accuracy"] = accuracy
    return scores, len(asked)


class _Distances:
    """Squared Euclidean distances of rows to all rows, infinite to themselves."""

    def __init__(self, vectors: npt.NDArray[Any], kind: type[np.floating[Any]]) -> None:
        data = np.array(vectors, kind)
        data -= data.mean(0, dtype=np.float64).astype(kind)
        data /= np.abs(data).max() or 1  # whatever the unit, squares are to be numbers
        self._data = data
        self._squares = np.einsum("nd,nd->n", data, data)

    def from_rows(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        gaps = (self._data[rows] * -2) @ self._data.T
        gaps += self._squares
        gaps += self._squares[rows, None]
        gaps[np.arange(len(rows)), rows] = np.inf
        return gaps


def _kth(gaps: npt.NDArray[Any], k: int) -> npt.NDArray[Any]:
    """Return the ``k``-th smallest number of each row, ``(R, 1)``; it lies in one of the ``k`` least groups of 64."""
    groups = gaps.shape[1] // 64
    if groups > 2 * k:
        parts = gaps[:, : groups * 64].reshape(len(gaps), groups, 64)
        minima = np.minimum.reduceat(gaps[:, : groups * 64], np.arange(0, groups * 64, 64), axis=1)
        least = np.argpartition(minima, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(parts, least[:, :, None], axis=1).reshape(len(gaps), -1)
        gaps = np.hstack([near, gaps[:, groups * 64 :]])
    return np.asarray(np.partition(gaps, k - 1, axis=1)[:, k - 1 : k])


def _compared(high: npt.NDArray[Any], low: npt.NDArray[Any], k: int) -> tuple[float, float]:
    """Return how many neighbours are kept, and by how many ranks those that are not lie outside."""
    close, _ = smallest(low.astype(np.float32), k)
    limit = _kth(high, k)
    gaps = np.take_along_axis(high, close, axis=1)
    kept = int((gaps <= limit).sum())
    row, which = np.nonzero(gaps > limit)
    # the rank of a false neighbour: how many vectors are nearer than it
    outside = sum(int(np.count_nonzero(high[r] < gaps[r, w])) + 1 - k for r, w in zip(row, which, strict=True))
    return kept, outside


def label_accuracy(
    points: npt.NDArray[Any], labels: npt.NDArray[Any], *, k: int = NEIGHBOURS, asked: npt.NDArray[Any] | None = None
) -> float | None:
    """Return how often the ``k`` nearest labelled points tell a point's label; ``None`` where no label has two points.

    Parameters
    ----------
    points
        ``(N, d)``.
    labels
        ``(N,)``, negative for unknown: such points neither vote nor count.
    k
        How many vote.
    asked
        Which points to measure; all by default.
    """
    known = np.flatnonzero(np.asarray(labels) >= 0)
    queries = np.arange(len(known)) if asked is None else np.flatnonzero(np.isin(known, asked))
    k = min(k, len(known) - 1)
    if k < 1 or not len(queries):
        return None
    _, classes, members = np.unique(np.asarray(labels)[known], return_inverse=True, return_counts=True)
    if members.max() < 2:
        return None
    distances = _Distances(np.asarray(points)[known], np.float64 if len(known) <= ALL_UP_TO else np.float32)
    rows = max(8, _BLOCK_BYTES // (8 * len(known)))
    right = 0
    for start in range(0, len(queries), rows):
        part = queries[start : start + rows]
        close, _ = smallest(distances.from_rows(part).astype(np.float32), k)
        right += int((_majority(classes[close]) == classes[part]).sum())
    return right / len(queries)


def _majority(votes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the most frequent number of each row, the smallest at a tie."""
    ordered = np.sort(votes, axis=1)
    counts = (ordered[:, :, None] == ordered[:, None, :]).sum(2)
    return np.take_along_axis(ordered, counts.argmax(1)[:, None], axis=1)[:, 0]
