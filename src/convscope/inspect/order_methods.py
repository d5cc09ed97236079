"""The methods that order maps: from points to a permutation and what explains it ([METHODS §8])."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.inspect.order_axes import component, explained, falling, seriation
from convscope.inspect.order_clusters import Space, kmeans
from convscope.inspect.order_points import Floats, Points, rounded
from convscope.inspect.order_trees import leaf_order, linkage

NEARLY: Final = 0.8
"""From this |ρ| with the maps' means on, an order is called nearly a sort by brightness."""


@dataclass(frozen=True)
class Found:
    """What a method of :data:`ORDERS` returns: the permutation and what explains it."""

    permutation: npt.NDArray[Any]
    explanation: Mapping[str, Any] = field(default_factory=dict)
    finding: str = ""
    groups: tuple[int, ...] = ()


Method = Callable[..., Found]
"""Takes :class:`~convscope.inspect.order_points.Points` and keywords; those it was not given have defaults."""


def by_index(points: Points) -> Found:
    """Keep the order of the network."""
    return Found(np.arange(len(points)))


def by_mean(points: Points) -> Found:
    """Sort by mean activation, strongest first."""
    return Found(falling(points.means))


def by_kmeans(points: Points, *, k: int | None = None, seed: int = 0, compare: str = "values") -> Found:
    """Group by k-means; clusters lie along the first component of their centres, the most typical map of each first.

    ``k`` is the number of clusters, by default that of 2..10 with the largest mean silhouette.
    """
    clusters = kmeans(Space(points.squares(compare), points.coordinates(compare)), k, seed=seed)
    rank = _line_up(points, clusters.label, clusters.count, compare)
    place = np.argsort(rank)
    order = np.lexsort((np.arange(len(points)), clusters.to_centre, place[clusters.label]))
    sizes = np.bincount(clusters.label)[rank]
    by_cluster = [clusters.silhouette[clusters.label == one].mean() for one in rank]
    judged = clusters.count > 1
    silhouette = float(clusters.silhouette.mean()) if judged else None
    finding = f"{clusters.count} {'clusters' if judged else 'cluster'} of {_sizes(sizes)} maps"
    return Found(
        order,
        {
            "clusters": clusters.count,
            "sizes": sizes.tolist(),
            "silhouette": figure(silhouette),
            "silhouette_by_cluster": rounded(by_cluster) if judged else [],
            "inertia": rounded(clusters.inertia),
            "tried": [[number, figure(value)] for number, value in clusters.tried.items()],
        },
        finding if silhouette is None else f"{finding}, mean silhouette {_said(silhouette)}",
        tuple(int(size) for size in sizes),
    )


def _line_up(points: Points, label: npt.NDArray[np.intp], count: int, compare: str) -> npt.NDArray[np.intp]:
    """Return the clusters along the first component of their centres, the brighter end first."""
    share = np.eye(count)[label].T
    share /= share.sum(1, keepdims=True)
    products = share @ points.products(compare) @ share.T
    products = products - products.mean(0)
    products = products - products.mean(1, keepdims=True)
    score = np.linalg.eigh(products)[1][:, -1]
    bright = share @ points.means
    return np.asarray(falling(score if float(score @ (bright - bright.mean())) >= 0 else -score), np.intp)


def by_pca(points: Points, *, pc: int = 1) -> Found:
    """Sort by the score on principal component ``pc`` of the maps, each map's mean removed first.

    The sign of the component is fixed by its largest loading. On maps after a ReLU the first component of the maps as
    they are is close to a sort by brightness (it is their common part): what is compared here is where a map is active,
    not how much. The order of the maps as they are is ``pca_plain``.
    """
    scores, shares = component(points, pc, own_mean=True)
    return Found(falling(scores), explained(shares, pc), _component_said(shares, pc))


def by_pca_plain(points: Points, *, pc: int = 1, standardise: bool = False) -> Found:
    """Sort by the score on principal component ``pc`` of the maps as they are: the order that CNN-VIS published.

    ``standardise`` divides every position by its standard deviation over the maps, as CNN-VIS did for image lines.
    """
    scores, shares = component(points, pc, own_mean=False, standardise=standardise)
    return Found(falling(scores), explained(shares, pc), _component_said(shares, pc))


def _component_said(shares: Floats, pc: int) -> str:
    share = float(shares[pc - 1]) if pc <= len(shares) else 0.0
    if share <= 0:
        return f"the maps do not differ along principal component {pc}: the order is that of the network"
    return f"principal component {pc} holds {100 * share:.3g} % of the variance"


