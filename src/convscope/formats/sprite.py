"""A sprite: the thumbnails of many points in one PNG, as TensorBoard's projector takes it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import to_uint8
from convscope.formats import png

LONGEST_SIDE: Final = 8192


@dataclass(frozen=True)
class Sprite:
    """Thumbnails in rows, as many in a row as there are rows.

    Attributes
    ----------
    png
        The picture.
    width, height
        The size of one thumbnail in it, in pixels.
    clipped
        How many numbers lay outside the range and were clipped.
    """

    png: bytes
    width: int
    height: int
    clipped: int


def make_sprite(thumbnails: npt.NDArray[Any]) -> Sprite:
    """Put thumbnails side by side, ``ceil(sqrt(N))`` in a row; they are shrunk where the sprite would be too large.

    The projector divides by the number of rows where it means columns, so there are as many of the one as of the other.

    Parameters
    ----------
    thumbnails
        ``(N, H, W, C)`` with 1, 3 or 4 channels, of any type that :func:`~convscope.arrays.to_uint8` takes.
    """
    count, height, width, channels = thumbnails.shape
    columns = math.isqrt(count - 1) + 1
    fitted_height, fitted_width = fit(height, width, columns)
    sheet = np.zeros((columns, fitted_height, columns, fitted_width, channels), np.uint8)
    clipped = 0
    for row in range(-(-count // columns)):  # a row at a time stays in the processor's cache
        pixels, outside = to_uint8(thumbnails[row * columns : (row + 1) * columns])
        clipped += outside
        if (fitted_height, fitted_width) != (height, width):
            pixels = shrink(pixels, fitted_height, fitted_width)
        for channel in range(channels):
            sheet[row, :, : len(pixels), :, channel] = pixels[..., channel].swapaxes(0, 1)
    picture = sheet.reshape(columns * fitted_height, columns * fitted_width, channels)
    return Sprite(png.encode(picture), fitted_width, fitted_height, clipped)


def fit(height: int, width: int, columns: int) -> tuple[int, int]:
    """Return the largest size of a thumbnail, of the same proportions, with which a sprite can be shown.

    >>> fit(64, 64, 48), fit(64, 32, 200)
    ((64, 64), (40, 20))
    """
    longest = LONGEST_SIDE // columns
    if max(height, width) <= longest:
        return height, width
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return pictures ``(N, H, W, C)`` at a smaller size; a pixel is the mean over the area it covers."""
    rows, columns = _coverage(pixels.shape[1], height), _coverage(pixels.shape[2], width)
    narrow = np.einsum("nhwc,xw->nhxc", pixels.astype(np.float32), columns, optimize=True)
    mean: npt.NDArray[np.float32] = np.einsum("nhxc,yh->nyxc", narrow, rows, optimize=True)
    return np.rint(mean).astype(np.uint8)


def _coverage(size: int, target: int) -> npt.NDArray[np.float32]:
    """Return how much of each pixel of a line goes into each of a shorter one, ``(target, size)``; rows sum to 1."""
    edges = np.arange(target + 1) * (size / target)
    low = np.maximum(edges[:-1, None], np.arange(size))
    high = np.minimum(edges[1:, None], np.arange(1, size + 1))
    covered: npt.NDArray[np.float64] = np.maximum(high - low, 0) * (target / size)
    return covered.astype(np.float32)
