"""One layout laid over another: rotation, reflection and scale of a Procrustes fit, and layouts over training steps.

Projections of successive epochs are comparable only where each starts from the one before and is turned back onto it:
t-SNE begun anew each time puts the same classes at other places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

if TYPE_CHECKING:
    from convscope.embed.embedding import Embedding
    from convscope.embed.projection import Projection

Points = npt.NDArray[np.floating[Any]]
_LEAST: Final = 3
"""Fewer common points say nothing of how a layout is turned."""
_NEAREST: Final = 5
"""A picture that comes new starts between so many of its neighbours."""


@dataclass(frozen=True)
class Alignment:
    """How one layout is laid over another: ``scale * (points - source) @ rotation + target``.

    Attributes
    ----------
    rotation
        ``(d, d)``, orthogonal; a reflection where its determinant is negative.
    scale
        One factor for all directions.
    source, target
        ``(d,)``: the centres of both.
    distance
        The Procrustes distance: the sum of squared distances that are left when both layouts are centred and brought to
        a sum of squares of 1. It is 0 for layouts of one shape, and near 1 for unrelated ones.
    """

    rotation: npt.NDArray[np.float64]
    scale: float
    source: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    distance: float

    def apply(self, points: Points) -> npt.NDArray[np.float32]:
        """Return points of the source ``(M, d)`` where the target has them."""
        moved = self.scale * (np.asarray(points, np.float64) - self.source) @ self.rotation + self.target
        return moved.astype(np.float32)


def procrustes(
    points: Points,
    target: Points,
    *,
    index: npt.NDArray[Any] | None = None,
    target_index: npt.NDArray[Any] | None = None,
    scale: bool = True,
    reflection: bool = True,
) -> Alignment:
    """Find the turn, the reflection and the scale that lay one layout over another (Schönemann 1966; Gower 1975).

    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    >>> round(procrustes(2 * square[:, ::-1] + 5, square).distance, 6)
    0.0

    Parameters
    ----------
    points, target
        ``(N, d)`` and ``(M, d)``; of the same size, unless there are indices.
    index, target_index
        ``(N,)`` and ``(M,)``: what each point is. Points with the same index are laid over each other, those that only
        one layout has do not count.
    scale
        Whether the layout may grow or shrink.
    reflection
        Whether it may be mirrored.

    Raises
    ------
    InputError
        If the layouts have not the same dimensions, or fewer than 3 points in common.
    """
    ours, theirs = _common(np.asarray(points, np.float64), np.asarray(target, np.float64), index, target_index)
    source_centre, target_centre = ours.mean(0), theirs.mean(0)
    ours, theirs = ours - source_centre, theirs - target_centre
    squares, target_squares = float((ours * ours).sum()), float((theirs * theirs).sum())
    left, strengths, right = np.linalg.svd(ours.T @ theirs)
    if not reflection and np.linalg.det(left @ right) < 0:
        left[:, -1] *= -1
        strengths[-1] *= -1
    flat = squares == 0 or target_squares == 0  # all points at one place: nothing to turn
    fitted = 0.0 if flat else float(strengths.sum()) / np.sqrt(squares * target_squares)
    factor = float(strengths.sum()) / squares if scale and not flat else 1.0
    rotation = np.eye(ours.shape[1]) if flat else left @ right
    same = squares == target_squares == 0
    return Alignment(rotation, factor, source_centre, target_centre, 0.0 if same else max(0.0, 1 - fitted**2))


def _common(
    points: npt.NDArray[np.float64],
    target: npt.NDArray[np.float64],
    index: npt.NDArray[Any] | None,
    target_index: npt.NDArray[Any] | None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the points that both layouts have, in one order."""
    if points.ndim != 2 or target.ndim != 2 or points.shape[1] != target.shape[1]:
        raise InputError(f"layouts of the same dimensions can be laid over each other, got {points.shape} and "
                         f"{target.shape}")  # fmt: skip
    if (index is None) != (target_index is None):
        raise InputError("indices say what is the same in two layouts; give those of both, or none")
    if index is None or target_index is None:
        if len(points) != len(target):
            raise InputError(
                f"{len(points)} points and {len(target)} cannot be laid over each other; say with index and "
                "target_index which are the same"
            )
    elif not np.array_equal(index, target_index):
        _, ours, theirs = np.intersect1d(index, target_index, return_indices=True)
        points, target = points[ours], target[theirs]
    if len(points) < _LEAST:
        raise InputError(f"the layouts have {len(points)} points in common; it takes {_LEAST} to lay them over "
                         "each other")  # fmt: skip
    return points, target


