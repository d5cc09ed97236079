"""Rays through a volume, followed slowly in NumPy: what the pictures of the browser are held against.

Coordinates are those of the textures: x along columns, y along rows, z along channels, 0 to 1 in the box.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LONGEST = 1.15
REFERENCE = 128
FOV = 40.0


@dataclass(frozen=True)
class View:
    """A volume of shares of the scale (C, H, W), the camera and the size of the picture."""

    values: Floats
    camera: dict[str, Any]
    width: int
    height: int
    clip: tuple[float, ...] | None = None
    slices: tuple[int, int, int] | None = None
    """Column, row, channel."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Pixels by which the rays miss the middles of the pixels."""

    @property
    def size(self) -> Floats:
        return np.array(self.values.shape[::-1], float)

    @property
    def extent(self) -> Floats:
        """Edges of the box: the depth is between 0.55 and 1.5 of the longer side of a map."""
        width, height, channels = self.size
        side = max(width, height)
        edges = np.array([width, height, np.clip(channels / side, 0.55, 1.5) * side])
        return np.asarray(edges * LONGEST / edges.max())

    def moved(self, x: float, y: float) -> View:
        return replace(self, shift=(x, y))

    def rays(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Eye (3,), directions (R, 3), and where they enter and leave what the clipping leaves, (R,)."""
        yaw, pitch = self.camera["yaw"], self.camera["pitch"]
        back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        eye = np.array(self.camera["target"]) + self.camera["distance"] * back
        right = np.cross([0, 1, 0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        half = np.tan(np.radians(FOV / 2))
        x = (2 * (np.arange(self.width) + 0.5 + self.shift[0]) / self.width - 1) * half * self.width / self.height
        y = (1 - 2 * (np.arange(self.height) + 0.5 + self.shift[1]) / self.height) * half
        ways = x[None, :, None] * right + y[:, None, None] * up - back
        flip = np.array([1, -1, -1]) / self.extent
        eye, ways = eye * flip + 0.5, ways.reshape(-1, 3) * flip
        sides = np.array(self.clip or (0, self.size[0], 0, self.size[1], 0, self.size[2])).reshape(3, 2)
        low, high = (sides / self.size[:, None]).T
        with np.errstate(divide="ignore"):
            a, b = (low - eye) / ways, (high - eye) / ways
        near = np.maximum(np.minimum(a, b).max(1), 0)
        return eye, ways, near, np.maximum(a, b).min(1)

    def planes(self) -> Floats:
        """Where the rays meet the first slice plane, infinite where none."""
        eye, ways, near, far = self.rays()
        assert self.slices is not None
        hits = ((np.array(self.slices) + 0.5) / self.size - eye) / ways
        hits[(hits < near[:, None]) | (hits > far[:, None])] = np.inf
        return np.asarray(hits.min(1))

    def voxel_at(self, points: Floats) -> npt.NDArray[np.intp]:
        """(…, 3) places to (…, 3) indices: column, row, channel."""
        return np.clip(np.floor(points * self.size), 0, self.size - 1).astype(np.intp)

    def read(self, index: npt.NDArray[np.intp]) -> Floats:
        return np.asarray(self.values[index[..., 2], index[..., 1], index[..., 0]])


@dataclass(frozen=True)
class Pieces:
    """What the rays pass, (R, N): values, lengths in scene units (0 where there is nothing), places (R, N, 3)."""

    values: Floats
    lengths: Floats
    places: Floats


def crossed(view: View) -> Pieces:
    """Every voxel that a ray passes, with the length of the ray in it: all crossings of all faces, sorted."""
    eye, ways, near, far = view.rays()
    faces = [np.arange(count + 1) / count for count in view.size.astype(int)]
    ts = np.concatenate([(faces[axis] - eye[axis]) / ways[:, axis, None] for axis in range(3)], axis=1)
    ts = np.sort(np.clip(ts, near[:, None], np.maximum(far, near)[:, None]), axis=1)
    places = eye + ways[:, None] * ((ts[:, 1:] + ts[:, :-1]) / 2)[..., None]
    lengths = np.diff(ts, axis=1) * np.linalg.norm(ways * view.extent, axis=1)[:, None]
    return Pieces(view.read(view.voxel_at(places)), lengths, places)


def sampled(view: View, rate: float = 1.5) -> Pieces:
    """Trilinear samples at equal distances, the first half a step behind the face."""
    eye, ways, near, far = view.rays()
    stride = (view.extent / view.size).min() / rate
    pace = stride / np.linalg.norm(ways * view.extent, axis=1)
    count = int(np.ceil((far - near) / pace).max())
    ts = near[:, None] + (np.arange(max(count, 1)) + 0.5) * pace[:, None]
    places = eye + ways[:, None] * ts[..., None]
    at = np.clip(places * view.size - 0.5, 0, view.size - 1)
    low = np.floor(at).astype(np.intp)
    share, values = at - low, np.zeros(ts.shape)
    for corner in np.ndindex(2, 2, 2):
        index = np.minimum(low + corner, view.size.astype(int) - 1)
        values += np.prod(np.where(corner, share, 1 - share), axis=-1) * view.read(index)
    return Pieces(values, np.where(ts < far[:, None], stride, 0), places)


def maximum(pieces: Pieces, zero: float | None = None) -> Floats:
    """The strongest value of every ray (R,), 0 where there is none; of signed ones that farthest from ``zero``."""
    strength = pieces.values if zero is None else np.abs(pieces.values - zero)
    strength = np.where(pieces.lengths > 0, strength, -1)
    best = strength.argmax(1)
    rays = np.arange(len(best))
    return np.asarray(np.where(strength[rays, best] < 0, 0, pieces.values[rays, best]))


def composite(pieces: Pieces, transfer: npt.NDArray[np.uint8], opacity: float) -> tuple[Floats, Floats]:
    """Colour over black (R, 3), and what each piece adds to its ray, (R, N): exact absorption, front to back."""
    level = np.rint(pieces.values * 255).astype(int)
    alpha = np.minimum(transfer[level, 3] / 255 * opacity, 0.9999)
    passed = np.exp(np.log1p(-alpha) * pieces.lengths * REFERENCE / LONGEST)
    light = np.cumprod(np.concatenate([np.ones((len(passed), 1)), passed], axis=1), axis=1)[:, :-1]
    added = light * (1 - passed)
    return (added[..., None] * transfer[level, :3] / 255).sum(1), added
