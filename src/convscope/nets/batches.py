"""Batches of one size, so that equal images get equal answers wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


def even_batches(count: int, most: int) -> int:
    """Return the size of at most ``most`` images that cuts ``count`` images into batches of about one size.

    >>> even_batches(1100, 512), even_batches(20, 512)
    (367, 20)
    """
    return -(-count // -(-count // most))


def filled_up(images: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return a short batch with its last image repeated up to ``size``.

    In a batch of another size an image may get other last bits, and equal images would not be equal any more.
    """
    missing = size - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing > 0 else images


def in_batches(images: npt.NDArray[Any], most: int) -> Iterator[tuple[npt.NDArray[Any], int]]:
    """Yield images in batches of one size, and how many of each are not there only to fill it up."""
    size = even_batches(len(images), most)
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield filled_up(part, size), len(part)
