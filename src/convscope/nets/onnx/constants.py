"""Asking for shapes, changing types, and making tensors of numbers that are told."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from convscope.nets.onnx.node import Built, Node, Operator, Unsupported, bounded, function, numbers
from convscope.nets.onnx.reading import torch_type


def _shape(node: Node) -> Built:
    return Built(partial(_shape_of, start=node.get("start", 0), end=node.get("end", None)), (0,))


def _shape_of(x: Tensor, start: int, end: int | None) -> Tensor:
    return torch.tensor(list(x.shape[start:end]), dtype=torch.int64)


def _size_of(x: Tensor) -> Tensor:
    return torch.tensor(x.numel())


def _constant_of_shape(node: Node) -> Built:
    value = node.get("value", torch.zeros(1))
    return Built(partial(_full, value=value), plain=(0,))


def _full(shape: Any, value: Tensor) -> Tensor:
    return torch.full(bounded([int(size) for size in numbers(shape)]), value.flatten()[0].item(), dtype=value.dtype)


def _range(start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
    bounded([max(0, int((limit.item() - start.item()) / step.item()) + 1)])
    return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


def _cast(node: Node) -> Built:
    return Built(partial(_converted, dtype=torch_type(node.attributes["to"])), (0,))


def _converted(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype)


def _cast_like(x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


def _constant(node: Node) -> Built:
    if "value" in node.attributes:
        return Built(partial(_given, value=node.attributes["value"]), ())
    for name, dtype in (("float", torch.float32), ("int", torch.int64)):
        for attribute in (f"value_{name}", f"value_{name}s"):
            if attribute in node.attributes:
                return Built(partial(_given, value=torch.tensor(node.attributes[attribute], dtype=dtype)), ())
    raise Unsupported("Constant of " + ", ".join(node.attributes))


def _given(value: Tensor) -> Tensor:
    return value


def _one_hot(node: Node) -> Built:
    return Built(partial(_marked, axis=node.get("axis", -1)), plain=(1,))


def _marked(index: Tensor, depth: Any, values: Tensor, axis: int) -> Tensor:
    count = int(numbers(depth)[0])
    bounded((*index.shape, count))
    marks = functional.one_hot(index.long() % count, count).movedim(-1, axis)
    inside = ((index >= -count) & (index < count)).unsqueeze(axis)
    return torch.where((marks == 1) & inside, values[1], values[0])


def _eye_like(node: Node) -> Built:
    to = node.get("dtype", None)
    return Built(partial(_diagonal, k=node.get("k", 0), dtype=torch_type(to) if to else None), (0,))


def _diagonal(x: Tensor, k: int, dtype: torch.dtype | None) -> Tensor:
    return torch.ones_like(x, dtype=dtype).triu(k).tril(k)


def _non_zero(x: Tensor) -> Tensor:
    return x.nonzero().t()


OPERATORS: Final[dict[str, Operator]] = {
    "Shape": _shape,
    "Size": function(_size_of),
    "ConstantOfShape": _constant_of_shape,
    "Range": function(_range),
    "Cast": _cast,
    "CastLike": function(_cast_like),
    "Constant": _constant,
    "OneHot": _one_hot,
    "EyeLike": _eye_like,
    "NonZero": function(_non_zero),
}
