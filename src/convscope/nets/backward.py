"""Back to the pixels: truncated backward passes from chosen positions of a layer, by a rule (METHODS §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from convscope.errors import InputError
from convscope.inspect.attribution import Rule, RuleReport
from convscope.nets.batches import filled_up
from convscope.nets.frozen import frozen, watching_gradients
from convscope.nets.observe import Call, Reached, forward, observed
from convscope.nets.rules import ruled
from convscope.nets.search import to_tensor
from convscope.nets.trace import Tap

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Origin:
    """A position of a channel to go back from.

    Attributes
    ----------
    channel, y, x
        Where.
    slot
        Where its projection is kept: the row and the rank in a table of top images.
    image
        Number of its image in the data set.
    box
        Its receptive field (y0, x0, y1, x1) in pixels of the image, half-open, not cut.
    """

    channel: int
    y: int
    x: int
    slot: tuple[int, int] = (0, 0)
    image: int = 0
    box: Box = (0, 0, 0, 0)


@dataclass(frozen=True)
class Height:
    """A batch of images that has gone up to a layer and can be sent back, any number of times.

    Attributes
    ----------
    images
        The pixels, with gradients, ``(N, c, h, w)``.
    values
        The layer's maps ``(N, C, H, W)``.
    """

    images: Tensor
    values: Tensor
    root: Node

    def back(self, seed: Tensor) -> Tensor:
        """Return what comes to the pixels from values of the layer's maps."""
        (signal,) = torch.autograd.grad(self.values, self.images, seed, retain_graph=True)
        return signal


@dataclass(frozen=True)
class Ascent:
    """A batch of images that has gone up to a layer and can be sent back by one rule from any position."""

    images: Tensor
    values: Tensor
    tap: Tap
    rule: Rule
    report: RuleReport

    def back(self, origins: Sequence[Origin | None]) -> tuple[Tensor, Tensor]:
        """Return what comes back to the pixels ``(N, C, H, W)`` from one origin in each image, and the activations."""
        chosen = [(i, o.channel, o.y, o.x) for i, o in enumerate(origins) if o is not None]
        index = tuple(torch.tensor(column) for column in zip(*chosen, strict=True))
        activation = torch.zeros(len(self.values)).to(self.values)
        activation[index[0]] = self.tap.rectified(self.values.detach()[index])
        seed = torch.zeros_like(self.values)
        seed[index] = start_values(self.tap, self.values.detach()[index], self.rule)
        (signal,) = torch.autograd.grad(self.values, self.images, seed, retain_graph=True)
        if self.rule.times_input:
            signal = signal * self.images.detach()
        return signal, activation


def start_values(tap: Tap, values: Tensor, rule: Rule) -> Tensor:
    """Return what is sent back for values of a layer: the activation, 1 for a derivative, or 1 for any direction.

    Where a functional ReLU follows that is closed, the derivative is 0.
    """
    activation = tap.rectified(values)
    if rule.start == "direction":
        return torch.ones_like(activation)
    if rule.start == "activation":
        return activation
    if not tap.rectify:
        return torch.ones_like(activation)
    return ((activation > 0) & (activation < tap.ceiling)).to(activation)


def fixed_batch(network: nn.Module) -> int | None:
    """Return how many images a network takes at once, where a file says that it takes no other number."""
    return getattr(network, "fixed_batch", None)


@contextmanager
def risen(network: nn.Module, images: npt.NDArray[Any], tap: Tap) -> Iterator[Height]:
    """Run the network up to a layer, once, and hold the graph; the network and the graph are left without a trace."""
    found: list[Tensor] = []

    def see(call: Call, _: object, output: Any) -> None:
        if call == tap.call:
            found.append(output if output.ndim == 4 else output[:, :, None, None])
            raise Reached

    with watching_gradients(), frozen(network):
        whole_batch = filled_up(images, fixed_batch(network) or len(images))
        pixels = to_tensor(whole_batch, network).requires_grad_(True)  # noqa: FBT003
        with observed(network, {tap.call[0]}, see, functions=tap.function):
            forward(network, pixels.clone())  # what it is given it may write into
        root = found[0].grad_fn if found else None
        if root is None:
            raise InputError(f"layer {tap.layer.name!r} does not depend on the image by a path that gradients take")
        yield Height(pixels, found[0], root)


@contextmanager
def ascended(
    network: nn.Module, images: npt.NDArray[Any], tap: Tap, rule: Rule, lrn: str = "constant"
) -> Iterator[Ascent]:
    """Run the network up to a layer, once, and let every way back follow a rule."""
    with risen(network, images, tap) as height, ruled(height.root, rule, lrn) as report:
        yield Ascent(height.images, height.values, tap, rule, report)
