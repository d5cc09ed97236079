"""Nearest neighbours by cosine or Euclidean distance: of all vectors at once, and of one that was clicked."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.pca import Centred, pca_axes
from convscope.embed.vectors import check_metric, refuse_unfinite
from convscope.errors import InputError

Near = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

BUDGET: Final = 640 << 20
"""Bytes an index may keep in memory: a million vectors of 128 dimensions fit in whole."""
_BLOCK: Final = 1 << 21
_CANDIDATES: Final = 100_000
_SHORTLIST: Final = 2000
_BLOCK_BYTES: Final = 8 << 20  # what a processor's cache holds, and malloc gives back without new pages
_FEWEST_ROWS: Final = 32
_GROUP: Final = 64


def nearest(vectors: npt.NDArray[Any], k: int, *, metric: str = "cosine") -> Near:
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
        ``(N, k)``, nearest first, ties by index. Equal vectors are at exactly equal distances. Memory is a block of
        8 MiB (at least 32 rows), not ``N²``.
    """
    check_metric(metric)
    data, unit = _prepared(np.asarray(vectors), metric)
    k = min(k, len(data) - 1)
    index = np.empty((len(data), k), np.int32)
    distance = np.empty((len(data), k), np.float32)
    if not k:
        return index, distance
    distinct, copies = _distinct(data)
    squares = (distinct * distinct).sum(1)
    rows = _rows(len(data))
    for start in range(0, len(data), rows):
        part = np.arange(start, min(start + rows, len(data)))
        gaps = data[part] @ distinct.T
        if metric == "cosine":
            np.subtract(1, gaps, out=gaps)
        else:
            gaps *= -2
            gaps += squares[copies[part], None]
            gaps += squares
        gaps = np.take(gaps, copies, axis=1) if len(distinct) < len(data) else gaps
        gaps[np.arange(len(part)), part] = np.inf
        index[part], distance[part] = smallest(gaps, k)
    return index, distance if metric == "cosine" else np.sqrt(distance) * np.float32(unit)


def nearest_of(queries: npt.NDArray[Any], vectors: npt.NDArray[Any], k: int) -> Near:
    """Find the ``k`` nearest vectors of each query by Euclidean distance, exactly; ``(Q, k)`` each.

    Both are to lie around 0: distances are computed in float32.
    """
    base = np.asarray(vectors, np.float32)
    ones = np.ones((len(base), 1), np.float32)
    turned = np.ascontiguousarray(np.hstack([base, np.einsum("nd,nd->n", base, base)[:, None], ones]).T)
    index = np.empty((len(queries), k), np.int32)
    distance = np.empty((len(queries), k), np.float32)
    rows = _rows(len(base))
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        asked = np.asarray(queries[part], np.float32)
        squares = np.einsum("nd,nd->n", asked, asked)[:, None]
        gaps = np.hstack([asked * -2, np.ones_like(squares), squares]) @ turned
        index[part], distance[part] = smallest(gaps, k)
    return index, np.sqrt(distance)


