"""Projections from crops: the pixels a position sees are enough to compute it and to go back from it, exactly.

A crop that starts at a multiple of the layer's stride gives the same values and the same way back as the whole image:
everything between the position and the pixels lies inside its receptive field, and where the field reaches over the
border of the image, so does the crop, and the network's own padding is met again. All crops of a layer have one size,
so they travel in batches. (That a recomputed activation equals the one recorded is checked afterwards.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.inspect.receptive_field import ReceptiveField

Pair = tuple[int, int]

WORTHWHILE: Final = 0.6
"""Crops are taken where they have less than this share of the image's pixels: each needs a forward pass of its own."""


@dataclass(frozen=True)
class Window:
    """The crops of one layer: their size and the grid they start on, each as (vertical, horizontal) in pixels."""

    size: Pair
    stride: Pair
    image: Pair

    def corner(self, box: npt.NDArray[np.int32]) -> Pair:
        """Return where the crop for a field ``(y0, x0, y1, x1)`` starts."""
        y, x = (
            min(max(0, int(box[axis])) // self.stride[axis] * self.stride[axis], self.image[axis] - self.size[axis])
            for axis in range(2)
        )
        return y, x

    def cut(self, image: npt.NDArray[np.float32], corner: Pair) -> npt.NDArray[np.float32]:
        """Return the crop ``(C, h, w)`` of an image ``(C, H, W)``."""
        (y, x), (height, width) = corner, self.size
        return image[:, y : y + height, x : x + width]

    def position(self, y: int, x: int, corner: Pair) -> Pair:
        """Return where position (y, x) of the image's feature map is in the crop's."""
        return y - corner[0] // self.stride[0], x - corner[1] // self.stride[1]


def window(field: ReceptiveField, image: Pair) -> Window | None:
    """Return the crops that serve every position of a layer, or ``None`` where the whole image has to be taken.

    That is so for fields that are the whole image, for images whose size is no multiple of the layer's stride (crops
    at the far border would not be aligned), and where crops would save too little.

    >>> window(ReceptiveField((99, 99), (16, 16), (-41, -41)), (224, 224)).size
    (112, 112)
    """
    if field.is_global or any(image[axis] % field.stride[axis] for axis in range(2)):
        return None
    height, width = (_length(field, axis) for axis in range(2))
    if height * width >= WORTHWHILE * image[0] * image[1] or height > image[0] or width > image[1]:
        return None
    return Window((height, width), field.stride, image)


def _length(field: ReceptiveField, axis: int) -> int:
    """Return the shortest multiple of the stride that holds a field wherever it starts after its crop."""
    stride = field.stride[axis]
    before = field.start[axis] % stride
    return -(-(before + field.size[axis]) // stride) * stride
