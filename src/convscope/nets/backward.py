"""Back to the pixels: truncated backward passes from chosen positions of a layer, by a rule (METHODS §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.errors import InputError
from convscope.inspect.attribution import Projections, Rule, RuleReport
from convscope.inspect.topk import TopK, paste
from convscope.nets.data import ImageSet
from convscope.nets.frozen import Call, Reached, forward, frozen, observed, watching_gradients
from convscope.nets.rules import find_rule, ruled
from convscope.nets.search import to_tensor
from convscope.nets.trace import Tap

_PIXELS_AT_ONCE = 400_000
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Origin:
    """A position of a channel to go back from, and where its projection is kept."""

    channel: int
    y: int
    x: int
    slot: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Ascent:
    """A batch of images that has gone up to a layer and can be sent back from any position, any number of times."""

    images: Tensor
    values: Tensor
    tap: Tap
    rule: Rule
    report: RuleReport

    def back(self, origins: Sequence[Origin | None]) -> tuple[Tensor, Tensor]:
        """Return what comes back to the pixels ``(N, C, H, W)`` from one origin in each image, and the activations."""
        chosen = [(i, o.channel, o.y, o.x) for i, o in enumerate(origins) if o is not None]
        index = tuple(torch.tensor(column) for column in zip(*chosen, strict=True))
        activation = torch.zeros(len(origins)).to(self.values)
        activation[index[0]] = self.tap.rectified(self.values.detach()[index])
        seed = torch.zeros_like(self.values)
        seed[index] = self._start(activation)[index[0]]
        (signal,) = torch.autograd.grad(self.values, self.images, seed, retain_graph=True)
        if self.rule.times_input:
            signal = signal * self.images.detach()
        return signal, activation

    def _start(self, activation: Tensor) -> Tensor:
        """Return what is sent back: the activation, or 1 for a derivative (0 where the ReLU that follows is closed)."""
        if self.rule.start == "activation":
            return activation
        if not self.tap.rectify:
            return torch.ones_like(activation)
        return ((activation > 0) & (activation < self.tap.ceiling)).to(activation)


@contextmanager
def ascended(network: nn.Module, images: npt.NDArray[Any], tap: Tap, rule: Rule) -> Iterator[Ascent]:
    """Run the network up to a layer, once, and hold the graph; the network and the graph are left without a trace."""
    found: list[Tensor] = []

    def see(call: Call, _: nn.Module, output: Any) -> None:
        if call == tap.call:
            found.append(output if output.ndim == 4 else output[:, :, None, None])
            raise Reached

    with watching_gradients(), frozen(network):
        pixels = to_tensor(images, network).requires_grad_(True)  # noqa: FBT003
        with observed(network, {tap.call[0]}, see):
            forward(network, pixels)
        root = found[0].grad_fn if found else None
        if root is None:
            raise InputError(f"layer {tap.layer.name!r} does not depend on the image by a path that gradients take")
        with ruled(root, rule) as report:
            yield Ascent(pixels, found[0], tap, rule, report)


def attribute(
    network: nn.Module,
    top: TopK,
    dataset: ImageSet,
    tap: Tap,
    rule_name: str,
    channels: Sequence[int] | None,
    progress: Callable[[int, int], None] | None,
) -> Projections:
    """Send the top activations of a layer back to the pixels; see ``Model.attribute``.

    The forward pass is shared by all (channel, image) pairs of one image, and images travel in batches.
    """
    chosen = np.arange(top.channels) if channels is None else _checked(channels, top)
    rule = find_rule(rule_name)
    pairs = _pairs_by_image(top, chosen)
    total, done = sum(len(origins) for origins in pairs.values()), 0
    depth = int(dataset.images(0, 1).shape[1])
    values = np.zeros((len(chosen), top.k, *top.tile_size, depth), np.float32)
    recomputed = np.zeros((len(chosen), top.k), np.float32)
    report = RuleReport(rule.name, 0, 0)
    # images with many origins first, so that those of one batch need about the same number of passes
    order = sorted(pairs, key=lambda image: (-len(pairs[image]), image))
    size = _images_at_once(top.input_size)
    for batch in (order[i : i + size] for i in range(0, len(order), size)):
        images = np.concatenate([dataset.images(image, image + 1) for image in batch])
        with ascended(network, images, tap, rule) as ascent:
            report = ascent.report
            for signal, origins, activation in _rounds(ascent, [pairs[image] for image in batch]):
                for i, origin in origins:
                    row, rank = origin.slot
                    paste(values[row, rank], signal[i], top.tile_box[chosen[row], rank])
                    recomputed[row, rank] = activation[i]
                done += len(origins)
                if progress:
                    progress(done, total)
    wrong = ~np.isclose(
        recomputed, top.value[chosen], rtol=_TOLERANCE, atol=_TOLERANCE * float(np.abs(top.value).max())
    )
    return Projections(
        top.layer,
        rule.name,
        chosen.astype(np.int64),
        values,
        top.tile_box[chosen],
        recomputed,
        report,
        int(wrong.sum()),
    )


def _rounds(
    ascent: Ascent, origins: list[list[Origin]]
) -> Iterator[tuple[npt.NDArray[np.float32], list[tuple[int, Origin]], npt.NDArray[np.float32]]]:
    """Go back once for the first origin of every image, once for the second …; signals come as ``(N, H, W, C)``."""
    for turn in range(max(len(of_image) for of_image in origins)):
        now = [of_image[turn] if turn < len(of_image) else None for of_image in origins]
        signal, activation = ascent.back(now)
        pixels = signal.permute(0, 2, 3, 1).to(torch.float32).cpu().numpy()
        present = [(i, origin) for i, origin in enumerate(now) if origin is not None]
        yield pixels, present, activation.to(torch.float32).cpu().numpy()


def _checked(channels: Sequence[int], top: TopK) -> npt.NDArray[np.intp]:
    chosen = np.asarray(channels, np.intp).reshape(-1)
    outside = chosen[(chosen < 0) | (chosen >= top.channels)]
    if len(outside):
        raise InputError(f"no channel {int(outside[0])} in layer {top.layer!r}; it has 0..{top.channels - 1}")
    return chosen


def _pairs_by_image(top: TopK, chosen: npt.NDArray[np.intp]) -> dict[int, list[Origin]]:
    pairs: dict[int, list[Origin]] = {}
    for row, channel in enumerate(chosen):
        for rank in np.flatnonzero(top.image[channel] >= 0):
            y, x = (int(v) for v in top.position[channel, rank])
            origin = Origin(int(channel), y, x, (row, int(rank)))
            pairs.setdefault(int(top.image[channel, rank]), []).append(origin)
    return pairs


def _images_at_once(size: tuple[int, int]) -> int:
    return max(1, min(256, _PIXELS_AT_ONCE // (size[0] * size[1])))
