"""Orders along one axis: principal components and spectral seriation."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.order_points import Floats, Points, rounded

SHOWN: Final = 10
"""Components whose shares of the variance are kept."""

_UNLIKE: Final = 1e-9
"""Correlations up to this are what rounding left of zero."""

_ALIKE: Final = 1 - 1e-9
"""Loadings this near to the largest count as equal to it: the sign must not hang on rounding."""


def component(points: Points, pc: int, *, own_mean: bool, standardise: bool = False) -> tuple[Floats, Floats]:
    """Return the scores of the maps on principal component ``pc`` and the shares of the variance, best first.

    Parameters
    ----------
    points
        The maps.
    pc
        From 1. The sign is fixed: the largest loading is positive, the first of them where several are equal.
    own_mean
        Whether the mean of each map is removed first.
    standardise
        Whether each position is divided by its standard deviation over the maps.

    Returns
    -------
    scores
        ``(C,)``; 0 where there is no such component, because the maps do not differ in so many ways.
    explained
        Share of the variance of each component.
    """
    most = min(len(points), points.size)
    if not 1 <= pc <= most:
        raise InputError(f"maps {len(points)} × {points.size} have principal components 1..{most}, got {pc}")
    if points.size < len(points) or standardise:
        return _from_positions(points, pc, own_mean=own_mean, standardise=standardise)
    products = points.products("means removed" if own_mean else "values")
    values, vectors = np.linalg.eigh(products)
    values, vector = values[::-1], vectors[:, -pc]
    if not _is_real(values, pc):
        return np.zeros(len(points)), _shares(values)
    loading = np.concatenate([vector @ block for block in _centred_blocks(points, own_mean)])
    return vector * np.sqrt(values[pc - 1]) * _sign(loading), _shares(values)


def _from_positions(points: Points, pc: int, *, own_mean: bool, standardise: bool) -> tuple[Floats, Floats]:
    matrix = np.concatenate(list(_centred_blocks(points, own_mean)), axis=1)
    if standardise:
        deviation = matrix.std(0)
        real = deviation > 1e-12 * max(1e-300, float(np.abs(points.flat).max()))
        matrix = np.where(real, matrix / np.where(real, deviation, 1), 0)
    if matrix.shape[1] <= matrix.shape[0]:
        values, vectors = np.linalg.eigh(matrix.T @ matrix)
        loading = vectors[:, -pc]
    else:
        values, vectors = np.linalg.eigh(matrix @ matrix.T)
        loading = vectors[:, -pc] @ matrix
        loading = loading / (np.linalg.norm(loading) or 1)
    values = values[::-1]
    if not _is_real(values, pc):
        return np.zeros(len(points)), _shares(values)
    return matrix @ loading * _sign(loading), _shares(values)


def _centred_blocks(points: Points, own_mean: bool) -> Any:
    return (block - block.mean(0) for block in points.blocks(own_mean=own_mean))


def _is_real(values: Floats, pc: int) -> bool:
    return bool(values[pc - 1] > max(float(values[0]), 0.0) * len(values) * np.finfo(np.float64).eps)


def _shares(values: Floats) -> Floats:
    kept = np.maximum(values, 0)
    return kept / (kept.sum() or 1.0)


def _sign(loading: Floats) -> float:
    size = np.abs(loading)
    return float(np.sign(loading[np.flatnonzero(size >= _ALIKE * size.max())[0]])) or 1.0


def falling(scores: Floats) -> Any:
    """Return the places of ``scores`` from the largest to the smallest; equal ones keep their order."""
    return np.argsort(-scores, kind="stable")


def explained(shares: Floats, pc: int) -> dict[str, Any]:
    """Return the figures that explain an order by a component."""
    return {"component": pc, "explained_variance": rounded(shares[:SHOWN]), "components": int((shares > 1e-12).sum())}


def seriation(points: Points) -> tuple[Any, Floats, list[int]]:
    """Return the order of the maps by Fiedler vectors, the second eigenvalues, and the sizes of the parts.

    The likeness of two maps is Pearson's correlation, 0 where that is negative; sorted by the eigenvector of the graph
    Laplacian with the second smallest eigenvalue, like maps come to lie beside each other (Atkins, Boman and
    Hendrickson 1998, "A spectral algorithm for seriation"). Parts that have no likeness with each other are ordered
    each on its own, the brightest first. Sign as for principal components. It costs eigendecompositions, O(C³).
    """
    likeness = np.where(points.correlation > _UNLIKE, points.correlation, 0)
    np.fill_diagonal(likeness, 0)
    parts = sorted(_connected(likeness > 0), key=lambda part: (-float(points.means[part].mean()), part[0]))
    order, values = [], []
    for part in parts:
        vector, value = _fiedler(likeness[np.ix_(part, part)])
        order.append(part[falling(vector)])
        values.append(value)
    return np.concatenate(order), np.asarray(values), [len(part) for part in parts]


def _fiedler(likeness: Floats) -> tuple[Floats, float]:
    count = len(likeness)
    if count < 3:
        return np.zeros(count), 0.0
    laplacian = np.diag(likeness.sum(1)) - likeness
    # The constant vector, whose eigenvalue is 0, is moved to the far end: none is above 2·C.
    values, vectors = np.linalg.eigh(laplacian + 2)
    if values[-2] - values[0] <= _UNLIKE * count:  # all maps are equally like all others
        return np.zeros(count), float(values[0])
    vector = vectors[:, 0]
    return vector * _sign(vector), float(max(values[0], 0.0))


def _connected(near: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.intp]]:
    left = np.ones(len(near), bool)
    parts = []
    while left.any():
        part = np.zeros(len(near), bool)
        fresh = np.arange(len(near)) == np.argmax(left)
        while fresh.any():
            part |= fresh
            fresh = near[fresh].any(0) & ~part
        left &= ~part
        parts.append(np.flatnonzero(part))
    return parts
