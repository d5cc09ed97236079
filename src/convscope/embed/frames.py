"""The frames of a projection: where its points were at each iteration, small enough to keep, send and replay.

The layout of the stored form, for readers in other languages. A record holds three arrays beside ``points``:

``frame_iteration (F,)`` int32, ``frame_kl (F,)`` float64 (NaN where none)
    Which iteration each frame is, and its Kullback-Leibler divergence.
``frame_range (F, d, 2)`` float32
    Frame by frame and dimension by dimension, the positions that the values 0 and 4095 stand for.
``frames`` uint8
    One zlib stream. Inflated, it has ``2 · F · N · d`` bytes: the low bytes of all values, then their high bytes, both
    in the order frame, point, dimension. Low and high byte together are a number modulo 2^16. The values of the first
    frame are positions 0 … 4095; those of each later frame are what has to be added (modulo 2^16) to the one before.

The position is ``low + value / 4095 · (high - low)``.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError

HIGHEST: Final = 4095
"""The largest quantised position: 12 bits."""
_LEVEL: Final = 6


class Frame(NamedTuple):
    """One moment of a projection: the iteration, its divergence (NaN where there is none), the points ``(N, d)``."""

    iteration: int
    kl: float
    points: npt.NDArray[np.float32]


def quantise(points: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """Round positions to 12 bits of each dimension's range.

    >>> quantise(np.array([[0.0, 5.0], [1.0, 5.0]]))[0].tolist()
    [[0, 0], [4095, 0]]

    Parameters
    ----------
    points
        ``(N, d)``, finite.

    Returns
    -------
    values, ranges
        ``(N, d)`` of 0 … 4095, and ``(d, 2)``: the positions that 0 and 4095 stand for.
    """
    positions = np.asarray(points, np.float32)
    ranges = np.stack([positions.min(0), positions.max(0)], axis=1)
    low = ranges[:, 0].astype(np.float64)
    span = ranges[:, 1] - low
    scale = np.divide(HIGHEST, span, out=np.zeros_like(span), where=span > 0)
    return np.rint((positions - low) * scale).astype(np.uint16), ranges


def encode(frames: Sequence[npt.NDArray[Any]]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Pack frames of points into few bytes; see the module for the layout.

    >>> data, ranges = encode([np.eye(3, 2), np.eye(3, 2) * 2])
    >>> ranges.shape, decode(data, ranges)[1].tolist()
    ((2, 2, 2), [[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])

    Parameters
    ----------
    frames
        Arrays ``(N, d)`` of one shape; at least one.

    Returns
    -------
    data, ranges
        The bytes as ``uint8``, and ``(F, d, 2)``.
    """
    parts = [quantise(points) for points in frames]
    return _packed(np.stack([values for values, _ in parts])), np.stack([ranges for _, ranges in parts])


def decode(data: npt.NDArray[np.uint8] | bytes, ranges: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the frames ``(F, N, d)`` that :func:`encode` has packed, each within 1/8190 of its range.

    Raises
    ------
    FormatError
        If the bytes are damaged or do not fit the ranges.
    """
    values = _unpacked(bytes(data), np.asarray(ranges).shape)
    return np.stack([_positions(one, limits) for one, limits in zip(values, np.asarray(ranges), strict=True)])


def _positions(values: npt.NDArray[np.uint16], ranges: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    low, high = ranges[:, 0].astype(np.float64), ranges[:, 1].astype(np.float64)
    points: npt.NDArray[np.float32] = (low + values * ((high - low) / HIGHEST)).astype(np.float32)
    return points


def _packed(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    changes = values.copy()
    changes[1:] -= values[:-1]  # unsigned: differences modulo 2^16
    planes = np.stack([changes & 0xFF, changes >> 8]).astype(np.uint8)
    return np.frombuffer(zlib.compress(planes.tobytes(), _LEVEL), np.uint8)


def _unpacked(data: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
    try:
        planes = np.frombuffer(zlib.decompress(data), np.uint8)
    except zlib.error as error:
        raise FormatError(f"the frames of a projection are damaged: {error}; project the embedding again") from error
    row = 2 * shape[0] * shape[1] if len(shape) == 3 else 0
    if not row or len(planes) % row:
        raise FormatError(f"{len(planes)} bytes of frames do not fit ranges of shape {shape}; project again")
    changes = planes[: len(planes) // 2].astype(np.uint16)
    changes |= planes[len(planes) // 2 :].astype(np.uint16) << 8
    return np.cumsum(changes.reshape(shape[0], -1, shape[1]), axis=0, dtype=np.uint16)


@dataclass(frozen=True)
class Frames:
    """The frames of a projection, quantised: 2 bytes a coordinate in memory, about 0.7 in a record.

    >>> frames = Frames.of([Frame(5, 1.5, np.eye(3, 2)), Frame(10, 1.2, np.eye(3, 2))])
    >>> len(frames), frames.iterations.tolist(), frames.points(1).shape
    (2, [5, 10], (3, 2))

    Attributes
    ----------
    values, ranges
        ``(F, N, d)`` of 0 … 4095 and ``(F, d, 2)``: see :func:`quantise`.
    iterations, kl
        ``(F,)``: which iteration each is, and its divergence (NaN where there is none).
    """

    values: npt.NDArray[np.uint16]
    ranges: npt.NDArray[np.float32]
    iterations: npt.NDArray[np.int32]
    kl: npt.NDArray[np.float64]

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Frames:
        """Make frames of ``(iteration, kl, points)``; at least one."""
        taken = [(iteration, kl, *quantise(points)) for iteration, kl, points in frames]
        numbers, divergences, values, ranges = zip(*taken, strict=True)
        return cls(np.stack(values), np.stack(ranges), np.array(numbers, np.int32), np.array(divergences, np.float64))

    @classmethod
    def from_arrays(cls, arrays: Any) -> Frames:
        """Read frames from the arrays of a record of kind ``projection``."""
        ranges = np.asarray(arrays["frame_range"])
        values = _unpacked(bytes(np.asarray(arrays["frames"])), ranges.shape)
        return cls(values, ranges, np.asarray(arrays["frame_iteration"]), np.asarray(arrays["frame_kl"]))

    def __len__(self) -> int:
        return len(self.values)

    def points(self, frame: int) -> npt.NDArray[np.float32]:
        """Return the positions ``(N, d)`` of one frame."""
        return _positions(self.values[frame], self.ranges[frame])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of a record: ``frames``, ``frame_iteration``, ``frame_kl`` and ``frame_range``."""
        numbers: dict[str, npt.NDArray[Any]] = {
            "frame_iteration": self.iterations,
            "frame_kl": self.kl,
            "frame_range": self.ranges,
        }
        return {"frames": _packed(self.values), **numbers}
