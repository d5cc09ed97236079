"""What the nodes of torch's autograd graph are: rectifiers, linear steps, non-linearities, or not known.

A forward pass leaves a graph of nodes behind, whatever way the network was written: ``nn.ReLU``, ``F.relu``,
``x.relu_()``, ``clamp(min=0)``, scripts, fx and export all end in the same few nodes (METHODS §2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.autograd.graph import Node

_UNSIGNED: Final = 1 << 64


def topological(roots: Iterable[Node]) -> list[Node]:
    """Return the nodes that lead to ``roots``, each after all that lead to it; no recursion, nets are deep."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(child, False) for child in inputs(node)]
    return order


def inputs(node: Node) -> list[Node]:
    """Return the nodes whose results a node takes."""
    return [child for child, _ in node.next_functions if child is not None]


def short_name(node: Node) -> str:
    """Return what the node undoes: ``Relu`` for ``ReluBackward0``; a custom function's name as it is."""
    name = node.name().removeprefix("torch::autograd::")
    stem = name.rstrip("0123456789")
    return stem.removesuffix("Backward") if stem.endswith("Backward") and stem != name else name


def saved(node: Node, name: str) -> Any:
    """Return what the forward pass saved in a node; ``None`` if it saved no such thing."""
    return getattr(node, f"_saved_{name}", None)


def notes(node: Node) -> dict[str, Any]:
    """Return what was written at a node, to read and to write."""
    return cast("dict[str, Any]", node.metadata)


def signed(value: int) -> int:
    """Return a saved integer with its sign: some nodes keep −1 as 2⁶⁴ − 1."""
    return value - _UNSIGNED if value >= _UNSIGNED // 2 else value


def output_shape(node: Node) -> tuple[int, ...] | None:
    """Return the shape of the (first) tensor a node produced, if torch tells."""
    return result_shape(node, 0)


def result_shape(node: Node, output: int) -> tuple[int, ...] | None:
    """Return the shape of one of the tensors a node produced, or of the leaf it stands for, if torch tells."""
    leaf = getattr(node, "variable", None)
    if isinstance(leaf, Tensor):
        return tuple(leaf.shape)
    metadata = getattr(node, "_input_metadata", None)
    return tuple(int(size) for size in metadata[output].shape) if metadata else None


def input_shape(node: Node) -> tuple[int, ...] | None:
    """Return the shape of the tensor a node took, if it was saved."""
    sizes = saved(node, "self_sym_sizes")
    if sizes is not None:
        return tuple(int(size) for size in sizes)
    tensor = saved(node, "self")
    return tuple(tensor.shape) if isinstance(tensor, Tensor) else None


def _zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool((value == 0).all())
    return value is not None and float(value) == 0


def ceiling(node: Node) -> float | None:
    """Return where a rectifier is cut off: 6 for ReLU6, infinity for a ReLU, ``None`` where it differs by place."""
    highest = next((value for name in ("max_val", "max") if (value := saved(node, name)) is not None), float("inf"))
    if isinstance(highest, Tensor):
        return float(highest.flatten()[0]) if bool((highest == highest.flatten()[0]).all()) else None
    return float(highest)


BELOW: Final = "convscope: value below the threshold"
"""Under this name a threshold's node keeps what it puts in place of small values, which torch does not save."""

WRITTEN: Final = "convscope: written in place"
"""Under this name the node of a map, of which a part was written, keeps by which function if that is not linear."""

RECTIFIERS: Final[dict[str, Callable[[Node], bool]]] = {
    "Relu": lambda _: True,
    "Threshold": lambda node: _zero(saved(node, "threshold")) and notes(node).get(BELOW) == 0,
    "Clamp": lambda node: _zero(saved(node, "min")) and ceiling(node) is not None,
    "ClampMin": lambda node: _zero(saved(node, "min")),
    "Hardtanh": lambda node: _zero(saved(node, "min_val")),
}
"""Nodes that pass what is above 0 and nothing below, perhaps up to a ceiling (ReLU6)."""

