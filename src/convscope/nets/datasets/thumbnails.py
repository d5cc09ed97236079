"""Small pictures to look at: the whole of each, with its aspect kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convscope.inspect.patches import tile_size

if TYPE_CHECKING:
    from PIL.Image import Image


def thumbnail(picture: Image | npt.NDArray[np.uint8], side: int, channels: int) -> npt.NDArray[np.uint8]:
    """Return a picture shrunk until no side has more than ``side`` pixels, ``(h, w, channels)``; never enlarged.

    >>> thumbnail(np.zeros((30, 90, 3), np.uint8), 48, 3).shape, thumbnail(np.zeros((8, 8, 1), np.uint8), 48, 1).shape
    ((16, 48, 3), (8, 8, 1))

    Parameters
    ----------
    picture
        As Pillow has it, or ``uint8`` pixels ``(H, W, 1)`` or ``(H, W, 3)``.
    side
        Pixels.
    channels
        1 for grey, 3 for colours.
    """
    if isinstance(picture, np.ndarray):
        size = tile_size((picture.shape[0], picture.shape[1]), side)
        if size == picture.shape[:2] and picture.shape[2] == channels:
            return picture
    from PIL import Image as Pillow

    if isinstance(picture, np.ndarray):
        picture = Pillow.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else np.ascontiguousarray(picture))
    height, width = tile_size((picture.height, picture.width), side)
    small = picture.convert("L" if channels == 1 else "RGB").resize((width, height), Pillow.Resampling.BOX)
    pixels = np.asarray(small)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
