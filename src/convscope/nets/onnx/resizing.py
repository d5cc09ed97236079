"""Resizing of maps, in all the ways of ``Resize`` and ``Upsample``; sampling on a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from convscope.nets.onnx.node import Built, Node, Operator, Unsupported, axis_of, bounded, numbers

Numbers = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Resizing:
    """How a map is resized: the attributes of ``Resize`` by their names in its definition."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    rounding: str = "round_prefer_floor"
    cubic: float = -0.75
    outside: bool = False
    fill: float = 0.0
    antialias: bool = False
    axes: tuple[int, ...] | None = None
    policy: str = "stretch"


def _resize(node: Node) -> Built:
    kind = Resizing(
        node.get("mode", "nearest"),
        node.get("coordinate_transformation_mode", "half_pixel" if node.opset >= 11 else "asymmetric"),
        node.get("nearest_mode", "round_prefer_floor" if node.opset >= 11 else "floor"),
        node.get("cubic_coeff_a", -0.75),
        bool(node.get("exclude_outside", 0)),
        node.get("extrapolation_value", 0.0),
        bool(node.get("antialias", 0)),
        tuple(node.attributes["axes"]) if "axes" in node.attributes else None,
        node.get("keep_aspect_ratio_policy", "stretch"),
    )
    _check(kind)
    if node.opset < 11:
        return _scaled(node, kind, node.numbers(1, "scales"))
    if node.has(3) and node.numbers(3, "sizes"):
        return Built(partial(_resized, kind=kind), takes=(0, 1, 2, 3), plain=(1, 2, 3))
    if node.has(2) and node.constant(2) is not None and not node.has(3):
        return _scaled(node, kind, node.numbers(2, "scales"))
    return Built(partial(_resized, kind=kind), plain=(1, 2, 3))


def _upsample(node: Node) -> Built:
    mode = {"bilinear": "linear"}.get(node.get("mode", "nearest"), node.get("mode", "nearest"))
    kind = Resizing(mode, "asymmetric", "floor")
    _check(kind)
    return _scaled(node, kind, node.numbers(1, "scales"))


def _check(kind: Resizing) -> None:
    if kind.mode not in ("nearest", "linear", "cubic"):
        raise Unsupported(f"Resize with mode={kind.mode}")
    if kind.coordinates not in COORDINATES:
        raise Unsupported(f"Resize with coordinate_transformation_mode={kind.coordinates}")


def _scaled(node: Node, kind: Resizing, scales: list[float] | None) -> Built:
    """Return torch's own module where it does the same, for scales that are known."""
    if scales is None:
        return Built(partial(_resized_by, kind=kind), takes=(0, 1), plain=(1,))
    own = _torch_mode(kind, scales)
    if own is not None and kind.coordinates != "tf_crop_and_resize":
        mode, corners = own
        factor = tuple(scales[2:])
        return Built(nn.Upsample(scale_factor=factor, mode=mode, align_corners=corners), (0,))
    region = node.constant(1) if node.opset >= 11 and node.has(1) else None
    fixed = numbers(region) if region is not None else None
    return Built(partial(_resized, region=fixed, scales=scales, kind=kind), (0,))


def _torch_mode(kind: Resizing, scales: Sequence[float]) -> tuple[str, bool | None] | None:
    """Return torch's name of a way to resize, if it has one: mode and whether the corners are aligned."""
    if len(scales) != 4 or list(scales[:2]) != [1, 1] or kind.antialias or kind.axes is not None or kind.outside:
        return None
    up = min(scales[2:]) >= 1  # below, the last pixel of a map may be computed differently
    if kind.mode == "nearest" and (kind.coordinates, kind.rounding) == ("asymmetric", "floor"):
        return "nearest", None
    if kind.mode == "linear" and up and kind.coordinates in ("half_pixel", "pytorch_half_pixel"):
        return "bilinear", False
    return None


def _resized_by(x: Tensor, scales: Any, kind: Resizing) -> Tensor:
    return _resized(x, None, scales, kind=kind)


def _resized(x: Tensor, region: Any = None, scales: Any = None, sizes: Any = None, *, kind: Resizing) -> Tensor:
    """Resize axis by axis: each is a product with a matrix of weights."""
    axes = [axis_of(axis, x.ndim) for axis in (kind.axes if kind.axes is not None else range(x.ndim))]
    before = [x.shape[axis] for axis in axes]
    wanted = numbers(sizes) if sizes is not None else []
    if len(wanted):
        factors, after = _by_sizes(before, [int(size) for size in wanted], kind.policy)
    else:
        factors = numbers(scales)
        after = [int(np.floor(size * np.float32(scale))) for size, scale in zip(before, factors, strict=True)]
    bounded(after)
    box = numbers(region) if region is not None and len(numbers(region)) else [0.0] * len(axes) + [1.0] * len(axes)
    missing: Tensor | None = None
    for place, axis in enumerate(axes):
        if factors[place] == 1 and after[place] == before[place] and kind.coordinates != "tf_crop_and_resize":
            continue
        whole = Axis(before[place], after[place], factors[place], box[place], box[place + len(axes)])
        weights, out = axis_weights(whole, kind)
        matrix = torch.from_numpy(weights).to(x)
        x = torch.matmul(x.movedim(axis, -1), matrix.t()).movedim(-1, axis)
        if out.any():
            mask = torch.from_numpy(out).to(x.device).reshape(-1, *(1,) * (x.ndim - 1 - axis))
            missing = mask if missing is None else missing | mask
    return x if missing is None else torch.where(missing, torch.tensor(kind.fill).to(x), x)


