"""What tells some points of an embedding from all others: their channels, their classes, and what lies near them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

_BLOCK: Final = 16_384
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each channel over all points.

    Attributes
    ----------
    count
        ``(C,)``: how many values of a channel are finite; the others are left out.
    mean, std
        ``(C,)``; the deviation is 0, not what rounding makes of it, where all values of a channel are equal.
    shape
        The shape of a point's features, as :func:`moments` was told.
    """

    count: npt.NDArray[np.int64]
    mean: Floats
    std: Floats
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class ChannelEffect:
    """How far a channel tells a selection from the rest.

    Attributes
    ----------
    channel
        Its number.
    mean, rest
        Its mean over the selection, and over all other points.
    effect
        Their difference in standard deviations of all points.
    """

    channel: int
    mean: float
    rest: float
    effect: float


def moments(vectors: npt.NDArray[Any], shape: Sequence[int] = ()) -> Moments:
    """Return mean and deviation of each channel, read block by block.

    >>> moments(np.array([[1.0, 5.0], [3.0, 5.0]])).std
    array([1., 0.])

    Parameters
    ----------
    vectors
        ``(N, D)``; may be mapped from a file.
    shape
        The shape of a point's features, channels first. A channel that has several (a flattened feature map) counts by
        their mean. By default each of the ``D`` features is a channel.
    """
    shape = checked_shape(shape, vectors.shape[1])
    first = _channels(vectors[:1], shape)[0] if len(vectors) else np.zeros(shape[0])
    around = np.where(np.isfinite(first), first, 0)
    count, total, squares = np.zeros(shape[0], np.int64), np.zeros(shape[0]), np.zeros(shape[0])
    for block in _blocks(vectors, np.arange(len(vectors)), shape):
        gaps = block - around
        finite = np.isfinite(gaps)
        gaps[~finite] = 0
        count += finite.sum(0)
        total += gaps.sum(0)
        squares += np.einsum("nc,nc->c", gaps, gaps)
    known = np.maximum(count, 1)
    variance = np.maximum(squares / known - (total / known) ** 2, 0)
    return Moments(count, around + total / known, np.sqrt(variance), shape)


def channel_effects(
    vectors: npt.NDArray[Any], chosen: npt.NDArray[np.integer[Any]], overall: Moments, most: int = 24
) -> list[ChannelEffect]:
    """Return the channels that tell a selection from the rest, the strongest effect first, ties by number.

    >>> x = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0], [2.0, 1.0]])
    >>> [(one.channel, one.effect) for one in channel_effects(x, np.array([2, 3]), moments(x))]
    [(0, 2.0)]

    Parameters
    ----------
    vectors
        ``(N, D)``.
    chosen
        The numbers of the selected points, each once.
    overall
        :func:`moments` of all points.
    most
        How many channels at most. A channel that is the same everywhere, or has no finite value on one of the two
        sides, tells nothing and is not among them.
    """
    total, count = np.zeros(len(overall.mean)), np.zeros(len(overall.mean), np.int64)
    for block in _blocks(vectors, chosen, overall.shape):
        gaps = block - overall.mean
        finite = np.isfinite(gaps)
        total += np.where(finite, gaps, 0).sum(0)
        count += finite.sum(0)
    others = overall.count - count
    tells = (count > 0) & (others > 0) & (overall.std > 0)
    inside = total / np.maximum(count, 1)
    outside = -total / np.maximum(others, 1)  # around the mean of all, the two sides cancel
    effect = np.where(tells, (inside - outside) / np.where(tells, overall.std, 1), 0)
    ranked = np.lexsort((np.arange(len(effect)), -np.abs(effect)))
    return [
        ChannelEffect(int(c), float(overall.mean[c] + inside[c]), float(overall.mean[c] + outside[c]), float(effect[c]))
        for c in ranked[:most]
        if tells[c]
    ]


def label_counts(labels: npt.NDArray[np.integer[Any]], chosen: npt.NDArray[np.integer[Any]]) -> list[tuple[int, int]]:
    """Return the labels of a selection and how many points have them, the most frequent first, ties by label.

    >>> label_counts(np.array([3, 1, 1, -1]), np.array([0, 1, 2]))
    [(1, 2), (3, 1)]
    """
    values, counts = np.unique(labels[chosen], return_counts=True)
    ranked = np.lexsort((values, -counts))
    return [(int(values[i]), int(counts[i])) for i in ranked]


