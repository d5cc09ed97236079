"""The search for the top images: reductions inside the forward hooks, and the work on one shard (METHODS §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.inspect import topk
from convscope.inspect.topk import ChannelTopK
from convscope.nets.batches import filled_up
from convscope.nets.data import ImageSet
from convscope.nets.frozen import frozen
from convscope.nets.observe import Call, Reached, forward, observed
from convscope.nets.trace import Tap
from convscope.scale.plan import Arrays, Shard

States = dict[str, ChannelTopK]

_CANCELS = 20.0
"""Where the sum of squares is so many times that of the deviations, float32 leaves too few digits of the latter."""


@dataclass(frozen=True)
class Search:
    """What is done to one shard: a pure function of the shard, whatever was done before.

    Attributes
    ----------
    network, dataset
        Who looks at what.
    taps
        Where each layer is read, by the layer's name.
    k
        How many images are kept for each channel.
    batch_size
        How many images go through the network at once.
    """

    network: nn.Module
    dataset: ImageSet
    taps: Mapping[str, Tap]
    k: int
    batch_size: int

    def __call__(self, shard: Shard) -> States:
        """Return the state after the images of one shard; a short last batch counts like any other."""
        start, stop = shard
        states = {name: topk.empty(tap.layer.maps[0], self.k) for name, tap in self.taps.items()}
        for first in range(start, stop, self.batch_size):
            images = self.dataset.images(first, min(first + self.batch_size, stop))
            self._batch(filled_up(images, self.batch_size), len(images), first, states)
        return states

    def _batch(self, images: npt.NDArray[np.float32], count: int, first: int, states: States) -> None:
        """Add the first ``count`` images of a batch to the states."""
        left = set(self.taps)
        by_call: dict[Call, list[str]] = {}
        for name, tap in self.taps.items():
            by_call.setdefault(tap.call, []).append(name)

        def see(call: Call, _: object, output: Any) -> None:
            for name in by_call.get(call, ()):
                # reduced here and now: an in-place ReLU that comes later changes the tensor
                states[name] = reduced(self.taps[name].read(output[:count]), first, states[name])
                left.discard(name)
            if not left:
                raise Reached

        names = {name for name, _ in by_call}
        functions = any(tap.function for tap in self.taps.values())
        watching = observed(self.network, names, see, functions=functions)
        with torch.no_grad(), frozen(self.network), watching:
            forward(self.network, to_tensor(images, self.network))


def to_tensor(images: npt.NDArray[Any], network: nn.Module) -> Tensor:
    """Return images as a tensor of the dtype and on the device of the network's parameters.

    They are copied into memory of torch's own: from the strides of a single channel torch may conclude that memory is
    channels-last, and a convolution of another memory format gives other last bits.
    """
    first = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))
    pixels = torch.empty(images.shape, dtype=first.dtype, device=first.device)
    native = np.ascontiguousarray(images, images.dtype.newbyteorder("="))
    return pixels.copy_(torch.from_numpy(native if native.flags.writeable else native.copy()))


def reduced(values: Tensor, first: int, state: ChannelTopK) -> ChannelTopK:
    """Return a layer's state after a batch of values ``(N, C, H, W)`` whose first image has index ``first``.

    All positions are read for their maximum; where it is, is looked up only for the few images that enter the table.
    """
    flat = values.flatten(2)
    flat = flat.float() if flat.dtype in (torch.float16, torch.bfloat16) else flat  # which cannot hold their own sums
    scores = np.ascontiguousarray(flat.amax(2).to(torch.float32).cpu().numpy().T)
    k = state.value.shape[1]
    ranked = np.where(np.isnan(scores), -np.inf, scores)  # an image with a NaN in its map never enters
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :k]
    value = np.take_along_axis(ranked, order, 1)
    enters = value > state.value[:, -1:]
    batch = topk.empty(len(scores), k)
    rows, columns = np.nonzero(enters)
    batch.value[rows, columns] = value[rows, columns]
    batch.image[rows, columns] = first + order[rows, columns]
    batch.position[rows, columns] = _positions(flat, order[rows, columns], rows, values.shape[-1])
    return topk.merge(state, _with_moments(batch, flat, scores))


def _positions(flat: Tensor, images: npt.NDArray[np.intp], channels: npt.NDArray[np.intp], width: int) -> Any:
    """Return where the maxima of these (image, channel) pairs are, ``(n, 2)``; the first place of several."""
    if not len(images):
        return np.empty((0, 2), np.int32)
    chosen = flat[torch.from_numpy(images).to(flat.device), torch.from_numpy(channels).to(flat.device)]
    return np.stack(np.divmod(chosen.argmax(1).cpu().numpy(), width), axis=1)


def _with_moments(batch: ChannelTopK, flat: Tensor, scores: npt.NDArray[np.float32]) -> ChannelTopK:
    """Complete a batch's state: sums of each map in the network's precision, over the images in float64."""
    images, _, places = flat.shape
    total = flat.sum(2).double().sum(0).cpu().numpy()
    squares, positive = _squares_and_positive(flat)
    with np.errstate(invalid="ignore"):  # infinite maps have no moments
        mean = total / (images * places)
        m2 = np.maximum(squares - total * mean, 0)
    _around_the_mean(flat, mean, m2, np.flatnonzero(squares > _CANCELS * m2))
    arrays = batch.to_arrays() | {
        "images": np.array(images, np.int64),
        "count": np.array(images * places, np.int64),
        "mean": mean,
        "m2": m2,
        "max": scores.max(1).astype(np.float64),
        "positive": positive.astype(np.int64),
        "histogram": topk.count_scores(scores),
    }
    return ChannelTopK.from_arrays(arrays)


def _around_the_mean(
    flat: Tensor, mean: npt.NDArray[np.float64], m2: npt.NDArray[np.float64], channels: npt.NDArray[np.intp]
) -> None:
    """Replace the moments of channels whose mean is large against their spread: there the squares cancel."""
    for part in np.array_split(channels, -(-len(channels) // 16)) if len(channels) else ():
        values = flat[:, torch.from_numpy(part).to(flat.device)].double()
        centre = values.mean((0, 2), keepdim=True)
        mean[part] = centre.flatten().cpu().numpy()
        m2[part] = (values - centre).square().sum((0, 2)).cpu().numpy()


def _squares_and_positive(flat: Tensor) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the sum of squares of each channel, and how many of its values are above 0.

    On a CPU numpy is several times faster than torch: its ``einsum`` does not mind channels-last memory, and bytes are
    added up over at most 255 images, before they can overflow.
    """
    if flat.device.type != "cpu" or flat.dtype not in (torch.float32, torch.float64):
        squares = torch.linalg.vector_norm(flat, dim=2).double().square().sum(0).cpu().numpy()
        return squares, (flat > 0).sum((0, 2)).cpu().numpy()
    values = flat.numpy()
    counts = np.zeros(values.shape[1], np.int64)
    for start in range(0, len(values), 255):
        above = (values[start : start + 255] > 0).view(np.uint8)
        counts += above.sum(axis=0, dtype=np.uint8).sum(axis=1, dtype=np.int64)
    return np.einsum("ncp,ncp->nc", values, values).sum(axis=0, dtype=np.float64), counts


def merge(a: States, b: States) -> States:
    """Return the states of all layers after the images of both."""
    return {name: topk.merge(a[name], b[name]) for name in a}


def to_arrays(states: States) -> Arrays:
    """Return the states of all layers as one flat dictionary, for a checkpoint."""
    return {f"{name}/{key}": array for name, state in states.items() for key, array in state.to_arrays().items()}


def from_arrays(arrays: Arrays) -> States:
    """Return the states that :func:`to_arrays` took apart."""
    grouped: dict[str, Arrays] = {}
    for path, array in arrays.items():
        name, key = path.rsplit("/", 1)
        grouped.setdefault(name, {})[key] = array
    return {name: ChannelTopK.from_arrays(part) for name, part in grouped.items()}