def _by_sizes(before: list[int], sizes: list[int], policy: str) -> tuple[list[float], list[int]]:
    factors = [after / size for size, after in zip(before, sizes, strict=True)]
    if policy == "stretch":
        return factors, sizes
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [factor] * len(factors), [int(np.floor(size * factor + 0.5)) for size in before]


def axis_weights(axis: Axis, kind: Resizing) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return what each of the old positions counts for each new one, ``(after, before)``, and which lie outside."""
    before, after = bounded((axis.before, axis.after))
    exact = replace(
        axis, scale=cast("float", np.float32(axis.scale))
    )  # in float32, as others compute it: floors depend on it
    place = COORDINATES[kind.coordinates](np.arange(after, dtype=np.float32), exact).astype(np.float64)
    out = np.zeros(after, bool)
    if kind.coordinates == "tf_crop_and_resize":
        out = (place < 0) | (place > before - 1)
    weights = np.zeros((after, before))
    rows = np.arange(after)
    if kind.mode == "nearest":
        nearest = ROUNDINGS[kind.rounding](place).astype(np.int64)
        weights[rows, np.clip(nearest, 0, before - 1)] = 1
        return weights, out
    reach = 1 if kind.mode == "linear" else 2
    shrink = min(axis.scale, 1.0) if kind.antialias else 1.0
    width = int(np.ceil(reach / shrink))
    low = np.floor(place).astype(np.int64)
    for offset in range(1 - width, width + 1):
        seen = low + offset
        weight = _kernel((place - seen) * shrink, kind)
        if kind.outside:
            weight = np.where((seen < 0) | (seen >= before), 0, weight)
        np.add.at(weights, (rows, np.clip(seen, 0, before - 1)), weight)
    if kind.outside or kind.antialias:
        weights /= weights.sum(axis=1, keepdims=True)
    return weights, out


def _kernel(distance: Numbers, kind: Resizing) -> Numbers:
    d = np.abs(distance)
    if kind.mode == "linear":
        return np.asarray(np.maximum(0, 1 - d))
    a = kind.cubic  # Keys, Cubic convolution interpolation for digital image processing, 1981
    near = ((a + 2) * d - (a + 3)) * d**2 + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


@dataclass(frozen=True)
class Axis:
    """One axis that is resized: its sizes, how many times larger it becomes, and the part of it that is taken."""

    before: int
    after: int
    scale: float
    start: float = 0.0
    end: float = 1.0


def _half_pixel(i: Numbers, axis: Axis) -> Numbers:
    return (i + 0.5) / axis.scale - 0.5


def _asymmetric(i: Numbers, axis: Axis) -> Numbers:
    return i / axis.scale


def _corners(i: Numbers, axis: Axis) -> Numbers:
    length = axis.scale * axis.before
    return i * (axis.before - 1) / (length - 1) if length != 1 else i * 0


def _torch_half_pixel(i: Numbers, axis: Axis) -> Numbers:
    return (i + 0.5) / axis.scale - 0.5 if axis.scale * axis.before > 1 else i * 0


def _half_pixel_symmetric(i: Numbers, axis: Axis) -> Numbers:
    adjustment = axis.after / (axis.scale * axis.before)
    return axis.before / 2 * (1 - adjustment) + (i + 0.5) / axis.scale - 0.5


def _region(i: Numbers, axis: Axis) -> Numbers:
    last = axis.before - 1
    if axis.after > 1:
        return axis.start * last + i * (axis.end - axis.start) * last / (axis.after - 1)
    return 0.5 * (axis.start + axis.end) * last + i * 0


COORDINATES: Final[dict[str, Callable[[Numbers, Axis], Numbers]]] = {
    "half_pixel": _half_pixel,
    "asymmetric": _asymmetric,
    "align_corners": _corners,
    "pytorch_half_pixel": _torch_half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "tf_crop_and_resize": _region,
}
"""Where a new position lies among the old ones, from the positions and the axis."""

ROUNDINGS: Final[dict[str, Callable[[Numbers], Numbers]]] = {
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _grid_sample(node: Node) -> Built:
    mode = node.get("mode", "bilinear")
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    padding, corners = node.get("padding_mode", "zeros"), bool(node.get("align_corners", 0))
    return Built(partial(functional.grid_sample, mode=mode, padding_mode=padding, align_corners=corners))


OPERATORS: Final[dict[str, Operator]] = {"Resize": _resize, "Upsample": _upsample, "GridSample": _grid_sample}
