"""The frames of a projection that forms: those that are held for a record, and the newest as it goes over the wire."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.frames import Frame

MOST_FRAMES: Final = 150
MOST_FRAME_BYTES: Final = 256 << 20
HIGHEST: Final = 65535


class Thinned:
    """Frames, and of many only every second, every fourth …: as many as a record is to have.

    >>> thinned = Thinned(4)
    >>> for n in range(9):
    ...     thinned.add(Frame(n, 0.0, np.zeros((1, 2), np.float32)))
    >>> [frame.iteration for frame in thinned.all()]
    [0, 4, 8]
    """

    def __init__(self, most: int = MOST_FRAMES) -> None:
        self._most, self._every, self._count = most, 1, 0
        self._kept: list[Frame] = []
        self.newest: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Take a frame."""
        frame = frame._replace(points=np.array(frame.points, np.float32))
        room = max(min(self._most, MOST_FRAME_BYTES // max(frame.points.nbytes, 1)), 2)
        if self._count % self._every == 0:
            self._kept.append(frame)
        if len(self._kept) > room:
            self._kept, self._every = self._kept[::2], 2 * self._every
        self._count += 1
        self.newest = frame

    def forget(self) -> None:
        """Keep only the newest."""
        self._kept = []

    def all(self) -> list[Frame]:
        """Return the frames that are kept, and the newest."""
        last = [] if self.newest is None or (self._kept and self._kept[-1] is self.newest) else [self.newest]
        return self._kept + last


def packed(status: Mapping[str, Any], points: npt.NDArray[np.float32] | None = None) -> bytes:
    """Return a status and positions as they go over the wire.

    A 32-bit length and that much JSON, then a 32-bit length and that much data: the positions, point by point, as
    16-bit numbers. ``ranges`` in the JSON says, dimension by dimension, what 0 and 65535 stand for. All little-endian.
    """
    told, data = dict(status), b""
    if points is not None:
        low, high = points.min(0).astype(np.float64), points.max(0).astype(np.float64)
        scale = HIGHEST / np.where(high > low, high - low, 1)
        told["ranges"] = np.stack([low, high], 1).tolist()
        data = np.rint((points - low) * scale).astype("<u2").tobytes()
    text = json.dumps(told, allow_nan=False).encode()
    return struct.pack("<I", len(text)) + text + struct.pack("<I", len(data)) + data
