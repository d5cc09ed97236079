"""Back to the pixels: truncated backward passes from chosen positions of a layer, by a rule (METHODS §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.errors import InputError
from convscope.inspect.attribution import Projections, Rule, RuleReport
from convscope.inspect.topk import TopK, paste
from convscope.nets.batches import filled_up
from convscope.nets.crops import Window, window
from convscope.nets.data import ImageSet
from convscope.nets.frozen import frozen, watching_gradients
from convscope.nets.observe import Call, Reached, forward, observed
from convscope.nets.rules import find_rule, ruled
from convscope.nets.search import to_tensor
from convscope.nets.trace import Tap

_PIXELS_AT_ONCE = 400_000
_TOLERANCE = 1e-4
Item = TypeVar("Item")


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
        activation = torch.zeros(len(self.values)).to(self.values)
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


def _fixed_batch(network: nn.Module) -> int | None:
    """Return how many images a network takes at once, where a file says that it takes no other number."""
    return getattr(network, "fixed_batch", None)


@contextmanager
def ascended(network: nn.Module, images: npt.NDArray[Any], tap: Tap, rule: Rule) -> Iterator[Ascent]:
    """Run the network up to a layer, once, and hold the graph; the network and the graph are left without a trace."""
    found: list[Tensor] = []

    def see(call: Call, _: object, output: Any) -> None:
        if call == tap.call:
            found.append(output if output.ndim == 4 else output[:, :, None, None])
            raise Reached

    with watching_gradients(), frozen(network):
        whole_batch = filled_up(images, _fixed_batch(network) or len(images))
        pixels = to_tensor(whole_batch, network).requires_grad_(True)  # noqa: FBT003
        with observed(network, {tap.call[0]}, see, functions=tap.function):
            forward(network, pixels.clone())  # what it is given it may write into
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

    Where the layer's receptive field is small, from crops (:mod:`convscope.nets.crops`); what does not come out with
    the recorded activation that way, and everything of other layers, from whole images.
    """
    chosen = np.arange(top.channels) if channels is None else _checked(channels, top)
    work = _Projecting(network, top, dataset, tap, find_rule(rule_name), chosen, progress)
    pairs = _pairs_by_image(top, chosen)
    work.total = sum(len(origins) for origins in pairs.values())
    crops = None if top.shows_whole_image else window(top.receptive_field, top.input_size)
    if crops is not None and work.from_crops(pairs, crops):
        wrong = work.mismatches
        pairs = {image: again for image, origins in pairs.items() if (again := [o for o in origins if wrong[o.slot]])}
        work.total += sum(len(origins) for origins in pairs.values())
    work.from_images(pairs)
    return work.result()


class _Projecting:
    """The projections of one layer while they are made."""

    def __init__(
        self,
        network: nn.Module,
        top: TopK,
        dataset: ImageSet,
        tap: Tap,
        rule: Rule,
        chosen: npt.NDArray[np.intp],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._network, self._top, self._dataset, self._tap = network, top, dataset, tap
        self._rule, self._chosen, self._progress = rule, chosen, progress
        self._report = RuleReport(rule.name, 0, 0)
        depth = int(dataset.images(0, 1).shape[1])
        self.values = np.zeros((len(chosen), top.k, *top.tile_size, depth), np.float32)
        self.recomputed = np.zeros((len(chosen), top.k), np.float32)
        self.total = 0
        self._done = 0

    @property
    def mismatches(self) -> npt.NDArray[np.bool_]:
        """Which recomputed activations are not those that the search recorded, ``(C, k)``."""
        recorded = self._top.value[self._chosen]
        slack = _TOLERANCE * float(np.abs(self._top.value).max())
        return ~np.isclose(self.recomputed, recorded, rtol=_TOLERANCE, atol=slack)

    def result(self) -> Projections:
        """Return what has been made."""
        return Projections(
            self._top.layer,
            self._rule.name,
            self._chosen.astype(np.int64),
            self.values,
            self._top.tile_box[self._chosen],
            self.recomputed,
            self._report,
            int(self.mismatches.sum()),
        )

    def from_images(self, pairs: Mapping[int, list[Origin]]) -> None:
        """Go back through whole images; all pairs of one image share its forward pass, and images travel in batches."""
        # images with many origins first, so that those of one batch need about the same number of passes
        order = sorted(pairs, key=lambda image: (-len(pairs[image]), image))
        for batch in _batches(order, self._top.input_size, _fixed_batch(self._network)):
            images = np.concatenate([self._dataset.images(image, image + 1) for image in batch])
            with ascended(self._network, images, self._tap, self._rule) as ascent:
                for turn in range(max(len(pairs[image]) for image in batch)):
                    now = [pairs[image][turn] if turn < len(pairs[image]) else None for image in batch]
                    self._keep(ascent, now, now, [(0, 0)] * len(now))

    def from_crops(self, pairs: Mapping[int, list[Origin]], crops: Window) -> bool:
        """Go back through crops; ``False`` if the network takes no images of their size."""
        try:
            self._from_crops(pairs, crops)
        except (RuntimeError, ValueError, LookupError, TypeError, AssertionError):
            self._done = 0
            return False
        return True

    def _from_crops(self, pairs: Mapping[int, list[Origin]], crops: Window) -> None:
        """Go back through crops; each has a forward pass of its own, and crops travel in batches."""
        whole = lru_cache(maxsize=64)(lambda image: self._dataset.images(image, image + 1)[0])
        todo = [(image, origin) for image in sorted(pairs) for origin in pairs[image]]
        for batch in _batches(todo, crops.size, _fixed_batch(self._network)):
            boxes = [self._box(origin) for _, origin in batch]
            corners = [crops.corner(box) for box in boxes]
            cut = np.stack([crops.cut(whole(image), at) for (image, _), at in zip(batch, corners, strict=True)])
            origins = [origin for _, origin in batch]
            moved = [
                replace(origin, y=y, x=x)
                for origin, at in zip(origins, corners, strict=True)
                for y, x in [crops.position(origin.y, origin.x, at)]
            ]
            with ascended(self._network, cut, self._tap, self._rule) as ascent:
                self._keep(ascent, moved, origins, corners)

    def _box(self, origin: Origin) -> npt.NDArray[np.int32]:
        box: npt.NDArray[np.int32] = self._top.tile_box[origin.channel, origin.slot[1]]
        return box

    def _keep(
        self,
        ascent: Ascent,
        start: Sequence[Origin | None],
        origins: Sequence[Origin | None],
        corners: Sequence[tuple[int, int]],
    ) -> None:
        """Go back once and keep what arrives for each origin; ``corners`` are where the pictures sit in the images."""
        self._report = ascent.report
        signal, activation = ascent.back(start)
        pixels = signal.permute(0, 2, 3, 1).to(torch.float32).cpu().numpy()
        found = activation.to(torch.float32).cpu().numpy()
        for i, (origin, corner) in enumerate(zip(origins, corners, strict=True)):
            if origin is not None:
                paste(self.values[origin.slot], pixels[i], self._box(origin) - np.tile(corner, 2))
                self.recomputed[origin.slot] = found[i]
                self._done += 1
        if self._progress:
            self._progress(self._done, self.total)


def _batches(items: Sequence[Item], size: tuple[int, int], fixed: int | None) -> Iterator[Sequence[Item]]:
    """Yield items in batches that hold about the same number of pixels, whatever the size of a picture."""
    count = fixed or max(1, min(256, _PIXELS_AT_ONCE // (size[0] * size[1])))
    for start in range(0, len(items), count):
        yield items[start : start + count]


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