def by_hierarchical(points: Points, *, linkage: str = "average", compare: str = "values") -> Found:
    """Walk along the leaves of a dendrogram, its branches turned so that neighbours are as near as can be.

    ``linkage`` is ``average`` or ``ward``. It costs O(C²) for the dendrogram and O(C³) for the turning. The brighter
    end comes first.
    """
    distances = points.distances(compare)
    tree = _linked(distances, linkage)
    order = leaf_order(tree, distances)
    first, last = ((-points.means[end], end) for end in (order[0], order[-1]))
    order = order if first <= last else order[::-1]
    path, plain = (_path(distances, one) for one in (order, np.arange(len(points))))
    upper = np.triu_indices(len(points), 1)
    alike = np.corrcoef(tree.cophenetic()[upper], distances[upper])[0, 1] if _differ(tree, distances[upper]) else None
    shorter = f"neighbours are {100 * (1 - path / plain):.3g} % nearer than in the network's order" if plain > 0 else ""
    return Found(
        order,
        {
            "merges": tree.merges.tolist(),
            "heights": rounded(tree.heights),
            "path": rounded(path),
            "path_of_index": rounded(plain),
            "cophenetic_correlation": figure(alike),
        },
        shorter,
    )


def _differ(tree: Any, distances: Floats) -> bool:
    return len(distances) > 1 and float(np.ptp(tree.heights)) > 0 and float(np.ptp(distances)) > 0


def _path(distances: Floats, order: npt.NDArray[Any]) -> float:
    return float(distances[order[:-1], order[1:]].sum())


_linked = linkage  # the method's own argument is called so too


def by_spectral(points: Points) -> Found:
    """Sort by the Fiedler vector of the maps' correlations: like maps come to lie beside each other."""
    order, values, sizes = seriation(points)
    parts = f"{len(sizes)} parts of {_sizes(np.asarray(sizes))} maps that have nothing in common"
    many = 1 < len(sizes) <= 8
    said = parts if many else f"{len(sizes)} parts that have nothing in common" if len(sizes) > 1 else ""
    return Found(order, {"fiedler_value": rounded(values[0]), "parts": sizes}, said, tuple(sizes) if many else ())


def by_selectivity(points: Points, *, classes: Any = None) -> Found:
    """Sort by how much a channel prefers one class, most selective first (Morcos et al. 2018, §2.3).

    ``classes`` holds the mean activation of each class, ``(K, C)``: (best − rest) / (best + rest), *rest* the mean of
    the other classes' means; activations below 0 count as 0.
    """
    if classes is None:
        raise InputError("the order 'selectivity' needs the mean activation of each class: classes=(K, C)")
    mean = np.maximum(as_numpy(classes).astype(np.float64), 0)
    if mean.ndim != 2 or len(mean) < 2 or mean.shape[1] != len(points) or not np.isfinite(mean).all():
        wanted = f"(K ≥ 2, {len(points)})"
        raise InputError(f"mean activations of classes are finite and of shape {wanted}, got shape {mean.shape}")
    best = mean.max(0)
    rest = (mean.sum(0) - best) / (len(mean) - 1)
    value = (best - rest) / np.where(best + rest > 0, best + rest, 1)
    order = falling(value)
    figures = {"selectivity": rounded(value[order]), "preferred": mean.argmax(0)[order].tolist(), "classes": len(mean)}
    return Found(order, figures, f"selectivity from {_said(float(value.max()))} down to {_said(float(value.min()))}")


def brightness_sentence(rho: float | None) -> str:
    """Return what is to be said of an order whose places correlate so with the maps' means; nothing up to |ρ| = 0.8."""
    if rho is None or abs(rho) <= NEARLY:
        return ""
    nearly = "" if abs(rho) > 1 - 1e-9 else "nearly "
    end = "first" if rho < 0 else "last"
    return f"this is {nearly}a sort by brightness: ρ = {_said(rho)}, brightest {end}"


def _said(value: float) -> str:
    """Write a figure with two decimals, or as many as keep it from being rounded to 1."""
    digits = next((n for n in (2, 3, 4, 5) if abs(float(f"{value:.{n}f}")) < 1), 0)
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
    return "0" if text == "-0" else text.replace("-", "−")


def _sizes(sizes: npt.NDArray[Any]) -> str:
    *some, last = (str(size) for size in sizes)
    return f"{', '.join(some)} and {last}" if some else last


def figure(value: float | None) -> float | None:
    """Return a number for JSON; ``None`` where it is not one."""
    return None if value is None or not np.isfinite(value) else float(rounded(value))
