"""Orders of the channels of a layer ([METHODS §8]): a permutation that puts like maps beside each other.

An order is a function ``(C, H, W) -> (C,)``; adding one is a row in :data:`ORDERS`. No channel is ever lost: every
order is a permutation, and a test holds that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import not_found

Order = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.intp]]


def by_index(maps: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Keep the order of the network."""
    return np.arange(len(maps))


def by_mean(maps: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Sort by mean activation, strongest first."""
    return np.argsort(-maps.reshape(len(maps), -1).mean(1), kind="stable")


def by_pca(maps: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Sort by the score on the first principal component of whole maps.

    The sign of the component is fixed by its largest loading. On maps after a ReLU this is close to a sort by
    brightness (the first component of non-negative maps is their common part), so the maps' means are removed first:
    what is compared is where a map is active, not how much.
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    flat = flat - flat.mean(0)
    if len(flat) <= flat.shape[1]:  # the smaller of the two products: the larger has no other component
        strength, directions = np.linalg.eigh(flat @ flat.T)
        scores = directions[:, -1] * np.sqrt(max(strength[-1], 0.0))
        loading = directions[:, -1] @ flat
    else:
        loading = np.linalg.eigh(flat.T @ flat)[1][:, -1]
        scores = flat @ loading
    sign = np.sign(loading[np.argmax(np.abs(loading))]) or 1.0
    return np.argsort(-sign * scores, kind="stable")


ORDERS: Final[Mapping[str, Order]] = {"index": by_index, "mean": by_mean, "pca": by_pca}


def find_order(name: str) -> Order:
    """Return the order called ``name``; :class:`~convscope.errors.NotFoundError` if there is none."""
    if name not in ORDERS:
        raise not_found("order of channels", name, ORDERS)
    return ORDERS[name]
