"""Shapes: reshaping, cutting, joining and padding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from convscope.nets.onnx.node import (
    Built,
    Node,
    Operator,
    Unsupported,
    axis_of,
    bounded,
    numbers,
    spread_shape,
)

# ---------------------------------------------------------------- reshaping


def _reshape(node: Node) -> Built:
    return Built(partial(_reshaped, allow_zero=bool(node.get("allowzero", 0)), batch=_batch(node)), plain=(1,))


def reshape_to(shape: list[int], node: Node) -> Built:
    """Return what reshapes a node's first input to a known shape."""
    return Built(partial(_reshaped, shape=shape, allow_zero=False, batch=_batch(node)), (0,))


def _batch(node: Node) -> int | None:
    first = node.shapes.get(0, ())[:1]
    return first[0] if first else None


def _reshaped(x: Tensor, shape: Any, *, allow_zero: bool, batch: int | None) -> Tensor:
    """Reshape; where the file has a fixed batch written into the shape, more images than that go through as well."""
    sizes = [int(size) for size in numbers(shape)]
    if not allow_zero:
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    if sizes and sizes[0] > 0:
        sizes[0] *= _images(x, sizes, batch, fixed=isinstance(shape, list))
    return x.reshape(sizes)


def _images(x: Tensor, sizes: list[int], batch: int | None, *, fixed: bool) -> int:
    """Return how many times more images go through than the file has written into a shape.

    A shape that is not ``fixed`` may have been computed from the shape of the images, and fit them already.
    """
    if -1 not in sizes:
        whole = prod(sizes)
        return x.numel() // whole if whole and x.numel() % whole == 0 else 1
    more = x.shape[0] // batch if batch and x.ndim and x.shape[0] % batch == 0 else 1
    return more if more and (sizes[0] % (batch or 1) == 0 if fixed else sizes[0] == batch) else 1


def _flatten(node: Node) -> Built:
    axis, rank = node.get("axis", 1), node.rank()
    if axis == 1 and rank is not None and rank > 1:
        return Built(nn.Flatten(1), (0,))
    return Built(partial(_flattened, axis=axis), (0,))


def _flattened(x: Tensor, axis: int) -> Tensor:
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def _squeeze(node: Node) -> Built:
    if node.has(1):
        return Built(_squeezed, plain=(1,))
    return Built(partial(_squeezed, axes=node.get("axes", None)), (0,))


def _squeezed(x: Tensor, axes: Any = None) -> Tensor:
    if axes is None:
        return x.squeeze()
    dims = sorted((axis_of(int(axis), x.ndim) for axis in numbers(axes)), reverse=True)
    for dim in dims:
        if x.shape[dim] != 1:
            raise ValueError(f"axis {dim} of {tuple(x.shape)} cannot be squeezed: it is not 1")
        x = x.squeeze(dim)
    return x


def _unsqueeze(node: Node) -> Built:
    if node.has(1):
        return Built(_unsqueezed, plain=(1,))
    return Built(partial(_unsqueezed, axes=node.attributes["axes"]), (0,))


def _unsqueezed(x: Tensor, axes: Any) -> Tensor:
    wanted = numbers(axes)
    for dim in sorted(axis_of(int(axis), x.ndim + len(wanted)) for axis in wanted):
        x = x.unsqueeze(dim)
    return x


def _transpose(node: Node) -> Built:
    return Built(partial(_transposed, order=node.get("perm", None)), (0,))


def _transposed(x: Tensor, order: Sequence[int] | None) -> Tensor:
    return x.permute(*(order if order is not None else reversed(range(x.ndim))))


def _expanded(x: Tensor, shape: Any) -> Tensor:
    return x.expand(bounded(spread_shape(x.shape, [int(size) for size in numbers(shape)])))


def _tiled(x: Tensor, repeats: Any) -> Tensor:
    times = [int(count) for count in numbers(repeats)]
    bounded([size * count for size, count in zip(x.shape, times, strict=True)])
    return x.repeat(times)


def _depth_to_space(node: Node) -> Built:
    block = node.attributes["blocksize"]
    if node.get("mode", "DCR") == "CRD":
        return Built(nn.PixelShuffle(block), (0,))
    return Built(partial(_spread, block=block), (0,))


