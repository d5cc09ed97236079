"""Models with pairs of QuantizeLinear and DequantizeLinear: computed in float32, rounded where the file rounds."""

from __future__ import annotations

from functools import partial
from typing import Final

import torch
from torch import Tensor, nn

from convscope.nets.onnx.node import Built, Node, Operator, Unsupported
from convscope.nets.onnx.reading import torch_type

LIMITS: Final = {torch.int8: (-128, 127), torch.uint8: (0, 255), torch.int16: (-32768, 32767), torch.int32: None}


def _spread(values: Tensor, like: Tensor, axis: int) -> Tensor:
    """Return one number per position of an axis so that it spreads over a tensor."""
    if values.numel() == 1:
        return values.reshape(())
    shape = [1] * like.ndim
    shape[axis] = -1
    return values.reshape(shape)


def _refuse_blocks(node: Node) -> None:
    if node.get("block_size", 0):
        raise Unsupported(f"{node.op} in blocks")


def _quantize(node: Node) -> Built:
    _refuse_blocks(node)
    return Built(partial(_quantized, axis=node.get("axis", 1), dtype=_type(node)))


def _type(node: Node) -> torch.dtype:
    zero = node.constant(2)
    if node.has(2) and zero is None:
        raise Unsupported("QuantizeLinear whose zero point is computed")
    told = node.get("output_dtype", 0)
    dtype = zero.dtype if zero is not None else torch_type(told) if told else torch.uint8
    if dtype not in LIMITS or dtype == torch.int32:
        raise Unsupported(f"QuantizeLinear to {dtype}")
    return dtype


def _quantized(x: Tensor, scale: Tensor, zero: Tensor | None = None, *, axis: int, dtype: torch.dtype) -> Tensor:
    steps = torch.round(x / _spread(scale, x, axis))
    if zero is not None:
        steps = steps + _spread(zero, x, axis)
    low, high = LIMITS[dtype] or (0, 0)
    return steps.clamp(low, high).to(dtype)


def _dequantize(node: Node) -> Built:
    _refuse_blocks(node)
    return Built(partial(_dequantized, axis=node.get("axis", 1)))


def _dequantized(x: Tensor, scale: Tensor, zero: Tensor | None = None, *, axis: int) -> Tensor:
    values = x.to(scale.dtype)
    if zero is not None:
        values = values - _spread(zero.to(scale.dtype), x, axis)
    return values * _spread(scale, x, axis)


class FakeQuantize(nn.Module):
    """Rounds as the file's pair of QuantizeLinear and DequantizeLinear does; gradients pass where nothing is cut off.

    Parameters
    ----------
    scale, zero
        One number, or one for each position of ``axis``.
    axis
        The axis of those.
    dtype
        The integers in between, whose limits cut values off.
    """

    def __init__(self, scale: Tensor, zero: Tensor | None, axis: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.axis, self.limits = axis, LIMITS[dtype] or (0, 0)
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros_like(scale) if zero is None else zero.to(scale.dtype))
        self.scale: Tensor
        self.zero: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return the rounded values, of the shape of ``x``."""
        scale, zero = (_spread(values, x, self.axis) for values in (self.scale, self.zero))
        low, high = ((limit - zero) * scale for limit in self.limits)
        inside = torch.clamp(x, low.item(), high.item()) if scale.ndim == 0 else torch.clamp(x, low, high)
        with torch.no_grad():
            steps = torch.clamp(torch.round(x / scale) + zero, *self.limits)
            rounding = (steps - zero) * scale - inside
        return inside + rounding


OPERATORS: Final[dict[str, Operator]] = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}


def fused(first: Node, second: Node) -> Built | None:
    """Return one module for two nodes that quantise and undo it, if they agree and their numbers are known."""
    if not first.known(1, 2) or not second.known(1, 2) or first.get("axis", 1) != second.get("axis", 1):
        return None
    scale = first.constant(1)
    for position in (1, 2):
        a, b = first.constant(position), second.constant(position)
        if (a is None) != (b is None) or (a is not None and b is not None and not torch.equal(a, b)):
            return None
    if scale is None or first.get("block_size", 0) or second.get("block_size", 0):
        return None
    return Built(FakeQuantize(scale, first.constant(2), first.get("axis", 1), _type(first)), (0,))
