"""UMAP [McInnes, Healy & Melville 2018] by the package umap-learn, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.embed.projection import Projection, versions
from convscope.embed.vectors import reduced
from convscope.errors import InputError, MissingExtraError

FEWEST = 4


def project_umap(
    vectors: npt.NDArray[Any],
    *,
    dimensions: int = 2,
    neighbours: int = 15,
    minimum_distance: float = 0.1,
    seed: int = 0,
    metric: str = "euclidean",
    pca: int = 50,
    **more: Any,
) -> Projection:
    """Project by UMAP, after PCA.

    Parameters
    ----------
    vectors
        ``(N, D)``.
    dimensions
        2 or 3.
    neighbours
        The size of a neighbourhood; lowered to ``N - 1`` where it is more.
    minimum_distance
        How close points may lie.
    seed, metric, pca
        As for t-SNE.
    **more
        For ``umap.UMAP``.

    Raises
    ------
    MissingExtraError
        If umap-learn is not installed.
    InputError
        For fewer than 4 vectors, or 4 or more dimensions.
    """
    if dimensions not in (2, 3):
        raise InputError(f"a projection has 2 or 3 dimensions, not {dimensions}")
    data = reduced(vectors, metric, pca)
    if len(data) < FEWEST:
        raise InputError(f"UMAP needs at least {FEWEST} vectors, got {len(data)}; PCA takes fewer")
    try:
        from umap import UMAP  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError(
            "UMAP needs the package umap-learn, which is not installed; pip install umap-learn, or use tsne"
        ) from error
    used = min(neighbours, len(data) - 1)
    # a spectral start needs more points than dimensions, and one connected component
    options = {"init": "random"} if len(data) <= dimensions + 2 or not np.ptp(data, axis=0).any() else {}
    reducer = UMAP(
        n_components=dimensions, n_neighbors=used, min_dist=minimum_distance, random_state=seed, **(options | more)
    )
    points = np.asarray(reducer.fit_transform(data), np.float32)
    told: dict[str, Any] = {
        "neighbours": neighbours,
        "neighbours_used": used,
        "minimum_distance": minimum_distance,
        "pca": pca,
    }
    told |= {"dimensions": dimensions, "seed": seed, "metric": metric, "versions": versions("umap-learn")}
    return Projection(points, "umap", parameters=told)
