"""Receptive fields: which pixels of the input one position of a feature map can see (METHODS §1, [Araujo19])."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Pair = tuple[int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ReceptiveField:
    """What the positions of one feature map see, in pixels of the network's input, each pair as (vertical, horizontal).

    >>> conv1 = ReceptiveField().through(kernel=(11, 11), stride=(4, 4), padding=(2, 2))
    >>> conv1.size, conv1.stride, conv1.box(0, 1, 224, 224)
    ((11, 11), (4, 4), (0, 2, 9, 13))

    Attributes
    ----------
    size
        Height and width of the field.
    stride
        How far the field moves from one position to the next (the jump).
    start
        Top and left edge of the field of position (0, 0); negative where padding is seen.
    reason
        Why every position sees the whole image; empty where that is not so. Such a field has stride 0.
    extent
        What all positions together can see, ``(y0, x0, y1, x1)``, half-open; ``None`` where that is not known. Windows
        that do not fit leave out the last pixels of an image, though the fields of the layers above reach over them.
    """

    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    start: Pair = (0, 0)
    reason: str = ""
    extent: Box | None = field(default=None, compare=False)

    @classmethod
    def whole(cls, size: Pair, reason: str) -> ReceptiveField:
        """Return the field that is the whole image of ``size``, and say why."""
        return cls(size, (0, 0), (0, 0), reason)

    @property
    def is_global(self) -> bool:
        """Whether every position sees the whole image."""
        return bool(self.reason)

    def through(
        self, kernel: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1)
    ) -> ReceptiveField:
        """Return the field after a convolution or pooling (METHODS §1): r' = r + (k−1)·d·j, j' = j·t, s' = s − p·j."""
        if self.is_global:
            return self
        axes = range(2)
        return ReceptiveField(
            _pair(self.size[i] + (kernel[i] - 1) * dilation[i] * self.stride[i] for i in axes),
            _pair(self.stride[i] * stride[i] for i in axes),
            _pair(self.start[i] - padding[i] * self.stride[i] for i in axes),
            extent=self.extent,
        )

    def limited(self, rows: int, columns: int) -> ReceptiveField:
        """Return the field of a map of so many positions: what lies beyond its last one is not seen by any layer above.

        >>> patches = ReceptiveField(extent=(0, 0, 128, 128)).through((7, 7), (7, 7)).limited(18, 18)
        >>> patches.extent, patches.through((9, 9), padding=(4, 4)).box(17, 17, 128, 128)
        ((0, 0, 126, 126), (91, 91, 126, 126))
        """
        if self.extent is None or self.is_global:
            return self
        count = (rows, columns)
        first = [max(self.extent[i], self.start[i]) for i in range(2)]
        last = [
            min(self.extent[i + 2], self.start[i] + (count[i] - 1) * self.stride[i] + self.size[i]) for i in range(2)
        ]
        return replace(self, extent=(first[0], first[1], last[0], last[1]))

    def union(self, other: ReceptiveField, image: Pair) -> ReceptiveField:
        """Return the smallest field that holds both, where two branches meet.

        Branches whose fields move at different speeds have no common field; together they see the whole ``image``.
        """
        if self.is_global or other.is_global:
            return self if self.is_global else other
        if self.stride != other.stride:
            return self.whole(image, f"branches of strides {self.stride} and {other.stride} meet")
        start = _pair(min(a, b) for a, b in zip(self.start, other.start, strict=True))
        ends = [max(f.start[i] + f.size[i] for f in (self, other)) for i in range(2)]
        return ReceptiveField(
            (ends[0] - start[0], ends[1] - start[1]), self.stride, start, extent=_together(self.extent, other.extent)
        )

    def box(self, y: int, x: int, height: int, width: int, clip: bool = True) -> tuple[int, int, int, int]:
        """Return the field of position (y, x) as ``(y0, x0, y1, x1)``, half-open, cut at the border of the image."""
        y0, x0, y1, x1 = (int(edge) for edge in self.boxes(np.array([[y, x]]))[0])
        if not clip:
            return y0, x0, y1, x1
        top, left, bottom, right = self.extent or (0, 0, height, width)
        return max(0, top, y0), max(0, left, x0), min(height, bottom, y1), min(width, right, x1)

    def boxes(self, positions: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
        """Return the fields of positions ``(..., 2)`` as ``(..., 4)``: y0, x0, y1, x1, half-open and not cut."""
        corner = np.asarray(self.start) + positions * np.asarray(self.stride)
        return np.concatenate([corner, corner + np.asarray(self.size)], axis=-1).astype(np.int32)

    def to_json(self) -> dict[str, Any]:
        """Return the field for the meta of a record."""
        extent = None if self.extent is None else list(self.extent)
        plain = {"size": list(self.size), "stride": list(self.stride), "start": list(self.start)}
        return {**plain, "reason": self.reason, "extent": extent}


def _together(a: Box | None, b: Box | None) -> Box | None:
    if a is None or b is None:
        return None
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _pair(values: Any) -> Pair:
    first, second = values
    return int(first), int(second)