UNDEFINED: Final = {
    "Silu": "SiLU", "Gelu": "GELU", "Elu": "ELU", "Celu": "CELU", "LeakyRelu": "leaky ReLU", "PreluKernel": "PReLU",
    "Prelu": "PReLU", "RreluWithNoise": "RReLU", "Mish": "Mish", "Hardswish": "hard-swish",
    "Hardsigmoid": "hard sigmoid", "Hardtanh": "hard tanh", "Sigmoid": "sigmoid", "Tanh": "tanh",
    "Softplus": "softplus", "Softmax": "softmax", "Clamp": "clamp",
    "LogSoftmax": "log-softmax", "LogSigmoid": "log-sigmoid", "Glu": "GLU", "Abs": "absolute value",
    "ClampMin": "clamp", "ClampMax": "clamp", "Threshold": "threshold", "Pow": "power", "Exp": "exp", "Log": "log",
    "Sqrt": "square root", "Rsqrt": "inverse square root", "Reciprocal": "reciprocal", "Sign": "sign", "Erf": "erf",
    "NativeLayerNorm": "layer norm", "NativeGroupNorm": "group norm", "FusedRmsNorm": "RMS norm",
    "ScaledDotProductFlashAttentionForCpu": "attention", "ScaledDotProductFlashAttention": "attention",
    "ScaledDotProductEfficientAttention": "attention", "ScaledDotProductFusedAttentionOverrideable": "attention",
    "LinalgVectorNorm": "norm", "Var": "variance", "VarMean": "variance", "Std": "standard deviation",
    "Softshrink": "soft shrink", "Hardshrink": "hard shrink",
}  # fmt: skip
"""Non-linearities for which the rules say nothing, and what people call them."""

NONLINEARITIES: Final = frozenset({
    "Silu", "Gelu", "Elu", "Celu", "LeakyRelu", "PreluKernel", "Prelu", "RreluWithNoise", "Mish", "Hardswish",
    "Hardsigmoid", "Hardtanh", "Sigmoid", "Tanh", "Softplus", "Clamp", "ClampMin", "Threshold", "LogSigmoid",
    "Softshrink", "Hardshrink",
})  # fmt: skip
"""Steps that networks take after a layer, position by position, besides rectifiers."""

LINEAR: Final = frozenset({
    "AccumulateGrad", "Add", "Sub", "Neg", "Alias", "Clone", "ToCopy", "Cat", "Stack", "Split", "SplitWithSizes",
    "Chunk", "Unbind", "Slice", "Select", "Narrow", "Index", "IndexSelect", "Gather", "View", "UnsafeView",
    "ReshapeAlias",
    "Reshape", "Expand", "Squeeze", "Unsqueeze", "Permute", "Transpose", "T", "Flip", "Roll", "Repeat", "AsStrided",
    "Convolution", "MaxPool2DWithIndices", "MaxPool3DWithIndices", "AvgPool2D", "AvgPool3D", "AdaptiveAvgPool2D",
    "AdaptiveMaxPool2D", "MaxUnpool2D", "ConstantPadNd", "ReflectionPad2D", "ReplicationPad2D", "Im2Col", "Col2Im",
    "PixelShuffle", "PixelUnshuffle", "UpsampleNearest2D", "UpsampleNearestExact2D", "UpsampleBilinear2D",
    "UpsampleBicubic2D", "Mean", "Sum", "Amax", "Max", "NativeDropout", "CopySlices", "CudnnConvolution",
})  # fmt: skip
"""Steps that are linear, or a selection: their derivative is their transpose."""

PRODUCTS: Final = frozenset({"Mul", "Div", "Mm", "Bmm", "Addmm", "Baddbmm", "Linear", "Matmul", "Dot", "Mv"})
"""Linear as long as only one factor depends on the image."""

NORMS: Final = frozenset({"NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"})
"""Linear with the statistics of the training set, not with those of the image."""


def is_rectifier(node: Node) -> bool:
    """Whether a node is a ReLU, however it was written."""
    test = RECTIFIERS.get(short_name(node))
    return test is not None and test(node)


def undefined_name(node: Node) -> str | None:
    """Return what a non-linearity without a rule is called, if the node is one."""
    name = short_name(node)
    if name in PRODUCTS and len(inputs(node)) > 1:
        return "product of two maps"
    if name in NORMS and saved(node, "training"):
        return "normalisation by the image's own statistics"
    return None if is_rectifier(node) else UNDEFINED.get(name)


def suspicious_name(node: Node) -> str | None:
    """Return the name of an operation that may hide a ReLU, or that nobody knows."""
    name = short_name(node)
    factors = [saved(node, side) for side in ("self", "other")] if name == "Mul" and len(inputs(node)) == 1 else []
    if any(_is_mask(factor, output_shape(node)) for factor in factors):
        return "mask"
    if name == "CopySlices" and WRITTEN in notes(node):
        return f"{notes(node)[WRITTEN]} on a part of a map"
    known = name in LINEAR or name in NORMS or name in PRODUCTS or is_rectifier(node) or name in UNDEFINED
    return None if known else name


def _is_mask(factor: Any, shape: tuple[int, ...] | None) -> bool:
    """Whether a factor only says yes or no, place by place: ``x * (x > 0)``."""
    if not isinstance(factor, Tensor) or factor.ndim < 3 or tuple(factor.shape) != shape:
        return False
    return factor.dtype == torch.bool or bool(((factor == 0) | (factor == 1)).all())
