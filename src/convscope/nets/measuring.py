"""Forward passes for single values: what a layer says at given positions, and how many images go at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.errors import InputError
from convscope.inspect.attribution import Rule
from convscope.nets.backward import Origin
from convscope.nets.batches import filled_up
from convscope.nets.frozen import frozen
from convscope.nets.observe import Call, Reached, forward, observed
from convscope.nets.search import to_tensor
from convscope.nets.trace import Tap

Pair = tuple[int, int]

PIXELS_AT_ONCE: Final = {"cpu": 400_000}
MANY_PIXELS_AT_ONCE: Final = 6_400_000
"""Of the images of one pass: on a CPU as many as stay near its caches, elsewhere as many as keep it busy."""


@dataclass(frozen=True)
class Question:
    """What a rule with a method of its own is asked.

    Attributes
    ----------
    network
        The network.
    images
        ``(N, C, H, W)``: whole images, or crops of them.
    tap, origins
        The layer, and one position in each image.
    rule
        The rule with its parameters.
    corners, size
        Where images are crops: where each was cut (y, x), and the size of what it was cut from.
    """

    network: nn.Module
    images: npt.NDArray[Any]
    tap: Tap
    origins: Sequence[Origin]
    rule: Rule
    corners: Sequence[Pair]
    size: Pair

    def batches(self, count: int) -> Iterator[range]:
        """Yield the numbers 0..count−1 in batches of as many images as go through the network at once."""
        device = next((p.device.type for p in self.network.parameters()), "cpu")
        most = PIXELS_AT_ONCE.get(device, MANY_PIXELS_AT_ONCE) // (self.images.shape[-2] * self.images.shape[-1])
        step = getattr(self.network, "fixed_batch", None) or max(1, most)
        for start in range(0, count, step):
            yield range(start, min(count, start + step))

    def activations(self) -> Tensor:
        """Return the (rectified) activation of each image at its position, ``(N,)``."""
        batches = self.batches(len(self.images))
        return torch.cat([self.measured(self.images[rows], [self.origins[i] for i in rows]) for rows in batches])

    def measured(self, images: npt.NDArray[Any], origins: Sequence[Origin]) -> Tensor:
        """Return the activations of a batch of images, each at one position, ``(N,)``."""
        found: list[Tensor] = []
        index = tuple(torch.tensor(column) for column in zip(*_places(origins), strict=True))

        def see(call: Call, _: object, output: Any) -> None:
            if call == self.tap.call:
                maps = output if output.ndim == 4 else output[:, :, None, None]
                found.append(self.tap.rectified(maps[index]))
                raise Reached

        pixels = filled_up(images, getattr(self.network, "fixed_batch", None) or len(images))
        with (
            torch.no_grad(),
            frozen(self.network),
            observed(self.network, {self.tap.call[0]}, see, functions=self.tap.function),
        ):
            forward(self.network, to_tensor(pixels, self.network))
        if not found:
            raise InputError(f"layer {self.tap.layer.name!r} was not reached; was the network changed?")
        return found[0]


def _places(origins: Sequence[Origin]) -> list[tuple[int, int, int, int]]:
    return [(i, origin.channel, origin.y, origin.x) for i, origin in enumerate(origins)]


def zeros(images: npt.NDArray[Any], like: Tensor) -> Tensor:
    """Return zeros in the shape of the images, in at least float32, on the device of ``like``."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    return torch.zeros(np.shape(images), dtype=dtype, device=like.device)
