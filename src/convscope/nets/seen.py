"""One output of a forward pass, as it was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.autograd.graph import Node
from torch.nn.utils import parametrize

from convscope.nets.functions import KINDS
from convscope.nets.observe import ROOT, Call, FunctionCall


@dataclass(frozen=True)
class Seen:
    """One output that was seen: whose it is, its shape, and the node of the graph that made it.

    It is ``folded`` where its first axis is not the images: windows of them all in a row, or time before images.
    """

    call: Call
    source: nn.Module | FunctionCall
    shape: tuple[int, ...]
    node: Node | None
    folded: bool = False
    batch: int = 1

    @classmethod
    def of(
        cls, call: Call, source: nn.Module | FunctionCall, size: Sequence[int], node: Node | None, batch: int
    ) -> Seen:
        """Return what is known of an output of a size, for a batch of so many images."""
        rows, *rest = (int(n) for n in size) if size else (0,)  # torch.jit.trace makes tensors of them
        folded = rows != batch
        shape = of_one(rows // batch, rest) if folded and rows >= batch else tuple(rest)
        return cls(call, source, shape, node, folded, batch)

    @property
    def name(self) -> str:
        """The layer's name: the second call of ``relu`` is ``relu:2``."""
        name, count = self.call
        return (name or ROOT) if count == 1 else f"{name or ROOT}:{count}"

    @property
    def name_of_module(self) -> str:
        """For a function, the module that called it."""
        return self.call[0].rpartition(".")[0]

    @property
    def kind(self) -> str:
        """What it is called among torch's modules."""
        if isinstance(self.source, FunctionCall):
            return KINDS[self.source.function]
        module = self.source
        kind = parametrize.type_before_parametrizations(module) if parametrize.is_parametrized(module) else type(module)
        return str(kind.__name__)

    @property
    def parameters(self) -> int:
        """How many numbers it has learned."""
        if isinstance(self.source, nn.Module):
            return sum(p.numel() for p in self.source.parameters())
        given = [*self.source.args, *self.source.options.values()]
        return sum(p.numel() for p in given if isinstance(p, nn.Parameter))


def of_one(rows: int, rest: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of what several rows say of one image: never that of a map, which it is not.

    >>> of_one(64, (49, 96)), of_one(16, (48,)), of_one(8, (64, 7, 7))
    ((3136, 96), (16, 48), (8, 64, 7, 7))
    """
    return (rows * rest[0], rest[1]) if len(rest) == 2 else (rows, *rest)
