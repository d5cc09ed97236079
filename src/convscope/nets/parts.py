"""Parts of maps, one for each position: cut out, with what lies outside the map filled in, and added back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

Ints = npt.NDArray[np.int64]


def parts(
    maps: Tensor, owner: Sequence[int], starts: tuple[Ints, Ints], size: tuple[int, int], fill: float = 0.0
) -> Tensor:
    """Cut a part out of a map for each position: ``(B, …, h, w)``.

    Parameters
    ----------
    maps
        ``(N, …, H, W)``.
    owner
        Which of the maps each part is cut out of, ``(B,)``.
    starts
        Where the parts begin, rows ``(B,)`` and columns ``(B,)``; they may begin or end outside the map.
    size
        Rows and columns of a part.
    fill
        What stands outside the map.
    """
    found = maps.new_full((len(owner), *maps.shape[1:-2], *size), fill)
    for i, (one, box) in enumerate(zip(owner, _boxes(starts, size, maps.shape[-2:]), strict=True)):
        (y0, y1, x0, x1), (v0, v1, u0, u1) = box
        if y0 < y1 and x0 < x1:
            found[i, ..., v0:v1, u0:u1] = maps[one, ..., y0:y1, x0:x1]
    return found


def add_parts(maps: Tensor, signals: Tensor, starts: tuple[Ints, Ints]) -> None:
    """Add each part to its map, at its place; what lies outside is dropped."""
    for i, box in enumerate(_boxes(starts, (signals.shape[-2], signals.shape[-1]), maps.shape[-2:])):
        (y0, y1, x0, x1), (v0, v1, u0, u1) = box
        if y0 < y1 and x0 < x1:
            maps[i, ..., y0:y1, x0:x1] += signals[i, ..., v0:v1, u0:u1]


Box = tuple[int, int, int, int]


def _boxes(starts: tuple[Ints, Ints], size: tuple[int, int], limit: Sequence[int]) -> list[tuple[Box, Box]]:
    """Return for each part its box inside the map, and the same in the part's own rows and columns."""
    edges = []
    for axis in range(2):
        low = np.maximum(starts[axis], 0)
        high = np.minimum(starts[axis] + size[axis], limit[axis])
        edges.append((low, high, low - starts[axis], high - starts[axis]))
    (y0, y1, v0, v1), (x0, x1, u0, u1) = ([edge.tolist() for edge in axis] for axis in edges)
    inside = zip(y0, y1, x0, x1, strict=True)
    return list(zip(inside, zip(v0, v1, u0, u1, strict=True), strict=True))
