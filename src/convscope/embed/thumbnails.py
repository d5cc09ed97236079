"""Thumbnails of points: pictures of any sizes, or none at all, as tiles of one size in which nothing is stretched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy, to_hwc, to_uint8
from convscope.blocks import Blocks
from convscope.errors import InputError

Pixels = npt.NDArray[np.uint8]

LARGEST: Final = 64
"""Pixels a side of a thumbnail, at most; larger pictures are fitted into a square of this size."""
COLUMNS: Final = 48
"""Thumbnails in one row of a sheet."""
_WHITE: Final = 255


@dataclass(frozen=True)
class Thumbnails:
    """Tiles, and how much of each is picture.

    Attributes
    ----------
    tiles
        ``(N, h, w, 1)`` or ``(N, h, w, 3)`` of ``uint8``: a smaller picture lies in the middle of its tile.
    size
        ``(N, 2)`` of ``uint8``: height and width of each picture, 0 of one that is missing; ``None`` where all fill
        their tiles.
    """

    tiles: Pixels
    size: npt.NDArray[np.uint8] | None = None

    @property
    def missing(self) -> int:
        """How many points have no picture."""
        return 0 if self.size is None else int(np.count_nonzero(self.size[:, 0] == 0))


def fit_thumbnails(pictures: Any, count: int) -> Thumbnails | None:
    """Return pictures as tiles of one size; ``None`` where there is none at all.

    >>> fit_thumbnails([np.zeros((10, 20)), None], 2).size.tolist()
    [[10, 20], [0, 0]]

    Parameters
    ----------
    pictures
        ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)`` of any framework; or a sequence of ``N`` pictures of
        differing shapes (PIL's, too), with ``None`` where there is none. Floats are taken as 0..1. Transparent
        pictures are put on white.
    count
        How many points there are.

    Raises
    ------
    InputError
        If they are no pictures, or not as many as there are points.
    """
    if isinstance(pictures, str | bytes | dict | set | frozenset) or not hasattr(pictures, "__len__"):
        raise InputError(f"thumbnails are an array (N, H, W, C) or a list of pictures, got a {type(pictures).__name__}")
    if len(pictures) != count:
        raise InputError(f"{count} vectors but {len(pictures)} thumbnails; give one for each vector, or None for it")
    if hasattr(pictures, "shape") and getattr(pictures, "dtype", None) != np.dtype(object):
        return _of_array(as_numpy(pictures))
    return _of_list(list(pictures))


def _of_array(array: npt.NDArray[Any]) -> Thumbnails:
    """Return an array of pictures as tiles; one that is as it should be is not copied."""
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[3] not in (1, 3) and array.shape[1] in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(
            f"thumbnails are (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels, got {array.shape}"
        )
    height, width = array.shape[1:3]
    if max(height, width) <= LARGEST and array.shape[3] != 4:
        return Thumbnails(to_uint8(array)[0])
    if array.shape[3] == 4 and (shown := _shown(array)) is not None:
        return _of_list(shown, "HWC") or Thumbnails(np.zeros((len(array), *fitted(height, width), 3), np.uint8))
    size = fitted(height, width)
    tiles = np.empty((len(array), *size, 1 if array.shape[3] == 1 else 3), np.uint8)
    for tile, picture in zip(tiles, array, strict=True):
        tile[:] = _resized(_opaque(to_uint8(picture)[0]), size)
    return Thumbnails(tiles)


def _shown(array: npt.NDArray[Any]) -> list[npt.NDArray[Any] | None] | None:
    """Return pictures without what is transparent around them, as sprites of ours have it; else ``None``."""
    found: list[npt.NDArray[Any] | None] = []
    height, width = array.shape[1:3]
    for picture in array:
        is_seen = picture[..., 3] > 0
        rows, columns = int(is_seen.any(1).sum()), int(is_seen.any(0).sum())
        top, left = (height - rows) // 2, (width - columns) // 2
        middle = is_seen[top : top + rows, left : left + columns]
        if not middle.all() or middle.size != np.count_nonzero(is_seen):
            return None  # transparency that is part of the picture
        found.append(picture[top : top + rows, left : left + columns] if rows else None)
    return None if all(one is not None and one.shape[:2] == (height, width) for one in found) else found


def _of_list(pictures: Sequence[Any], layout: str | None = None) -> Thumbnails | None:
    small = [None if picture is None else _small(picture, number, layout) for number, picture in enumerate(pictures)]
    there = [picture for picture in small if picture is not None]
    if not there:
        return None
    height, width, channels = (max(sizes) for sizes in zip(*(picture.shape for picture in there), strict=True))
    tiles = np.zeros((len(small), height, width, channels), np.uint8)
    size = np.zeros((len(small), 2), np.uint8)
    for number, picture in enumerate(small):
        if picture is None:
            continue
        rows, columns = picture.shape[:2]
        top, left = (height - rows) // 2, (width - columns) // 2
        tiles[number, top : top + rows, left : left + columns] = picture
        size[number] = rows, columns
    return Thumbnails(tiles, None if (size == (height, width)).all() else size)


def _small(picture: Any, number: int, layout: str | None) -> Pixels:
    if type(picture).__module__.startswith("PIL."):
        is_grey = picture.mode in ("1", "L")
        mode = "L" if is_grey else "RGBA" if "A" in picture.getbands() or "P" in picture.mode else "RGB"
        layout, picture = "HW" if is_grey else "HWC", np.asarray(picture.convert(mode))
    elif len(shape := np.shape(picture)) == 3 and shape[2] in (1, 3) and shape[0] not in (1, 3):
        layout = "HWC"
    try:
        pixels = _opaque(to_uint8(to_hwc(picture, layout))[0])
    except InputError as error:
        raise InputError(f"thumbnail {number} is not a picture: {error}") from None
    return _resized(pixels, fitted(*pixels.shape[:2]))


def _opaque(pixels: Pixels) -> Pixels:
    """Return a picture without transparency, on white."""
    if pixels.shape[2] != 4:
        return pixels
    share = pixels[..., 3:].astype(np.uint32)
    mixed = (pixels[..., :3] * share + _WHITE * (255 - share) + 127) // 255
    return mixed.astype(np.uint8)


def fitted(height: int, width: int) -> tuple[int, int]:
    """Return the size a picture has as a thumbnail: its own, or that which fits, of the same proportions.

    >>> fitted(30, 20), fitted(640, 480)
    ((30, 20), (64, 48))
    """
    scale = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return a picture ``(H, W, 1 or 3)`` at a smaller size; a pixel is the mean over the area it covers."""
    if pixels.shape[:2] == size:
        return pixels
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    small = np.asarray(picture.resize(size[::-1], Image.Resampling.BOX))
    return small if small.ndim == 3 else small[:, :, None]


def in_rows(tiles: Pixels) -> Any:
    """Arrange ``(N, h, w, c)`` as the rows of a sheet, ``(rows, 48, h, w, c)``, filled up with black.

    Those that lie in a file are arranged when they are asked for, row by row.
    """
    rows = -(-len(tiles) // COLUMNS)
    shape = (COLUMNS, *tiles.shape[1:])

    def some(start: int, stop: int) -> Pixels:
        part = tiles[start * COLUMNS : stop * COLUMNS]
        full = np.zeros(((stop - start) * COLUMNS, *tiles.shape[1:]), np.uint8)
        full[: len(part)] = part
        return full.reshape(stop - start, *shape)

    if isinstance(tiles, np.memmap):
        return Blocks((rows, *shape), np.uint8, some)
    return tiles.reshape(rows, *shape) if rows * COLUMNS == len(tiles) else some(0, rows)