def _rows(count: int) -> int:
    return max(_FEWEST_ROWS, _BLOCK_BYTES // (4 * count))


def _unit(spread: float) -> float:
    """Return a power of two near to how large numbers are: whatever they count, their squares are then numbers."""
    return 2.0 ** int(np.frexp(spread)[1]) if 0 < spread < np.inf else 1.0


def _prepared(vectors: npt.NDArray[Any], metric: str) -> tuple[npt.NDArray[np.float32], float]:
    """Return vectors as float32, of length 1 for cosine, around their mean for Euclidean distances; and their unit."""
    data: npt.NDArray[np.float64] = vectors.astype(np.float64)
    unit = 1.0
    if metric == "cosine":
        norms = np.linalg.norm(data, axis=1, keepdims=True)
        data /= np.where(norms > 0, norms, 1)
    else:
        data -= data.mean(0)
        unit = _unit(float(np.abs(data).max(initial=0)))
        data /= unit
    return data.astype(np.float32) + np.float32(0), unit  # no negative zeros: equal vectors have equal bytes


def _distinct(data: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Return the distinct rows, and which of them each row is.

    A matrix product gives equal rows other last bits at other places, so that a distance is computed once for all.
    """
    as_bytes = np.ascontiguousarray(data).view(np.dtype((np.void, data.shape[1] * data.itemsize))).ravel()
    _, first, copies = np.unique(as_bytes, return_index=True, return_inverse=True)
    return (data[first], copies) if len(first) < len(data) else (data, np.arange(len(data)))


def smallest(gaps: npt.NDArray[np.float32], k: int) -> Near:
    """Return where the ``k`` smallest numbers of each row are and what they are, ties by index; none counts below 0.

    Of long rows only the ``k`` groups of 64 with the smallest minima are looked at: whatever is among the ``k``
    smallest lies in one of them, since each of these groups has a number that comes before those of all other groups.
    """
    groups = gaps.shape[1] // _GROUP
    if groups <= 2 * k:
        return _split(_least(_keys(gaps, np.arange(gaps.shape[1])), k))
    whole = groups * _GROUP
    minima = np.minimum.reduceat(gaps[:, :whole], np.arange(0, whole, _GROUP), axis=1)
    chosen = _split(_least(_keys(minima, np.arange(groups)), k))[0].astype(np.int64)
    columns = (chosen[:, :, None] * _GROUP + np.arange(_GROUP)).reshape(len(gaps), -1)
    rest = np.broadcast_to(np.arange(whole, gaps.shape[1]), (len(gaps), gaps.shape[1] - whole))
    columns = np.concatenate([columns, rest], axis=1)
    return _split(_least(_keys(np.take_along_axis(gaps, columns, axis=1), columns), k))


def _keys(gaps: npt.NDArray[np.float32], columns: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Return numbers ordered like the gaps, then like the columns.

    The bits of floats that are not negative are ordered like the floats; with the column behind them no two are equal.
    """
    keys = np.maximum(gaps, np.float32(0)).view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= columns.astype(np.uint64)
    return keys


def _least(keys: npt.NDArray[np.uint64], k: int) -> npt.NDArray[np.uint64]:
    return np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1)


def _split(keys: npt.NDArray[np.uint64]) -> Near:
    gaps = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int32), gaps