def nearest_outside(
    vectors: npt.NDArray[Any], chosen: npt.NDArray[np.integer[Any]], k: int, *, metric: str = "cosine"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the points that are nearest to the mean of a selection and not in it, and their distances.

    All points are compared, block by block. A point or a mean without a direction is at cosine distance 1; a point
    with a value that is not finite is no neighbour.

    Parameters
    ----------
    vectors
        ``(N, D)``.
    chosen
        The numbers of the selected points; at least one.
    k
        How many; fewer where there are not as many outside.
    metric
        ``cosine`` or ``euclidean``.

    Raises
    ------
    InputError
        For another metric.
    """
    if metric not in ("cosine", "euclidean"):
        raise InputError(f"unknown metric {metric!r}; use cosine or euclidean")
    inside = np.zeros(len(vectors), bool)
    inside[chosen] = True
    mean = _mean(vectors, chosen)
    index, distance = np.zeros(0, np.int64), np.zeros(0, np.float32)
    for start in range(0, len(vectors), _BLOCK):
        gaps = _distances(np.asarray(vectors[start : start + _BLOCK], np.float32), mean, metric)
        gaps[inside[start : start + len(gaps)] | ~np.isfinite(gaps)] = np.inf
        best = np.argsort(gaps, kind="stable")[:k]
        index, distance = np.append(index, start + best), np.append(distance, gaps[best])
        kept = np.argsort(distance, kind="stable")[:k]  # earlier blocks stand first: ties by index
        index, distance = index[kept], distance[kept]
    real = np.isfinite(distance)
    return index[real], distance[real]


def checked_shape(shape: Sequence[int], features: int) -> tuple[int, ...]:
    """Return the shape of a point's features, ``(features,)`` where what is told does not fit.

    >>> checked_shape([8, 7, 7], 392), checked_shape([8, 7, 7], 8), checked_shape((), 3)
    ((8, 7, 7), (8,), (3,))
    """
    fits = len(shape) > 0 and all(n > 0 for n in shape) and math.prod(shape) == features
    return tuple(shape) if fits else (features,)


def _blocks(vectors: npt.NDArray[Any], rows: npt.NDArray[np.integer[Any]], shape: tuple[int, ...]) -> Iterator[Floats]:
    """Yield the channels of some points, some thousand at a time."""
    count = max(_BLOCK * 128 // max(vectors.shape[1], 1), 1)
    for start in range(0, len(rows), count):
        part = rows[start : start + count]
        whole = int(part[-1]) - int(part[0]) == len(part) - 1 and bool((np.diff(part) == 1).all())
        yield _channels(vectors[int(part[0]) : int(part[-1]) + 1] if whole else vectors[part], shape)


def _channels(block: npt.NDArray[Any], shape: tuple[int, ...]) -> Floats:
    found: Floats = block.astype(np.float64)
    return found if len(shape) == 1 else found.reshape(len(block), shape[0], -1).mean(2)


def _mean(vectors: npt.NDArray[Any], chosen: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
    """Return the mean of the selected points, without values that are not finite."""
    total, count = np.zeros(vectors.shape[1]), np.zeros(vectors.shape[1], np.int64)
    for block in _blocks(vectors, chosen, (vectors.shape[1],)):
        finite = np.isfinite(block)
        total += np.where(finite, block, 0).sum(0)
        count += finite.sum(0)
    return (total / np.maximum(count, 1)).astype(np.float32)


def _distances(block: npt.NDArray[np.float32], query: npt.NDArray[np.float32], metric: str) -> npt.NDArray[np.float32]:
    with np.errstate(invalid="ignore", over="ignore"):
        if metric == "euclidean":
            gaps = block - query
            squares: npt.NDArray[np.float32] = np.einsum("nd,nd->n", gaps, gaps)
            return np.sqrt(squares)
        lengths = np.sqrt(np.einsum("nd,nd->n", block, block)) * np.linalg.norm(query)
        cosines = block @ query / np.where(lengths > 0, lengths, 1)
        found: npt.NDArray[np.float32] = np.clip(1 - cosines, 0, 2).astype(np.float32)
        return found
