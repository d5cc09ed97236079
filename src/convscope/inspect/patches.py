"""The size of the tiles on a record's sheets: the receptive field, or smaller where that is large."""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

LARGEST_TILE: Final = 96
"""Pixels a side; a sheet of larger ones costs more than a page can show."""

Pixel = TypeVar("Pixel", np.uint8, np.float32)


def tile_size(field: tuple[int, int], limit: int = LARGEST_TILE) -> tuple[int, int]:
    """Return the size tiles of a receptive field are stored with: its own, or fitted into ``limit`` pixels.

    >>> tile_size((11, 11)), tile_size((163, 163)), tile_size((400, 200))
    ((11, 11), (96, 96), (96, 48))
    """
    shrink = min(1.0, limit / max(field))
    return max(1, round(field[0] * shrink)), max(1, round(field[1] * shrink))


def shrink(tiles: npt.NDArray[Pixel], size: tuple[int, int]) -> npt.NDArray[Pixel]:
    """Shrink pictures ``(..., H, W, c)``, uint8 or float32, to ``(..., h, w, c)`` by averaging areas.

    >>> shrink(np.zeros((4, 9, 163, 163, 3), np.uint8), (96, 96)).shape
    (4, 9, 96, 96, 3)
    """
    if tiles.shape[-3:-1] == size:
        return tiles
    from PIL import Image

    small = np.empty((*tiles.shape[:-3], *size, tiles.shape[-1]), tiles.dtype)
    for at in np.ndindex(tiles.shape[:-3]):
        if tiles.dtype == np.uint8 and tiles.shape[-1] == 3:  # all colours at once; only bytes can be
            small[at] = Image.fromarray(np.ascontiguousarray(tiles[at])).resize(size[::-1], Image.Resampling.BOX)
            continue
        for colour in range(tiles.shape[-1]):
            picture = Image.fromarray(np.ascontiguousarray(tiles[at][:, :, colour]))
            small[at][:, :, colour] = picture.resize((size[1], size[0]), Image.Resampling.BOX)
    return small
