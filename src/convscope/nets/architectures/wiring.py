"""Networks as prototxts and symbol files write them down: named layers, and what each of them takes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

DATA = "data"
"""What the input is called, as in Caffe and MXNet."""


def named(layers: Iterable[tuple[str, nn.Module]]) -> nn.Sequential:
    """Return a chain of layers under their own names; a name may hold ``/``, as Caffe's do, but no dot."""
    chain = nn.Sequential()
    for name, layer in layers:
        chain.add_module(name, layer)
    return chain


class Wired(nn.Module):
    """A network of named layers that each take what others put out, run in the order in which they were added.

    >>> network = Wired()
    >>> network.wire("conv1", nn.Conv2d(3, 8, 3, padding=1))
    'conv1'
    >>> network.wire("twice", Add(), "conv1", "conv1")
    'twice'
    >>> network(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        self.bottoms: dict[str, tuple[str, ...]] = {}
        """Layer → the layers whose outputs it takes; :data:`DATA` is the input."""

    def wire(self, name: str, layer: nn.Module, *bottoms: str) -> str:
        """Add a layer that takes the outputs of ``bottoms``, by default of the layer before it; return its name."""
        self.bottoms[name] = bottoms or (next(reversed(self.bottoms), DATA),)
        self.add_module(name, layer)
        return name

    def forward(self, images: Tensor) -> Tensor:
        """Return what the last layer puts out; an output is let go as soon as no later layer takes it."""
        last_use = {bottom: name for name, bottoms in self.bottoms.items() for bottom in bottoms}
        values = {DATA: images}
        out = images
        for name, bottoms in self.bottoms.items():
            out = values[name] = self.get_submodule(name)(*(values[bottom] for bottom in bottoms))
            for bottom in set(bottoms):
                if last_use[bottom] == name:
                    del values[bottom]
        return out


class Concat(nn.Module):
    """Joins maps along their channels."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Return ``(N, C1 + C2 + …, H, W)``."""
        return torch.cat(maps, 1)


class Add(nn.Module):
    """Adds maps of equal shape."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the sum."""
        return left + right
