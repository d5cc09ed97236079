"""Orders of channels: seconds for maps of real sizes, beside scipy and scikit-learn where they are installed.

Both sides get the same maps in the same run, in turn; the figures are medians.

    python benchmarks/orders.py [--rounds 5] [--orders pca hierarchical …]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convscope.inspect.order import order_maps, row_order
from convscope.inspect.volume import Volume

SHAPES = ((96, 55, 55), (512, 28, 28), (512, 56, 56))
ORDERS = ("mean", "pca", "pca_plain", "hierarchical", "hierarchical:ward", "spectral", "kmeans:7", "kmeans")


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def maps_after_relu(shape: tuple[int, int, int]) -> np.ndarray:
    """Return maps that have something in common, as those of a layer have."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(8, *shape[1:]))
    mixed = np.tensordot(rng.normal(size=(shape[0], 8)), common, 1) + rng.normal(size=shape)
    return np.maximum(mixed, 0).astype(np.float32)


def whole_record(maps: np.ndarray) -> None:
    Volume(maps).to_summary()


def peers(maps: np.ndarray) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Return what others do for an order, by its name; empty where nothing is installed."""
    try:
        from scipy.cluster import hierarchy
        from scipy.spatial.distance import pdist
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from sklearn.manifold import SpectralEmbedding
        from sklearn.metrics import silhouette_score
    except ImportError as error:
        print(f"without a peer: {error}")
        return {}
    flat = maps.reshape(len(maps), -1).astype(np.float64)

    def tree(method: str) -> Any:
        distances = pdist(flat)
        return hierarchy.leaves_list(hierarchy.optimal_leaf_ordering(hierarchy.linkage(flat, method), distances))

    def clusters() -> Any:
        labels = [KMeans(k, n_init=6, random_state=0).fit_predict(flat) for k in range(2, 11)]
        return max(labels, key=lambda label: silhouette_score(flat, label))

    component = ("scikit-learn PCA, one component, full", lambda: PCA(1, svd_solver="full").fit_transform(flat))
    likeness = np.maximum(np.corrcoef(flat), 0)
    return {
        "pca": component,
        "pca_plain": component,
        "hierarchical": ("scipy linkage and optimal_leaf_ordering", lambda: tree("average")),
        "hierarchical:ward": ("scipy linkage and optimal_leaf_ordering", lambda: tree("ward")),
        "spectral": (
            "scikit-learn SpectralEmbedding of ready correlations",
            lambda: SpectralEmbedding(1, affinity="precomputed", random_state=0).fit_transform(likeness),
        ),
        "kmeans:7": (
            "scikit-learn KMeans, 6 starts",
            lambda: KMeans(7, n_init=6, random_state=0).fit(flat),
        ),
        "kmeans": ("scikit-learn KMeans for k = 2..10 and silhouette_score", clusters),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", nargs="*", default=list(ORDERS))
    options = parser.parse_args()
    rounds = options.rounds
    print("| maps | order | s | peer | s | ratio |\n|---|---|---|---|---|---|")
    for shape in SHAPES:
        maps = maps_after_relu(shape)
        others = peers(maps)
        size = "×".join(map(str, shape))
        for name in options.orders:
            who, theirs = others.get(name, ("–", None))
            pairs = [(seconds(partial(order_maps, maps, name)), seconds(theirs) if theirs else np.nan)
                     for _ in range(rounds)]  # fmt: skip
            own, other = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"| {size} | {name} | {own:.3f} | {who} | {other:.3f} | {ratio:.2f} |", flush=True)
        for by in ("kmeans", "pca"):
            own = statistics.median(seconds(partial(row_order, maps, shape[1] // 2, by)) for _ in range(rounds))
            print(f"| {size} | one line by {by} | {own:.3f} | – | – | – |", flush=True)
        own = statistics.median(seconds(partial(whole_record, maps)) for _ in range(min(rounds, 3)))
        print(f"| {size} | a whole record, all orders | {own:.3f} | – | – | – |", flush=True)


if __name__ == "__main__":
    main()
