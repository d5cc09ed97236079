"""A layer's answer to a set of images, as an embedding with labels and thumbnails (METHODS §9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed import Embedding
from convscope.inspect.patches import shrink, tile_size
from convscope.nets.batches import even_batches, filled_up
from convscope.nets.data import ImageSet

THUMBNAIL: Final = 48
"""Thumbnails have at most so many pixels a side."""
_BATCH: Final = 250

Answer = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]


def embed(
    answer: Answer, images: ImageSet, count: int | None, columns: Mapping[str, Sequence[Any]] | None, **about: str
) -> Embedding:
    """Embed the first ``count`` images by what ``answer`` says to them: feature maps are averaged over their positions.

    Parameters
    ----------
    answer
        From images ``(n, C, H, W)`` to a layer's output, ``(n, C, H, W)`` or ``(n, D)``.
    images, count
        The images and how many of them; all by default.
    columns
        More that is known of each.
    about
        ``layer`` and ``network``.
    """
    number = len(images) if count is None else min(count, len(images))
    size = even_batches(number, _BATCH)
    parts = []
    for start in range(0, number, size):
        pixels = images.images(start, min(start + size, number))
        values = answer(filled_up(pixels, size))[: len(pixels)]
        parts.append(values.mean((2, 3)) if values.ndim == 4 else values.reshape(len(values), -1))
    return Embedding(
        np.concatenate(parts),
        None if images.labels is None else images.labels[:number],
        label_names=images.label_names,
        columns=columns or {},
        thumbnails=_thumbnails(images, number),
        dataset=images.name,
        meta={"preprocessing": images.preprocessing.to_json()},
        **about,
    )


def _thumbnails(images: ImageSet, count: int) -> npt.NDArray[np.uint8]:
    """Return small pictures ``(count, h, w, c)``, all of one size; those of other shapes are fitted into it."""
    first = images.display(0)
    size = tile_size((first.shape[0], first.shape[1]), THUMBNAIL)
    return np.stack([shrink(images.display(i), size) for i in range(count)])
