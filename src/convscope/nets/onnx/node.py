"""A node of an ONNX graph as the operators see it, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import torch
from torch import Tensor, nn

from convscope.errors import FormatError

LARGEST: Final = 1 << 29
"""So many numbers may an operator make of constants, and all of them together."""

Shape = tuple[int | None, ...]
"""Sizes of the axes; ``None`` where the file leaves one open."""

Value = Any
"""What an operator is called with: a tensor, a list of numbers, or ``None`` for an input that is left out."""


class Unsupported(Exception):  # noqa: N818 - what it is called where it is raised: not an error of the file
    """An operator, or a way of using it, that has no counterpart here; the message names it."""


@dataclass(frozen=True)
class Node:
    """One operator of a graph.

    Attributes
    ----------
    op, name
        The operator (``Conv``), and what the file calls this node; behind its domain where that is not ONNX's own.
    inputs, outputs
        Names of the values it takes and makes; ``""`` for one that is left out.
    attributes
        By name: numbers, texts, tensors, or lists of these.
    opset
        The version of the operators' set.
    constants
        The inputs that are known when the file is read, by their position.
    shapes
        The shapes of the inputs as far as they can be told, by their position.
    scopes
        The modules of torch in which it was exported, outermost first, where the file tells.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    constants: Mapping[int, Tensor] = field(default_factory=dict)
    shapes: Mapping[int, Shape] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()

    def get(self, name: str, default: Any) -> Any:
        """Return an attribute, or the default the operator's definition gives it."""
        return self.attributes.get(name, default)

    def has(self, position: int) -> bool:
        """Whether the input at a position is given."""
        return position < len(self.inputs) and self.inputs[position] != ""

    def constant(self, position: int) -> Tensor | None:
        """Return the input at a position if it is known now."""
        return self.constants.get(position)

    def known(self, *positions: int) -> bool:
        """Whether all these inputs are known now, or left out."""
        return all(position in self.constants or not self.has(position) for position in positions)

    def numbers(self, position: int, attribute: str) -> list[Any] | None:
        """Return a list that is an attribute in old versions of an operator and an input in new ones."""
        if attribute in self.attributes:
            return list(self.attributes[attribute])
        found = self.constant(position)
        return None if found is None else found.flatten().tolist()

    def rank(self, position: int = 0) -> int | None:
        """Return how many axes an input has, as far as can be told."""
        known = self.constant(position)
        if known is not None:
            return known.ndim
        return len(self.shapes[position]) if position in self.shapes else None

    def makes(self, position: int) -> bool:
        """Whether anybody wants the output at a position."""
        return position < len(self.outputs) and self.outputs[position] != ""


@dataclass(frozen=True)
class Built:
    """What does an operator's work.

    Attributes
    ----------
    call
        A torch module, or a function.
    takes
        Positions of the inputs that it is called with; ``None`` for all of the node's.
    plain
        Positions of inputs that a function takes as a list of numbers: shapes, axes.
    before
        A module the first input goes through before: padding that differs between the sides.
    """

    call: nn.Module | Callable[..., Any]
    takes: tuple[int, ...] | None = None
    plain: tuple[int, ...] = ()
    before: nn.Module | None = None


Operator = Callable[[Node], Built]


def function(call: Callable[..., Any]) -> Operator:
    """Return the operator that calls a function with all its inputs, whatever its attributes."""

    def build(node: Node) -> Built:
        del node
        return Built(call)

    return build


def numbers(value: Value) -> list[Any]:
    """Return what was given as a list or as a tensor as a list."""
    return list(value.flatten().tolist()) if isinstance(value, Tensor) else list(value)


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from 0; negative ones count from the end."""
    if not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} in {rank} axes")
    return axis % rank


def spread_shape(*shapes: Sequence[int]) -> list[int]:
    """Return the shape of tensors that are spread over each other."""
    return list(torch.broadcast_shapes(*map(tuple, shapes)))  # type: ignore[no-untyped-call]


def bounded(shape: list[int] | tuple[int, ...]) -> list[int]:
    """Return a shape, or raise an error if so many numbers would be too many."""
    if prod(int(size) for size in shape) > LARGEST:
        raise FormatError(f"a tensor of shape {tuple(shape)} is larger than the {LARGEST:,} numbers that are accepted")
    return [int(size) for size in shape]


def parameter(tensor: Tensor) -> nn.Parameter:
    """Return numbers of the file as a module's parameter, in their layout."""
    return nn.Parameter(tensor.detach(), requires_grad=tensor.is_floating_point())


def filled(module: nn.Module, **values: Tensor | None) -> nn.Module:
    """Return a module that was made without memory, with the file's numbers as its parameters and buffers."""
    for name, value in values.items():
        if name in dict(module.named_buffers(recurse=False)):
            module.register_buffer(name, value)
        else:
            module.register_parameter(name, None if value is None else parameter(value))
    return module.eval()


def empty(kind: Callable[..., nn.Module], *args: Any, **options: Any) -> nn.Module:
    """Make a module whose numbers are to come from the file: nothing is allocated."""
    with torch.device("meta"):
        return kind(*args, **options)