class Index:
    """The neighbours of any vector, by one pass over all of them and exact distances of those that come near.

    >>> index = Index(np.eye(4, dtype=np.float32), "euclidean")
    >>> index.nearest(0, 2)[0].tolist(), index.nearest(np.array([0, 0, 2.0, 0]), 1)[0].tolist()
    ([1, 2], [2])

    Vectors that fit into ``budget`` as float32 are all compared: the answer is exact. Of others as many principal
    components as fit are compared, the 2,000 nearest by these then exactly. Once made, an index is not changed, so any
    number of threads may ask it.

    Parameters
    ----------
    vectors
        ``(N, D)``, float16 or float32, also memory-mapped; they are read again for the exact distances.
    metric
        ``cosine`` or ``euclidean``.
    budget
        Bytes to keep in memory.

    Attributes
    ----------
    exact
        Whether all dimensions are compared.
    """

    def __init__(self, vectors: npt.NDArray[Any], metric: str = "cosine", *, budget: int = BUDGET) -> None:
        check_metric(metric)
        refuse_unfinite(vectors)
        self.metric = metric
        self._vectors = np.asanyarray(vectors)
        count, width = self._vectors.shape
        kept = min(width, max(1, budget // (4 * count)))
        self.exact = kept == width
        self._zero = np.zeros(width)
        self._unit = 1.0
        if metric == "euclidean":
            centred = Centred(self._vectors)
            self._zero, self._unit = centred.mean, _unit((centred.total / count) ** 0.5)
        self._axes = None if self.exact else pca_axes(self._vectors, kept)
        self._coarse = np.empty((count, kept), np.float32)
        self._squares = np.empty(count, np.float32)
        rows = max(1, _BLOCK // width)
        for start in range(0, count, rows):
            part = slice(start, start + rows)
            block = self._prepared(self._vectors[part])
            self._coarse[part] = block if self._axes is None else block @ self._axes
            # a zero vector has the cosine 0 with all others, as if it had a length and stood upright on them
            self._squares[part] = 1 if metric == "cosine" else np.einsum("nd,nd->n", block, block)

    def __len__(self) -> int:
        return len(self._vectors)

    def _prepared(self, block: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return vectors whose Euclidean distances are ordered as the metric orders them."""
        data: npt.NDArray[np.float64] = (block.astype(np.float64) - self._zero) / self._unit
        if self.metric == "cosine":
            norms = np.sqrt(np.einsum("nd,nd->n", data, data))[:, None]
            data /= np.where(norms > 0, norms, 1)
        return data

    def nearest(self, query: Any, k: int = 10) -> Near:
        """Find the ``k`` nearest vectors.

        Parameters
        ----------
        query
            The number of a point, several numbers (integers: the mean of these points is asked for), or a vector
            ``(D,)`` of floating point numbers. Points that are asked for are not among the answers.
        k
            How many; fewer where there are not so many others.

        Returns
        -------
        index, distance
            ``(k,)`` each, nearest first, ties by index; 1 - cosine, or the Euclidean distance.

        Raises
        ------
        InputError
            If there is no such point, or the vector does not fit.
        """
        own, vector = self._asked(query)
        k = min(k, len(self) - len(own))
        if k < 1:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        target = self._prepared(vector[None])[0]
        candidates = self._candidates(target, own, k)
        distance = self._distances(candidates, target)
        order = np.lexsort((candidates, distance))[:k]
        return candidates[order].astype(np.int32), distance[order].astype(np.float32)

    def _asked(self, query: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        asked = np.asarray(query)
        if asked.dtype.kind in "iu" and asked.ndim < 2 and asked.size:
            own = np.unique(np.atleast_1d(asked)).astype(np.int64)
            if own[0] < 0 or own[-1] >= len(self):
                wrong = own[0] if own[0] < 0 else own[-1]
                raise InputError(f"there is no point {wrong}; points are 0..{len(self) - 1}")
            parts = (self._vectors[own[i : i + 8192]].sum(0, dtype=np.float64) for i in range(0, len(own), 8192))
            return own, sum(parts, np.zeros(self._vectors.shape[1])) / len(own)
        if asked.shape != self._vectors.shape[1:] or asked.dtype.kind != "f" or not np.isfinite(asked).all():
            wanted = f"a finite vector of {self._vectors.shape[1]} floating point numbers"
            raise InputError(f"neighbours are those of a point's number or of {wanted}, got shape {asked.shape}")
        return np.empty(0, np.int64), asked.astype(np.float64)

    def _candidates(self, target: npt.NDArray[np.float64], own: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
        """Return all that may be among the ``k`` nearest, as far as float32 and the components kept can say."""
        seen = (target if self._axes is None else target @ self._axes).astype(np.float32)
        gaps = self._coarse @ (seen * -2)
        gaps += self._squares
        gaps += np.float32(target @ target)
        gaps[own] = np.inf
        count = min(k if self.exact else max(k, _SHORTLIST), len(self) - len(own))
        near, found = smallest(gaps[None], count)
        if not self.exact:
            return np.asarray(near[0], np.int64)
        slack = 1e-5 * (float(found[0, -1]) + float(target @ target))
        return np.asarray(np.flatnonzero(gaps <= found[0, -1] + slack)[:_CANDIDATES], np.int64)

    def _distances(self, points: npt.NDArray[np.int64], target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        parts = []
        for start in range(0, len(points), 8192):
            block = self._prepared(self._vectors[points[start : start + 8192]])
            if self.metric == "cosine":
                parts.append(np.maximum(1 - (block * target).sum(1), 0))
            else:
                parts.append(np.sqrt(((block - target) ** 2).sum(1)) * self._unit)
        return np.concatenate(parts)
