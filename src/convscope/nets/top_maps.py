"""The activation maps of every channel in its top images: one forward pass over those images, all layers at once.

The search keeps where a channel was strongest, not its maps. A second look at the few images that entered a table
gives them, and costs nothing that grows with the data set.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.inspect.topk import TopK
from convscope.nets.batches import filled_up
from convscope.nets.data import ImageSet
from convscope.nets.frozen import frozen
from convscope.nets.observe import Call, Reached, forward, observed
from convscope.nets.search import to_tensor
from convscope.nets.trace import Tap
from convscope.scale.local import ahead

Read = TypeVar("Read")

LARGEST_MAP: Final = 32
"""Pixels a side; larger maps are shrunk by the maximum of each square, so that the strongest place stays in sight."""


@dataclass(frozen=True)
class TopMaps:
    """The activation maps of one layer's channels in their top images, to look at.

    Attributes
    ----------
    pictures
        Grey tiles ``(C, k, h, w, 1)``: black is 0 or less, white is ``scale``; black where there is no image.
    scale
        The largest activation of each map, ``(C, k)``; 0 where nothing is above 0.
    """

    pictures: npt.NDArray[np.uint8]
    scale: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, top: TopK, maps: tuple[int, int]) -> TopMaps:
        """Return black maps for a layer whose own have a height and width of ``maps``."""
        height, width = shrunk_size(maps)
        return cls(
            np.zeros((top.channels, top.k, height, width, 1), np.uint8), np.zeros((top.channels, top.k), np.float32)
        )


def shrunk_size(maps: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of a map when it is shrunk by squares to at most 32 pixels.

    >>> shrunk_size((55, 55)), shrunk_size((224, 112)), shrunk_size((13, 13))
    ((28, 28), (32, 16), (13, 13))
    """
    side = _square(maps)
    return -(-maps[0] // side), -(-maps[1] // side)


def _square(maps: tuple[int, int]) -> int:
    return -(-max(maps) // LARGEST_MAP)


def top_maps(
    network: nn.Module,
    dataset: ImageSet,
    taps: Mapping[str, Tap],
    tops: Mapping[str, TopK],
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, TopMaps]:
    """Look again at all top images of some layers; see ``Model.top_maps``.

    All batches have one size: a map does not depend on which other images are looked at.
    """
    found = {name: TopMaps.empty(tops[name], tap.layer.maps[1:]) for name, tap in taps.items()}
    slots = {name: _Slots.of(top.image) for name, top in tops.items()}
    images = np.unique(np.concatenate([slot.image for slot in slots.values()]))
    starts = range(0, len(images), batch_size)

    def read(start: int) -> npt.NDArray[np.float32]:
        return np.concatenate(list(_read(dataset, images[start : start + batch_size])))

    with closing(ahead(read, starts) if getattr(dataset, "concurrent", False) else _each(read, starts)) as batches:
        for start, pixels in zip(starts, batches, strict=True):
            chosen = images[start : start + batch_size]
            here = {name: slot.among(chosen) for name, slot in slots.items()}
            _look(network, filled_up(pixels, batch_size), taps, here, found)
            if progress:
                progress(start + len(chosen), len(images))
    return found


@dataclass(frozen=True)
class _Slots:
    """Which (channel, rank) each image belongs to: three arrays ``(n,)``, sorted by image."""

    image: npt.NDArray[np.int64]
    channel: npt.NDArray[np.intp]
    rank: npt.NDArray[np.intp]

    @classmethod
    def of(cls, image: npt.NDArray[np.int64]) -> _Slots:
        channel, rank = np.nonzero(image >= 0)
        order = np.argsort(image[channel, rank], kind="stable")
        channel, rank = channel[order], rank[order]
        return cls(image[channel, rank], channel, rank)

    def among(self, images: npt.NDArray[np.int64]) -> _Slots:
        """Return the slots of these images, sorted, with their place among them instead of their number."""
        here = slice(np.searchsorted(self.image, images[0]), np.searchsorted(self.image, images[-1], "right"))
        part = self.image[here]
        wanted = np.isin(part, images)
        place = np.searchsorted(images, part[wanted])
        return _Slots(place.astype(np.int64), self.channel[here][wanted], self.rank[here][wanted])


def _each(read: Callable[[int], Read], starts: Sequence[int]) -> Generator[Read, None, None]:
    for start in starts:
        yield read(start)


def _read(dataset: ImageSet, numbers: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.float32]]:
    """Yield images by their numbers, neighbours together."""
    gaps = np.flatnonzero(np.diff(numbers) > 1) + 1
    for part in np.split(numbers, gaps):
        yield dataset.images(int(part[0]), int(part[-1]) + 1)


def _look(
    network: nn.Module,
    pixels: npt.NDArray[np.float32],
    taps: Mapping[str, Tap],
    slots: Mapping[str, _Slots],
    into: Mapping[str, TopMaps],
) -> None:
    """Run a batch and put the maps that are wanted of it into their places."""
    by_call: dict[Call, list[str]] = {}
    for name, tap in taps.items():
        by_call.setdefault(tap.call, []).append(name)
    left = {name for name, slot in slots.items() if len(slot.image)}

    def see(call: Call, _: object, output: Any) -> None:
        for name in by_call.get(call, ()):  # taken here and now: an in-place ReLU that comes later changes the tensor
            if name in left:
                _keep(taps[name].read(output), slots[name], into[name])
                left.discard(name)
        if not left:
            raise Reached

    functions = any(tap.function for tap in taps.values())
    watching = observed(network, {name for name, _ in by_call}, see, functions=functions)
    with torch.no_grad(), frozen(network), watching:
        forward(network, to_tensor(pixels, network))


def _keep(values: Tensor, slots: _Slots, into: TopMaps) -> None:
    """Put the maps of some (image, channel) pairs into their places, as grey pictures."""
    index = (torch.from_numpy(slots.image).to(values.device), torch.from_numpy(slots.channel).to(values.device))
    side = _square((int(values.shape[-2]), int(values.shape[-1])))
    shrunk = nn.functional.max_pool2d(values[index].to(torch.float32), side, ceil_mode=True)
    maps = np.nan_to_num(shrunk.clamp_min(0).cpu().numpy(), posinf=0)
    scale = maps.max(axis=(1, 2))
    grey = np.rint(255 * (maps / np.where(scale > 0, scale, 1)[:, None, None]))
    into.pictures[slots.channel, slots.rank, :, :, 0] = grey.astype(np.uint8)
    into.scale[slots.channel, slots.rank] = scale
