"""Custom axes: from one class to another, from one selection to another, or along a given vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.embed.projection import Projection, versions
from convscope.embed.vectors import check_metric, of_length_one, refuse_unfinite
from convscope.errors import InputError, not_found

_BLOCK = 1 << 15


@dataclass(frozen=True)
class Axis:
    """A direction in the space of the vectors, with its zero.

    Attributes
    ----------
    name
        What to call it: "dog - cat".
    direction
        ``(D,)`` of length 1.
    zero
        The position along the direction that is drawn at 0.
    """

    name: str
    direction: npt.NDArray[np.float64]
    zero: float = field(default=0.0)


def axis_between(vectors: npt.NDArray[Any], first: npt.NDArray[Any], second: npt.NDArray[Any], *, name: str) -> Axis:
    """Return the axis from the mean of the ``second`` points to that of the ``first``, 0 halfway.

    Parameters
    ----------
    vectors
        ``(N, D)``.
    first, second
        Numbers of points.
    name
        What to call it.

    Raises
    ------
    InputError
        If one of the two has no points, or both have the same mean.
    """
    means = []
    for points in (first, second):
        if not len(points):
            raise InputError(f"the axis {name!r} has a side without points; choose two that have some")
        means.append(_mean(vectors, np.asarray(points)))
    difference = means[0] - means[1]
    length = float(np.linalg.norm(difference))
    if length <= 1e-9 * float(np.linalg.norm(means[0]) + np.linalg.norm(means[1])):
        raise InputError(f"both sides of the axis {name!r} have the same mean; choose two that differ")
    direction = difference / length
    return Axis(name, direction, float((means[0] + means[1]) @ direction / 2))


def _mean(vectors: npt.NDArray[Any], points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    parts = (vectors[points[i : i + _BLOCK]].sum(0, dtype=np.float64) for i in range(0, len(points), _BLOCK))
    found: npt.NDArray[np.float64] = sum(parts, np.zeros(vectors.shape[1])) / len(points)
    return found


def project_axes(
    vectors: npt.NDArray[Any],
    *,
    axes: Sequence[Any] | Mapping[str, Any] = (),
    labels: npt.NDArray[Any] | None = None,
    label_names: Sequence[str] = (),
    dimensions: int | None = None,
    metric: str = "euclidean",
    seed: int = 0,
) -> Projection:
    """Project on two or three axes of one's own; positions are in the units of the vectors.

    >>> x = np.array([[0.0, 0], [2, 0], [1, 3]])
    >>> found = project_axes(x, axes=[("b", "a"), [0, 1]], labels=np.array([0, 1, 1]), label_names=["a", "b"])
    >>> found.axes, found.points.shape
    (['b - a', 'axis 2'], (3, 2))

    Parameters
    ----------
    vectors
        ``(N, D)``.
    axes
        Two or three, each a pair of classes (names, or numbers of labels), a pair of selections (arrays of point
        numbers, or Boolean ones), a vector ``(D,)`` or an :class:`Axis`; as a mapping, with names of one's own. The
        first of a pair lies on the positive side, 0 is halfway; 0 of a vector is the mean of all.
    labels, label_names
        ``(N,)`` and the name of each label, for pairs of classes.
    dimensions
        Only as many as there are axes.
    metric
        With ``cosine`` the vectors are scaled to length 1 first.
    seed
        Of no effect here; all methods take one.

    Returns
    -------
    Projection
        ``parameters["cosines"]`` has the cosine between every two axes: where it is not 0 the axes are not orthogonal,
        and a position on one says something of the other, too.

    Raises
    ------
    InputError
        If there are not 2 or 3 axes, or one of them makes no sense.
    """
    check_metric(metric)
    refuse_unfinite(vectors)
    if isinstance(axes, str) or not hasattr(axes, "__len__"):
        raise InputError(f"custom axes are a list of 2 or 3, or a mapping of names to them; got {axes!r:.60}")
    named = list(axes.items()) if isinstance(axes, Mapping) else [("", axis) for axis in axes]
    if len(named) not in (2, 3) or dimensions not in (None, len(named)):
        raise InputError(f"custom axes are 2 or 3, one a dimension; got {len(named)}")
    data = of_length_one(np.asanyarray(vectors)) if metric == "cosine" else np.asanyarray(vectors)
    groups = _Groups(data, labels, label_names)
    made = [groups.axis(spec, name, number) for number, (name, spec) in enumerate(named, 1)]
    directions = np.stack([axis.direction for axis in made], axis=1)
    points = np.empty((len(data), len(made)), np.float32)
    for start in range(0, len(data), _BLOCK):
        part = slice(start, start + _BLOCK)
        points[part] = data[part].astype(np.float64) @ directions - [axis.zero for axis in made]
    cosines = directions.T @ directions
    pairs = [(i, j) for i in range(len(made)) for j in range(i)]
    told = {"cosines": {f"{made[j].name} · {made[i].name}": float(cosines[i, j]) for i, j in pairs}}
    parameters = told | {"metric": metric, "dimensions": len(made), "seed": seed, "versions": versions()}
    return Projection(points, "axes", parameters=parameters, axes=[axis.name for axis in made])


class _Groups:
    """Makes axes of what a user may say."""

    def __init__(self, data: npt.NDArray[Any], labels: npt.NDArray[Any] | None, names: Sequence[str]) -> None:
        self._data = data
        self._labels = None if labels is None else np.asarray(labels)
        self._names = list(names)

    def axis(self, spec: Any, name: str, number: int) -> Axis:
        if isinstance(spec, Axis):
            return spec
        if isinstance(spec, tuple) and len(spec) == 2:
            (first, one), (second, other) = (self._side(side) for side in spec)
            return axis_between(self._data, first, second, name=name or f"{one} - {other}")
        vector = np.asarray(spec, np.float64)
        if vector.shape != self._data.shape[1:] or not np.isfinite(vector).all() or not vector.any():
            raise InputError(
                f"axis {number} is neither a pair nor a finite vector of {self._data.shape[1]} numbers that is not zero"
            )
        direction = vector / np.linalg.norm(vector)
        return Axis(
            name or f"axis {number}", direction, float(_mean(self._data, np.arange(len(self._data))) @ direction)
        )

    def _side(self, side: Any) -> tuple[npt.NDArray[Any], str]:
        if isinstance(side, str | int | np.integer):
            return self._of_class(side)
        points = np.asarray(side)
        if points.dtype == bool and points.shape == (len(self._data),):
            points = np.flatnonzero(points)
        if points.ndim != 1 or points.dtype.kind not in "iu" or (len(points) and not self._inside(points)):
            raise InputError(f"a selection is a list of point numbers 0..{len(self._data) - 1}, got {side!r:.60}")
        return points, f"{len(points)} points"

    def _inside(self, points: npt.NDArray[Any]) -> bool:
        return bool(points.min() >= 0 and points.max() < len(self._data))

    def _of_class(self, side: str | int | np.integer[Any]) -> tuple[npt.NDArray[Any], str]:
        if self._labels is None:
            raise InputError(f"the axis to class {side!r} needs labels; give them, or selections of points")
        if isinstance(side, str):
            if side not in self._names:
                raise not_found("class", side, self._names)
            numbers = [number for number, name in enumerate(self._names) if name == side]
            return np.flatnonzero(np.isin(self._labels, numbers)), side
        name = self._names[side] if 0 <= side < len(self._names) else f"class {side}"
        return np.flatnonzero(self._labels == side), name
