"""Many points by way of a few: a sample that is laid out, and the others placed by their neighbours in it."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.neighbours import nearest_of
from convscope.errors import InputError

LAID_OUT: Final = 100_000
"""Up to so many points are laid out all."""
SAMPLE: Final = 25_000
"""Of more, so many."""
_NEIGHBOURS: Final = 5
_ROWS: Final = 512


def stratified_sample(
    count: int, size: int, *, labels: npt.NDArray[Any] | None = None, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Choose points so that every class has its share, and at least one point where there is room for that.

    >>> stratified_sample(8, 4, labels=np.array([0, 0, 0, 0, 0, 0, 0, 1])).size
    4

    Parameters
    ----------
    count, size
        How many points there are, and how many to choose.
    labels
        ``(N,)``: their classes; negative (unknown) is a class of its own.

    Returns
    -------
    numpy.ndarray
        Numbers of points, ascending.
    """
    if not 0 < size <= count:
        raise InputError(f"a sample of {size} out of {count} points is not possible; take 1..{count}")
    rng = np.random.default_rng(seed)
    if labels is None:
        return np.sort(rng.choice(count, size, replace=False)).astype(np.int64)
    _, group, sizes = np.unique(np.maximum(np.asarray(labels), -1), return_inverse=True, return_counts=True)
    shares = _shares(sizes, size)
    shuffled = rng.permutation(count)
    order = shuffled[np.argsort(group[shuffled], kind="stable")]
    rank = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[rank < np.repeat(shares, sizes)]).astype(np.int64)


def _shares(sizes: npt.NDArray[Any], size: int) -> npt.NDArray[np.int64]:
    """Return how many of each class: in proportion, by the largest remainders, each at least once where it goes."""
    least = np.ones(len(sizes), np.int64) if len(sizes) <= size else np.zeros(len(sizes), np.int64)
    exact = sizes / sizes.sum() * size
    shares = np.minimum(np.maximum(exact.astype(np.int64), least), sizes)
    missing = size - int(shares.sum())
    by_need = np.argsort(-(exact - shares), kind="stable")
    while missing > 0:
        open_ = by_need[(shares < sizes)[by_need]][:missing]
        shares[open_] += 1
        missing -= len(open_)
    while missing < 0:
        rich = by_need[::-1][(shares > least)[by_need[::-1]]][:-missing]
        shares[rich] -= 1
        missing += len(rich)
    return np.asarray(shares, np.int64)


class Placement:
    """Where the other points lie: at the mean of their nearest laid-out neighbours, near ones counting more.

    The weights are those of openTSNE's initialisation of ``transform``: the inverse of the distance.

    Parameters
    ----------
    vectors
        ``(N, D)``, as the projection sees them (Euclidean).
    chosen
        Which of them are laid out, ascending.

    Attributes
    ----------
    placed
        ``(N,)``: the points that are placed.
    """

    def __init__(self, vectors: npt.NDArray[Any], chosen: npt.NDArray[np.int64]) -> None:
        self.chosen = chosen
        self.placed = np.ones(len(vectors), bool)
        self.placed[chosen] = False
        self._vectors = vectors
        self._others = np.flatnonzero(self.placed)
        sample = np.asarray(vectors[chosen], np.float64)
        self._zero = sample.mean(0)
        self._unit = float(np.abs(sample - self._zero).max()) or 1.0
        self._sample = self._seen(chosen)
        k = min(_NEIGHBOURS, len(chosen))
        self._near = np.empty((len(self._others), k), np.int32)
        self._weights = np.empty((len(self._others), k), np.float32)
        self._found = 0

    @property
    def done(self) -> bool:
        """Whether all neighbours are found."""
        return self._found == len(self._others)

    @property
    def share(self) -> float:
        """How much of the search for neighbours is done, 0 … 1."""
        return self._found / max(1, len(self._others))

    def advance(self, seconds: float = np.inf) -> None:
        """Search neighbours, exactly, for about so long."""
        end = time.monotonic() + seconds
        while not self.done and time.monotonic() < end:
            part = slice(self._found, min(self._found + 4 * _ROWS, len(self._others)))
            index, distance = nearest_of(self._seen(self._others[part]), self._sample, self._near.shape[1])
            weights = 1 / np.maximum(distance, np.finfo(np.float32).tiny ** 0.5)
            self._near[part], self._weights[part] = index, weights / weights.sum(1, keepdims=True)
            self._found = part.stop

    def _seen(self, points: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return vectors around 0 and near 1 in size: float32 then tells their distances apart."""
        centred: npt.NDArray[np.float64] = self._vectors[points].astype(np.float64) - self._zero
        return (centred / self._unit).astype(np.float32)

    def anywhere(self, dimensions: int = 2) -> npt.NDArray[np.float32]:
        """Return all points at their first dimensions, to be seen while neighbours are not known."""
        first = np.array(self._vectors[:, :dimensions], np.float32)
        return np.pad(first, ((0, 0), (0, dimensions - first.shape[1])))

    def apply(self, layout: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return all points ``(N, d)`` for a layout ``(sample, d)`` of the chosen ones."""
        points = np.empty((len(self.placed), layout.shape[1]), np.float32)
        points[self.chosen] = layout
        at = np.asarray(layout, np.float32)
        for start in range(0, len(self._others), 1 << 16):
            part = slice(start, start + (1 << 16))
            points[self._others[part]] = np.einsum("nk,nkd->nd", self._weights[part], at[self._near[part]])
        return points
