"""k-means of maps, and the silhouette that judges it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.order_points import Floats

MOST: Final = 10
"""The largest number of clusters that is tried where none is given."""

RESTARTS: Final = 6
ROUNDS: Final = 100

Labels = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Clusters:
    """A partition of maps.

    Attributes
    ----------
    label
        ``(C,)``: the cluster of each map, 0..k−1; none is empty.
    inertia
        Sum of the squared distances of the maps to the centres of their clusters.
    to_centre
        ``(C,)``: the squared distance of each map to its centre.
    silhouette
        ``(C,)``: of each map, -1..1 (Rousseeuw 1987); 0 for a cluster of one, NaN where there is one cluster only.
    tried
        Mean silhouette of each number of clusters that was tried, ``{k: silhouette}``; empty where k was given.
    """

    label: Labels
    inertia: float
    to_centre: Floats
    silhouette: Floats
    tried: dict[int, float]

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return int(self.label.max()) + 1


class Space:
    """Where maps lie, so that distances to centres can be told: by their coordinates or by their distances alone.

    The squared distance to the centre of a cluster is the mean squared distance to its members, less half the mean
    squared distance between these: so maps of more values than there are maps need no coordinates.
    """

    def __init__(self, squares: Floats, coordinates: Floats | None = None) -> None:
        self.squares = squares
        self.distances = np.sqrt(squares)
        self._coordinates = coordinates
        self._length = None if coordinates is None else (coordinates**2).sum(1)

    def __len__(self) -> int:
        return len(self.squares)

    def to_centres(self, label: Labels, k: int) -> Floats:
        """Return squared distances of every map to the k centres of partitions ``(R, C)``, ``(R, C, k)``.

        They are infinite to the centre of a cluster that has no map.
        """
        restarts, count = label.shape
        member = np.zeros((count, restarts, k))
        np.put_along_axis(member, label.T[..., None], 1, axis=2)
        size = member.sum(0)
        share = (member / np.maximum(size, 1)).reshape(count, -1)
        if self._coordinates is None or self._length is None:
            mean = self.squares @ share
            found = mean - np.einsum("cn,cn->n", mean, share) / 2
        else:
            centres = self._coordinates.T @ share
            found = self._length[:, None] - 2 * (self._coordinates @ centres) + (centres**2).sum(0)
        found = np.maximum(found, 0).reshape(count, restarts, k)
        return np.where(size > 0, found, np.inf).transpose(1, 0, 2)


def kmeans(space: Space, k: int | None = None, *, seed: int = 0) -> Clusters:
    """Return the best of some k-means++ starts (Arthur and Vassilvitskii 2007, greedy) with Lloyd's rounds.

    Parameters
    ----------
    space
        Where the maps lie.
    k
        How many clusters; ``None`` for that of 2..10 with the largest mean silhouette. Equal maps are never in two
        clusters, so there are at most as many clusters as different maps.
    seed
        Of the k-means++ starts.

    Raises
    ------
    InputError
        If ``k`` is below 1 or above the number of maps.
    """
    count = len(space)
    if k is not None and not 1 <= k <= count:
        raise InputError(f"{count} maps can be put into 1..{count} clusters, got k = {k}")
    if k is not None:
        return _judged(space, _partition(space, k, seed))
    found: list[Clusters] = []
    for wanted in range(2, min(MOST, count - 1) + 1):
        clusters = _judged(space, _partition(space, wanted, seed))
        if clusters.count < wanted:  # there are no more different maps
            break
        found.append(clusters)
    if not found:
        return _judged(space, _partition(space, min(2, count), seed))
    tried = {one.count: float(one.silhouette.mean()) for one in found}
    return replace(max(found, key=lambda one: tried[one.count]), tried=tried)


def silhouettes(distances: Floats, label: Labels) -> Floats:
    """Return the silhouette of each map, ``(C,)``: (b − a) / max(a, b).

    *a* is its mean distance to the others of its cluster, *b* the least of those to another one.
    """
    count = int(label.max()) + 1
    if count < 2:
        return np.full(len(label), np.nan)
    member = np.eye(count)[label]
    size = member.sum(0)
    total = distances @ member
    own = np.arange(len(label)), label
    inside = total[own] / np.maximum(size[label] - 1, 1)
    outside = total / size
    outside[own] = np.inf
    nearest = outside.min(1)
    largest = np.maximum(inside, nearest)
    value = np.where(largest > 0, (nearest - inside) / np.where(largest > 0, largest, 1), 0)
    return np.asarray(np.where(size[label] > 1, value, 0))


def _judged(space: Space, label: Labels) -> Clusters:
    to_centre = space.to_centres(label[None], int(label.max()) + 1)[0][np.arange(len(label)), label]
    return Clusters(label, float(to_centre.sum()), to_centre, silhouettes(space.distances, label), {})


def _partition(space: Space, k: int, seed: int) -> Labels:
    """Run the restarts side by side and return the labels of the best, numbered without gaps."""
    rng = np.random.default_rng(seed)
    label = np.stack([_start(space.squares, k, rng) for _ in range(RESTARTS)])
    moving = np.arange(RESTARTS)
    for _ in range(ROUNDS):
        to_centre = space.to_centres(label[moving], k)
        after = _nearest(label[moving], to_centre)
        for one, distance in zip(after, to_centre, strict=True):
            _fill_empty(one, distance, k)
        moved = (after != label[moving]).any(1)
        label[moving] = after
        moving = moving[moved]
        if not len(moving):
            break
    own = np.take_along_axis(space.to_centres(label, k), label[..., None], 2)[..., 0]
    numbered: Labels = np.unique(label[own.sum(1).argmin()], return_inverse=True)[1].reshape(-1)
    return numbered


def _nearest(label: Labels, to_centre: Floats) -> Labels:
    """Return the nearest cluster of each map: its own where that is as near, so that ties cannot go round for ever."""
    own = np.take_along_axis(to_centre, label[..., None], 2)[..., 0]
    return np.where(own <= to_centre.min(2) * (1 + 1e-12), label, to_centre.argmin(2))


def _start(squares: Floats, k: int, rng: np.random.Generator) -> Labels:
    """Choose centres among the maps, of some candidates each time the one that leaves the least (greedy k-means++)."""
    centres = [int(rng.integers(len(squares)))]
    nearest = squares[centres[0]].copy()
    while len(centres) < k and nearest.sum() > 0:
        chances = np.cumsum(nearest)
        places = np.searchsorted(chances, rng.random(2 + int(np.log(k))) * chances[-1], side="right")
        tried = np.minimum(places, len(squares) - 1)
        left = np.minimum(nearest, squares[tried])
        best = int(left.sum(1).argmin())
        centres.append(int(tried[best]))
        nearest = left[best]
    return np.asarray(squares[centres].argmin(0), np.intp)


def _fill_empty(label: Labels, to_centre: Floats, k: int) -> None:
    """Give a cluster that lost its last map the one that lies farthest from its centre, in place."""
    size = np.bincount(label, minlength=k)
    own = to_centre[np.arange(len(label)), label].copy()
    for empty in np.flatnonzero(size == 0):
        own[size[label] < 2] = 0
        far = int(own.argmax())
        if own[far] <= 0:  # all maps lie on their centres
            return
        size[label[far]] -= 1
        label[far], own[far] = empty, 0
        size[empty] = 1