def _spread(x: Tensor, block: int) -> Tensor:
    N, C, H, W = x.shape
    parts = x.reshape(N, block, block, C // block**2, H, W).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(N, C // block**2, H * block, W * block)


def _space_to_depth(node: Node) -> Built:
    block = node.attributes["blocksize"]
    if node.get("mode", "DCR") == "CRD":
        return Built(nn.PixelUnshuffle(block), (0,))
    return Built(partial(_gathered_blocks, block=block), (0,))


def _gathered_blocks(x: Tensor, block: int) -> Tensor:
    N, C, H, W = x.shape
    parts = x.reshape(N, C, H // block, block, W // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(N, C * block**2, H // block, W // block)


# ---------------------------------------------------------------- cutting and joining


def _concat(node: Node) -> Built:
    return Built(partial(_joined, axis=node.attributes["axis"]))


def _joined(*parts: Tensor, axis: int) -> Tensor:
    """Join; a constant made for one image (a class token) is repeated for more of them."""
    images = {part.shape[0] for part in parts if part.ndim > 1}
    if len(images) == 2 and 1 in images and axis % parts[0].ndim:
        parts = tuple(part.expand(max(images), *part.shape[1:]) if part.shape[0] == 1 else part for part in parts)
    return torch.cat(parts, axis)


def _split(node: Node) -> Built:
    axis, count = node.get("axis", 0), len(node.outputs)
    if node.has(1):
        return Built(partial(_parts, axis=axis, count=count), plain=(1,))
    return Built(partial(_parts, sizes=node.get("split", None), axis=axis, count=count), (0,))


def _parts(x: Tensor, sizes: Any = None, *, axis: int, count: int) -> tuple[Tensor, ...]:
    if sizes is not None:
        return tuple(torch.split(x, [int(size) for size in numbers(sizes)], axis))
    size = -(-x.shape[axis] // count)
    return tuple(torch.split(x, size, axis))


def _slice(node: Node) -> Built:
    if "starts" in node.attributes:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
        return Built(partial(_cut, starts=starts, ends=ends, axes=node.get("axes", None)), (0,))
    return Built(_cut, plain=(1, 2, 3, 4))


def _cut(x: Tensor, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Tensor:
    first, last = numbers(starts), numbers(ends)
    dims = numbers(axes) if axes is not None else list(range(len(first)))
    pace = numbers(steps) if steps is not None else [1] * len(first)
    for start, end, axis, step in zip(first, last, dims, pace, strict=True):
        dim = axis_of(int(axis), x.ndim)
        where = range(x.shape[dim])[int(start) : int(end) : int(step)]
        if step > 0:
            x = x[(slice(None),) * dim + (slice(where.start, where.stop, where.step),)]
        else:
            x = x.index_select(dim, torch.tensor(list(where), dtype=torch.long, device=x.device))
    return x


def _gather(node: Node) -> Built:
    index, axis = node.constant(1), node.get("axis", 0)
    if index is not None and index.ndim == 0:
        return Built(partial(_picked, axis=axis, index=int(index)), (0,))
    return Built(partial(_gathered, axis=axis))


def _picked(x: Tensor, axis: int, index: int) -> Tensor:
    return x.select(axis, index)


def _gathered(x: Tensor, index: Tensor, axis: int) -> Tensor:
    dim, index = axis_of(axis, x.ndim), index.to(x.device).long()
    bounded((*x.shape[:dim], *index.shape, *x.shape[dim + 1 :]))
    index = torch.where(index < 0, index + x.shape[dim], index)
    return x.index_select(dim, index.flatten()).reshape(*x.shape[:dim], *index.shape, *x.shape[dim + 1 :])


def _gather_elements(node: Node) -> Built:
    return Built(partial(_elements, axis=node.get("axis", 0)))


def _elements(x: Tensor, index: Tensor, axis: int) -> Tensor:
    return x.gather(axis, torch.where(index < 0, index + x.shape[axis], index).to(x.device))


def _gather_nd(node: Node) -> Built:
    if node.get("batch_dims", 0):
        raise Unsupported("GatherND with batch_dims")
    return Built(_points)


def _points(x: Tensor, index: Tensor) -> Tensor:
    return x[tuple(index.to(x.device).unbind(-1))]


def _scatter_elements(node: Node) -> Built:
    if node.get("reduction", "none") != "none":
        raise Unsupported(f"{node.op} with reduction={node.get('reduction', 'none')}")
    return Built(partial(_scattered, axis=node.get("axis", 0)))


def _scattered(x: Tensor, index: Tensor, updates: Tensor, axis: int) -> Tensor:
    return x.scatter(axis, torch.where(index < 0, index + x.shape[axis], index).to(x.device), updates)


def _scatter_nd(node: Node) -> Built:
    if node.get("reduction", "none") != "none":
        raise Unsupported(f"ScatterND with reduction={node.get('reduction', 'none')}")
    return Built(_replaced)


def _replaced(x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    return x.index_put(tuple(index.to(x.device).unbind(-1)), updates)


def _trilu(node: Node) -> Built:
    call = torch.triu if node.get("upper", 1) else torch.tril
    return Built(partial(_triangle, call=call), plain=(1,))


def _triangle(x: Tensor, k: Any = None, *, call: Any) -> Tensor:
    made: Tensor = call(x, int(numbers(k)[0]) if k is not None else 0)
    return made


# ---------------------------------------------------------------- padding

_PADS: Final = {"reflect": nn.ReflectionPad2d, "edge": nn.ReplicationPad2d}


def _pad(node: Node) -> Built:
    mode = node.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise Unsupported(f"Pad with mode={mode}")
    pads = node.numbers(1, "pads" if "pads" in node.attributes else "paddings")
    value = node.constant(2) if node.has(2) else torch.tensor(node.get("value", 0.0))
    rank = node.rank()
    if pads is None or value is None or node.has(3) or rank is None:
        return Built(partial(_padded, mode=mode, fallback=node.get("value", 0.0)), plain=(1, 3))
    sides = [(int(pads[axis]), int(pads[axis + rank])) for axis in range(rank)]
    if rank == 4 and not any(sides[0] + sides[1]) and min(sides[2] + sides[3]) >= 0:
        widths = (*sides[3], *sides[2])
        if mode in _PADS:
            return Built(_PADS[mode](widths), (0,))
        if mode == "constant":
            return Built(nn.ConstantPad2d(widths, value.item()) if value.item() else nn.ZeroPad2d(widths), (0,))
    return Built(partial(_padded, pads=pads, value=value.item(), mode=mode), (0,))


def _padded(x: Tensor, pads: Any, value: Any = None, axes: Any = None, *, mode: str, fallback: float = 0.0) -> Tensor:
    widths = [int(width) for width in numbers(pads)]
    dims = [axis_of(int(axis), x.ndim) for axis in numbers(axes)] if axes is not None else list(range(x.ndim))
    sides = [(0, 0)] * x.ndim
    for place, dim in enumerate(dims):
        sides[dim] = (widths[place], widths[place + len(dims)])
    bounded([size + max(sum(side), 0) for size, side in zip(x.shape, sides, strict=True)])
    if mode == "constant":
        filling = fallback if value is None else value.item() if isinstance(value, Tensor) else value
        return functional.pad(x, [width for side in reversed(sides) for width in side], value=filling)
    for dim, side in enumerate(sides):
        if any(side):
            x = x.index_select(dim, _beyond(x.shape[dim], side, mode).to(x.device))
    return x


def _beyond(size: int, side: tuple[int, int], mode: str) -> Tensor:
    """Return which positions of an axis are seen when it goes on to both sides."""
    places = torch.arange(-side[0], size + side[1])
    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "wrap":
        return places % size
    period = max(2 * (size - 1), 1)
    places = places % period
    return torch.minimum(places, period - places) if size > 1 else places * 0


OPERATORS: Final[dict[str, Operator]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": lambda _: Built(_expanded, plain=(1,)),
    "Tile": lambda _: Built(_tiled, plain=(1,)),
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "Trilu": _trilu,
    "Pad": _pad,
}
