"""How layers are connected and how they work, read from torch's autograd graph: the same for modules and functions."""

from __future__ import annotations

from collections.abc import Container, Sequence
from math import prod
from typing import Any, Final

from torch import Tensor, nn
from torch.autograd.graph import Node

from convscope.nets.nodes import inputs, saved, short_name
from convscope.nets.observe import FunctionCall
from convscope.nets.seen import Seen


def sources(leaves: Sequence[Seen], depending: Container[Node]) -> dict[str, tuple[str, ...]]:
    """Return for each layer the names of those whose outputs it takes; the image is the empty name.

    The way back from what a layer has made is followed up to what other layers have made. A layer that gives on what
    it was given (dropout in eval mode) stands between the two. ``depending`` are the nodes that depend on the image.
    """
    made_by: dict[Node, str] = {}
    feeds: dict[str, tuple[str, ...]] = {}
    for s in leaves:
        if s.node is None:
            continue
        feeds[s.name] = (made_by[s.node],) if s.node in made_by else _back(s.node, made_by, depending)
        made_by[s.node] = s.name
    return feeds


def _back(start: Node, made_by: dict[Node, str], depending: Container[Node]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    seen: set[Node] = set()
    stack = list(reversed(inputs(start)))
    while stack:
        node = stack.pop()
        if node in seen or node not in depending:
            continue
        seen.add(node)
        if node in made_by:
            found[made_by[node]] = None
        elif short_name(node) == "AccumulateGrad":
            found[""] = None
        else:
            stack += reversed(inputs(node))
    return tuple(found)


def macs(seen: Seen) -> int:
    """Return the multiply-adds of a convolution, a linear layer or a product of matrices, for one image."""
    if isinstance(seen.source, nn.Linear):
        return prod(seen.shape) * seen.source.in_features
    if isinstance(seen.source, FunctionCall) and seen.source.function in _FACTORS:
        place, name, axis = _FACTORS[seen.source.function]
        factor = seen.source.argument(place, name)
        return prod(seen.shape) * int(factor.shape[axis]) if isinstance(factor, Tensor) and factor.ndim > 1 else 0
    if isinstance(seen.source, FunctionCall) and seen.kind in _COUNTED:
        return _COUNTED[seen.kind](seen.source) // seen.batch
    return _convolution(seen) if seen.node is not None and seen.kind.startswith("Conv") else 0


def _convolution(seen: Seen) -> int:
    node = seen.node
    if node is None or short_name(node) != "Convolution":  # a hook of the user's took what it gave, or it is complex
        plain = _plain_convolution(seen)
        return prod(seen.shape) * int(plain.weight[0].numel()) if plain is not None else 0
    weight = saved(node, "weight")
    if not saved(node, "transposed"):
        return prod(seen.shape) * int(weight[0].numel())
    given = saved(node, "input")
    return int(given[0].numel()) * int(weight[0].numel())


def _attention(call: FunctionCall) -> int:
    """Return the multiply-adds of attention for the images that it was called with: ``(…, positions, channels)``."""
    query, key, value = (call.argument(i, name) for i, name in enumerate(("query", "key", "value")))
    if not all(isinstance(part, Tensor) and part.ndim > 1 for part in (query, key, value)):
        return 0
    if call.function == "scaled_dot_product_attention":
        return int(query.numel() * key.shape[-2] + query.shape[:-1].numel() * value.shape[-2] * value.shape[-1])
    width = int(query.shape[-1])  # positions come first here: (positions, images, channels)
    projections = sum(int(part.numel()) * width for part in (query, key, value, query))
    return projections + 2 * int(query.numel()) * int(key.shape[0])


def _einsum(call: FunctionCall) -> int:
    """Return the multiply-adds of a sum over products of two tensors: one for each value of all letters together."""
    factors = [part for part in call.args if isinstance(part, Tensor)]
    written = str(call.args[0]).replace(" ", "").partition("->")[0]
    letters = written.split(",")
    if "." in written or [len(names) for names in letters] != [factor.ndim for factor in factors] or len(factors) != 2:
        return 0
    pairs = zip("".join(letters), [*factors[0].shape, *factors[1].shape], strict=True)
    return prod({name: int(size) for name, size in pairs}.values())


def _plain_convolution(seen: Seen) -> Any:
    """Return the module of a convolution that is not transposed."""
    module = seen.source
    return module if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) else None


def options(seen: Seen) -> dict[str, Any]:
    """Return how a convolution or a pooling works: kernel, stride, padding, dilation and groups, where it has them."""
    node = seen.node
    if node is None or short_name(node) not in _WINDOWS:
        plain = _plain_convolution(seen)
        return {} if plain is None else _said(plain)
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


def _said(convolution: Any) -> dict[str, Any]:
    """Return how a convolution says that it works."""
    found: dict[str, Any] = {"kernel": _whole(convolution.kernel_size), "groups": int(convolution.groups)}
    named = {name: getattr(convolution, name) for name in ("stride", "padding", "dilation")}
    return found | {name: _whole(value) for name, value in named.items() if not isinstance(value, str)}


def _whole(values: Any) -> list[int]:
    return [int(value) for value in values]


_FACTORS: Final = {"linear": (1, "weight", -1), "addmm": (1, "mat1", -1), "matmul": (1, "other", -2)}
"""Of products, the argument and its axis that say how many numbers are multiplied for each result."""

_COUNTED: Final = {"Attention": _attention, "Einsum": _einsum}
"""What functions cost whose cost is not told by the size of what they give."""

_WINDOWS: Final = frozenset({"Convolution", "MaxPool2DWithIndices", "AvgPool2D"})
