"""How layers are connected and how they work, read from torch's autograd graph: the same for modules and functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

from torch import Tensor, nn
from torch.autograd.graph import Node

from convscope.nets.nodes import inputs, saved, short_name
from convscope.nets.observe import FunctionCall
from convscope.nets.seen import Seen


def sources(leaves: Sequence[Seen]) -> dict[str, tuple[str, ...]]:
    """Return for each layer the names of those whose outputs it takes; the image is the empty name.

    The way back from what a layer has made is followed up to what other layers have made. A layer that gives on what
    it was given (dropout in eval mode) stands between the two.
    """
    made_by: dict[Node, str] = {}
    feeds: dict[str, tuple[str, ...]] = {}
    for s in leaves:
        if s.node is None:
            continue
        feeds[s.name] = (made_by[s.node],) if s.node in made_by else _back(s.node, made_by)
        made_by[s.node] = s.name
    return feeds


def _back(start: Node, made_by: dict[Node, str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    seen: set[Node] = set()
    stack = list(reversed(inputs(start)))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in made_by:
            found[made_by[node]] = None
        elif short_name(node) == "AccumulateGrad":  # without gradients of parameters only the image is a leaf
            found[""] = None
        else:
            stack += reversed(inputs(node))
    return tuple(found)


def macs(seen: Seen) -> int:
    """Return the multiply-adds of a convolution, a linear layer or a product of matrices, for one image."""
    if isinstance(seen.source, nn.Linear):
        return prod(seen.shape) * seen.source.in_features
    if isinstance(seen.source, FunctionCall) and seen.source.function in ("linear", "matmul"):
        factor = seen.source.argument(1, "weight" if seen.source.function == "linear" else "other")
        axis = -1 if seen.source.function == "linear" else -2
        return prod(seen.shape) * int(factor.shape[axis]) if isinstance(factor, Tensor) and factor.ndim > 1 else 0
    node = seen.node
    if node is None or short_name(node) != "Convolution" or not seen.kind.startswith(("Conv", "LazyConv")):
        return 0
    weight = saved(node, "weight")
    if not saved(node, "transposed"):
        return prod(seen.shape) * int(weight[0].numel())
    given = saved(node, "input")
    return int(given[0].numel()) * int(weight[0].numel())


def options(seen: Seen) -> dict[str, Any]:
    """Return how a convolution or a pooling works: kernel, stride, padding, dilation and groups, where it has them."""
    node = seen.node
    if node is None or short_name(node) not in _WINDOWS:
        return {}
    found: dict[str, Any] = {}
    if short_name(node) == "Convolution":
        weight = saved(node, "weight")
        found["kernel"] = [int(side) for side in weight.shape[2:]]
        found["groups"] = int(saved(node, "groups"))
    else:
        found["kernel"] = _whole(saved(node, "kernel_size"))
    for name in ("stride", "padding", "dilation"):
        if (value := saved(node, name)) is not None:
            found[name] = _whole(value) or found["kernel"]
    return found


def _whole(values: Any) -> list[int]:
    return [int(value) for value in values]


_WINDOWS: Final = frozenset({"Convolution", "MaxPool2DWithIndices", "AvgPool2D"})
