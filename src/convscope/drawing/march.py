"""A volume as the browser's page shows it, followed ray by ray in NumPy: the same box, camera, colours and opacity.

Coordinates are shares of the box: x along columns, y down rows, z along channels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, cos, radians, sin, tan
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.drawing.shapes import Colour, Pixels, Points

Floats = npt.NDArray[np.float64]

FOV: Final = 40.0
_LONGEST: Final = 1.15  # the longest edge of the box in units of the scene
_DEPTHS: Final = (0.55, 1.5)  # of the stack, relative to the longer side of a map
_REFERENCE: Final = _LONGEST / 128  # opacities are of this length
_MOST: Final = 0.9999  # no matter is fully opaque, or its extinction would be infinite
_RATE: Final = 3.0  # samples an edge of a voxel
_STEPS: Final = 800
_WORK: Final = 6e7
"""Samples of a picture at most; finer pictures are drawn a little coarser and enlarged."""


@dataclass(frozen=True)
class Camera:
    """Where one stands: turned by and looked down by (radians), and how far away; the box is about 1 long."""

    yaw: float = 0.62
    pitch: float = 0.36
    distance: float = 2.75

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Return right, up and back, ``(3,)`` each."""
        back = np.array([sin(self.yaw) * cos(self.pitch), sin(self.pitch), cos(self.yaw) * cos(self.pitch)])
        right = np.cross([0.0, 1.0, 0.0], back)
        right /= np.linalg.norm(right)
        return right, np.cross(back, right), back


def extent_of(shape: tuple[int, int, int]) -> Floats:
    """Return the edges of the box along x, y and z of a volume ``(C, H, W)``, in units of the scene."""
    channels, height, width = shape
    side = max(height, width)
    edges = np.array([width, height, np.clip(channels / side, *_DEPTHS) * side], np.float64)
    return np.asarray(edges * _LONGEST / edges.max())


def projected(places: Floats, shape: tuple[int, int, int], camera: Camera) -> Points:
    """Return where places of the box, ``(n, 3)``, are seen: 0 to 1 from the left and from the top of a square."""
    right, up, back = camera.axes()
    points = (places - 0.5) * extent_of(shape) * (1, -1, -1) - camera.distance * back
    half = tan(radians(FOV / 2)) * (points @ -back)
    return np.column_stack([0.5 + points @ right / half / 2, 0.5 - points @ up / half / 2])


def opacity_ramp(*, signed: bool, threshold: float = 0.1) -> Floats:
    """Return how opaque each of 256 values is: the page's ramp; of signed scales zero, in the middle, stays clear."""
    at = np.arange(256) / 255
    if signed:
        return np.interp(at, [0, 0.5 - threshold / 2, 0.5 + threshold / 2, 1], [1, 0, 0, 1])
    return np.interp(at, [0, threshold, 1], [0, 0, 1])


@dataclass(frozen=True)
class Matter:
    """A volume as shares of its scale: ``values (C, H, W)``, the colours and the opacities of 256 of them."""

    values: npt.NDArray[np.float32]
    colours: Pixels
    ramp: Floats
    opacity: float = 0.5
    camera: Camera = field(default_factory=Camera)


def marched(matter: Matter, pixels: int, ground: Colour) -> Pixels:
    """Return what is seen of a volume, ``(n, n, 3)`` with at most ``pixels`` a side.

    Samples are taken at equal distances, between eight voxels each, and added up from the front to the back.
    """
    shape = matter.values.shape
    size = np.array(shape[::-1], np.float64)
    extent = extent_of((shape[0], shape[1], shape[2]))
    stride = max(float((extent / size).min()) / _RATE, float(np.linalg.norm(extent)) / _STEPS)
    steps = float(np.linalg.norm(extent)) / stride
    side = int(min(pixels, max(120.0, (_WORK / steps / 0.25) ** 0.5)))
    eye, ways = _rays(side, extent, matter.camera)
    with np.errstate(divide="ignore"):
        ends = np.stack([(0 - eye) / ways, (1 - eye) / ways])
    near, far = np.maximum(ends.min(0).max(1), 0), ends.max(0).min(1)
    hit = np.flatnonzero(near < far)
    colour, alpha = np.zeros((side * side, 3), np.float32), np.zeros(side * side, np.float32)
    colour[hit], alpha[hit] = _added(matter, eye, ways[hit], (near[hit], far[hit]), (extent, stride))
    whole = colour + (1 - alpha)[:, None] * np.array(ground, np.float32) / 255
    return np.rint(np.clip(whole, 0, 1) * 255).astype(np.uint8).reshape(side, side, 3)


def _rays(side: int, extent: Floats, camera: Camera) -> tuple[Floats, Floats]:
    """Return the eye ``(3,)`` and the way through every pixel ``(R, 3)``, both in shares of the box."""
    right, up, back = camera.axes()
    half = tan(radians(FOV / 2))
    across = (2 * (np.arange(side) + 0.5) / side - 1) * half
    ways = across[None, :, None] * right - across[:, None, None] * up - back
    flip = np.array([1, -1, -1]) / extent
    ways = (ways * flip).reshape(-1, 3)
    return camera.distance * back * flip + 0.5, np.where(np.abs(ways) < 1e-9, 1e-9, ways)


def _added(
    matter: Matter, eye: Floats, ways: Floats, between: tuple[Floats, Floats], space: tuple[Floats, float]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return colour ``(R, 3)`` and opacity ``(R,)`` of rays, step by step; those that see nothing more are left."""
    extent, stride = space
    extinction = -np.log(1 - np.minimum(matter.ramp * matter.opacity, _MOST)) / _REFERENCE
    opaque = (1 - np.exp(-extinction * stride)).astype(np.float32)
    table = np.column_stack([matter.colours / 255 * opaque[:, None], opaque]).astype(np.float32)
    pace = stride / np.linalg.norm(ways * extent, axis=1)
    first, count = between[0] + 0.5 * pace, np.ceil((between[1] - between[0]) / pace - 0.5).astype(np.int64)
    total = np.zeros((len(ways), 4), np.float32)
    active, flat, shape = np.arange(len(ways)), matter.values.ravel(), matter.values.shape
    begin, step = (eye + ways * first[:, None]).astype(np.float32), (ways * pace[:, None]).astype(np.float32)
    for number in range(ceil(count.max(initial=0))):
        active = active[(count[active] > number) & (total[active, 3] <= 0.99)]
        if not len(active):
            break
        value = _between(flat, shape, begin[active] + np.float32(number) * step[active])
        total[active] += (1 - total[active, 3:]) * table[np.rint(value * 255).astype(np.uint8)]
    return total[:, :3], total[:, 3]


def _between(
    flat: npt.NDArray[np.float32], shape: tuple[int, ...], places: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the values at places ``(R, 3)``, trilinear between the eight voxels around each."""
    sizes = np.array(shape[::-1], np.float32)
    at = np.clip(places * sizes - np.float32(0.5), 0, sizes - 1)
    low = at.astype(np.int32)
    share = at - low
    x0, y0, z0 = low.T
    x1, y1, z1 = np.minimum(low + 1, np.array(shape[::-1]) - 1).T
    (height, width), (x, y, z) = shape[1:], share.T
    rows = [
        (z0 * height + y0) * width,
        (z0 * height + y1) * width,
        (z1 * height + y0) * width,
        (z1 * height + y1) * width,
    ]
    a, b, c, d = (flat[row + x0] * (1 - x) + flat[row + x1] * x for row in rows)
    front, behind = a * (1 - y) + b * y, c * (1 - y) + d * y
    return np.asarray(front * (1 - z) + behind * z, np.float32)