@dataclass(frozen=True)
class Timeline:
    """Projections of one layer at several steps, each laid over the one before.

    Attributes
    ----------
    projections
        One a step.
    distances
        ``(steps - 1,)``: the Procrustes distance of each to the one before (:class:`Alignment`).
    """

    projections: tuple[Projection, ...]
    distances: npt.NDArray[np.float64]

    @property
    def mean_distance(self) -> float:
        """The mean Procrustes distance between successive steps; 0 for a single one."""
        return float(self.distances.mean()) if len(self.distances) else 0.0


def timeline(
    embeddings: Sequence[Embedding],
    method: str = "tsne",
    *,
    before: tuple[Embedding, Projection] | None = None,
    each: Callable[[int, Projection], None] | None = None,
    **parameters: Any,
) -> Timeline:
    """Project the embeddings of successive steps so that they can be played.

    The first t-SNE starts from PCA. Each next one starts from the layout before, without exaggeration, so that what the
    network has not moved stays where it is. Then every layout is turned, mirrored and shifted, but not scaled, onto the
    one before. A picture that was not there before starts among its nearest neighbours.

    >>> steps = [Embedding(random.normal(size=(200, 16))) for _ in range(5)]     # doctest: +SKIP
    >>> timeline(steps, "tsne", seed=0).mean_distance                            # doctest: +SKIP
    0.31

    Parameters
    ----------
    embeddings
        One a step, of the same pictures, or of some of them (matched by ``index``).
    method
        ``tsne``, ``pca`` or another of :data:`convscope.embed.PROJECTIONS`.
    before
        What the first one follows, where it is not the first of all.
    each
        Called with (number, projection) when one is done.
    **parameters
        Those of the method: ``dimensions``, ``seed``, ``perplexity``, …

    Raises
    ------
    InputError
        If two successive embeddings have fewer than 3 pictures in common, or the method's parameters make no sense.
    """
    projections: list[Projection] = []
    distances: list[float] = []
    last = before
    for number, embedding in enumerate(embeddings):
        follows = None if last is None else Follower(embedding, *last)
        start = {} if follows is None else follows.start(method)
        found = embedding.project(method, **parameters, **start)
        if follows is not None:
            found = replace(found, points=follows.place(found.points), parameters={**found.parameters, "aligned": True})
            distances.append(follows.distance(found.points))
        if each:
            each(number, found)
        projections.append(found)
        last = embedding, found
    return Timeline(tuple(projections), np.array(distances))


class Follower:
    """An embedding whose projection follows that of an earlier step.

    Parameters
    ----------
    embedding
        What is to be projected.
    earlier, layout
        The embedding of the step before, and its projection.

    Raises
    ------
    InputError
        If both have fewer than 3 pictures in common.
    """

    def __init__(self, embedding: Embedding, earlier: Embedding, layout: Projection) -> None:
        self._embedding = embedding
        self._earlier = earlier
        self._layout = np.asarray(layout.points, np.float32)
        self._same = np.array_equal(embedding.index, earlier.index)
        common = len(embedding) if self._same else len(np.intersect1d(embedding.index, earlier.index))
        if common < _LEAST:
            raise InputError(
                f"two successive steps have {common} pictures in common, and a timeline takes {_LEAST}; log the same "
                "pictures at every step"
            )

    def start(self, method: str) -> dict[str, Any]:
        """Return what the method is to start from: t-SNE from where the pictures were."""
        return {"start": self._carried()} if method == "tsne" else {}

    def place(self, points: Points) -> npt.NDArray[np.float32]:
        """Return a layout laid over that of the step before, not scaled."""
        return self._way(points, scale=False).apply(points)

    def distance(self, points: Points) -> float:
        """Return the Procrustes distance of a layout to that of the step before."""
        return self._way(points).distance

    def _way(self, points: Points, *, scale: bool = True) -> Alignment:
        index, target = self._embedding.index, self._earlier.index
        return procrustes(points, self._layout, index=index, target_index=target, scale=scale)

    def _carried(self) -> npt.NDArray[np.float32]:
        """Return where the pictures were; new ones at the mean of their nearest known neighbours."""
        if self._same:
            return self._layout
        _, ours, theirs = np.intersect1d(self._embedding.index, self._earlier.index, return_indices=True)
        start = np.empty((len(self._embedding), self._layout.shape[1]), np.float32)
        start[ours] = self._layout[theirs]
        vectors = np.asarray(self._embedding.vectors, np.float32)
        known = vectors[ours]
        for new in np.setdiff1d(np.arange(len(start)), ours):
            gaps = ((known - vectors[new]) ** 2).sum(1)
            near = np.argsort(gaps, kind="stable")[:_NEAREST]
            start[new] = start[ours[near]].mean(0)
        return start
